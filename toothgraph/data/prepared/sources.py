"""The scans of a data set, from files, folders and CSV lists (which may contain patient names)."""

from __future__ import annotations

import csv
import hashlib
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toothgraph.errors import DataError
from toothgraph.fdi import JAW_NAMES
from toothgraph.io.find import find_scans
from toothgraph.io.formats.gltf import buffers_of
from toothgraph.io.label_record import record_of
from toothgraph.scan_names import (
    LONGEST,
    cases_of,
    composed,
    long_names,
    patient_of,
    patients_of,
    printable,
    short_enough,
    stem_of,
    told_jaw,
)

_SAFE = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,199}")
_COLUMNS = ("path", "scan_id", "patient", "jaw")
_SHOWN = 3  # scans that are there twice, told one by one
_log = logging.getLogger("toothgraph")
_JAWS = {name: jaw for jaw, name in JAW_NAMES.items()}


@dataclass(frozen=True)
class Source:
    """One scan that is not read yet.

    Attributes:
        path: the file, or the folder with one file per tooth.
        scan_id: its name, valid as a file name.
        patient: name of the patient.
        jaw: 0 upper, 1 lower, as a list says it, or the other scan of its case; None takes it from the file name or the
            labels.
    """

    path: Path
    scan_id: str
    patient: str
    jaw: int | None = None

    def digest(self) -> str:
        """SHA-256 of the file, its label files and their record, the files of its buffers, patient and jaw."""
        inside = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
        beside = [] if self.path.is_dir() else [self.path.with_suffix(".txt"), self.path.with_suffix(".json")]
        beside += [record_of(self.path), *buffers_of(self.path)]
        total = hashlib.sha256(f"{self.patient}\n{self.jaw}\n".encode())
        for file in (*inside, *beside):
            if file.is_file():
                total.update(f"{printable(file.name)}\n{file.stat().st_size}\n".encode())
                with file.open("rb") as stream:
                    while chunk := stream.read(1 << 20):
                        total.update(chunk)
        return total.hexdigest()


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """The scans in files, folders and CSV lists, in a fixed order. A name that occurs twice is made longer,
    and one that is too long for a file is cut.

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
    named = {os.path.abspath(source.path) for source in listed}  # a list says more of a scan than its name
    files = list({place: file for file in files if (place := os.path.abspath(file)) not in named}.values())
    warn_of_copies(files)
    names, cases = long_names(files), cases_of(files)
    found = [
        Source(file, short_enough(name), patient, told_jaw(file, cases))
        for file, name, patient in zip(files, names, patients_of(files, names), strict=True)
    ]
    return [*found, *listed]


def warn_of_copies(files: Sequence[Path]) -> None:
    """Warn if a scan is there beside what toothgraph wrote for it: as two patients, it may train and validate."""
    same: dict[str, list[Path]] = {}
    for file in files:
        same.setdefault(stem_of(file), []).append(file)
    copies = [paths for paths in same.values() if len(paths) > 1 and any(record_of(path).exists() for path in paths)]
    for paths in copies[:_SHOWN]:
        _log.warning(
            "%s: the same name, and toothgraph wrote one of them; if they are one scan, give only one: as two it may "
            "train and validate", ", ".join(map(str, paths)),
        )  # fmt: skip
    if len(copies) > _SHOWN:
        _log.warning("%d more names are there twice", len(copies) - _SHOWN)


def _read_list(file: Path) -> Iterator[Source]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as a list of scans: {error}") from error
    for column in rows[0] if rows else ():
        meant = str(column).strip().lower()
        if column not in _COLUMNS and meant in _COLUMNS:
            raise DataError(f"{file}: has a column {column!r}; did you mean {meant!r}?")
    for number, row in enumerate(rows, start=2):
        row = {column: (value or "").strip() for column, value in row.items() if column in _COLUMNS}
        if not row.get("path"):
            raise DataError(f"{file}: line {number}: expected the columns {', '.join(_COLUMNS)}; `path` is empty")
        path = file.parent / row["path"]
        scan_id = row.get("scan_id") or stem_of(path)
        if not _SAFE.fullmatch(scan_id) or len(scan_id.encode()) > LONGEST:
            raise DataError(f"{file}: line {number}: {scan_id!r} is not valid as a name of a scan; change it")
        jaw = row.get("jaw", "").lower()
        if jaw and jaw not in _JAWS:
            raise DataError(f"{file}: line {number}: expected a jaw of {', '.join(_JAWS)}, got {jaw!r}")
        known = _JAWS.get(jaw, -1)
        yield Source(
            path, scan_id, composed(row.get("patient", "")) or patient_of(scan_id), known if known >= 0 else None
        )
