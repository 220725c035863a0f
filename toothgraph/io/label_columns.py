"""Numbers of faces or vertices as files store them: in a text file, a JSON file, or an array of the scan itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toothgraph.choices import is_own
from toothgraph.errors import LabelError
from toothgraph.fdi import are_whole
from toothgraph.io.formats.text import numbers as numbers_of_text
from toothgraph.io.formats.text import plain_text
from toothgraph.io.label_systems import number_of_word
from toothgraph.io.numbering import load_numbering
from toothgraph.mesh.majority import majority
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import faces_from_original, original_of
from toothgraph.mesh.stored import Stored

_TOO_LARGE = 2**31  # no label is that large
ARRAY_NAMES = ("fdi", "label", "labels", "universalid", "universal_id")


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


def column_of(mesh: Mesh, numbers: np.ndarray, per_vertex: bool) -> LabelColumn:
    """A column of stored numbers, also on the clean faces.

    A clean face takes the number of its polygon. With numbers per vertex, this is the number of most of its corners.
    """
    of_polygons = numbers
    if per_vertex:
        polygons = original_of(mesh).polygons
        corner = polygons >= 0
        row = np.broadcast_to(np.arange(len(polygons))[:, None], polygons.shape)[corner]
        of_polygons = majority(row, numbers[polygons[corner]], None, len(polygons))
    return LabelColumn(numbers, per_vertex, faces_from_original(mesh, of_polygons))


def from_txt(path: Path, mesh: Mesh, label_system: str) -> LabelColumn:
    """The numbers of a text file, one per face or per vertex. Universal numbers may also be letters like ``A``.

    Raises:
        LabelError: if the file cannot be read, or the count of numbers is neither that of faces nor of vertices.
    """
    try:
        text = plain_text(path.read_bytes())[0].replace(b",", b" ")  # whole numbers have no decimal commas
        if label_system == "universal":
            found = np.array([number_of_word(word.decode("ascii", "replace")) for word in text.split()])
        else:
            found = numbers_of_text(text)
    except (OSError, ValueError) as error:
        raise LabelError(f"{path}: expected one FDI number per face of the scan: {error}") from error
    labels = integers(found, path)
    original = original_of(mesh)
    if len(labels) in (len(original.polygons), len(original.vertices)):
        return column_of(mesh, labels, per_vertex=len(labels) != len(original.polygons))
    raise LabelError(
        f"{path}: expected {len(original.polygons)} labels, one per face of {mesh.path or mesh.scan_id}, "
        f"found {len(labels)} (it has {len(original.vertices)} vertices); is it another scan's label file?"
    )


def from_json(path: Path, mesh: Mesh) -> LabelColumn | None:
    """The list ``labels`` of a JSON file, one per vertex, as in the layout of Teeth3DS; None if there is no such list.

    Raises:
        LabelError: if the file cannot be read, or the count of labels is not that of vertices.
    """
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
    return column_of(mesh, integers(found, path), per_vertex=True)


def array_names(label_system: str) -> tuple[str, ...]:
    """The names of arrays that may be labels, in lower case.

    A label system from a file (``FILE:SET``) may name its array; else these are the usual names.
    """
    own = load_numbering(label_system).array if is_own(label_system) else ""
    return (own.lower(),) if own else ARRAY_NAMES


def plain_column(mesh: Mesh, data: dict[str, np.ndarray], name: str, per_vertex: bool) -> LabelColumn | None:
    """The array of this name (given in lower case); None if it does not exist or has other than whole numbers."""
    values = next((column for key, column in data.items() if key.lower() == name and column.dtype.kind in "iufb"), None)
    if values is None or not (are_whole(values) & (np.abs(values.astype(np.float64)) < _TOO_LARGE)).all():
        return None
    return column_of(mesh, values.astype(np.int64), per_vertex)


def from_arrays(path: Path, mesh: Mesh, stored: Stored, label_system: str) -> tuple[LabelColumn | None, str]:
    """The labels from an array in the file, and the name of the array in lower case; None and empty without one."""
    names = array_names(label_system)
    for per_vertex, data in ((False, stored.face_data), (True, stored.vertex_data)):
        by_name = {key.lower(): column for key, column in data.items()}
        name = next((name for name in names if name in by_name), None)
        if name is not None:
            return column_of(mesh, integers(np.asarray(by_name[name], dtype=np.float64), path), per_vertex), name
    return None, ""


def integers(numbers: np.ndarray, path: Path) -> np.ndarray:
    """Labels as int64.

    Raises:
        LabelError: if a number is not whole, or is too large for a label.
    """
    whole = are_whole(numbers) & (np.abs(numbers) < _TOO_LARGE)
    if not whole.all():
        raise LabelError(f"{path}: expected whole FDI numbers as labels, found {numbers[~whole][0]:g}")
    return numbers.astype(np.int64)
