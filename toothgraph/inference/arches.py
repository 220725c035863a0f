"""Whether a file shows one arch, or the arches of both jaws."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from toothgraph.mesh.frame import TEETH_NEEDED
from toothgraph.mesh.mesh import Mesh

VISIBLE = 20.0  # mm²; a surface shows a tooth on which the net sees more of it than this


def shows_two_arches(mesh: Mesh, probabilities: np.ndarray) -> bool:
    """Whether two separate surfaces show the same teeth, as where both jaws of a patient stand in one file.

    The net sees either arch in its own right, with the numbers of one jaw; only then is each number given once.

    Args:
        mesh: F faces.
        probabilities: [F, 17], of a :class:`toothgraph.inference.predict.Prediction`.
    """
    sides = mesh.faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    links = csr_matrix((np.ones(len(sides), dtype=bool), sides.T), shape=(len(mesh.vertices),) * 2)
    piece = connected_components(links, directed=False)[1][mesh.faces[:, 0]]
    place = probabilities.argmax(axis=1)
    area = np.bincount(17 * piece + place, weights=mesh.areas, minlength=17 * (piece.max() + 1)).reshape(-1, 17)
    shown = area[:, 1:] > VISIBLE
    arches = shown[shown.sum(axis=1) >= TEETH_NEEDED].astype(np.int64)  # [A, 16]
    common = arches @ arches.T
    return bool((np.triu(common, k=1) >= TEETH_NEEDED).any())
