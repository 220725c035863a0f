"""Reductions over neighbourhoods in Triton, with gradients, as custom operators for torch.compile.

There is one pass forward and one backward. The maximum keeps the winners, an int32 per node and channel. The backward
pass uses atomic additions in float32 or float64, so its last digits may differ between runs. Triton is imported when
the first kernel runs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from toothgraph.errors import ConfigError
from toothgraph.nn.kernels.saved import from_winner, keep_bags, keep_winner, keep_winner_again

_BAGS = "Tensor source, Tensor ends, SymInt fixed"


def triton_reduce(x: Tensor, source: Tensor, ends: Tensor, fixed: int, reduce: str, padded: bool = False) -> Tensor:
    """Maximum, sum or mean over neighbours.

    A neighbour outside 0..M-1 raises no error, because the program would have to wait for the device. It makes the
    result of its node NaN.

    Args:
        x: [M, C], on a CUDA device, or on any device with ``TRITON_INTERPRET=1``.
        source, ends, fixed: as in :class:`toothgraph.nn.kernels.neighborhoods.Neighborhoods`.
        reduce: ``max``, ``sum`` or ``mean``.
        padded: in a maximum, neighbour M means no neighbour.

    Returns:
        [N, C] of the dtype of ``x``; 0 for a node without neighbours. The first of equal maxima wins, and the first
        NaN wins over all numbers. Gradients can be differentiated again.

    Raises:
        ConfigError: for a maximum over 2^31 nodes or more.
    """
    if reduce == "max":
        return _maximum(x, source, ends, fixed, padded)[0]
    return _total(x, source, ends, fixed, reduce == "mean")


def _bags(source: Tensor, ends: Tensor, fixed: int) -> tuple[Tensor, Tensor, int, int]:
    """The neighbours for a kernel, and their steps in memory. A table [N, k] is not copied, whatever its strides."""
    if fixed:
        across, along = source.stride()
        return source, ends.contiguous(), across, along
    return source.contiguous(), ends.contiguous(), 0, 1


def _accumulator(grad: Tensor, rows: int) -> Tensor:
    dtype = torch.float64 if grad.dtype == torch.float64 else torch.float32
    return torch.zeros(rows, grad.shape[1], dtype=dtype, device=grad.device)


@torch.library.custom_op(
    "toothgraph::maximum", mutates_args=(), schema=f"(Tensor x, {_BAGS}, bool padded) -> (Tensor, Tensor)"
)
def _maximum(x: Tensor, source: Tensor, ends: Tensor, fixed: int, padded: bool) -> tuple[Tensor, Tensor]:
    from toothgraph.nn.kernels.triton_kernels import launch, maximum

    (rows, channels), nodes = x.shape, ends.shape[0] - 1
    if rows >= 2**31:
        raise ConfigError(f"expected fewer than 2^31 nodes (winners are int32), got {rows}; use smaller batches")
    out = x.new_empty(nodes, channels)
    winner = x.new_empty(nodes, channels, dtype=torch.int32)
    given = x.contiguous(), *_bags(source, ends, fixed)
    launch(maximum, nodes, channels, x.dtype, *given, out, winner, rows, NONE=padded, DEGREE=fixed)
    return out, winner


@torch.library.custom_op(
    "toothgraph::maximum_backward", mutates_args=(), schema="(Tensor grad, Tensor winner, SymInt rows) -> Tensor"
)
def _maximum_backward(grad: Tensor, winner: Tensor, rows: int) -> Tensor:
    from toothgraph.nn.kernels.triton_kernels import launch, maximum_backward

    grad_x = _accumulator(grad, rows)
    launch(maximum_backward, *grad.shape, grad.dtype, grad.contiguous(), winner.contiguous(), grad_x)
    return grad_x.to(grad.dtype)


@torch.library.custom_op("toothgraph::total", mutates_args=(), schema=f"(Tensor x, {_BAGS}, bool mean) -> Tensor")
def _total(x: Tensor, source: Tensor, ends: Tensor, fixed: int, mean: bool) -> Tensor:
    from toothgraph.nn.kernels.triton_kernels import launch, total

    (rows, channels), nodes = x.shape, ends.shape[0] - 1
    out = x.new_empty(nodes, channels)
    given = x.contiguous(), *_bags(source, ends, fixed)
    launch(total, nodes, channels, x.dtype, *given, out, rows, MEAN=mean, DEGREE=fixed)
    return out


@torch.library.custom_op(
    "toothgraph::total_backward", mutates_args=(), schema=f"(Tensor grad, {_BAGS}, bool mean, SymInt rows) -> Tensor"
)
def _total_backward(grad: Tensor, source: Tensor, ends: Tensor, fixed: int, mean: bool, rows: int) -> Tensor:
    from toothgraph.nn.kernels.triton_kernels import launch, total_backward

    grad_x = _accumulator(grad, rows)
    given = grad.contiguous(), *_bags(source, ends, fixed)
    launch(total_backward, *grad.shape, grad.dtype, *given, grad_x, rows, MEAN=mean, DEGREE=fixed)
    return grad_x.to(grad.dtype)


# For tracing: the shapes of the results, and the gradient of each operator.


@_maximum.register_fake
def _(x: Tensor, source: Tensor, ends: Tensor, fixed: int, padded: bool) -> tuple[Tensor, Tensor]:
    out = x.new_empty(ends.shape[0] - 1, x.shape[1])
    return out, torch.empty_like(out, dtype=torch.int32)


@_total.register_fake
def _(x: Tensor, source: Tensor, ends: Tensor, fixed: int, mean: bool) -> Tensor:
    return x.new_empty(ends.shape[0] - 1, x.shape[1])


@_maximum_backward.register_fake
def _(grad: Tensor, winner: Tensor, rows: int) -> Tensor:
    return grad.new_empty(rows, grad.shape[1])


@_total_backward.register_fake
def _(grad: Tensor, source: Tensor, ends: Tensor, fixed: int, mean: bool, rows: int) -> Tensor:
    return grad.new_empty(rows, grad.shape[1])


def _to_winner(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    (winner,) = ctx.saved_tensors
    return _maximum_backward(grad, winner, ctx.rows), None, None, None, None


def _to_neighbors(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _total_backward(grad, *ctx.saved_tensors, *ctx.options, ctx.rows), None, None, None, None


def _from_neighbors(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _total(grad, *ctx.saved_tensors, *ctx.options), None, None, None, None, None


_maximum.register_autograd(_to_winner, setup_context=keep_winner)
_maximum_backward.register_autograd(from_winner, setup_context=keep_winner_again)
_total.register_autograd(_to_neighbors, setup_context=keep_bags)
_total_backward.register_autograd(_from_neighbors, setup_context=keep_bags)
