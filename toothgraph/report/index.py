"""The list of the scans of a folder, as a page, and their measures as a table."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from toothgraph.anatomy.doubt import Doubt, as_doubt
from toothgraph.anatomy.measures import ArchMeasures, Measure, measure_pair
from toothgraph.errors import ConfigError
from toothgraph.fdi import JAW_NAMES, LOWER, UNKNOWN_JAW, UPPER
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.page import measure_data, measure_from, web_text
from toothgraph.report.picture import thumbnail_text
from toothgraph.report.sealed import sealed
from toothgraph.report.tooth_table import ToothRow
from toothgraph.scan_names import patient_of, tells
from toothgraph.system.files import write_text

_BOTH = ".both"  # ends the name of a page of both jaws
PAGE, TABLE = "index.html", "measures.csv"
JAWS = [JAW_NAMES[jaw] for jaw in (UPPER, LOWER)]
_DATA = re.compile(r'<script type="application/json" id="scans">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One scan of the list.

    Attributes:
        name: name of the scan, or of one jaw of it.
        jaw: ``upper``, ``lower`` or ``unknown``.
        teeth: FDI numbers, from the patient's right to the left.
        confidence: mean over the area of the teeth; None if no tooth has one.
        doubts: what a person should review, each in pieces of text and FDI numbers.
        widths: widths of the teeth by FDI number, mm.
        measures: measures of the arch.
        picture: a WebP picture in base64.
        scan: name of the scan if its file has both jaws, else empty.
        patient: the patient; empty if the name of the scan tells it.
    """

    name: str
    jaw: str
    teeth: list[int]
    confidence: float | None
    doubts: list[list[str | int]]
    widths: dict[int, float]
    measures: list[Measure]
    picture: str
    scan: str = ""
    patient: str = ""

    @property
    def whose(self) -> str:
        """The patient, as given or as the name of the scan tells it."""
        return self.patient or patient_of(self.name)

    @property
    def page_name(self) -> str:
        """The name of the page of the scan, ``<page_name>.html`` in the same folder."""
        return self.scan or self.name


def entry_of(
    name: str,
    mesh: Mesh,
    labels: np.ndarray,
    teeth: Sequence[ToothRow],
    measures: ArchMeasures,
    doubts: Sequence[Doubt | str] = (),
    scan: str = "",
    patient: str = "",
) -> Entry:
    """The entry of a labelled scan for the list.

    Args:
        name: name of the scan, or of one jaw of it.
        mesh: F faces.
        labels: [F] FDI numbers.
        teeth: rows of :func:`toothgraph.report.tooth_table.tooth_table`.
        measures: see :func:`toothgraph.anatomy.measures.measure_arch`.
        doubts: what a person should review.
        scan: name of the scan if its file has both jaws.
        patient: the patient, if the name of the scan does not tell it.
    """
    rows = [row for row in teeth if row.fdi > 0]
    sure = [(row.area, row.confidence) for row in rows if row.confidence is not None]
    area = sum(area for area, _ in sure)
    return Entry(
        name,
        JAW_NAMES[measures.jaw if mesh.jaw == UNKNOWN_JAW else mesh.jaw],
        [row.fdi for row in rows],
        sum(area * confidence for area, confidence in sure) / area if area else None,
        [as_doubt(doubt).flat for doubt in doubts],
        {fdi: round(width, 3) for fdi, width in measures.widths.items()},
        measures.measures,
        thumbnail_text(mesh, labels),
        scan,
        patient,
    )


def check_name(name: str) -> None:
    """Raise ConfigError if the page or table of a scan would replace another file.

    The other file is the list of the scans, the table of measures, or the page of both jaws of a patient: a scan
    ``anna.both`` would replace the page of both jaws of ``anna``.
    """
    if name.lower() in (Path(PAGE).stem, Path(TABLE).stem):
        raise ConfigError(f"{name}: {PAGE} and {TABLE} are the list of the scans; give the scan another name")
    if name.lower().endswith(_BOTH):
        patient = name[: -len(_BOTH)]
        raise ConfigError(f"{name}: {name}.html is the page of both jaws of {patient}; give the scan another name")


def read_index(folder: str | Path) -> list[Entry]:
    """The scans in the list of a folder whose pages still exist; empty if there is no list.

    Raises:
        ConfigError: if there is an ``index.html`` that is not such a list, or is one of another version.
    """
    return read_list(folder)[0]


def read_list(folder: str | Path) -> tuple[list[Entry], dict[str, str]]:
    """The scans of :func:`read_index`, and the scans in the list that have no page, each with the reason.

    Raises:
        ConfigError: see :func:`read_index`.
    """
    path = Path(folder) / PAGE
    if not path.exists():
        return [], {}
    found = _DATA.search(path.read_text(encoding="utf-8", errors="replace"))
    try:
        if found is None:
            raise ValueError("no scans")
        content = json.loads(found[1])
        entries = [_read(scan) for patient in content["patients"] for scan in patient["scans"]]
        failed = {str(name): str(why) for name, why in dict(content.get("failed", {})).items()}
    except (ValueError, TypeError, KeyError):
        raise ConfigError(
            f"{path}: expected the list of scans of an earlier run, found another page; delete it, or choose another "
            "folder"
        ) from None
    return [entry for entry in entries if (path.parent / f"{entry.page_name}.html").is_file()], failed


def _read(scan: Mapping[str, Any]) -> Entry:
    fields = {name: scan[name] for name in ("name", "jaw", "teeth", "confidence", "doubts", "picture")}
    widths = {int(fdi): float(width) for fdi, width in scan["widths"].items()}
    measures = list(map(measure_from, scan["measures"]))
    return Entry(**fields, widths=widths, measures=measures, scan=scan.get("scan", ""),
                 patient=scan.get("patient", ""))  # fmt: skip


def pair_page(patient: str) -> str:
    """The file name of the page of both jaws of a patient. :func:`check_name` refuses scans of such a name."""
    return f"{patient}{_BOTH}.html"


def write_index(folder: str | Path, entries: Iterable[Entry], failed: Mapping[str, str] | None = None) -> Path:
    """Write ``index.html``, the list of the scans, and ``measures.csv``.

    The list is grouped by patient, with the scans to review first. It needs no network and no files except the pages of
    the scans.

    Args:
        folder: the folder of the pages.
        entries: the scans; if two have the same name, the last one counts.
        failed: scans that have no page, each with the reason; they are listed below the others.

    Returns:
        The path of ``index.html``.
    """
    scans = list({entry.name: entry for entry in entries}.values())
    scans.sort(key=lambda entry: (entry.whose, entry.jaw != JAWS[0], entry.name))
    folder = Path(folder)
    patients = [_patient(name, list(own), folder) for name, own in groupby(scans, lambda entry: entry.whose)]
    patients.sort(key=lambda patient: min(map(_concern, patient["scans"])))
    content = json.dumps({"folder": folder.resolve().name, "patients": patients, "failed": dict(failed or {})})
    template = sealed(web_text("index.html").replace("__NUMBERING__", web_text("numbering.js")))
    # A name may contain any text: `</script>` in it must not end the script.
    write_text(folder / PAGE, template.replace("__SCANS__", content.replace("<", "\\u003c")))
    write_text(folder / TABLE, _table(patients))
    return folder / PAGE


def _patient(name: str, entries: Sequence[Entry], folder: Path) -> dict[str, Any]:
    jaws = {jaw: [entry for entry in entries if entry.jaw == jaw] for jaw in JAWS}
    page = quote(pair_page(name)) if (folder / pair_page(name)).is_file() else None
    one_each = all(len(own) == 1 for own in jaws.values())
    of_one = tells(name) or page or len({entry.page_name for entry in entries}) == 1  # else maybe two people
    both = measure_pair(*(jaws[jaw][0].widths for jaw in JAWS)) if one_each and of_one else []
    return {
        "name": name,
        "page": page,
        "measures": list(map(measure_data, both)),
        "scans": list(map(_shown, entries)),
    }


def _shown(entry: Entry) -> dict[str, Any]:
    measures = list(map(measure_data, entry.measures))
    return {**asdict(entry), "measures": measures, "page": quote(f"{entry.page_name}.html")}


def _concern(scan: Mapping[str, Any]) -> tuple[bool, float, str]:
    """A sort key that puts the scans that a person should look at first in front."""
    sure = scan["confidence"]
    return not scan["doubts"], float(not scan["doubts"]) if sure is None else sure, scan["name"]


def _table(patients: Sequence[Mapping[str, Any]]) -> str:
    """CSV with one row for each measure of a scan or of a patient."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["patient", "scan", "jaw", "measure", "value", "unit", "reason"])
    for patient in sorted(patients, key=lambda patient: patient["name"]):
        for scan in [*patient["scans"], {"name": "", "jaw": "both", "measures": patient["measures"]}]:
            for measure in scan["measures"]:
                value = "" if measure["value"] is None else f"{measure['value']:.2f}"
                start = [patient["name"], scan["name"], scan["jaw"]]
                reason = "".join(map(str, measure["reason"]))
                writer.writerow([*start, measure["key"], value, measure["unit"], reason])
    return text.getvalue()
