"""An edge MLP on the edges of one block of nodes after another."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from toothgraph.nn.edge_mlp import EdgeFunction, split_linear, treats_rows_alone
from toothgraph.nn.kernels.neighborhoods import Neighborhoods
from toothgraph.nn.kernels.precision import full_precision

_CPU_BLOCK, _GPU_BLOCK = 1 << 22, 1 << 27  # edge values per block


def reduced_edges(
    source: Tensor, target: Tensor, hood: Neighborhoods, function: EdgeFunction, aggregation: nn.Module, aggr: object
) -> Tensor:
    """``aggr_j rest(a_i + b_j)``: the first layer on nodes, the rest on the edges of one block of nodes at a time.

    No edge values are kept for the backward pass, which computes them again; but where a part needs all edges at once
    (batch norm in training) or draws random numbers, there is one block, kept.

    Args:
        source: [M, C_in].
        target: [N, C_in].
        hood: the neighbourhoods of the targets.
        function: the edge MLP.
        aggregation: of torch_geometric, for what is not a plain ``aggr``.
        aggr: its name.

    Returns:
        [N, C_out].
    """
    own, difference = split_linear(function.linear)
    with full_precision(target):
        a = F.linear(target.to(own.dtype), own, function.linear.bias)  # [N, C]
        b = F.linear(source.to(own.dtype), difference)  # [M, C]
    rest = function.rest or []
    alone = all(treats_rows_alone(part) for part in rest)
    fixed, nodes = hood.fixed, len(hood.ends) - 1
    flat = hood.source.reshape(-1)

    def part(a: Tensor, b: Tensor, near: Tensor, degree: Tensor) -> Tensor:
        count = len(a)
        if fixed:  # in place, because edge values need most of the memory
            edges = F.embedding(near.view(count, fixed), b).add_(a[:, None]).flatten(0, 1)
        else:
            node = torch.arange(count, device=a.device).repeat_interleave(degree, output_size=len(near))
            edges = F.embedding(near, b).add_(a.index_select(0, node))
        for module in rest:
            edges = module(edges)
        if fixed and count and aggr in ("max", "min"):  # one winner, and no scatter
            return getattr(edges.view(count, fixed, -1), str(aggr))(dim=1).values
        if fixed:
            node = torch.arange(count, device=a.device)[:, None].expand(-1, fixed).flatten()
        return aggregation(edges, index=node, dim_size=count, dim=-2)

    if not alone or len(flat) == 0:
        return part(a, b, flat, hood.degree)
    found = []
    for rows in _node_blocks(hood, max(1, (_CPU_BLOCK if a.device.type == "cpu" else _GPU_BLOCK) // a.shape[1])):
        if fixed:
            first, last = rows.start * fixed, rows.stop * fixed
        elif nodes == rows.stop - rows.start:
            first, last = 0, len(flat)
        else:
            first, last = hood.ends[[rows.start, rows.stop]].tolist()
        given = a[rows], b, flat[first:last], hood.degree[rows]
        kept = not torch.is_grad_enabled() or nodes == rows.stop - rows.start
        found.append(part(*given) if kept else checkpoint(part, *given, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(found)


def _node_blocks(hood: Neighborhoods, edges: int) -> list[slice]:
    """Blocks of nodes with about so many edges each."""
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
