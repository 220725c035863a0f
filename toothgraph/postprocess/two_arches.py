"""Whether a file contains one arch, or the arches of both jaws."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.anatomy.frame import TEETH_NEEDED
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import label_pieces
from toothgraph.rules import DEFAULT, TwoArchRules


def shows_two_arches(mesh: Mesh, probabilities: np.ndarray, rules: TwoArchRules = DEFAULT.two_arches) -> bool:
    """Whether two separate surfaces have the same teeth, for example both jaws of a patient in one file.

    Labels do not show this, because later steps use each number only once. So the probabilities of the network are
    used.

    Args:
        mesh: F faces.
        probabilities: [F, 17], of a :class:`toothgraph.inference.predict.Prediction`.
        rules: minimum visible area of a tooth.
    """
    *_, common = _arches(mesh, probabilities, rules)
    return bool((np.triu(common, k=1) >= TEETH_NEEDED).any())


def part_arches(mesh: Mesh, probabilities: np.ndarray, rules: TwoArchRules = DEFAULT.two_arches) -> list[np.ndarray]:
    """The faces of either arch, where a mesh shows two; surfaces without teeth belong to the arch nearest to them.

    Arguments as of :func:`shows_two_arches`.

    Returns:
        Two arrays [F'] of face numbers; none if there are not exactly two arches with the same teeth.
    """
    piece, arches, common = _arches(mesh, probabilities, rules)
    if len(arches) != 2 or common[0, 1] < TEETH_NEEDED:
        return []
    distance = [cKDTree(mesh.centroids[piece == arch]).query(mesh.centroids)[0] for arch in arches]
    pieces = piece.max() + 1
    mean = np.stack([np.bincount(piece, weights=each, minlength=pieces) for each in distance])
    side = mean.argmin(axis=0)  # of each piece
    return [np.flatnonzero(side[piece] == number) for number in (0, 1)]


def _arches(mesh: Mesh, probabilities: np.ndarray, rules: TwoArchRules) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The piece of surface of each face [F], which pieces are arches [A], and how many teeth each two have in common
    [A, A]."""
    piece = label_pieces(np.zeros(len(mesh.faces), dtype=np.int64), mesh.adjacency)
    place = probabilities.argmax(axis=1)
    area = np.bincount(17 * piece + place, weights=mesh.areas, minlength=17 * (piece.max() + 1)).reshape(-1, 17)
    shown = area[:, 1:] > rules.visible
    arches = np.flatnonzero(shown.sum(axis=1) >= TEETH_NEEDED)  # most components are small
    teeth = shown[arches].astype(np.int64)  # [A, 16]
    return piece, arches, teeth @ teeth.T
