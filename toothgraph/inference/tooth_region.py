"""Find where the teeth are on a scan, so that a model base or a patch of cheek does not use up the net's faces."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import label_pieces
from toothgraph.rules import DEFAULT, RegionRules


def arch_faces(coarse: Mesh, gingiva: np.ndarray, mesh: Mesh, rules: RegionRules = DEFAULT.region) -> np.ndarray | None:
    """The faces near the teeth that a first look found; None if nothing is to be cut off.

    Args:
        coarse: the surface that the net looked at, F' faces.
        gingiva: [F'] probability of gingiva on it.
        mesh: the same surface, F faces.
        rules: how much surface is kept around the teeth.

    Returns:
        [F] bool; None if no tooth was found, or if nearly all of the surface is near a tooth.
    """
    tooth = tooth_faces(coarse, gingiva, rules)
    if not tooth.any():
        return None
    distance, _ = cKDTree(coarse.centroids[tooth]).query(mesh.centroids, distance_upper_bound=rules.margin)
    near: np.ndarray = np.isfinite(distance)
    return near if mesh.areas[near].sum() < rules.worth * mesh.areas.sum() else None


def tooth_faces(mesh: Mesh, gingiva: np.ndarray, rules: RegionRules = DEFAULT.region) -> np.ndarray:
    """Faces that are more likely tooth than gingiva, without small islands. [F] bool."""
    tooth = gingiva < 0.5
    piece = label_pieces(tooth, mesh.adjacency)
    large = np.bincount(piece, weights=mesh.areas) >= rules.island
    return tooth & large[piece]
