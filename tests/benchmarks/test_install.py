"""What is checked of a wheel. Its installation is tried by ``make dist``."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from benchmarks.speed.install import WANTED, check_wheel, needed
from toothgraph.errors import DataError


def wheel_of(folder: Path, *names: str) -> Path:
    file = folder / "toothgraph-0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        for name in names:
            wheel.writestr(name if name.startswith(("toothgraph", "tests")) else f"toothgraph-0.dist-info/{name}", "")
    return file


def test_a_whole_wheel_passes(tmp_path: Path) -> None:
    check_wheel(wheel_of(tmp_path, *WANTED, "toothgraph/fdi.py"))


def test_another_file_is_no_wheel(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(DataError, match=r"notes\.txt: expected a wheel"):
        check_wheel(tmp_path / "notes.txt")


@pytest.mark.parametrize("missing", WANTED)
def test_what_is_missing_is_named(missing: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"misses .*{missing}"):
        check_wheel(wheel_of(tmp_path, *(name for name in WANTED if name != missing)))


@pytest.mark.parametrize("strange", ["tests/test_fdi.py", "toothgraph/data/007_L.ply", "toothgraph/x.stl"])
def test_tests_and_scans_are_refused(strange: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=strange):
        check_wheel(wheel_of(tmp_path, *WANTED, strange))


def test_what_only_training_needs_is_not_counted() -> None:
    asked = {"toothgraph": ["torch", "lightning"], "lightning": ["torch", "aiohttp"], "torch": [], "aiohttp": []}
    assert needed({"toothgraph"}, asked, ()) == set(asked)
    assert needed({"toothgraph"}, asked, ("lightning",)) == {"toothgraph", "torch"}
