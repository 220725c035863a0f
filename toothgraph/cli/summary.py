"""``summary.csv`` of ``predict``: one row for each scan, from all runs and shards that wrote into a folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from toothgraph.errors import ConfigError
from toothgraph.system.files import write_text
from toothgraph.system.lock import one_at_a_time

SUMMARY = "summary.csv"
LABELLED, REVIEW, UNTRUSTED = "labelled", "review", "untrusted"  # states of a scan that is labelled
CORRECTED, FAILED = "corrected", "failed"  # corrected labels were kept; the scan could not be labelled


@dataclass(frozen=True)
class Row:
    """The row of a scan.

    Attributes:
        scan: the name of its outputs.
        state: ``labelled``; ``review``: with warnings; ``untrusted``: its labels cannot be trusted as a whole;
            ``corrected``: its labels were corrected since, and are kept; ``failed``.
        jaw: ``upper``, ``lower`` or ``unknown``.
        teeth: number of teeth.
        numbers: the FDI numbers of the teeth, separated by spaces.
        warnings: warnings to review, separated by `` | ``.
        seconds: time from the file to the written labels.
        error: why the scan failed.
    """

    scan: str
    state: str
    jaw: str = ""
    teeth: str = ""
    numbers: str = ""
    warnings: str = ""
    seconds: str = ""
    error: str = ""


COLUMNS = [field.name for field in fields(Row)]


def row_of(content: Mapping[str, object]) -> Row:
    """A row from its columns.

    Raises:
        ValueError: for other columns.
    """
    if set(content) != set(COLUMNS) or None in content.values():
        raise ValueError(f"expected the columns {', '.join(COLUMNS)}, got {', '.join(map(str, content))}")
    return Row(**{name: str(content[name]) for name in COLUMNS})


def read_summary(folder: Path) -> list[Row]:
    """The rows of the summary in a folder; empty if there is no summary.

    Raises:
        ConfigError: if ``summary.csv`` is another table.
    """
    path = folder / SUMMARY
    if not path.exists() or path.stat().st_size == 0:  # an empty file is about to be written for the first time
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames != COLUMNS:
                raise ValueError(f"expected the columns {', '.join(COLUMNS)}")
            return [row_of(content) for content in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(
            f"{path}: expected the table of an earlier run, found another ({error}); move it, or choose another --out"
        ) from error


def merge_summary(folder: Path, rows: Iterable[Row]) -> Path:
    """Add rows to the summary of a folder. A new row replaces the old row of the same scan.

    Several processes may do this at the same time.

    Raises:
        ConfigError: if ``summary.csv`` is another table.
    """
    with one_at_a_time(folder / SUMMARY):
        merged = {row.scan: row for row in (*read_summary(folder), *rows)}
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(merged[scan]) for scan in sorted(merged))
        write_text(folder / SUMMARY, text.getvalue())
    return folder / SUMMARY
