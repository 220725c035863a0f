"""Sums and means over neighbours, with derivatives of any order; torch's embedding bag has only the first."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from toothgraph.nn.kernels.neighborhoods import Neighborhoods, transformed

_MODES = {"sum": 0, "mean": 1}  # of an embedding bag


def bag_total(x: Tensor, hood: Neighborhoods, reduce: str) -> Tensor:
    """Sum or mean of the rows of ``x`` [M, C] over the neighbours of each node: [N, C]; 0 without neighbours."""
    if torch._C._are_functorch_transforms_active():
        return _by_edges(x, hood.source.reshape(-1), _nodes(hood.ends), hood.ends, reduce)
    learns = (x.requires_grad and torch.is_grad_enabled()) or transformed()
    if not learns or torch.compiler.is_compiling():
        if hood.fixed:
            return F.embedding_bag(hood.source, x, mode=reduce)
        return F.embedding_bag(hood.source, x, hood.ends, mode=reduce, include_last_offset=True)
    return _BagTotal.apply(x, hood.source.reshape(-1).long(), hood.ends, reduce)


class _BagTotal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, ends: Tensor, reduce: str) -> Tensor:
        out, *bags = torch._embedding_bag(x, source, ends, False, _MODES[reduce], False, None, True)
        ctx.save_for_backward(source, ends, *bags)
        ctx.save_for_forward(source, ends)
        ctx.rows, ctx.reduce = len(x), reduce
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        source, ends, *bags = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again
            grad = grad if ctx.reduce == "sum" else grad / ends.diff().clamp_min(1)[:, None]
            spread = grad.index_select(0, _nodes(ends))  # [E, C]
            return grad.new_zeros(ctx.rows, grad.shape[1]).index_add(0, source, spread), None, None, None
        options = ctx.rows, False, _MODES[ctx.reduce], False, None, -1
        return torch.ops.aten._embedding_bag_backward(grad, source, ends, *bags, *options), None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        source, ends, *_rest = ctx.saved_tensors
        return _by_edges(tangent, source, _nodes(ends), ends, ctx.reduce)


def _nodes(ends: Tensor) -> Tensor:
    """The node of each edge. [E]"""
    return torch.arange(len(ends) - 1, device=ends.device).repeat_interleave(ends.diff())


def _by_edges(x: Tensor, source: Tensor, node: Tensor, ends: Tensor, reduce: str) -> Tensor:
    total = x.new_zeros(len(ends) - 1, x.shape[1]).index_add(0, node, x[source])
    return total if reduce == "sum" else total / ends.diff().clamp_min(1)[:, None]
