from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from toothgraph.anatomy.measures import measure_arch
from toothgraph.errors import LabelError, MeshError, ShapeError
from toothgraph.graph.build import face_graph, surface_centre
from toothgraph.mesh.mesh import Mesh
from toothgraph.segmentation import segment

VERTICES = [[0, 0, 0], [3, 0, 0], [0, 4, 0], [0, 0, 5]]


def test_geometry_of_a_triangle() -> None:
    mesh = Mesh(np.array(VERTICES), np.array([[0, 1, 2], [0, 2, 1], [0, 1, 1]]))
    np.testing.assert_allclose(mesh.areas, [6, 6, 0])
    np.testing.assert_allclose(mesh.normals, [[0, 0, 1], [0, 0, -1], [0, 0, 0]])
    np.testing.assert_allclose(mesh.centroids[0], [1, 4 / 3, 0])
    assert mesh.vertices.dtype == np.float64 and mesh.faces.dtype == np.int64


def test_with_labels_keeps_the_rest() -> None:
    mesh = Mesh(VERTICES, [[0, 1, 2]], jaw=1, scan_id="a")
    labelled = mesh.with_labels(np.array([36.0]))
    assert labelled.labels is not None and labelled.labels.dtype == np.int64
    assert labelled.jaw == 1 and labelled.scan_id == "a" and mesh.labels is None
    assert labelled.with_labels(None).labels is None


@pytest.mark.parametrize(
    ("vertices", "faces", "labels", "cause"),
    [
        (VERTICES, [[0, 1]], None, "expected vertices"),
        ([[0, 0]], [[0, 0, 0]], None, "expected vertices"),
        (VERTICES, [[0, 1, 4]], None, "indices from 0 to 3, found 0 to 4"),
        (VERTICES, [[0, 1, -1]], None, "indices from 0 to 3, found -1 to 1"),
        (np.zeros((9, 3)), np.zeros((3, 7), int), None, "transpose the faces: faces.T"),
    ],
)
def test_shapes_are_checked(vertices: list, faces: list, labels: list | None, cause: str) -> None:
    with pytest.raises(MeshError, match=f"^scan7: .*{cause}"):
        Mesh(vertices, faces, labels=labels, scan_id="scan7")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 2, 3], r"expected 2 face labels, integers \[F\], got \[3\]; labels per face of a file"),
        ([1, 2, 3, 4], r"got \[4\]; they are per vertex: toothgraph.transforms.FaceGraph"),
        ([[1], [2]], r"got \[2, 1\]; take the column"),
        (np.eye(33)[:2], r"got \[2, 33\]; .*argmax"),
        ([11, np.nan], "integers .*found nan; -1 stands for unknown"),
        ([11, 0.5], "integers .*found 0.5"),
        (["11", "gum"], "integers .*got <U"),
    ],
)
def test_labels_are_one_whole_number_per_face(labels: Any, message: str) -> None:
    square = Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]), np.array([[0, 1, 2], [1, 3, 2]]))
    for make in (square.with_labels, lambda labels: replace(square, labels=labels)):
        with pytest.raises(LabelError, match=message):
            make(labels)
    assert square.with_labels(np.array([11.0, -1.0])).labels.tolist() == [11, -1]


def test_a_mesh_is_told_in_a_line(arch):
    assert repr(arch) == f"Mesh({arch.scan_id}, {len(arch.faces):,} faces, jaw upper, labels given)"
    assert repr(replace(arch, labels=None, jaw=-1)).endswith("faces, jaw unknown, no labels)")


def test_what_no_surface_can_be_made_of_is_refused() -> None:
    triangle = [[0, 1, 2]]
    with pytest.raises(MeshError, match=r"finite vertices, found .*nan.* as vertex 1"):
        Mesh(np.where(np.arange(12).reshape(4, 3) == 4, np.nan, VERTICES), triangle)
    for faces in ([[0, 1.5, 2]], [[0, np.nan, 2]]):
        with pytest.raises(MeshError, match="whole numbers"):
            Mesh(VERTICES, faces)
    assert Mesh(VERTICES, np.array(triangle, dtype=float)).faces.tolist() == triangle
    with pytest.raises(ShapeError, match="a jaw of 0 upper"):
        Mesh(VERTICES, triangle, jaw="upper")  # type: ignore[arg-type]


@pytest.mark.parametrize("use", [surface_centre, face_graph, segment, measure_arch])
def test_a_mesh_without_faces_is_told(use: Any) -> None:
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int), scan_id="007_L")
    with pytest.raises(ShapeError, match="007_L: expected a mesh with faces, got one without"):
        use(empty)
