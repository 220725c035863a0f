"""The tensors that reductions over neighbours keep for their backward passes, the same for all kernels."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def keep_winner(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    """Keep, for the gradient of a maximum, the winning row of each result, and the number of rows."""
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1])
    ctx.rows = inputs[0].shape[0]


def keep_winner_again(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep, for the derivative of the gradient of a maximum, the winning rows."""
    ctx.save_for_backward(inputs[1])


def from_winner(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """The derivative of the gradient of a maximum: the value of the winning row, or 0 where no row won."""
    (winner,) = ctx.saved_tensors
    if len(grad) == 0:
        return grad.new_zeros(winner.shape), None, None
    return grad.gather(0, winner.long().clamp_min(0)).masked_fill(winner < 0, 0.0), None, None


def keep_bags(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep, for the derivative of a sum or mean or of its gradient, the bags and the options ``fixed`` and ``mean``."""
    x, source, ends, *ctx.options = inputs[:5]
    ctx.save_for_backward(source, ends)
    ctx.rows = x.shape[0]
