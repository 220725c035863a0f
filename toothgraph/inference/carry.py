"""From the coarse graph back to the scanner's own faces."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.mesh.mesh import Mesh

NEIGHBORS = 4
NORMAL_LENGTH = 1.0  # mm that a normal turned by 60° counts; keeps the two walls of a narrow gap apart


def carry_up(coarse: Mesh, fine: Mesh, values: np.ndarray) -> np.ndarray:
    """Interpolate values of coarse faces on fine faces.

    Each fine face takes the mean of its nearest coarse faces, weighted by inverse squared distance, where
    distance counts both position and direction of the normal.

    Args:
        coarse: F' faces.
        fine: F faces of the same surface.
        values: [F', C].

    Returns:
        [F, C], dtype of ``values``.
    """
    if len(coarse.faces) == len(fine.faces) and np.array_equal(coarse.centroids, fine.centroids):
        return values
    tree = cKDTree(np.hstack([coarse.centroids, NORMAL_LENGTH * coarse.normals]))
    k = min(NEIGHBORS, len(coarse.faces))
    distance, near = tree.query(np.hstack([fine.centroids, NORMAL_LENGTH * fine.normals]), k=range(1, k + 1))
    weight = (1.0 / (distance**2 + 1e-4)).astype(values.dtype)  # [F, k]
    weight /= weight.sum(axis=1, keepdims=True)
    carried = np.zeros((len(fine.faces), values.shape[1]), dtype=values.dtype)
    for column in range(k):  # one neighbour at a time: memory stays at [F, C]
        carried += weight[:, column, None] * values[near[:, column]]
    return carried
