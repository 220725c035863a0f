"""Whether two lists of labels of one scan agree."""

from __future__ import annotations

import numpy as np

from toothgraph.fdi import in_chart_order
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import original_of, vertices_to_original

# Least share of the faces inside a tooth that must agree. Labels of faces and of vertices differ only at borders.
_INSIDE = 0.8
_ALL = 0.5  # least share of all faces of a tooth that must agree: in a coarse mesh, most faces are at a border
_FEW = 5  # so few faces are too few to conclude anything
_TIE = 1e-4  # share of an area; rounding in a file causes less


def numbers_that_differ(faces: np.ndarray, one: np.ndarray, other: np.ndarray) -> list[int]:
    """The teeth that lie at different places in two lists of labels, in the order of a dental chart.

    One list may come from labels per face and the other from labels per vertex: differences at borders do not count.
    Gingiva is not compared: where gingiva differs, a tooth differs, too.

    Args:
        faces: [F, 3] faces of a mesh.
        one, other: [F] numbers of the faces.
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
    """Whether labels of vertices [V0] are the labels of faces [F] written per vertex.

    They are, if :func:`toothgraph.mesh.original.vertices_to_original` makes them of the labels of faces. If two labels
    have the same area around a vertex, except for rounding, the vertex may have either label.
    """
    told = vertices_to_original(mesh, of_faces)
    differ = np.flatnonzero(told != of_vertices)
    vertex, found = original_of(mesh).vertex_map[differ], of_vertices[differ]
    if (vertex < 0).any() or (found < 0).any():
        return False
    area, most = (_area(mesh, of_faces, vertex, number) for number in (found, told[differ]))
    return bool((area >= (1 - _TIE) * most).all())


def _area(mesh: Mesh, of_faces: np.ndarray, vertex: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The area of the faces around each vertex [n] that have the given number of that vertex [n]."""
    wanted = np.full(len(mesh.vertices), np.iinfo(np.int64).min)
    wanted[vertex] = number
    corner = mesh.faces.reshape(-1)
    same = wanted[corner] == np.repeat(of_faces, 3)
    return np.bincount(corner, np.repeat(mesh.areas, 3) * same, len(mesh.vertices))[vertex]


def _below(same: np.ndarray, share: float) -> bool:
    return len(same) > _FEW and float(same.mean()) < share


def _inside(faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether each face [F] touches only faces with its own label."""
    lowest, highest = np.full(faces.max() + 1, labels.max()), np.full(faces.max() + 1, labels.min())
    np.minimum.at(lowest, faces, labels[:, None])
    np.maximum.at(highest, faces, labels[:, None])
    return (lowest == highest)[faces].all(axis=1)
