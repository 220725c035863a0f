"""Batch norm, Mish and the next linear layer in one step that keeps a single tensor for the backward pass.

As separate modules the three keep the input of each: z, the normalised z, and its Mish. All follow from z, one
element at a time, so the backward pass computes them again, a block of rows after another: on edges, where memory
is what is scarce, a third of it, and less time than the memory takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ROWS = 8192  # of a block on a CPU, which then stays in the cache


class _NormMishLinear(torch.autograd.Function):
    """Mish(z·s + t) Wᵀ with s = weight·rstd and t = bias − mean·s; without W the Mish alone."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor, linear: Tensor | None, own: bool
    ) -> Tensor:
        ctx.save_for_backward(z, weight, bias, mean, rstd, *([] if linear is None else [linear]))
        ctx.own = own  # mean and rstd are those of z, so they depend on it
        scale = weight * rstd
        shift = bias - mean * scale
        out = torch.empty_like(z) if linear is None else z.new_empty(len(z), len(linear))
        for rows in _blocks(z):
            mish = F.mish(torch.addcmul(shift, z[rows], scale), inplace=True)
            if linear is None:
                out[rows] = mish
            else:
                torch.mm(mish, linear.t(), out=out[rows])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, bias, mean, rstd, *rest = ctx.saved_tensors
        linear = rest[0] if rest else None
        grad = grads[0]
        scale = weight * rstd
        shift = bias - mean * scale
        inner = torch.empty_like(z)  # gradient of the normalised z, then of z
        grad_weight, grad_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        grad_linear = None if linear is None else torch.zeros_like(linear)
        for rows in _blocks(z):
            normal = torch.addcmul(shift, z[rows], scale)
            outer = grad[rows]
            if linear is not None and grad_linear is not None:
                grad_linear.addmm_(outer.t(), F.mish(normal))
                outer = outer @ linear
            inner[rows] = torch.ops.aten.mish_backward(outer, normal)
            grad_bias += inner[rows].sum(0)
            grad_weight += (inner[rows] * (z[rows] - mean)).sum(0) * rstd
        for rows in _blocks(z):
            if ctx.own:  # batch norm's own: less the share that goes through mean and variance
                along = torch.addcmul(grad_bias, z[rows] - mean, rstd * grad_weight)
                inner[rows].sub_(along, alpha=1 / len(z))
            inner[rows].mul_(scale)
        return inner, grad_weight, grad_bias, None, None, grad_linear, None


def _blocks(z: Tensor) -> Iterator[slice]:
    size = _ROWS if z.device.type == "cpu" else max(len(z), 1)
    return (slice(first, first + size) for first in range(0, len(z), size))


def norm_mish_linear(z: Tensor, norm: nn.BatchNorm1d, linear: nn.Linear | None) -> Tensor:
    """``linear(mish(norm(z)))``, or ``mish(norm(z))``, with the same values, gradients and running statistics.

    Args:
        z: [E, C].
        norm: over C, in training or evaluation mode.
        linear: C to C', without bias; None for none.

    Returns:
        [E, C'] or [E, C].
    """
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None and var is not None and norm.num_batches_tracked is not None
    if norm.training:
        tracked = mean, var
        var, mean = torch.var_mean(z.detach(), dim=0, correction=0)
        momentum, count = 0.1 if norm.momentum is None else norm.momentum, len(z)
        tracked[0].lerp_(mean, momentum)
        tracked[1].lerp_(var * (count / max(count - 1, 1)), momentum)
        norm.num_batches_tracked.add_(1)
    weight = None if linear is None else linear.weight
    rstd = torch.rsqrt(var + norm.eps)
    return _NormMishLinear.apply(z, norm.weight, norm.bias, mean, rstd, weight, norm.training)
