"""Embeddings of the faces of a scan: alike for faces of one tooth, different for faces beside it.

A net computes them before it names teeth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch.nn.functional import normalize

from toothgraph.graph.spec import scan_graph
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.nets import SegmentationNet


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embedding of a scan.

    Attributes:
        places: [C, 3] mm, the centroids of the faces of the net's graph.
        values: [C, D] embeddings, each of length 1.
    """

    places: np.ndarray
    values: np.ndarray

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.places)

    def of(self, mesh: Mesh) -> np.ndarray:
        """The embedding of each face of another mesh of the same scan, taken from the nearest place. [F, D]"""
        found: np.ndarray = self.values[self._tree.query(mesh.centroids)[1]]
        return found


@torch.no_grad()
def embed(net: SegmentationNet, mesh: Mesh) -> Embedded | None:
    """The embedding of a scan by the backbone of a net; None if it depends on how the scan lies."""
    if not net.backbone.pose_invariant:
        return None
    graph, decimated = scan_graph(mesh.with_labels(None), net.config.graph)
    device = next(net.parameters()).device
    values = normalize(net.backbone(graph.to(device)), dim=1).cpu().numpy()
    return Embedded(decimated.mesh.centroids, values)
