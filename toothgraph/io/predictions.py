"""Labels that another program found for a scan, on the faces and vertices of this scan."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.anatomy.jaw_parts import shows_both_jaws
from toothgraph.choices import MM_PER_UNIT, did_you_mean
from toothgraph.errors import LabelError
from toothgraph.fdi import UNKNOWN, jaw_of_labels
from toothgraph.io.formats.registry import may_be_scan, read_stored
from toothgraph.io.formats.tooth_folder import is_tooth_folder
from toothgraph.io.label_sources import FoundLabels, find_labels
from toothgraph.io.labels import as_fdi, warn_of_other_jaw, warn_of_other_order
from toothgraph.io.palette import Palette
from toothgraph.io.read import EXTENT, mesh_from_stored
from toothgraph.io.reviewed import face_labels
from toothgraph.io.unread_labels import unread_labels
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import faces_to_original, original_of, vertices_to_original
from toothgraph.mesh.stored import NO_SURFACE, Stored
from toothgraph.scan_names import composed, stem_of

_OPTION = "--predictions-label-system"
_FARTHEST = 1.0  # mm, largest median distance between the faces of two meshes of the same surface
_LARGER = 2.0  # times as large as the scan: a prediction may have a base
_SAME = 0.01  # mm, between two centroids of one face, as files round them

_log = logging.getLogger("toothgraph")


@dataclass(frozen=True)
class Predictions:
    """A folder of labels that another program found.

    Attributes:
        folder: the folder. The file for a scan has the scan's name, and lies in this folder or in one inside it. If
            several scans have the same file name, as ``patient_1/lower.ply`` and ``patient_2/lower.ply``, the file has
            the name that :func:`toothgraph.scan_names.scan_names` gives, ``patient_1_lower``, or lies in a folder with
            the name of the scan's folder.
        palette: the meaning of colours in the files.
        label_system: how the files number teeth, see :func:`toothgraph.io.labels.read_scan`.
        unit: the unit of length of the meshes in the folder; of a mesh that is much larger or smaller than its scan
            in it, the unit is found by the size.
    """

    folder: Path
    palette: Palette | None = None
    label_system: str = "auto"
    unit: str = "mm"

    def files_of(self, scan: Path, scan_id: str | None = None) -> list[Path]:
        """The files with labels of a scan. Meshes come first, as a list of numbers may belong to the mesh beside it.

        Args:
            scan: the file of the scan.
            scan_id: the name of the scan; by default that of its file.

        Raises:
            LabelError: if the folder has no files for the scan, or has them in several folders.
        """
        own = composed(stem_of(scan))
        name, folder = composed(scan_id or own), composed(scan.absolute().parent.name)
        found = self._by_name.get(name, [])
        if len({file.parent for file in found}) != 1:
            found = [file for file in self._by_name.get(own, []) if composed(file.parent.name) == folder] or found
        if not found:
            also = "" if name == own else f", or {folder}/{own}.txt"
            if arrays := [file.name for file in self.folder.rglob("*.npy") if composed(file.stem) in (name, own)]:
                also += f", found {arrays[0]}, which is not read: write it as text with np.savetxt(…, fmt='%d')"
            raise LabelError(
                f"{self.folder}: has no labels of {name}; expected {name}.txt, {name}.json or a mesh with labels{also}"
                + did_you_mean(name, self._by_name)
            )
        places = {file.parent for file in found}
        if len(places) > 1:
            raise LabelError(
                f"{self.folder}: labels of {name} in several folders: {', '.join(map(str, sorted(places)))}; give one "
                "of them"
            )
        return sorted(found, key=lambda file: (_is_list(file), file))

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        has_parts = cache(is_tooth_folder)  # asked for each file of a folder
        for file in self.folder.rglob("*"):
            if file.name.startswith(".") or has_parts(file.parent):
                continue
            if has_parts(file) or _is_list(file) or may_be_scan(file):
                found.setdefault(composed(stem_of(file)), []).append(file)
        return found


def _is_list(file: Path) -> bool:
    return file.suffix.lower() in (".txt", ".json")


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels on the stored polygons and vertices of a scan.

    Attributes:
        faces: [F0] FDI numbers of the stored polygons, 0 gingiva.
        vertices: [V0] FDI numbers of the stored vertices.
        guessed_system: the label system of the file, if it was guessed from the numbers alone; else empty.
    """

    faces: np.ndarray
    vertices: np.ndarray
    guessed_system: str = ""


def read_predictions(mesh: Mesh, scan: Path, predictions: Predictions, scan_id: str | None = None) -> Labels:
    """The labels of a scan from a folder: a list of numbers per face or per vertex, or a mesh that has labels.

    If several files have the name of the scan, the first file that has labels counts.

    A mesh with the same vertices and faces in the same order gives its labels directly. So does a mesh with as many
    faces at another place: it counts as the scan, moved. From any other mesh of the same surface, each face and vertex
    of the scan takes the label of the nearest face. Where that mesh has no surface, as a mesh of the crowns alone, the
    scan is gingiva.

    Numbers that are not those of permanent teeth are unknown. Unknown counts as gingiva: the program has found no tooth
    there.

    Args:
        mesh: the scan.
        scan: the file of the scan.
        predictions: the folder of labels.
        scan_id: the name that files in the folder have; by default that of ``scan``.

    Raises:
        LabelError: if there are no labels, or they do not fit the scan.
        MeshError: if a mesh cannot be read.
    """
    files = predictions.files_of(scan, scan_id)
    found = next((labels for file in files if (labels := _labels_in(file, mesh, predictions)) is not None), None)
    if found is None:
        raise _no_labels(files[0])
    return found


def _labels_in(file: Path, mesh: Mesh, predictions: Predictions) -> Labels | None:
    """The labels of a scan in one file; None if the file has no labels."""
    stored = NO_SURFACE if _is_list(file) else read_stored(file)
    if stored is not NO_SURFACE and _in_another_order(mesh, file, stored, predictions.unit):
        return _of_other_mesh(mesh, file, stored, predictions)
    found = find_labels(file, mesh, predictions.palette, stored, predictions.label_system)
    if found is None:
        return None
    faces, of_vertices = as_fdi(mesh, found, option=_OPTION)
    faces = _teeth(faces if (reviewed := _reviewed(file, mesh)) is None else reviewed)
    _warn_of_other_jaw(mesh, faces, found)
    warn_of_other_order(mesh, faces, file)
    vertices = vertices_to_original(mesh, faces) if of_vertices is None else _teeth(of_vertices)
    return Labels(faces_to_original(mesh, faces), vertices, found.guessed)


def _reviewed(file: Path, mesh: Mesh) -> np.ndarray | None:
    """The labels of faces [F] in the review that wrote this label file, which has only those of vertices; or None."""
    return face_labels(file.parent, stem_of(file), mesh, own=False) if file.suffix.lower() == ".json" else None


def _warn_of_other_jaw(mesh: Mesh, labels: np.ndarray, found: FoundLabels) -> None:
    """Warn if labels are of the other jaw than the true labels of the scan: their label system may be another."""
    if mesh.labels is not None and not shows_both_jaws(mesh.labels):
        warn_of_other_jaw(replace(mesh, jaw=jaw_of_labels(mesh.labels)), labels, found, "by its true labels")


def _no_labels(file: Path) -> LabelError:
    if file.suffix.lower() == ".json":
        return LabelError(f"{file}: expected a key `labels` with a number per vertex, found none")
    return LabelError(f"{file}: has no labels; {unread_labels(file, '--predictions-palette', _OPTION)}")


def _in_another_order(mesh: Mesh, file: Path, stored: Stored, unit: str) -> bool:
    """Whether the labels of a mesh cannot be given to the scan face by face.

    This is so if its count of faces is another, or if its faces or vertices lie at the same place in another order.
    """
    own = original_of(mesh)
    if len(stored.polygons) != len(own.polygons):
        return True
    if len(stored.vertices) == len(own.vertices) and np.array_equal(stored.polygons, own.polygons):
        return False
    other = _read(mesh, file, stored, unit)
    return float(np.median(cKDTree(other.centroids).query(mesh.centroids)[0])) <= _FARTHEST


def _read(mesh: Mesh, file: Path, stored: Stored, unit: str) -> Mesh:
    """The mesh of a prediction, in ``unit``, or if its size cannot be that of the scan then, in the nearest one.

    A program may well write metres where the scans are in millimetres.
    """
    used = stored.vertices[stored.polygons[stored.polygons >= 0]]
    own, theirs = (float(np.ptp(vertices, axis=0).max()) for vertices in (mesh.vertices, used))
    sizes = {name: theirs * factor for name, factor in MM_PER_UNIT.items()}
    if 0 < theirs < np.inf and not EXTENT[0] <= sizes[unit] <= _LARGER * own:
        unit = min(sizes, key=lambda name: abs(np.log(sizes[name] / own)))
    return mesh_from_stored(file, stored, unit=unit)


def _of_other_mesh(mesh: Mesh, file: Path, stored: Stored, how: Predictions) -> Labels | None:
    other = replace(_read(mesh, file, stored, how.unit), jaw=mesh.jaw)
    found = find_labels(file, other, how.palette, stored, how.label_system)
    if found is None:
        return None
    labels, _ = as_fdi(other, found, option=_OPTION)
    distance, near = cKDTree(other.centroids).query(mesh.centroids)
    back, _ = cKDTree(mesh.centroids).query(other.centroids)  # it may be only a part of the scan, or more than that
    if (far := min(float(np.median(distance)), float(np.median(back)))) > _FARTHEST:
        raise LabelError(
            f"{file}: expected the surface of {mesh.scan_id}, found one that is {far:.1f} mm away; is it in another "
            "unit or place?"
        )
    size = np.linalg.norm(other.corners - other.centroids[:, None], axis=2).max(axis=1)  # [F'] mm
    some_of_ours = np.quantile(back, 0.95) < _SAME  # a light decimation keeps many faces, but not nearly all
    beyond = distance > (_SAME if some_of_ours else np.maximum(_FARTHEST, size[near]))
    _log.warning(
        "%s: %s is another mesh of this scan; each face gets the label of the nearest face%s", mesh.scan_id, file,
        f"; {beyond.mean():.0%} of the faces are not near that mesh, and count as gingiva" * bool(beyond.any()),
    )  # fmt: skip
    faces = np.where(beyond, 0, _teeth(labels)[near])
    _warn_of_other_jaw(mesh, faces, found)
    return Labels(faces_to_original(mesh, faces), vertices_to_original(mesh, faces), found.guessed)


def _teeth(labels: np.ndarray) -> np.ndarray:
    return np.where(labels == UNKNOWN, 0, labels)
