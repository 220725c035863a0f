"""Whether a file contains one arch, or the arches of both jaws, and which faces belong to which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.anatomy.frame import TEETH_NEEDED, arch_rotation
from toothgraph.mesh.mesh import Mesh
from toothgraph.rules import DEFAULT, TwoArchRules

SAMPLES = 2000  # faces whose distance to the other surface is measured
OPPOSITE = -0.5  # highest cosine between the bite directions of two jaws in a bite; -0.8 with the mouth wide open


def shows_two_arches(mesh: Mesh, probabilities: np.ndarray, rules: TwoArchRules = DEFAULT.two_arches) -> bool:
    """Whether two separate surfaces have the same teeth, for example both jaws of a patient in one file.

    Labels do not show this, because later steps use each number only once. So the probabilities of the network are
    used.

    Args:
        mesh: F faces.
        probabilities: [F, 17], of a :class:`toothgraph.inference.predict.Prediction`.
        rules: minimum visible area of a tooth.
    """
    piece = mesh.pieces
    place = probabilities.argmax(axis=1)
    area = np.bincount(17 * piece + place, weights=mesh.areas, minlength=17 * (piece.max() + 1)).reshape(-1, 17)
    shown = area[:, 1:] > rules.visible
    teeth = shown[shown.sum(axis=1) >= TEETH_NEEDED].astype(np.int64)  # most components are small
    common = teeth @ teeth.T
    return bool((np.triu(common, k=1) >= TEETH_NEEDED).any())


def two_surfaces(mesh: Mesh, rules: TwoArchRules = DEFAULT.two_arches) -> list[np.ndarray]:
    """The faces of two large separate surfaces that may be the two jaws of a patient; teeth are not used.

    Two surfaces that lie near each other are the walls of one shell and not two jaws. A small surface, such as a loose
    crown, goes with the nearer large one.

    Args:
        mesh: F faces.
        rules: how large the surfaces must be, and how far apart.

    Returns:
        Two arrays of face numbers [F']; an empty list if there are not exactly two such surfaces.
    """
    piece = mesh.pieces
    area = np.bincount(piece, weights=mesh.areas)
    large = np.flatnonzero(area >= max(rules.share * area.max(initial=0.0), rules.arch))
    if len(large) != 2:
        return []
    # How far apart the two large surfaces are, mm.
    trees = [cKDTree(mesh.centroids[piece == own]) for own in large]
    first = np.flatnonzero(piece == large[0])
    apart = trees[1].query(mesh.centroids[first[:: len(first) // SAMPLES + 1]])[0]
    if np.median(apart) < rules.apart:
        return []
    side = (np.arange(len(area)) == large[1]).astype(np.int64)
    small = np.flatnonzero(~np.isin(piece, large))
    if len(small):
        near = np.stack([tree.query(mesh.centroids[small])[0] for tree in trees])
        mean = [np.bincount(piece[small], weights=each, minlength=len(area)) for each in near]
        side = np.where(np.isin(np.arange(len(area)), large), side, mean[1] < mean[0])
    return [np.flatnonzero(side[piece] == number) for number in (0, 1)]


def are_both_jaws(
    meshes: Sequence[Mesh],
    places: Sequence[np.ndarray],
    upper: Sequence[float],
    rules: TwoArchRules = DEFAULT.two_arches,
) -> bool:
    """Whether two labelled surfaces are the upper and the lower jaw, and not two parts or two scans of one jaw.

    Both must have four or more teeth. If the net is sure which jaw each surface is, this decides. Otherwise they are
    both jaws if they face each other, as in a bite, or if they have teeth at the same places. Two parts of one jaw do
    not have such teeth.

    Args:
        meshes: two surfaces.
        places: [F] of each surface, positions 1 … 16 of the teeth, 0 gingiva.
        upper: for each surface, the probability that it is an upper jaw.
        rules: how high this probability must be.
    """
    if min(len(np.unique(place[place > 0])) for place in places) < TEETH_NEEDED:
        return False
    sure = [max(share, 1 - share) >= rules.sure for share in upper]
    if all(sure):
        return (upper[0] > 0.5) != (upper[1] > 0.5)
    frames = [arch_rotation(mesh, place) for mesh, place in zip(meshes, places, strict=True)]
    facing = frames[0] is not None and frames[1] is not None and frames[0][1] @ frames[1][1] < OPPOSITE
    return facing or same_teeth(places)


def same_teeth(places: Sequence[np.ndarray]) -> bool:
    """Whether two surfaces have four or more teeth at the same places; ``places`` as in :func:`are_both_jaws`."""
    first, second = (np.unique(place[place > 0]) for place in places)
    return len(np.intersect1d(first, second)) >= TEETH_NEEDED
