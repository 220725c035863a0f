"""Maximum over neighbours on a CPU: block by block, one neighbour of all nodes of a block at a time.

A block stays in the cache. All blocks use the same buffers, because new memory takes longer than the computation. If
nodes have different numbers of neighbours, the nodes with most neighbours come first, so that each pass takes the first
nodes of a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from toothgraph.nn.kernels.neighborhoods import Neighborhoods

_BLOCK = 1 << 21  # bytes
_INDEX = 8  # bytes
_ROW = (1 << 29) - 1  # the extra mantissa bits of a float64, compared with a float32
_BEYOND = 2.0**1000  # replaces infinity, whose bits must not change; as a float32 it is infinite again
_ZERO = 2.0**-1000  # replaces 0, because a processor may flush its low bits; as a float32 it is 0 again
_ALONE = 4  # with more passes left than this per node, each node takes its other neighbours at once


def running_max(x: Tensor, hood: Neighborhoods) -> Tensor:
    """Maximum of the rows of ``x`` [M, C] over neighbours, without a gradient: [N, C]. NaN wins over all numbers."""
    order = _by_degree(hood)
    if order is None:
        out = x.new_empty(len(hood.source), x.shape[1])
        for block, best, _ in _maxima(x, hood, None):
            out[block] = best
        return out
    out = x.new_zeros(len(hood.ends) - 1, x.shape[1])
    for block, best, _ in _maxima(x, hood, order):
        out.index_copy_(0, order[block], best)
    return out


def winning_max(x: Tensor, hood: Neighborhoods) -> Tensor:
    """Maximum over neighbours with a gradient, which goes to one winner and can be differentiated again.

    Each value is stored with its row number, in the extra mantissa bits of a float64. This is exact, and no search for
    the winner is needed.

    Args:
        x: [M, C]; :func:`carries_winner` must be true.
        hood: the neighbourhoods of N nodes.

    Returns:
        [N, C]; 0 for a node without neighbours.
    """
    return _WinningMax.apply(x, *hood)


def carries_winner(x: Tensor) -> bool:
    """Whether all values of ``x`` [M, C] fit into a float64 together with their row numbers; NaN does not."""
    if x.dtype not in (torch.float32, torch.float16, torch.bfloat16) or x.shape[0] > _ROW:
        return False
    return not bool(x.detach().sum(dtype=torch.float32).isnan())  # NaN if there is a NaN, or infinities of both signs


class _WinningMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, ends: Tensor, fixed: int) -> Tensor:
        hood = Neighborhoods(source, ends, fixed)
        packed = x.new_empty(x.shape, dtype=torch.float64)
        rows = torch.arange(len(x), device=x.device)[:, None]
        for block in _slices(len(x), packed.element_size() * x.shape[1]):
            part = packed[block].copy_(x[block]).clamp_(-_BEYOND, _BEYOND)
            part.masked_fill_(part == 0, _ZERO).view(torch.int64).bitwise_or_(rows[block])
        order = _by_degree(hood)
        nodes = len(ends) - 1
        out = x.new_empty(nodes, x.shape[1]) if order is None else x.new_zeros(nodes, x.shape[1])
        winner = torch.empty(nodes if order is None else len(order), x.shape[1], dtype=torch.int32)
        for block, best, spare in _maxima(packed, hood, order):
            bits, row = best.view(torch.int64), spare.view(torch.int64)
            winner[block] = torch.bitwise_and(bits, _ROW, out=row)
            bits.bitwise_and_(~_ROW)
            if order is None:
                out[block] = best
            else:
                out.index_copy_(0, order[block], best.to(x.dtype))
        ctx.save_for_backward(winner, order)
        ctx.save_for_forward(winner, order)
        ctx.rows, ctx.nodes = len(x), nodes
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        winner, order = ctx.saved_tensors
        grad_x = grad.new_zeros(ctx.rows, grad.shape[1])
        for block in _slices(len(winner), _INDEX * grad.shape[1]):
            part = grad[block] if order is None else grad.index_select(0, order[block])
            grad_x.scatter_add_(0, winner[block].long(), part)
        return grad_x, None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        winner, order = ctx.saved_tensors
        won = tangent.gather(0, winner.long())
        return won if order is None else won.new_zeros(ctx.nodes, won.shape[1]).index_copy(0, order, won)


def _slices(nodes: int, row_bytes: int) -> Iterator[slice]:
    """Blocks of nodes; the rows of one block (``row_bytes`` each) stay in the cache."""
    size = _rows(row_bytes)
    return (slice(first, min(first + size, nodes)) for first in range(0, nodes, size))


def _rows(row_bytes: int) -> int:
    return max(1, _BLOCK // max(row_bytes, 1))


def _by_degree(hood: Neighborhoods) -> Tensor | None:
    """The nodes with neighbours [A], most neighbours first; None if all nodes have the same number."""
    if hood.fixed:
        return None
    degree, order = hood.degree.sort(descending=True, stable=True)
    return order[: int((degree > 0).sum())]


def _maxima(x: Tensor, hood: Neighborhoods, order: Tensor | None) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Per block of nodes: its slice (of ``order``), its maxima, and a buffer of the same shape.

    The next block overwrites the maxima and the buffer.
    """
    buffers = None
    row_bytes = x.element_size() * x.shape[1]
    for block in _slices(len(hood.source) if order is None else len(order), row_bytes):
        passes, rest = (hood.source[block].t(), []) if order is None else _passes(hood, order[block], _rows(row_bytes))
        if buffers is None:  # the first block is the largest
            buffers = x.new_empty(2, len(passes[0]), x.shape[1])
        best, spare = buffers[:, : len(passes[0])]
        torch.index_select(x, 0, passes[0], out=best)
        for near in passes[1:]:
            most, other = (best, spare) if len(near) == len(best) else (best[: len(near)], spare[: len(near)])
            torch.maximum(most, torch.index_select(x, 0, near, out=other), out=most)
        for node, near in rest:
            torch.maximum(best[node], x.index_select(0, near).amax(dim=0), out=best[node])
        yield block, best, spare


def _passes(hood: Neighborhoods, nodes: Tensor, rows: int) -> tuple[list[Tensor], list[tuple[int, Tensor]]]:
    """The passes over the neighbours of ``nodes``, which are sorted by falling degree, and the neighbours left over.

    Pass j contains neighbour j of all nodes that have more than j neighbours. If a few nodes have far more neighbours
    than all others, the passes end, and their other neighbours are left over: (number of the node in the block, some of
    its neighbours), at most ``rows`` neighbours at a time.
    """
    start, end = hood.ends[nodes], hood.ends[nodes + 1]
    longer = (len(nodes) - torch.bincount(end - start).cumsum(0)).tolist()  # per j: nodes with more than j
    passes: list[Tensor] = []
    for j, count in enumerate(longer[:-1]):
        if j and len(longer) - 1 - j > _ALONE * count:
            bounds = zip((start[:count] + j).tolist(), end[:count].tolist(), strict=True)
            parts = ((node, hood.source[first:last].split(rows)) for node, (first, last) in enumerate(bounds))
            return passes, [(node, part) for node, each in parts for part in each]
        passes.append(hood.source[start[:count] + j])
    return passes, []
