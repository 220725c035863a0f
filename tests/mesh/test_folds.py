from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.folds import concave_curvature, deepening
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.sampling import sample_surface


def sheet(step: float, slope: float) -> Mesh:
    """A square of 20 mm, folded along x = 10: from above, a valley for a positive slope, a ridge for a negative one."""
    count = round(20 / step) + 1
    x, y = np.meshgrid(np.linspace(0, 20, count), np.linspace(0, 20, count), indexing="ij")
    corner = np.arange(count * count).reshape(count, count)
    a, b, c, d = (part.ravel() for part in (corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]))
    vertices = np.stack([x, y, slope * np.abs(x - 10)], axis=-1).reshape(-1, 3)
    return Mesh(vertices, np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)]))


def test_valleys_are_concave_and_ridges_and_planes_are_not() -> None:
    valley = sheet(0.5, 1.0)
    curvature = concave_curvature(valley)
    inner = (np.abs(valley.vertices[:, 1] - 10) < 8) & (np.abs(valley.vertices[:, 0] - 10) < 8)
    at_fold = np.abs(valley.vertices[:, 0] - 10) < 0.1
    assert curvature[at_fold & inner].min() > 0.3
    assert curvature[inner & (np.abs(valley.vertices[:, 0] - 10) > 2)].max() == pytest.approx(0, abs=1e-6)
    assert concave_curvature(sheet(0.5, -1.0))[inner].max() == pytest.approx(0, abs=1e-6)
    assert concave_curvature(sheet(0.5, 0.0)).max() == pytest.approx(0, abs=1e-6)


def test_fine_and_coarse_meshes_have_the_same_folds() -> None:
    depth = []
    for step in (0.5, 0.25, 0.125):
        mesh = sheet(step, 1.0)
        near = (np.abs(mesh.vertices[:, 0] - 10) < 0.01) & (np.abs(mesh.vertices[:, 1] - 10) < 5)
        depth.append(concave_curvature(mesh)[near].mean())
    assert max(depth) < 2 * min(depth)


def test_folds_are_made_deeper_against_the_normal() -> None:
    mesh = sheet(0.5, 1.0)
    moved = deepening(mesh, 0.8)
    fold = (np.abs(mesh.vertices[:, 0] - 10) < 0.1) & (np.abs(mesh.vertices[:, 1] - 10) < 8)
    assert moved[fold, 2].max() < -0.2
    np.testing.assert_allclose(deepening(mesh, 0.0), 0)


@pytest.mark.parametrize("folds", [0.0, 0.8])
def test_a_decimated_surface_stays_where_it_was(arch: Mesh, folds: float) -> None:
    rng = np.random.default_rng(0)
    coarse = decimate(arch, len(arch.faces) // 3, folds=folds).mesh
    before, after = (sample_surface(mesh.corners, 30_000, rng) for mesh in (arch, coarse))
    off, _ = cKDTree(before).query(after)
    assert off.mean() < 0.3 and abs(len(coarse.faces) - len(arch.faces) // 3) < 10


def test_more_edges_are_left_in_folds_so_that_fewer_faces_lie_on_two_labels(arch: Mesh) -> None:
    assert arch.labels is not None
    lost = []
    for folds in (0.0, 0.8):
        coarse = decimate(arch, len(arch.faces) // 4, folds=folds)
        assert coarse.mesh.labels is not None
        wrong = coarse.mesh.labels[coarse.face_map] != arch.labels
        lost.append((arch.areas * wrong).sum() / arch.areas.sum())
    assert lost[1] < 0.9 * lost[0]
