"""Let several processes write a file, one at a time. Light to import."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Lock a file: wait until no other process holds its lock, and hold it while the context is active.

    Where the operating system or the file system has no locks, no process waits.

    Args:
        path: the file, created empty if needed. It may be replaced or removed while the context is active.
    """
    if fcntl is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("a") as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file):
                yield
                return
            # else the file was replaced while this process waited: lock the new one


def _is_at(path: Path, file: IO[str]) -> bool:
    """Whether an open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
