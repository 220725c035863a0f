"""Choose the implementation of neighbourhood reductions: compiled for the CPU, torch only, torch-scatter or Triton."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from toothgraph.errors import ConfigError
from toothgraph.nn.checks import described
from toothgraph.nn.kernels.compiled import HAS_COMPILED, is_served
from toothgraph.nn.kernels.neighborhoods import exported, from_table, transformed
from toothgraph.nn.kernels.triton_ops import triton_reduce

BACKENDS = ("compiled", "native", "scatter", "triton")


_HAS_SCATTER = find_spec("torch_scatter") is not None


_HAS_TRITON = find_spec("triton") is not None


_INTERPRETED = os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "on", "yes", "y")  # Triton's interpreter


_log = logging.getLogger("toothgraph")


_process_wide = os.environ.get("TOOTHGRAPH_BACKEND") or "auto"


def choose_backend(x: Tensor, backend: str = "auto") -> str:
    """The backend for reductions over neighbours of ``x``.

    Args:
        x: the values; their device and dtype matter.
        backend: ``compiled`` (C++, for float32 and float64 on a CPU), ``native`` (torch only), ``scatter``
            (torch-scatter), ``triton`` or ``auto``. ``auto`` is the backend of :func:`use_backend`, else of the
            environment variable ``TOOTHGRAPH_BACKEND``. Without either, it is compiled where the package was installed
            with a C++ compiler, triton for CUDA tensors if Triton works, else native. Triton adds gradients in a
            varying order, so under ``torch.use_deterministic_algorithms`` it is native; compiled and Triton do not know
            the forward mode of automatic differentiation, or the transformations of ``torch.func``.

    Raises:
        ConfigError: for an unknown backend, or one that cannot be used here; the text is the reason.
    """
    backend = _process_wide if backend == "auto" else backend
    if backend == "auto":
        if is_served(x) and not transformed() and not exported():
            return "compiled"
        fast = _HAS_TRITON and x.device.type == "cuda" and not torch.are_deterministic_algorithms_enabled()
        fast = fast and not transformed()
        return "triton" if fast and (torch.compiler.is_compiling() or triton_runs(x.device)) else "native"
    if backend not in BACKENDS:
        raise ConfigError(f"expected a backend of auto, {', '.join(BACKENDS)}, got {backend!r}")
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
        raise ConfigError("the backend scatter needs torch-scatter: pip install toothgraph[scatter]")
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


@cache
def triton_runs(device: torch.device) -> bool:
    """Whether Triton compiles and runs a kernel on a device, tested once. It needs a C compiler and a supported GPU."""
    one = torch.zeros(1, 1, device=device)
    try:
        triton_reduce(one, *from_table(one.long()), "max")
    except Exception as error:  # for any reason: torch only gives the same result
        why = str(error).split("\n")[0]
        _log.warning("triton does not run on %s (%s); the layers use torch only, which is slower", device, why)
        return False
    return True


@contextmanager
def use_backend(backend: str) -> Iterator[None]:
    """A context in which all layers of this process (all threads) use a backend; see :func:`choose_backend`."""
    global _process_wide
    before, _process_wide = _process_wide, backend
    try:
        yield
    finally:
        _process_wide = before
