"""Reductions over neighbourhoods without edge values; this is the only place where backends differ."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn.checks import check_device, check_nodes, check_table, described
from toothgraph.nn.kernels.backend import choose_backend
from toothgraph.nn.kernels.bag_total import bag_total
from toothgraph.nn.kernels.compiled import compiled_max, compiled_total
from toothgraph.nn.kernels.cpu_max import carries_winner, running_max, winning_max
from toothgraph.nn.kernels.neighborhoods import Neighborhoods, _on_cpu, from_table, transformed
from toothgraph.nn.kernels.triton_ops import triton_reduce

_MAX = 2  # the mode of an embedding bag


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

    Example:
        >>> from toothgraph.nn.kernels.neighborhoods import from_edges
        >>> hood = from_edges(torch.tensor([[1, 2, 0], [0, 0, 1]]), num_nodes=3)  # of node 0: 1 and 2; of node 1: 0
        >>> reduce_neighbors(torch.tensor([[1.0], [5.0], [3.0]]), hood, "mean").flatten()
        tensor([4., 1., 0.])
    """
    if not isinstance(hood, Neighborhoods):
        raise ShapeError(f"expected Neighborhoods, got {described(hood)}; a table [k, N] goes to gather_max")
    if reduce not in ("max", "sum", "mean"):
        raise ConfigError(f"expected a reduction of max, sum or mean, got {reduce!r}")
    check_nodes(x, None)
    check_device(x, "x", neighbours=hood.source, ends=hood.ends)
    backend = choose_backend(x, backend)
    if backend == "triton":
        return triton_reduce(x, *hood, reduce)
    learns, traced = _learns(x), torch.compiler.is_compiling()
    if backend == "compiled" and (learns or not traced or not hood.fixed):
        return compiled_max(x, *hood) if reduce == "max" else compiled_total(x, *hood, reduce)
    if backend == "scatter" and (reduce != "max" or bool(x.isfinite().all())):  # its maximum drops NaN
        from torch_scatter import segment_csr

        return segment_csr(x[hood.source.reshape(-1)], hood.ends, reduce=reduce)
    if traced and hood.fixed:  # a compiler fuses this with the next operations
        near = x[hood.source]  # [N, k, C]
        return near.amax(dim=1) if reduce == "max" else getattr(near, reduce)(dim=1)
    if reduce != "max":
        return bag_total(x, hood, reduce)
    if hood.source.numel() == 0:
        return x.new_zeros(hood.ends.shape[0] - 1, x.shape[1]) + x[:0].sum()
    if _on_cpu(x):
        if learns:
            return winning_max(x, hood) if carries_winner(x) else _gathered_max(x, hood)
        return running_max(x, hood)
    if torch._C._are_functorch_transforms_active():  # torch.func does not support the gather of winners
        return _stacked_max(x, hood)
    if hood.fixed and not learns:
        return _row_by_row(x, hood, torch.maximum)
    if learns and x.device.type == "cuda" and torch.are_deterministic_algorithms_enabled():
        return repeatable_max(x, hood)
    return _gathered_max(x, hood)


def _learns(x: Tensor) -> bool:
    """Whether derivatives of ``x`` are needed, in the backward or the forward mode, or by ``torch.func``."""
    return (x.requires_grad and torch.is_grad_enabled()) or transformed()


def _gathered_max(x: Tensor, hood: Neighborhoods) -> Tensor:
    """The maximum as a gather of its winners, with the derivatives of the gather, of any order. NaN wins."""
    with torch.no_grad():
        big = torch.finfo(x.dtype).max
        found = x.detach().nan_to_num(nan=float("inf"), posinf=big, neginf=float("-inf"))
        source, ends = hood.source.reshape(-1).long(), hood.ends.long()
        winner = torch._embedding_bag(found, source, ends, False, _MAX, False, None, True)[3]  # [N, C]
    return x.gather(0, winner).masked_fill(hood.degree[:, None] == 0, 0.0)


def _stacked_max(x: Tensor, hood: Neighborhoods) -> Tensor:
    """The maximum over a stack [N, k, C] of neighbours, for transformations such as ``torch.func.jvp``."""
    if not hood.fixed:
        return _padded_max(x, _as_table(hood, x.shape[0]), _stacked_max)
    return x[hood.source].max(dim=1).values


def repeatable_max(x: Tensor, hood: Neighborhoods) -> Tensor:
    """The maximum over neighbours with a deterministic gradient on a GPU.

    The gradient of ``embedding_bag`` is not deterministic, and torch rejects it there. The first of equal values wins.
    Arguments and shapes are those of :func:`reduce_neighbors`.
    """
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
    """The neighbours of each node as a table [N, k], filled up with ``none``."""
    most = int(hood.degree.max()) if len(hood.degree) else 0
    bags = hood.source.new_full((len(hood.degree), max(most, 1)), none)
    bags[torch.arange(bags.shape[1], device=bags.device) < hood.degree[:, None]] = hood.source
    return bags


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
        padded: if true, index M means no neighbour, and a node without neighbours gets 0.
        backend: see :func:`choose_backend`.

    Returns:
        [N, C].

    Raises:
        ConfigError: for an unknown backend, or one that cannot be used here.
        ShapeError: for other shapes and, on a CPU, for neighbours that do not exist.

    Example:
        >>> x = torch.tensor([[1.0], [5.0], [3.0]])
        >>> gather_max(x, torch.tensor([[1, 2, 0], [2, 2, 1]])).flatten()  # node 0 has the neighbours 1 and 2
        tensor([5., 3., 5.])
    """
    check_nodes(x, None)
    check_table(neighbor_index, None, limit=x.shape[0] + padded)
    check_device(x, neighbor_index=neighbor_index)
    hood, backend = from_table(neighbor_index), choose_backend(x, backend)
    if padded and backend == "triton":
        return triton_reduce(x, *hood, "max", padded)
    if padded and backend == "compiled" and (_learns(x) or not torch.compiler.is_compiling()):
        return compiled_max(x, *hood, padded)
    if not padded:
        return reduce_neighbors(x, hood, "max", backend)
    if backend != "scatter" and hood.fixed:
        return _padded_max(x, hood.source)
    there = neighbor_index.t() < x.shape[0]  # [N, k]
    ends = F.pad(there.sum(dim=1).cumsum(0), (1, 0))
    return reduce_neighbors(x, Neighborhoods(neighbor_index.t()[there], ends, 0), "max", backend)
