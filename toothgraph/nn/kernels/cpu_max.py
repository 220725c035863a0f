"""Maximum over a fixed number of neighbours on a CPU: block by block, one neighbour of all nodes at a time.

A block stays in the cache, and all blocks use the same buffers: new memory takes longer than the computation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_BLOCK = 1 << 21  # bytes
_INDEX = 8  # bytes
_ROW = (1 << 29) - 1  # the extra mantissa bits of a float64, compared with a float32
_BEYOND = 2.0**1000  # replaces infinity, whose bits must not change; as a float32 it is infinite again
_ZERO = 2.0**-1000  # replaces 0, because a processor may flush its low bits; as a float32 it is 0 again


def running_max(x: Tensor, bags: Tensor) -> Tensor:
    """Maximum over bags [N, k] of rows of ``x`` [M, C], without a gradient."""
    out = x.new_empty(len(bags), x.shape[1])
    for block, best, _ in _maxima(x, bags):
        out[block] = best
    return out


def winning_max(x: Tensor, bags: Tensor) -> Tensor:
    """The same with a gradient, which goes to one winner.

    No search for the winner is needed: the row number is stored with the value, in the extra mantissa bits of a
    float64. This is exact and needs no further passes.

    Args:
        x: [M, C]; :func:`carries_winner` must be true.
        bags: [N, k].

    Returns:
        [N, C].
    """
    return _WinningMax.apply(x, bags)


def carries_winner(x: Tensor) -> bool:
    """Whether a value of ``x`` [M, C] and its row number fit together into a float64."""
    return x.dtype in (torch.float32, torch.float16, torch.bfloat16) and x.shape[0] <= _ROW


class _WinningMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bags: Tensor) -> Tensor:
        packed = x.new_empty(x.shape, dtype=torch.float64)
        rows = torch.arange(len(x), device=x.device)[:, None]
        for block in _slices(len(x), packed.element_size() * x.shape[1]):
            part = packed[block].copy_(x[block]).clamp_(-_BEYOND, _BEYOND)
            part.masked_fill_(part == 0, _ZERO).view(torch.int64).bitwise_or_(rows[block])
        out = x.new_empty(len(bags), x.shape[1])
        winner = torch.empty_like(out, dtype=torch.int32)
        for block, best, spare in _maxima(packed, bags):
            bits, row = best.view(torch.int64), spare.view(torch.int64)
            winner[block] = torch.bitwise_and(bits, _ROW, out=row).clamp_(max=len(x) - 1)  # NaN may set all bits
            bits.bitwise_and_(~_ROW)
            out[block] = best
        ctx.save_for_backward(winner)
        ctx.rows = len(x)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (winner,) = ctx.saved_tensors
        grad_x = grad.new_zeros(ctx.rows, grad.shape[1])
        for block in _slices(len(grad), _INDEX * grad.shape[1]):
            grad_x.scatter_add_(0, winner[block].long(), grad[block])
        return grad_x, None


def _slices(nodes: int, row_bytes: int) -> Iterator[slice]:
    """Blocks of nodes; the rows of one block (``row_bytes`` each) stay in the cache."""
    size = max(1, _BLOCK // max(row_bytes, 1))
    return (slice(first, min(first + size, nodes)) for first in range(0, nodes, size))


def _maxima(x: Tensor, bags: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Per block of bags: its slice, its maxima, and a buffer of the same shape; the next block overwrites both."""
    buffers = None
    for block in _slices(len(bags), x.element_size() * x.shape[1]):
        near = bags[block].t()  # [k, B]
        if buffers is None:  # the first block is the largest
            buffers = x.new_empty(2, near.shape[1], x.shape[1])
        best, spare = buffers[:, : near.shape[1]]
        torch.index_select(x, 0, near[0], out=best)
        for row in near[1:]:
            torch.maximum(best, torch.index_select(x, 0, row, out=spare), out=best)
        yield block, best, spare
