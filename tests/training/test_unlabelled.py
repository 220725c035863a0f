"""Which unlabelled scans a student may learn from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from toothgraph.data.prepared.sources import Source
from toothgraph.data.scan import Scan
from toothgraph.data.split import Split
from toothgraph.errors import DataError
from toothgraph.training.sides import Sides
from toothgraph.training.unlabelled import Unlabelled, find_unlabelled, left_over

SPLIT = Split(("anna",), ("ben",), {}, ("cleo",))


def scan(file: Path, name: str, patient: str) -> Scan:
    return Scan(name, [], patient, source=file)


def names(found: list[Unlabelled]) -> list[str]:
    return [one.source.scan_id for one in found]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Folders of patients; the files differ in content, and some not in size."""
    for number, who in enumerate(("anna", "ben", "cleo", "dora")):
        (tmp_path / who).mkdir()
        for jaw in ("upper", "lower"):
            (tmp_path / who / f"{jaw}.stl").write_text(f"scan {number} {jaw}")
    return tmp_path


def sides(folder: Path) -> Sides:
    train, val = ([scan(folder / who / "upper.stl", f"{who}_upper", who)] for who in ("anna", "ben"))
    return Sides(train, val, labels=True)


def test_patients_who_test_are_not_learned_from() -> None:
    """A test side that a student learns from is none, with or without labels."""
    scans = [Unlabelled(Source(Path(f"{who}_L.stl"), f"{who}_L", who)) for who in ("dora", "ben", "cleo")]
    assert names(left_over(scans, Sides([], [], labels=True), SPLIT)) == ["dora_L"]


def test_names_that_depend_on_what_else_was_given_hide_nobody(files: Path) -> None:
    assert names(left_over(find_unlabelled([files]), sides(files), SPLIT)) == ["anna_lower", "dora_lower", "dora_upper"]
    alone = find_unlabelled([files / "ben"])  # upper and lower of nobody
    assert names(alone) == ["lower", "upper"] and not left_over(alone, sides(files), SPLIT)
    assert not left_over(find_unlabelled([files / "cleo"]), sides(files), SPLIT)
    assert names(left_over(find_unlabelled([files / "anna"]), sides(files), SPLIT)) == ["lower"]


def test_a_scan_is_known_by_what_is_in_it(files: Path) -> None:
    (files / "more").mkdir()
    for number, (who, jaw) in enumerate((("anna", "upper"), ("ben", "upper"), ("ben", "lower"), ("dora", "upper"))):
        shutil.copy(files / who / f"{jaw}.stl", files / "more" / f"P{number // 2}{number}_{jaw}.stl")
    shutil.copy(files / "ben" / "lower.stl", files / "more" / "P01_lower.stl")  # the other jaw of who validates
    found = find_unlabelled([files / "more"])
    assert names(found) == ["P00_upper", "P01_lower", "P01_upper", "P12_lower", "P13_upper"]
    # P00 is Anna's labelled jaw, P01_upper is Ben's who validates, so P01_lower is Ben's, too
    assert names(left_over(found, sides(files), SPLIT)) == ["P12_lower", "P13_upper"]


def test_different_scans_of_one_name_are_refused_and_one_scan_given_twice_is_not(files: Path) -> None:
    for name, who in (("a", "anna"), ("b", "ben")):
        (files / f"{name}.csv").write_text(f"path,scan_id\n{who}/upper.stl,same\n")
    with pytest.raises(DataError, match=r"ben/upper.stl: has the same name as .*anna/upper.stl \(same\), and is"):
        find_unlabelled([files / "a.csv", files / "b.csv"])
    shutil.copy(files / "anna" / "upper.stl", files / "copy.stl")
    (files / "c.csv").write_text("path,scan_id\ncopy.stl,same\n")
    assert names(find_unlabelled([files / "a.csv", files / "c.csv", files / "a.csv"])) == ["same"]
