"""Remove parts of a labelled scan: a region, gingiva far from the teeth, or teeth (gap open or closed)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch_geometric.data import Data

from toothgraph.errors import check_kind, check_number
from toothgraph.fdi import check_classes, fdi_to_class, named_teeth
from toothgraph.graph.fields import check_graph, check_nodes
from toothgraph.graph.spec import GraphSpec
from toothgraph.mesh.checks import check_generator
from toothgraph.transforms.augment import warn_of_own_classes
from toothgraph.transforms.base import GraphTransform, RandomTransform, before_own_classes, spec_after_move
from toothgraph.transforms.close_gap import close_gap, warn_of_own_frame
from toothgraph.transforms.crop import crop, cut_region, plain

TRIM = (2.0, 10.0)  # mm of gingiva that is kept around the teeth


@dataclass(frozen=True)
class Removal:
    """Probabilities of removals from a scan, independent of each other.

    Attributes:
        extraction: remove a tooth and close its gap, see :func:`toothgraph.transforms.close_gap.close_gap`.
        region: keep only a region, as in a partial scan; at least half of the nodes are kept.
        trim: remove gingiva far from the teeth, see :func:`trimmed`.
        missing: remove teeth and leave the gaps open, see :func:`without_teeth`.

    Raises:
        ConfigError: for a value that is no probability.
    """

    extraction: float = 0.0
    region: float = 0.3
    trim: float = 0.3
    missing: float = 0.3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_number(f"probability {name} of a removal", value, least=0, most=1)


NOTHING_REMOVED = Removal(0.0, 0.0, 0.0, 0.0)


def remove_parts(graph: Data, rng: np.random.Generator, how: Removal, spec: GraphSpec) -> Data:
    """The graph after random removals (possibly none); ``spec`` is the specification of its neighbour tables.

    Raises:
        ShapeError: for a graph without nodes or labels, or, if teeth may be removed, with FDI numbers as labels.

    Example:
        >>> from toothgraph import scan_graph, synthetic_arch
        >>> spec = GraphSpec(faces=1000)
        >>> graph, _ = scan_graph(synthetic_arch(1, jaw=0, faces=2000), spec)
        >>> part = remove_parts(graph, np.random.default_rng(0), Removal(region=0, trim=0, missing=1), spec)
        >>> part.num_nodes < graph.num_nodes
        True
    """
    check_graph(graph, "pos", "edge_index", "y")
    check_generator(rng)
    check_kind("how", how, Removal)
    check_kind("spec", spec, GraphSpec)
    check_nodes(graph)
    if how.extraction > 0 or how.missing > 0:  # checked in each call, not only if a tooth is drawn
        check_classes(graph.y.numpy(), "y")
    if rng.uniform() < how.extraction:
        graph = close_gap(graph, rng, spec)
    if rng.uniform() < how.region:
        centre = graph.pos.numpy()[rng.integers(graph.num_nodes)]
        graph = crop(graph, cut_region(graph, centre, max(round(rng.uniform(0.5, 1.0) * graph.num_nodes), 1)))
    if rng.uniform() < how.trim:
        graph = trimmed(graph, rng.uniform(*TRIM))
    if rng.uniform() < how.missing:
        graph = without_teeth(graph, rng)
    return graph


def centred(graph: Data) -> Data:
    """The graph with the centre of its surface as the origin, like a scan of only this region.

    Raises:
        ShapeError: for a graph without ``x``, ``pos`` and ``area``.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> moved = centred(face_graph(synthetic_arch(1, jaw=0, faces=2000), origin=[9.0, 0, 0]))
        >>> torch.allclose(moved.pos, graph.pos, atol=1e-4)
        True
    """
    check_graph(graph, "x", "pos", "area")
    centre = (graph.pos * graph.area[:, None]).sum(dim=0) / graph.area.sum().clamp_min(1e-12)
    out = plain(graph)
    out.pos = graph.pos - centre
    out.x = torch.cat([out.pos, graph.x[:, 3:]], dim=1)
    return out


def trimmed(graph: Data, margin: float) -> Data:
    """The graph without nodes farther than ``margin`` mm from all teeth, like a scan with little gingiva.

    Raises:
        ShapeError: for a graph without labels.
        ConfigError: for a negative margin.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> trimmed(graph, margin=2.0).num_nodes < graph.num_nodes
        True
    """
    check_graph(graph, "pos", "y")
    check_number("margin (mm)", margin, least=0)
    pos, tooth = graph.pos.numpy(), (graph.y > 0).numpy()
    if not tooth.any():
        return graph
    distance, _ = cKDTree(pos[tooth]).query(pos)
    return crop(graph, np.flatnonzero(distance <= margin))


def without_teeth(graph: Data, rng: np.random.Generator) -> Data:
    """The graph without one to four random teeth, so that a network cannot find numbers only by counting.

    At least four teeth are kept.

    Raises:
        ShapeError: for a graph without labels, or with FDI numbers as labels.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> fewer = without_teeth(graph, np.random.default_rng(0))
        >>> 1 <= len(graph.y.unique()) - len(fewer.y.unique()) <= 4
        True
    """
    check_graph(graph, "y")
    check_generator(rng)
    check_classes(graph.y.numpy(), "y")
    teeth = torch.unique(graph.y[graph.y > 0]).numpy()
    count = min(int(rng.integers(1, 5)), len(teeth) - 4)
    if count < 1:
        return graph
    drawn = rng.choice(teeth, size=count, replace=False)
    return crop(graph, np.flatnonzero(~np.isin(graph.y.numpy(), drawn)))


def without(graph: Data, teeth: Collection[int]) -> Data:
    """The graph without the given teeth. A tooth that the graph does not have is ignored.

    Args:
        graph: a graph with labels.
        teeth: FDI numbers of the teeth to remove.

    Raises:
        ShapeError: for a graph without labels, or with FDI numbers as labels.
        ConfigError: for a number that is no permanent tooth, or for one number in place of several.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> without(graph, [11, 21]).y.unique().tolist()  # classes 1 and 9 are gone
        [0, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15]
    """
    check_graph(graph, "edge_index", "y")
    check_classes(graph.y.numpy(), "y")
    gone = fdi_to_class(np.array(named_teeth("teeth", teeth), dtype=np.int64))
    return crop(graph, np.flatnonzero(~np.isin(graph.y.numpy(), gone)))


@dataclass(eq=False)
class RemoveTeeth(RandomTransform):
    """Remove teeth and leave the gaps open: random teeth (:func:`without_teeth`), or given teeth (:func:`without`).

    Args:
        teeth: FDI numbers; None draws one to four of the teeth of the graph, and keeps at least four.
        rng: see :class:`RandomTransform`.

    Shapes:
        - input: ``edge_index`` and ``y`` [N], classes of teeth (:mod:`toothgraph.fdi`): 0 gingiva, 1 to 32, -1 for
          unknown. If you make labels of your own from the classes, such as tooth and gingiva, do it after this step.
        - output: fewer nodes; all fields are cut, also the tables

    Raises:
        ConfigError: for a number that is no permanent tooth, or for one number in place of several.
        ShapeError: in a call with a graph without labels, or with FDI numbers as labels.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> from toothgraph.fdi import class_to_fdi
        >>> graph = RemoveTeeth((12, 22))(face_graph(synthetic_arch(1, jaw=0, faces=2000)))
        >>> sorted(set(class_to_fdi(graph.y).tolist()))
        [0, 11, 13, 14, 15, 16, 17, 21, 23, 24, 25, 26, 27]
    """

    teeth: Collection[int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.teeth is not None:
            named_teeth("teeth", self.teeth)

    def _of_graph(self, graph: Data) -> Data:
        check_graph(graph, "y")
        warn_of_own_classes(graph, before_own_classes(self))
        if self.teeth is None:
            return without_teeth(graph, self.generator())
        return without(graph, self.teeth)


@dataclass(eq=False)
class RemoveParts(RandomTransform):
    """The removals of training, see :func:`remove_parts`.

    For extractions, the graph must be in the frame of the networks, see :class:`CloseGap`.

    Args:
        how: probability of each removal.
        spec: specification of the neighbour tables, which are computed again after an extraction; a graph without
            tables gets none.
        rng: see :class:`RandomTransform`.

    Shapes:
        - input: a graph of :class:`FaceGraph` with ``y`` [N] classes; for extractions in the frame of the networks
        - output: fewer nodes, or the same; all fields are cut, also the tables

    Raises:
        ConfigError: in a call with a graph that has tables, if ``spec`` is None and extractions are possible.
        ShapeError: in a call with a graph without labels, or, if teeth may be removed, with FDI numbers as labels.

    Example:
        >>> from toothgraph import GraphSpec, scan_graph, synthetic_arch
        >>> spec = GraphSpec(faces=1000)
        >>> graph, _ = scan_graph(synthetic_arch(1, jaw=0, faces=2000), spec)
        >>> part = RemoveParts(Removal(region=1, trim=0, missing=0), spec, rng=0)(graph)
        >>> graph.num_nodes // 2 <= part.num_nodes < graph.num_nodes
        True
    """

    how: Removal = Removal()
    spec: GraphSpec | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kind("how", self.how, Removal)
        if self.spec is not None:
            check_kind("spec", self.spec, GraphSpec)

    def _of_graph(self, graph: Data) -> Data:
        if self.how.extraction > 0 or self.how.missing > 0:
            warn_of_own_classes(graph, before_own_classes(self))
        spec = spec_after_move(self, graph, self.spec) if self.how.extraction > 0 else GraphSpec()  # else not read
        part = remove_parts(graph, self.generator(), self.how, spec)
        if self.how.extraction > 0:
            warn_of_own_frame(graph, self)
        return part


@dataclass(eq=False)
class CentreSurface(GraphTransform):
    """Move the origin to the area-weighted centre of the surface, as training does after :class:`RemoveParts`.

    ``torch_geometric.transforms.Center`` uses the mean of the nodes, which depends on the mesh, and does not change
    ``x``.

    Shapes:
        - input and output: ``x`` [N, 15], ``pos`` [N, 3] mm, ``area`` [N] mm²

    Raises:
        ShapeError: in a call with a graph without these fields.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = CentreSurface()(face_graph(synthetic_arch(1, jaw=0, faces=2000), origin=[9.0, 0, 0]))
        >>> bool(((graph.pos * graph.area[:, None]).sum(dim=0).abs() < 1).all())
        True
    """

    def _of_graph(self, graph: Data) -> Data:
        return centred(graph)
