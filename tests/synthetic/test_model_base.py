from __future__ import annotations

import numpy as np
import pytest

from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic.model_base import outer_border, with_base


def area_vector(mesh: Mesh) -> np.ndarray:
    return (mesh.areas[:, None] * mesh.normals).sum(axis=0)


@pytest.fixture(scope="module")
def tray() -> Mesh:
    """A flat square of 8 × 8 faces that look up, with a hole of one square in it."""
    x, y = np.meshgrid(np.arange(5.0), np.arange(5.0), indexing="ij")
    corner = (np.arange(4)[:, None] * 5 + np.arange(4)).ravel()
    corner = np.delete(corner, 5)
    faces = np.concatenate([corner[:, None] + [0, 5, 6], corner[:, None] + [0, 6, 1]])
    return Mesh(np.stack([x.ravel(), y.ravel(), np.zeros(25)], 1), faces, labels=np.ones(len(faces), dtype=int))


def test_the_outer_border_is_the_longest(tray: Mesh) -> None:
    border = outer_border(tray)
    assert len(border) == 16  # not the 4 of the hole
    directed = {tuple(edge) for edge in tray.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)}
    assert {tuple(edge) for edge in border} <= directed


def test_walls_join_the_border_to_a_plane_below(tray: Mesh) -> None:
    bottoms = set()
    for seed in range(20):
        based = with_base(tray, np.random.default_rng(seed))
        bottoms.add(len(based.faces) - len(tray.faces))
        assert np.array_equal(based.faces[: len(tray.faces)], tray.faces)
        assert (based.areas > 0).all()
        low = based.vertices[based.vertices[:, 2] < 0]
        assert np.ptp(low[:, 2]) < 1e-9 and 1 <= -low[0, 2] <= 12
        assert np.array_equal(based.labels, np.r_[tray.labels, np.zeros(len(based.faces) - len(tray.faces))])
        # every face is joined with the right winding: no directed edge occurs twice
        edges = based.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        assert len(np.unique(edges, axis=0)) == len(edges)
        walls = based.part(np.arange(len(tray.faces), len(tray.faces) + 32))
        outward = walls.centroids - [2, 2, 0]
        assert ((walls.normals * outward)[:, :2].sum(axis=1) > 0).all()
        if len(based.faces) == len(tray.faces) + 48:  # with a bottom, only the hole is open
            assert np.allclose(area_vector(based), [0, 0, -1])
    assert bottoms == {32, 48}


def test_down_is_found_in_any_frame(arch: Mesh) -> None:
    from scipy.spatial.transform import Rotation

    turn = Rotation.random(random_state=0).as_matrix()
    turned = Mesh(arch.vertices @ turn.T + 50, arch.faces, labels=arch.labels)
    here, there = (with_base(mesh, np.random.default_rng(3)) for mesh in (arch, turned))
    assert np.allclose(here.vertices @ turn.T + 50, there.vertices, atol=1e-6)
    assert len(here.faces) > len(arch.faces)


def test_a_closed_surface_stays_as_it_is() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    solid = Mesh(corners, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]))
    assert with_base(solid, np.random.default_rng(0)) is solid
