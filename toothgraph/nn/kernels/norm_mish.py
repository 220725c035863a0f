"""Batch norm, Mish and the next linear layer in one step; only one tensor is kept for the backward pass.

Three separate modules keep three inputs: z, the normalised z, and its Mish. All of them follow from z, so the backward
pass computes them again in blocks of rows and reuses a few buffers. For edge values, this needs a third of the memory,
and less time than the memory accesses that it saves.

With e = exp(y), tanh(softplus(y)) = e(e + 2) / (e(e + 2) + 2): Mish and its derivative need one exponential.

Mish: Misra, BMVC 2020, https://arxiv.org/abs/1908.08681
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toothgraph.nn.distributed import world
from toothgraph.nn.kernels.again import plain_gradients
from toothgraph.nn.kernels.batch_norm import batch_norm, running, track
from toothgraph.nn.kernels.precision import full_precision

_CPU_BLOCK, _GPU_BLOCK = 1 << 17, 1 << 24  # numbers per block: fits the CPU cache; uses a GPU fully


def _linear_from(y: Tensor) -> float:
    """Above this value, Mish is the identity up to rounding; the square of the exponential does not overflow here."""
    return 5.0 if y.dtype == torch.float16 else 20.0


class _NormMishLinear(torch.autograd.Function):
    """Mish(z·s + t) Wᵀ with s = weight·rstd and t = bias − mean·s; without W only the Mish."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor, linear: Tensor | None, own: bool,
        eps: float,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(z, weight, bias, mean, rstd, *([] if linear is None else [linear]))
        ctx.own, ctx.eps = own, eps  # whether mean and rstd are computed from z
        scale = weight * rstd
        shift = bias - mean * scale
        out = torch.empty_like(z) if linear is None else z.new_empty(len(z), len(linear))
        for rows, y, gate, *spare in _blocks(z, 4):
            torch.addcmul(shift, z[rows], scale, out=y)
            _gate(y, gate, *spare)
            if linear is None:
                torch.mul(y, gate, out=out[rows])
            else:
                torch.mm(y.mul_(gate), linear.t(), out=out[rows])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # to be differentiated again
            return _NormMishLinear._plain_backward(ctx, grad)
        with full_precision(grad):
            return _NormMishLinear._backward(ctx, grad)

    @staticmethod
    def _plain_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, bias, mean, rstd, *rest = ctx.saved_tensors

        def plain(z: Tensor, weight: Tensor, bias: Tensor, linear: Tensor | None) -> Tensor:
            if ctx.own:
                y = F.batch_norm(z, None, None, weight, bias, True, 0.0, ctx.eps)
            else:
                y = (z - mean) * rstd * weight + bias
            return F.mish(y) if linear is None else F.linear(F.mish(y), linear)

        found = plain_gradients(plain, (z, weight, bias, rest[0] if rest else None), grad)
        return *found[:3], None, None, found[3], None, None

    @staticmethod
    def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, bias, mean, rstd, *rest = ctx.saved_tensors
        linear = rest[0] if rest else None
        scale = weight * rstd
        shift = bias - mean * scale
        inner = torch.empty_like(z)  # gradient of the normalised z, then of z
        grad_weight, grad_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        grad_linear = None if linear is None else torch.zeros_like(linear)
        for rows, y, gate, slope, spare in _blocks(z, 4):
            torch.addcmul(shift, z[rows], scale, out=y)
            _gate(y, gate, slope, spare)
            _slope(y, gate, slope, spare)
            outer = grad[rows]
            if linear is not None and grad_linear is not None:
                grad_linear.addmm_(outer.t(), y.mul_(gate))
                outer = torch.mm(outer, linear, out=spare)
            torch.mul(slope, outer, out=inner[rows])
            grad_bias += inner[rows].sum(0)
            grad_weight += torch.sub(z[rows], mean, out=y).mul_(inner[rows]).sum(0)
        grad_weight *= rstd
        if not ctx.own:
            return inner.mul_(scale), grad_weight, grad_bias, None, None, grad_linear, None, None
        # Batch norm in training: subtract the gradients through mean and variance.
        constant, along = -scale * grad_bias / len(z), -scale * rstd * grad_weight / len(z)
        for rows, y, spare in _blocks(z, 2):
            torch.addcmul(constant, torch.sub(z[rows], mean, out=y), along, out=spare)
            torch.addcmul(spare, inner[rows], scale, out=inner[rows])
        return inner, grad_weight, grad_bias, None, None, grad_linear, None, None


def _gate(y: Tensor, gate: Tensor, exp: Tensor, below: Tensor) -> None:
    """Write tanh(softplus(y)) = n/(n + 2) to ``gate``, e to ``exp`` and n + 2 to ``below``, with n = e(e + 2)."""
    torch.clamp(y, max=_linear_from(y), out=exp).exp_()
    torch.add(exp, 2.0, out=gate).mul_(exp)
    torch.add(gate, 2.0, out=below)
    gate.div_(below)


def _slope(y: Tensor, gate: Tensor, exp: Tensor, below: Tensor) -> None:
    """Write the derivative of Mish, gate + y·4e(e + 1)/(n + 2)², to ``exp``."""
    exp.addcmul_(exp, exp).div_(below).div_(below)
    torch.addcmul(gate, torch.clamp(y, max=_linear_from(y), out=below), exp, value=4.0, out=exp)


def _blocks(z: Tensor, buffers: int) -> Iterator[tuple[Any, ...]]:
    """Row slices of ``z``, each with buffers of its shape; all blocks use the same memory."""
    numbers = _CPU_BLOCK if z.device.type == "cpu" else _GPU_BLOCK
    size = max(1, min(len(z), numbers // max(z.shape[1], 1)))
    spare = z.new_empty(buffers, size, z.shape[1])
    for first in range(0, len(z), size):
        count = min(size, len(z) - first)
        yield slice(first, first + count), *spare[:, :count]


def _mean_var(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance over the rows; several times faster than ``torch.var_mean`` on a CPU."""
    mean = z.mean(0)
    total = torch.zeros_like(mean)
    for rows, y in _blocks(z, 1):
        total += torch.sub(z[rows], mean, out=y).square_().sum(0)
    return mean, total / max(len(z), 1)


def norm_mish_linear(z: Tensor, norm: nn.BatchNorm1d, linear: nn.Linear | None) -> Tensor:
    """``linear(mish(norm(z)))`` or ``mish(norm(z))``, with the same values, gradients and running statistics.

    Args:
        z: [E, C].
        norm: batch norm of C channels, in training or evaluation mode.
        linear: C to C', without bias, or None.

    Returns:
        [E, C'] or [E, C].
    """
    if norm.training and world(norm) > 1:  # the batch norm then has gradients from all processes
        z = F.mish(batch_norm(z, norm))
        return z if linear is None else F.linear(z, linear.weight)
    if norm.training:
        mean, var = _mean_var(z.detach())
        track(norm, mean, var, len(z))
    else:
        mean, var = running(norm)
    weight = None if linear is None else linear.weight
    rstd = torch.rsqrt(var + norm.eps)
    return _NormMishLinear.apply(z, norm.weight, norm.bias, mean, rstd, weight, norm.training, norm.eps)
