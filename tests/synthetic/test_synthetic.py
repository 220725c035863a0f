"""Synthetic arches: what they promise about surface, labels, frame and files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from toothgraph.cli.synth import synth
from toothgraph.errors import ConfigError, ShapeError
from toothgraph.fdi import LOWER, UPPER, classes_of_jaw, fdi_to_class
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import Variation, synthetic_arch, write_synthetic

FACES = 5000


@cache
def plain(jaw: int) -> Mesh:
    return synthetic_arch(0, jaw=jaw, faces=FACES, variation=Variation.none())


@cache
def varied(seed: int, jaw: int) -> Mesh:
    return synthetic_arch(seed, jaw=jaw, faces=FACES)


ARCHES = [(seed, jaw) for seed in (0, 1) for jaw in (UPPER, LOWER)]


def edges_of(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unique undirected edges [E, 2] and how many faces each has [E]."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0, return_counts=True)


def patches(faces: np.ndarray) -> int:
    """Number of pieces, faces hanging together by shared edges."""
    owners: dict[tuple[int, int], list[int]] = {}
    for face, corners in enumerate(faces.tolist()):
        for k in range(3):
            a, b = corners[k], corners[(k + 1) % 3]
            owners.setdefault((min(a, b), max(a, b)), []).append(face)
    pairs = np.array([(faces_[0], other) for faces_ in owners.values() for other in faces_[1:]]).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(faces), len(faces)))
    return connected_components(graph, directed=False)[0]


def tooth_centres(mesh: Mesh) -> dict[int, np.ndarray]:
    return {int(t): mesh.centroids[mesh.labels == t].mean(axis=0) for t in np.unique(mesh.labels) if t > 0}


def test_the_same_seed_gives_the_same_arch_and_another_seed_another() -> None:
    first, again, other = varied(3, UPPER), synthetic_arch(3, jaw=UPPER, faces=FACES), varied(0, UPPER)
    assert np.array_equal(first.vertices, again.vertices)
    assert np.array_equal(first.faces, again.faces)
    assert np.array_equal(first.labels, again.labels)
    assert first.vertices.shape != other.vertices.shape or not np.allclose(first.vertices, other.vertices)


@pytest.mark.parametrize("faces", [2000, 5000, 16000])
def test_face_count_is_within_one_percent(faces: int) -> None:
    mesh = synthetic_arch(5, faces=faces)
    assert abs(len(mesh.faces) - faces) <= 0.01 * faces


@pytest.mark.parametrize("jaw", [UPPER, LOWER])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_surface_is_one_open_manifold_piece(jaw: int, seed: int | None) -> None:
    mesh = plain(jaw) if seed is None else varied(seed, jaw)
    assert patches(mesh.faces) == 1
    _, count = edges_of(mesh.faces)
    assert count.max() == 2
    assert (count == 1).sum() > 50  # the border
    assert mesh.areas.min() > 0
    assert len(np.unique(mesh.faces)) == len(mesh.vertices)


@pytest.mark.parametrize(("seed", "jaw"), ARCHES)
def test_labels_are_teeth_of_the_jaw_one_patch_each(seed: int, jaw: int) -> None:
    mesh = varied(seed, jaw)
    assert mesh.jaw == jaw
    assert set(fdi_to_class(mesh.labels)) <= set(classes_of_jaw(jaw))
    teeth = tooth_centres(mesh)
    assert 9 <= len(teeth) <= 16
    for tooth in teeth:
        assert patches(mesh.faces[mesh.labels == tooth]) == 1, tooth
    assert 0.3 < (mesh.labels > 0).mean() < 0.75


@pytest.mark.parametrize(("seed", "jaw"), ARCHES)
def test_teeth_follow_each_other_along_the_arch(seed: int, jaw: int) -> None:
    mesh = varied(seed, jaw)
    centres = tooth_centres(mesh)
    # The angle about a point inside the arch grows from the last tooth at -z over the midline to +z.
    angle = {t: np.arctan2(c[2], c[0] - mesh.centroids[:, 0].min()) for t, c in centres.items()}
    tens = (10, 20) if jaw == UPPER else (30, 40)
    order = [tens[0] + n for n in range(8, 0, -1)] + [tens[1] + n for n in range(1, 9)]
    along = [angle[t] for t in order if t in angle]
    assert np.all(np.diff(along) > 0)


@pytest.mark.parametrize("jaw", [UPPER, LOWER])
def test_frame_is_x_forward_y_to_the_bite_and_first_quadrant_at_negative_z(jaw: int) -> None:
    mesh = plain(jaw)
    centres = tooth_centres(mesh)
    right, left = (10, 20) if jaw == UPPER else (30, 40)
    assert centres[right + 1][0] > centres[right + 6][0] + 20
    assert centres[left + 1][0] > centres[left + 6][0] + 20
    assert all((c[2] < 0) == (t // 10 * 10 == right) for t, c in centres.items())
    gingiva = mesh.centroids[mesh.labels == 0]
    assert np.mean([c[1] for c in centres.values()]) > gingiva[:, 1].mean() + 3


@pytest.mark.parametrize("jaw", [UPPER, LOWER])
def test_normals_point_out_of_the_tissue(jaw: int) -> None:
    mesh = plain(jaw)
    mean = (mesh.areas[:, None] * mesh.normals).sum(axis=0)
    assert mean[1] > 0.9 * np.linalg.norm(mean)
    for tooth, centre in tooth_centres(mesh).items():
        own = mesh.labels == tooth
        # Out of the middle of the crown, a little below its centre, every wall faces away.
        outward = mesh.centroids[own] - (centre - [0, 1.0, 0])
        assert (np.einsum("fk,fk->f", outward, mesh.normals[own]) > 0).mean() > 0.85, tooth


def test_consistent_winding() -> None:
    faces = varied(0, LOWER).faces
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(np.unique(directed, axis=0)) == len(directed)


def test_crown_walls_are_steep_and_molars_wider_than_incisors() -> None:
    mesh = plain(LOWER)
    molar, incisor = mesh.labels == 36, mesh.labels == 31
    assert mesh.areas[molar & (np.abs(mesh.normals[:, 1]) < 0.5)].sum() > 0.4 * mesh.areas[molar].sum()
    assert mesh.areas[molar].sum() > 1.8 * mesh.areas[incisor].sum()
    tall = {
        name: np.ptp(np.quantile(mesh.centroids[own, 1], [0.05, 0.95]))
        for name, own in (("molar", molar), ("incisor", incisor))
    }
    assert tall["incisor"] > 1.1 * tall["molar"]


def test_missing_teeth_are_missing_and_the_others_stay() -> None:
    whole = set(np.unique(plain(LOWER).labels))
    gap = synthetic_arch(0, jaw=LOWER, faces=FACES, variation=Variation.none(), without=(36, 41))
    assert set(np.unique(gap.labels)) == whole - {36, 41}
    # No crown stands in the gap: the surface there is no higher than gum.
    centre = tooth_centres(plain(LOWER))[36]
    near = np.linalg.norm((gap.centroids - centre)[:, [0, 2]], axis=1) < 2.5
    assert near.sum() > 5
    assert gap.centroids[near, 1].max() < centre[1] - 1.0
    assert set(gap.labels[near]) == {0}


def test_a_missing_tooth_leaves_the_others_as_they_were() -> None:
    """Those in front of it and on the other side, that is; those behind may close up."""
    whole, gap = varied(1, LOWER), synthetic_arch(1, jaw=LOWER, faces=FACES, without=(45,))
    before, after = tooth_centres(whole), tooth_centres(gap)
    assert 45 in before and set(after) == set(before) - {45}
    away = [np.linalg.norm(before[t] - after[t]) for t in after if t // 10 == 3 or t % 10 < 4]
    assert max(away) < 0.4


def test_faces_and_jaw_are_checked() -> None:
    with pytest.raises(ConfigError, match="faces of a synthetic arch of at least 2000 and at most 300000"):
        synthetic_arch(0, faces=100)
    with pytest.raises(ConfigError, match="expected jaw 0"):
        synthetic_arch(0, jaw=7)
    with pytest.raises(ConfigError, match="at least two teeth"):
        synthetic_arch(0, jaw=UPPER, without=[*range(11, 19), *range(21, 29)])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"seed": None}, "seed .* at least 0, a whole number, got None"), ({"seed": -1}, "seed .* got -1"),
     ({"seed": 1.5}, "seed .* got 1.5"), ({"seed": [3, -1]}, "seed .* got -1"), ({"seed": "3"}, "seed .* got '3'"),
     ({"faces": 2500.5}, "faces .* got 2500.5"), ({"faces": "many"}, "faces .* got 'many'"),
     ({"without": 11}, "without as a list of FDI numbers, got 11"), ({"without": "11"}, "FDI numbers, got '11'"),
     ({"without": (99, 11, 55)}, "permanent teeth, 11 to 48, got 55, 99"), ({"without": [11.5]}, "11 to 48, got 11.5")],
)  # fmt: skip
def test_what_no_arch_has_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        synthetic_arch(**({"seed": 0} | wrong))


@pytest.mark.parametrize(
    "wrong", [{"missing": 30}, {"holes": 1.1}, {"noise": float("nan")}, {"wear": -1}, {"ragged": "much"}, {"size": 5}]
)
def test_differences_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} of a variation of at least 0"):
        Variation(**wrong)
    with pytest.raises(ShapeError, match="expected variation: a Variation, got dict"):
        synthetic_arch(0, variation=wrong)


def test_files_read_back_equal_and_do_not_depend_on_how_many(tmp_path: Path) -> None:
    seen: list[Path] = []
    paths = write_synthetic(tmp_path / "three", 3, 3000, 7, on_scan=seen.append)
    assert [p.name for p in paths] == ["0000_upper.stl", "0000_lower.stl", "0001_upper.stl"]
    assert seen == paths
    for index, path in enumerate(paths):
        made = synthetic_arch([7, index], jaw=index % 2, faces=3000)
        back = read_scan(path)
        assert np.array_equal(back.labels, made.labels)
        assert np.array_equal(back.corners, made.corners)
        assert back.jaw == made.jaw
    (alone,) = write_synthetic(tmp_path / "one", 1, 3000, 7)
    assert alone.read_bytes() == paths[0].read_bytes()
    assert sorted(p.suffix for p in alone.parent.iterdir()) == [".stl", ".txt"]


def test_command_writes_and_says_so_and_refuses_what_it_cannot(tmp_path: Path) -> None:
    result = CliRunner().invoke(synth, [str(tmp_path / "out"), "--scans", "1", "--faces", "2000", "--seed", "4"])
    assert result.exit_code == 0, result.output
    assert result.output.count("\n") == 1 and str(tmp_path / "out") in result.output
    assert (tmp_path / "out" / "0000_upper.txt").is_file()
    for wrong in (["--faces", "10"], ["--scans", "0"], ["--seed", "-1"]):
        refused = CliRunner().invoke(synth, [str(tmp_path / "no"), *wrong])
        assert refused.exit_code == 2 and "not in the range" in refused.output
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(("name", "jaw"), [("007_U", UPPER), ("007_L", LOWER)])
def test_teeth_stand_where_a_real_arch_has_them(name: str, jaw: int, data_dir: Path) -> None:
    real = read_scan(
        data_dir / "3d-iosseg" / f"{name}.ply", palette=load_palette(f"{data_dir}/palettes.json:3d-iosseg"), jaw=jaw
    )
    found, made = tooth_centres(real), tooth_centres(plain(jaw))
    shared = sorted(set(found) & set(made))
    assert len(shared) >= 12
    # Each scan lies a few millimetres elsewhere; its axes are the same.
    apart = np.array([found[t] - made[t] for t in shared])
    away = np.linalg.norm(apart - apart.mean(axis=0), axis=1)
    assert np.linalg.norm(apart.mean(axis=0)) < 12.0
    assert np.median(away) < 3.0 and away.max() < 7.0
