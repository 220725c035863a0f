"""A pretended device: tensors that say that they are on another device, and hold their values on the CPU.

As on a GPU, tensors of two devices cannot be mixed, and some operations wait for the device: those are counted, by the
line of the package that asks. Results can be compared with those of the CPU, bit by bit. No compiler is needed: torch
lets a backend be written in Python.

Not seen in this way: what kernels of CUDA take, streams, memory, and how long a wait is.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

import toothgraph

PACKAGE = os.path.join(os.path.dirname(toothgraph.__file__), "")
NAME = "pretended"
aten = torch.ops.aten

COPIES = (aten._to_copy.default, aten.copy_.default)
INDEXED = (aten.index.Tensor, aten._unsafe_index.Tensor)
PUT = (aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default)
SIZE_OF_RESULT = (  # it depends on values, so the device is asked
    aten.nonzero.default, aten.masked_select.default, aten.bincount.default, aten._unique2.default,
    aten.unique_dim.default, aten.unique_consecutive.default,
)  # fmt: skip
VALUES = (aten._local_scalar_dense.default, aten.is_nonzero.default, aten.equal.default)


class OnDevice(Tensor):
    """A tensor on the pretended device; ``held`` has its values."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        made = Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            layout=held.layout, device=torch.device(NAME, 0),
        )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on the pretended device outside of its context")

    def __repr__(self) -> str:
        return f"OnDevice({self.held})"

    def __reduce_ex__(self, protocol: Any) -> Any:  # a checkpoint can be read on a machine without the device
        return self.held.__reduce_ex__(protocol)

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"can't convert {self.device} device type tensor to numpy")

    __array__ = numpy


class Pretended(TorchDispatchMode):
    """The context in which the pretended device is there.

    Attributes:
        device: to give to ``.to(...)`` and ``device=``.
        waits: how often the program waited for the device, by line of the package and operation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.device = torch.device(NAME, 0)
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not types and kwargs.get("device") is None:  # the CPU's alone
            return func(*args, **kwargs)
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        ours = [tensor for tensor in given if isinstance(tensor, OnDevice)]
        theirs = [tensor for tensor in given if not isinstance(tensor, OnDevice) and tensor.dim() > 0]
        wanted = kwargs.get("device")
        if func not in COPIES:
            self._refuse_mixed(func, args, ours, theirs)
        if ours or wanted is not None:
            self._count(func, args, kwargs, theirs)
        held_args, held_kwargs = tree_map(_held, (args, kwargs))
        if wanted is not None:
            held_kwargs["device"] = torch.device("cpu") if wanted.type == NAME else wanted
        out = func(*held_args, **held_kwargs)
        here = bool(ours) if wanted is None else wanted.type == NAME
        if func in VALUES or not here or (func is aten.copy_.default and not isinstance(args[0], OnDevice)):
            return args[0] if func is aten.copy_.default else out
        out = tree_map(lambda leaf: OnDevice(leaf) if isinstance(leaf, Tensor) else leaf, out)
        return return_and_correct_aliasing(func, args, kwargs, out)

    def _refuse_mixed(self, func: Any, args: Any, ours: list[Tensor], theirs: list[Tensor]) -> None:
        """A tensor of one number, and an index from the CPU into a tensor of the device, may be mixed."""
        if not ours or not theirs:
            return
        into = func in (*INDEXED, *PUT) and isinstance(args[0], OnDevice)
        if not into or (func in PUT and args[2].dim() > 0 and not isinstance(args[2], OnDevice)):
            raise RuntimeError(
                f"expected all tensors of {func} on one device, got some on {self.device} and some on cpu"
            )

    def _count(self, func: Any, args: Any, kwargs: Any, theirs: list[Tensor]) -> None:
        waits = func in SIZE_OF_RESULT or func in VALUES
        if func in COPIES:
            to = args[0].device if func is aten.copy_.default else kwargs.get("device") or args[0].device
            source = args[1] if func is aten.copy_.default else args[0]
            late = kwargs.get("non_blocking") or (func is aten.copy_.default and len(args) > 2 and args[2])
            waits = to.type != source.device.type and NAME in (to.type, source.device.type)
            waits = waits and not (late and to.type == NAME)
        elif func in INDEXED or func in PUT:
            masks = any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
            filled = func in PUT and args[2].numel() == 1  # a masked fill
            waits = bool(theirs) or (masks and not filled)
        elif func is aten.repeat_interleave.Tensor:
            waits = kwargs.get("output_size") is None
        if waits:
            self.waits[f"{_line()} {func.name().removeprefix('aten::')}"] += 1


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, OnDevice) else leaf


def _line() -> str:
    """The line of the package that is at work."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            return f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside of the package"


class Backend:
    """What torch asks of the module of a device."""

    there = False

    def is_available(self) -> bool:
        return self.there

    is_initialized = is_available

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        """Random numbers are those of the CPU."""

    def device_count(self) -> int:
        return int(self.there)

    def current_device(self) -> int:
        return 0

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


BACKEND = Backend()


@cache
def registered() -> list[torch.library.Library]:
    """Make the device known to torch, once per process; what this returns must be kept."""
    setup = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)
    if setup is None:
        pytest.skip("this torch takes no backend written in Python")

    class Hook(backend_registration._DummyPrivateUse1Hook):
        def is_available(self) -> bool:
            return BACKEND.there

    setup(NAME, backend_module=BACKEND, hook=Hook())
    every, library = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    every.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    key = torch._C.DispatchKey.AutocastPrivateUse1
    for name in ("linear", "mm", "addmm", "bmm", "matmul", "conv2d"):  # the products that autocast makes coarse
        library.impl(name, _coarse(getattr(aten, name), key), "AutocastPrivateUse1")
    return [every, library]


def _coarse(product: Any, key: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        dtype = torch.get_autocast_dtype(NAME)
        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(key)):
            given = tree_map(
                lambda leaf: leaf.to(dtype) if isinstance(leaf, Tensor) and leaf.dtype == torch.float32 else leaf, args
            )
            return product(*given, **kwargs)

    return call


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """The pretended device, there until the test ends."""
    registered()
    monkeypatch.setattr(BACKEND, "there", True)
    for step in ("__enter__", "__exit__"):
        monkeypatch.setattr(torch.inference_mode, step, getattr(torch.no_grad, step))
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=) makes it on the CPU, and then moves it
    try:
        with torch.autograd.set_multithreading_enabled(False), Pretended() as mode:  # no thread for the device
            yield mode
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        torch.__future__.set_swap_module_params_on_conversion(before)
