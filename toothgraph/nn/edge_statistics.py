"""Statistics over edges, computed without edge values."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toothgraph.nn.kernels.gather import reduce_neighbors
from toothgraph.nn.kernels.neighborhoods import Neighborhoods

_LEAST_VARIANCE = 1e-5


def affine(norm: nn.BatchNorm1d, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift [C] of a batch norm with these statistics."""
    scale = norm.weight * torch.rsqrt(var + norm.eps)
    return scale, norm.bias - scale * mean


def deviation(b: Tensor, hood: Neighborhoods) -> Tensor:
    """Standard deviation of the rows of ``b`` [M, C] over neighbours: [N, C].

    The part a_i of the node itself does not change it. As in torch_geometric, it is 0 where the variance is at most
    1e-5.
    """
    b = b - b.mean(dim=0)  # so that the squares do not cancel
    var = reduce_neighbors(b.square(), hood, "mean") - reduce_neighbors(b, hood, "mean").square()
    std = var.clamp_min(_LEAST_VARIANCE).sqrt()
    return std.masked_fill(std <= math.sqrt(_LEAST_VARIANCE), 0.0)


def edge_statistics(
    a: Tensor, b: Tensor, hood: Neighborhoods, edge_attr: Tensor | None = None, along: Tensor | None = None
) -> tuple[Tensor, Tensor, int]:
    """Mean and (biased) variance of z_ij = a_i + b_j (+ V e_ij) over all edges, without computing z_ij.

    Args:
        a: [N, C], the part of the targets.
        b: [M, C], the part of the sources.
        hood: the neighbourhoods.
        edge_attr: [E, D], the values e.
        along: [C, D], the weights V.

    Returns:
        Mean [C], variance [C] and the number of edges.
    """
    source = hood.source.reshape(-1)
    count = source.shape[0]
    inward = hood.degree.to(a.dtype)[:, None] / count  # [N, 1], sums to 1
    outward = torch.zeros(b.shape[0], dtype=a.dtype, device=a.device)
    outward = outward.index_add(0, source, outward.new_ones(count))[:, None] / count  # [M, 1], sums to 1
    mean_a, mean_b = (inward * a).sum(0), (outward * b).sum(0)
    a, b = a - mean_a, b - mean_b  # before the squares, to avoid cancellation in float32
    cross = (a * reduce_neighbors(b, hood, "sum")).sum(0) / count
    var = (inward * a.square()).sum(0) + (outward * b.square()).sum(0) + 2 * cross
    mean = mean_a + mean_b
    if edge_attr is not None and along is not None:
        mean_e = edge_attr.mean(dim=0)
        e = edge_attr - mean_e
        into = reduce_neighbors(e, hood.edges, "sum")  # [N, D]
        out_of = e.new_zeros(b.shape[0], e.shape[1]).index_add(0, source, e)  # [M, D]
        cross = (a * F.linear(into, along)).sum(0) + (b * F.linear(out_of, along)).sum(0)
        var = var + (((along @ (e.t() @ e)) * along).sum(1) + 2 * cross) / count
        mean = mean + along @ mean_e
    return mean, var.clamp_min(0), count
