"""Label files that do not fit their scan, or contradict each other: no command goes on with one of them, and all say
why in the same words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from toothgraph.io.labels import read_scan
from toothgraph.io.renumber import renumber
from toothgraph.io.write import write_labelled

SCAN = "0000_upper"


@pytest.fixture
def folder(arches: Path, tmp_path: Path) -> Path:
    """A scan with its labels in a ``.txt``, and another one that is in order."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for file in (*arches.glob(f"{SCAN}.*"), *arches.glob("0001_upper.*")):
        shutil.copy(file, folder)
    return folder


def too_short(folder: Path) -> str:
    lines = (folder / f"{SCAN}.txt").read_text().splitlines()
    (folder / f"{SCAN}.txt").write_text("\n".join(lines[:-1]))
    return (
        f"{folder / SCAN}.txt: expected {len(lines)} labels, one per face of {folder / SCAN}.stl, found "
        f"{len(lines) - 1} "
    )


def of_another_scan(folder: Path) -> str:
    (folder / f"{SCAN}.json").write_text(json.dumps({"labels": [11, 0, 0]}))
    return f"{folder / SCAN}.json: expected "


def contradicting(folder: Path) -> str:
    mesh = read_scan(folder / f"{SCAN}.stl")
    assert mesh.labels is not None
    other = np.select([mesh.labels == 11, mesh.labels == 12], [12, 11], mesh.labels)
    write_labelled(folder, SCAN, mesh, other, ("json",))
    return (
        f"{folder / SCAN}.txt and {folder / SCAN}.json: both have labels of {SCAN}, and they contradict each other "
        "(teeth 12, 11); remove the one that is wrong"
    )


@pytest.mark.parametrize("spoil", [too_short, of_another_scan, contradicting])
def test_all_commands_refuse_them_in_the_same_words(spoil, folder, command, segmenter, tiny_toml, tmp_path):
    said, scan = spoil(folder), folder / f"{SCAN}.stl"
    before = {file: file.read_bytes() for file in folder.iterdir()}
    assert said in command("view", scan, "--out", tmp_path / "page.html").error
    assert said in command("renumber", scan).error
    assert said in command("renumber", scan, "11=21").error
    done = command("view", folder, "--out", tmp_path / "pages")
    assert done.code == 1 and said in done.err and (tmp_path / "pages" / "0001_upper.html").exists()
    done = command("convert", folder, "--out", tmp_path / "converted")
    assert done.code == 1 and said in done.err and (tmp_path / "converted" / "0001_upper.ply").exists()
    done = command("evaluate", folder, "--model", segmenter, "--out", tmp_path / "scores.json")
    assert done.code == 1 and said in done.err and "1 scan scored" in done.out
    done = command("finetune", folder, "--out", tmp_path / "run", "--config", tiny_toml, "--steps", 1)
    assert done.code == 0 and f"left out: {said}" in done.err and "trains on 1 scan" in done.err
    done = command("prepare", folder, tmp_path / "prepared", "--faces", 300, "--tessellations", 1, "--workers", 1)
    assert done.code == 0 and said in (tmp_path / "prepared" / "quarantine.csv").read_text()
    done = command("evaluate", folder, "--predictions", folder, "--out", tmp_path / "scores.json")
    assert done.code == 1 and said in done.err
    (tmp_path / "steps.jsonl").write_text(json.dumps({"scan": SCAN, "kind": "approve"}))
    done = command("review", folder, "--labels", tmp_path / "reviewed", "--apply", tmp_path / "steps.jsonl")
    assert said in done.error
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_files_of_one_scan_that_agree_are_read(folder, command, tmp_path):
    mesh = read_scan(folder / f"{SCAN}.stl")
    write_labelled(folder, SCAN, mesh, mesh.labels, ("json",))
    done = command("renumber", folder / f"{SCAN}.stl", "11=12", "12=11")
    assert done.code == 0, done.err
    assert [path.name for path in renumber(folder / f"{SCAN}.txt", {11: 12, 12: 11}).written] == [
        f"{SCAN}.txt", f"{SCAN}.json",
    ]  # fmt: skip
    assert np.array_equal(read_scan(folder / f"{SCAN}.stl").labels, mesh.labels)


def test_two_corrections_that_contradict_each_other_are_refused(arch, command, tmp_path):
    write_labelled(tmp_path, "a_upper", arch, arch.labels, ("ply", "txt"), model="net")
    txt = np.loadtxt(tmp_path / "a_upper.txt", dtype=int)
    np.savetxt(tmp_path / "a_upper.txt", np.where(txt == 11, 0, txt), fmt="%d")
    assert command("convert", tmp_path / "a_upper.ply", "--out", tmp_path / "out").code == 0  # the other is as it was
    ply = read_scan(tmp_path / "a_upper.ply")
    record = (tmp_path / "a_upper.found.json").read_text()
    write_labelled(tmp_path, "a_upper", ply, np.where(arch.labels == 12, 0, arch.labels), ("ply",), model="net")
    (tmp_path / "a_upper.found.json").write_text(record)
    done = command("convert", tmp_path / "a_upper.ply", "--out", tmp_path / "again")
    assert done.code == 1 and "a_upper.txt and " in done.err and "contradict each other (teeth 12, 11)" in done.err


def test_labels_of_the_other_jaw_are_told_wherever_they_lie(folder, command, tmp_path):
    said = "it is the upper jaw by its name, but the labels in {}, read as fdi numbers, are of the lower jaw"
    txt = folder / f"{SCAN}.txt"
    numbers = np.loadtxt(txt, dtype=int)
    np.savetxt(txt, np.where(numbers > 0, numbers + 20, 0), fmt="%d")
    done = command("convert", folder / f"{SCAN}.stl", "--out", tmp_path / "out")
    assert done.code == 0 and said.format(txt) in done.err
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(txt, elsewhere)
    done = command("convert", folder / f"{SCAN}.stl", "--labels", elsewhere, "--out", tmp_path / "again")
    assert done.code == 0 and said.format(elsewhere / txt.name) in done.err
