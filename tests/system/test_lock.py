from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
