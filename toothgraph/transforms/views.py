"""Two views of one scan, and the pairs of their nodes at the same surface point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch_geometric.data import Data

from toothgraph.errors import ShapeError, check_kind, check_number
from toothgraph.graph.fields import check_graph, check_nodes
from toothgraph.seeding import sample_rng
from toothgraph.transforms.augment import Augmentation, augment, warn_of_own_classes
from toothgraph.transforms.base import RandomTransform
from toothgraph.transforms.crop import crop, cut_region


@dataclass(frozen=True)
class ViewOptions:
    """Options for two views.

    Attributes:
        min_share: minimum share of the faces in a view; a view has at least one face.
        max_share: maximum share of the faces in a view.
        quota: maximum number of faces in a view.
        radius: mm, maximum distance of two nodes at the same surface point.
        augmentation: augmentation of each view after cropping.

    Raises:
        ConfigError: for a share outside of 0 to 1, a maximum below the minimum, a quota below 1, or a radius that is
            not above 0.
    """

    min_share: float = 0.5
    max_share: float = 0.9
    quota: int = 10_000
    radius: float = 0.45
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        check_number("min_share of a view", self.min_share, least=0, most=1)
        check_number(f"max_share of a view (min_share is {self.min_share:g})", self.max_share,
                     above=0, least=self.min_share, most=1)  # fmt: skip
        check_number("quota of a view", self.quota, least=1, whole=True)
        check_number("radius of a match (mm)", self.radius, above=0)


def match(a: Data, b: Data, radius: float) -> np.ndarray:
    """Pairs of nodes at the same surface point: mutual nearest neighbours within ``radius`` (mm) with similar normals.

    Both graphs must be in the frame of the scan. Each node has at most one partner.

    Returns:
        [2, P] node indices into ``a`` and ``b``.

    Raises:
        ShapeError: for graphs without ``pos`` or ``normal``.
        ConfigError: for a radius that is not above 0.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> a, b = match(graph, graph, radius=0.3)  # each face with itself
        >>> bool((a == b).all())
        True
    """
    check_number("radius (mm)", radius, above=0)
    for graph in (a, b):
        check_graph(graph, "pos", "normal")
    pos_a, pos_b = a.pos.numpy(), b.pos.numpy()
    distance, nearest_b = cKDTree(pos_b).query(pos_a, distance_upper_bound=radius)
    found = np.flatnonzero(np.isfinite(distance))
    _, nearest_a = cKDTree(pos_a).query(pos_b)
    mutual = found[nearest_a[nearest_b[found]] == found]
    partner = nearest_b[mutual]
    alike = (a.normal.numpy()[mutual] * b.normal.numpy()[partner]).sum(axis=1) > 0
    return np.stack([mutual[alike], partner[alike]])


def two_views(
    variants: Sequence[Data], seed: int, epoch: int, scan_id: str, options: ViewOptions, *, exchange: bool = True
) -> tuple[Data, Data]:
    """Two augmented, overlapping regions of one scan, each from another tessellation.

    Args:
        variants: the graphs of the scan, each of another decimation, all in the frame of the scan.
        seed, epoch, scan_id: seed of the random values.
        options: sizes, matching radius and augmentation.
        exchange: see :func:`augment`.

    Returns:
        Two graphs. Both have ``match_index`` [P] (row p of one matches row p of the other) and ``match_pos`` [P, 3],
        the surface points in the frame of the scan (mm).

    Raises:
        ShapeError: if there are no graphs, or a graph has no nodes or lacks a field of
            :func:`toothgraph.graph.face_graph`; also if ``y`` are no classes of teeth, but would be exchanged (see
            :func:`augment`).
        ConfigError: for a seed or an epoch below 0.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> a, b = two_views([graph], seed=0, epoch=0, scan_id="007_U", options=ViewOptions())
        >>> torch.equal(a.match_pos, b.match_pos), torch.equal(a.y[a.match_index], b.y[b.match_index])
        (True, True)
    """
    if not isinstance(variants, Sequence) or not variants:
        raise ShapeError(
            f"expected a sequence of graphs of one scan, got {type(variants).__name__}; "
            "of one graph, give [graph]; toothgraph.data.prepare_scan makes several tessellations"
        )
    for graph in variants:
        check_graph(graph, "x", "pos", "normal", "edge_index")
        check_nodes(graph)
    check_kind("options", options, ViewOptions)
    check_kind("scan_id", scan_id, str)
    for name, value in (("seed", seed), ("epoch", epoch)):
        check_number(name, value, least=0, whole=True)
    # 1. Two tessellations.
    rngs = [sample_rng(seed, epoch, scan_id, view) for view in (0, 1)]
    first, second = choose_variants(rngs[0], len(variants))
    views: list[Data] = []
    graphs = variants[first], variants[second]
    # 2. Two regions; the centre of the second is inside the first, so that they overlap.
    anchor = graphs[0].pos.numpy()
    for rng, graph in zip(rngs, graphs, strict=True):
        centre = anchor[rng.integers(len(anchor))]
        share = rng.uniform(options.min_share, options.max_share)
        size = min(max(round(share * graph.num_nodes), 1), options.quota)
        view = crop(graph, cut_region(graph, centre, size))
        views.append(view)
        anchor = view.pos.numpy()
    # 3. Match, then augment.
    pairs = match(views[0], views[1], options.radius)
    point = views[0].pos[pairs[0]].clone()
    moved = [augment(view, rng, options.augmentation, exchange=exchange) for view, rng in zip(views, rngs, strict=True)]
    for view, index in zip(moved, pairs, strict=True):
        view.match_index = torch.from_numpy(index)
        view.match_pos = point
    return moved[0], moved[1]


def choose_variants(rng: np.random.Generator, count: int) -> tuple[int, int]:
    """Indices of two different tessellations; if there is only one, its index twice."""
    if count == 1:
        return 0, 0
    first, second = rng.choice(count, size=2, replace=False)
    return int(first), int(second)


def spread_candidates(data: Data, spacing: float) -> np.ndarray:
    """Match candidates of a view: nodes at least ``spacing`` mm apart, matched nodes first.

    Returns:
        [Q] node indices; nodes with a partner (``match_index``) come first.

    Raises:
        ShapeError: for a graph that is no view.
        ConfigError: for a spacing that is not above 0.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> a, _ = TwoViews(rng=0)(face_graph(synthetic_arch(1, jaw=0, faces=2000)))
        >>> apart = a.pos[spread_candidates(a, spacing=2.0)]
        >>> bool((torch.pdist(apart) >= 2.0).all())
        True
    """
    check_graph(data, "pos", "match_index")
    check_number("a spacing (mm)", spacing, above=0)
    pos = data.pos.numpy()
    matched = data.match_index.numpy()
    rest = np.setdiff1d(np.arange(len(pos)), matched)
    order = np.concatenate([matched, rest])
    near = cKDTree(pos).query_ball_point(pos[order], spacing, return_sorted=False)
    free = np.ones(len(pos), dtype=bool)
    chosen = []
    for node, around in zip(order, near, strict=True):
        if free[node]:
            chosen.append(node)
            free[around] = False
    return np.array(chosen)


@dataclass(eq=False)
class TwoViews(RandomTransform):
    """Two augmented, overlapping regions of one scan, as in pre-training: see :func:`two_views`.

    torch_geometric's ``DataLoader`` batches these pairs as it does all tuples: into a batch of first views and a batch
    of second views.

    ``y`` and other fields with one value per node are cut, and not changed otherwise, so they may be classes of your
    own. Only if the augmentation has a mirror image (by default it has none), classes of teeth change sides.

    Args:
        options: sizes, matching radius and augmentation.
        exchange: whether ``y`` are the 33 classes of teeth. If there may be a mirror image, give False for labels of
            your own, see :class:`MirrorArch`.
        rng: see :class:`RandomTransform`.

    Shapes:
        - input: a graph of :class:`FaceGraph`; or a list of graphs of one scan, each of another tessellation
          (``variants`` of :func:`toothgraph.data.prepare_scan`)
        - output: two graphs with ``match_index`` [P] and ``match_pos`` [P, 3] mm

    Raises:
        ShapeError: in a call with any other input.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> first, second = TwoViews(rng=0)(face_graph(synthetic_arch(1, jaw=0, faces=2000)))
        >>> len(first.match_index) == len(second.match_index) > 100
        True
    """

    options: ViewOptions = field(default_factory=ViewOptions)
    exchange: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kind("options", self.options, ViewOptions)

    def forward(self, data: Data | Sequence[Data]) -> tuple[Data, Data]:
        graphs = data if isinstance(data, Sequence) else [data]
        check_graph(graphs[0] if graphs else None)
        name = str(graphs[0].get("scan_id", ""))
        seed = int(self.generator().integers(2**31))
        views = two_views(graphs, seed, 0, name, self.options, exchange=self.exchange)
        if self.exchange and self.options.augmentation.mirror > 0:
            warn_of_own_classes(views[0])
        return views

    def _of_graph(self, graph: Data) -> tuple[Data, Data]:
        return self.forward(graph)
