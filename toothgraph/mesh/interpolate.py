"""Interpolation from the coarse mesh to the faces of the scan."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.mesh.mesh import Mesh
from toothgraph.rules import DEFAULT, InterpolationRules


def interpolate(
    coarse: Mesh, fine: Mesh, values: np.ndarray, rules: InterpolationRules = DEFAULT.interpolation
) -> np.ndarray:
    """Interpolate values from coarse faces to fine faces.

    Each fine face takes the mean of its nearest coarse faces, weighted by the inverse squared distance. The distance
    includes position and direction of the normal.

    Args:
        coarse: F' faces.
        fine: F faces of the same surface.
        values: [F', C].
        rules: number of coarse faces and weight of the normals.

    Returns:
        [F, C], dtype of ``values``.
    """
    if len(coarse.faces) == len(fine.faces) and np.array_equal(coarse.centroids, fine.centroids):
        return values
    tree = cKDTree(np.hstack([coarse.centroids, rules.normal_length * coarse.normals]))
    k = min(rules.neighbors, len(coarse.faces))
    distance, near = tree.query(np.hstack([fine.centroids, rules.normal_length * fine.normals]), k=range(1, k + 1))
    weight = (1.0 / (distance**2 + 1e-4)).astype(values.dtype)  # [F, k]
    weight /= weight.sum(axis=1, keepdims=True)
    carried = np.zeros((len(fine.faces), values.shape[1]), dtype=values.dtype)
    for column in range(k):  # one neighbour at a time, for [F, C] of memory
        carried += weight[:, column, None] * values[near[:, column]]
    return carried
