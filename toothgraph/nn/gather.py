"""Reductions over neighbourhoods without building the edges: the one place where backends differ."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from toothgraph.errors import ConfigError


class Neighborhoods(NamedTuple):
    """Who the neighbours of each of N nodes are, as bags one after another.

    Attributes:
        source: [E] the neighbours, bag by bag.
        ends: [N + 1] where each bag begins; the last entry is E.
        fixed: neighbours per node where all have as many, else 0.
    """

    source: Tensor
    ends: Tensor
    fixed: int

    @property
    def degree(self) -> Tensor:
        """[N] neighbours of each node."""
        return self.ends.diff()


def from_edges(edge_index: Tensor, num_nodes: int) -> Neighborhoods:
    """Neighbourhoods of a PyG ``edge_index`` [2, E] (source, target), in any order."""
    target, order = edge_index[1].sort(stable=True)
    degree = torch.zeros(num_nodes, dtype=torch.long, device=target.device)
    degree = degree.scatter_add(0, target, torch.ones_like(target))
    return Neighborhoods(edge_index[0][order], F.pad(degree.cumsum(0), (1, 0)), 0)


def from_table(neighbor_index: Tensor) -> Neighborhoods:
    """Neighbourhoods of a table [k, N]."""
    k, num_nodes = neighbor_index.shape
    ends = torch.arange(num_nodes + 1, device=neighbor_index.device) * k
    return Neighborhoods(neighbor_index.t().reshape(-1).long(), ends, k)


def reduce_neighbors(x: Tensor, hood: Neighborhoods, reduce: str, backend: str = "native") -> Tensor:
    """Maximum, sum or mean over each node's neighbours.

    Args:
        x: [M, C] values of the nodes that can be neighbours.
        hood: the neighbourhoods of N nodes.
        reduce: ``max``, ``sum`` or ``mean``.
        backend: ``native`` (torch alone) or ``scatter`` (torch-scatter).

    Returns:
        [N, C]; 0 for a node without neighbours. The gradient of a maximum goes to one winner.

    Raises:
        ConfigError: for an unknown backend, or one that is not installed.
    """
    if backend == "native":
        if hood.fixed:
            return F.embedding_bag(hood.source.view(-1, hood.fixed), x, mode=reduce)
        return F.embedding_bag(hood.source, x, hood.ends, mode=reduce, include_last_offset=True)
    if backend == "scatter":
        try:
            from torch_scatter import segment_csr
        except ImportError as error:
            raise ConfigError("the backend scatter needs torch-scatter: pip install toothgraph[scatter]") from error
        return segment_csr(x[hood.source], hood.ends, reduce=reduce)
    raise ConfigError(f'expected a backend of "native" or "scatter", got {backend!r}')


def gather_max(x: Tensor, neighbor_index: Tensor, padded: bool = False, backend: str = "native") -> Tensor:
    """Per node and channel, the maximum over its neighbours in a table.

    Args:
        x: [M, C] values of the nodes that can be neighbours.
        neighbor_index: [k, N] neighbours of each node.
        padded: an index of M stands for no neighbour; a node that has none gets 0.
        backend: see :func:`reduce_neighbors`.

    Returns:
        [N, C].
    """
    hood = from_table(neighbor_index)
    if not padded:
        return reduce_neighbors(x, hood, "max", backend)
    if backend == "native":  # the padding stays in the bags, as a row that is left out
        bags = hood.source.view(-1, hood.fixed)
        return F.embedding_bag(bags, F.pad(x, (0, 0, 0, 1)), mode="max", padding_idx=x.shape[0])
    there = neighbor_index.t() < x.shape[0]  # [N, k]
    ends = F.pad(there.sum(dim=1).cumsum(0), (1, 0))
    return reduce_neighbors(x, Neighborhoods(neighbor_index.t()[there], ends, 0), "max", backend)
