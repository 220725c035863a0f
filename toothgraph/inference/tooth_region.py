"""Where on a scan the teeth are, so that a model base or a patch of cheek does not take the net's faces."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import label_pieces
from toothgraph.rules import DEFAULT, RegionRules


def arch_faces(coarse: Mesh, gingiva: np.ndarray, mesh: Mesh, rules: RegionRules = DEFAULT.region) -> np.ndarray | None:
    """The faces near what a first look found to be teeth.

    Args:
        coarse: the surface the net looked at, F' faces.
        gingiva: [F'] its probability of gingiva.
        mesh: the same surface, F faces.
        rules: how much stays about the teeth.

    Returns:
        [F] bool; None where there is nothing to cut: no tooth was found, or nearly all is near one.
    """
    tooth = tooth_faces(coarse, gingiva, rules)
    if not tooth.any():
        return None
    distance, _ = cKDTree(coarse.centroids[tooth]).query(mesh.centroids, distance_upper_bound=rules.margin)
    near: np.ndarray = np.isfinite(distance)
    return near if mesh.areas[near].sum() < rules.worth * mesh.areas.sum() else None


def tooth_faces(mesh: Mesh, gingiva: np.ndarray, rules: RegionRules = DEFAULT.region) -> np.ndarray:
    """Faces that are rather tooth than gingiva, without small islands. [F] bool."""
    tooth = gingiva < 0.5
    piece = label_pieces(tooth, mesh.adjacency)
    large = np.bincount(piece, weights=mesh.areas) >= rules.island
    return tooth & large[piece]
