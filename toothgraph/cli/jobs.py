"""The scans that ``predict`` labels, and what came of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toothgraph.both_jaws import JawPair
from toothgraph.cli.summary import FAILED, LABELLED, REVIEW, UNTRUSTED, Row
from toothgraph.cli.terminal import one_line
from toothgraph.io.reviewed import OtherScan
from toothgraph.report.tooth_table import ToothRow
from toothgraph.scan_names import cases_of, patients_of, together_by, told_jaw
from toothgraph.segmentation import Segmentation

if TYPE_CHECKING:  # it imports matplotlib, which takes a while
    from toothgraph.report.index import Entry


@dataclass(frozen=True)
class Job:
    """A scan to label.

    Attributes:
        file: the scan.
        name: the name of its outputs.
        together: the names of all scans of its patient, which are labelled one after the other.
        again: whether to label it even if an earlier run has done so.
        patient: the patient.
        jaw: 0 upper, 1 lower, if the name of the other scan of its case tells it; else None. It is ignored if the scan
            looks like the other jaw.
    """

    file: Path
    name: str
    together: tuple[str, ...]
    again: bool = False
    patient: str = ""
    jaw: int | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of labelling a scan.

    Attributes:
        row: the row of the summary.
        said: one line for stdout; empty for a scan that failed.
        warnings: warnings to review.
        kept: whether an earlier run labelled it, and nothing has changed since.
        teeth: the table of its teeth, see :func:`teeth_of`; None if they are not known.
        files: the files that exist for the scan.
        entries: entries for the list of pages, one for each jaw, if a page was written.
        of_other: whether the folder has another scan under this name, which stays as it is.
    """

    row: Row
    said: str = ""
    warnings: Sequence[str] = ()
    kept: bool = False
    teeth: Sequence[Mapping[str, float | None]] | None = None
    files: Sequence[str] = ()
    entries: Sequence[Entry] = ()
    of_other: bool = False


def jobs_of(files: Sequence[Path], names: Sequence[str], again: bool) -> list[list[Job]]:
    """The scans as jobs, one list for each patient."""
    cases, units = cases_of(files), []
    for patient, scans in together_by(zip(files, names, strict=True), patients_of(files, names)).items():
        together = tuple(name for _, name in scans)
        units.append([Job(file, name, together, again, patient, told_jaw(file, cases)) for file, name in scans])
    return units


def row_for(name: str, found: Segmentation | JawPair, seconds: float) -> Row:
    """The row of the summary for a labelled scan."""
    numbers = numbers_in(found)
    state = UNTRUSTED if found.strong_doubts else REVIEW if found.doubts else LABELLED
    warnings = " | ".join(map(one_line, found.doubts))
    return Row(name, state, found.jaw_name, str(len(numbers)), " ".join(numbers), warnings, f"{seconds:.2f}")


def line_for(name: str, found: Segmentation | JawPair, written: Path) -> str:
    """What was found in a scan, in one line."""
    numbers = numbers_in(found)
    review = " (to review)" if found.doubts else ""
    jaw = "both jaws" if len(found.jaws) == 2 else f"{found.jaw_name} jaw"
    return f"{name}: {jaw}{review}, {len(numbers)} teeth: {' '.join(numbers) or 'none'} -> {written}"


def numbers_in(found: Segmentation | JawPair) -> list[str]:
    """FDI numbers of the teeth, from the patient's right to the left."""
    return [str(row.fdi) for row in found.teeth if row.fdi > 0]


def teeth_of(rows: Iterable[ToothRow]) -> list[dict[str, float | None]]:
    """The table of the teeth without gingiva. Its keys are the names of the columns in ``<stem>.csv``."""
    return [
        {"fdi": row.fdi, "faces": row.faces, "area_mm2": round(row.area, 2), "width_mm": _rounded(row.width),
         "confidence": _rounded(row.confidence)}
        for row in rows if row.fdi > 0
    ]  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def failed(job: Job, error: object) -> Outcome:
    """The outcome of a scan that could not be labelled."""
    return Outcome(Row(job.name, FAILED, error=one_line(error)), of_other=isinstance(error, OtherScan))
