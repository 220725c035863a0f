from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from toothgraph.errors import ConfigError
from toothgraph.training.run_state import (
    FAILED,
    FINISHED,
    KILLED,
    RUNNING,
    STATE_FILE,
    RunState,
    Stopped,
    read_state,
    told,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs locks on files")


def test_how_a_run_ends_is_kept(tmp_path):
    assert read_state(tmp_path) is None
    with told(tmp_path, lambda: 7):
        assert read_state(tmp_path).state == RUNNING
    assert read_state(tmp_path) == RunState(FINISHED, 7)
    for error in Stopped("stopped at step 3 of 9"), KeyboardInterrupt():
        with pytest.raises(type(error)), told(tmp_path, lambda: 3):
            raise error
        assert read_state(tmp_path) == RunState("stopped", 3)
    with pytest.raises(ZeroDivisionError), told(tmp_path, lambda: 5):
        raise ZeroDivisionError("of\nloss")
    assert read_state(tmp_path) == RunState(FAILED, 5, "of loss")
    (tmp_path / STATE_FILE).write_text("{")
    assert read_state(tmp_path) is None


def test_other_ranks_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with told(tmp_path, lambda: 7):
        assert not (tmp_path / STATE_FILE).exists()


@posix
def test_a_killed_run_is_told_from_one_at_work(tmp_path):
    script = (
        f"import time; from pathlib import Path; from toothgraph.training.run_state import told\n"
        f"with told(Path({str(tmp_path)!r}), lambda: 4): time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        deadline = time.monotonic() + 30
        while read_state(tmp_path) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert read_state(tmp_path).state == RUNNING
        with pytest.raises(ConfigError, match="another process is at work on this run"), told(tmp_path, lambda: 0):
            pass
        os.kill(process.pid, signal.SIGKILL)
    assert read_state(tmp_path).state == KILLED
