"""Teeth in which two labellings of one scan differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.errors import LabelError
from toothgraph.mesh.mesh import Mesh

NEAR = 0.5  # mm; in the median, faces of two files of one scan are nearer than this, or than a face is long


@dataclass(frozen=True)
class ToothDifference:
    """One tooth of a reference, or a tooth that only the other labels have.

    Attributes:
        fdi: number.
        other: the number that most of its area has in the other labels, 0 for gingiva; None if the reference lacks the
            tooth.
        differs: mm², the area that has this number in only one of the two.
        overlap: the area that has this number in both, divided by the area that has it in either.
    """

    fdi: int
    other: int | None
    differs: float
    overlap: float


def find_differences(mesh: Mesh, reference: np.ndarray, labels: np.ndarray) -> list[ToothDifference]:
    """The teeth that differ, those with the largest area first. Faces without a reference (-1) do not count.

    Args:
        mesh: F faces.
        reference: [F] FDI numbers: the truth, or the labels before.
        labels: [F] FDI numbers that are compared with the reference.
    """
    known = reference >= 0
    rows = []
    for fdi in np.union1d(reference[known], labels[known]).tolist():
        before, after = known & (reference == fdi), known & (labels == fdi)
        either, both = mesh.areas[before | after].sum(), mesh.areas[before & after].sum()
        if fdi <= 0 or (before == after).all():
            continue
        other = None
        if before.any():
            inside, index = np.unique(labels[before], return_inverse=True)
            other = int(inside[np.bincount(index, weights=mesh.areas[before]).argmax()])
        rows.append(ToothDifference(fdi, other, float(either - both), float(both / max(either, 1e-12))))
    return sorted(rows, key=lambda row: -row.differs)


def labels_from(other: Mesh, mesh: Mesh) -> np.ndarray:
    """The labels of another file of the same scan, for the faces of ``mesh``. Each takes that of the nearest face.

    Returns:
        [F] FDI numbers.

    Raises:
        LabelError: if the file has no labels, or shows another surface.
    """
    if other.labels is None:
        raise LabelError(
            f"{other.path}: expected a labelled scan to compare with, found {len(other.faces)} faces and no labels: no "
            ".txt or .json beside it, and no array `fdi` in it. If its colours are labels, give --palette; to compare "
            "with what a model finds, give the model (default: the weights in the package) in place of this file"
        )
    far, nearest = cKDTree(other.centroids).query(mesh.centroids)
    if np.median(far) > max(NEAR, np.sqrt(other.areas.mean())):
        raise LabelError(
            f"{other.path}: expected the surface of {mesh.scan_id} with other labels, but it lies "
            f"{np.median(far):.1f} mm away; compare two results of one scan"
        )
    return np.asarray(other.labels)[nearest]
