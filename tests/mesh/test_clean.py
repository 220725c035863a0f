from __future__ import annotations

import numpy as np
import pytest

from toothgraph.mesh import clean
from toothgraph.mesh.clean import flat_faces, triangulate, unique_rows


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
