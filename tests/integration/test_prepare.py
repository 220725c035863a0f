"""`toothgraph prepare`, and training on what it made."""

from __future__ import annotations

import shutil

import pytest
from safetensors.torch import load_file


@pytest.fixture(scope="module")
def prepared(command, arches, tmp_path_factory):
    scans = tmp_path_factory.mktemp("scans") / "tree"
    shutil.copytree(arches, scans)
    (scans / "bad.stl").write_bytes(b"solid nothing")
    out = scans.parent / "prepared"
    done = command("prepare", scans, out, "--faces", 300, "--tessellations", 2, "--workers", 2)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1].startswith("7 of 7 scans: 6 prepared (") and "1 in quarantine" in done.out
    assert "quarantine.csv" in done.err
    return out


def test_again_and_in_parts(command, prepared):
    scans = prepared.parent / "tree"
    given = (scans, prepared, "--faces", 300, "--tessellations", 2)
    done = command("prepare", *given, "--shard", "2/3")
    assert done.code == 0 and "2 of 2 scans: 0 prepared" in done.out
    assert "begun with another graph" in command("prepare", scans, prepared, "--faces", 400).error
    for shard in ("0/3", "4/3", "one", "1/0"):
        assert command("prepare", *given, "--shard", shard).code == 2


def test_nothing_usable(command, tmp_path):
    (tmp_path / "bad.stl").write_bytes(b"solid nothing")
    done = command("prepare", tmp_path / "bad.stl", tmp_path / "out")
    assert done.code == 1 and "none of 1 scans can be used" in done.err


def test_training_on_it_is_training_on_the_scans(command, prepared, arches, tiny_toml, segmenter, pretrained, tmp_path):
    given = ("--config", tiny_toml, "--init", pretrained)
    done = command("finetune", prepared, "--out", tmp_path / "stored", *given)
    assert done.code == 0, done.err
    stored, raw = (load_file(run / "model.safetensors") for run in (tmp_path / "stored", segmenter))
    assert all((stored[name] == value).all() for name, value in raw.items())
    done = command("pretrain", prepared, "--out", tmp_path / "pre", "--config", tiny_toml, "--workers", 2)
    assert done.code == 0, done.err
    done = command("finetune", prepared, "--out", tmp_path / "other", "--config", tiny_toml, "--faces", 301)
    assert "was prepared with the graphs" in done.error
