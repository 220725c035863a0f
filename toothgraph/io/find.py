"""Find scans among files and folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from toothgraph.errors import DataError
from toothgraph.io.formats.registry import SUFFIXES
from toothgraph.io.formats.tooth_folder import is_tooth_folder


def find_scans(paths: list[str | Path] | list[Path] | list[str]) -> list[Path]:
    """Mesh files among files and folders. Folders are searched recursively; hidden files are ignored.

    A folder with one STL per tooth (:mod:`toothgraph.io.formats.tooth_folder`) is one scan.

    Returns:
        Each scan once; scans of one folder are sorted by name.

    Raises:
        DataError: if a path does not exist or nothing is found.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            found.update(dict.fromkeys(_scans_inside(path)))
        elif path.exists():
            found[path] = None
        else:
            raise DataError(f"{path}: no such file or folder; check the path")
    if not found:
        names = ", ".join(map(str, paths)) or "an empty list"
        raise DataError(f"found no scans ({' '.join(SUFFIXES)}) in {names}")
    return list(found)


def _scans_inside(folder: Path) -> Iterator[Path]:
    if is_tooth_folder(folder):
        yield folder
        return
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():  # links may form a cycle
            yield from _scans_inside(entry)
        elif entry.suffix.lower() in SUFFIXES and entry.is_file():
            yield entry
