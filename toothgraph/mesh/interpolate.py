"""Interpolation from the coarse mesh to the faces of the scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.errors import ShapeError, kind_of
from toothgraph.mesh.mesh import Mesh
from toothgraph.rules import DEFAULT, InterpolationRules


@dataclass(frozen=True, eq=False)
class Nearest:
    """The coarse faces that a fine face takes its values from.

    Attributes:
        face: [F, k] coarse faces.
        weight: [F, k] their weights, not yet scaled to a sum of 1.
    """

    face: np.ndarray
    weight: np.ndarray

    def carry(self, values: np.ndarray) -> np.ndarray:
        """Carry values of the coarse faces [F', C] to the fine faces [F, C], with the same dtype."""
        weight = self.weight.astype(values.dtype)
        weight /= weight.sum(axis=1, keepdims=True)
        carried = np.zeros((len(self.face), values.shape[1]), dtype=values.dtype)
        for column in range(self.face.shape[1]):  # one neighbour at a time needs only [F, C] of memory
            carried += weight[:, column, None] * values[self.face[:, column]]
        return carried


def nearest(coarse: Mesh, fine: Mesh, rules: InterpolationRules = DEFAULT.interpolation) -> Nearest | None:
    """The nearest coarse faces of each fine face, by position and normal; None if both meshes have the same faces.

    Weights are the inverse squared distance. Arguments as in :func:`interpolate`.
    """
    if len(coarse.faces) == len(fine.faces) and np.array_equal(coarse.centroids, fine.centroids):
        return None
    tree = cKDTree(np.hstack([coarse.centroids, rules.normal_length * coarse.normals]))
    k = min(rules.neighbors, len(coarse.faces))
    distance, near = tree.query(np.hstack([fine.centroids, rules.normal_length * fine.normals]), k=range(1, k + 1))
    return Nearest(near, 1.0 / (distance**2 + 1e-4))


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

    Raises:
        ShapeError: if ``values`` is not an array of floating-point numbers with one row per coarse face.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> from toothgraph.mesh.decimate import decimate
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> small = decimate(arch, 1000).mesh
        >>> height = interpolate(small, arch, small.centroids[:, 2:])
        >>> float(np.abs(height[:, 0] - arch.centroids[:, 2]).mean()) < 0.5
        True
    """
    fits = isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind == "f"
    if not fits or len(values) != len(coarse.faces):
        hint = "; values.detach().cpu().numpy() makes one of a tensor" if hasattr(values, "detach") else ""
        shape, dtype = getattr(values, "shape", None), getattr(values, "dtype", "")
        what = kind_of(values) + (f" {list(shape)} of {dtype}" if shape is not None else "")
        raise ShapeError(
            f"expected values as an array [{len(coarse.faces)}, C] of floating-point numbers, a row per coarse face, "
            f"got {what}{hint}"
        )
    found = nearest(coarse, fine, rules)
    return values if found is None else found.carry(values)
