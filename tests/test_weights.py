"""The weights that come with the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import toothgraph as tg
from toothgraph import weights
from toothgraph.errors import CheckpointError
from toothgraph.io.formats.stl import write_stl
from toothgraph.model.file import load_segmentation, read_model
from toothgraph.system import provenance

RESULT = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "default_weights.json"


def test_scores_are_those_of_this_file() -> None:
    assert json.loads(RESULT.read_text())["sha256"] == provenance.sha256(weights.FILE)


def test_file_says_where_it_comes_from() -> None:
    file = read_model(weights.DEFAULT)
    assert file.path == weights.FILE and file.kind == "segmentation"
    assert file.header["steps"] > 0 and file.header["trained"]["git"] and "3D-IOSSeg" in file.header["data"]
    assert all(torch.isfinite(tensor).all() for tensor in file.tensors.values())
    assert weights.FILE.stat().st_size < 6e6


def test_load_model() -> None:
    net = tg.load_model()
    assert not net.training and next(net.parameters()).dtype == torch.float32
    again = load_segmentation(weights.FILE)[0]
    for ours, theirs in zip(net.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_path_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / weights.DEFAULT).mkdir()
    with pytest.raises(CheckpointError, match=r"default: expected model\.safetensors in this folder"):
        read_model(weights.DEFAULT)


def test_commands_take_them_without_being_asked(command, arch: tg.Mesh, arches: Path, tmp_path: Path) -> None:
    scan = tmp_path / "someone_upper.stl"
    write_stl(scan, arch.vertices, arch.faces)
    done = command("predict", scan, "--out", tmp_path / "out")
    assert done.labelled, done.err
    assert len(np.loadtxt(tmp_path / "out" / "someone_upper.txt")) == len(arch.faces)
    done = command("evaluate", next(arches.glob("*.stl")), "--out", tmp_path / "scores.json")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "scores.json").read_text())["model"]["sha256"] == provenance.sha256(weights.FILE)


def test_finetune_begins_with_them(command, arches: Path, tmp_path: Path) -> None:
    done = command("finetune", arches, "--out", tmp_path / "run", "--init", "default", "--steps", 1, "--faces", 300)
    assert done.code == 0, done.err
    assert " tensors from default\n" in done.err  # and none is new
    assert json.loads((tmp_path / "run" / "config.json").read_text())["init_sha256"] == provenance.sha256(weights.FILE)


def test_info_prints_their_terms(command) -> None:
    out = command("info").out
    assert provenance.sha256(weights.FILE) in out
    for line in weights.notice().splitlines():
        assert line in out
