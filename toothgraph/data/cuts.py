"""What a labelled scan may lack: a region, the gum far from the teeth, teeth, or the room a tooth once had."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch_geometric.data import Data

from toothgraph.data.extraction import extracted
from toothgraph.data.scans import plain
from toothgraph.data.views import crop, cut_region
from toothgraph.graph.spec import GraphSpec

TRIM = (2.0, 10.0)  # mm of gum that stays about the teeth


@dataclass(frozen=True)
class Cuts:
    """How often what is taken away from a scan: probabilities, each by its own.

    Attributes:
        extraction: teeth whose gap then closes, see :func:`toothgraph.data.extraction.extracted`.
        region: what lies beyond a part of the surface, as in a partial scan; at least half stays.
        trim: what lies far from the teeth, see :func:`trimmed`.
        missing: teeth whose gap stays open, see :func:`without_teeth`.
    """

    extraction: float = 0.0
    region: float = 0.3
    trim: float = 0.3
    missing: float = 0.3


WHOLE = Cuts(0.0, 0.0, 0.0, 0.0)


def cut(graph: Data, rng: np.random.Generator, how: Cuts, spec: GraphSpec) -> Data:
    """The graph with something taken away, or nothing; ``spec`` is that of its neighbour tables."""
    if rng.uniform() < how.extraction:
        graph = extracted(graph, rng, spec)
    if rng.uniform() < how.region:
        centre = graph.pos.numpy()[rng.integers(graph.num_nodes)]
        graph = crop(graph, cut_region(graph, centre, round(rng.uniform(0.5, 1.0) * graph.num_nodes)))
    if rng.uniform() < how.trim:
        graph = trimmed(graph, rng.uniform(*TRIM))
    if rng.uniform() < how.missing:
        graph = without_teeth(graph, rng)
    return graph


def centred(graph: Data) -> Data:
    """The graph with the centre of its surface as the origin, as a scan of just this region would have it."""
    centre = (graph.pos * graph.area[:, None]).sum(dim=0) / graph.area.sum().clamp_min(1e-12)
    out = plain(graph)
    out.pos = graph.pos - centre
    out.x = torch.cat([out.pos, graph.x[:, 3:]], dim=1)
    return out


def trimmed(graph: Data, margin: float) -> Data:
    """The graph without the nodes farther than ``margin`` mm from every tooth: some scans show little of the gum."""
    pos, tooth = graph.pos.numpy(), (graph.y > 0).numpy()
    if not tooth.any():
        return graph
    distance, _ = cKDTree(pos[tooth]).query(pos, distance_upper_bound=margin)
    return crop(graph, np.flatnonzero(np.isfinite(distance)))


def without_teeth(graph: Data, rng: np.random.Generator) -> Data:
    """The graph without the nodes of up to four of its teeth, so that numbers cannot be told by counting alone.

    At least four teeth stay.
    """
    teeth = torch.unique(graph.y[graph.y > 0]).numpy()
    count = min(int(rng.integers(1, 5)), len(teeth) - 4)
    if count < 1:
        return graph
    drawn = rng.choice(teeth, size=count, replace=False)
    return crop(graph, np.flatnonzero(~np.isin(graph.y.numpy(), drawn)))
