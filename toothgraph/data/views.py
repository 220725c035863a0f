"""Two views of one scan, and which of their nodes show the same point of the surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch_geometric.data import Data

from toothgraph.data.augment import Augmentation, augment
from toothgraph.data.seeding import sample_rng
from toothgraph.graph.neighbors import crop_table, surface_distance

NODE_FIELDS = ("x", "pos", "normal", "area", "level", "y")


@dataclass(frozen=True)
class ViewOptions:
    """How two views are drawn.

    Attributes:
        min_share: least share of the surface's faces a view keeps.
        max_share: largest share of them.
        quota: most faces of a view; one with fewer uses all of them.
        radius: mm within which two nodes show the same surface point.
        augmentation: what happens to each view after cutting.
    """

    min_share: float = 0.5
    max_share: float = 0.9
    quota: int = 10_000
    radius: float = 0.45
    augmentation: Augmentation = field(default_factory=Augmentation)


def cut_region(data: Data, centre: np.ndarray, size: int) -> np.ndarray:
    """The ``size`` nodes nearest to a point along the surface. [size] node indices, ascending.

    Nodes of other components come after all that the surface reaches, by straight distance.
    """
    size = min(size, data.num_nodes)
    straight = np.linalg.norm(data.pos.numpy() - centre, axis=1)
    pos = data.pos.numpy().astype(np.float64)
    along = surface_distance(pos, data.edge_index.numpy(), int(straight.argmin()))
    along = np.where(np.isfinite(along), along, 1e6 + straight)
    return np.sort(np.argpartition(along, size - 1)[:size])


def crop(data: Data, keep: np.ndarray) -> Data:
    """The graph of a subset of the nodes. A neighbour that was cut away becomes the node itself."""
    index = torch.from_numpy(keep)
    out = Data(**{key: value[index] if key in NODE_FIELDS else value for key, value in data.items()})
    new = torch.full((data.num_nodes,), -1)
    new[index] = torch.arange(len(index))
    edges = new[data.edge_index]
    out.edge_index = edges[:, (edges >= 0).all(dim=0)]
    if "neighbor_index" in data:
        out.neighbor_index = torch.from_numpy(crop_table(data.neighbor_index.numpy(), keep))
    return out


def match(a: Data, b: Data, radius: float) -> np.ndarray:
    """Nodes that show the same surface point: nearest to each other, within ``radius``, facing alike.

    Both graphs must lie in the scan's own frame. Each node has at most one partner.

    Returns:
        [2, P] node indices into ``a`` and ``b``.
    """
    pos_a, pos_b = a.pos.numpy(), b.pos.numpy()
    distance, nearest_b = cKDTree(pos_b).query(pos_a, distance_upper_bound=radius)
    found = np.flatnonzero(np.isfinite(distance))
    _, nearest_a = cKDTree(pos_a).query(pos_b)
    mutual = found[nearest_a[nearest_b[found]] == found]
    partner = nearest_b[mutual]
    alike = (a.normal.numpy()[mutual] * b.normal.numpy()[partner]).sum(axis=1) > 0
    return np.stack([mutual[alike], partner[alike]])


def two_views(variants: Sequence[Data], seed: int, epoch: int, scan_id: str, options: ViewOptions) -> tuple[Data, Data]:
    """Two augmented, overlapping regions of one scan, each from its own tessellation.

    Args:
        variants: the scan's graphs, each of another decimation, all in the scan's own frame.
        seed, epoch, scan_id: what the views are drawn from.
        options: sizes, matching radius and augmentation.

    Returns:
        Two graphs. Both carry ``match_index`` [P], rows of the two belonging together, and ``match_pos``
        [P, 3], the surface points in the scan's own frame (mm).
    """
    rngs = [sample_rng(seed, epoch, scan_id, view) for view in (0, 1)]
    first, second = choose_variants(rngs[0], len(variants))
    views: list[Data] = []
    graphs = variants[first], variants[second]
    anchor = graphs[0].pos.numpy()
    for rng, graph in zip(rngs, graphs, strict=True):
        # The second region is centred inside the first, so that they overlap.
        centre = anchor[rng.integers(len(anchor))]
        share = rng.uniform(options.min_share, options.max_share)
        size = min(round(share * graph.num_nodes), options.quota)
        view = crop(graph, cut_region(graph, centre, size))
        views.append(view)
        anchor = view.pos.numpy()
    pairs = match(views[0], views[1], options.radius)
    point = views[0].pos[pairs[0]].clone()
    moved = [augment(view, rng, options.augmentation) for view, rng in zip(views, rngs, strict=True)]
    for view, index in zip(moved, pairs, strict=True):
        view.match_index = torch.from_numpy(index)
        view.match_pos = point
    return moved[0], moved[1]


def choose_variants(rng: np.random.Generator, count: int) -> tuple[int, int]:
    """Two different tessellations where there are two, else the only one twice."""
    if count == 1:
        return 0, 0
    first, second = rng.choice(count, size=2, replace=False)
    return int(first), int(second)


def spread_candidates(data: Data, spacing: float) -> np.ndarray:
    """Match candidates of a view: nodes at least ``spacing`` mm apart, matched nodes first.

    Returns:
        [Q] node indices; those with a partner (``match_index``) stand first.
    """
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
