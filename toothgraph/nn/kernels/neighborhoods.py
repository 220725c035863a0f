"""Neighbourhoods as lists of neighbours, from edges or a table."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from toothgraph.errors import ConfigError
from toothgraph.nn.kernels.compiled import HAS_COMPILED, compiled_bags


class Neighborhoods(NamedTuple):
    """The neighbours of N nodes, as consecutive bags.

    Attributes:
        source: [E] neighbours, bag by bag; [N, k] if all nodes have k neighbours.
        ends: [N + 1] start of each bag; the last entry is E.
        fixed: k if all nodes have k neighbours, else 0.
    """

    source: Tensor
    ends: Tensor
    fixed: int

    @property
    def degree(self) -> Tensor:
        """[N] number of neighbours of each node."""
        return self.ends.diff()

    @property
    def edges(self) -> Neighborhoods:
        """The same bags, with the rows of edge values [E, …] in place of the neighbours."""
        row = torch.arange(self.source.numel(), device=self.source.device)
        return self._replace(source=row.view(self.source.shape))


def from_edges(edge_index: Tensor, num_nodes: int) -> Neighborhoods:
    """Neighbourhoods of a PyG ``edge_index`` [2, E] (source, target), in any order.

    Raises:
        ConfigError: under ``torch.jit.trace``, which does not see what code outside of torch writes.
    """
    if not torch.compiler.is_compiling() and torch._C._is_tracing():  # a compiler cannot trace the latter
        raise ConfigError("torch.jit.trace cannot trace this layer; torch.export and torch.compile can")
    source, target = edge_index
    if HAS_COMPILED and edge_index.device.type == "cpu" and not transformed() and not exported():
        return Neighborhoods(*compiled_bags(source.long(), target.long(), num_nodes), 0)
    if not _in_order(target):
        target, order = target.sort(stable=True)
        source = source[order]
    degree = torch.zeros(num_nodes, dtype=torch.long, device=target.device)
    degree = degree.scatter_add(0, target, torch.ones_like(target))
    return Neighborhoods(source, F.pad(degree.cumsum(0), (1, 0)), 0)


def in_order(edge_index: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
    """Sort edges [2, E] by target, and put the given values of edges [E, …] into the same order."""
    if _in_order(edge_index[1]):
        return edge_index, *given
    order = edge_index[1].argsort(stable=True)
    return edge_index[:, order], *(each.index_select(0, order) for each in given)


def transformed() -> bool:
    """Whether ``torch.func`` transforms the code, or forward-mode differentiation is on."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def exported() -> bool:
    """Whether ``torch.export`` traces the code; an export must not depend on what is installed here."""
    asked = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)  # torch 2.4 cannot tell an export
    return bool(asked())


def _on_cpu(x: Tensor) -> bool:
    """Whether code may depend on values and write in place: on a CPU, and not while torch traces the code."""
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    return x.device.type == "cpu" and not traced


def _in_order(target: Tensor) -> bool:
    return _on_cpu(target) and bool((target[1:] >= target[:-1]).all())


def from_table(neighbor_index: Tensor) -> Neighborhoods:
    """Neighbourhoods of a table [k, N], without a copy."""
    k, num_nodes = neighbor_index.shape
    ends = torch.arange(num_nodes + 1, device=neighbor_index.device) * k
    return Neighborhoods(neighbor_index.t() if k else neighbor_index.new_empty(0), ends, k)
