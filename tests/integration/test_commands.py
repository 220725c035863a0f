"""The commands as a user types them, on tiny nets."""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from toothgraph.anatomy.doubt import UNSURE, Doubt
from toothgraph.inference.options import PredictOptions
from toothgraph.io.formats.ply import read_ply
from toothgraph.io.labels import read_scan
from toothgraph.io.read import read_mesh
from toothgraph.io.said import doubts_content
from toothgraph.report.index import read_list
from toothgraph.system import provenance

ROOT = Path(__file__).resolve().parents[2]


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(plain(key) and plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return value is None or isinstance(value, str | int | float | torch.Tensor)


def test_last_weights_are_validated_whatever_the_interval(command, arches, tiny_toml, tmp_path):
    done = command("pretrain", arches, "--out", tmp_path / "run", "--config", tiny_toml, "--steps", 3)
    assert done.code == 0
    assert [int(row["step"]) for row in rows(tmp_path / "run") if row["val_match_top1"]] == [2, 3]


@pytest.mark.parametrize(("name", "monitor"), [("pretrained", "val_match_top1"), ("segmenter", "val_miou")])
def test_run_folder(name, monitor, request):
    run = request.getfixturevalue(name)
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "metrics.csv", "log.txt", "tensorboard", "last.ckpt", "previous.ckpt"),
        *("best.ckpt", "model.safetensors", "state.json"),
    }
    table = rows(run)
    assert [int(row["step"]) for row in table if row["train_loss"]] == [1, 2, 3, 4]
    assert [int(row["step"]) for row in table if row[monitor]] == [2, 4]
    assert list((run / "tensorboard").glob("events.out.tfevents*"))
    assert "begins at step 0" in (run / "log.txt").read_text()
    config = json.loads((run / "config.json").read_text())
    assert config["options"]["net"]["widths"] == [8, 16, 16, 16]
    assert not set(config["train"]) & set(config["val"])
    assert config["started"]["versions"]["torch"] == provenance.versions()["torch"]
    for file in ("last.ckpt", "best.ckpt"):
        content = torch.load(run / file, weights_only=True)
        assert plain(content)
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 4
    best = max(table, key=lambda row: float(row[monitor] or -1))
    assert torch.load(run / "best.ckpt", weights_only=True)["global_step"] == int(best["step"])


@pytest.mark.parametrize(("name", "kind"), [("pretrained", "pretrained"), ("segmenter", "segmentation")])
def test_model_file_says_what_it_is(name, kind, request):
    file = request.getfixturevalue(name) / "model.safetensors"
    with safe_open(file, framework="pt") as content:
        header = json.loads(content.metadata()["toothgraph"])
    assert header["kind"] == kind
    assert header["net"]["graph"]["faces"] == 300
    assert (header["seed"], header["steps"]) == (0, 4)
    assert {"git", "versions", "hardware", "date"} <= header["trained"].keys()
    umask = os.umask(0)
    os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
def test_run_is_not_overwritten(name, command, arches, tiny_toml, pretrained, segmenter):
    run = pretrained if name == "pretrain" else segmenter
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    assert "holds a run already; add --resume" in command(name, arches, "--out", run, "--config", tiny_toml).error
    assert before == {path.name: path.stat().st_mtime_ns for path in run.iterdir()}


def test_init_loads_the_backbone(command, arches, tiny_toml, pretrained, tmp_path):
    done = command(
        "finetune", arches, "--out", tmp_path / "run", "--config", tiny_toml, "--init", pretrained, "--steps", 1,
        "--lr", 1e-30, "--device", "cpu",
    )  # fmt: skip
    said = re.search(r"net: (\d+) tensors from .*, (\d+) new: head\.", done.err)
    assert done.code == 0 and said, done.err
    before, after = (load_file(run / "model.safetensors") for run in (pretrained, tmp_path / "run"))
    backbone = [name for name in after if name.startswith("backbone.")]
    head = [name for name in after if name.startswith("head.")]
    assert int(said[1]) == len(backbone) and int(said[2]) == len(head)
    weights = [name for name in backbone if "running" not in name and "num_batches" not in name]
    assert all(torch.allclose(before[name], after[name], atol=1e-12) for name in weights)


def test_only_a_pretrained_backbone_learns_more_slowly(command, arches, tiny_toml, pretrained, tmp_path):
    """How far the backbone's weights move in one step: about the learning rate each, with AdamW."""
    given = ("--init", pretrained, "--steps", 1, "--lr", 1e-2, "--device", "cpu")
    start = load_file(pretrained / "model.safetensors")
    rates = {}
    for name, option in {"slow": "", "fast": "backbone_rate = 1.0\n"}.items():
        run, options = tmp_path / name, tmp_path / f"{name}.toml"
        options.write_text(option + tiny_toml.read_text())
        assert command("finetune", arches, "--out", run, "--config", options, *given).code == 0
        end = load_file(run / "model.safetensors")
        moved = [(end[key] - start[key]).abs().max() for key in start if key.endswith("weight") and key in end]
        rates[name] = float(max(moved))
    assert rates["slow"] == pytest.approx(rates["fast"] / 10, rel=0.1)
    scratch = tmp_path / "scratch"
    assert command("finetune", arches, "--out", scratch, "--config", tiny_toml, *given[2:]).code == 0
    assert json.loads((scratch / "config.json").read_text())["options"]["backbone_rate"] == 1.0


def test_init_without_a_backbone_tensor_is_refused(command, arches, tiny_toml, pretrained, tmp_path):
    with safe_open(pretrained / "model.safetensors", framework="pt") as content:
        metadata = content.metadata()
    tensors = load_file(pretrained / "model.safetensors")
    lost = next(name for name in tensors if name.startswith("backbone."))
    del tensors[lost]
    save_file(tensors, tmp_path / "model.safetensors", metadata=metadata)
    run = ("finetune", arches, "--out", tmp_path / "run", "--config", tiny_toml, "--init", tmp_path)
    assert f"1 backbone tensors are missing or of another shape, e.g. {lost}" in command(*run).error
    assert not (tmp_path / "run").exists()


def test_smaller_label_fractions_are_nested(command, arches, tiny_toml, tmp_path):
    trained = {}
    for fraction in (0.5, 1):
        out = tmp_path / str(fraction)
        done = command(
            *("finetune", arches, "--out", out, "--config", tiny_toml, "--steps", 1, "--label-fraction", fraction)
        )
        assert done.code == 0, done.err
        trained[fraction] = set(json.loads((out / "config.json").read_text())["train"])
    assert len(trained[0.5]) == 2 and len(trained[1]) == 4
    assert trained[0.5] < trained[1]


def test_split_file_says_whose_labels_are_used(command, arches, tiny_toml, tmp_path):
    split = tmp_path / "split.json"
    listed = {"train": ["0000", "0002"], "val": ["0001"], "label_fraction_percent": {"40": ["0002"]}}
    split.write_text(json.dumps(listed))
    run = tmp_path / "run"
    done = command(
        "finetune", arches, "--out", run, "--config", tiny_toml, "--steps", 1, "--split", split,
        "--label-fraction", 0.4,
    )  # fmt: skip
    assert done.code == 0, done.err
    config = json.loads((run / "config.json").read_text())
    assert set(config["train"]) == {"0002_upper", "0002_lower"}
    assert set(config["val"]) == {"0001_upper", "0001_lower"}
    assert "no scan was found" not in done.err
    split.write_text(json.dumps({**listed, "train": ["0000", "0002", "0200"]}))
    done = command("finetune", arches, "--out", tmp_path / "b", "--config", tiny_toml, "--steps", 1, "--split", split)
    assert done.code == 0 and "split.json: no scan was found for 1 of the 4 patients that it names: 0200" in done.err


def test_paper_preset(command, arches, tmp_path):
    (tmp_path / "one.toml").write_text("variants = 1\n")
    given = ("--preset", "paper", "--faces", 300, "--steps", 2, "--batch", 1, "--config", tmp_path / "one.toml")
    pre, fine = tmp_path / "pre", tmp_path / "fine"
    assert command("pretrain", arches, "--out", pre, *given).code == 0
    done = command("finetune", arches, "--out", fine, *given, "--init", pre)
    assert done.code == 0 and " new: head.jaw, head.layers" in done.err
    scan = arches / "0000_upper.stl"
    assert command("predict", scan, "--model", fine, "--out", tmp_path / "out").labelled
    assert command("evaluate", scan, "--model", fine, "--out", tmp_path / "scores.json").code == 0
    assert (
        "as preset 'default' has, found kind 'paper'"
        in command("finetune", arches, "--out", tmp_path / "x", "--init", pre).error
    )


def _sheet() -> tuple[np.ndarray, np.ndarray]:
    """A wavy sheet of 30 × 30 quads, 40 mm wide."""
    n = 31
    x, y = np.meshgrid(np.linspace(0, 40, n), np.linspace(0, 40, n), indexing="ij")
    vertices = np.stack([x, y, 3 * np.sin(x / 4) * np.cos(y / 5)], axis=-1).reshape(-1, 3)
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1, 1)
    return vertices, corner + np.array([0, n, n + 1, 1])


def _obj(vertices: np.ndarray, faces: np.ndarray) -> str:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    return "\n".join(lines + ["f " + " ".join(map(str, face + 1)) for face in faces]) + "\n"


def _ply(vertices: np.ndarray, faces: np.ndarray) -> str:
    head = [f"element vertex {len(vertices)}", *(f"property float {axis}" for axis in "xyz")]
    head += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    body = [f"{x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    body += [" ".join(map(str, [len(face), *face])) for face in faces]
    return "\n".join(["ply", "format ascii 1.0", *head, *body]) + "\n"


def _stl(vertices: np.ndarray, faces: np.ndarray) -> str:
    facets = (
        "facet normal 0 0 1\nouter loop\n"
        + "".join(f"vertex {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices[face])
        + "endloop\nendfacet\n"
        for face in faces
    )
    return "solid sheet\n" + "".join(facets) + "endsolid sheet\n"


def test_predict_answers_on_the_files_own_faces(command, arches, segmenter, tmp_path):
    vertices, quads = _sheet()
    triangles = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])
    unwelded = vertices[triangles].reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3)
    scans = tmp_path / "scans"
    scans.mkdir()
    shutil.copy(arches / "0000_upper.stl", scans / "binary.stl")
    (scans / "quads.obj").write_text(_obj(vertices, quads))
    (scans / "ascii.ply").write_text(_ply(vertices, quads))
    (scans / "unwelded.ply").write_text(_ply(*unwelded))
    (scans / "text.stl").write_text(_stl(vertices, triangles))
    out = tmp_path / "out"
    done = command("predict", scans, "--model", segmenter, "--out", out)
    assert done.labelled, done.err
    for file in sorted(scans.iterdir()):
        original = read_mesh(file).original
        answer = read_ply(out / f"{file.stem}.ply")
        assert np.array_equal(answer.polygons, original.polygons)
        assert np.allclose(answer.vertices, original.vertices, atol=1e-6)
        per_face = np.loadtxt(out / f"{file.stem}.txt", dtype=int)
        per_vertex = json.loads((out / f"{file.stem}.json").read_text())["labels"]
        assert np.array_equal(answer.face_data["fdi"], per_face)
        assert np.array_equal(answer.vertex_data["fdi"], per_vertex)
    assert len(np.loadtxt(out / "quads.txt")) == 900


def test_a_training_state_is_no_model(command, arches, segmenter, tmp_path):
    done = command("predict", arches, "--model", segmenter / "best.ckpt", "--out", tmp_path / "out")
    assert done.code == 1 and "best.ckpt: the state of a training, not a model; give model.safetensors" in done.err


def test_predict_keeps_suffixes_where_stems_meet(command, arches, segmenter, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    vertices, quads = _sheet()
    (scans / "case.obj").write_text(_obj(vertices, quads))
    shutil.copy(arches / "0000_upper.stl", scans / "case.stl")
    assert command("predict", scans, "--model", segmenter, "--out", tmp_path / "out").labelled
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"summary.csv"} | {
        f"case.{kind}.{suffix}" for kind in ("obj", "stl") for suffix in ("ply", "txt", "json", "found.json")
    }


def test_predict_goes_on_after_a_bad_scan(command, arches, segmenter, tmp_path):
    bad = tmp_path / "bad.stl"
    bad.write_bytes(b"")
    scans = (arches / "0000_upper.stl", bad, arches / "0001_lower.stl")
    done = command("predict", *scans, "--model", segmenter, "--out", tmp_path / "out")
    assert done.code == 1
    first, last = (line for line in done.err.splitlines() if line.startswith("Error: "))
    assert "bad.stl: the file is empty" in first
    assert "1 of 3 scans could not be labelled" in last
    stems = {path.name.split(".")[0] for path in (tmp_path / "out").iterdir()}
    assert stems == {"0000_upper", "0001_lower", "summary"}


def test_predict_never_writes_beside_its_input(command, arches, segmenter, tmp_path):
    scans = tmp_path / "scans"
    shutil.copytree(arches, scans)
    before = {path.name: path.read_bytes() for path in scans.iterdir()}
    done = command("predict", scans, "--model", segmenter, "--out", scans)
    assert done.code == 1 and "--out is the scan's own folder" in done.err
    assert before == {path.name: path.read_bytes() for path in scans.iterdir()}


def test_predict_again_passes_over_its_own_output(command, arches, segmenter, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    shutil.copy(arches / "0000_upper.stl", scans)
    for _ in range(2):
        done = command("predict", scans, "--model", segmenter, "--out", scans / "labelled")
        assert done.labelled, done.err
        assert len(list((scans / "labelled").iterdir())) == 5


@pytest.mark.parametrize(("name", "given", "jaw"), [
    ("0000_upper.stl", "lower", "lower"), ("0000_upper.stl", "auto", "upper"), ("7_L.stl", "auto", "lower"),
    ("follower.stl", "upper", "upper"),
])  # fmt: skip
def test_jaw(name, given, jaw, command, arches, segmenter, tmp_path):
    shutil.copy(arches / "0000_upper.stl", tmp_path / name)
    out = tmp_path / "out"
    done = command("predict", tmp_path / name, "--model", segmenter, "--out", out, "--jaw", given)
    assert done.labelled and f": {jaw} jaw" in done.out
    labels = np.loadtxt(out / f"{Path(name).stem}.txt", dtype=int)
    assert not ((labels > 30) == (jaw == "upper"))[labels > 0].any()
    assert json.loads((out / f"{Path(name).stem}.json").read_text())["jaw"] == jaw


def test_a_follower_is_no_lower_jaw(command, arches, segmenter, tmp_path):
    for name in ("follower.stl", "scan.stl"):
        shutil.copy(arches / "0000_upper.stl", tmp_path / name)
    done = command("predict", tmp_path, "--model", segmenter, "--out", tmp_path / "out", "--picture")
    assert done.labelled
    follower, scan = (set(re.findall(rf"{name}: (\w+) jaw", done.out)) for name in ("follower", "scan"))
    assert follower == scan
    assert (tmp_path / "out" / "scan.png").stat().st_size > 1000


def test_steps_of_prediction_can_be_left_out(command, arches, segmenter, tmp_path, monkeypatch):
    from toothgraph import segmentation
    from toothgraph.inference import predict

    seen = []
    real = predict.predict_mesh
    monkeypatch.setattr(segmentation, "predict_mesh", lambda *args: seen.append(args[3]) or real(*args))
    scan, steps = arches / "0000_upper.stl", ("find_pose", "refine_borders", "assign_numbers")
    for flags, left_out in (
        ((), ()), (("--no-orient",), steps[:1]), (("--no-refine", "--keep-numbers"), steps[1:]),
        (("--no-numbering",), steps[2:]),
    ):  # fmt: skip
        assert command("predict", scan, "--model", segmenter, "--out", tmp_path / "out", *flags).labelled
        assert command("evaluate", scan, "--model", segmenter, "--out", tmp_path / "scores.json", *flags).code == 0
        assert seen[-2:] == [PredictOptions(**{step: step not in left_out for step in steps})] * 2


def test_formats(command, arches, segmenter, tmp_path):
    pytest.importorskip("vtkmodules")
    scan, out, kinds = arches / "0000_upper.stl", tmp_path / "out", ("txt", "vtp", "vtk", "stl")
    done = command("predict", scan, "--model", segmenter, "--out", out, *(f"--format={kind}" for kind in kinds))
    assert done.labelled, done.err
    written = {f"0000_upper.{end}" for end in ("txt", "vtp", "vtk", "teeth", "found.json")} | {"summary.csv"}
    assert {path.name for path in out.iterdir()} == written
    labels = np.loadtxt(out / "0000_upper.txt", dtype=int)
    for end in ("vtp", "vtk"):
        assert np.array_equal(read_scan(out / f"0000_upper.{end}").labels, labels)
    teeth = read_scan(out / "0000_upper.teeth").labels
    assert dict(Counter(teeth.tolist())) == dict(Counter(labels.tolist()))


def test_report(command, arches, segmenter, tmp_path):
    done = command("predict", arches / "0000_upper.stl", "--model", segmenter, "--out", tmp_path, "--report")
    assert done.labelled, done.err
    assert {path.suffix for path in tmp_path.iterdir()} == {".ply", ".txt", ".json", ".html", ".png", ".csv"}
    with (tmp_path / "0000_upper.csv").open() as file:
        rows = list(csv.DictReader(file))
    labels = np.loadtxt(tmp_path / "0000_upper.txt", dtype=int)
    assert {int(row["fdi"]): int(row["faces"]) for row in rows} == dict(
        zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True)
    )
    assert all(0 < float(row["confidence"]) <= 1 for row in rows)


def page_says(page, key):
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])[key]


def test_view(command, arches, segmenter, tmp_path):
    scan, page = arches / "0000_upper.stl", tmp_path / "new" / "page.html"
    assert command("view", scan, "-o", page).code == 0
    assert page_says(page, "results") == ["labels"] and '"confidence": null' in page.read_text()
    done = command("view", scan, "-o", page, "--predict", "--model", segmenter)
    assert done.code == 0 and page_says(page, "results") == ["found", "truth"]
    assert page_says(page, "comparisons")[0]["kind"] == "errors"
    bare = tmp_path / "bare_upper.stl"
    shutil.copy(scan, bare)  # without the labels beside it
    assert command("view", bare, "-o", page, "--model", segmenter).code == 0
    assert page_says(page, "results") == ["found"] and page_says(page, "scans")[0]["results"][0]["confidence"]
    assert command("view", scan, "-o", tmp_path / "a.png").code == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert "ends in .html or .png" in command("view", scan, "-o", tmp_path / "a.pdf").error
    assert not (tmp_path / "a.pdf").exists()


def test_view_of_both_jaws(command, arches, tmp_path):
    upper, lower, page = arches / "0000_upper.stl", arches / "0000_lower.stl", tmp_path / "page.html"
    done = command("view", lower, upper, "-o", page)
    assert done.code == 0 and "0000_lower and 0000_upper -> " in done.out
    assert [scan["jaw"] for scan in page_says(page, "scans")] == ["lower", "upper"]
    assert "got 0000_upper: upper jaw" in command("view", upper, upper, "-o", page).error
    assert "got 3 scans" in command("view", upper, lower, upper, "-o", page).error
    assert "a picture shows one scan" in command("view", upper, lower, "-o", tmp_path / "a.png").error
    assert "--compare takes one scan, got 2" in command("view", upper, lower, "-o", page, "--compare", upper).error


def test_view_of_two_results(command, arches, segmenter, tmp_path):
    from toothgraph.io.formats.stl import write_stl

    scan, page, changed = arches / "0000_upper.stl", tmp_path / "page.html", tmp_path / "changed_upper.stl"
    shutil.copy(scan, changed)
    labels = np.loadtxt(scan.with_suffix(".txt"), dtype=int)
    np.savetxt(changed.with_suffix(".txt"), np.where(labels == 11, 12, labels), fmt="%d")
    done = command("view", scan, "-o", page, "--compare", changed)
    assert done.code == 0
    assert "compared: labels of 0000_upper.stl, with labels of changed_upper.stl: 2 teeth differ" in done.out
    assert page_says(page, "results") == ["0000_upper", "changed_upper"]
    rows = page_says(page, "scans")[0]["differences"]["changes"]
    assert [(row["fdi"], row["other"]) for row in rows] == [(11, 12), (12, 12)]
    assert command("view", scan, "-o", page, "--compare", segmenter).code == 0
    assert page_says(page, "results") == ["0000_upper", segmenter.name]
    assert command("view", scan, "-o", page, "--predict", "--model", segmenter, "--compare", scan).code == 0
    assert page_says(page, "results") == [segmenter.name, "0000_upper", "truth"]
    bare = shutil.copy(scan, tmp_path / "bare_upper.stl")
    said = command("view", bare, "-o", page, "--model", segmenter, "--compare", scan).out
    found = (
        f"compared: labels found by {segmenter.name} (bare_upper.stl has no labels), with labels of 0000_upper.stl: "
    )
    assert found in " ".join(said.split())
    mesh = read_mesh(scan)
    write_stl(changed, mesh.vertices + 10.0, mesh.faces)
    elsewhere = command("view", scan, "-o", page, "--compare", changed).error
    assert "expected the surface of 0000_upper with other labels" in elsewhere
    changed.with_suffix(".txt").unlink()
    bare = command("view", scan, "-o", page, "--compare", changed).error
    assert f"to compare with, found {len(mesh.faces)} faces and no labels" in bare and "give --palette" in bare


def names_of(index):
    """The scans that a list has, in its order."""
    content = json.loads(re.search(r'id="scans">(.*?)</script>', index.read_text(), re.DOTALL)[1])
    return [scan["name"] for patient in content["patients"] for scan in patient["scans"]]


def test_list_of_the_scans_of_a_folder(command, arches, segmenter, tmp_path):
    lab = tmp_path / "lab"
    done = command("predict", arches / "0000_upper.stl", "--model", segmenter, "--out", lab, "--report")
    assert done.labelled and done.out.splitlines()[-1] == f"list of the scans -> {lab / 'index.html'}"
    assert command("predict", arches / "0000_lower.stl", "--model", segmenter, "--out", lab, "--report").labelled
    assert names_of(lab / "index.html") == ["0000_upper", "0000_lower"]
    (lab / "0000.both.html").unlink()  # it is there as soon as both jaws are
    pair = [arches / f"0000_{jaw}.stl" for jaw in ("upper", "lower")]
    assert command("predict", *pair, "--model", segmenter, "--out", lab, "--report").labelled
    assert {scan["name"] for scan in page_says(lab / "0000.both.html", "scans")} == {"0000_upper", "0000_lower"}
    with (lab / "measures.csv").open(newline="") as file:
        rows = {(row["scan"], row["measure"]): row for row in csv.DictReader(file)}
    assert {scan for scan, _ in rows} == {"0000_upper", "0000_lower", ""}
    for scan in ("0000_upper", "0000_lower"):
        written = json.loads((lab / f"{scan}.json").read_text())["measures"]
        assert len(written) == 4
        for key, measure in written.items():
            row = rows[scan, key]
            assert row["value"] == ("" if measure["value"] is None else f"{measure['value']:.2f}")
            assert row["reason"] == measure.get("reason", "")
    (lab / "index.html").write_text("mine")
    refused = command("predict", arches / "0000_upper.stl", "--model", segmenter, "--out", lab, "--report")
    assert "expected the list of scans of an earlier run" in refused.error
    assert command("predict", arches / "0000_upper.stl", "--model", segmenter, "--out", lab).labelled


def test_view_of_a_labelled_folder_keeps_what_predict_said(command, arches, tmp_path):
    lab = tmp_path / "lab"
    assert command("predict", arches / "0000_upper.stl", "--out", lab).labelled
    written = json.loads((lab / "0000_upper.json").read_text())
    written |= doubts_content([Doubt.of(UNSURE, "review ", [11], ": below 50% confidence"), "look at 12"])
    (lab / "0000_upper.json").write_text(json.dumps(written))
    assert command("view", lab, "-o", tmp_path / "pages").code == 0
    content = json.loads(
        re.search(r'id="scans">(.*?)</script>', (tmp_path / "pages" / "index.html").read_text(), re.DOTALL)[1]
    )
    (scan,) = content["patients"][0]["scans"]
    assert scan["doubts"] == [["review ", 11, ": below 50% confidence"], ["look at 12"]] and 0 < scan["confidence"] < 1


def test_a_model_that_is_named_is_used_where_a_scan_has_labels(command, arches, segmenter, tmp_path):
    page = tmp_path / "page.html"
    assert command("view", arches / "0000_upper.stl", "-o", page, "--model", segmenter).code == 0
    assert page_says(page, "results") == ["found", "truth"]
    assert command("view", arches / "0000_upper.stl", "-o", page).code == 0
    assert page_says(page, "results") == ["labels"]


def test_view_of_a_folder(command, arches, tmp_path):
    pages = tmp_path / "pages"
    done = command("view", arches, "-o", pages)
    assert done.code == 0, done.err
    names = [file.stem for file in arches.glob("*.stl")]
    assert sorted(names_of(pages / "index.html")) == sorted(names)
    both = [f"{name.removesuffix('_upper')}.both.html" for name in names if name.endswith("_upper")]
    assert {path.name for path in pages.iterdir()} == {
        "index.html", "measures.csv", *both, *(f"{name}.html" for name in names)
    }  # fmt: skip
    assert page_says(pages / "0000_upper.html", "results") == ["labels"]
    assert "--compare takes one scan, got 6" in command("view", arches, "-o", pages, "--compare", arches).error
    assert "expected a folder to write to, since 6 scans" in command("view", arches, "-o", tmp_path / "a.html").error
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name in ("0000_upper.stl", "0000_upper.txt"):
        shutil.copy(arches / name, mixed)
    (mixed / "broken_upper.stl").write_text("solid")
    shutil.copy(arches / "0000_lower.stl", mixed / "index.stl")
    done = command("view", mixed, "-o", tmp_path / "some")
    assert done.code == 1 and "2 of 3 scans could not be shown" in done.err and "index: index.html and" in done.err
    assert names_of(tmp_path / "some" / "index.html") == ["0000_upper"]
    assert len(read_list(tmp_path / "some")[1]) == 2


def test_what_shows_no_arch_is_said_to(command, tmp_path):
    from toothgraph.io.formats.stl import write_stl
    from toothgraph.mesh.mesh import Mesh

    x, z = np.meshgrid(np.linspace(-30, 30, 40), np.linspace(-30, 30, 40), indexing="ij")
    corner = (np.arange(39)[:, None] * 40 + np.arange(39)).reshape(-1, 1)
    faces = np.concatenate([np.add(corner, [0, 1, 40]), np.add(corner, [1, 41, 40])])
    plate = Mesh(np.stack([x.ravel(), 0.02 * x.ravel() ** 2, z.ravel()], axis=1), faces)
    write_stl(tmp_path / "plate.stl", plate.vertices, plate.faces)
    done = command("predict", tmp_path / "plate.stl", "--out", tmp_path / "out")
    assert done.code == 3
    assert "Warning: plate: 0 teeth found; does the file show one arch" in done.err


@pytest.fixture(scope="module")
def two_of_a_kind(tmp_path_factory) -> Path:
    """The same synthetic arch twice in one file, some way apart."""
    from toothgraph.io.formats.stl import write_stl
    from toothgraph.synthetic import synthetic_arch

    arch = synthetic_arch(3, jaw=1, faces=8000)
    path = tmp_path_factory.mktemp("both") / "both.stl"
    vertices = np.concatenate([arch.vertices, arch.vertices + np.array([0, 25, 0])])
    write_stl(path, vertices, np.concatenate([arch.faces, arch.faces + len(arch.vertices)]))
    return path


def test_labels_that_cannot_be_trusted_have_an_exit_code_of_their_own(command, two_of_a_kind, tmp_path):
    done = command("predict", two_of_a_kind, "--out", tmp_path)
    assert done.code == 3
    assert "Warning: both: the same teeth are found on two surfaces; are both jaws in one file?" in done.err
    said = "1 of 1 scan is to review, see the warnings above; its labels cannot be trusted"
    assert done.err.splitlines()[-2:] == [said, f"to correct it: toothgraph review {two_of_a_kind} --labels {tmp_path}"]
    assert " jaw (to review), " in done.out and (tmp_path / "both.ply").exists()
    bad = tmp_path / "bad.stl"
    bad.write_bytes(b"")
    assert command("predict", two_of_a_kind, bad, "--out", tmp_path / "out").code == 1  # an error is worse


def downloaded(page):
    """What a page of both jaws in one file gives as the labels of this file, if nobody has changed them."""
    jaws = [base64.b64decode(scan["results"][0]["labels"]) for scan in page["scans"]]
    face = np.frombuffer(base64.b64decode(page["file"]["stored"]), "<u4")
    assert page["file"]["name"] == "bite"
    return np.frombuffer(b"".join(jaws), "u1")[face]


def test_both_jaws_in_one_file_are_labelled_each_for_itself(command, tmp_path):
    """In one file as it was, on one page, in two entries of the list; then looked at and scored as labelled."""
    from toothgraph.io.formats.stl import write_stl
    from toothgraph.synthetic import synthetic_arch

    lower, upper = synthetic_arch(7, jaw=1, faces=6000), synthetic_arch(6, jaw=0, faces=6000)
    over = upper.vertices * [1, -1, -1]
    over[:, 1] += lower.vertices[:, 1].max() - over[:, 1].min()
    (tmp_path / "in").mkdir()
    faces = np.concatenate([lower.faces, upper.faces + len(lower.vertices)])
    write_stl(tmp_path / "in" / "bite.stl", np.concatenate([lower.vertices, over]), faces)
    out = tmp_path / "out"
    done = command("predict", tmp_path / "in" / "bite.stl", "--out", out, "--report")
    assert done.code == 0, done.err
    assert "Warning: bite: both jaws are in this file" in done.err
    assert "bite: both jaws (to review), " in done.out
    labels = np.loadtxt(out / "bite.txt", dtype=int)
    assert len(labels) == len(faces)
    assert (labels[: len(lower.faces)] >= 31)[labels[: len(lower.faces)] > 0].all()
    assert (labels[len(lower.faces) :] <= 28).all() and len(np.unique(labels)) > 20
    shown = json.loads(re.search(r'id="data">(.*?)</script>', (out / "bite.html").read_text(), re.DOTALL)[1])
    assert [scan["jaw"] for scan in shown["scans"]] == ["upper", "lower"]
    assert shown["scans"][0]["doubts"][0][0].startswith("both jaws are in this file")
    np.testing.assert_array_equal(downloaded(shown), labels)
    rows = [row.split(",") for row in (out / "summary.csv").read_text().splitlines()[1:]]
    assert rows[0][:3] == ["bite", "review", "both"]
    listed = (out / "index.html").read_text()
    assert '"name": "bite_upper"' in listed and '"name": "bite_lower"' in listed and '"page": "bite.html"' in listed
    assert (out / "bite.png").is_file() and "bolton_overall" in (out / "measures.csv").read_text()
    done = command("predict", tmp_path / "in" / "bite.stl", "--out", out, "--report")
    assert "labelled before, unchanged" in done.out
    done = command("view", out / "bite.ply", "-o", tmp_path / "page.html")
    assert done.code == 0 and done.out == f"bite_upper and bite_lower -> {tmp_path / 'page.html'}\n", done.err
    shown = json.loads(re.search(r'id="data">(.*?)</script>', (tmp_path / "page.html").read_text(), re.DOTALL)[1])
    np.testing.assert_array_equal(downloaded(shown), labels)
    done = command("view", out / "bite.ply", "-o", tmp_path / "page.html", "--compare", out / "bite.ply")
    assert "takes a scan of one jaw, and bite.ply has both" in done.error
    done = command("renumber", out / "bite.ply")
    assert done.code == 0 and done.out.count(" 1") > 5 and done.out.count(" 4") > 5 and done.err == "reading bite\n"


def test_a_tooth_to_review_is_no_failure(command, arches, tmp_path, monkeypatch):
    """Nor is a row of teeth that may be numbered otherwise: most scripts go on."""
    from toothgraph import segmentation

    doubt = Doubt.of(UNSURE, "review ", [25], ": below 50% confidence")
    monkeypatch.setattr(segmentation, "find_doubts", lambda *args, **given: [doubt])
    done = command("predict", arches / "0000_upper.stl", "--out", tmp_path)
    assert done.code == 0 and "Warning: 0000_upper: review 25" in done.err and " jaw (to review), " in done.out


def test_evaluate(command, arches, segmenter, tmp_path):
    out = tmp_path / "new" / "scores.json"
    done = command("evaluate", arches, "--model", segmenter, "--out", out)
    assert done.code == 0, done.err
    content = json.loads(out.read_text())
    learned = {name[:4] for name in content["model"]["train"]}
    count = sum(row["scan_id"][:4] in learned for row in content["per_scan"])
    assert f"learned from the patients of {count} of {len(content['per_scan'])} scans" in " ".join(done.err.split())
    assert {"scores", "per_scan", "per_tooth", "failures", "model", "evaluated"} <= content.keys()
    assert [row["scan_id"] for row in content["per_scan"]] == [path.stem for path in sorted(arches.glob("*.stl"))]
    assert content["scores"]["miou"] == pytest.approx(np.mean([row["miou"] for row in content["per_scan"]]))
    # The row's accuracy is that of what predict writes.
    command("predict", arches / "0001_lower.stl", "--model", segmenter, "--out", tmp_path / "out")
    written, truth = (np.loadtxt(folder / "0001_lower.txt") for folder in (tmp_path / "out", arches))
    row = next(row for row in content["per_scan"] if row["scan_id"] == "0001_lower")
    assert row["accuracy"] == pytest.approx((written == truth).mean())


def test_labels_tell_the_net_nothing(command, arches, segmenter, tmp_path, monkeypatch):
    from toothgraph import segmentation
    from toothgraph.inference import predict

    seen = []
    real = predict.predict_mesh
    monkeypatch.setattr(segmentation, "predict_mesh", lambda *args: seen.append(real(*args)) or seen[-1])
    scan = tmp_path / "scan.stl"  # a name that does not tell the jaw
    shutil.copy(arches / "0000_upper.stl", scan)
    upper = read_scan(arches / "0000_upper.stl").labels
    lower = np.where(upper > 0, upper + 20, upper)
    shuffled = np.random.default_rng(0).permutation(upper)
    for labels in (upper, lower, shuffled):
        scan.with_suffix(".txt").write_text("\n".join(map(str, labels)))
        assert command("evaluate", scan, "--model", segmenter, "--out", tmp_path / "scores.json").code == 0
    scan.with_suffix(".txt").unlink()
    assert command("predict", scan, "--model", segmenter, "--out", tmp_path / "out").labelled
    assert len(seen) == 4
    for other in seen[1:]:
        assert other.jaw == seen[0].jaw and other.jaw_probability == seen[0].jaw_probability < 1
        assert np.array_equal(other.labels, seen[0].labels)


def test_evaluate_labels_of_another_program(command, arches, segmenter, tmp_path):
    """What predict wrote scores as the model does that found it; the truth itself scores 1."""
    scan, found = arches / "0000_upper.stl", tmp_path / "found"
    assert command("predict", scan, "--model", segmenter, "--out", found).code in (0, 3)  # 3: to review
    assert command("evaluate", scan, "--model", segmenter, "--out", tmp_path / "model.json").code == 0
    for source, name in ((found, "found.json"), (arches, "truth.json")):
        done = command("evaluate", scan, "--predictions", source, "--out", tmp_path / name)
        assert done.code == 0, done.error
    model, other, truth = (
        json.loads((tmp_path / name).read_text()) for name in ("model.json", "found.json", "truth.json")
    )
    assert other["scores"]["miou"] == model["scores"]["miou"] and "model" not in other
    assert other["predictions"]["folder"] == str(found)
    assert truth["scores"]["miou"] == truth["scores"]["accuracy"] == 1.0
    for flags, said in (
        (("--predictions", tmp_path / "none"), "no such file or folder"),
        (("--predictions", found, "--model", segmenter), "no model runs"),
        (("--predictions-label-system", "fdi"), "need --predictions"),
    ):
        done = command("evaluate", scan, *flags, "--out", tmp_path / "x.json")
        assert done.code == 1 and said in done.error


def test_evaluate_reports_what_it_cannot_score(command, arches, segmenter, tmp_path):
    bad, unlabelled, short = tmp_path / "bad.stl", tmp_path / "unlabelled.stl", tmp_path / "short.stl"
    bad.write_text("<html>")
    shutil.copy(arches / "0000_upper.stl", unlabelled)
    shutil.copy(arches / "0000_upper.stl", short)
    short.with_suffix(".txt").write_text("11\n0\n")
    out = tmp_path / "scores.json"
    done = command("evaluate", arches / "0000_upper.stl", tmp_path, "--model", segmenter, "--out", out)
    errors = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    assert done.code == 1 and len(errors) == 4 and "3 of 4 scans could not be scored" in errors[-1]
    content = json.loads(out.read_text())
    assert [row["scan_id"] for row in content["per_scan"]] == ["0000_upper"]
    assert [Path(failure["file"]).name for failure in content["failures"]] == [
        *("bad.stl", "short.stl", "unlabelled.stl")
    ]


def test_evaluate_subset(command, arches, segmenter, tmp_path):
    split, out = tmp_path / "split.json", tmp_path / "scores.json"
    split.write_text(json.dumps({"train": ["0000", "0002"], "val": ["0001"]}))
    for given, patients in (((), {"0001"}), (("--subset", "train"), {"0000", "0002"})):
        assert command("evaluate", arches, "--model", segmenter, "--out", out, "--split", split, *given).code == 0
        found = {row["scan_id"][:4] for row in json.loads(out.read_text())["per_scan"]}
        assert found == patients


def test_evaluate_on_other_patients_says_nothing_of_training(command, arches, segmenter, tmp_path):
    for suffix in (".stl", ".txt"):
        shutil.copy(arches / f"0001_lower{suffix}", tmp_path / f"another_lower{suffix}")
    scan = tmp_path / "another_lower.stl"
    done = command("evaluate", scan, "--model", segmenter, "--out", tmp_path / "scores.json")
    assert done.code == 0 and "has learned from" not in done.err


def test_synth_and_info(command, tmp_path):
    done = command("synth", tmp_path / "arches", "--scans", 1, "--faces", 2000)
    assert done.code == 0 and (tmp_path / "arches" / "0000_upper.stl").exists()
    done = command("info")
    assert done.code == 0
    backends = (
        "backend compiled",
        "backend native",
        "backend scatter",
        "backend triton",
        "backend for cpu",
        "backend for cuda",
    )
    for name in ("toothgraph", "torch", "processor", "gpu", "device (auto)", *backends):
        assert re.search(rf"^{re.escape(name)} +\S", done.out, re.MULTILINE)


def test_info_of_a_run(command, segmenter, tmp_path):
    done = command("info", segmenter)
    assert done.code == 0, done.err
    found = {line[:20].strip(): line[21:] for line in done.out.splitlines()}
    assert found["command"] == "finetune" and found["state"] == "finished, at step 4 of 4"
    assert found["scans"] == "4 to train, 2 to validate" and float(found["seconds per step"]) > 0
    assert found["val_miou"].endswith("(step 4)") and found["lr"].endswith("(step 4)")
    assert str(segmenter / "last.ckpt") in found["last.ckpt"] and " MB)" in found["model.safetensors"]
    config = json.loads((segmenter / "config.json").read_text())
    (tmp_path / "epochs").mkdir()
    shutil.copy(segmenter / "metrics.csv", tmp_path / "epochs")
    config["options"]["epochs"] = 3  # which set the steps
    (tmp_path / "epochs" / "config.json").write_text(json.dumps(config))
    assert "; --resume begins at step 0\n" in command("info", tmp_path / "epochs").out  # without a checkpoint
    done = command("info", segmenter, "--json", "-o", tmp_path / "curves.png")
    assert json.loads(done.out)["scans"] == found["scans"] and "curves.png" in done.err
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "name the run folder" in command("info", "-o", tmp_path / "x.png").error
    assert "backend native" in json.loads(command("info", "--json").out)
    assert f"{tmp_path}: no run folder" in command("info", tmp_path).error
    assert "nowhere: no such file or folder" in command("info", tmp_path / "nowhere").error
    (tmp_path / "config.json").write_text("{}")
    assert "config.json: cannot read the options" in command("info", tmp_path).error
    assert "found another file; the numbers of a labelled scan" in command("info", tmp_path / "config.json").error


def test_module_can_be_run():
    done = subprocess.run(
        [sys.executable, "-m", "toothgraph", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stderr == ""
    assert "Usage: toothgraph" in done.stdout
    for name in ("pretrain", "finetune", "predict", "evaluate", "view", "synth", "info"):
        assert re.search(rf"^  {name} +[A-Z].*\.$", done.stdout, re.MULTILINE)


def test_crowns_of_init_go_on(command, arches, tiny_toml, tmp_path):
    """Those of the package are for nets without: a clinic's own crowns were lost."""
    run = ("finetune", arches, "--config")
    (tmp_path / "own.toml").write_text('crowns = "train"\n' + tiny_toml.read_text())
    (tmp_path / "keep.toml").write_text('crowns = "keep"\n' + tiny_toml.read_text())
    assert command(*run, tmp_path / "own.toml", "--out", tmp_path / "own").code == 0
    assert command(*run, tmp_path / "keep.toml", "--init", tmp_path / "own", "--out", tmp_path / "kept").code == 0
    own, kept = (load_file(tmp_path / name / "model.safetensors") for name in ("own", "kept"))
    crowns = [name for name in own if name.startswith("crowns.")]
    assert crowns and all(torch.equal(own[name], kept[name]) for name in crowns)
    done = command(*run, tiny_toml, "--init", tmp_path / "own", "--out", tmp_path / "adapted")
    assert done.code == 0 and "from those of --init" in done.err


def test_the_table_has_the_loss_of_the_whole_step_and_its_own_rate(command, arches, tiny_toml, tmp_path):
    run = ("finetune", arches, "--config", tiny_toml, "--steps", 2)
    for name, more in (("one", ("--batch", 2)), ("two", ("--batch", 1, "--accumulate", 2))):
        assert command(*run, *more, "--out", tmp_path / name).code == 0
    losses, rates = [], []
    for name in ("one", "two"):
        with (tmp_path / name / "metrics.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["train_loss"]]
        losses.append(float(rows[0]["train_loss"]))
        rates.append([float(row["lr"]) for row in rows])
    assert 0.7 < losses[1] / losses[0] < 1.4  # norms differ by the size of a batch, not by a factor of two
    assert rates[0] == rates[1] and all(rate > 0 for rate in rates[0])


def test_what_to_do_next_can_be_done(command, arches, tiny_toml, tmp_path):
    split = tmp_path / "split.json"
    split.write_text('{"train": ["0000", "0001"], "val": ["0002"]}')
    given = ("--config", tiny_toml, "--steps", 1, "--split", split, "--out")
    assert "next: toothgraph evaluate " in command("finetune", arches, *given, tmp_path / "raw").err
    assert command("prepare", arches, tmp_path / "prepared", "--faces", 300).code == 0
    done = command("finetune", tmp_path / "prepared", *given, tmp_path / "of-prepared")
    assert done.code == 0 and "next: toothgraph predict NEW_SCANS " in done.err
    split.write_text('{"train": ["0000", "0001"], "val": []}')
    done = command("finetune", arches, *given, tmp_path / "nobody")
    assert done.code == 0 and "next: toothgraph predict NEW_SCANS " in done.err


def test_shares_of_labels_are_no_shares_of_scans(command, arches, tiny_toml, tmp_path):
    split = tmp_path / "split.json"
    content = {"train": ["0000", "0001"], "val": ["0002"], "label_fraction_percent": {"100": ["0000"]}}
    split.write_text(json.dumps(content))
    given = (arches, "--config", tiny_toml, "--steps", 1, "--split", split, "--out")
    assert "trains on 4 scans of 2 patients (0000, 0001)" in command("pretrain", *given, tmp_path / "all").err
    assert "trains on 2 scans of 1 patient (0000)" in command("finetune", *given, tmp_path / "labelled").err


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_a_net_that_the_last_step_has_spoiled_is_no_model(kind, command, arches, tiny_toml, tmp_path):
    """What it finds may have a plausible score: all gingiva is more than nothing."""
    done = command(kind, arches, "--config", tiny_toml, "--steps", 1, "--lr", "1e30", "--out", tmp_path / "run")
    assert done.code == 1 and "the loss became nan on the scans 0002" in done.error
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert json.loads((tmp_path / "run" / "bad_batch.json").read_text())["step"] == 1
