"""Labels of a review: which scans are approved for training, and the label of each face."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from toothgraph.errors import ConfigError, LabelError
from toothgraph.io.archive import one_scan
from toothgraph.io.label_folder import has_labels
from toothgraph.io.label_record import read_record, was_changed
from toothgraph.io.label_sources import labels_in
from toothgraph.io.labels import as_fdi, labelled, warn_of_other_jaw, warn_of_other_order
from toothgraph.io.read import read_mesh
from toothgraph.io.renumber import mapped
from toothgraph.io.review_file import LABELS, review_version, work_of_review
from toothgraph.io.review_log import APPROVED, LOG, Session, read_log, session_of
from toothgraph.mesh.label_origin import CORRECTED, LabelOrigin
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import stored_digest, surface_digest, vertices_to_original
from toothgraph.scan_names import may_be_named


def corrected_in(folder: Path, name: str) -> Path | None:
    """A file with labels of a scan that a person has corrected; None if the folder has no such file.

    The labels were corrected in a review, or the file was changed since toothgraph wrote it.

    Args:
        folder: a folder of labels.
        name: the name of the scan in the folder.

    Raises:
        LabelError: if the record of what a model found cannot be read.
    """
    record = read_record(folder / f"{name}{LABELS}")
    changed = (file for each in record.files if was_changed(file := folder / each, record))
    return next(changed, None) or work_of_review(folder, name)


class OtherScan(ConfigError):
    """A folder has labels of another scan under the name of this scan."""


def check_same_scan(folder: Path, name: str, file: Path, read: Callable[[], Mesh]) -> None:
    """Check that a folder has no labels of another scan under the name of this scan.

    Args:
        folder: a folder of labels.
        name: the name of the scan in the folder.
        file: the file of the scan.
        read: a function that reads the scan; it is called only if the place of the file does not decide.

    Raises:
        OtherScan: if the labels are known to be of a scan at another place and with another surface.
        LabelError: if the record of the labels cannot be read.
        MeshError: if the scan cannot be read.
    """
    labels = folder / f"{name}{LABELS}"
    record = read_record(labels)
    if record.surface:
        other = any((folder / each).exists() for each in record.files) and record.is_of_other(file, read)
    else:
        other = work_of_review(folder, name) is not None and _is_of(folder, name, read) is False
    if other:
        whose = record.scan or "another scan"
        raise OtherScan(
            f"{file}: the files {folder / name}.* belong to {whose}; choose another --out, or give all scans in one "
            "command, which then gives them different names"
        )


def check_replaceable(folder: Path, name: str, file: Path | None, mesh: Mesh) -> None:
    """Check that the labels in a folder, if there are any, may be replaced by labels of a scan.

    Args:
        folder: a folder of labels.
        name: the name of the scan in the folder.
        file: the file of the scan; None if it has none, so that its place tells nothing.
        mesh: the scan.

    Raises:
        OtherScan: if they are of another scan.
        LabelError: if a person has corrected them, since the corrections would be lost.
    """
    if file is not None:
        check_same_scan(folder, name, file, lambda: mesh)
    if changed := corrected_in(folder, name):
        raise LabelError(f"{changed}: its corrected labels would be overwritten; choose another folder (--out)")


def _is_of(folder: Path, name: str, read: Callable[[], Mesh]) -> bool | None:
    """Whether labels are of the surface of a scan, by the log of a review or else by the record; None without both."""
    if lines := read_log(folder / f"{name}{LOG}"):
        return lines[0].get("surface") == surface_digest(read())
    surface = read_record(folder / f"{name}{LABELS}").surface
    return surface == stored_digest(read()) if surface else None


def name_in(folder: Path, name: str, file: Path, read: Callable[[], Mesh]) -> str:
    """The name under which a folder has the labels of a scan.

    The name of a scan depends on the scans beside it, so that the scan may have had another name before. Such a name is
    returned if the folder has no labels under ``name``, and the labels under the other name are known to be of the
    surface of the scan. Else it is ``name``.

    Args:
        folder: a folder of labels.
        name: the present name of the scan.
        file: the file of the scan.
        read: a function that reads the scan; it is called only if the folder has labels under another name.

    Raises:
        LabelError: if a record or a log in the folder cannot be read.
        MeshError: if the scan cannot be read.
    """
    if has_labels(folder, name):
        return name
    return next((other for other in other_names(folder, name, file) if _is_of(folder, other, read)), name)


def other_names(folder: Path, name: str, file: Path) -> list[str]:
    """Other names that a scan may have had before, and under which the folder has labels."""
    return [other for other in sorted(may_be_named(file) - {name}) if has_labels(folder, other)]


def hint_of_others(folder: Path, name: str, file: Path, read: Callable[[], Mesh]) -> str:
    """A hint for an error message: labels under other names that the scan may have had; empty without such labels."""
    known = {other: _is_of(folder, other, read) is False for other in other_names(folder, name, file)}
    said = (
        f"; {folder / other}.* belong to another surface" if wrong
        else f"; {folder / other}.* may belong to this scan, but nothing proves it: if they do, name them {name}.*"
        for other, wrong in known.items()
    )  # fmt: skip
    return "".join(said)


def approved_labels(folder: Path, name: str) -> tuple[Path, LabelOrigin] | None:
    """The label file of a scan whose review was approved, and the origin of its labels.

    Args:
        folder: the folder of ``toothgraph review --labels``.
        name: the name of the scan.

    Returns:
        The file and the origin; None if the scan was not approved, or the folder has no label file of it.

    Raises:
        LabelError: if the file is not one of a review.
    """
    path = folder / f"{name}{LABELS}"
    if not path.is_file():
        return None
    try:
        review = json.loads(path.read_text(encoding="utf-8-sig"))["review"]
        return (path, LabelOrigin(CORRECTED, str(review["model"]))) if review["state"] == APPROVED else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{path}: expected a label file of `toothgraph review`, cannot read it ({error!r})") from error


def face_labels(folder: Path, name: str, mesh: Mesh, *, own: bool = True) -> np.ndarray | None:
    """The label of each face [F] of a scan in a review, from the log of the review; None without a log.

    The label file has only labels of vertices. If another command has changed the label file since, these changes are
    included.

    Args:
        folder: the folder of ``toothgraph review --labels``.
        name: the name of the scan.
        mesh: the scan, F faces.
        own: whether the log has to be of this surface; else the answer is None for another one.

    Raises:
        LabelError: if the log cannot be read or is of another surface, or if the label file does not fit the scan.
    """
    log = folder / f"{name}{LOG}"
    if not log.is_file():
        return None
    lines = read_log(log)
    if not own and (not lines or lines[0].get("surface") != surface_digest(mesh)):
        return None
    session = session_of(log, lines, mesh)
    changed = changed_since(folder / f"{name}{LABELS}", mesh, session)
    return session.labels if changed is None else changed


def changed_since(file: Path, mesh: Mesh, session: Session) -> np.ndarray | None:
    """The labels [F] of a review's label file, if another command has changed it since the review wrote it.

    None if the labels are still those of the review, or if the file was written after another step of it.

    Raises:
        LabelError: if the labels do not fit the scan.
    """
    if review_version(file) != session.version:
        return None
    before = vertices_to_original(mesh, session.labels)
    try:
        now = np.array(json.loads(file.read_text(encoding="utf-8-sig"))["labels"], dtype=np.int64)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise LabelError(f"{file}: expected a list of FDI numbers as `labels` ({error!r})") from error
    if np.array_equal(before, now):
        return None
    if len(before) == len(now) and (numbers := _renumbered(before, now)) is not None:
        return mapped(session.labels, numbers)
    return as_fdi(mesh, labels_in(file, mesh), primary=True)[0]


def _renumbered(before: np.ndarray, now: np.ndarray) -> dict[int, int] | None:
    """A table from former to new numbers, if all places of each number have got the same new number; else None."""
    pairs = np.unique(np.stack([before, now]), axis=1)
    return dict(pairs.T.tolist()) if len(np.unique(pairs[0])) == pairs.shape[1] else None


def read_approved(path: str | Path, folder: Path, name: str, *, unit: str = "mm") -> Mesh:
    """Read a scan with the labels that a review has approved.

    With the log of the review, these are the labels of each face; without it, they follow from those of vertices.

    Args:
        path: the mesh file.
        folder: the folder of ``toothgraph review --labels``.
        name: the name of the scan in the review, see :func:`name_in`.
        unit: the unit of length in the file.

    Raises:
        MeshError: if the surface cannot be read.
        LabelError: if the scan was not approved, or its labels do not fit it.
    """
    path = one_scan(Path(path))
    read = cache(lambda: read_mesh(path, unit=unit))
    held = name_in(folder, name, path, read)
    approved = approved_labels(folder, held)
    if approved is None:
        hint = "" if has_labels(folder, held) else hint_of_others(folder, name, path, read)
        raise LabelError(f"{path}: not approved in {folder}; approve it with `toothgraph review`{hint}")
    file, origin = approved
    mesh = read()
    found, of_faces = labels_in(file, mesh), face_labels(folder, held, mesh)
    if of_faces is not None:
        found = replace(found, column=replace(found.column, on_faces=of_faces))
    labels, of_vertices = as_fdi(mesh, found)
    warn_of_other_jaw(mesh, labels, found)
    warn_of_other_order(mesh, labels, found.source)
    return labelled(mesh, labels, of_vertices, origin)
