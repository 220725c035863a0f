from __future__ import annotations

import numpy as np
import pytest

from toothgraph.mesh import clean
from toothgraph.mesh.clean import flat_faces, joined_corners, triangulate, unique_rows
from toothgraph.mesh.mesh import Mesh


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
@pytest.mark.parametrize("width", [2, 3, 4])
def test_unique_rows_against_a_loop(dtype: type, width: int) -> None:
    rows = np.random.default_rng(0).integers(-3, 4, (500, width)).astype(dtype)
    first, inverse = unique_rows(rows)
    seen: dict[tuple, int] = {}
    expected = [seen.setdefault(tuple(row), len(seen)) for row in rows.tolist()]
    np.testing.assert_array_equal(inverse, expected)
    np.testing.assert_array_equal([rows[first].tolist()[i] for i in inverse], rows)
    assert (np.diff(first) > 0).all()


def test_unique_rows_survives_equal_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([[2, 1], [0, 1], [2, 1], [0, 0]])
    plain = np.unique

    def colliding(values: np.ndarray, **options: object) -> object:
        return plain(np.zeros_like(values) if values.ndim == 1 else values, **options)

    monkeypatch.setattr(clean.np, "unique", colliding)
    first, inverse = unique_rows(rows)
    np.testing.assert_array_equal(first, [0, 1, 3])
    np.testing.assert_array_equal(inverse, [0, 1, 0, 2])


def test_negative_zero_is_zero_and_nan_equals_itself() -> None:
    rows = np.array([[0.0, np.nan], [-0.0, np.nan]])
    np.testing.assert_array_equal(unique_rows(rows)[1], [0, 0])


def _loose(arch: Mesh, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """The corners of each face by themselves, each moved by at most ``apart`` of a median edge, and the faces."""
    edges = np.linalg.norm(arch.corners - np.roll(arch.corners, 1, axis=1), axis=2)
    moved = np.random.default_rng(0).uniform(-1, 1, arch.corners.shape) / np.sqrt(3) * apart * np.median(edges)
    return (arch.corners + moved).reshape(-1, 3), np.arange(arch.faces.size).reshape(-1, 3)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 25.4])
@pytest.mark.parametrize("apart", [0.0, 1e-6, 0.004])
def test_corners_a_rounding_error_apart_are_joined(arch: Mesh, apart: float, unit: float) -> None:
    vertices, triangles = _loose(arch, apart)
    first, inverse = joined_corners(vertices * unit, triangles)
    of_mesh = arch.faces.reshape(-1)[first]  # the vertex of the mesh that each joined corner is
    np.testing.assert_array_equal(np.sort(of_mesh), np.arange(len(arch.vertices)))
    np.testing.assert_array_equal(of_mesh[inverse], arch.faces.reshape(-1))
    assert (np.diff(first) > 0).all()


def test_corners_far_apart_stay_apart(arch: Mesh) -> None:
    vertices, triangles = _loose(arch, 0.2)
    assert len(joined_corners(vertices, triangles)[0]) > 0.9 * len(vertices)


def test_a_joined_surface_is_joined_at_equal_places_alone(arch: Mesh) -> None:
    """Two vertices of one face may be as near as they like: nothing of a sound surface is merged."""
    vertices = arch.vertices.copy()
    a, b = arch.faces[0, :2]
    vertices[a] = vertices[b] + 1e-9
    assert len(joined_corners(vertices, arch.faces)[0]) == len(vertices)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_loose_corners_that_are_not_finite_stay(arch: Mesh, wrong: float) -> None:
    vertices, triangles = _loose(arch, 1e-6)
    vertices[7, 1] = wrong
    first, inverse = joined_corners(vertices, triangles)
    assert first[inverse[7]] == 7 and len(first) == len(arch.vertices) + 1


def test_points_at_one_place_have_no_edge_to_measure_by() -> None:
    vertices = np.array([[1.0, 2, 3]] * 3 + [[np.nan] * 3] * 3)
    assert len(joined_corners(vertices, np.array([[0, 1, 2], [3, 4, 5]]))[0]) == 2


def test_flatness_does_not_depend_on_size() -> None:
    triangle = np.array([[0, 0, 0], [1, 0, 0], [0.5, 1e-3, 0], [0.5, 1e-8, 0]])
    faces = np.array([[0, 1, 2], [0, 1, 3], [0, 0, 2]])
    for scale in (1e-3, 1.0, 1e3):
        np.testing.assert_array_equal(flat_faces(triangle * scale, faces), [False, True, True])


def test_a_polygon_of_many_corners_is_a_fan() -> None:
    polygons = np.full((4, 300), -1)
    polygons[[0, 1, 3], :3], polygons[2] = [7, 8, 9], np.arange(300)
    triangles, owner = triangulate(polygons)
    fan = np.stack([np.zeros(298, dtype=int), np.arange(1, 299), np.arange(2, 300)], axis=1)
    np.testing.assert_array_equal(triangles, [[7, 8, 9], [7, 8, 9], *fan, [7, 8, 9]])
    np.testing.assert_array_equal(owner, [0, 1, *[2] * 298, 3])


def test_polygons_of_two_corners_give_no_triangle() -> None:
    triangles, owner = triangulate(np.array([[0, 1, -1, -1], [0, 1, 2, 3], [4, 5, 6, -1]]))
    np.testing.assert_array_equal(triangles, [[0, 1, 2], [0, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(owner, [1, 1, 2])
