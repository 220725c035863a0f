"""The commands on real scans, where the environment variable TOOTHGRAPH_DATA names a folder of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toothgraph.fdi import class_to_fdi, fdi_to_class, mirror_classes
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.io.read import read_mesh
from toothgraph.mesh.mesh import Mesh
from toothgraph.segmentation import segment
from toothgraph.transforms.augment import random_rotation


@pytest.fixture(scope="module")
def palette(data_dir: Path) -> str:
    return f"{data_dir / 'palettes.json'}:3d-iosseg"


@pytest.mark.parametrize(("name", "jaw"), [("007_L.ply", 1), ("007_U.ply", 0)])
def test_read(name, jaw, data_dir, palette):
    mesh: Mesh = read_scan(data_dir / "3d-iosseg" / name, palette=load_palette(palette))
    assert mesh.jaw == jaw and mesh.labels is not None
    assert 15_000 < len(mesh.faces) <= 16_000
    assert 40 < np.ptp(mesh.vertices, axis=0).max() < 100  # mm: a whole arch
    teeth = np.unique(mesh.labels[mesh.labels > 0])
    assert 11 <= len(teeth) <= 16 and ((teeth > 30) == (jaw == 1)).all()
    assert 0.2 < (mesh.labels == 0).mean() < 0.8
    # One tooth is one place: its faces lie within the size of a tooth around their middle.
    for tooth in teeth:
        points = mesh.centroids[mesh.labels == tooth]
        assert np.median(np.linalg.norm(points - np.median(points, axis=0), axis=1)) < 8


def test_finetune_predict_evaluate(command, data_dir, palette, tiny_toml, tmp_path):
    scans = [data_dir / "3d-iosseg" / f"{patient}_{jaw}.ply" for patient in ("007", "008") for jaw in "LU"]
    run = tmp_path / "run"
    done = command("finetune", *scans, "--out", run, "--config", tiny_toml, "--steps", 2, "--palette", palette)
    assert done.code == 0, done.err
    config = json.loads((run / "config.json").read_text())
    assert len(config["train"]) == len(config["val"]) == 2
    done = command("predict", scans[0], "--model", run, "--out", tmp_path / "out")
    assert done.labelled, done.err
    mesh = read_scan(scans[0])
    assert mesh.labels is None  # without a palette its colours say nothing
    labels = np.loadtxt(tmp_path / "out" / "007_L.txt", dtype=int)
    assert len(labels) == len(mesh.original.polygons)
    assert not ((labels > 0) & (labels < 31)).any()
    scores = tmp_path / "scores.json"
    done = command("evaluate", *scans[:2], "--model", run, "--out", scores, "--palette", palette)
    assert done.code == 0, done.err
    rows = json.loads(scores.read_text())["per_scan"]
    assert [(row["scan_id"], row["jaw"]) for row in rows] == [("007_L", "lower"), ("007_U", "upper")]
    assert all(0 < row["accuracy"] < 1 and row["faces"] == 16_000 for row in rows)


def test_its_split_file(command, data_dir, palette, tiny_toml, tmp_path):
    patients = json.loads((data_dir / "split.json").read_text())
    few = [patients["label_fraction_percent"]["10"][0], patients["train"][-1], patients["val"][0]]
    scans = [data_dir / "3d-iosseg" / f"{patient}_L.ply" for patient in few]
    given = ("--config", tiny_toml, "--steps", 1, "--palette", palette, "--split", data_dir / "split.json")
    done = command("finetune", *scans, "--out", tmp_path, "--label-fraction", 0.1, *given)
    assert done.code == 0, done.err
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["train"] == [f"{few[0]}_L"] and config["val"] == [f"{few[2]}_L"]


def test_a_name_that_contradicts_the_scan_is_told(data_dir, tmp_path):
    (tmp_path / "misnamed_lower.ply").write_bytes((data_dir / "3d-iosseg" / "011_U.ply").read_bytes())
    found = segment(tmp_path / "misnamed_lower.ply")
    assert found.mesh.jaw == 1 and len(found.doubts) >= 1
    assert found.doubts[0].startswith("labelled as lower jaw, but looks like the upper jaw")
    found.write(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "misnamed_lower.json").read_text())
    assert written["doubts"] == found.doubts and written["id_patient"] == "misnamed"


def test_another_sets_palette_gives_no_labels(command, data_dir, tmp_path):
    scan = data_dir / "3d-iosseg" / "011_L.ply"
    done = command("evaluate", scan, "--palette", f"{data_dir / 'palettes.json'}:teeth3ds", "--out", tmp_path / "s")
    assert done.code == 1 and "Is it the palette of these scans?" in done.err and "has no labels" in done.err


@pytest.mark.parametrize("name", ["011_U", "035_L"])
def test_a_mirror_image_gets_the_numbers_of_the_other_side(name, data_dir):
    """However it lies and with the jaw withheld, sides are told apart by how the teeth follow each other."""
    mesh = read_mesh(data_dir / "3d-iosseg" / f"{name}.ply")
    reflect = np.array([[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]]) @ random_rotation(np.random.default_rng(0), 180)
    image = Mesh(mesh.vertices @ reflect.T, mesh.faces[:, ::-1], scan_id=name)
    straight, mirrored = (segment(each, jaw=-1).prediction.labels for each in (mesh, image))
    swapped = class_to_fdi(mirror_classes()[fdi_to_class(mirrored)])
    tooth = straight > 0
    assert (swapped[tooth] == straight[tooth]).mean() > 0.95
    assert (mirrored[tooth] == straight[tooth]).mean() < 0.01


@pytest.mark.slow
def test_every_odd_scan_is_labelled_or_refused(command, data_dir, tmp_path):
    pytest.importorskip("vtkmodules")
    bad = tmp_path / "cut-short.stl"
    bad.write_bytes((data_dir / "odd-scans" / "gingiva-only-upper.stl").read_bytes()[:5000])
    files = sorted(file for file in (data_dir / "odd-scans").iterdir() if file.suffix != ".json")
    done = command("predict", bad, data_dir / "odd-scans", "--out", tmp_path / "out", "--format", "txt")
    assert done.code == 1
    assert [line for line in done.err.splitlines() if line.startswith("Error")][-1].startswith("Error: 1 of 13 scans")
    assert "the header promises" in done.err and "gingiva-only-upper: 0 teeth found" in done.err
    for file in files:
        labels = np.loadtxt(tmp_path / "out" / f"{file.stem}.txt", dtype=int)
        assert len(labels) == len(read_mesh(file).original.polygons)
        assert (labels > 0).any() == (file.stem != "gingiva-only-upper")
