"""A U-shaped network of factorised EdgeConvs, from fine to coarse nodes of a scan and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data
from torch_geometric.nn import global_max_pool, global_mean_pool

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn.checks import check_count, check_device, check_index, check_nodes, check_rows, check_table, described
from toothgraph.nn.cross_edge_conv import CrossEdgeConv, added
from toothgraph.nn.edge_conv import FastEdgeConv
from toothgraph.nn.kernels.batch_norm import NodeNorm
from toothgraph.nn.kernels.neighborhoods import _on_cpu
from toothgraph.nn.recompute import recomputed

SLOPE = 0.2  # negative slope of the leaky ReLUs
LENGTH = 20.0  # mm, unit of the coordinates in the inputs, so that these are of order one


def node_norm(channels: int, norm: str = "batch") -> nn.Module:
    """A norm of node features [N, C]: ``batch`` (over nodes) or ``layer`` (over the channels of each node).

    Raises:
        ConfigError: for another ``norm``, or ``channels`` below 1.
    """
    check_count("channels", channels)
    if norm not in ("batch", "layer"):
        raise ConfigError(f"expected norm batch or layer, got {norm!r}")
    return NodeNorm(channels) if norm == "batch" else nn.LayerNorm(channels)


def dense(in_channels: int, out_channels: int, norm: str = "batch") -> nn.Sequential:
    """Linear, norm, leaky ReLU: [N, C_in] to [N, C_out]."""
    return nn.Sequential(
        nn.Linear(in_channels, out_channels), node_norm(out_channels, norm), nn.LeakyReLU(SLOPE, inplace=True)
    )


@dataclass(frozen=True)
class Levels:
    """The levels of a batch of graphs. Level 0 is the finest; level l has M_l nodes, numbered from 0.

    Attributes:
        nodes: per level, [M_l] the graph nodes of the level.
        within: per level, [k, M_l] neighbours in the same level.
        own: per level above 0, [M_l] number of each node in the level below.
        down: per level above 0, [k, M_l] neighbours in the level below; M_{l-1} means none.
        up: per level above 0, [k, M_{l-1}] neighbours of the nodes of the level below in this level; M_l means none.
    """

    nodes: list[Tensor]
    within: list[Tensor]
    own: list[Tensor]
    down: list[Tensor]
    up: list[Tensor]


def find_levels(data: Data, k: int, num_levels: int) -> Levels:
    """The levels from ``neighbor_index`` [num_levels·k, N] and ``level`` [N] of a batch.

    The number of nodes of each level is read from the device, unless the batch has ``level_sizes``, one number per
    level, as :func:`toothgraph.data.collate` adds it.

    Raises:
        ShapeError: if one of the tables is missing or has another shape and, on a CPU, for neighbours or levels that do
            not exist.
    """
    check_levels(data, k, num_levels)
    tables = [table.long() for table in data.neighbor_index.split(k)]
    nodes = [_members(data, number) for number in range(num_levels)]
    places = []
    for members in nodes:
        place = torch.full_like(data.level, members.shape[0])
        place[members] = torch.arange(members.shape[0], device=place.device)
        places.append(place)
    finer = range(num_levels - 1)
    return Levels(
        nodes=nodes,
        within=[place[table[:, members]] for place, table, members in zip(places, tables, nodes, strict=True)],
        own=[places[fine][nodes[fine + 1]] for fine in finer],
        down=[places[fine][tables[fine][:, nodes[fine + 1]]] for fine in finer],
        up=[places[fine + 1][tables[fine + 1][:, nodes[fine]]] for fine in finer],
    )


def _members(data: Data, number: int) -> Tensor:
    """The nodes of a level, [M] in ascending order."""
    if number == 0:  # it has all nodes
        return torch.arange(data.level.shape[0], device=data.level.device)
    sizes = data.get("level_sizes")
    if _on_cpu(data.level) or not sizes or sizes[0] != len(data.level):  # a batch that was cut is counted again
        members = torch.nonzero(data.level >= number).squeeze(1)
        if torch.compiler.is_compiling():  # an exported net takes scans with two nodes or more at each level
            torch._check(members.shape[0] >= 2)
        return members
    size = sizes[number] if number < len(sizes) else 0
    return (data.level < number).to(torch.uint8).argsort(stable=True)[:size]


def check_levels(data: Data, k: int, num_levels: int) -> None:
    """Check that a graph has the tables of the levels; raises errors as in :func:`find_levels`."""
    wanted = f"neighbor_index [{num_levels * k}, N], {k} neighbours at each of {num_levels} levels, and level [N]"
    make = (
        f"toothgraph.scan_graph(mesh, spec) makes such a graph, toothgraph.graph.add_tables(graph, spec) adds them; "
        f"spec is a GraphSpec with k={k} and {num_levels} spacings: net.config.graph of a net from a file"
    )
    if not hasattr(data, "num_nodes") or not hasattr(data, "get"):
        raise ShapeError(f"expected a graph with {wanted}, got {described(data)}; {make}")
    missing = [name for name in ("neighbor_index", "level") if data.get(name) is None]
    if missing:
        raise ShapeError(f"expected a graph with {wanted}, got one without {' and '.join(missing)}; {make}")
    table, level = data.neighbor_index, data.level
    nodes = data.num_nodes
    if list(table.shape) != [num_levels * k, nodes] or list(level.shape) != [nodes]:
        found = f"{described(table)} and {described(level)}"
        raise ShapeError(f"expected a graph with {wanted} (N = {nodes}), got {found}; {make}")
    check_table(table, nodes)
    check_device(table, "neighbor_index", level=level)
    check_rows("level", level, nodes, "node", whole=True)
    check_index("level", level, num_levels)
    if _on_cpu(table) and not _of_levels(table, level, k):
        raise ShapeError(
            f"expected a graph with {wanted}, got a table of another k or number of levels, with as many rows; {make}"
        )


def _of_levels(table: Tensor, level: Tensor, k: int) -> bool:
    """Whether all neighbours at each level are nodes of that level; a missing neighbour is the node itself."""
    own = torch.arange(table.shape[1])
    above = list(enumerate(table.split(k)))[1:]  # the finest level has all nodes
    return all(bool(((level[rows.long()] >= number) | (rows == own)).all()) for number, rows in above)


class ResidualEdgeConv(nn.Module):
    """``x + act(norm(EdgeConv(x)))``. Shapes: ``x`` [N, C], ``neighbor_index`` [k, N] to [N, C]."""

    def __init__(self, channels: int, norm: str = "batch") -> None:
        super().__init__()
        self.conv = FastEdgeConv(channels, channels)
        self.norm = node_norm(channels, norm)

    def forward(self, x: Tensor, neighbor_index: Tensor) -> Tensor:
        return added(F.leaky_relu(self.norm(self.conv(x, neighbor_index=neighbor_index)), SLOPE, inplace=True), x)


class Chain(nn.ModuleList):
    """Consecutive blocks with the same neighbours: ``x`` [N, C], ``neighbor_index`` [k, N] to [N, C]."""

    def forward(self, x: Tensor, neighbor_index: Tensor) -> Tensor:
        for block in self:
            x = block(x, neighbor_index)
        return x


class Step(nn.Module):
    """From one level to the next, finer or coarser: ``act(norm(CrossEdgeConv))``. Shapes as in CrossEdgeConv."""

    def __init__(self, source_channels: int, target_channels: int, out_channels: int, norm: str = "batch") -> None:
        super().__init__()
        self.conv = CrossEdgeConv(source_channels, target_channels, out_channels)
        self.norm = node_norm(out_channels, norm)

    def forward(self, source: Tensor, target: Tensor, neighbor_index: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(source, target, neighbor_index)), SLOPE, inplace=True)


class Pyramid(nn.Module):
    """Encoder and decoder over the levels, with skip connections (as in a U-Net).

    Large neighbourhoods are cheap on coarse levels, which have few nodes. Only the first and the last block gather
    among all nodes.

    Args:
        widths: channels per level, finest first.
        depth: EdgeConv blocks at each coarse level on the way down; one more on the way up.
        context: add a pooled feature of the whole scan at the coarsest level.
        norm: see :func:`node_norm`.
        recompute: do not keep inner values of the blocks; compute them again in the backward pass.

    Shapes:
        - input: ``x`` [N, widths[0]], levels of the batch (:func:`find_levels`), ``batch`` [N], number of scans
        - output: [N, widths[0]]

    Raises:
        ConfigError: for ``widths``, a ``depth`` or a ``norm`` that are not valid.
        ShapeError: in a call with features of another shape, or with another number of levels.

    Example:
        >>> from toothgraph import GraphSpec, scan_graph, synthetic_arch
        >>> from toothgraph.nn.pyramid import find_levels
        >>> graph, _ = scan_graph(synthetic_arch(1, jaw=0, faces=2000), GraphSpec(faces=1000, k=8, spacings=(0.0, 3.0)))
        >>> x, scan = torch.rand(graph.num_nodes, 16), torch.zeros(graph.num_nodes, dtype=torch.long)
        >>> Pyramid([16, 32])(x, find_levels(graph, 8, 2), scan, 1).shape == x.shape
        True
    """

    def __init__(
        self,
        widths: Sequence[int],
        depth: int = 2,
        context: bool = False,
        norm: str = "batch",
        recompute: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(widths, Sequence) or not widths:
            raise ConfigError(f"expected widths as a sequence, one per level, got {widths!r}")
        for width in widths:
            check_count("widths", width)
        check_count("depth", depth, least=0)
        self.recompute = recompute
        self.channels = widths[0]
        self.entry = ResidualEdgeConv(widths[0], norm)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(Step(fine, fine, coarse, norm) for fine, coarse in pairs)
        self.deep = nn.ModuleList(Chain(ResidualEdgeConv(coarse, norm) for _ in range(depth)) for _, coarse in pairs)
        self.up = nn.ModuleList(Step(coarse, fine, fine, norm) for fine, coarse in pairs)
        self.after = nn.ModuleList(ResidualEdgeConv(fine, norm) for fine, _ in pairs)
        self.context = nn.Linear(2 * widths[-1], widths[-1]) if context else None

    def forward(self, x: Tensor, levels: Levels, batch: Tensor, size: int) -> Tensor:
        check_nodes(x, self.channels)
        if len(levels.nodes) != len(self.down) + 1:
            raise ShapeError(f"expected {len(self.down) + 1} levels, one per width, got {len(levels.nodes)}")
        check_rows("batch", batch, x.shape[0], "node", whole=True)
        check_device(x, batch=batch, levels=levels.nodes[0])
        x = self._call(self.entry, x, levels.within[0])
        kept = []
        for number, (down, deep) in enumerate(zip(self.down, self.deep, strict=True)):
            kept.append(x)
            x = self._call(down, x, x[levels.own[number]], levels.down[number])
            x = self._call(deep, x, levels.within[number + 1])
        if self.context is not None:
            scan = batch[levels.nodes[-1]]
            pooled = torch.cat([global_max_pool(x, scan, size), global_mean_pool(x, scan, size)], dim=1)
            x = x + F.leaky_relu(self.context(pooled), SLOPE)[scan]
        for number in reversed(range(len(kept))):
            x = added(self._call(self.up[number], x, kept[number], levels.up[number]), kept[number])
            x = self._call(self.after[number], x, levels.within[number])
        return x

    def _call(self, block: nn.Module, *args: Tensor) -> Tensor:
        found: Tensor = recomputed(block, block, *args) if self.recompute else block(*args)
        return found
