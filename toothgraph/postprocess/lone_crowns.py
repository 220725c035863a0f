"""Find crowns that are separate pieces of surface: a set of crowns without gum, or a model assembled from teeth."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.mesh.mesh import Mesh
from toothgraph.rules import DEFAULT, LoneCrownRules


def lone_crowns(mesh: Mesh, prob: np.ndarray, rules: LoneCrownRules = DEFAULT.lone_crowns) -> list[np.ndarray]:
    """The separate pieces of a surface that are one tooth each.

    Such a piece has the size of a crown, and the net finds a tooth on it. If there are several, the surface was
    assembled from crowns: then every piece of that size is a crown, whatever the net finds on it. If such a surface has
    no gum, specks belong to the crown that they lie on.

    Args:
        mesh: F faces.
        prob: [F, 17] probabilities of gingiva and of the positions 1 … 16; gingiva is 1 on faces that the net did not
            look at.
        rules: the size of a crown, and how many crowns make a set.

    Returns:
        Face indices [F'] of each crown.
    """
    piece = mesh.pieces.copy()
    area = np.bincount(piece, weights=mesh.areas)
    looked = mesh.areas * (prob[:, 0] < 1)
    seen, tooth = (np.bincount(piece, weights=weight) for weight in (looked, looked * (1 - prob[:, 0])))
    size = (area >= rules.least) & (area <= rules.most)
    crowns = [number for number in np.flatnonzero(size) if _length(mesh, piece == number) <= rules.length]
    sure = [number for number in crowns if tooth[number] > rules.tooth * seen[number]]
    if len(sure) < rules.set:
        return [np.flatnonzero(piece == number) for number in sure]
    speck, of_crown = np.flatnonzero((area < rules.speck)[piece]), np.flatnonzero(np.isin(piece, crowns))
    if len(speck) and area[crowns].sum() > rules.without_gum * area.sum():
        distance, near = cKDTree(mesh.centroids[of_crown]).query(mesh.centroids[speck])
        own = piece[of_crown][near]
        piece[speck[distance < rules.near]] = own[distance < rules.near]
    return [np.flatnonzero(piece == number) for number in crowns]


def _length(mesh: Mesh, faces: np.ndarray) -> float:
    """The greatest extent of some faces along any axis, mm."""
    return float(np.ptp(mesh.centroids[faces], axis=0).max())


def with_whole_crowns(prob: np.ndarray, area: np.ndarray, crowns: list[np.ndarray]) -> np.ndarray:
    """Probabilities [F, 17] that are the same on all faces of each crown, with gingiva at 0 there.

    Args:
        prob: [F, 17] of gingiva and of the positions 1 … 16.
        area: [F] mm².
        crowns: face indices [F'] of each crown, see :func:`lone_crowns`.
    """
    if not crowns:
        return prob
    prob = prob.copy()
    for own in crowns:
        mean = (np.maximum(area[own, None], 1e-12) * prob[own]).sum(axis=0)
        mean[0] = 0
        prob[own] = mean / mean.sum() if mean.sum() > 0 else np.eye(17)[1:].mean(axis=0)
    return prob
