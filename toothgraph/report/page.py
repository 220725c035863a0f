"""A self-contained HTML page with one labelled scan, or with both jaws of a patient: turn it, pick teeth, measure.

The page is put together from the files in ``web/``. The scans are in it as JSON, with arrays in base64.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.anatomy.colours import COLOUR_OF_FDI
from toothgraph.anatomy.doubt import Doubt, as_doubt
from toothgraph.anatomy.frame import jaw_shown
from toothgraph.anatomy.measures import ArchMeasures, Measure, measure_arch, measure_pair
from toothgraph.anatomy.tooth_text import from_flat
from toothgraph.errors import ConfigError
from toothgraph.fdi import FDI_OF_CLASS, JAW_NAMES, PRIMARY_TEETH, UNKNOWN_JAW, check_fdi, tooth_name
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import faces_to_original
from toothgraph.report.differences import find_differences
from toothgraph.report.doubts import OtherNumbers
from toothgraph.report.placing import place_jaws
from toothgraph.report.sealed import sealed
from toothgraph.report.tooth_table import ToothRow, tooth_table
from toothgraph.system.files import write_text

UNKNOWN = 255  # the byte for FDI -1
NOWHERE = 2**32 - 1  # stands for no face
# The files of the page's script, in the order in which they run.
SCRIPT = (
    *("data", "numbering", "camera", "colours", "draw", "marks", "pick", "cross", "surface", "panel", "input"),
    *("steps", "brush", "edit", "print", "start"),
)


@dataclass(frozen=True, eq=False)
class Second:
    """Other labels of the same scan, to compare: of another model, or from before or after a correction.

    Attributes:
        name: what the page calls these labels.
        labels: [F] FDI numbers.
        confidence: [F] probabilities of the labels, if known.
    """

    name: str
    labels: np.ndarray
    confidence: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FilePart:
    """The faces of one jaw in a file that has both jaws.

    Attributes:
        mesh: the clean mesh of the file.
        faces: [F] indices of faces in ``mesh``, in the order of the faces of the jaw.
    """

    mesh: Mesh
    faces: np.ndarray


@dataclass(frozen=True, eq=False)
class PageScan:
    """One labelled scan of a page.

    Attributes:
        mesh: F faces.
        labels: [F] FDI numbers.
        name: what the page calls these labels, if there are others.
        confidence: [F] probabilities of the labels, as a second colouring; NaN where it is not known.
        truth: [F] true FDI numbers; with them, the page shows the errors.
        second: other labels of this scan; with them, the page shows what differs.
        teeth: the table of ``labels``, if already computed.
        doubts: what a person should review. A plain text is shown unchanged, also where the page shows other tooth
            numbers than FDI.
        other_numbers: the next best numbers and how much likelier the given ones are.
        measures: the measures of this jaw, if already computed.
        part: the faces of this jaw in its file, if the file has both jaws; their labels are then downloaded as one
            file.
    """

    mesh: Mesh
    labels: np.ndarray
    name: str = "found"
    confidence: np.ndarray | None = None
    truth: np.ndarray | None = None
    second: Second | None = None
    teeth: list[ToothRow] | None = None
    doubts: Sequence[Doubt | str] = ()
    other_numbers: OtherNumbers | None = None
    measures: ArchMeasures | None = None
    part: FilePart | None = None

    @cached_property
    def measured(self) -> ArchMeasures:
        """The measures of this jaw, as given or computed at first use."""
        return measure_arch(self.mesh, self.labels) if self.measures is None else self.measures


def write_page(
    path: str | Path,
    mesh: Mesh,
    labels: np.ndarray,
    *,
    title: str | None = None,
    confidence: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    teeth: list[ToothRow] | None = None,
    doubts: Sequence[Doubt | str] = (),
    other_numbers: OtherNumbers | None = None,
    measures: ArchMeasures | None = None,
) -> None:
    """Write an HTML page that shows a labelled scan. It needs no network and no other files.

    Args:
        path: the HTML file.
        mesh, labels, confidence, truth, teeth, doubts, other_numbers, measures: see :class:`PageScan`.
        title: title; by default the name of the scan.

    Raises:
        ConfigError: for a mesh without faces, or values of another length.
        LabelError: for labels that are no FDI numbers.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> write_page("arch.html", arch, arch.labels)  # to be opened in a browser
    """
    scan = PageScan(mesh, labels, confidence=confidence, truth=truth, teeth=teeth, doubts=doubts,
                    other_numbers=other_numbers, measures=measures)  # fmt: skip
    write_scans(path, [scan], title=title)


def write_scans(path: str | Path, scans: Sequence[PageScan], *, title: str | None = None) -> None:
    """Write an HTML page that shows one scan, or the upper and the lower jaw of a patient.

    Args:
        path: the HTML file.
        scans: one, or one of each jaw.
        title: title; by default the names of the scans.

    Raises:
        ConfigError: for a mesh without faces, values of another length, or two scans that are not an upper and a lower
            jaw.
        LabelError: for labels that are no FDI numbers.
    """
    content = json.dumps(page_data(scans, title))
    # A scan's name may contain any text: `</script>` in it must not end the script.
    write_text(path, page_template().replace("__DATA__", content.replace("<", "\\u003c")))


@lru_cache(maxsize=1)
def page_template() -> str:
    """The HTML page with its style and script, and ``__DATA__`` in the place of the scans."""
    script = "\n".join(web_text(f"{name}.js") for name in SCRIPT)
    return sealed(web_text("page.html").replace("__STYLE__", web_text("page.css")).replace("__SCRIPT__", script))


def web_text(name: str) -> str:
    """The text of a file in ``web/``."""
    return resources.files("toothgraph.report").joinpath("web").joinpath(name).read_text(encoding="utf-8")


def page_data(scans: Sequence[PageScan], title: str | None = None) -> dict[str, Any]:
    """The data for the script of the page. Arguments and errors are those of :func:`write_scans`."""
    _check(scans)
    points, placing = place_jaws([(scan.mesh, scan.labels) for scan in scans])
    first = scans[0]
    results = [first.name, *([first.second.name] if first.second else []),
               *(["truth"] if any(scan.truth is not None for scan in scans) else [])]  # fmt: skip
    comparisons = []
    if any(scan.truth is not None for scan in scans):
        unknown = any(scan.truth is not None and bool((scan.truth < 0).any()) for scan in scans)
        comparisons.append({"kind": "errors", "first": 0, "second": results.index("truth"), "unknown": unknown})
    if first.second:
        comparisons.append({"kind": "changes", "first": 0, "second": 1, "unknown": False})
    return {
        "title": title or " and ".join(scan.mesh.scan_id for scan in scans),
        "colours": {UNKNOWN if fdi < 0 else fdi: list(colour) for fdi, colour in COLOUR_OF_FDI.items()},
        "names": {fdi: tooth_name(fdi) for fdi in [*FDI_OF_CLASS[1:].tolist(), *PRIMARY_TEETH.tolist()]},
        "placing": placing,
        "results": results,
        "comparisons": comparisons,
        "measures": list(map(measure_data, _of_both(scans))),
        "review": None,  # without a server, the page changes labels for a download
        "file": _file_of_both(scans),
        "scans": [_scan_data(scan, own) for scan, own in zip(scans, points, strict=True)],
    }


def _check(scans: Sequence[PageScan]) -> None:
    for scan in scans:
        name, faces = scan.mesh.scan_id, len(scan.mesh.faces)
        given = {"labels": scan.labels, "confidence": scan.confidence, "truth": scan.truth}
        if scan.second:
            given |= {"second labels": scan.second.labels, "second confidence": scan.second.confidence}
        for what, values in given.items():
            if values is not None and np.shape(values) != (faces,):
                raise ConfigError(f"{name}: expected {faces} {what}, one per face, got {np.shape(values)}")
            if values is not None and "confidence" not in what:
                check_fdi(values, what, where=name)
        if faces == 0:
            raise ConfigError(f"{name}: expected a mesh with faces, got none")
    jaws = sorted(jaw_shown(scan.mesh, scan.labels) for scan in scans)
    if len(scans) != 1 and jaws != [0, 1]:
        found = ", ".join(f"{scan.mesh.scan_id}: {JAW_NAMES[jaw_shown(scan.mesh, scan.labels)]} jaw" for scan in scans)
        raise ConfigError(f"expected one scan, or an upper and a lower jaw, got {found or 'none'}")


def _scan_data(scan: PageScan, points: np.ndarray) -> dict[str, Any]:
    mesh, jaw = scan.mesh, jaw_shown(scan.mesh, scan.labels)
    table = tooth_table(mesh, scan.labels, scan.confidence) if scan.teeth is None else scan.teeth
    results = [_result(scan.labels, scan.confidence, table)]
    differences = {}
    if scan.second:
        others = tooth_table(mesh, scan.second.labels, scan.second.confidence)
        results.append(_result(scan.second.labels, scan.second.confidence, others))
        differences["changes"] = find_differences(mesh, scan.labels, scan.second.labels)
    if scan.truth is not None:
        results.append(_result(scan.truth, None, tooth_table(mesh, scan.truth)))
        differences["errors"] = find_differences(mesh, scan.truth, scan.labels)
    count = sum(row.fdi > 0 for row in table)
    kind = "" if jaw == UNKNOWN_JAW else f"{JAW_NAMES[jaw]} jaw, "
    other = scan.other_numbers
    return {
        "name": mesh.scan_id,
        "jaw": JAW_NAMES[jaw],
        "about": f"{kind}{count} {'tooth' if count == 1 else 'teeth'}",
        "doubts": [as_doubt(doubt).flat for doubt in scan.doubts],
        "other": None if other is None else {"changes": [list(pair) for pair in other.changes], "odds": other.odds},
        "measures": list(map(measure_data, scan.measured.measures)),
        "points": _text(points.astype("<f4")),
        "faces": _text(mesh.faces.astype("<u4")),
        "stored": _stored(mesh),
        "results": results,
        "differences": {kind: [asdict(row) for row in rows] for kind, rows in differences.items()},
    }


def measure_data(measure: Measure) -> dict[str, Any]:
    """A measure as pages store it. Its texts are lists of strings and FDI numbers."""
    lack = [] if measure.lack is None else measure.lack.flat
    return {"key": measure.key, "name": measure.name, "value": measure.value, "unit": measure.unit,
            "definition": measure.meaning.flat, "reason": lack}  # fmt: skip


def measure_from(data: Mapping[str, Any]) -> Measure:
    """The measure that :func:`measure_data` has stored. Its texts may be plain strings, as in older lists."""
    meaning, lack = (from_flat([said] if isinstance(said, str) else said)
                     for said in (data["definition"], data["reason"]))  # fmt: skip
    return Measure(data["key"], data["name"], data["value"], data["unit"], meaning, lack if str(lack) else None)


def _stored(mesh: Mesh) -> str | None:
    """For each face of the file, the face of the mesh that gives its label when labels are saved.

    None if the faces of the mesh are those of the file.
    """
    faces = np.arange(len(mesh.faces))
    face = faces_to_original(mesh, faces)
    return None if np.array_equal(face, faces) else _text(face.astype("<u4"))


def _file_of_both(scans: Sequence[PageScan]) -> dict[str, str] | None:
    """The name of the file that has both jaws, and for each of its faces the face that gives its label.

    Faces are counted through the first jaw and then through the second. None if each jaw has its own file.
    """
    parts = [scan.part for scan in scans if scan.part]
    if len(parts) < 2 or parts[0].mesh is not parts[1].mesh:
        return None
    mesh, own = parts[0].mesh, np.concatenate([part.faces for part in parts])
    face = np.full(len(mesh.faces), NOWHERE)
    face[own] = np.arange(len(own))
    return {"name": mesh.scan_id, "stored": _text(faces_to_original(mesh, face).astype("<u4"))}


def _of_both(scans: Sequence[PageScan]) -> list[Measure]:
    """The measures of an upper and a lower jaw together; empty for one scan."""
    if len(scans) == 1:
        return []
    upper, lower = sorted(scans, key=lambda scan: jaw_shown(scan.mesh, scan.labels))
    return measure_pair(upper.measured.widths, lower.measured.widths)


def _result(labels: np.ndarray, confidence: np.ndarray | None, teeth: Sequence[ToothRow]) -> dict[str, Any]:
    return {
        "labels": _text(_bytes(labels)),
        "confidence": None if confidence is None else _text(_shares(confidence)),
        "teeth": [asdict(row) for row in teeth],
    }


def _bytes(fdi: np.ndarray) -> np.ndarray:
    return np.where((fdi >= 0) & (fdi < UNKNOWN), fdi, UNKNOWN).astype("u1")


def _shares(confidence: np.ndarray) -> np.ndarray:
    """Probabilities [F] as bytes from 1 to 255; 0 where the probability is not known."""
    return np.where(np.isnan(confidence), 0, np.clip(np.rint(255 * np.nan_to_num(confidence)), 1, 255)).astype("u1")


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
