"""Reductions over neighbourhoods without building the edges: the one place where backends differ."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from toothgraph.errors import ConfigError
from toothgraph.nn.running_max import carries_winner, running_max, winning_max
from toothgraph.nn.triton_gather import triton_reduce

BACKENDS = ("native", "scatter", "triton")
_HAS_SCATTER = find_spec("torch_scatter") is not None
_HAS_TRITON = find_spec("triton") is not None
_INTERPRETED = os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "on", "yes", "y")  # kernels in Python
_log = logging.getLogger("toothgraph")
_process_wide = os.environ.get("TOOTHGRAPH_BACKEND") or "auto"


def choose_backend(x: Tensor, backend: str = "auto") -> str:
    """The backend that reduces over neighbours of ``x``.

    Args:
        x: the values; only their device matters.
        backend: ``native`` (torch alone), ``scatter`` (torch-scatter), ``triton``, or ``auto``: the one named by
            :func:`use_backend` or else by the environment variable ``TOOTHGRAPH_BACKEND``; without either, triton
            for CUDA tensors where it runs, else native. Triton adds gradients in an order that varies: under
            ``torch.use_deterministic_algorithms`` native is chosen.

    Raises:
        ConfigError: for an unknown backend, or one that cannot serve here, with the reason.
    """
    backend = _process_wide if backend == "auto" else backend
    if backend == "auto":
        fast = _HAS_TRITON and x.device.type == "cuda" and not torch.are_deterministic_algorithms_enabled()
        return "triton" if fast and (torch.compiler.is_compiling() or triton_runs(x.device)) else "native"
    if backend not in BACKENDS:
        raise ConfigError(f"expected a backend of auto, {', '.join(BACKENDS)}, got {backend!r}")
    if backend == "scatter" and not _HAS_SCATTER:
        raise ConfigError("the backend scatter needs torch-scatter: pip install toothgraph[scatter]")
    if backend == "triton" and not _HAS_TRITON:
        raise ConfigError("the backend triton needs triton, which comes with torch for CUDA: pip install triton")
    if backend == "triton" and x.device.type != "cuda" and not _INTERPRETED:
        raise ConfigError(f"the backend triton needs tensors on a CUDA device, got one on {x.device}")
    return backend


@cache
def triton_runs(device: torch.device) -> bool:
    """Whether Triton builds and runs a kernel on a device, tried once; it needs a C compiler, and a GPU it knows."""
    one = torch.zeros(1, 1, device=device)
    try:
        triton_reduce(one, *from_table(one.long()), "max")
    except Exception as error:  # whatever stands in Triton's way: torch alone does the same
        why = str(error).split("\n")[0]
        _log.warning("triton does not run on %s (%s); the layers use torch alone, which is slower", device, why)
        return False
    return True


@contextmanager
def use_backend(backend: str) -> Iterator[None]:
    """Within it, the backend of all layers in this process, their threads too; see :func:`choose_backend`."""
    global _process_wide
    before, _process_wide = _process_wide, backend
    try:
        yield
    finally:
        _process_wide = before


class Neighborhoods(NamedTuple):
    """Who the neighbours of each of N nodes are, as bags one after another.

    Attributes:
        source: [E] the neighbours, bag by bag; [N, k] where all nodes have k.
        ends: [N + 1] where each bag begins; the last entry is E.
        fixed: k where all nodes have as many, else 0.
    """

    source: Tensor
    ends: Tensor
    fixed: int

    @property
    def degree(self) -> Tensor:
        """[N] neighbours of each node."""
        return self.ends.diff()


def from_edges(edge_index: Tensor, num_nodes: int) -> Neighborhoods:
    """Neighbourhoods of a PyG ``edge_index`` [2, E] (source, target), in any order."""
    source, target = edge_index
    if not _in_order(target):
        target, order = target.sort(stable=True)
        source = source[order]
    degree = torch.zeros(num_nodes, dtype=torch.long, device=target.device)
    degree = degree.scatter_add(0, target, torch.ones_like(target))
    return Neighborhoods(source, F.pad(degree.cumsum(0), (1, 0)), 0)


def _on_cpu(x: Tensor) -> bool:
    """Whether values, not shapes alone, may decide how to go on, and results be written into given memory."""
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    return x.device.type == "cpu" and not traced


def _in_order(target: Tensor) -> bool:
    return _on_cpu(target) and bool((target[1:] >= target[:-1]).all())


def from_table(neighbor_index: Tensor) -> Neighborhoods:
    """Neighbourhoods of a table [k, N], which is viewed and not copied."""
    k, num_nodes = neighbor_index.shape
    ends = torch.arange(num_nodes + 1, device=neighbor_index.device) * k
    return Neighborhoods(neighbor_index.t() if k else neighbor_index.new_empty(0), ends, k)


def reduce_neighbors(x: Tensor, hood: Neighborhoods, reduce: str, backend: str = "auto") -> Tensor:
    """Maximum, sum or mean over each node's neighbours.

    Args:
        x: [M, C] values of the nodes that can be neighbours.
        hood: the neighbourhoods of N nodes.
        reduce: ``max``, ``sum`` or ``mean``.
        backend: see :func:`choose_backend`.

    Returns:
        [N, C]; 0 for a node without neighbours. The gradient of a maximum goes to one winner.

    Raises:
        ConfigError: for an unknown reduction or backend, or a backend that cannot serve here.
    """
    if reduce not in ("max", "sum", "mean"):
        raise ConfigError(f"expected a reduction of max, sum or mean, got {reduce!r}")
    backend = choose_backend(x, backend)
    if backend == "triton":
        return triton_reduce(x, *hood, reduce)
    if backend == "scatter":
        from torch_scatter import segment_csr

        return segment_csr(x[hood.source.reshape(-1)], hood.ends, reduce=reduce)
    learns = x.requires_grad and torch.is_grad_enabled()
    if reduce == "max" and _on_cpu(x):
        most = _max_on_cpu(x, hood)
        if most is not None:
            return most
    if reduce == "max" and learns and x.device.type == "cuda" and torch.are_deterministic_algorithms_enabled():
        return repeatable_max(x, hood)
    if not hood.fixed:
        return F.embedding_bag(hood.source, x, hood.ends, mode=reduce, include_last_offset=True)
    if reduce == "max" and not learns:
        return _row_by_row(x, hood, torch.maximum)
    return F.embedding_bag(hood.source, x, mode=reduce)


def repeatable_max(x: Tensor, hood: Neighborhoods) -> Tensor:
    """The maximum from operations whose gradient is the same from run to run on a GPU, which that of `embedding_bag`
    is not: there torch refuses it. Of equal values the first wins. Arguments as in :func:`reduce_neighbors`."""
    if not hood.fixed:
        return _padded_max(x, _as_table(hood, x.shape[0]), repeatable_max)
    return _row_by_row(x, hood, lambda most, other: torch.where((other > most) | other.isnan(), other, most))


def _row_by_row(x: Tensor, hood: Neighborhoods, larger: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The largest of the neighbours of a table, one row of it [N] after the other."""
    rows = hood.source.t()  # [k, N]
    out = x.index_select(0, rows[0])
    for row in rows[1:]:
        out = larger(out, x.index_select(0, row))
    return out


def _as_table(hood: Neighborhoods, none: int) -> Tensor:
    """[N, k] the neighbours of each node, filled with ``none``."""
    most = int(hood.degree.max()) if len(hood.degree) else 0
    bags = hood.source.new_full((len(hood.degree), max(most, 1)), none)
    bags[torch.arange(bags.shape[1], device=bags.device) < hood.degree[:, None]] = hood.source
    return bags


def _max_on_cpu(x: Tensor, hood: Neighborhoods) -> Tensor | None:
    """The maximum block by block; None for bags of very different sizes, and for float64 with a gradient."""
    learns = x.requires_grad and torch.is_grad_enabled()
    if learns and not carries_winner(x):
        return None
    if hood.fixed:
        return winning_max(x, hood.source) if learns else running_max(x, hood.source)
    most, nodes = int(hood.degree.max()) if len(hood.degree) else 0, len(hood.degree)
    if not 0 < most * nodes <= 2 * len(hood.source):
        return None
    return _padded_max(x, _as_table(hood, x.shape[0]))


def _native_max(x: Tensor, hood: Neighborhoods) -> Tensor:
    return reduce_neighbors(x, hood, "max", "native")


def _padded_max(x: Tensor, bags: Tensor, maximum: Callable[[Tensor, Neighborhoods], Tensor] = _native_max) -> Tensor:
    """Maximum over bags [N, k] in which M stands for no neighbour: as a row that never wins. 0 where all do."""
    alone = (bags == x.shape[0]).all(dim=1, keepdim=True)
    padded = F.pad(x, (0, 0, 0, 1), value=float("-inf"))
    return maximum(padded, from_table(bags.t())).masked_fill(alone, 0.0)


def gather_max(x: Tensor, neighbor_index: Tensor, padded: bool = False, backend: str = "auto") -> Tensor:
    """Per node and channel, the maximum over its neighbours in a table.

    Args:
        x: [M, C] values of the nodes that can be neighbours.
        neighbor_index: [k, N] neighbours of each node.
        padded: an index of M stands for no neighbour; a node that has none gets 0.
        backend: see :func:`choose_backend`.

    Returns:
        [N, C].

    Raises:
        ConfigError: for an unknown backend, or one that cannot serve here.
    """
    hood, backend = from_table(neighbor_index), choose_backend(x, backend)
    if not padded or backend == "triton":  # whose kernels leave out what is not in x
        return reduce_neighbors(x, hood, "max", backend)
    if backend == "native" and hood.fixed:
        return _padded_max(x, hood.source)
    there = neighbor_index.t() < x.shape[0]  # [N, k]
    ends = F.pad(there.sum(dim=1).cumsum(0), (1, 0))
    return reduce_neighbors(x, Neighborhoods(neighbor_index.t()[there], ends, 0), "max", backend)
