"""Labels of a scan: from files beside it, or from what its own file carries."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from toothgraph.choices import NUMBERINGS
from toothgraph.errors import DataError, LabelError
from toothgraph.mesh.encodings import guess_numbering, to_fdi
from toothgraph.mesh.formats import SUFFIXES, read_stored
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.molars import molars_as_premolars
from toothgraph.mesh.numbering import (
    JAW_NAMES,
    LOWER,
    UNKNOWN,
    UNKNOWN_JAW,
    UPPER,
    class_to_position,
    fdi_to_class,
    is_permanent,
    jaw_of_labels,
)
from toothgraph.mesh.original import faces_from_original, original_of
from toothgraph.mesh.palette import Palette, load_palette
from toothgraph.mesh.read import mesh_from_stored
from toothgraph.mesh.stored import Stored
from toothgraph.mesh.tooth_folder import is_tooth_folder
from toothgraph.mesh.vote import majority

__all__ = ["Palette", "find_scans", "load_palette", "read_labels", "read_scan"]

_log = logging.getLogger("toothgraph")
_ARRAY_NAMES = ("fdi", "label", "labels", "universalid")
_STRANGE = 0.6  # of all that is no gingiva; where more is no tooth, the palette or the numbering is another one
_CHANNELS = (("red", "green", "blue"), ("r", "g", "b"))


@dataclass(frozen=True, eq=False)
class _Column:
    """Numbers as a file has them.

    Attributes:
        numbers: [F0] of its polygons or [V0] of its vertices.
        per_vertex: which of the two.
        on_faces: [F] of the clean faces.
    """

    numbers: np.ndarray
    per_vertex: bool
    on_faces: np.ndarray


def _column(mesh: Mesh, numbers: np.ndarray, per_vertex: bool) -> _Column:
    """A column with what it gives each clean face: its polygon's number, or that of the majority of its corners."""
    of_polygons = numbers
    if per_vertex:
        polygons = original_of(mesh).polygons
        corner = polygons >= 0
        row = np.broadcast_to(np.arange(len(polygons))[:, None], polygons.shape)[corner]
        of_polygons = majority(row, numbers[polygons[corner]], None, len(polygons))
    return _Column(numbers, per_vertex, faces_from_original(mesh, of_polygons))


def read_scan(
    path: str | Path,
    *,
    unit: str = "mm",
    palette: Palette | None = None,
    jaw: int | None = None,
    numbering: str = "auto",
) -> Mesh:
    """Read a scan with its labels, if it has any; labels per vertex are also kept as they are, in its ``original``.

    Args:
        path: the mesh file; see ``read_mesh`` for what is read and how.
        unit: the file's unit of length.
        palette: what its colours mean, if they are labels; see ``load_palette``.
        jaw: 0 upper, 1 lower; None takes it from the file's name, or if that says nothing from its labels.
        numbering: the system of the labels, ``fdi``, ``universal`` or ``arch14``; ``auto`` takes those of arrays for
            what :func:`toothgraph.mesh.encodings.guess_numbering` says, and those of label files for FDI.

    Raises:
        MeshError: if the surface cannot be read.
        LabelError: if labels are there but do not fit, or most of them are none of the numbering.
    """
    path = Path(path)
    stored = read_stored(path)
    mesh = mesh_from_stored(path, stored, unit=unit)
    if jaw is not None:
        mesh = replace(mesh, jaw=jaw)
    labels, of_vertices = _labels(path, mesh, palette, stored, numbering)
    if labels is not None and mesh.jaw == UNKNOWN_JAW:
        mesh = replace(mesh, jaw=jaw_of_labels(labels))
    mesh = replace(mesh, labels=labels, original=replace(original_of(mesh), vertex_labels=of_vertices))
    _warn_of_counting(mesh)
    return mesh


def _warn_of_counting(mesh: Mesh) -> None:
    """Say so where labels count on past the closed gap of an extracted premolar."""
    if mesh.labels is None:
        return
    place = class_to_position(fdi_to_class(mesh.labels))
    wrong = np.isin(place, list(molars_as_premolars(mesh, place)))
    if wrong.any():
        _log.warning(
            "%s: labelled as a second premolar, but a molar by its size: %s; do the labels count on past the gap of an "
            "extracted tooth?", mesh.scan_id, ", ".join(map(str, np.unique(mesh.labels[wrong]))),
        )  # fmt: skip


def read_labels(
    path: str | Path, mesh: Mesh, palette: Palette | None = None, numbering: str = "auto"
) -> np.ndarray | None:
    """The FDI number of each clean face, from the first of these that exists:

    1. ``<stem>.txt`` beside the mesh: one number per stored face, or per stored vertex if only that fits
    2. ``<stem>.json`` beside it with a list ``labels``: one number per stored vertex (Teeth3DS)
    3. for a folder with one STL per tooth, its files' names; neither of the above is looked for
    4. an array ``fdi``, ``label``, ``labels`` or ``UniversalID`` (any case) on the faces of the file itself, else on
       its vertices
    5. with a palette, face or vertex colours: those the palette names, else those that fit it better.
       Colours of the jaw that occurs more often count, whatever the file's name says.

    A face takes the label of the majority of its corners; three different ones give the smallest tooth
    number. Whatever is no permanent tooth and not 0 becomes -1, with one warning in the log.

    Args:
        path: the mesh file.
        mesh: the mesh read from it.
        palette: what the colours mean.
        numbering: see :func:`read_scan`.

    Returns:
        [F] int64 FDI numbers, 0 gingiva, -1 unknown; None if there are no labels.

    Raises:
        LabelError: if labels are there but cannot be read or their count does not fit.
    """
    return _labels(Path(path), mesh, palette, None, numbering)[0]


def _labels(
    path: Path, mesh: Mesh, palette: Palette | None, stored: Stored | None, numbering: str
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """FDI numbers of the clean faces [F], and those of the stored vertices [V0] where the file numbers these."""
    if numbering not in NUMBERINGS:
        raise LabelError(f"expected a numbering of {', '.join(NUMBERINGS)}, got {numbering!r}")
    column, source, numbering = _find_column(path, mesh, palette, stored, numbering)
    if column is None:
        return None, None
    labels, of_vertices = column.on_faces, None
    try:
        fdi = to_fdi(labels, numbering, mesh.jaw)
        if column.per_vertex:
            of_vertices = to_fdi(column.numbers, numbering, mesh.jaw)
            of_vertices = np.where(is_permanent(of_vertices), of_vertices, UNKNOWN)
    except LabelError as error:
        raise LabelError(f"{source}: {error}") from error
    strange = int(((fdi == UNKNOWN) & (labels != UNKNOWN)).sum())
    tooth = (is_permanent(fdi) & (fdi > 0)) | _is_milk(fdi)
    none = int((~tooth & (labels != 0) & (labels != UNKNOWN)).sum())
    if none > _STRANGE * (none + tooth.sum()):
        raise LabelError(
            f"{source}: {none} of {len(labels)} faces carry labels that are no {numbering} numbers; is it the "
            "numbering of these scans (--numbering)?"
        )
    if strange:
        _log.warning(
            "%s: %d of %d faces carry labels that are no %s numbers in %s; they count as unknown",
            *(mesh.scan_id, strange, len(labels), numbering, source),
        )
    return _permanent_only(mesh, fdi, source), of_vertices


def _find_column(
    path: Path, mesh: Mesh, palette: Palette | None, stored: Stored | None, numbering: str
) -> tuple[_Column | None, Path, str]:
    """The first labels there are, the file they stand in, and their numbering: no longer ``auto``."""
    text, sidecar = path.with_suffix(".txt"), path.with_suffix(".json")
    column, source = None, path
    if path.is_dir():
        pass  # one STL per tooth: files beside it count faces in another order
    elif text.is_file():
        column, source = _from_txt(text, mesh), text
    elif sidecar.is_file():
        column, source = _from_json(sidecar, mesh), sidecar
    if column is not None:
        return column, source, "fdi" if numbering == "auto" else numbering
    stored = stored or read_stored(path)
    column, name = _from_arrays(path, mesh, stored)
    if column is not None and numbering == "auto":
        numbering = guess_numbering(column.on_faces, name)
        if numbering == "none":
            _log.warning("%s: the array `%s` counts clusters, not teeth; it is passed over", mesh.scan_id, name)
            column = None
        elif numbering != "fdi":
            _log.info("%s: the labels in `%s` are taken for %s numbers", mesh.scan_id, name, numbering)
    if column is not None:
        return column, path, numbering
    return _from_colours(mesh, stored, palette) if palette is not None else None, path, "fdi"


def _from_txt(path: Path, mesh: Mesh) -> _Column:
    try:
        numbers = np.array(path.read_text(encoding="utf-8").split(), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise LabelError(f"{path}: expected one FDI number per face of the scan: {error}") from error
    numbers = _integers(numbers, path)
    original = original_of(mesh)
    if len(numbers) in (len(original.polygons), len(original.vertices)):
        return _column(mesh, numbers, per_vertex=len(numbers) != len(original.polygons))
    raise LabelError(
        f"{path}: expected {len(original.polygons)} labels, one per face of {mesh.path or mesh.scan_id}, "
        f"found {len(numbers)} (it has {len(original.vertices)} vertices); is it another scan's label file?"
    )


def _from_json(path: Path, mesh: Mesh) -> _Column | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LabelError(f"{path}: expected a JSON label file: {error}") from error
    if not isinstance(content, dict) or "labels" not in content:
        return None  # some other JSON file
    try:
        numbers = np.array(content["labels"], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LabelError(f"{path}: expected a list of FDI numbers as `labels`: {error}") from error
    count = len(original_of(mesh).vertices)
    if numbers.shape != (count,):
        raise LabelError(
            f"{path}: expected {count} labels, one per vertex of {mesh.path or mesh.scan_id}, "
            f"found {numbers.size}; is it another scan's label file, or was the mesh changed?"
        )
    return _column(mesh, _integers(numbers, path), per_vertex=True)


def _from_arrays(path: Path, mesh: Mesh, stored: Stored) -> tuple[_Column | None, str]:
    """Labels from an array of the file, and the array's name."""
    for per_vertex, data in ((False, stored.face_data), (True, stored.vertex_data)):
        by_name = {key.lower(): column for key, column in data.items()}
        name = next((name for name in _ARRAY_NAMES if name in by_name), None)
        if name is not None:
            numbers = _integers(np.asarray(by_name[name], dtype=np.float64), path)
            return _column(mesh, numbers, per_vertex), name
    return None, ""


def _from_colours(mesh: Mesh, stored: Stored, palette: Palette) -> _Column | None:
    colours = {"face": _rgb(stored.face_data), "vertex": _rgb(stored.vertex_data)}
    found = {where: rgb for where, rgb in colours.items() if rgb is not None}
    if not found:
        return None
    where = palette.where if palette.where in found else max(found, key=lambda key: palette.exact_share(found[key]))
    rgb = found[where]
    jaw = palette.jaw_of(rgb)
    if UNKNOWN_JAW not in (jaw, mesh.jaw) and jaw != mesh.jaw:
        _log.warning(
            "%s: taken for an %s jaw, but its colours are those of an %s jaw; the colours are believed",
            *(mesh.scan_id, JAW_NAMES[mesh.jaw], JAW_NAMES[jaw]),
        )
    jaw = mesh.jaw if jaw == UNKNOWN_JAW else jaw
    of_jaw = {each: palette.of_jaw(each).labels(rgb) for each in (UPPER, LOWER)}
    labels = palette.labels(rgb) if jaw == UNKNOWN_JAW else of_jaw[jaw]
    strange = int((labels == UNKNOWN).sum())
    of_any = np.maximum(of_jaw[UPPER], of_jaw[LOWER])  # colours of the other jaw are the palette's too
    none, teeth = int((of_any == UNKNOWN).sum()), int((of_any > 0).sum())
    if none > _STRANGE * (none + teeth):
        _log.warning(
            "%s: %d of %d %s colours are none of palette %s, and %d its teeth: it counts as not labelled; is it the "
            "palette of these scans?", mesh.scan_id, none, len(rgb), where, palette.name, teeth,
        )  # fmt: skip
        return None
    if strange:
        _log.warning(
            "%s: %d of %d %s colours are none of palette %s; they count as unknown",
            *(mesh.scan_id, strange, len(labels), where, palette.name),
        )
    return _column(mesh, labels, per_vertex=where == "vertex")


def _rgb(data: dict[str, np.ndarray]) -> np.ndarray | None:
    """Colours [n, 3] int64, 0 … 255, if there are any; floats count from 0 to 1."""
    for names in _CHANNELS:
        if all(name in data for name in names):
            rgb = np.stack([data[name] for name in names], axis=1)
            if rgb.dtype.kind == "f" and len(rgb) and rgb.max() <= 1.0:
                rgb = rgb * 255.0
            return np.clip(np.rint(rgb), 0, 255).astype(np.int64)
    return None


def _integers(numbers: np.ndarray, path: Path) -> np.ndarray:
    whole = np.isfinite(numbers) & (numbers == np.rint(numbers)) & (np.abs(numbers) < 2**31)
    if not whole.all():
        raise LabelError(f"{path}: expected whole FDI numbers as labels, found {numbers[~whole][0]:g}")
    return numbers.astype(np.int64)


def _is_milk(fdi: np.ndarray) -> np.ndarray:
    """Whether each is the FDI number of a milk tooth, 51 … 85."""
    quadrant, tooth = np.divmod(fdi, 10)
    is_milk: np.ndarray = (quadrant >= 5) & (quadrant <= 8) & (tooth >= 1) & (tooth <= 5)
    return is_milk


def _permanent_only(mesh: Mesh, labels: np.ndarray, source: Path) -> np.ndarray:
    strange = ~is_permanent(labels) & (labels != UNKNOWN)
    if strange.any():
        codes = np.unique(labels[strange])
        shown = ", ".join(map(str, codes[:12])) + (", …" if len(codes) > 12 else "")
        _log.warning(
            "%s: %d of %d faces carry labels that are no FDI numbers of permanent teeth (%s) in %s; "
            "they count as unknown",
            *(mesh.scan_id, int(strange.sum()), len(labels), shown, source),
        )
    return np.where(strange, UNKNOWN, labels)


def find_scans(paths: list[str | Path] | list[Path] | list[str]) -> list[Path]:
    """Mesh files among files and folders; folders are searched to the bottom, hidden files passed over.

    A folder with one STL per tooth (:mod:`toothgraph.mesh.tooth_folder`) is one scan.

    Returns:
        Each scan once; those of a folder in order of their names.

    Raises:
        DataError: if a path does not exist or nothing is found.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            found.update(dict.fromkeys(_scans_inside(path)))
        elif path.exists():
            found[path] = None
        else:
            raise DataError(f"{path}: no such file or folder")
    if not found:
        names = ", ".join(map(str, paths)) or "an empty list"
        raise DataError(f"found no scans ({' '.join(SUFFIXES)}) in {names}")
    return list(found)


def _scans_inside(folder: Path) -> Iterator[Path]:
    if is_tooth_folder(folder):
        yield folder
        return
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():  # a link may lead in a circle
            yield from _scans_inside(entry)
        elif entry.suffix.lower() in SUFFIXES and entry.is_file():
            yield entry
