"""InfoNCE computed in blocks of rows: one product for both directions, and no stored [P, P] matrix.

The similarities of b to a are the transposed similarities of a to b. So each block gives the sums of its rows and a
part of the sums of all columns. The backward pass computes the blocks again.

Source: van den Oord et al., 2018, https://arxiv.org/abs/1807.03748
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from toothgraph.nn.kernels.again import plain_gradients
from toothgraph.nn.kernels.precision import full_precision

_CPU_BLOCK, _GPU_BLOCK = 1 << 18, 1 << 25  # entries per block: fits the CPU cache; uses a GPU fully
_APART = 1e4  # mm, least distance between scans, so that pairs of different scans are never near
Blocks = list[tuple[slice, slice]]  # rows, and the window of columns with all pairs near them


def pair_losses(
    x: Tensor,
    y: Tensor,
    *,
    scan: Tensor,
    pos: Tensor | None = None,
    radius: float = 0.0,
    symmetric: bool = True,
    block: int | None = None,
) -> Tensor:
    """The loss of each pair: -log softmax of the partner of each row of ``x`` among the rows of ``y``.

    If ``symmetric``, it is the mean of this loss and the loss with ``x`` and ``y`` exchanged. A second derivative needs
    the whole [P, P] matrix.

    Args:
        x: [P, D], divided by the temperature.
        y: [P, D]; row i is the partner of row i of ``x``.
        scan: [P] number of the scan of each pair, from 0.
        pos: [P, 3] mm, position of each pair in its scan.
        radius: mm; closer pairs of the same scan are not negatives.
        symmetric: whether to average both directions.
        block: rows per block; by default a size that suits the device.

    Returns:
        [P].
    """
    size = block or max(1, (_CPU_BLOCK if x.device.type == "cpu" else _GPU_BLOCK) // len(x))
    rows = [slice(first, min(first + size, len(x))) for first in range(0, len(x), size)]
    if pos is None or radius <= 0:
        return _PairLosses.apply(x, y, None, 0.0, symmetric, [(own, slice(0, 0)) for own in rows])
    place = torch.cat([pos.float(), scan[:, None] * max(_APART, 2 * radius)], dim=1).t()  # [4, P]
    exact = place.cpu() if place.device.type == "mps" else place  # mps has no double precision
    axis, order = (exact[3].double() + exact[0]).sort()
    order = order.to(place.device)
    blocks = list(zip(rows, _windows(axis, rows, radius), strict=True))
    losses = _PairLosses.apply(x[order], y[order], place[:, order], radius, symmetric, blocks)
    return losses[order.argsort()]


class _PairLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, place: Tensor | None, radius: float, symmetric: bool, blocks: Blocks
    ) -> Tensor:
        own, by_row = (x.new_empty(len(x)) for _ in range(2))
        by_column = x.new_full((len(x),), float("-inf"))
        for rows, logits in _similarities(x, y, place, radius, blocks):
            own[rows] = logits.diagonal(rows.start)
            by_row[rows] = logits.logsumexp(dim=1)
            if symmetric:
                by_column = torch.logaddexp(by_column, logits.logsumexp(dim=0))
        ctx.save_for_backward(x, y, place, by_row, by_column)
        ctx.radius, ctx.symmetric, ctx.blocks = radius, symmetric, blocks
        return (by_row + by_column) / 2 - own if symmetric else by_row - own

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # to be differentiated again
            x, y, place, *_ = ctx.saved_tensors

            def whole(x: Tensor, y: Tensor) -> Tensor:
                return _whole_matrix(x, y, place, ctx.radius, ctx.symmetric, ctx.blocks)

            return *plain_gradients(whole, (x, y), grad), None, None, None, None
        with full_precision(grad):
            return *_PairLosses._backward(ctx, grad), None, None, None, None

    @staticmethod
    def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, y, place, by_row, by_column = ctx.saved_tensors
        grad_x, grad_y = torch.empty_like(x), torch.zeros_like(y)
        each = grad / 2 if ctx.symmetric else grad  # per direction
        for rows, logits in _similarities(x, y, place, ctx.radius, ctx.blocks):
            out = (logits - by_row[rows, None]).exp_().mul_(each[rows, None])
            if ctx.symmetric:
                out.addcmul_(logits.sub_(by_column).exp_(), each)
            out.diagonal(rows.start).sub_(grad[rows])
            torch.mm(out, y, out=grad_x[rows])
            grad_y.addmm_(out.t(), x[rows])
        return grad_x, grad_y


def _similarities(
    x: Tensor, y: Tensor, place: Tensor | None, radius: float, blocks: Blocks
) -> Iterator[tuple[slice, Tensor]]:
    """Per block of rows: its slice and its similarities [B, P]; pairs that are not negatives are -inf."""
    for rows, window in blocks:
        logits = x[rows] @ y.t()
        if place is not None:
            logits[:, window].masked_fill_(_near(place, rows, window, radius), float("-inf"))
        yield rows, logits


def _near(place: Tensor, rows: slice, window: slice, radius: float) -> Tensor:
    """Which pairs [B, W] are too near to each other to be negatives."""
    near: Tensor = sum((axis[rows, None] - axis[window]).square_() for axis in place) < radius**2
    near.diagonal(rows.start - window.start).fill_(False)
    return near


def _whole_matrix(x: Tensor, y: Tensor, place: Tensor | None, radius: float, symmetric: bool, blocks: Blocks) -> Tensor:
    """The losses [P] from all similarities at once."""
    logits = x @ y.t()
    if place is not None:
        near = torch.zeros_like(logits, dtype=torch.bool)
        for rows, window in blocks:
            near[rows, window] = _near(place, rows, window, radius)
        logits = logits.masked_fill(near, float("-inf"))
    found = logits.logsumexp(dim=1)
    if symmetric:
        found = (found + logits.logsumexp(dim=0)) / 2
    return found - logits.diagonal()


def _windows(axis: Tensor, blocks: list[slice], radius: float) -> list[slice]:
    """For each block of rows, the range along the sorted axis with all pairs near it."""
    reach, size = 1.01 * radius, blocks[0].stop  # a margin for rounding; all blocks except the last have this size
    ends = torch.cat([axis[size - 1 :: size][: len(blocks) - 1], axis[-1:]])
    first = torch.searchsorted(axis, axis[::size] - reach)
    last = torch.searchsorted(axis, ends + reach, right=True)
    return [slice(*ends) for ends in torch.stack([first, last], dim=1).tolist()]
