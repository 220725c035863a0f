"""The pair-geometry layer in blocks: no edge values are kept, in memory or for the backward pass.

On a CPU, it is one compiled pass, see ``compiled.cpp``. Without the compiled code, tensors have channels first, so that
every operation runs along whole rows of edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from toothgraph.nn.kernels.again import plain_gradients
from toothgraph.nn.kernels.backend import choose_backend
from toothgraph.nn.kernels.compiled import compiled_pairs, compiled_pairs_back, fits_pairs
from toothgraph.nn.kernels.precision import full_precision

_CPU_BLOCK, _GPU_BLOCK = 1 << 19, 1 << 25  # edge values per block: fits the CPU cache; uses a GPU fully


def shortest(length: Tensor) -> float:
    """The least length to divide by, mm; above 0 in the precision of ``length``."""
    return max(1e-9, torch.finfo(length.dtype).tiny)


def pair_maximum(pos: Tensor, normal: Tensor, neighbor_index: Tensor, scale: float, mlp: nn.Module) -> Tensor:
    """``mlp(pair_features(...)).amax(0)``, with gradients for the MLP only.

    If two edges have equal maxima, the compiled pass gives the gradient to one of them; otherwise they share it, as in
    ``amax``. A second derivative needs all edge values. The MLP uses the dtype of its weights, also under autocast.

    Args:
        pos: [N, 3] mm.
        normal: [N, 3] unit normals.
        neighbor_index: [k, N], k of at least 1.
        scale: mm, see :func:`toothgraph.nn.pair_features`.
        mlp: linear 6 to H, ReLU, linear H to C.

    Returns:
        [N, C].
    """
    first, _, second = mlp.children()
    assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
    with full_precision(pos):
        points = torch.cat([pos, normal], dim=1)  # [N, 6]
        layers = first.weight, first.bias, second.weight, second.bias
        if choose_backend(first.weight) == "compiled" and fits_pairs(points, *layers, k=len(neighbor_index)):
            learns = torch.is_grad_enabled() and any(layer.requires_grad for layer in layers)
            given = points, neighbor_index.long(), scale, learns, *(layer.contiguous() for layer in layers)
            return _CompiledPairs.apply(*given)
        points = points.t().contiguous()  # [6, N]
        return _PairMaximum.apply(points, neighbor_index, scale, *layers)


def _all_edges_back(
    points: Tensor, table: Tensor, scale: float, layers: tuple[Tensor, ...], grad: Tensor
) -> list[Tensor | None]:
    """Gradients of the layers, from all edges at once; they can be differentiated again. Points are [6, N]."""
    f = _features(points, table, slice(0, points.shape[1]), scale).to(grad.dtype)  # [7, kN]

    def plain(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
        h = torch.relu(torch.cat([w1, b1[:, None]], dim=1) @ f)
        return (w2 @ h).unflatten(1, (len(table), -1)).amax(dim=1).t() + b2

    return plain_gradients(plain, layers, grad)


class _CompiledPairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, scale: float, learns: bool, *layers: Tensor) -> Tensor:
        out, winner = compiled_pairs(points, table, scale, layers, learns)
        ctx.save_for_backward(points, table, winner, *layers)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        points, table, winner, *layers = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again
            points = points.t().contiguous()
            return None, None, None, None, *_all_edges_back(points, table, ctx.scale, tuple(layers), grad)
        found = compiled_pairs_back(points, table, ctx.scale, tuple(layers), winner, grad)
        return None, None, None, None, *found, grad.sum(dim=0)


class _PairMaximum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, points: Tensor, table: Tensor, scale: float, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
    ) -> Tensor:
        ctx.save_for_backward(points, table, w1, b1, w2, b2)
        ctx.scale = scale
        out = w2.new_empty(points.shape[1], len(w2))
        for block, _, _, z in _edges(points, table, scale, w1, b1, w2):
            out[block] = z.amax(dim=1).t()
        return out.add_(b2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # to be differentiated again
            points, table, *layers = ctx.saved_tensors
            return None, None, None, *_all_edges_back(points, table, ctx.scale, tuple(layers), grad)
        with full_precision(grad):
            return _PairMaximum._backward(ctx, grad)

    @staticmethod
    def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        points, table, w1, b1, w2, _ = ctx.saved_tensors
        grad_w1, grad_w2 = w1.new_zeros(len(w1), 7), torch.zeros_like(w2)
        for block, f, h, z in _edges(points, table, ctx.scale, w1, b1, w2):
            won = z.ge_(z.amax(dim=1, keepdim=True))  # [C, k, B] of 0 and 1
            grad_z = won.mul_((grad[block].t() / won.sum(dim=1))[:, None]).flatten(1)  # [C, kB]
            grad_h = torch.ops.aten.threshold_backward(w2.t() @ grad_z, h, 0)  # [H, kB]
            grad_w1.addmm_(grad_h, f.t())
            grad_w2.addmm_(grad_z, h.t())
        return None, None, None, grad_w1[:, :6], grad_w1[:, 6], grad_w2, grad.sum(dim=0)


def _edges(
    points: Tensor, table: Tensor, scale: float, w1: Tensor, b1: Tensor, w2: Tensor
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Per block of B nodes: its slice, its features, its hidden layer and its output without bias.

    Features and a row of ones are [7, kB], the hidden layer is [H, kB], and the output is [C, k, B].
    """
    k, nodes = table.shape
    size = max(1, (_CPU_BLOCK if points.device.type == "cpu" else _GPU_BLOCK) // (k * len(w2)))
    first = torch.cat([w1, b1[:, None]], dim=1)  # [H, 7]
    for start in range(0, nodes, size):
        block = slice(start, min(start + size, nodes))
        f = _features(points, table[:, block], block, scale).to(w1.dtype)
        h = (first @ f).relu_()
        yield block, f, h, (w2 @ h).unflatten(1, (k, -1))


def _features(points: Tensor, near: Tensor, block: slice, scale: float) -> Tensor:
    """The ``pair_features`` of a block of nodes and their neighbours [k, B], and a row of ones: [7, kB]."""
    own = points[:, None, block]  # [6, 1, B]
    far = points.index_select(1, near.reshape(-1)).unflatten(1, near.shape)  # [6, k, B]
    n, m = own[3:], far[3:]
    d = far[:3] - own[:3]
    length = d.square().sum(dim=0).sqrt_()
    u = d.div_(length.clamp_min(shortest(length)))
    out = far.new_empty(7, *near.shape)
    torch.div(length, scale, out=out[0])
    torch.sum(n * u, dim=0, out=out[2])
    torch.mul(out[0], out[2], out=out[1])
    torch.sum(m * u, dim=0, out=out[3])
    torch.sum(n * m, dim=0, out=out[4])
    turned = u[0] * (n[1] * m[2] - n[2] * m[1])
    turned.addcmul_(u[1], n[2] * m[0] - n[0] * m[2])
    torch.addcmul(turned, u[2], n[0] * m[1] - n[1] * m[0], out=out[5])
    out[6] = 1.0
    return out.flatten(1)
