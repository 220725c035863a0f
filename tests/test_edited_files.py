"""Files that people edit: some editors of Windows put a byte order mark in front, which changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from toothgraph.cli.score_file import read_scores
from toothgraph.config import read_toml
from toothgraph.data.split import load_split
from toothgraph.io.named_set import load_set
from toothgraph.io.renumber import renumber
from toothgraph.io.review_file import review_state
from toothgraph.io.reviewed import approved_labels
from toothgraph.io.said import said_of
from toothgraph.io.write import write_labelled
from toothgraph.mesh.mesh import Mesh


def marked(file: Path) -> Path:
    file.write_text(file.read_text(encoding="utf-8"), encoding="utf-8-sig")
    return file


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ('{"train": ["a"], "val": ["b"]}', load_split),
        ("seed = 3", read_toml),
        ('{"per_scan": [{"scan_id": "a"}]}', read_scores),
        ('{"mine": {"colours": {}}}', lambda file: load_set(f"{file}:mine", "palette")),
    ],
)
def test_what_people_write(content: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(content, encoding="utf-8")
    expected = read(file)
    assert read(marked(file)) == expected


def test_labels_that_are_approved_stay_so(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    review = {"state": "approved", "version": 1, "model": "m"}
    file.write_text(json.dumps({"labels": [11], "review": review}), encoding="utf-8")
    marked(file)
    assert review_state(file) == "approved" and approved_labels(tmp_path, "a") is not None


def test_what_is_said_beside_a_scan_stays_and_follows_new_numbers(arch: Mesh, tmp_path: Path) -> None:
    scan = write_labelled(tmp_path, "one_U", arch, arch.labels, ("ply", "json"), {16: 0.6})[0]
    marked(tmp_path / "one_U.json")
    assert said_of(scan).confidence == {16: 0.6}
    renumber(scan, {16: 17, 17: 16})
    assert 17 in np.unique(json.loads((tmp_path / "one_U.json").read_text(encoding="utf-8"))["labels"])
