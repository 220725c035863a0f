"""Maximum over a fixed number of neighbours on a CPU: one neighbour of all nodes after another, block by block.

A block stays in the cache and its buffers serve all blocks: fresh memory costs more than what is computed in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_BLOCK = 1 << 21  # bytes
_INDEX = 8  # bytes
_ROW = (1 << 29) - 1  # the bits that a float64 has beyond those of a float32
_BEYOND = 2.0**1000  # stands for infinity, which must keep its bits; as a float32 it is infinite again
_ZERO = 2.0**-1000  # stands for 0, whose lowest bits a processor may flush; as a float32 it is 0 again


def running_max(x: Tensor, bags: Tensor) -> Tensor:
    """Maximum over bags [N, k] of rows of ``x`` [M, C], without a gradient."""
    out = x.new_empty(len(bags), x.shape[1])
    for block, best, _ in _maxima(x, bags):
        out[block] = best
    return out


def winning_max(x: Tensor, bags: Tensor) -> Tensor:
    """The same with a gradient, which goes to one winner.

    Which neighbour wins need not be looked for: the number of its row travels with the value, in the bits that a
    float64 has beyond those of a float32. So it is exact, and takes no more passes than the maximum itself.

    Args:
        x: [M, C] for which :func:`carries_winner`.
        bags: [N, k].
    """
    return _WinningMax.apply(x, bags)


def carries_winner(x: Tensor) -> bool:
    """Whether a value of ``x`` and the number of its row fit into a float64 together."""
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
    """Blocks of nodes whose rows of so many bytes stay in the cache."""
    size = max(1, _BLOCK // max(row_bytes, 1))
    return (slice(first, min(first + size, nodes)) for first in range(0, nodes, size))


def _maxima(x: Tensor, bags: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Per block of bags: which, their maxima, and a buffer of the same shape; the next block overwrites both."""
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
