"""Whether a file contains one arch, or the arches of both jaws."""

from __future__ import annotations

import numpy as np

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
    piece = label_pieces(np.zeros(len(mesh.faces), dtype=np.int64), mesh.adjacency)
    place = probabilities.argmax(axis=1)
    area = np.bincount(17 * piece + place, weights=mesh.areas, minlength=17 * (piece.max() + 1)).reshape(-1, 17)
    shown = area[:, 1:] > rules.visible
    arches = shown[shown.sum(axis=1) >= TEETH_NEEDED].astype(np.int64)  # [A, 16]; most components are small
    common = arches @ arches.T
    return bool((np.triu(common, k=1) >= TEETH_NEEDED).any())
