"""Operations over all training processes: sums with gradients, and the statistics of batch norms.

Without a process group, or with one process, these functions change nothing. With several processes (each has the mean
loss of its own scans, and gradients are averaged over processes) the result is the same as with one process that has
all scans: gradients through a sum over processes are summed over processes, too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def world() -> int:
    """The number of processes that train together."""
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


class _Sum(torch.autograd.Function):
    """The sum over processes. The loss of every process depends on it, so gradients are summed, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(grad)
        return total


def summed(x: Tensor) -> Tensor:
    """The sum of a tensor over processes; same shape in all of them."""
    if world() == 1:
        return x
    total: Tensor = _Sum.apply(x)
    return total


def gathered(x: Tensor) -> Tensor:
    """The rows of all processes in process order: [P_r, …] in each to [Σ P_r, …] in all."""
    if world() == 1:
        return x
    sizes = torch.zeros(world(), dtype=torch.long, device=x.device)
    rank = torch.distributed.get_rank()
    sizes[rank] = len(x)
    torch.distributed.all_reduce(sizes)
    before, after = int(sizes[:rank].sum()), int(sizes[rank + 1 :].sum())
    return summed(torch.cat([x.new_zeros(before, *x.shape[1:]), x, x.new_zeros(after, *x.shape[1:])]))


def combined(mean: Tensor, var: Tensor, count: int) -> tuple[Tensor, Tensor, int]:
    """Mean and (biased) variance over the rows of all processes.

    Args:
        mean: [C] of the rows of this process.
        var: [C] of the rows of this process, biased.
        count: number of these rows.

    Returns:
        [C], [C] and the total number of rows.
    """
    if world() == 1:
        return mean, var, count
    total = torch.tensor(count, device=mean.device)
    torch.distributed.all_reduce(total)
    share = count / max(int(total), 1)
    everywhere = summed(share * mean)
    return everywhere, summed(share * (var + (mean - everywhere).square())), int(total)
