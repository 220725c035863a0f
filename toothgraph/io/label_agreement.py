"""Whether two lists of labels of one scan say the same."""

from __future__ import annotations

import numpy as np

from toothgraph.fdi import in_chart_order
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import original_of, vertices_to_original

_INSIDE = (
    0.8  # share of the faces inside a tooth that agree at least; labels of faces and of vertices differ at borders
)
_ALL = 0.5  # likewise of all its faces: in a coarse mesh, a tooth is all border
_FEW = 5  # faces, of which nothing is concluded
_TIE = 1e-4  # share of an area; what a file rounds is less


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


def are_of_faces(mesh: Mesh, of_vertices: np.ndarray, of_faces: np.ndarray) -> bool:
    """Whether labels of vertices [V0] are what becomes of labels of faces [F] where they are written per vertex, see
    :func:`toothgraph.mesh.original.vertices_to_original`. Where two labels have the same area around a vertex, but for
    what a file rounds, it may have either."""
    told = vertices_to_original(mesh, of_faces)
    differ = np.flatnonzero(told != of_vertices)
    vertex, found = original_of(mesh).vertex_map[differ], of_vertices[differ]
    if (vertex < 0).any() or (found < 0).any():
        return False
    area, most = (_area(mesh, of_faces, vertex, number) for number in (found, told[differ]))
    return bool((area >= (1 - _TIE) * most).all())


def _area(mesh: Mesh, of_faces: np.ndarray, vertex: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The area of the faces around each vertex [n] that have its number [n]."""
    wanted = np.full(len(mesh.vertices), np.iinfo(np.int64).min)
    wanted[vertex] = number
    corner = mesh.faces.reshape(-1)
    same = wanted[corner] == np.repeat(of_faces, 3)
    return np.bincount(corner, np.repeat(mesh.areas, 3) * same, len(mesh.vertices))[vertex]


def _below(same: np.ndarray, share: float) -> bool:
    return len(same) > _FEW and float(same.mean()) < share


def _inside(faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which faces touch no face with another label [F]."""
    lowest, highest = np.full(faces.max() + 1, labels.max()), np.full(faces.max() + 1, labels.min())
    np.minimum.at(lowest, faces, labels[:, None])
    np.maximum.at(highest, faces, labels[:, None])
    return (lowest == highest)[faces].all(axis=1)
