"""Choose the implementation of neighbourhood reductions: compiled for the CPU, torch only, torch-scatter or Triton."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from toothgraph.errors import ConfigError, has_extra, needs_extra
from toothgraph.nn.checks import described
from toothgraph.nn.kernels.compiled import HAS_COMPILED, is_served
from toothgraph.nn.kernels.neighborhoods import exported, from_table, transformed
from toothgraph.nn.kernels.triton_ops import triton_reduce

BACKENDS = ("compiled", "native", "scatter", "triton")


_HAS_SCATTER = has_extra("scatter")


_HAS_TRITON = find_spec("triton") is not None


_INTERPRETED = os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "on", "yes", "y")  # Triton's interpreter


_log = logging.getLogger("toothgraph")


@dataclass
class _Triton:
    """Triton in this process: devices where it runs, inputs for which it failed, reasons that were logged."""

    runs: set[torch.device] = field(default_factory=set)
    failed: set[tuple[Any, ...]] = field(default_factory=set)
    told: set[str] = field(default_factory=set)


_triton = _Triton()


_process_wide = os.environ.get("TOOTHGRAPH_BACKEND") or "auto"


def choose_backend(x: Tensor, backend: str = "auto") -> str:
    """The backend for reductions over neighbours of ``x``.

    ``auto`` is the backend of :func:`use_backend`, else of the environment variable ``TOOTHGRAPH_BACKEND``. Without
    both, ``auto`` is

    - ``compiled`` for float32 and float64 on a CPU, if the package was installed with a C++ compiler, but not while
      ``torch.export`` traces the code;
    - ``triton`` for CUDA tensors, if Triton works, but not under ``torch.use_deterministic_algorithms``, because Triton
      adds gradients in a varying order;
    - ``native`` in all other cases.

    ``compiled`` and ``triton`` have no forward-mode derivatives and no transformations of ``torch.func``; for these,
    ``auto`` is ``native``.

    Args:
        x: the values. Their device and dtype matter and, for Triton, the number of channels.
        backend: ``compiled`` (C++), ``native`` (torch only), ``scatter`` (torch-scatter), ``triton`` or ``auto``.

    Raises:
        ConfigError: for an unknown backend, or one that cannot be used here; the message gives the reason.

    Example:
        >>> choose_backend(torch.rand(4, 8), "native")
        'native'
        >>> choose_backend(torch.rand(4, 8, dtype=torch.float16))  # the compiled one does not know this type
        'native'
    """
    backend = _process_wide if backend == "auto" else backend
    if backend == "auto":
        if is_served(x) and not transformed() and not exported():
            return "compiled"
        fast = _HAS_TRITON and x.device.type == "cuda" and not torch.are_deterministic_algorithms_enabled()
        fast = fast and not transformed()
        return "triton" if fast and (torch.compiler.is_compiling() or triton_runs(x)) else "native"
    _check_name(backend)
    if backend == "compiled" and not HAS_COMPILED:
        raise ConfigError(
            "the backend compiled is built when the package is installed on Linux with a C++ compiler (g++), and was "
            "not; install the package again"
        )
    if backend == "compiled" and (not is_served(x) or transformed()):
        raise ConfigError(
            "the backend compiled needs float32 or float64 on a CPU, and knows no forward-mode derivatives and no "
            f"transformations of torch.func; got {described(x)} on {x.device}; use the backend native"
        )
    if backend == "scatter" and not _HAS_SCATTER:
        raise ConfigError(needs_extra("the backend scatter", "scatter"))
    if backend == "triton" and not _HAS_TRITON:
        raise ConfigError("the backend triton needs triton, which comes with torch for CUDA: pip install triton")
    if backend == "triton" and x.device.type != "cuda" and not _INTERPRETED:
        raise ConfigError(f"the backend triton needs tensors on a CUDA device, got one on {x.device}")
    if backend == "triton" and transformed():
        raise ConfigError(
            "the backend triton has no forward-mode derivatives and no transformations of torch.func; use the backend "
            "native for them"
        )
    return backend


def triton_runs(x: Tensor) -> bool:
    """Whether Triton compiles and runs a kernel for tensors like ``x``; it needs a C compiler and a supported GPU.

    Once Triton has run on a device, it is not tested there again. After a failure, it is tested again for another
    number of channels or another dtype; if memory was short, it is tested again in the next call. Each reason is logged
    once.
    """
    device, kind = x.device, (x.device, x.dtype, x.shape[1:])
    if device in _triton.runs or kind in _triton.failed:
        return device in _triton.runs
    try:
        some = torch.zeros(1, *x.shape[1:], dtype=x.dtype, device=device)
        triton_reduce(some, *from_table(torch.zeros(1, 1, dtype=torch.long, device=device)), "max")
    except Exception as error:  # whatever the reason, the native backend gives the same result
        why = str(error).split("\n")[0]
        if not isinstance(error, torch.OutOfMemoryError):
            _triton.failed.add(kind)
        if why not in _triton.told:
            _triton.told.add(why)
            _log.warning("triton does not run on %s (%s); the layers use torch only, which is slower", device, why)
        return False
    _triton.runs.add(device)
    return True


def use_backend(backend: str) -> AbstractContextManager[None]:
    """A context in which all layers of this process, in all threads, use ``backend``.

    Args:
        backend: see :func:`choose_backend`; ``auto`` chooses as if none was set.

    Raises:
        ConfigError: for an unknown backend, at once. For a backend that cannot be used here, the layers raise it.

    Example:
        >>> from toothgraph.nn import choose_backend
        >>> with use_backend("native"):
        ...     choose_backend(torch.rand(4, 3))
        'native'
    """
    _check_name(backend)
    return _used(backend)


@contextmanager
def _used(backend: str) -> Iterator[None]:
    global _process_wide
    before, _process_wide = _process_wide, backend
    try:
        yield
    finally:
        _process_wide = before


def _check_name(backend: str) -> None:
    if backend != "auto" and backend not in BACKENDS:
        raise ConfigError(f"expected a backend of auto, {', '.join(BACKENDS)}, got {backend!r}")
