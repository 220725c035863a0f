"""Whether a file shows one arch, or the arches of both jaws."""

from __future__ import annotations

import numpy as np

from toothgraph.graph.adjacency import face_adjacency, label_pieces
from toothgraph.mesh.frame import TEETH_NEEDED
from toothgraph.mesh.mesh import Mesh

VISIBLE = 20.0  # mm²; a surface shows a tooth on which the net sees more of it than this


def shows_two_arches(mesh: Mesh, probabilities: np.ndarray) -> bool:
    """Whether two separate surfaces show the same teeth, as where both jaws of a patient stand in one file.

    The net numbers either arch by itself. That each number stands once is the work of what follows, so labels would
    not show it.

    Args:
        mesh: F faces.
        probabilities: [F, 17], of a :class:`toothgraph.inference.predict.Prediction`.
    """
    piece = label_pieces(np.zeros(len(mesh.faces), dtype=np.int64), face_adjacency(mesh.faces))
    place = probabilities.argmax(axis=1)
    area = np.bincount(17 * piece + place, weights=mesh.areas, minlength=17 * (piece.max() + 1)).reshape(-1, 17)
    shown = area[:, 1:] > VISIBLE
    arches = shown[shown.sum(axis=1) >= TEETH_NEEDED].astype(np.int64)  # [A, 16]; all but a few pieces are crumbs
    common = arches @ arches.T
    return bool((np.triu(common, k=1) >= TEETH_NEEDED).any())
