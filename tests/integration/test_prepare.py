"""`toothgraph prepare`, and training on what it made."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from safetensors.torch import load_file

from toothgraph.synthetic import synthetic_arch


@pytest.fixture(scope="module")
def prepared(command, arches, tmp_path_factory):
    scans = tmp_path_factory.mktemp("scans") / "tree"
    shutil.copytree(arches, scans)
    (scans / "bad.stl").write_bytes(b"solid nothing")
    out = scans.parent / "prepared"
    done = command("prepare", scans, out, "--faces", 300, "--tessellations", 2, "--workers", 2)
    assert done.code == 0, done.err
    said = done.out.splitlines()[-1]
    assert said.startswith("7 of 7 scans: 6 prepared (") and said.endswith(f"1 in quarantine -> {out}")
    assert "quarantine.csv" in done.err
    assert done.err.splitlines()[-1] == f"next: toothgraph finetune {out} --out runs/finetune --faces 300"
    return out


def test_again_and_in_parts(command, prepared):
    scans = prepared.parent / "tree"
    given = (scans, prepared, "--faces", 300, "--tessellations", 2)
    done = command("prepare", *given, "--shard", "2/3")
    assert done.code == 0 and "4 of 4 scans: 0 prepared" in done.out  # two patients are in this part
    assert "got another graph (before: " in command("prepare", scans, prepared, "--faces", 400).error
    for shard in ("0/3", "4/3", "one", "1/0"):
        assert command("prepare", *given, "--shard", shard).code == 2


def test_info_says_what_it_is_and_what_comes_next(command, prepared, arches, tmp_path):
    done = command("info", prepared)
    found = {line[:20].strip(): line[21:] for line in done.out.splitlines()}
    assert found["graphs"].startswith("2 of each scan, 300 faces") and found["palette"] == "none"
    assert found["scans"] == "6 of 3 patients (3 lower, 3 upper)" and found["in quarantine"].startswith("1, see ")
    assert found["labels"] == "on 6 of 6 scans: 6 given"
    assert found["next"] == f"toothgraph finetune {prepared} --out runs/finetune --faces 300"
    (tmp_path / "bare").mkdir()
    shutil.copy(arches / "0000_upper.stl", tmp_path / "bare")
    assert command("prepare", tmp_path / "bare", tmp_path / "out", "--faces", 300, "--tessellations", 1).code == 0
    said = command("info", tmp_path / "out").out
    assert "on 0 of 1 scan\n" in said and "toothgraph pretrain " in said
    (tmp_path / "out" / "manifest.csv").unlink()
    assert "not finished: to go on, run the same `toothgraph prepare` command" in command("info", tmp_path / "out").out


@pytest.mark.parametrize(("colours", "told"), [(14, True), (1, False), (500, False)])
def test_colours_that_may_be_labels_are_told(colours, told, command, tmp_path):
    """One colour is paint, hundreds are a photograph."""
    mesh = synthetic_arch(0, jaw=0, faces=2000)
    colour = np.arange(len(mesh.faces)) % colours
    rgb = np.stack([colour % 256, colour // 256, 0 * colour], axis=1)
    rows = [f"{len(mesh.vertices)} {len(mesh.faces)} 0", *(" ".join(map(str, vertex)) for vertex in mesh.vertices)]
    rows += ["3 " + " ".join(map(str, [*face, *own])) for face, own in zip(mesh.faces, rgb, strict=True)]
    for name in ("1_upper.off", "2_upper.off"):
        (tmp_path / name).write_text("OFF\n" + "\n".join(rows))
    done = command("prepare", tmp_path, tmp_path / "out", "--faces", 300, "--tessellations", 1, "--workers", 1)
    assert done.code == 0, done.err
    assert done.err.count(f"no labels could be read of 2 scans; 1_upper.off has {colours} colours") == told
    assert "runs/pretrain --faces 300" in " ".join(done.err.split())  # the next command takes these graphs
    assert ("--palette FILE:SET" in done.err) == told


def test_nothing_usable(command, tmp_path):
    (tmp_path / "bad.stl").write_bytes(b"solid nothing")
    done = command("prepare", tmp_path / "bad.stl", tmp_path / "out")
    assert done.code == 1 and "none of 1 scan can be used" in done.err


def test_training_on_it_is_training_on_the_scans(command, prepared, arches, tiny_toml, segmenter, pretrained, tmp_path):
    given = ("--config", tiny_toml, "--init", pretrained)
    done = command("finetune", prepared, "--out", tmp_path / "stored", *given, "--label-system", "fdi")
    assert done.code == 0, done.err
    assert "--label-system fdi has no effect, as all scans are prepared; give it to `toothgraph prepare`" in done.err
    stored, raw = (load_file(run / "model.safetensors") for run in (tmp_path / "stored", segmenter))
    assert all((stored[name] == value).all() for name, value in raw.items())
    done = command("pretrain", prepared, "--out", tmp_path / "pre", "--config", tiny_toml, "--workers", 2)
    assert done.code == 0, done.err
    done = command("finetune", prepared, "--out", tmp_path / "other", "--config", tiny_toml, "--faces", 301)
    said = "its graphs have faces 300, the run needs faces 301; give the run --faces 300, or prepare the scans again"
    assert said in done.error
