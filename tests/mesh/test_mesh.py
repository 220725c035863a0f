from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.mesh.mesh import Mesh

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
        (VERTICES, [[0, 1, 2]], [1, 2], "expected 1 face labels"),
    ],
)
def test_shapes_are_checked(vertices: list, faces: list, labels: list | None, cause: str) -> None:
    with pytest.raises(MeshError, match=f"^scan7: .*{cause}"):
        Mesh(vertices, faces, labels=labels, scan_id="scan7")


def test_a_mesh_is_told_in_a_line(arch):
    assert repr(arch) == f"Mesh({arch.scan_id}, {len(arch.faces):,} faces, jaw upper, labels given)"
    assert repr(replace(arch, labels=None, jaw=-1)).endswith("faces, jaw unknown, no labels)")
