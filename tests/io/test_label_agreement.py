from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from toothgraph.io.label_agreement import are_of_faces, numbers_that_differ
from toothgraph.mesh.majority import majority
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import vertices_to_original


def by_vertices(mesh: Mesh) -> np.ndarray:
    """Its labels as they are after a file that has them per vertex."""
    faces, labels = mesh.faces, mesh.labels
    assert labels is not None
    of_vertices = majority(faces.reshape(-1), np.repeat(labels, 3), None, len(mesh.vertices))
    return majority(np.repeat(np.arange(len(faces)), 3), of_vertices[faces.reshape(-1)], None, len(faces))


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        (lambda labels: labels, []),
        (lambda labels: np.where(labels == 15, 16, np.where(labels == 16, 15, labels)), [16, 15]),
        (lambda labels: np.where(labels == 21, 0, labels), [21]),
        (lambda labels: np.where(labels == 21, -1, labels), [21]),
        (lambda labels: np.where(labels == 21, 61, labels), [21, 61]),
        (lambda labels: np.where(labels > 30, 0, labels), []),
    ],
)
def test_teeth_that_are_not_at_the_same_place(
    change: Callable[[np.ndarray], np.ndarray], differ: list[int], arch: Mesh
) -> None:
    """In a coarse mesh, where labels per vertex move the borders by a face."""
    assert arch.labels is not None
    vertices = by_vertices(arch)
    assert (vertices != arch.labels).any()
    assert numbers_that_differ(arch.faces, arch.labels, change(vertices)) == differ
    assert numbers_that_differ(arch.faces, change(vertices), arch.labels) == differ


def test_labels_of_vertices_that_were_made_of_those_of_faces(arch: Mesh) -> None:
    assert arch.labels is not None
    made = vertices_to_original(arch, arch.labels)
    assert are_of_faces(arch, made, arch.labels)
    rounded = replace(arch, vertices=arch.vertices.astype(np.float32).astype(float))
    assert are_of_faces(rounded, made, arch.labels)
    inside = next(v for v in range(len(made)) if len({*arch.labels[(arch.faces == v).any(axis=1)].tolist()}) == 1)
    for number in (-1, 18):  # of one vertex alone
        corrected = made.copy()
        corrected[inside] = number
        assert not are_of_faces(arch, corrected, arch.labels)


def test_a_vertex_between_two_teeth_of_one_area_may_have_either() -> None:
    vertices = np.array([[0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0]], dtype=float)
    square = Mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]]))
    of_faces = np.array([11, 12])
    for number in (11, 12):
        assert are_of_faces(square, np.array([number, 11, number, 12]), of_faces)
    assert not are_of_faces(square, np.array([11, 12, 11, 12]), of_faces)
