"""The scans of a data set, from files, folders and CSV lists (which may contain patient names)."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toothgraph.errors import DataError
from toothgraph.fdi import JAW_NAMES
from toothgraph.io.find import find_scans
from toothgraph.io.label_record import record_of
from toothgraph.scan_names import long_names, patient_of

_SAFE = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,199}")
_COLUMNS = ("path", "scan_id", "patient", "jaw")
_JAWS = {name: jaw for jaw, name in JAW_NAMES.items()}


@dataclass(frozen=True)
class Source:
    """One scan that is not read yet.

    Attributes:
        path: the file, or the folder with one file per tooth.
        scan_id: its name, valid as a file name.
        patient: name of the patient.
        jaw: 0 upper, 1 lower; None takes it from the file name or the labels.
    """

    path: Path
    scan_id: str
    patient: str
    jaw: int | None = None

    def digest(self) -> str:
        """SHA-256 of the file, its label files and their record, patient and jaw."""
        inside = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
        beside = [] if self.path.is_dir() else [self.path.with_suffix(".txt"), self.path.with_suffix(".json")]
        beside.append(record_of(self.path))
        total = hashlib.sha256(f"{self.patient}\n{self.jaw}\n".encode())
        for file in (*inside, *beside):
            if file.is_file():
                total.update(f"{file.name}\n{file.stat().st_size}\n".encode())
                with file.open("rb") as stream:
                    while chunk := stream.read(1 << 20):
                        total.update(chunk)
        return total.hexdigest()


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """The scans in files, folders and CSV lists, in a fixed order. A name that occurs twice is made longer.

    A CSV list has a header and a column ``path`` (relative to the folder of the list). The columns ``scan_id``,
    ``patient`` and ``jaw`` (upper, lower, unknown) are optional.

    Raises:
        DataError: if a path does not exist, a list has another form, or a scan name is not a valid file name.
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
            raise DataError(f"{file}: line {number}: {scan_id!r} is not valid as a name of a scan; change it")
        jaw = (row.get("jaw") or "").strip().lower()
        if jaw and jaw not in _JAWS:
            raise DataError(f"{file}: line {number}: expected a jaw of {', '.join(_JAWS)}, got {jaw!r}")
        known = _JAWS.get(jaw, -1)
        yield Source(path, scan_id, row.get("patient") or patient_of(scan_id), known if known >= 0 else None)
