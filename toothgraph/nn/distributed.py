"""Operations over all training processes: sums with gradients, and the statistics of batch norms.

These functions change nothing outside of :func:`trained_together` (except for ``SyncBatchNorm``), without a process
group, or with one process. With several processes, each computes the mean loss of its own scans, and gradients are
averaged over processes. The result is the same as with one process that has all scans, because gradients through a sum
over processes are summed over processes, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_together = False


@contextmanager
def trained_together() -> Iterator[None]:
    """A context in which batch norms of this package use the statistics of all processes.

    ``toothgraph`` trains its nets in this context. Outside of it, as in a program of your own with
    ``DistributedDataParallel``, each process uses its own statistics, as batch norms of torch do, and may call a net
    alone. A norm that ``torch.nn.SyncBatchNorm.convert_sync_batchnorm`` has converted always uses the statistics of all
    processes.

    Example:
        >>> with trained_together():
        ...     world()  # of one process
        1
    """
    global _together
    before, _together = _together, True
    try:
        yield
    finally:
        _together = before


def world(norm: nn.Module | None = None) -> int:
    """The number of processes that train together, or that share the statistics of ``norm``."""
    distributed = torch.distributed
    asked = _together or isinstance(norm, nn.SyncBatchNorm)
    return distributed.get_world_size() if asked and distributed.is_available() and distributed.is_initialized() else 1


class _Sum(torch.autograd.Function):
    """The sum over processes. The loss of every process depends on this sum, so gradients are summed, too."""

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
    """The rows of all processes, in the order of processes: [P_r, …] in process r to [Σ P_r, …] in all."""
    if world() == 1:
        return x
    sizes = torch.zeros(world(), dtype=torch.long, device=x.device)
    rank = torch.distributed.get_rank()
    sizes[rank] = len(x)
    torch.distributed.all_reduce(sizes)
    before, after = int(sizes[:rank].sum()), int(sizes[rank + 1 :].sum())
    return summed(torch.cat([x.new_zeros(before, *x.shape[1:]), x, x.new_zeros(after, *x.shape[1:])]))


def combined(mean: Tensor, var: Tensor, count: int, norm: nn.Module | None = None) -> tuple[Tensor, Tensor, int]:
    """Mean and (biased) variance over the rows of all processes.

    Args:
        mean: [C] of the rows of this process.
        var: [C] of the rows of this process, biased.
        count: number of these rows; may be 0.
        norm: the batch norm that uses the statistics.

    Returns:
        Mean [C], variance [C] and the number of rows of all processes.
    """
    if world(norm) == 1:
        return mean, var, count
    total = torch.tensor(count, device=mean.device)
    torch.distributed.all_reduce(total)
    share = count / max(int(total), 1)
    everywhere: Tensor = _Sum.apply(share * mean)
    return everywhere, _Sum.apply(share * (var + (mean - everywhere).square())), int(total)
