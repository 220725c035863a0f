"""Write labelled scans with the vertices and faces of the input file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from toothgraph.anatomy.doubt import Doubt
from toothgraph.anatomy.measures import Measure
from toothgraph.choices import FORMATS
from toothgraph.errors import ConfigError
from toothgraph.fdi import JAW_NAMES, UNKNOWN_JAW, check_fdi, jaw_of_teeth
from toothgraph.io.formats.ply import write_ply
from toothgraph.io.formats.tooth_folder import write_tooth_folder
from toothgraph.io.formats.vtk import write_vtk
from toothgraph.io.label_record import (
    FoundFile,
    Record,
    check_name,
    jaw_runs,
    read_record,
    record_of,
    recorded,
    write_record,
)
from toothgraph.io.review_file import work_of_review
from toothgraph.io.said import doubts_content
from toothgraph.mesh.clean import triangulate
from toothgraph.mesh.label_origin import FOUND, LabelOrigin
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import faces_to_original, original_of, vertices_to_original
from toothgraph.scan_names import stem_of, without_jaw
from toothgraph.stages import stage
from toothgraph.system.files import places_of, write_text

DEFAULT_FORMATS = ("ply", "txt", "json")


@dataclass(frozen=True, eq=False)
class Labelled:
    """A labelled scan to be written, with the vertices and faces of the input file in the same order and unit.

    Attributes:
        patient: the patient's name, from the name of the scan, or else of its folder.
        jaw: 0 upper, 1 lower, -1 unknown; None for both.
        vertices: [V0, 3].
        polygons: [F0, m]; short rows are filled with -1.
        vertex_fdi: [V0] FDI numbers.
        face_fdi: [F0] FDI numbers.
        confidence: the confidence of each tooth, by FDI number.
        doubts: what a person should review; None if unknown.
        measures: measures of the arch.
    """

    patient: str
    jaw: int | None
    vertices: np.ndarray
    polygons: np.ndarray
    vertex_fdi: np.ndarray
    face_fdi: np.ndarray
    confidence: Mapping[int, float] = field(default_factory=dict)
    doubts: Sequence[Doubt | str] | None = None
    measures: Sequence[Measure] = ()


def write_labelled(
    out_dir: str | Path,
    name: str,
    mesh: Mesh,
    face_fdi: np.ndarray,
    formats: Sequence[str] = DEFAULT_FORMATS,
    confidence: Mapping[int, float] | None = None,
    doubts: Sequence[Doubt | str] | None = None,
    measures: Sequence[Measure] = (),
    model: str | None = None,
    jaw_of_face: np.ndarray | None = None,
    given: bool = False,
) -> list[Path]:
    """Write a labelled scan into ``out_dir``: ``name.ply``, ``name.txt``, ``name.json`` and other formats.

    The files contain the vertices and faces of the input file in the same order, number and unit. Faces that cleaning
    removed take the label of a neighbour (``faces_to_original``).

    Args:
        out_dir: the folder; created if needed.
        name: stem of the files.
        mesh: the clean mesh.
        face_fdi: [F] FDI numbers of its faces, 0 gingiva, -1 unknown.
        formats: any of ``FORMATS``.
        confidence: the confidence of each tooth, by FDI number; written to the JSON.
        doubts: what a person should review, see :mod:`toothgraph.io.said`; written to the JSON.
        measures: measures of the arch; written to the JSON.
        model: the model that found the labels; its name is kept in the record ``name.found.json`` beside them
            (:mod:`toothgraph.io.label_record`). None if no model found them: then the labels count as given.
        jaw_of_face: [F] 0 upper, 1 lower, for a file with both jaws; kept in the record.
        given: write a record also for labels that no model found, so that all files are known as one scan.

    Returns:
        The paths, in the order of ``formats``.

    Raises:
        LabelError: if there are not F labels, or labels are no FDI numbers.
        ConfigError: for an unknown format, for a name that ends in ``.found``, or if the folder has labels of this scan
            that a person has corrected or approved in a review.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> [file.name for file in write_labelled("labelled", "007_U", arch, arch.labels, ("ply", "txt"))]
        ['007_U.ply', '007_U.txt']
    """
    if unknown := [kind for kind in formats if kind not in FORMATS]:
        raise ConfigError(f"expected formats of {', '.join(FORMATS)}, got {unknown[0]!r}")
    check_name(name)
    face_fdi = check_fdi(face_fdi, where=name)
    if work := work_of_review(Path(out_dir), name):
        raise ConfigError(
            f"{work}: contains corrections of a review, which would be overwritten; choose another folder, or move the "
            "files of the review away"
        )
    stage("writing")
    labelled = replace(_labelled(mesh, face_fdi), confidence=confidence or {}, doubts=doubts, measures=measures)
    if jaw_of_face is not None:
        labelled = replace(labelled, jaw=None)
    paths = [Path(out_dir) / f"{name}.{'teeth' if kind == 'stl' else kind}" for kind in formats]
    if not paths:
        return paths
    origin = LabelOrigin(FOUND, model) if model is not None else LabelOrigin() if given else None
    jaws = {} if jaw_of_face is None else jaw_runs(faces_to_original(mesh, jaw_of_face))
    of_scan = Record(jaws=jaws).of(mesh)
    _announce(paths, origin, of_scan)
    try:
        for kind, path in zip(formats, paths, strict=True):
            stage(f"writing {path.name}")
            _WRITERS[kind](path, labelled)
    finally:
        if not any((paths[0].parent / name).exists() for name in read_record(paths[0]).files):
            record_of(paths[0]).unlink(missing_ok=True)  # nothing was written
    _keep_record(paths, labelled, origin, of_scan)
    return paths


def check_not_over_scan(mesh: Mesh, folder: str | Path, name: str) -> None:
    """Refuse to write labels over the scan itself, or over label files beside the scan.

    Raises:
        ConfigError: if the folder and name of the output are those of the scan.
    """
    if mesh.path is None:
        return
    places = places_of(mesh.path)
    if any((Path(folder).resolve(), name) == (place.parent, stem_of(place)) for place in places):
        raise ConfigError(
            f"{mesh.path}: this scan, or the labels beside it, would be overwritten; choose another folder, or another "
            "name"
        )


def write_again(path: Path, mesh: Mesh, face_fdi: np.ndarray) -> None:
    """Write one file of :func:`write_labelled` again with other labels.

    The record beside it is not written again, so that it shows the change of the labels.

    Args:
        path: the file.
        mesh: the clean mesh.
        face_fdi: [F] FDI numbers of its faces.
    """
    _WRITERS[format_of(path)](path, _labelled(mesh, face_fdi))


def format_of(path: Path) -> str:
    """The format, one of ``FORMATS``, of a file or folder that :func:`write_labelled` has written."""
    return "stl" if path.suffix == ".teeth" else path.suffix.removeprefix(".")


def _labelled(mesh: Mesh, face_fdi: np.ndarray) -> Labelled:
    original = original_of(mesh)
    return Labelled(
        without_jaw(mesh.scan_id) or (mesh.path.parent.resolve().name if mesh.path else ""),
        mesh.jaw if mesh.jaw != UNKNOWN_JAW else jaw_of_teeth(face_fdi),
        original.vertices,
        original.polygons,
        vertices_to_original(mesh, face_fdi),
        faces_to_original(mesh, face_fdi),
    )


def _announce(paths: Sequence[Path], origin: LabelOrigin | None, of_scan: Record) -> None:
    """Enter the files that are about to be written in the record of a scan.

    Without this, new files would look like corrected files if writing is interrupted.
    """
    record = read_record(paths[0])
    if origin is not None or record.run or any(path.name in record.files for path in paths):
        new = {path.name: FoundFile(origin.model, "", {}, kind=origin.kind) for path in paths} if origin else {}
        write_record(paths[0], replace(of_scan, files={**_others(record, paths), **new}))


def _keep_record(paths: Sequence[Path], labelled: Labelled, origin: LabelOrigin | None, of_scan: Record) -> None:
    """Enter the origin of the labels of these files in the record of a scan; without an origin, remove the files."""
    record = read_record(paths[0])
    files = _others(record, paths)
    if origin is not None:
        for path in paths:
            labels = labelled.vertex_fdi if path.suffix == ".json" else labelled.face_fdi
            both = labelled.vertex_fdi if path.suffix in _ON_BOTH else None
            files[path.name] = recorded(path, origin, labels, both)
    if files or record.files:
        write_record(paths[0], replace(of_scan, files=files))


def _others(record: Record, paths: Sequence[Path]) -> dict[str, FoundFile]:
    return {name: found for name, found in record.files.items() if name not in {path.name for path in paths}}


def write_txt(path: str | Path, face_fdi: np.ndarray) -> None:
    """Write one FDI number per line, one line per face."""
    write_text(path, "\n".join(map(str, np.asarray(face_fdi).tolist())) + "\n")


def write_teeth3ds_json(
    path: str | Path,
    vertex_fdi: np.ndarray,
    *,
    jaw: int | None,
    id_patient: str = "",
    confidence: Mapping[int, float] | None = None,
    doubts: Sequence[Doubt | str] | None = None,
    measures: Sequence[Measure] = (),
) -> None:
    """Write labels per vertex in the layout of Teeth3DS: ``id_patient``, ``jaw``, ``labels``, ``instances``.

    Layout: Teeth3DS, https://arxiv.org/abs/2210.06094

    Args:
        path: the file.
        vertex_fdi: [V] FDI numbers.
        jaw: 0 upper, 1 lower, -1 unknown; None for both.
        id_patient: the patient's name.
        confidence: the confidence of each tooth, by FDI number; adds a key ``confidence``.
        doubts: what a person should review; adds the keys ``doubts`` and ``doubt_parts``, see
            :mod:`toothgraph.io.said`.
        measures: measures of the arch; adds a key ``measures`` with the value and unit of each measure, and the reason
            if it has no value.

    Raises:
        LabelError: if labels are no FDI numbers.
    """
    vertex_fdi = np.asarray(vertex_fdi)
    vertex_fdi = check_fdi(vertex_fdi, where=str(path))
    content: dict[str, object] = {
        "id_patient": id_patient,
        "jaw": "both" if jaw is None else JAW_NAMES[jaw],
        "labels": vertex_fdi.tolist(),
        "instances": count_instances(vertex_fdi).tolist(),
    }
    if confidence:
        content["confidence"] = {str(fdi): round(float(share), 4) for fdi, share in confidence.items()}
    if doubts is not None:
        content |= doubts_content(doubts)
    if measures:
        content["measures"] = measures_content(measures)
    write_text(path, json.dumps(content))


def measures_content(measures: Sequence[Measure]) -> dict[str, dict[str, str | float | None]]:
    """Measures as they are stored in the JSON: by key, with value and unit, and with a reason if it has one."""
    return {
        measure.key: {"value": None if measure.value is None else round(measure.value, 2), "unit": measure.unit}
        | ({"reason": measure.reason} if measure.reason else {})
        for measure in measures
    }


def count_instances(fdi: np.ndarray) -> np.ndarray:
    """FDI numbers [n] as instances [n]: teeth become 1, 2, … in order of their number; gingiva and unknown become 0."""
    teeth = np.unique(fdi[fdi > 0])
    return np.where(fdi > 0, np.searchsorted(teeth, fdi) + 1, 0)


def _ply(path: Path, scan: Labelled) -> None:
    write_ply(path, scan.vertices, scan.polygons, scan.vertex_fdi, scan.face_fdi)


def _txt(path: Path, scan: Labelled) -> None:
    write_txt(path, scan.face_fdi)


def _json(path: Path, scan: Labelled) -> None:
    write_teeth3ds_json(
        path, scan.vertex_fdi, jaw=scan.jaw, id_patient=scan.patient,
        confidence=scan.confidence, doubts=scan.doubts, measures=scan.measures,
    )  # fmt: skip


def _vtk(path: Path, scan: Labelled) -> None:
    write_vtk(path, scan.vertices, scan.polygons, scan.vertex_fdi, scan.face_fdi)


def _teeth(path: Path, scan: Labelled) -> None:
    faces, polygon = triangulate(scan.polygons)
    write_tooth_folder(path, scan.vertices, faces, scan.face_fdi[polygon])


_ON_BOTH = (".ply", ".vtp", ".vtk")  # numbers on faces and on vertices
_WRITERS: dict[str, Callable[[Path, Labelled], None]] = {
    "ply": _ply,
    "txt": _txt,
    "json": _json,
    "vtp": _vtk,
    "vtk": _vtk,
    "stl": _teeth,
}
