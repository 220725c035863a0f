from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toothgraph.system.files import write_text
from toothgraph.system.lock import one_at_a_time

ADD = """
import sys
from pathlib import Path
from toothgraph.system.files import write_text
from toothgraph.system.lock import one_at_a_time
file = Path(sys.argv[1])
for _ in range(50):
    with one_at_a_time(file):
        write_text(file, file.read_text() + sys.argv[2])
"""


def test_nothing_is_lost_where_several_add(tmp_path: Path) -> None:
    """The file is replaced each time, so that a process may wait for the lock of one that is gone."""
    file = tmp_path / "folder" / "table"
    processes = [subprocess.Popen([sys.executable, "-c", ADD, str(file), letter]) for letter in "abc"]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(file.read_text()) == sorted("abc" * 50)
    assert [path.name for path in file.parent.iterdir()] == ["table"]


def test_it_may_be_removed_within(tmp_path: Path) -> None:
    for _ in range(2):
        with one_at_a_time(tmp_path / "a"):
            (tmp_path / "a").unlink()
    with one_at_a_time(tmp_path / "a"):
        write_text(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"


def test_it_may_go_while_another_process_looks_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look, looks = Path.stat, []

    def gone_at_first(path: Path, **how: bool) -> os.stat_result:
        if path.name == "a":
            looks.append(path)
            if len(looks) == 1:
                path.unlink()
        return look(path, **how)

    (tmp_path / "a").write_text("")
    monkeypatch.setattr(Path, "stat", gone_at_first)
    monkeypatch.setattr(Path, "exists", lambda path: True)  # it was there, and is gone now
    with one_at_a_time(tmp_path / "a"):
        assert (tmp_path / "a").is_file() and len(looks) > 1
