"""The commands on real scans, where the environment variable TOOTHGRAPH_DATA names a folder of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toothgraph.mesh.labels import load_palette, read_scan
from toothgraph.mesh.mesh import Mesh


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
    assert done.code == 0, done.err
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
