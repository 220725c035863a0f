"""Which faces of a labelled surface belong to the upper and which to the lower jaw, where a file has both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.anatomy.frame import TEETH_NEEDED, outside_out, upright_rotation
from toothgraph.fdi import JAW_NAMES, LOWER, UNKNOWN_JAW, UPPER, jaw_of_each, jaw_of_teeth
from toothgraph.mesh.mesh import Mesh

CLEAR = 0.9  # share of the labelled area of a surface; with a smaller one, it is of both jaws


def shows_both_jaws(labels: np.ndarray) -> bool:
    """Whether FDI numbers [N] are of four or more teeth of either jaw."""
    jaw = jaw_of_each(labels)
    return all(len(np.unique(labels[jaw == side])) >= TEETH_NEEDED for side in (UPPER, LOWER))


def jaw_name_of(labels: np.ndarray, otherwise: int = UNKNOWN_JAW) -> str:
    """``upper``, ``lower`` or ``both``, as FDI numbers [N] show it; without teeth, the jaw ``otherwise``."""
    if shows_both_jaws(labels):
        return "both"
    jaw = jaw_of_teeth(labels)
    return JAW_NAMES[otherwise if jaw == UNKNOWN_JAW else jaw]


def jaw_parts(mesh: Mesh) -> list[np.ndarray]:
    """The faces of the upper and of the lower jaw, by the labels; none if the labels show one jaw, or fewer than four
    teeth of either.

    A surface belongs to the jaw of its teeth; one without teeth, or with teeth of both, to that of the nearest tooth,
    face by face.

    Args:
        mesh: with labels.

    Returns:
        Two arrays of face numbers [F'], or none.
    """
    assert mesh.labels is not None
    if not shows_both_jaws(mesh.labels):
        return []
    jaw = jaw_of_each(mesh.labels)
    piece = mesh.pieces
    area = np.stack([np.bincount(piece, mesh.areas * (jaw == side)) for side in (UPPER, LOWER)])
    clear = area.max(axis=0) > CLEAR * area.sum(axis=0)  # not for 0 > 0
    own = np.where(jaw == UNKNOWN_JAW, np.where(clear, area.argmax(axis=0), UNKNOWN_JAW)[piece], jaw)
    left, known = np.flatnonzero(own == UNKNOWN_JAW), np.flatnonzero(jaw != UNKNOWN_JAW)
    if len(left):
        own[left] = jaw[known][cKDTree(mesh.centroids[known]).query(mesh.centroids[left])[1]]
    return [np.flatnonzero(own == side) for side in (UPPER, LOWER)]


def split_labelled(mesh: Mesh) -> list[Mesh]:
    """A scan, or where its labels are of both jaws the upper and the lower one, with their faces wound outside out."""
    parts = [] if mesh.labels is None else jaw_parts(mesh)
    jaws = [replace(mesh.part(part), jaw=jaw, scan_id=f"{mesh.scan_id}_{JAW_NAMES[jaw]}")
            for jaw, part in enumerate(parts)]  # fmt: skip
    return [outside_out(jaw, upright_rotation(jaw)) for jaw in jaws or [mesh]]
