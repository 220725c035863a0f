"""Computations that need edge values, for one block of nodes at a time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from toothgraph.nn.edge_mlp import treats_rows_alone
from toothgraph.nn.kernels.gather import reduce_neighbors
from toothgraph.nn.kernels.neighborhoods import Neighborhoods
from toothgraph.nn.kernels.precision import full_precision

_CPU_BLOCK, _GPU_BLOCK = 1 << 22, 1 << 27  # edge values per block


def reduced_edges(
    a: Tensor,
    b: Tensor,
    hood: Neighborhoods,
    rest: list[nn.Module],
    aggregation: nn.Module,
    aggr: object,
    edge_attr: Tensor | None,
    along: Tensor,
) -> Tensor:
    """``aggr_j rest(a_i + b_j + V e_ij)``, computed on the edges of one block of nodes at a time.

    With several blocks, edge values are not kept for the backward pass, which computes them again. There is only one
    block, whose values are kept, if all edges fit into one, or if a part of ``rest`` needs all edges at once (batch
    norm in training) or draws random numbers.

    Args:
        a: [N, C], the part of the targets.
        b: [M, C], the part of the sources.
        hood: the neighbourhoods of the targets.
        rest: the modules after the first layer of the edge MLP.
        aggregation: module of torch_geometric, for an ``aggr`` other than ``max`` and ``min``.
        aggr: the name of the aggregation.
        edge_attr: [E, D], the values e in the order of the neighbourhoods, or None.
        along: [C, D], the weights V.

    Returns:
        [N, C_out].
    """
    fixed = hood.fixed

    def part(near: Tensor, degree: Tensor, a: Tensor, e: Tensor | None) -> Tensor:
        count = len(a)
        if fixed:  # in place, because edge values need most of the memory
            edges = F.embedding(near.view(count, fixed), b).add_(a[:, None]).flatten(0, 1)
        else:
            node = torch.arange(count, device=a.device).repeat_interleave(degree, output_size=len(near))
            edges = F.embedding(near, b).add_(a.index_select(0, node))
        if e is not None:
            with full_precision(edges):
                edges = edges.addmm_(e, along.t())
        for module in rest:
            edges = module(edges)
        if fixed and count and aggr in ("max", "min"):  # the gradient goes to one winner, and no scatter is needed
            return getattr(edges.view(count, fixed, -1), str(aggr))(dim=1).values
        if count and aggr in ("max", "min"):  # also one winner; a scatter would spread NaN to the other edges of a node
            bags = Neighborhoods(near, F.pad(degree.cumsum(0), (1, 0)), 0).edges
            return reduce_neighbors(edges, bags, "max") if aggr == "max" else -reduce_neighbors(-edges, bags, "max")
        if fixed:
            node = torch.arange(count, device=a.device)[:, None].expand(-1, fixed).flatten()
        return aggregation(edges, index=node, dim_size=count, dim=-2)

    if not all(treats_rows_alone(each) for each in rest) or hood.source.numel() == 0:
        return part(hood.source.reshape(-1), hood.degree, a, edge_attr)
    return _block_by_block(part, hood, a, edge_attr, a.shape[1])


def largest_edges(b: Tensor, hood: Neighborhoods, edge_attr: Tensor, along: Tensor) -> Tensor:
    """``max_j (b_j + V e_ij)``, [N, C]; arguments, blocks and memory as in :func:`reduced_edges`."""

    def part(near: Tensor, degree: Tensor, _: None, e: Tensor) -> Tensor:
        edges = torch.addmm(F.embedding(near, b), e, along.t())
        source = near.view(-1, hood.fixed) if hood.fixed else near
        bags = Neighborhoods(source, F.pad(degree.cumsum(0), (1, 0)), hood.fixed)
        return reduce_neighbors(edges, bags.edges, "max")

    return _block_by_block(part, hood, None, edge_attr, b.shape[1])


def _block_by_block(
    part: Callable[..., Tensor], hood: Neighborhoods, a: Tensor | None, edge_attr: Tensor | None, channels: int
) -> Tensor:
    """Join ``part(neighbours, degrees, rows of a, rows of edge_attr)`` of all blocks of nodes."""
    fixed, nodes = hood.fixed, len(hood.ends) - 1
    flat, degree = hood.source.reshape(-1), hood.degree
    found = []
    for rows in _node_blocks(hood, max(1, (_CPU_BLOCK if flat.device.type == "cpu" else _GPU_BLOCK) // channels)):
        if fixed:
            first, last = rows.start * fixed, rows.stop * fixed
        elif nodes == rows.stop - rows.start:
            first, last = 0, len(flat)
        else:
            first, last = hood.ends[[rows.start, rows.stop]].tolist()
        own = None if a is None else a[rows]
        given = flat[first:last], degree[rows], own, None if edge_attr is None else edge_attr[first:last]
        kept = not torch.is_grad_enabled() or nodes == rows.stop - rows.start
        found.append(part(*given) if kept else checkpoint(part, *given, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(found)


def _node_blocks(hood: Neighborhoods, edges: int) -> list[slice]:
    """Blocks of nodes with about ``edges`` edges each."""
    nodes, total = len(hood.ends) - 1, hood.source.numel()
    count = -(-total // edges)
    if count <= 1 or torch.compiler.is_compiling():
        return [slice(0, nodes)]
    if hood.fixed:
        size = max(1, edges // hood.fixed)
        return [slice(first, min(first + size, nodes)) for first in range(0, nodes, size)]
    wanted = torch.arange(1, count, device=hood.ends.device) * edges
    cuts = [0, *torch.unique(torch.searchsorted(hood.ends, wanted, right=True) - 1).tolist(), nodes]
    return [slice(first, last) for first, last in pairwise(cuts) if last > first]
