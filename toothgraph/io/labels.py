"""Labels of a scan as FDI numbers of its clean faces."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from toothgraph.anatomy.jaw_parts import jaw_parts
from toothgraph.anatomy.molars import molars_as_premolars
from toothgraph.anatomy.number_order import number_faults
from toothgraph.choices import LABEL_SYSTEMS, is_own
from toothgraph.errors import LabelError, some_of
from toothgraph.fdi import (
    JAW_NAMES,
    UNKNOWN,
    UNKNOWN_JAW,
    class_to_position,
    fdi_to_class,
    in_chart_order,
    is_permanent,
    is_primary,
    jaw_of_labels,
)
from toothgraph.io.archive import one_scan
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.label_colours import mostly_strange
from toothgraph.io.label_sources import FoundLabels, find_labels
from toothgraph.io.label_systems import to_fdi
from toothgraph.io.palette import Palette, load_palette
from toothgraph.io.read import mesh_from_stored
from toothgraph.mesh.label_origin import FOUND, GIVEN, LabelOrigin
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import original_of
from toothgraph.mesh.stored import Stored

_log = logging.getLogger("toothgraph")
_SCATTERED = 0.3  # share of the pairs of adjacent faces with different labels; on an arch it is below a tenth
_NEVER = range(1, 11)  # no FDI numbers; two of them show another label system, a single one may be a mistake


def read_scan(
    path: str | Path,
    *,
    unit: str = "mm",
    palette: Palette | str | None = None,
    jaw: int | None = None,
    label_system: str = "auto",
    primary: bool = False,
    scan_id: str | None = None,
) -> Mesh:
    """Read a scan with its labels, if it has any. Labels per vertex are also kept in ``original.vertex_labels``.

    Args:
        path: the mesh file; see ``read_mesh`` for formats and cleaning.
        unit: the unit of length in the file.
        palette: the meaning of its colours, if they are labels; a text ``FILE:SET`` is read with ``load_palette``.
        jaw: 0 upper, 1 lower; None takes it from the file name, else from the labels.
        label_system: numbering of the teeth: ``fdi``, ``universal``, ``arch14`` or ``FILE:SET``, see
            :func:`toothgraph.io.numbering.load_numbering`. ``auto`` reads label files as FDI and guesses the system of
            arrays, see :func:`toothgraph.io.label_systems.guess_system`.
        primary: keep the numbers of primary teeth, 51 to 85. By default, these teeth are unknown, as the nets have no
            classes for them.
        scan_id: the name of the scan in messages and tables; by default the stem of the file.

    Returns:
        The mesh in mm, with ``labels`` [F], or without labels if the file has none.

    Raises:
        MeshError: if the surface cannot be read.
        LabelError: if labels exist but do not match the scan, contradict each other, or most of them are not numbers of
            the label system.
        ConfigError: for a palette that cannot be read.
        ShapeError: if ``jaw`` is no jaw.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> from toothgraph import write_labelled
        >>> files = write_labelled(".", "007_U", arch, arch.labels)
        >>> scan = read_scan("007_U.ply")
        >>> scan.jaw, (scan.labels == arch.labels).all().item()
        (0, True)
    """
    path = one_scan(Path(path))
    palette = load_palette(palette) if isinstance(palette, str) else palette
    stored = read_stored(path)
    mesh = mesh_from_stored(path, stored, unit=unit)
    mesh = replace(mesh, jaw=mesh.jaw if jaw is None else jaw, scan_id=scan_id or mesh.scan_id)
    found = _find(path, mesh, palette, stored, label_system)
    if found is None:
        return replace(mesh, labels=None, original=original_of(mesh))
    labels, of_vertices = as_fdi(mesh, found, primary)
    told = "by its name" if jaw is None else "as you say"
    if palette is None:  # for colours, the code that reads them warns
        warn_of_other_jaw(mesh, labels, found, told)
    mesh = labelled(mesh, labels, of_vertices, replace(found.origin, guessed=found.guessed))
    if found.changes:
        first = GIVEN if found.origin.kind == GIVEN else LabelOrigin(FOUND, found.origin.model)
        _log.info("%s: labels %s, then corrected: %s", mesh.scan_id, first, ", ".join(found.changes))
    if not warn_of_other_order(mesh, labels, found.source):
        _warn_of_counting(mesh)
        for fault in number_faults(mesh):
            _log.warning("%s: %s", mesh.scan_id, fault)
    return mesh


def labelled(mesh: Mesh, labels: np.ndarray, of_vertices: np.ndarray | None, origin: LabelOrigin) -> Mesh:
    """The scan with labels as :func:`as_fdi` returns them; if its jaw is not known, the labels tell it."""
    jaw = jaw_of_labels(labels) if mesh.jaw == UNKNOWN_JAW else mesh.jaw
    original = replace(original_of(mesh), vertex_labels=of_vertices)
    return replace(mesh, labels=labels, jaw=jaw, label_origin=origin, original=original)


def warn_of_other_jaw(mesh: Mesh, labels: np.ndarray, found: FoundLabels, told: str = "by its name") -> None:
    """Warn if the labels are of the other jaw than the scan; ``told`` says, in words, where the jaw comes from."""
    of_labels = jaw_of_labels(labels)
    if UNKNOWN_JAW not in (mesh.jaw, of_labels) and of_labels != mesh.jaw:
        _log.warning(
            "%s: it is the %s jaw %s, but the labels in %s, read as %s numbers, are of the %s jaw; the labels are used",
            *(mesh.scan_id, JAW_NAMES[mesh.jaw], told, found.source, found.label_system, JAW_NAMES[of_labels]),
        )


def warn_of_other_order(mesh: Mesh, labels: np.ndarray, source: Path) -> bool:
    """Warn if labels are scattered over the surface: they may be of another mesh of the scan, or in another order.

    Args:
        mesh: F faces.
        labels: [F].
        source: the file of the labels.

    Returns:
        Whether there was a warning.
    """
    one, other = mesh.adjacency
    share = float((labels[one] != labels[other]).mean()) if len(one) else 0.0
    if share <= _SCATTERED:
        return False
    _log.warning(
        "%s: the labels of %s differ across %.0f %% of the edges; are they in the order of the faces of the scan? They "
        "may belong to another mesh of it", mesh.scan_id, source, 100 * share,
    )  # fmt: skip
    return True


def _warn_of_counting(mesh: Mesh) -> None:
    """Warn if a tooth with the size of a molar is labelled as a premolar.

    Such labels may ignore the closed gap of an extracted premolar.
    """
    if mesh.labels is None:
        return
    if parts := jaw_parts(mesh):
        for part in parts:
            _warn_of_counting(mesh.part(part))
        return
    place = class_to_position(fdi_to_class(mesh.labels))
    wrong = np.isin(place, list(molars_as_premolars(mesh, place)))
    if wrong.any():
        _log.warning(
            "%s: labelled as a second premolar, but as large as a molar: %s; do the labels ignore the closed gap "
            "of an extracted tooth?", mesh.scan_id, ", ".join(map(str, in_chart_order(mesh.labels[wrong]))),
        )  # fmt: skip


def read_labels(
    path: str | Path, mesh: Mesh, palette: Palette | None = None, label_system: str = "auto"
) -> np.ndarray | None:
    """The FDI number of each clean face, from the first source that exists.

    The sources are, in this order:

    1. ``<stem>.txt`` beside the mesh: one number per stored face, or per stored vertex if only the count of vertices
       matches
    2. ``<stem>.json`` beside it with a list ``labels``: one number per stored vertex (layout of Teeth3DS,
       https://arxiv.org/abs/2210.06094)
    3. for a folder with one file per tooth: the file names (1 and 2 are then not used)
    4. an array ``fdi``, ``label``, ``labels``, ``UniversalID`` or ``Universal_ID`` (any case) in the file, on faces or
       else on vertices
    5. with a palette: face or vertex colours, as the palette says, else those that match it better.
       The jaw is the one with more matching colours, even if the file name says another.

    Labels that toothgraph wrote (:mod:`toothgraph.io.label_record`) and that were changed since go before labels that
    it wrote and that were not changed. Two files that contradict each other are an error. From vertex labels, a face
    takes the majority of its corners; with three different labels, it takes the smallest tooth number. All numbers
    except 0 and the permanent teeth become -1, with one warning in the log.

    Args:
        path: the mesh file.
        mesh: the mesh read from it.
        palette: the meaning of the colours.
        label_system: see :func:`read_scan`.

    Returns:
        [F] int64 FDI numbers, 0 gingiva, -1 unknown; None if there are no labels.

    Raises:
        LabelError: if labels exist but cannot be read, their count does not match the scan, or two files contradict
            each other.
    """
    found = _find(Path(path), mesh, palette, None, label_system)
    return None if found is None else as_fdi(mesh, found)[0]


def _find(
    path: Path, mesh: Mesh, palette: Palette | None, stored: Stored | None, label_system: str
) -> FoundLabels | None:
    if label_system not in LABEL_SYSTEMS and not is_own(label_system):
        raise LabelError(f"expected a label system of {', '.join(LABEL_SYSTEMS)} or FILE:SET, got {label_system!r}")
    return find_labels(path, mesh, palette, stored, label_system)


def as_fdi(
    mesh: Mesh, found: FoundLabels, primary: bool = False, option: str = "--label-system; in Python label_system="
) -> tuple[np.ndarray, np.ndarray | None]:
    """The FDI numbers of the clean faces [F] and of the stored vertices [V0].

    Args:
        mesh: the scan.
        found: its labels as stored.
        primary: keep the numbers of primary teeth, which else become unknown.
        option: the option for the label system, for error messages.

    Returns:
        The numbers of the faces; those of the vertices if the file has labels per vertex, else None.

    Raises:
        LabelError: if the label system is not certain, needs a jaw that is not known, or too many labels are not
            numbers of it.
    """
    column, source, label_system = found.column, found.source, found.label_system
    labels, of_vertices = column.on_faces, None
    if label_system == "unsure":
        numbers = ", ".join(map(str, np.unique(labels[labels > 0])))
        raise LabelError(
            f"{source}: expected numbers of teeth, found the labels {numbers}, which may be teeth of a quadrant or "
            f"classes of another kind; if they are teeth, name the label system, arch14 or universal ({option}); if "
            "not, give the array another name, so that it is not read"
        )
    try:
        fdi = to_fdi(labels, label_system, mesh.jaw)
        if column.per_vertex:
            of_vertices = to_fdi(column.numbers, label_system, mesh.jaw)
            known = is_permanent(of_vertices) | (is_primary(of_vertices) & primary)
            of_vertices = np.where(known, of_vertices, UNKNOWN)
    except LabelError as error:
        raise LabelError(f"{source}: {error}") from error
    strange = int(((fdi == UNKNOWN) & (labels != UNKNOWN)).sum())
    tooth = (is_permanent(fdi) & (fdi > 0)) | is_primary(fdi)
    wrong = labels[~tooth & (fdi != 0) & (labels != UNKNOWN)]
    others = label_system == "fdi" and np.isin(_NEVER, wrong).sum() > 1
    if others or mostly_strange(len(wrong), int(tooth.sum())):
        raise LabelError(
            f"{source}: expected {label_system} numbers, found other labels on {len(wrong)} of {len(labels)} faces: "
            f"{some_of(np.unique(wrong), 12)}; name the label system ({option}): fdi, universal, arch14, or FILE:SET "
            "for one of your own"
        )
    if strange:
        _log.warning(
            "%s: %d of %d faces have labels that are not %s numbers in %s; they count as unknown",
            *(mesh.scan_id, strange, len(labels), label_system, source),
        )
    return _permanent_only(mesh, fdi, source, primary), of_vertices


def _permanent_only(mesh: Mesh, labels: np.ndarray, source: Path, primary: bool) -> np.ndarray:
    strange = ~is_permanent(labels) & (labels != UNKNOWN) & ~(is_primary(labels) & primary)
    if strange.any():
        _log.warning(
            "%s: %d of %d faces have labels that are not FDI numbers of permanent teeth (%s) in %s; "
            "they count as unknown",
            *(mesh.scan_id, int(strange.sum()), len(labels), some_of(np.unique(labels[strange]), 12), source),
        )
    return np.where(strange, UNKNOWN, labels)
