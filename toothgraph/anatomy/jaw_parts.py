"""Which faces of a labelled surface belong to the upper and which to the lower jaw, where a file has both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.anatomy.frame import TEETH_NEEDED, outside_out, upright_rotation
from toothgraph.fdi import JAW_NAMES, LOWER, UNKNOWN_JAW, UPPER, jaw_of_each, jaw_of_teeth
from toothgraph.mesh.mesh import Mesh

CLEAR = 0.9  # share of a surface's labelled area in one jaw; with a smaller share, the surface has both jaws


def shows_both_jaws(labels: np.ndarray) -> bool:
    """Whether FDI numbers [N] include four or more teeth of each jaw."""
    jaw = jaw_of_each(labels)
    return all(len(np.unique(labels[jaw == side])) >= TEETH_NEEDED for side in (UPPER, LOWER))


def jaw_name_of(labels: np.ndarray, otherwise: int = UNKNOWN_JAW) -> str:
    """The jaw that FDI numbers [N] show: ``upper``, ``lower`` or ``both``; without teeth, the name of ``otherwise``."""
    if shows_both_jaws(labels):
        return "both"
    jaw = jaw_of_teeth(labels)
    return JAW_NAMES[otherwise if jaw == UNKNOWN_JAW else jaw]


def jaw_parts(mesh: Mesh) -> list[np.ndarray]:
    """The faces of the upper and of the lower jaw, by the labels; empty if the labels do not show both jaws.

    Labels show both jaws with four or more teeth of each. A tooth belongs to the jaw of its number. The gingiva of a
    connected surface belongs to the jaw of its teeth. If the surface has no teeth, or teeth of both jaws, each of its
    faces belongs to the jaw of the nearest tooth.

    Args:
        mesh: with labels.

    Returns:
        Two arrays of face numbers [F'], or an empty list.
    """
    assert mesh.labels is not None
    if not shows_both_jaws(mesh.labels):
        return []
    jaw = jaw_of_each(mesh.labels)
    piece = mesh.pieces
    area = np.stack([np.bincount(piece, mesh.areas * (jaw == side)) for side in (UPPER, LOWER)])
    clear = area.max(axis=0) > CLEAR * area.sum(axis=0)  # false without teeth
    own = np.where(jaw == UNKNOWN_JAW, np.where(clear, area.argmax(axis=0), UNKNOWN_JAW)[piece], jaw)
    left, known = np.flatnonzero(own == UNKNOWN_JAW), np.flatnonzero(jaw != UNKNOWN_JAW)
    if len(left):
        own[left] = jaw[known][cKDTree(mesh.centroids[known]).query(mesh.centroids[left])[1]]
    return [np.flatnonzero(own == side) for side in (UPPER, LOWER)]


def split_labelled(mesh: Mesh) -> list[Mesh]:
    """Split a scan into the upper and the lower jaw if its labels show both; else keep it whole.

    Faces that are inside out are wound the other way round, see :func:`toothgraph.anatomy.frame.outside_out`.
    """
    parts = [] if mesh.labels is None else jaw_parts(mesh)
    jaws = [replace(mesh.part(part), jaw=jaw, scan_id=f"{mesh.scan_id}_{JAW_NAMES[jaw]}")
            for jaw, part in enumerate(parts)]  # fmt: skip
    return [outside_out(jaw, upright_rotation(jaw)) for jaw in jaws or [mesh]]
