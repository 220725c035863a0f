from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.studies.shapes import UP, shell, solid_u
from toothgraph.anatomy.frame import turned
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.visible import visible_faces
from toothgraph.synthetic import synthetic_arch


@pytest.fixture(scope="module")
def scan() -> Mesh:
    return synthetic_arch(3, jaw=1, faces=6000)


def seen_share(mesh: Mesh, faces: np.ndarray, seen: np.ndarray) -> float:
    return float(mesh.areas[faces & seen].sum() / mesh.areas[faces].sum())


@pytest.mark.parametrize("thickness", [0.6, 1.0, 2.0])
def test_the_inside_of_a_shell_is_not_seen_from_the_bite(scan: Mesh, thickness: float) -> None:
    model = shell(scan, thickness)
    seen, number = visible_faces(model, UP), np.arange(len(model.faces))
    tooth = model.labels > 0
    assert seen_share(model, tooth, seen) > 0.98
    assert seen_share(model, (number >= len(scan.faces)) & (number < 2 * len(scan.faces)), seen) < 0.12
    rim = number >= 2 * len(scan.faces)
    assert seen_share(model, rim, seen) < 0.2


def test_the_bottom_of_a_model_is_not_seen_from_the_bite_and_the_teeth_not_from_below(scan: Mesh) -> None:
    model = solid_u(scan, 4.0)
    bottom, tooth = model.normals @ UP < -0.99, (model.labels > 0) & (model.normals @ UP > 0.5)
    assert seen_share(model, bottom, visible_faces(model, UP)) < 0.02
    below = visible_faces(model, -UP)
    assert seen_share(model, bottom, below) > 0.98
    assert seen_share(model, tooth, below) < 0.02


def test_what_is_seen_turns_with_the_mesh(scan: Mesh) -> None:
    model, turn = shell(scan, 1.0), Rotation.random(random_state=4).as_matrix()
    there = visible_faces(turned(model, turn), turn @ UP)
    assert (visible_faces(model, UP) != there).mean() < 0.03


def test_a_sphere_within_a_sphere_is_not_seen() -> None:
    ball = _sphere(10.0)
    both = Mesh(
        np.concatenate([ball.vertices, 0.8 * ball.vertices]),
        np.concatenate([ball.faces, ball.faces + len(ball.vertices)]),
    )
    seen, outer = visible_faces(both, UP), np.arange(len(both.faces)) < len(ball.faces)
    assert not seen[~outer].any()
    # the half towards the eye, and as much farther down as it can tilt
    assert seen[outer & (both.normals @ UP > 0)].all()
    assert not seen[outer & (both.normals @ UP < -0.8)].any()


def _sphere(radius: float, count: int = 40) -> Mesh:
    """A closed sphere, its normals outwards."""
    height, turn = np.linspace(-1, 1, count + 2)[1:-1], 2 * np.pi * np.arange(count) / count
    ring = np.sqrt(1 - height**2)
    points = np.stack(
        [np.outer(ring, np.cos(turn)), np.outer(height, np.ones(count)), np.outer(ring, np.sin(turn))], axis=-1
    ).reshape(-1, 3)
    points = np.concatenate([points, [[0, -1, 0], [0, 1, 0]]])
    row, column = np.divmod(np.arange((count - 1) * count), count)
    after = (column + 1) % count
    a, b, c, d = row * count + column, row * count + after, (row + 1) * count + column, (row + 1) * count + after
    first, last = np.arange(count), (count - 1) * count + np.arange(count)
    faces = np.concatenate([
        np.stack([a, c, b], 1), np.stack([b, c, d], 1),
        np.stack([np.full(count, len(points) - 2), first, np.roll(first, -1)], 1),
        np.stack([np.full(count, len(points) - 1), np.roll(last, -1), last], 1),
    ])  # fmt: skip
    mesh = Mesh(radius * points, faces)
    assert ((mesh.normals * mesh.centroids).sum(axis=1) > 0).all()
    return mesh
