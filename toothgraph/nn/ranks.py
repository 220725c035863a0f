"""What several processes that train one net must do together: sums with gradients, and the moments of batch norms.

Without a process group, or with one process, nothing here does anything. With W processes that have the mean of their
own losses as loss, and gradients averaged over processes, all of it is the mathematics of one process that has all
scans: what flows back through a sum over processes is summed over them, too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from toothgraph.nn.batch_norm import track


def world() -> int:
    """How many processes train together."""
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


class _Sum(torch.autograd.Function):
    """The sum over processes; every process's loss depends on it, so gradients are summed as well."""

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
    """The sum over processes of a tensor of one shape."""
    if world() == 1:
        return x
    total: Tensor = _Sum.apply(x)
    return total


def gathered(x: Tensor) -> Tensor:
    """The rows of all processes, in their order: [P_r, …] each to [Σ P_r, …]."""
    if world() == 1:
        return x
    sizes = torch.zeros(world(), dtype=torch.long, device=x.device)
    rank = torch.distributed.get_rank()
    sizes[rank] = len(x)
    torch.distributed.all_reduce(sizes)
    before, after = int(sizes[:rank].sum()), int(sizes[rank + 1 :].sum())
    return summed(torch.cat([x.new_zeros(before, *x.shape[1:]), x, x.new_zeros(after, *x.shape[1:])]))


def combined(mean: Tensor, var: Tensor, count: int) -> tuple[Tensor, Tensor, int]:
    """Mean and (biased) variance over the rows of all processes, from those of each.

    Args:
        mean: [C].
        var: [C].
        count: rows they are of.

    Returns:
        [C], [C] and the number of all rows.
    """
    if world() == 1:
        return mean, var, count
    total = torch.tensor(count, device=mean.device)
    torch.distributed.all_reduce(total)
    share = count / max(int(total), 1)
    everywhere = summed(share * mean)
    return everywhere, summed(share * (var + (mean - everywhere).square())), int(total)


def batch_norm(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """A batch norm in training over the rows [N, C] of all processes."""
    var, mean = torch.var_mean(x, dim=0, unbiased=False) if len(x) else (x.sum(0), x.sum(0))
    mean, var, count = combined(mean, var, len(x))
    track(norm, mean, var, count)
    out = (x - mean) * torch.rsqrt(var + norm.eps)
    return out if norm.weight is None else out * norm.weight + norm.bias
