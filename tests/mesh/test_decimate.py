from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from toothgraph.errors import ConfigError, MeshError, ShapeError
from toothgraph.graph.spec import GraphSpec, scan_graph
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import synthetic_arch


def agreement(mesh: Mesh, carried: np.ndarray) -> float:
    return float((mesh.areas * (carried == mesh.labels)).sum() / mesh.areas.sum())


def test_labels_survive_there_and_back(patch: Mesh) -> None:
    coarse = decimate(patch, 1200)
    assert abs(len(coarse.mesh.faces) - 1200) < 20
    assert coarse.face_map.shape == (3200,) and coarse.face_map.max() < len(coarse.mesh.faces)
    assert coarse.mesh.labels is not None
    assert agreement(patch, coarse.mesh.labels[coarse.face_map]) > 0.97
    assert set(np.unique(coarse.mesh.labels)) == {-1, 0, 11, 12}


def test_fine_faces_go_to_near_coarse_faces(patch: Mesh) -> None:
    coarse = decimate(patch, 800)
    gap = np.linalg.norm(coarse.mesh.centroids[coarse.face_map] - patch.centroids, axis=1)
    assert np.median(gap) < 1.0 and gap.max() < 8.0


def test_small_meshes_come_back_unchanged(patch: Mesh) -> None:
    same = decimate(patch, 3200)
    assert same.mesh is patch
    np.testing.assert_array_equal(same.face_map, np.arange(3200))


def test_jitter_gives_another_tessellation_of_the_same_surface(patch: Mesh) -> None:
    first, again, other = (
        decimate(patch, 1200, rng=np.random.default_rng(seed), jitter=0.02).mesh for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.vertices, again.vertices)
    assert first.vertices.shape != other.vertices.shape or not np.allclose(first.vertices, other.vertices)
    x, y, z = other.vertices.T
    off = np.abs(z - 2 * np.sin(x / 4) * np.cos(y / 5))
    # the sheet itself bends 0.03 mm away from the sine between its vertices
    assert np.median(off) < 0.04 and off.max() < 0.2


def test_sides_of_a_thin_sheet_are_told_apart(patch: Mesh) -> None:
    # two layers 0.2 mm apart, back to back: nearest alone would mix them
    below = patch.vertices - [0, 0, 0.2]
    faces = np.concatenate([patch.faces, patch.faces[:, ::-1] + len(patch.vertices)])
    labels = np.repeat([11, 21], len(patch.faces))
    sheet = Mesh(np.concatenate([patch.vertices, below]), faces, labels=labels)
    coarse = decimate(sheet, 2400)
    assert coarse.mesh.labels is not None
    assert agreement(sheet, coarse.mesh.labels[coarse.face_map]) > 0.99


def test_non_manifold_meshes_of_several_pieces(patch: Mesh) -> None:
    fin = np.array([[0.0, 0.5, 5.0]])  # makes a third face on an edge of the sheet
    far = patch.vertices + np.array([100, 0, 0])
    n = len(patch.vertices)
    vertices = np.concatenate([patch.vertices, far, fin])
    faces = np.concatenate([patch.faces, patch.faces + n, [[0, 1, 2 * n]]])
    coarse = decimate(Mesh(vertices, faces, labels=np.zeros(len(faces))), 2000)
    assert 1900 < len(coarse.mesh.faces) < 2100
    across = np.abs(coarse.mesh.centroids[coarse.face_map, 0] - vertices[faces].mean(axis=1)[:, 0])
    assert across.max() < 50


def test_unknown_labels_do_not_vote(patch: Mesh) -> None:
    labels = np.where(np.arange(3200) % 2 == 0, 14, -1)
    coarse = decimate(patch.with_labels(labels), 800)
    assert coarse.mesh.labels is not None
    assert (coarse.mesh.labels == 14).mean() > 0.85


def test_refusals(patch: Mesh) -> None:
    with pytest.raises(MeshError, match="at least 4"):
        decimate(patch, 3)
    with pytest.raises(MeshError, match="rng"):
        decimate(patch, 1000, jitter=0.1)
    for given in ({"n_faces": np.nan}, {"n_faces": "1000"}, {"n_faces": 1000, "jitter": np.nan},
                  {"n_faces": 1000, "jitter": -0.1}):  # fmt: skip
        with pytest.raises(ConfigError, match=f"expected {[*given][-1]} .*, got"):
            decimate(patch, **given, rng=np.random.default_rng(0))


def test_real_scan(data_dir: Path) -> None:
    palette = load_palette(f"{data_dir / 'palettes.json'}:3d-iosseg")
    mesh = read_scan(data_dir / "3d-iosseg" / "007_L.ply", palette=palette)
    coarse = decimate(mesh, 6000, rng=np.random.default_rng(0), jitter=0.02)
    assert coarse.mesh.labels is not None and abs(len(coarse.mesh.faces) - 6000) < 60
    assert agreement(mesh, coarse.mesh.labels[coarse.face_map]) > 0.97
    distance, _ = cKDTree(mesh.vertices).query(coarse.mesh.vertices)
    assert np.quantile(distance, 0.99) < 1.0


def test_threads_do_not_disturb_each_other() -> None:
    meshes = [synthetic_arch(seed, jaw=0, faces=faces) for seed, faces in enumerate((6000, 9000, 16000, 3000))]
    alone = [decimate(mesh, 2000).mesh.vertices for mesh in meshes]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda mesh: decimate(mesh, 2000).mesh.vertices, meshes * 8))
    finally:
        sys.setswitchinterval(before)
    for number, vertices in enumerate(together):
        np.testing.assert_array_equal(vertices, alone[number % 4])


def test_a_seed_is_no_generator(patch: Mesh) -> None:
    with pytest.raises(ShapeError, match=r"a random generator, got 0; numpy.random.default_rng\(seed\) makes one"):
        decimate(patch, 1200, rng=0, jitter=0.1)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="a random generator"):
        scan_graph(patch, GraphSpec(faces=1000), rng=0)  # type: ignore[arg-type]
