"""Labels of a scan, as FDI numbers of its clean faces."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from toothgraph.choices import NUMBERINGS
from toothgraph.errors import LabelError
from toothgraph.mesh.encodings import to_fdi
from toothgraph.mesh.formats import read_stored
from toothgraph.mesh.label_columns import find_column, mostly_strange
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.molars import molars_as_premolars
from toothgraph.mesh.numbering import (
    UNKNOWN,
    UNKNOWN_JAW,
    class_to_position,
    fdi_to_class,
    is_permanent,
    jaw_of_labels,
)
from toothgraph.mesh.original import original_of
from toothgraph.mesh.palette import Palette
from toothgraph.mesh.read import mesh_from_stored
from toothgraph.mesh.stored import Stored

_log = logging.getLogger("toothgraph")


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
    column, source, numbering = find_column(path, mesh, palette, stored, numbering)
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
    if mostly_strange(none, int(tooth.sum())):
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
