"""Find the scans of a data set in files, folders and CSV lists; a list may name the patients."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
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
    beside_scan,
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
_SHOWN = 3  # names of several files that are warned of one by one
_log = logging.getLogger("toothgraph")
_JAWS = {name: jaw for jaw, name in JAW_NAMES.items()}


@dataclass(frozen=True)
class Source:
    """One scan that is not read yet.

    Attributes:
        path: the file, or the folder with one file per tooth.
        scan_id: its name, valid as a file name.
        patient: name of the patient.
        jaw: 0 upper, 1 lower, from a CSV list or from the other scan of the same case; None to take it from the file
            name or the labels.
    """

    path: Path
    scan_id: str
    patient: str
    jaw: int | None = None

    def digest(self) -> str:
        """SHA-256 of the file, its label files, their record, its glTF buffer files, patient and jaw."""
        inside = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
        beside = [] if self.path.is_dir() else [beside_scan(self.path, suffix) for suffix in (".txt", ".json")]
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
    """The scans in files, folders and CSV lists, in a fixed order.

    A name that occurs twice is made longer. A name that is too long for a file system is cut.

    A CSV list has a header and a column ``path`` (relative to the folder of the list). The columns ``scan_id``,
    ``patient`` and ``jaw`` (upper, lower, unknown) are optional. Scans without a ``scan_id`` are named by their files;
    their names are chosen without regard to the scans in folders.

    Raises:
        DataError: if a path does not exist, a list has another form or no scan, or a scan name is not a valid file
            name.
    """
    lists, files = [], []
    for path in map(Path, paths):
        if path.suffix.lower() == ".csv" and path.is_file():
            lists.append(path)
        else:
            files += find_scans([path])
    listed = _listed(lists)
    named = {os.path.abspath(source.path) for source in listed}  # a list says more about a scan than its name
    files = list({place: file for file in files if (place := os.path.abspath(file)) not in named}.values())
    warn_of_copies(files)
    names, cases = long_names(files), cases_of(files)
    found = [
        Source(file, short_enough(name), patient, told_jaw(file, cases))
        for file, name, patient in zip(files, names, patients_of(files, names), strict=True)
    ]
    return [*found, *listed]


def warn_of_copies(files: Sequence[Path]) -> None:
    """Warn if several files have one name and toothgraph wrote one of them: one scan may then train and validate."""
    same: dict[str, list[Path]] = {}
    for file in files:
        same.setdefault(stem_of(file), []).append(file)
    copies = [paths for paths in same.values() if len(paths) > 1 and any(record_of(path).exists() for path in paths)]
    for paths in copies[:_SHOWN]:
        _log.warning(
            "%s: these files have the same name, and toothgraph wrote one of them. If they are one scan, give only one "
            "of them; otherwise the scan may be in training and in validation", ", ".join(map(str, paths)),
        )  # fmt: skip
    if len(copies) > _SHOWN:
        _log.warning("%d more names occur several times", len(copies) - _SHOWN)


def _listed(lists: Iterable[Path]) -> list[Source]:
    """The scans of CSV lists. Scans without a ``scan_id`` are named in the same way as files in folders."""
    rows = [row for file in lists for row in _rows_of(file)]
    files = list(dict.fromkeys(Path(os.path.abspath(row.path)) for row in rows if not row.scan_id))
    names = dict(zip(files, map(short_enough, long_names(files)), strict=True))
    return [_source(row, row.scan_id or names[Path(os.path.abspath(row.path))]) for row in rows]


@dataclass(frozen=True)
class _Row:
    """One scan of a CSV list: its line (``where``), its file, and the values of the list, empty if not given."""

    where: str
    path: Path
    scan_id: str
    patient: str
    jaw: str


def _source(row: _Row, scan_id: str) -> Source:
    for name in (row.scan_id or stem_of(row.path), scan_id):
        if not _SAFE.fullmatch(name) or len(os.fsencode(name)) > LONGEST:
            raise DataError(
                f"{row.where}: expected a scan name without /, \\ or control characters, without a full stop at its "
                f"beginning, and of at most 200 characters ({LONGEST} bytes), got {name!r}; change it"
            )
    if row.jaw and row.jaw not in _JAWS:
        raise DataError(f"{row.where}: expected a jaw of {', '.join(_JAWS)}, got {row.jaw!r}")
    known = _JAWS.get(row.jaw, -1)
    return Source(row.path, scan_id, composed(row.patient) or patient_of(scan_id), known if known >= 0 else None)


def _rows_of(file: Path) -> list[_Row]:
    """The rows of a CSV list that are not empty."""
    cells = _cells(file)
    columns = next(cells, (0, []))[1]
    for column in columns:
        meant = column.strip().lower()
        if column not in _COLUMNS and meant in _COLUMNS:
            raise DataError(f"{file}: has a column {column!r}; did you mean {meant!r}?")
    rows = []
    for number, values in cells:
        row = {column: value.strip() for column, value in zip(columns, values, strict=False) if column in _COLUMNS}
        if not row.get("path"):
            raise DataError(
                f"{file}: line {number}: expected a file in the column `path`, found none; the columns are "
                f"{', '.join(_COLUMNS)}, and only `path` is required"
            )
        scan_id, patient, jaw = (row.get(column, "") for column in _COLUMNS[1:])
        rows.append(_Row(f"{file}: line {number}", _place(file.parent, row["path"]), scan_id, patient, jaw.lower()))
    if not rows:
        raise DataError(f"{file}: expected the columns {', '.join(_COLUMNS)} and a row for each scan, found no row")
    return rows


def _place(folder: Path, written: str) -> Path:
    """The file that a CSV list names, with ``/`` or, as on Windows, ``\\`` between folders."""
    path = folder / written
    return path if os.path.exists(path) else folder / written.replace("\\", "/")


def _cells(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV list that are not empty, each with its line number.

    The separator is a comma, a semicolon (which Excel writes in countries with a decimal comma) or a tab. A first line
    such as ``sep=;`` names it.
    """
    text = io.StringIO(_text(file), newline="")
    first, skipped = text.readline(), 0
    if told := re.fullmatch(r'"?sep=(.)"?', first.rstrip("\r\n")):
        skipped = 1
    else:
        text.seek(0)
    separator = told[1] if told else max(",;\t", key=first.count)
    lines = csv.reader(text, delimiter=separator)
    try:
        for line in lines:
            if any(cell.strip() for cell in line):
                yield lines.line_num + skipped, line
    except csv.Error as error:
        raise DataError(f"{file}: cannot be read as a list of scans: {error}") from error


def _text(file: Path) -> str:
    """The text of a CSV list in UTF-8, or in UTF-16 with a byte order mark, as Excel writes it."""
    try:
        content = file.read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if wide else "utf-8-sig")
    except OSError as error:
        raise DataError(f"{file}: cannot be read as a list of scans: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f'{file}: cannot be read as a list of scans: it is not in UTF-8; save it as "CSV UTF-8", as Excel names it'
        ) from error
