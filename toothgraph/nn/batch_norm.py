"""The running statistics of a batch norm whose batch is not at hand as a tensor."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def running(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Mean and variance that a batch norm has tracked."""
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var


@torch.no_grad()
def track(norm: nn.BatchNorm1d, mean: Tensor, var: Tensor, count: int) -> None:
    """Let them follow the mean and (biased) variance of ``count`` rows."""
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    share = 1.0 / norm.num_batches_tracked if norm.momentum is None else norm.momentum
    for tracked, new in zip(running(norm), (mean, var * count / max(count - 1, 1)), strict=True):
        tracked.lerp_(new.to(tracked.dtype), share)
