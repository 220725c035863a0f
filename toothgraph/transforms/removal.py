"""Remove parts of a labelled scan: a region, gingiva far from the teeth, or teeth (gap open or closed)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch_geometric.data import Data

from toothgraph.errors import check_kind, check_number
from toothgraph.graph.fields import check_graph
from toothgraph.graph.spec import GraphSpec
from toothgraph.transforms.augment import check_generator
from toothgraph.transforms.close_gap import close_gap
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
    """

    extraction: float = 0.0
    region: float = 0.3
    trim: float = 0.3
    missing: float = 0.3


NOTHING_REMOVED = Removal(0.0, 0.0, 0.0, 0.0)


def remove_parts(graph: Data, rng: np.random.Generator, how: Removal, spec: GraphSpec) -> Data:
    """The graph after random removals (possibly none); ``spec`` is the specification of its neighbour tables.

    Raises:
        ShapeError: for a graph without labels.
    """
    check_graph(graph, "pos", "edge_index", "y")
    check_generator(rng)
    check_kind("how", how, Removal)
    check_kind("spec", spec, GraphSpec)
    if rng.uniform() < how.extraction:
        graph = close_gap(graph, rng, spec)
    if rng.uniform() < how.region:
        centre = graph.pos.numpy()[rng.integers(graph.num_nodes)]
        graph = crop(graph, cut_region(graph, centre, round(rng.uniform(0.5, 1.0) * graph.num_nodes)))
    if rng.uniform() < how.trim:
        graph = trimmed(graph, rng.uniform(*TRIM))
    if rng.uniform() < how.missing:
        graph = without_teeth(graph, rng)
    return graph


def centred(graph: Data) -> Data:
    """The graph with the centre of its surface as the origin, like a scan of only this region."""
    centre = (graph.pos * graph.area[:, None]).sum(dim=0) / graph.area.sum().clamp_min(1e-12)
    out = plain(graph)
    out.pos = graph.pos - centre
    out.x = torch.cat([out.pos, graph.x[:, 3:]], dim=1)
    return out


def trimmed(graph: Data, margin: float) -> Data:
    """The graph without nodes farther than ``margin`` mm from all teeth: some scans have little gingiva.

    Raises:
        ShapeError: for a graph without labels.
        ConfigError: for a negative margin.
    """
    check_graph(graph, "pos", "y")
    check_number("margin (mm)", margin, least=0)
    pos, tooth = graph.pos.numpy(), (graph.y > 0).numpy()
    if not tooth.any():
        return graph
    distance, _ = cKDTree(pos[tooth]).query(pos, distance_upper_bound=margin)
    return crop(graph, np.flatnonzero(np.isfinite(distance)))


def without_teeth(graph: Data, rng: np.random.Generator) -> Data:
    """The graph without one to four random teeth, so that a network cannot find numbers only by counting.

    At least four teeth are kept.

    Raises:
        ShapeError: for a graph without labels.
    """
    check_graph(graph, "y")
    check_generator(rng)
    teeth = torch.unique(graph.y[graph.y > 0]).numpy()
    count = min(int(rng.integers(1, 5)), len(teeth) - 4)
    if count < 1:
        return graph
    drawn = rng.choice(teeth, size=count, replace=False)
    return crop(graph, np.flatnonzero(~np.isin(graph.y.numpy(), drawn)))
