"""Sources of the labels of a scan: files beside it, and arrays or colours inside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from toothgraph.errors import LabelError, some_of
from toothgraph.fdi import UNKNOWN
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.label_agreement import are_of_faces, numbers_that_differ
from toothgraph.io.label_colours import colour_column, from_colours, mostly_strange
from toothgraph.io.label_columns import (
    ARRAY_NAMES,
    LabelColumn,
    array_names,
    column_of,
    from_arrays,
    from_json,
    from_txt,
    integers,
    plain_column,
)
from toothgraph.io.label_record import FoundFile, Record, changes_in, origin_of, read_record
from toothgraph.io.label_systems import guess_system, system_by_name, to_fdi
from toothgraph.io.palette import Palette
from toothgraph.io.review_file import reviewed_origin
from toothgraph.mesh.label_origin import LabelOrigin
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.stored import Stored
from toothgraph.scan_names import beside_scan

_log = logging.getLogger("toothgraph")


@dataclass(frozen=True, eq=False)
class FoundLabels:
    """Labels as stored in a file, with their label system and origin.

    Attributes:
        column: the numbers.
        source: the file that contains them.
        label_system: ``fdi``, ``universal``, ``arch14`` or ``FILE:SET``; ``unsure`` if it cannot be guessed.
        origin: where the labels come from.
        changes: what was changed since toothgraph wrote the labels, in words.
        guessed: the label system, if it was guessed from the numbers alone; else empty.
    """

    column: LabelColumn
    source: Path
    label_system: str
    origin: LabelOrigin = field(default_factory=LabelOrigin)
    changes: Sequence[str] = ()
    guessed: str = ""


def find_labels(
    path: Path, mesh: Mesh, palette: Palette | None, stored: Stored | None, label_system: str
) -> FoundLabels | None:
    """The labels of a scan from the first source that has some; None without labels.

    If the first labels were written by toothgraph, labels that were changed since they were written go before them.
    Files that toothgraph wrote have FDI numbers; ``label_system`` applies only to other files.

    Raises:
        LabelError: if labels exist but cannot be read, if their count does not match the scan, or if two files
            contradict each other: two label files that toothgraph did not write, or two that were changed since.
    """
    record, first, corrected = read_record(path), None, list[FoundLabels]()
    for found in _sources(path, mesh, palette, stored, label_system, record):
        numbers, per_vertex = found.column.numbers, found.column.per_vertex
        if found.source.name in record.files:
            origin = origin_of(found.source, record, numbers, per_vertex=per_vertex)
            changes = changes_in(found.source, record, numbers, per_vertex=per_vertex)
            found = replace(found, label_system="fdi", origin=origin, changes=changes, guessed="")
        first = first or found
        if found.changes:
            corrected.append(found)
        elif first.source.name not in record.files:
            break
    _check_agree(mesh, corrected)
    best = corrected[0] if corrected else first
    return best if best is None or best.source == path else _with_borders(best, path, mesh, stored, label_system)


def _with_borders(found: FoundLabels, path: Path, mesh: Mesh, stored: Stored | None, label_system: str) -> FoundLabels:
    """The labels of vertices from a file beside the scan, completed by the labels of faces in the scan itself.

    A face at a border has corners on two teeth, and only the labels of faces tell to which tooth it belongs. They are
    taken if they agree with the labels of vertices.
    """
    if not found.column.per_vertex:
        return found
    data = (stored or read_stored(path)).face_data
    own = next((column for key in array_names(label_system) if (column := plain_column(mesh, data, key, False))), None)
    if own is None or not are_of_faces(mesh, found.column.numbers, own.on_faces):
        return found
    return replace(found, column=replace(found.column, on_faces=own.on_faces))


def check_labels(path: Path, mesh: Mesh, stored: Stored, label_system: str) -> None:
    """Check that the labels of a scan can be read, fit the scan and do not contradict each other.

    Raises:
        LabelError: as :func:`find_labels`; also if two files that toothgraph wrote contradict each other, changed or
            not.
    """
    record = read_record(path)
    sources = _sources(path, mesh, None, stored, label_system, record)
    _check_agree(mesh, [found for found in sources if found.source.name in record.files])


def _check_agree(mesh: Mesh, several: Sequence[FoundLabels]) -> None:
    """Raise LabelError if two files have different labels for a scan, as nothing tells which file is right."""
    for one, other in combinations(several, 2):
        if one.source == other.source:  # numbers and colours in one file: the first of them counts
            continue
        if differ := numbers_that_differ(mesh.faces, one.column.on_faces, other.column.on_faces):
            raise LabelError(
                f"{one.source} and {other.source}: both have labels of {mesh.scan_id}, and they contradict each other "
                f"(teeth {some_of(differ)}); remove the one that is wrong"
            )


def labels_in(file: Path, mesh: Mesh) -> FoundLabels:
    """The labels of a scan in a JSON file at any place, which must have FDI numbers.

    Raises:
        LabelError: if the file has no labels, or they do not match the scan.
    """
    column = from_json(file, mesh)
    if column is None:
        raise LabelError(f"{file}: expected a list of FDI numbers as `labels`, found none")
    return FoundLabels(column, file, "fdi")


def _sources(
    path: Path, mesh: Mesh, palette: Palette | None, stored: Stored | None, label_system: str, record: Record
) -> Iterator[FoundLabels]:
    """All labels of a scan, one source after another, with the label system that ``auto`` stands for.

    A generator: arrays and colours are read only if the caller asks for more than the label files.
    """
    # 1. A label file beside the scan; not beside a folder with one file per tooth, where the order of faces is another.
    files = []
    for suffix, read in ((".txt", partial(from_txt, label_system=label_system)), (".json", from_json)):
        named = path.suffix.lower() == suffix  # the path may itself be a list
        beside = path if named else beside_scan(path, suffix)
        if not path.is_dir() and beside.is_file() and (column := read(beside, mesh)) is not None:
            fdi = label_system in ("auto", "fdi") or reviewed_origin(beside) is not None  # a review writes FDI numbers
            files.append(FoundLabels(column, beside, "fdi" if fdi else label_system))
    _check_agree(mesh, [file for file in files if file.source.name not in record.files])
    yield from files
    # 2. An array in the file itself.
    stored = stored or read_stored(path)
    column, name = from_arrays(path, mesh, stored, label_system)
    system = label_system
    if column is not None and system == "auto":
        system = guess_system(column.on_faces, name)
        if system == "none":
            _log.warning("%s: the array `%s` counts clusters, not teeth; it is ignored", mesh.scan_id, name)
            column = None
        elif system == "unsure" and palette is not None:
            _log.warning(
                "%s: the array `%s` may not be numbers of teeth; the palette is used instead", mesh.scan_id, name
            )
            column = None
        elif system not in ("fdi", "unsure"):
            _log.info("%s: the labels in `%s` are read as %s numbers", mesh.scan_id, name, system)
    if column is not None:
        if not column.per_vertex and path.name not in record.files:
            _warn_of_other_array(mesh, stored, column, name, system)
        yield FoundLabels(column, path, system, guessed=system * (label_system == "auto" and not system_by_name(name)))
    # 3. Other labels in a file of the record: a person may have changed only its numbers on vertices, or its colours.
    if path.name in record.files:
        for column in _repeats(path, mesh, stored, record.files[path.name]):
            yield FoundLabels(column, path, "fdi")
    # 4. Colours.
    elif column is None and palette is not None and (column := from_colours(mesh, stored, palette)) is not None:
        yield FoundLabels(column, path, "fdi")


def changed_repeat(path: Path, mesh: Mesh, stored: Stored, record: Record) -> LabelColumn | None:
    """The labels on vertices or in colours of a recorded file, if only they were changed since it was written.

    None if the file is not in the record, if its numbers on faces were changed, or if nothing was changed.
    """
    of_faces = stored.face_data.get("fdi")
    if path.name not in record.files or (of_faces is not None and changes_in(path, record, of_faces)):
        return None
    repeats = _repeats(path, mesh, stored, record.files[path.name])
    return next((one for one in repeats if changes_in(path, record, one.numbers, per_vertex=one.per_vertex)), None)


def _repeats(path: Path, mesh: Mesh, stored: Stored, found: FoundFile) -> Iterator[LabelColumn]:
    """The labels that a recorded file repeats: on its vertices, and in the colours of its faces and vertices.

    Colours are ignored if they are all the same, or mostly not colours of teeth: another program wrote them.
    """
    if found.of_vertices and "fdi" in stored.vertex_data:
        numbers = np.asarray(stored.vertex_data["fdi"], dtype=np.float64)
        yield column_of(mesh, integers(numbers, path), per_vertex=True)
    if not found.colours:
        return
    rgb_of = np.array([list(bytes.fromhex(rgb)) for rgb in found.colours.values()])
    palette = Palette(path.name, np.array(list(found.colours)), rgb_of)
    for where, data in (("face", stored.face_data), ("vertex", stored.vertex_data)):
        if (rgb := colour_column(data)) is None:
            continue
        labels = palette.labels(rgb)
        plain = len(rgb) > 0 and bool((rgb == rgb[0]).all())  # the same colour everywhere, even if that of a tooth
        if plain and len(found.numbers) == 1:  # it was written so: there was only one number
            continue
        if plain or mostly_strange(int((labels == UNKNOWN).sum()), int((labels > 0).sum())):
            _log.warning("%s: another program has changed its %s colours; they are ignored", mesh.scan_id, where)
        else:
            yield column_of(mesh, labels, per_vertex=where == "vertex")


def _warn_of_other_array(mesh: Mesh, stored: Stored, column: LabelColumn, name: str, system: str) -> None:
    """Warn if an array on vertices has other teeth than the array on faces, which is the one that is read.

    A person may have corrected only one of them. Only arrays that surely have FDI or Universal numbers are compared;
    other arrays may count instances.
    """
    for other in ARRAY_NAMES:
        theirs = plain_column(mesh, stored.vertex_data, other, per_vertex=True)
        if theirs is None or not (theirs.on_faces > 0).any() or system not in ("fdi", "universal"):
            continue
        other_system = guess_system(theirs.on_faces, other)
        if other_system != "fdi" and other_system not in other:  # the name must tell that the numbers are Universal
            continue
        fdi = to_fdi(column.on_faces, system, mesh.jaw), to_fdi(theirs.on_faces, other_system, mesh.jaw)
        if differ := numbers_that_differ(mesh.faces, *fdi):
            _log.warning(
                "%s: array `%s` on vertices contradicts `%s` on faces (teeth %s); the labels on faces are used. If "
                "both are labels, remove the wrong one", *(mesh.scan_id, other, name, some_of(differ)),
            )  # fmt: skip
