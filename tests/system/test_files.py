from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from toothgraph.errors import DataError
from toothgraph.system.files import atomic_path, check_there, write_text


def test_the_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.ply"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent and temporary.suffix == ".ply"
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(failure: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(failure), atomic_path(path) as temporary:
        temporary.write_text("new")
        raise failure
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [f"{'x' * 300}.txt", f"x.{'t' * 300}"])
def test_an_error_of_the_system_names_the_file_and_no_temporary_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(OSError) as error:
        write_text(tmp_path / name, "x")
    assert error.value.filename == str(tmp_path / name) and list(tmp_path.iterdir()) == []


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_text_is_utf8_and_long_names_work(tmp_path: Path) -> None:
    path = tmp_path / ("ß" * 100 + ".txt")
    write_text(path, "mm²")
    assert path.read_bytes() == "mm²".encode()


def test_what_is_not_there_names_files_that_end_in_another_way(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.stl: no such file or folder; check the path$"):
        check_there(tmp_path / "a.stl")
    for suffix in (".ply", ".txt"):
        (tmp_path / f"a{suffix}").touch()
    with pytest.raises(DataError, match=r"check the path \(there is a\.ply, a\.txt\)$"):
        check_there(tmp_path / "a.stl")
