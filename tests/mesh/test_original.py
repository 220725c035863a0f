from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import LabelError
from toothgraph.io.read import read_mesh
from toothgraph.mesh.majority import majority
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import (
    faces_from_original,
    faces_to_original,
    original_of,
    scan_of_part,
    vertices_to_original,
)

# a quad, a flat face far from it, a triangle, the triangle again, and loose vertices; centimetres
OBJ = (
    "v 0 0 0\nv 4 0 0\nv 4 4 0\nv 0 4 0\nv 9 0 0\nv 8 3 0\nv nan 0 0\nv -1 -1 0\nf 1 2 3 4\nf 5 6 6\nf 2 5 3\nf 3 2 5\n"
)


@pytest.fixture
def mesh(tmp_path: Path) -> Mesh:
    path = tmp_path / "a.obj"
    path.write_text(OBJ)
    return read_mesh(path, unit="cm")


def test_faces_there_and_back(mesh: Mesh) -> None:
    assert len(mesh.faces) == 3
    np.testing.assert_array_equal(faces_to_original(mesh, [11, 12, 13]), [11, 13, 13, 13])
    np.testing.assert_array_equal(faces_from_original(mesh, [1, 2, 3, 4]), [1, 1, 3])
    scores = np.eye(3)
    np.testing.assert_array_equal(faces_to_original(mesh, scores), scores[[0, 2, 2, 2]])


def test_vertices_take_the_largest_area(mesh: Mesh) -> None:
    # vertex 2 touches 8 cm² of the quad's first half and 10 cm² of the triangle; vertex 3 both halves
    np.testing.assert_array_equal(vertices_to_original(mesh, np.array([11, 12, 13])), [11, 13, 13, 12, 13, 13, 0, 11])
    np.testing.assert_array_equal(vertices_to_original(mesh, np.array([11, 11, 13])), [11, 13, 11, 11, 13, 13, 0, 11])


def test_a_mesh_made_in_memory_is_its_own_original(patch: Mesh) -> None:
    assert patch.labels is not None
    np.testing.assert_array_equal(faces_to_original(patch, patch.labels), patch.labels)
    np.testing.assert_array_equal(faces_from_original(patch, patch.labels), patch.labels)
    assert vertices_to_original(patch, patch.labels).shape == (len(patch.vertices),)


def test_a_vertex_of_no_face_takes_the_label_beside_it(patch: Mesh) -> None:
    assert patch.labels is not None
    own = vertices_to_original(patch, patch.labels)
    loose = Mesh(np.vstack([patch.vertices[:3] + 0.001, patch.vertices]), patch.faces + 3, patch.labels)
    np.testing.assert_array_equal(vertices_to_original(loose, patch.labels), [*own[:3], *own])


def test_vertices_of_faces_without_area_have_their_label() -> None:
    line = Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), np.array([[0, 1, 2]]))
    np.testing.assert_array_equal(vertices_to_original(line, np.array([11])), [11, 11, 11])


def test_a_part_keeps_the_labels_of_the_stored_vertices(mesh: Mesh) -> None:
    original = original_of(mesh)
    of_vertices = np.arange(len(original.vertices))
    mesh = replace(mesh, original=replace(original, vertex_labels=of_vertices, mm_per_unit=10.0))
    part = scan_of_part(mesh, np.array([len(mesh.faces) - 1]))
    assert part.original is not None and part.original.vertex_labels is not None
    stored = original.vertices[part.original.vertex_labels] * original.mm_per_unit
    np.testing.assert_allclose(stored, part.vertices)
    np.testing.assert_allclose(part.original.vertices * 10, part.vertices)


def test_wrong_counts_are_refused(mesh: Mesh) -> None:
    for function, good in ((faces_to_original, 3), (vertices_to_original, 3), (faces_from_original, 4)):
        with pytest.raises(LabelError, match=f"expected {good} values"):
            function(mesh, np.zeros(7))


def test_majority() -> None:
    group = np.array([0, 0, 0, 1, 1, 2, 2, 4, 4])
    label = np.array([11, 12, 12, 0, 21, -1, 0, -1, -1])
    np.testing.assert_array_equal(majority(group, label, None, 5), [12, 21, 0, -1, -1])
    weight = np.array([5, 2, 2, 3, 1, 9, 1, 1, 1.0])
    np.testing.assert_array_equal(majority(group, label, weight, 5), [11, 0, 0, -1, -1])
    np.testing.assert_array_equal(majority(group, np.full(9, -1), None, 5), [-1] * 5)
    weight = np.array([0, 0, 0, 0, 1, 9, 0, 1, 1.0])  # by count in groups 0 and 2
    np.testing.assert_array_equal(majority(group, label, weight, 5), [12, 21, 0, -1, -1])
