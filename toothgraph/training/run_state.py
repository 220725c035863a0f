"""The file ``state.json`` of a run folder: whether the run is running, finished, stopped or failed, and at which step.

A run holds a lock on the file while its process lives. If the file says ``running`` and is not locked, the run was
killed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

from toothgraph.errors import ConfigError
from toothgraph.system.processes import first_rank

STATE_FILE = "state.json"
RUNNING, FINISHED, STOPPED, FAILED, KILLED = "running", "finished", "stopped", "failed", "killed"


class Stopped(Exception):
    """The user stopped a run; its last checkpoint is saved.

    Args:
        said: the message: when the run stopped.
        by_sigterm: whether SIGTERM stopped it, and not Ctrl-C.
    """

    def __init__(self, said: str, by_sigterm: bool = False) -> None:
        super().__init__(said)
        self.by_sigterm = by_sigterm


@dataclass(frozen=True)
class RunState:
    """State of a run.

    Attributes:
        state: ``running``, ``finished``, ``stopped``, ``failed`` or ``killed``.
        step: last step of the run; 0 while it runs, and if it was killed.
        reason: why it failed, else empty.
    """

    state: str
    step: int = 0
    reason: str = ""


@contextmanager
def told(out: Path, step: Callable[[], int]) -> Iterator[None]:
    """Mark a run as running inside the block, and record how the block ends. Only the first process does so.

    Args:
        out: the run folder, which exists.
        step: returns the number of steps done.

    Raises:
        ConfigError: if another process works on this run.
    """
    if not first_rank():
        yield
        return
    with (out / STATE_FILE).open("a+", encoding="utf-8") as file:
        _lock(out, file)
        _write(file, RunState(RUNNING))
        try:
            yield
        except (KeyboardInterrupt, Stopped):
            _write(file, RunState(STOPPED, step()))
            raise
        except BaseException as error:
            _write(file, RunState(FAILED, step(), " ".join(str(error).split()) or type(error).__name__))
            raise
        _write(file, RunState(FINISHED, step()))


def check_idle(out: Path) -> None:
    """Raise an error if another process works on a run; called before anything is written.

    Raises:
        ConfigError: if another process works on this run.
    """
    if first_rank() and (out / STATE_FILE).exists():
        with (out / STATE_FILE).open("a+", encoding="utf-8") as file:
            _lock(out, file)


def _lock(out: Path, file: TextIO) -> None:
    if not _locked(file):
        raise ConfigError(f"{out}: another process is at work on this run; wait until it ends, or stop it")


def read_state(out: Path) -> RunState | None:
    """State of a run. None if ``state.json`` is missing, as in runs of earlier versions, or cannot be read."""
    try:
        with (out / STATE_FILE).open(encoding="utf-8") as file:
            state = RunState(**json.loads(file.read()))
            if state.state == RUNNING and fcntl is not None and _locked(file, share=True):
                return RunState(KILLED)
            return state
    except (OSError, ValueError, TypeError):
        return None


def _locked(file: TextIO, *, share: bool = False) -> bool:
    """Take the lock of an open file until the file is closed. False if another process holds the lock.

    On a system without locks, True. On a file system without locks, True for an exclusive lock and False for a shared
    one, so that a run that says ``running`` is not taken for killed.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if share else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return not share
    return True


def _write(file: TextIO, state: RunState) -> None:
    file.truncate(0)  # rewrite the file in place: a new file would not have the lock
    file.write(json.dumps(asdict(state)) + "\n")
    file.flush()
