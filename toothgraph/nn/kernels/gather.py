"""Reductions over neighbourhoods without edge values; this is the only place where backends differ."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn.checks import check_nodes, check_table, described
from toothgraph.nn.kernels.backend import choose_backend
from toothgraph.nn.kernels.cpu_max import carries_winner, running_max, winning_max
from toothgraph.nn.kernels.neighborhoods import Neighborhoods, _on_cpu, from_table
from toothgraph.nn.kernels.triton_ops import triton_reduce


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
        ConfigError: for an unknown reduction or backend, or a backend that cannot be used here.
        ShapeError: for a table in place of neighbourhoods.
    """
    if not isinstance(hood, Neighborhoods):
        raise ShapeError(f"expected Neighborhoods, got {described(hood)}; a table [k, N] goes to gather_max")
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
    """The maximum with a deterministic gradient on a GPU (the gradient of ``embedding_bag`` is not deterministic, and
    torch rejects it there). The first of equal values wins. Arguments and shapes as in :func:`reduce_neighbors`."""
    if not hood.fixed:
        return _padded_max(x, _as_table(hood, x.shape[0]), repeatable_max)
    return _row_by_row(x, hood, lambda most, other: torch.where((other > most) | other.isnan(), other, most))


def _row_by_row(x: Tensor, hood: Neighborhoods, larger: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The maximum [N, C] over the neighbours of a table, one table row [N] at a time."""
    rows = hood.source.t()  # [k, N]
    out = x.index_select(0, rows[0])
    for row in rows[1:]:
        out = larger(out, x.index_select(0, row))
    return out


def _as_table(hood: Neighborhoods, none: int) -> Tensor:
    """The neighbours of each node as a table [N, k], filled with ``none``."""
    most = int(hood.degree.max()) if len(hood.degree) else 0
    bags = hood.source.new_full((len(hood.degree), max(most, 1)), none)
    bags[torch.arange(bags.shape[1], device=bags.device) < hood.degree[:, None]] = hood.source
    return bags


def _max_on_cpu(x: Tensor, hood: Neighborhoods) -> Tensor | None:
    """The maximum, block by block; None for bags of very different sizes, or for float64 with a gradient."""
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
    """Maximum over bags [N, k]; index M means no neighbour (an added row of -inf). 0 for a node without neighbours."""
    alone = (bags == x.shape[0]).all(dim=1, keepdim=True)
    padded = F.pad(x, (0, 0, 0, 1), value=float("-inf"))
    return maximum(padded, from_table(bags.t())).masked_fill(alone, 0.0)


def gather_max(x: Tensor, neighbor_index: Tensor, padded: bool = False, backend: str = "auto") -> Tensor:
    """The maximum over the neighbours in a table, per node and channel.

    Args:
        x: [M, C] values of the nodes that can be neighbours.
        neighbor_index: [k, N] neighbours of each node.
        padded: index M means no neighbour; a node without neighbours gets 0.
        backend: see :func:`choose_backend`.

    Returns:
        [N, C].

    Raises:
        ConfigError: for an unknown backend, or one that cannot be used here.
        ShapeError: for other shapes and, on a CPU, neighbours that are not there.
    """
    check_nodes(x, None)
    check_table(neighbor_index, None, limit=len(x) + padded)
    hood, backend = from_table(neighbor_index), choose_backend(x, backend)
    if not padded or backend == "triton":  # Triton kernels ignore indices outside of x
        return reduce_neighbors(x, hood, "max", backend)
    if backend == "native" and hood.fixed:
        return _padded_max(x, hood.source)
    there = neighbor_index.t() < x.shape[0]  # [N, k]
    ends = F.pad(there.sum(dim=1).cumsum(0), (1, 0))
    return reduce_neighbors(x, Neighborhoods(neighbor_index.t()[there], ends, 0), "max", backend)
