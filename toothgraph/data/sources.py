"""Which scans a set consists of: files, whole trees of them, and lists in CSV that name their patients."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toothgraph.data.scans import renamed, short_names
from toothgraph.data.split import patient_of
from toothgraph.errors import DataError
from toothgraph.mesh.find import find_scans
from toothgraph.mesh.numbering import JAW_NAMES

_SAFE = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,199}")
_COLUMNS = ("path", "scan_id", "patient", "jaw")
_JAWS = {name: jaw for jaw, name in JAW_NAMES.items()}


@dataclass(frozen=True)
class Source:
    """One scan to come.

    Attributes:
        path: the file, or the folder with one STL per tooth.
        scan_id: its name, fit for a file's.
        patient: whose it is.
        jaw: 0 upper, 1 lower; None takes what the name or the labels say.
    """

    path: Path
    scan_id: str
    patient: str
    jaw: int | None = None

    def digest(self) -> str:
        """SHA-256 of the file and of the labels beside it."""
        inside = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
        beside = [] if self.path.is_dir() else [self.path.with_suffix(".txt"), self.path.with_suffix(".json")]
        total = hashlib.sha256(f"{self.patient}\n{self.jaw}\n".encode())
        for file in (*inside, *beside):
            if file.is_file():
                total.update(f"{file.name}\n{file.stat().st_size}\n".encode())
                with file.open("rb") as stream:
                    while chunk := stream.read(1 << 20):
                        total.update(chunk)
        return total.hexdigest()


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """The scans of files, folders and CSV lists, in a fixed order; a name that occurs twice is made longer.

    A CSV list has a header and a column ``path``, from the list's own folder on; ``scan_id``, ``patient`` and ``jaw``
    (upper, lower, unknown) may follow.

    Raises:
        DataError: if a path does not exist, a list has another form, or an id does not serve as a file's name.
    """
    listed, files = [], []
    for path in map(Path, paths):
        if path.suffix.lower() == ".csv" and path.is_file():
            listed += list(_read_list(path))
        else:
            files += find_scans([path])
    files = list(dict.fromkeys(files))
    found = [Source(file, name, patient_of(name)) for file, name in zip(files, long_names(files), strict=True)]
    return [*found, *listed]


def long_names(files: list[Path]) -> list[str]:
    """A name for each file: the short one, or with the names of all its folders where that is not unique."""
    return renamed(short_names(files), list(map(_full_name, files)))


def _full_name(file: Path) -> str:
    """All its folders and the stem; a name that began with a dot would be taken for a file not yet whole."""
    return "_".join(part for part in file.with_suffix("").parts if part not in (file.anchor, ".", ".."))


def _read_list(file: Path) -> Iterator[Source]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as a list of scans: {error}") from error
    for number, row in enumerate(rows, start=2):
        if not row.get("path"):
            raise DataError(f"{file}: line {number}: expected the columns {', '.join(_COLUMNS)}; `path` is empty")
        path = file.parent / row["path"]
        scan_id = row.get("scan_id") or path.stem
        if not _SAFE.fullmatch(scan_id):
            raise DataError(f"{file}: line {number}: {scan_id!r} does not serve as a name of a scan")
        jaw = (row.get("jaw") or "").strip().lower()
        if jaw and jaw not in _JAWS:
            raise DataError(f"{file}: line {number}: expected a jaw of {', '.join(_JAWS)}, got {jaw!r}")
        known = _JAWS.get(jaw, -1)
        yield Source(path, scan_id, row.get("patient") or patient_of(scan_id), known if known >= 0 else None)
