"""Sources of the labels of a scan: files beside it, or arrays or colours inside it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from toothgraph.choices import is_own
from toothgraph.errors import LabelError
from toothgraph.fdi import JAW_NAMES, LOWER, UNKNOWN, UNKNOWN_JAW, UPPER, are_whole
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.formats.text import numbers as numbers_of_text
from toothgraph.io.formats.text import plain_text
from toothgraph.io.label_agreement import are_of_faces, numbers_that_differ
from toothgraph.io.label_record import FoundFile, Record, changes_in, origin_of, read_record
from toothgraph.io.label_systems import guess_system, number_of_word, to_fdi
from toothgraph.io.numbering import load_numbering
from toothgraph.io.palette import Palette
from toothgraph.io.review_file import reviewed_origin
from toothgraph.mesh.label_origin import CORRECTED, GIVEN, LabelOrigin
from toothgraph.mesh.majority import majority
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import faces_from_original, original_of
from toothgraph.mesh.stored import Stored

_log = logging.getLogger("toothgraph")
_STRANGE = 0.6  # share of non-gingiva; if more of it is not a tooth, the palette or the label system is wrong
_SHOWN = 6  # teeth that are told one by one
_TOO_LARGE = 2**31  # no label is that large
MOST_CLASSES = 40  # 33 classes, and some that an editing tool has mixed
_ARRAY_NAMES = ("fdi", "label", "labels", "universalid", "universal_id")
CHANNELS = (("red", "green", "blue"), ("r", "g", "b"))


@dataclass(frozen=True, eq=False)
class LabelColumn:
    """Numbers as stored in a file.

    Attributes:
        numbers: [F0] per polygon or [V0] per vertex.
        per_vertex: whether they are per vertex.
        on_faces: [F] per clean face.
    """

    numbers: np.ndarray
    per_vertex: bool
    on_faces: np.ndarray


def _column(mesh: Mesh, numbers: np.ndarray, per_vertex: bool) -> LabelColumn:
    """A column with its values on the clean faces: the number of the polygon, or of the majority of its corners."""
    of_polygons = numbers
    if per_vertex:
        polygons = original_of(mesh).polygons
        corner = polygons >= 0
        row = np.broadcast_to(np.arange(len(polygons))[:, None], polygons.shape)[corner]
        of_polygons = majority(row, numbers[polygons[corner]], None, len(polygons))
    return LabelColumn(numbers, per_vertex, faces_from_original(mesh, of_polygons))


def mostly_strange(strange: int, teeth: int) -> bool:
    """Whether too many labels are neither gingiva nor a tooth to be single errors."""
    return strange > _STRANGE * (strange + teeth)


@dataclass(frozen=True, eq=False)
class FoundLabels:
    """Labels as found, and what is known of them.

    Attributes:
        column: the numbers.
        source: the file that contains them.
        label_system: ``fdi``, ``universal``, ``arch14`` or ``FILE:SET``; ``unsure`` if a guess would be none.
        origin: where they come from.
        changes: what was changed since a model found them, in words.
    """

    column: LabelColumn
    source: Path
    label_system: str
    origin: LabelOrigin = field(default_factory=LabelOrigin)
    changes: Sequence[str] = ()


def find_labels(
    path: Path, mesh: Mesh, palette: Palette | None, stored: Stored | None, label_system: str
) -> FoundLabels | None:
    """The first labels found; but of several that a model found, the first that were changed since. What a model found
    has FDI numbers, whatever ``label_system`` says of the others.

    Raises:
        LabelError: if labels exist but cannot be read, their number does not match the scan, or two files contradict
            each other: label files that no model wrote, or two that were changed since.
    """
    record, first, corrected = read_record(path), None, list[FoundLabels]()
    for found in _sources(path, mesh, palette, stored, label_system, record):
        numbers, per_vertex = found.column.numbers, found.column.per_vertex
        origin = origin_of(found.source, record, numbers, per_vertex=per_vertex)
        if origin.kind != GIVEN:
            changes = changes_in(found.source, record, numbers, per_vertex=per_vertex)
            found = replace(found, label_system="fdi", origin=origin, changes=changes)
        first = first or found
        if origin.kind == CORRECTED:
            corrected.append(found)
        elif first.origin.kind == GIVEN:
            break
    _check_agree(mesh, corrected)
    best = corrected[0] if corrected else first
    return best if best is None or best.source == path else _with_borders(best, path, mesh, stored, label_system)


def _with_borders(found: FoundLabels, path: Path, mesh: Mesh, stored: Stored | None, label_system: str) -> FoundLabels:
    """Labels of vertices in a file beside the scan, with the labels of faces in the scan itself where these are the
    same: a face at a border has corners of two teeth, and only the labels of faces say whose it is."""
    if not found.column.per_vertex:
        return found
    data = (stored or read_stored(path)).face_data
    own = next((column for key in _names(label_system) if (column := _plain_column(mesh, data, key, False))), None)
    if own is None or not are_of_faces(mesh, found.column.numbers, own.on_faces):
        return found
    return replace(found, column=replace(found.column, on_faces=own.on_faces))


def check_labels(path: Path, mesh: Mesh, stored: Stored, label_system: str) -> None:
    """Raises LabelError as :func:`find_labels` does, and if two files that a model wrote contradict each other, whether
    they were changed since or not."""
    record = read_record(path)
    sources = _sources(path, mesh, None, stored, label_system, record)
    _check_agree(mesh, [found for found in sources if found.source.name in record.files])


def _check_agree(mesh: Mesh, several: Sequence[FoundLabels]) -> None:
    """Raises LabelError if two files do not say the same of a scan: nobody knows which of them is right."""
    for one, other in combinations(several, 2):
        if one.source == other.source:  # colours that were painted over numbers: the first counts
            continue
        if differ := numbers_that_differ(mesh.faces, one.column.on_faces, other.column.on_faces):
            raise LabelError(
                f"{one.source} and {other.source}: both have labels of {mesh.scan_id}, and they contradict each other "
                f"(teeth {_teeth_text(differ)}); remove the one that is wrong"
            )


def labels_in(file: Path, mesh: Mesh) -> FoundLabels:
    """The labels of a scan in a JSON file that lies elsewhere, as FDI numbers.

    Raises:
        LabelError: if it has none, or they do not match the scan.
    """
    column = _from_json(file, mesh)
    if column is None:
        raise LabelError(f"{file}: expected a list of FDI numbers as `labels`, found none")
    return FoundLabels(column, file, "fdi")


def _sources(
    path: Path, mesh: Mesh, palette: Palette | None, stored: Stored | None, label_system: str, record: Record
) -> Iterator[FoundLabels]:
    """All labels of a scan, one after another; each is read when it is asked for. ``auto`` is resolved."""
    # 1. A label file beside the scan. One STL per tooth: label files beside it have another face order.
    files = []
    for suffix, read in ((".txt", partial(_from_txt, label_system=label_system)), (".json", _from_json)):
        beside = path.with_suffix(suffix)
        if not path.is_dir() and beside.is_file() and (column := read(beside, mesh)) is not None:
            fdi = label_system in ("auto", "fdi") or reviewed_origin(beside) is not None  # which a review always writes
            files.append(FoundLabels(column, beside, "fdi" if fdi else label_system))
    _check_agree(mesh, [file for file in files if file.source.name not in record.files])
    yield from files
    # 2. An array in the file itself.
    stored = stored or read_stored(path)
    column, name = _from_arrays(path, mesh, stored, label_system)
    system = label_system
    if column is not None and system == "auto":
        system = guess_system(column.on_faces, name)
        if system == "none":
            _log.warning("%s: the array `%s` counts clusters, not teeth; it is ignored", mesh.scan_id, name)
            column = None
        elif system == "unsure" and palette is not None:
            _log.warning("%s: the array `%s` may be no numbers of teeth; the palette is used", mesh.scan_id, name)
            column = None
        elif system not in ("fdi", "unsure"):
            _log.info("%s: the labels in `%s` are read as %s numbers", mesh.scan_id, name, system)
    if column is not None:
        if not column.per_vertex and path.name not in record.files:
            _warn_of_other_array(mesh, stored, column, name, system)
        yield FoundLabels(column, path, system)
    # 3. What else a model's file has: a person may have changed its numbers on vertices only, or painted it.
    if path.name in record.files:
        for column in _repeats(path, mesh, stored, record.files[path.name]):
            yield FoundLabels(column, path, "fdi")
    # 4. Colours.
    elif column is None and palette is not None and (column := _from_colours(mesh, stored, palette)) is not None:
        yield FoundLabels(column, path, "fdi")


def changed_repeat(path: Path, mesh: Mesh, stored: Stored, record: Record) -> LabelColumn | None:
    """The numbers on vertices, or those that colours mean, of a file of the record, if they were changed since a model
    found them, and those on faces were not."""
    of_faces = stored.face_data.get("fdi")
    if path.name not in record.files or (of_faces is not None and changes_in(path, record, of_faces)):
        return None
    repeats = _repeats(path, mesh, stored, record.files[path.name])
    return next((one for one in repeats if changes_in(path, record, one.numbers, per_vertex=one.per_vertex)), None)


def _repeats(path: Path, mesh: Mesh, stored: Stored, found: FoundFile) -> Iterator[LabelColumn]:
    """The numbers on vertices, and those that the colours of faces and of vertices mean, in a file that a model's
    labels were written to. One colour for all, or colours that are mostly not those of teeth, are of other programs."""
    if found.of_vertices and "fdi" in stored.vertex_data:
        numbers = np.asarray(stored.vertex_data["fdi"], dtype=np.float64)
        yield _column(mesh, _integers(numbers, path), per_vertex=True)
    if not found.colours:
        return
    rgb_of = np.array([list(bytes.fromhex(rgb)) for rgb in found.colours.values()])
    palette = Palette(path.name, np.array(list(found.colours)), rgb_of)
    for where, data in (("face", stored.face_data), ("vertex", stored.vertex_data)):
        if (rgb := _rgb(data)) is None:
            continue
        labels = palette.labels(rgb)
        plain = len(rgb) > 0 and bool((rgb == rgb[0]).all())  # one colour for all, be it that of a tooth
        if plain and len(found.numbers) == 1:  # as it was written, where no tooth was found
            continue
        if plain or mostly_strange(int((labels == UNKNOWN).sum()), int((labels > 0).sum())):
            _log.warning(
                "%s: its %s colours are not those of its teeth any more; they are ignored", mesh.scan_id, where
            )
        else:
            yield _column(mesh, labels, per_vertex=where == "vertex")


def _from_txt(path: Path, mesh: Mesh, label_system: str) -> LabelColumn:
    try:
        text = plain_text(path.read_bytes())[0].replace(b",", b" ")  # no decimal commas: they are whole numbers
        if label_system == "universal":
            found = np.array([number_of_word(word.decode("ascii", "replace")) for word in text.split()])
        else:
            found = numbers_of_text(text)
    except (OSError, ValueError) as error:
        raise LabelError(f"{path}: expected one FDI number per face of the scan: {error}") from error
    labels = _integers(found, path)
    original = original_of(mesh)
    if len(labels) in (len(original.polygons), len(original.vertices)):
        return _column(mesh, labels, per_vertex=len(labels) != len(original.polygons))
    raise LabelError(
        f"{path}: expected {len(original.polygons)} labels, one per face of {mesh.path or mesh.scan_id}, "
        f"found {len(labels)} (it has {len(original.vertices)} vertices); is it another scan's label file?"
    )


def _from_json(path: Path, mesh: Mesh) -> LabelColumn | None:
    try:
        content = json.loads(plain_text(path.read_bytes())[0])
    except (OSError, ValueError) as error:
        raise LabelError(f"{path}: expected a JSON label file: {error}") from error
    if not isinstance(content, dict) or "labels" not in content:
        return None  # some other JSON file
    try:
        found = np.array(content["labels"], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LabelError(f"{path}: expected a list of FDI numbers as `labels`: {error}") from error
    count = len(original_of(mesh).vertices)
    if found.shape != (count,):
        raise LabelError(
            f"{path}: expected {count} labels, one per vertex of {mesh.path or mesh.scan_id}, "
            f"found {found.size}; is it another scan's label file, or was the mesh changed?"
        )
    return _column(mesh, _integers(found, path), per_vertex=True)


def _names(label_system: str) -> tuple[str, ...]:
    """The names of arrays that may be labels: that of a label system of one's own, if it has one, or the usual ones."""
    own = load_numbering(label_system).array if is_own(label_system) else ""
    return (own.lower(),) if own else _ARRAY_NAMES


def _plain_column(mesh: Mesh, data: dict[str, np.ndarray], name: str, per_vertex: bool) -> LabelColumn | None:
    """An array by its name in lower case; None if there is none, or it has not only whole numbers."""
    values = next((column for key, column in data.items() if key.lower() == name and column.dtype.kind in "iufb"), None)
    if values is None or not (are_whole(values) & (np.abs(values.astype(np.float64)) < _TOO_LARGE)).all():
        return None
    return _column(mesh, values.astype(np.int64), per_vertex)


def _from_arrays(path: Path, mesh: Mesh, stored: Stored, label_system: str) -> tuple[LabelColumn | None, str]:
    """Labels from an array in the file, and its name."""
    names = _names(label_system)
    for per_vertex, data in ((False, stored.face_data), (True, stored.vertex_data)):
        by_name = {key.lower(): column for key, column in data.items()}
        name = next((name for name in names if name in by_name), None)
        if name is not None:
            return _column(mesh, _integers(np.asarray(by_name[name], dtype=np.float64), path), per_vertex), name
    return None, ""


def _warn_of_other_array(mesh: Mesh, stored: Stored, column: LabelColumn, name: str, system: str) -> None:
    """Warn if an array on vertices has other teeth than the one on faces, which is read: somebody may have corrected
    it. Only arrays are compared that are surely FDI or Universal numbers; others may count instances."""
    for other in _ARRAY_NAMES:
        theirs = _plain_column(mesh, stored.vertex_data, other, per_vertex=True)
        if theirs is None or not (theirs.on_faces > 0).any() or system not in ("fdi", "universal"):
            continue
        other_system = guess_system(theirs.on_faces, other)
        if other_system != "fdi" and other_system not in other:  # Universal numbers are so by name
            continue
        fdi = to_fdi(column.on_faces, system, mesh.jaw), to_fdi(theirs.on_faces, other_system, mesh.jaw)
        if differ := numbers_that_differ(mesh.faces, *fdi):
            _log.warning(
                "%s: array `%s` on vertices contradicts `%s` on faces, which counts (teeth %s); if both are labels, "
                "one is wrong: remove it", *(mesh.scan_id, other, name, _teeth_text(differ)),
            )  # fmt: skip


def _teeth_text(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:_SHOWN])) + ", …" * (len(numbers) > _SHOWN)


def _from_colours(mesh: Mesh, stored: Stored, palette: Palette) -> LabelColumn | None:
    colours = {"face": _rgb(stored.face_data), "vertex": _rgb(stored.vertex_data)}
    found = {where: rgb for where, rgb in colours.items() if rgb is not None}
    if not found:
        return None
    where = palette.where if palette.where in found else max(found, key=lambda key: palette.exact_share(found[key]))
    rgb = found[where]
    jaw = palette.jaw_of(rgb)
    if UNKNOWN_JAW not in (jaw, mesh.jaw) and jaw != mesh.jaw:
        _log.warning(
            "%s: its name says %s jaw, but its colours are those of the %s jaw; the colours are used",
            *(mesh.scan_id, JAW_NAMES[mesh.jaw], JAW_NAMES[jaw]),
        )
    jaw = mesh.jaw if jaw == UNKNOWN_JAW else jaw
    of_jaw = {each: palette.of_jaw(each).labels(rgb) for each in (UPPER, LOWER)}
    labels = palette.labels(rgb) if jaw == UNKNOWN_JAW else of_jaw[jaw]
    strange = int((labels == UNKNOWN).sum())
    of_any = np.maximum(of_jaw[UPPER], of_jaw[LOWER])  # colours of the other jaw are in the palette, too
    none, teeth = int((of_any == UNKNOWN).sum()), int((of_any > 0).sum())
    if mostly_strange(none, teeth):
        _log.warning(
            "%s: %d of %d %s colours are not in palette %s, most often %s, and %d are its teeth: the scan counts as "
            "not labelled; is it the palette of these scans?",
            *(mesh.scan_id, none, len(rgb), where, palette.name, _most_often(rgb[of_any == UNKNOWN]), teeth),
        )  # fmt: skip
        return None
    if strange:
        _log.warning(
            "%s: %d of %d %s colours are not in palette %s, most often %s; they count as unknown",
            *(mesh.scan_id, strange, len(labels), where, palette.name, _most_often(rgb[labels == UNKNOWN])),
        )
    return _column(mesh, labels, per_vertex=where == "vertex")


def _most_often(rgb: np.ndarray) -> list[int]:
    """The colour [3] that occurs most often among [n, 3]."""
    return _by_frequency(rgb)[0]


def _by_frequency(rgb: np.ndarray) -> list[list[int]]:
    """The different colours among [n, 3], the most frequent first."""
    colours, count = np.unique(rgb, axis=0, return_counts=True)
    ordered: list[list[int]] = colours[np.argsort(-count, kind="stable")].tolist()
    return ordered


def colours_like_labels(stored: Stored) -> list[list[int]]:
    """The different face or vertex colours of a scan, 0 … 255, the most frequent first, if so few that they may be
    labels; else none. Photographs of teeth have thousands."""
    columns = (_rgb(data) for data in (stored.face_data, stored.vertex_data))
    found = (_by_frequency(rgb) for rgb in columns if rgb is not None)
    return next((colours for colours in found if 1 < len(colours) <= MOST_CLASSES), [])


def _rgb(data: dict[str, np.ndarray]) -> np.ndarray | None:
    """Colours [n, 3] int64, 0 … 255, or None; floats are from 0 to 1."""
    for names in CHANNELS:
        if all(name in data for name in names):
            rgb = np.stack([data[name] for name in names], axis=1)
            if rgb.dtype.kind == "f" and len(rgb) and rgb.max() <= 1.0:
                rgb = rgb * 255.0
            return np.clip(np.rint(rgb), 0, 255).astype(np.int64)
    return None


def _integers(numbers: np.ndarray, path: Path) -> np.ndarray:
    whole = are_whole(numbers) & (np.abs(numbers) < _TOO_LARGE)
    if not whole.all():
        raise LabelError(f"{path}: expected whole FDI numbers as labels, found {numbers[~whole][0]:g}")
    return numbers.astype(np.int64)
