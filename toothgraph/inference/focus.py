"""Where on a scan the teeth are, so that a model base or a patch of cheek does not take the net's faces."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.graph.adjacency import face_adjacency, label_pieces
from toothgraph.mesh.mesh import Mesh

MARGIN = 10.0  # mm around the teeth that stay; training scans are cut about like that
SPECK = 10.0  # mm²; a smaller island of tooth faces is none
WORTH = 0.9  # nothing is cut where more of the area than this would stay


def arch_faces(coarse: Mesh, gingiva: np.ndarray, mesh: Mesh) -> np.ndarray | None:
    """The faces near what a first look found to be teeth.

    Args:
        coarse: the surface the net looked at, F' faces.
        gingiva: [F'] its probability of gingiva.
        mesh: the same surface, F faces.

    Returns:
        [F] bool; None where there is nothing to cut: no tooth was found, or nearly all is near one.
    """
    tooth = tooth_faces(coarse, gingiva)
    if not tooth.any():
        return None
    distance, _ = cKDTree(coarse.centroids[tooth]).query(mesh.centroids, distance_upper_bound=MARGIN)
    near: np.ndarray = np.isfinite(distance)
    return near if mesh.areas[near].sum() < WORTH * mesh.areas.sum() else None


def tooth_faces(mesh: Mesh, gingiva: np.ndarray) -> np.ndarray:
    """Faces that are rather tooth than gingiva, without specks. [F] bool."""
    tooth = gingiva < 0.5
    piece = label_pieces(tooth, face_adjacency(mesh.faces))
    large = np.bincount(piece, weights=mesh.areas) >= SPECK
    return tooth & large[piece]
