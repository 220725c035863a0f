"""Write files completely or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toothgraph.errors import ConfigError, DataError, ToothgraphError, not_there


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, which replaces ``path`` when the block ends without an error.

    The parent folder is made if needed. When the block raises, the temporary file is removed and ``path`` stays as it
    was. The temporary name keeps the suffix of ``path``, because some writers choose a format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        error.filename = str(path)  # the user does not know the temporary name
        raise
    temporary = Path(name)
    try:  # from here on: a signal may come at any time
        os.close(handle)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # else a machine that loses power may keep the name without the content
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in (None, name):
            error.filename = str(path)  # a full disk does not say where
        temporary.unlink(missing_ok=True)
        raise


def check_there(path: Path, error: type[ToothgraphError] = DataError) -> None:
    """Raise ``error`` if there is no such file or folder."""
    if not path.exists():
        raise error(not_there(path))


def places_of(path: Path) -> tuple[Path, Path]:
    """The path of a file in its real folder, and the path of the file itself, which differs for a link."""
    return path.parent.resolve() / path.name, path.resolve()


def check_folder(path: Path) -> None:
    """Refuse a path that is not a folder and cannot become one, before hours of work are lost.

    Raises:
        ConfigError: if the path, or one of its parents, is a file.
    """
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        raise ConfigError(f"{there}: expected a folder to write to, found a file; choose another --out")


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
