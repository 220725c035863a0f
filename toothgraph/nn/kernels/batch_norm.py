"""Batch norms over the rows of all processes, and their running statistics from mean and variance."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toothgraph.nn.distributed import combined, world


class NodeNorm(nn.BatchNorm1d):
    """Batch norm over the rows [N, C] of all processes that train together.

    See :func:`toothgraph.nn.distributed.trained_together`. With one process, a single row has no statistics, so the
    running statistics are used.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and world() > 1:
            return batch_norm(x, self)
        if self.training and x.shape[0] < 2:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


def running(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Running mean and variance of a batch norm, [C] each."""
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var


@torch.no_grad()
def track(norm: nn.BatchNorm1d, mean: Tensor, var: Tensor, count: int) -> None:
    """Update the running statistics with mean and (biased) variance [C] of ``count`` rows; 0 rows leave them."""
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    if count == 0:
        return
    share = 1.0 / norm.num_batches_tracked if norm.momentum is None else norm.momentum
    for tracked, new in zip(running(norm), (mean, var * count / max(count - 1, 1)), strict=True):
        tracked.lerp_(new.to(tracked.dtype), share)


def batch_norm(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Apply a batch norm in training mode to rows [N, C], with statistics over all processes."""
    var, mean = torch.var_mean(x, dim=0, unbiased=False) if len(x) else (x.sum(0), x.sum(0))
    mean, var, count = combined(mean, var, len(x), norm)
    track(norm, mean, var, count)
    out = (x - mean) * torch.rsqrt(var + norm.eps)
    return out if norm.weight is None else out * norm.weight + norm.bias
