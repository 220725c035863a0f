"""Give teeth of a labelled scan other numbers, in all label files of the scan at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.anatomy.doubt import Doubt, renumbered
from toothgraph.choices import is_own
from toothgraph.errors import LabelError
from toothgraph.fdi import UNKNOWN, UNKNOWN_JAW, UPPER, in_chart_order, is_tooth, jaw_of_teeth
from toothgraph.io.archive import is_archive
from toothgraph.io.formats.ply import write_ply
from toothgraph.io.formats.registry import SUFFIXES, read_stored
from toothgraph.io.formats.tooth_folder import is_tooth_folder, write_tooth_folder
from toothgraph.io.formats.vtk import EXCHANGED, write_polydata, write_vtk
from toothgraph.io.label_record import Record, changes_in, colours_in, read_record, write_record
from toothgraph.io.label_sources import changed_repeat, check_labels
from toothgraph.io.label_systems import to_fdi, to_universal
from toothgraph.io.read import mesh_from_stored
from toothgraph.io.review_file import review_state
from toothgraph.io.said import doubts_content, doubts_in
from toothgraph.io.write import count_instances, write_txt
from toothgraph.mesh.original import faces_to_original, vertices_to_original
from toothgraph.mesh.stored import Stored
from toothgraph.scan_names import jaw_from_name
from toothgraph.system.files import check_there, write_text


@dataclass(frozen=True)
class LabelFile:
    """A label file, or a labelled scan, as stored.

    Attributes:
        path: the file, or the folder with one file per tooth.
        labels: [n] numbers, per face or per vertex.
        write: a function that writes the file again; its argument is a function from old to new numbers.
    """

    path: Path
    labels: np.ndarray
    write: Callable[[Callable[[np.ndarray], np.ndarray]], None]


@dataclass(frozen=True)
class Renumbered:
    """The result of :func:`renumber`.

    Attributes:
        numbers: former to new numbers, as they are in the files.
        written: the files that were written.
        joined: new numbers that two teeth have got, which are one tooth now.
        found: whether toothgraph had written the files: labels that a model found, or files of `convert`.
    """

    numbers: dict[int, int]
    written: list[Path]
    joined: list[int]
    found: bool


def renumber(
    path: Path, numbers: Mapping[int, int], label_system: str = "fdi", *, merge: bool = False, unit: str = "mm"
) -> Renumbered:
    """Give teeth other numbers, all at the same time, so that two teeth can exchange their numbers.

    All label files that toothgraph wrote for this scan are written again, and a ``.txt`` or ``.json`` beside it. The
    change is added to the record of the scan (:mod:`toothgraph.io.label_record`).

    Args:
        path: any label file of the scan, or the scan itself.
        numbers: former to new numbers; 0 for gingiva, -1 for unknown.
        label_system: the label system of ``numbers``, and of labels that toothgraph did not write; labels that it wrote
            are FDI numbers.
        merge: allow two teeth to get one number; nothing tells them apart afterwards.
        unit: the unit of length in the scan.

    Raises:
        LabelError: if there are no labels, no face has one of the former numbers, a new number is not that of a tooth,
            two teeth would have one number without ``merge``, or the files of the scan do not agree or do not fit it.
        MeshError: if a file cannot be read.
    """
    # 1. The labels in the files, and the new numbers.
    record = read_record(path)
    files = label_files(path, record, unit)
    _check_surface(path, unit, label_system)
    there = np.unique(np.concatenate([file.labels for file in files]))
    numbers = _checked(numbers, there, label_system, path, found=bool(record.files))
    taken = [*numbers.values(), *(number for number in there.tolist() if number not in numbers)]
    joined = in_chart_order(now for now in numbers.values() if now > 0 and taken.count(now) > 1)
    if joined and not merge:
        raise LabelError(
            f"{path}: two teeth would have the number {joined[0]}, and could not be told apart again; give the other "
            f"tooth a new number, too (all changes happen at once: 36=37 37=38), or --merge if they are one tooth"
        )
    # 2. Into the files.
    for file in files:
        file.write(lambda labels: mapped(labels, numbers))
    if record.files:
        again = {name: replace(found, colours=colours_in(path.parent / name)) for name, found in record.files.items()}
        write_record(path, replace(record, files=again, renumbered=[*record.renumbered, numbers], run={}))
    return Renumbered(numbers, [file.path for file in files], joined, bool(record.files))


def _checked(
    numbers: Mapping[int, int], there: np.ndarray, label_system: str, path: Path, *, found: bool
) -> dict[int, int]:
    """The former and new numbers as in the files: as given, or as FDI numbers if toothgraph wrote the labels."""
    jaw = jaw_from_name(path)
    jaw = max(jaw_of_teeth(there), UPPER) if jaw == UNKNOWN_JAW else jaw

    def fdi(number: int) -> int:
        return int(to_fdi(np.array([number]), label_system, jaw)[0])

    for now in numbers.values():
        gingiva = fdi(now) == 0 if is_own(label_system) else now == 0
        if now != UNKNOWN and not gingiva and not is_tooth(fdi(now)):
            raise LabelError(f"{now}: expected the {label_system} number of a tooth, 0 for gingiva or -1 for unknown")
    own = {fdi(before): fdi(now) for before, now in numbers.items()} if found else dict(numbers)
    for asked, number in zip(numbers, own, strict=True):
        if number not in there:
            teeth = " ".join(map(str, in_chart_order(there[there > 0]))) or "none"
            raise LabelError(f"{path}: no tooth has the number {asked}; its teeth are {teeth}")
    return own


def label_files(path: Path, record: Record, unit: str = "mm") -> list[LabelFile]:
    """The label files of a scan that can be written again: those in its record, and a ``.txt`` or ``.json`` beside it.

    Args:
        path: any of these files, or the scan itself.
        record: the record of the scan.
        unit: the unit of length in the files.

    Raises:
        LabelError: if there are no such files, or if files in the record were changed in different ways.
    """
    _check_there(path)
    beside = [] if path.is_dir() else [path.with_suffix(suffix).name for suffix in (".txt", ".json")]
    if review_state(path.with_suffix(".json")):
        beside += [path.with_suffix(suffix).name for suffix in EXCHANGED]
    names = dict.fromkeys([*record.files, *beside])
    files = [_opened(file, record, unit) for name in names if (file := path.parent / name).exists()]
    found = [file for file in files if file is not None]
    if not found:
        where = "rename the files in it" if is_tooth_folder(path) else "expected a .txt or .json beside it"
        raise LabelError(f"{path}: has no label files that can be written again; {where}")
    ours = [file for file in found if file.path.name in record.files]
    said = {file.path.name: ", ".join(changes_in(file.path, record, file.labels)) or "not changed" for file in ours}
    # A .json has labels of vertices, with other borders than those of faces: only its teeth are compared here, and its
    # places in _check_surface.
    of_faces = {what for name, what in said.items() if not name.endswith(".json")}
    teeth = {frozenset(file.labels.tolist()) for file in ours}
    if len(of_faces) > 1 or (len(set(said.values())) > 1 and len(teeth) > 1):
        listed = "; ".join(f"{name}: {what}" for name, what in said.items())
        raise LabelError(
            f"{path}: the label files of this scan contradict each other, because not all were changed in the same way "
            f"({listed}); remove those that are out of date"
        )
    return found


def surface_of(path: Path) -> Path | None:
    """The scan that a label file belongs to; None if there is no scan beside it.

    Raises:
        LabelError: if the path does not exist, or is an archive or a folder of several scans.
    """
    _check_there(path)
    beside = [path, *(path.with_suffix(suffix) for suffix in (*SUFFIXES, ".teeth"))]
    return next(
        (file for file in beside if is_tooth_folder(file) or (file.suffix.lower() in SUFFIXES and file.exists())), None
    )


def _check_surface(path: Path, unit: str, label_system: str) -> None:
    """Raise LabelError if label files do not fit the scan beside them, or contradict each other."""
    surface = surface_of(path)
    if surface is not None:
        stored = read_stored(surface)
        check_labels(surface, mesh_from_stored(surface, stored, unit=unit), stored, label_system)


def _check_there(path: Path) -> None:
    check_there(path, LabelError)
    if is_archive(path):
        raise LabelError(f"{path}: expected a label file or a scan, found an archive, which is only read; unpack it")
    if path.is_dir() and not is_tooth_folder(path):
        raise LabelError(f"{path}: expected a label file or a scan, found a folder; give one of the files in it")


def _opened(path: Path, record: Record, unit: str) -> LabelFile | None:
    """A label file as stored; None for a file without labels that can be written again."""
    if path.suffix == ".txt":
        return _txt(path)
    if path.suffix == ".json":
        return _json(path)
    stored = read_stored(path)
    if path.name not in record.files:
        return _exchanged(path, stored)
    if path.is_dir():
        labels = stored.face_data["fdi"].astype(np.int64)
        return LabelFile(path, labels, lambda new: write_tooth_folder(
            path, stored.vertices, stored.polygons, new(labels)))  # fmt: skip
    mesh = mesh_from_stored(path, stored, unit=unit)
    painted = changed_repeat(path, mesh, stored, record)
    if painted is not None:  # the numbers on faces are out of date: a person changed the colours or vertices
        of_faces, of_vertices = faces_to_original(mesh, painted.on_faces), vertices_to_original(mesh, painted.on_faces)
    elif "fdi" in stored.face_data and "fdi" in stored.vertex_data:
        of_faces, of_vertices = (data["fdi"].astype(np.int64) for data in (stored.face_data, stored.vertex_data))
    else:
        raise LabelError(f"{path}: has no numbers `fdi` on faces and vertices any more; remove it, or label it again")
    write = write_ply if path.suffix == ".ply" else write_vtk
    return LabelFile(
        path, of_faces, lambda new: write(path, stored.vertices, stored.polygons, new(of_vertices), new(of_faces))
    )


def _txt(path: Path) -> LabelFile:
    try:
        labels = np.array(path.read_text(encoding="utf-8-sig").split(), dtype=np.int64)
    except ValueError as error:
        raise LabelError(f"{path}: expected one whole number per face: {error}") from error
    return LabelFile(path, labels, lambda new: write_txt(path, new(labels)))


def _exchanged(path: Path, stored: Stored) -> LabelFile | None:
    """A file that a review has written for other programs; None if the file is not one of these."""
    name, of_faces = EXCHANGED[path.suffix], path.suffix == ".vtp"
    numbers = (stored.face_data if of_faces else stored.vertex_data).get(name)
    if numbers is None:
        return None
    labels = numbers.astype(np.int64) if of_faces else to_fdi(numbers.astype(np.int64), "universal", UNKNOWN_JAW)

    def write(new: Callable[[np.ndarray], np.ndarray]) -> None:
        of_vertices, now = ({}, {name: new(labels)}) if of_faces else ({name: to_universal(new(labels))}, {})
        write_polydata(path, stored.vertices, stored.polygons, of_vertices, now)

    return LabelFile(path, labels, write)


def _json(path: Path) -> LabelFile | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(content, dict) or "labels" not in content:
            return None
        labels, doubts = np.array(content["labels"], dtype=np.int64), doubts_in(content)
    except (ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{path}: expected a JSON label file: {error}") from error

    def write(new: Callable[[np.ndarray], np.ndarray]) -> None:
        write_text(path, json.dumps(_renumbered_content(content, doubts, labels, new(labels))))

    return LabelFile(path, labels, write)


def _renumbered_content(
    content: dict[str, Any], doubts: list[Doubt], labels: np.ndarray, now: np.ndarray
) -> dict[str, Any]:
    """The content of a JSON label file with other numbers; without the confidence of numbers that changed."""
    same = {str(number) for number in np.unique(labels) if np.array_equal(labels == number, now == number)}
    content = {**content, "labels": now.tolist()}
    if "instances" in content:
        content["instances"] = count_instances(now).tolist()
    if "confidence" in content:
        content["confidence"] = {number: sure for number, sure in content["confidence"].items() if number in same}
    if "doubts" in content:
        former, first = np.unique(labels, return_index=True)
        numbers = dict(zip(former.tolist(), now[first].tolist(), strict=True))
        content |= doubts_content(renumbered(doubts, numbers))
    return content


def mapped(labels: np.ndarray, numbers: Mapping[int, int]) -> np.ndarray:
    """Labels [n] with other numbers, all exchanged at the same time; a number that is not named stays."""
    out = labels.copy()
    for before, now in numbers.items():
        out[labels == before] = now
    return out
