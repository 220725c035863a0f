"""Labels of scans in a separate folder, as `toothgraph predict` and `toothgraph review` write them."""

from __future__ import annotations

from pathlib import Path

from toothgraph.errors import LabelError
from toothgraph.io.formats.registry import SUFFIXES, read_stored
from toothgraph.io.label_sources import find_labels
from toothgraph.io.labels import as_fdi, labelled, warn_of_other_jaw, warn_of_other_order
from toothgraph.io.palette import Palette
from toothgraph.io.review_file import reviewed_origin
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import original_of
from toothgraph.mesh.stored import NO_SURFACE


def with_labels_of(
    folder: Path,
    name: str,
    mesh: Mesh,
    *,
    primary: bool = False,
    palette: Palette | None = None,
    label_system: str = "auto",
) -> Mesh | None:
    """The scan with its labels from another folder. If several files have labels, a corrected one is preferred.

    Args:
        folder: a folder with ``<name>.json``, ``<name>.txt``, or the labelled scan itself as ``<name>.ply`` or in
            another format that keeps the order of faces.
        name: the name of the scan in the folder.
        mesh: the scan as read, F faces.
        primary, palette, label_system: see :func:`toothgraph.io.labels.read_scan`; labels that a model found have FDI
            numbers.

    Returns:
        The mesh with ``labels`` [F] and their origin; None if the folder has no labels of the scan.

    Raises:
        LabelError: if the labels cannot be read, or do not fit the scan.
        MeshError: if a labelled scan cannot be read.
    """
    files = _files_in(folder, name)
    if not files:
        return None
    first = files[0]
    stored = read_stored(first) if first.suffix in SUFFIXES else NO_SURFACE
    if stored is not NO_SURFACE and len(stored.polygons) != len(original_of(mesh).polygons):
        raise LabelError(
            f"{first}: expected the {len(original_of(mesh).polygons)} faces of {mesh.path or mesh.scan_id}, found "
            f"{len(stored.polygons)}; is it another scan of that name?"
        )
    found = find_labels(first, mesh, palette, stored, label_system)
    if found is None:
        return None
    labels, of_vertices = as_fdi(mesh, found, primary)
    warn_of_other_jaw(mesh, labels, found)
    warn_of_other_order(mesh, labels, found.source)
    return labelled(mesh, labels, of_vertices, reviewed_origin(found.source) or found.origin)


def has_labels(folder: Path, name: str) -> bool:
    """Whether a folder has a file with labels of a scan of this name."""
    return bool(_files_in(folder, name))


def _files_in(folder: Path, name: str) -> list[Path]:
    return [file for suffix in (*SUFFIXES, ".txt", ".json") if (file := folder / f"{name}{suffix}").is_file()]
