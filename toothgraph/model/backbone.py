"""The default backbone: invariant pair geometry, then a U-shaped network of factorised EdgeConvs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.utils import scatter

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.graph.fields import check_fields
from toothgraph.model.config import FEATURES, WIDTHS, check_levels
from toothgraph.nn.checks import described
from toothgraph.nn.pair_geometry import PairGeometryConv
from toothgraph.nn.pyramid import LENGTH, Levels, Pyramid, dense, find_levels, node_norm

FACE_SHAPE = 3  # channels of face_shape
FINEST_SPACING = 0.7  # mm, approximate distance of neighbouring faces on a scan of the default size


class GeometryBackbone(nn.Module):
    """Node embeddings that are invariant to rotation and translation of the scan.

    The input of the first layer is only the relative geometry of neighbouring faces (:class:`PairGeometryConv`). So the
    network cannot recognise a face by its absolute position.

    Args:
        k: neighbours per level of the table.
        spacings: mm, node spacing of each level (see :func:`toothgraph.graph.dilated_tables`).
        widths: channels per level.
        pair_channels: channels of the pair-geometry layer, per level.
        out_channels: D.
        features: ``pair``; ``shape`` adds :func:`face_shape`; ``coordinates`` uses only coordinates and normals, and
            the embeddings are then not invariant.
        norm: ``batch`` or ``layer``.
        recompute: see :class:`toothgraph.nn.pyramid.Pyramid`.

    Shapes:
        - input: a batch, or one graph, with ``pos`` [N, 3] mm, ``normal`` [N, 3], ``neighbor_index``
          [len(spacings)·k, N], ``level`` [N]; for ``shape`` also ``area`` [N] mm² and ``edge_index`` [2, E];
          optionally ``levels`` from :func:`toothgraph.nn.pyramid.find_levels`, if they are known already
        - output: [N, D]

    Raises:
        ConfigError: for options that do not fit each other, such as widths that are not one per spacing.
        ShapeError: in a call with a graph that lacks one of these fields, or with tables of another ``k`` or number of
            levels, and, on a CPU, with neighbours that do not exist. The text says how to make the graph.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> from toothgraph import GraphSpec, scan_graph
        >>> spec = GraphSpec(faces=500, k=6)
        >>> graph, _ = scan_graph(arch, spec)
        >>> backbone = GeometryBackbone(spec.k, spec.spacings, out_channels=32)
        >>> backbone(graph).shape == (graph.num_nodes, 32)
        True
    """

    def __init__(
        self,
        k: int,
        spacings: Sequence[float],
        widths: Sequence[int] = WIDTHS,
        pair_channels: int = 32,
        out_channels: int = 96,
        features: str = "pair",
        norm: str = "batch",
        recompute: bool = False,
    ) -> None:
        super().__init__()
        check_levels(k, spacings, {"widths": widths})
        if features not in FEATURES:
            raise ConfigError(f"expected features of {', '.join(FEATURES)}, got {features!r}")
        self.features = features
        self.pose_invariant = features != "coordinates"
        self.k = k
        self.num_levels = len(spacings)
        self.out_channels = out_channels
        scales = [2.0 * max(spacing, FINEST_SPACING) for spacing in spacings]
        self.pair = PairGeometryConv(k, scales, pair_channels) if features != "coordinates" else None
        channels = (self.pair.out_channels if self.pair else 6) + (FACE_SHAPE if features == "shape" else 0)
        self.inlet = nn.Sequential(node_norm(channels, norm), dense(channels, widths[0], norm))
        self.pyramid = Pyramid(widths, norm=norm, recompute=recompute)
        self.outlet = dense(widths[0], out_channels, norm)

    def forward(self, data: Data, levels: Levels | None = None) -> Tensor:
        data = as_batch(data)
        check_fields(data, "pos", "normal", *(("area", "edge_index") if self.features == "shape" else ()))
        levels = find_levels(data, self.k, self.num_levels) if levels is None else levels
        if self.pair is None:
            x = torch.cat([data.pos / LENGTH, data.normal], dim=1)
        else:
            x = self.pair(data.pos, data.normal, data.neighbor_index)
        if self.features == "shape":
            x = torch.cat([x, face_shape(data)], dim=1)
        return self.outlet(self.pyramid(self.inlet(x), levels, data.batch, count_graphs(data)))


def as_batch(data: Data) -> Data:
    """Return a batch unchanged, and a single graph as a batch of one graph.

    Raises:
        ShapeError: for anything but a graph, or for a graph without nodes.
    """
    if not isinstance(data, Data):
        listed = "; torch_geometric.data.Batch.from_data_list joins several" if isinstance(data, list | tuple) else ""
        raise ShapeError(
            f"expected a graph or a Batch of graphs (torch_geometric.data), got {described(data)}{listed}; "
            "toothgraph.scan_graph(mesh, spec) makes a graph, toothgraph.segment labels a mesh"
        )
    if not data.num_nodes:
        raise ShapeError("expected a graph with nodes, got one without")
    if data.batch is None:
        return Batch.from_data_list([data])
    return data


def count_graphs(data: Data) -> int:
    """The number of graphs in a batch."""
    return data.num_graphs if isinstance(data, Batch) else int(data.batch.max()) + 1


def face_shape(data: Data) -> Tensor:
    """Area and bend of each face: [N, 3] log of the area in mm², mean and largest dihedral angle.

    They do not depend on the pose of the scan. The angles, in radians, are between a face and its neighbours in
    ``edge_index`` (usually up to three). In the mean, convex angles are positive. The largest angle has no sign.
    """
    source, target = data.edge_index
    cosine = (data.normal[source] * data.normal[target]).sum(dim=1).clamp(-1, 1)
    side = ((data.pos[source] - data.pos[target]) * data.normal[target]).sum(dim=1)  # negative: convex
    angle = torch.where(side < 0, 1.0, -1.0) * torch.acos(cosine)
    n = data.num_nodes
    mean = scatter(angle, target, dim=0, dim_size=n, reduce="mean")
    largest = scatter(angle.abs(), target, dim=0, dim_size=n, reduce="max")
    return torch.stack([data.area.clamp_min(1e-6).log(), mean, largest], dim=1)
