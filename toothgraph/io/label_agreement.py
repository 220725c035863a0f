"""Whether two lists of labels of one scan say the same."""

from __future__ import annotations

import numpy as np

from toothgraph.fdi import in_chart_order

_INSIDE = (
    0.8  # share of the faces inside a tooth that agree at least; labels of faces and of vertices differ at borders
)
_ALL = 0.5  # likewise of all its faces: in a coarse mesh, a tooth is all border
_FEW = 5  # faces, of which nothing is concluded


def numbers_that_differ(faces: np.ndarray, one: np.ndarray, other: np.ndarray) -> list[int]:
    """The teeth that two lists of labels do not have at the same place.

    One list may have been per face and the other per vertex, so that borders differ by a face. Gingiva is not told:
    where it differs, so does a tooth.

    Args:
        faces: [F, 3] of a mesh.
        one, other: [F] numbers of its faces.
    """
    inside = _inside(faces, one) & _inside(faces, other)
    same = one == other
    teeth = np.unique(np.concatenate([one[one > 0], other[other > 0]]))
    return in_chart_order(
        number
        for number in teeth.tolist()
        for of in (one == number, other == number)
        if _below(same[of & inside], _INSIDE) or _below(same[of], _ALL)
    )


def _below(same: np.ndarray, share: float) -> bool:
    return len(same) > _FEW and float(same.mean()) < share


def _inside(faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which faces touch no face with another label [F]."""
    lowest, highest = np.full(faces.max() + 1, labels.max()), np.full(faces.max() + 1, labels.min())
    np.minimum.at(lowest, faces, labels[:, None])
    np.maximum.at(highest, faces, labels[:, None])
    return (lowest == highest)[faces].all(axis=1)
