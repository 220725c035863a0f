from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
OPENED = """
import os, sys
from toothgraph.system.streams import open_closed_streams
open_closed_streams()
with open(sys.argv[1], "w") as file:
    print("said")
    print("said", file=sys.stderr, flush=True)
    os.system("echo said >&2")
    file.write(f"{file.fileno() > 2} {sys.stdin.read() == ''}")
"""


def run(closed: str, *words: str) -> int:
    command = [sys.executable, *words]
    return subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *command], stdin=subprocess.DEVNULL).returncode


@posix
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(closed: str, tmp_path: Path) -> None:
    assert run(closed, "-c", OPENED, str(tmp_path / "a")) == 0
    assert (tmp_path / "a").read_text() == "True True"


@posix
def test_a_command_needs_no_streams(tmp_path: Path) -> None:
    options = ["--scans", "1", "--faces", "2000"]
    assert run("<&- >&- 2>&-", "-m", "toothgraph", "synth", str(tmp_path / "out"), *options) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2
