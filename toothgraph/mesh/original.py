"""Carry values between the clean mesh and the faces and vertices of its file."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.errors import LabelError
from toothgraph.mesh.majority import majority
from toothgraph.mesh.mesh import Mesh, Original


def original_of(mesh: Mesh) -> Original:
    """The surface as stored in the file; a mesh made in memory is its own original."""
    if mesh.original is not None:
        return mesh.original
    every_face, vertex = np.arange(len(mesh.faces)), np.full(len(mesh.vertices), -1, dtype=np.int64)
    vertex[mesh.faces] = mesh.faces
    return Original(mesh.vertices, mesh.faces, vertex, every_face, every_face)


def surface_digest(mesh: Mesh) -> str:
    """A digest of the vertices and faces of a mesh, which shows whether two meshes have the same surface."""
    return _digest(mesh.vertices, mesh.faces)


def stored_digest(mesh: Mesh) -> str:
    """A digest of the stored vertices and faces, which shows whether two files have the same surface.

    The coordinates are taken as stored, without conversion to mm.
    """
    original = original_of(mesh)
    return _digest(original.vertices, original.polygons)


def _digest(vertices: np.ndarray, faces: np.ndarray) -> str:
    total = hashlib.sha256(np.ascontiguousarray(faces, dtype="<i8").tobytes())
    total.update(np.ascontiguousarray(vertices, dtype="<f8").tobytes())
    return total.hexdigest()[:32]


def scan_of_part(mesh: Mesh, keep: np.ndarray) -> Mesh:
    """A part of a scan as a separate scan, in the unit of the file, with the file's vertex labels if it has any.

    Args:
        mesh: the scan.
        keep: [F'] face numbers, or [F] bool.
    """
    part, whole = mesh.part(keep), original_of(mesh)
    unit, labels = whole.mm_per_unit, whole.vertex_labels
    if labels is not None:
        labels = vertices_of_part(mesh, keep, labels)
    original = replace(original_of(part), vertices=part.vertices / unit, mm_per_unit=unit, vertex_labels=labels)
    return replace(part, original=original)


def vertices_of_part(mesh: Mesh, keep: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Carry values per stored vertex [V0, …] to the vertices of a part [V', …]; ``keep`` as in :func:`scan_of_part`."""
    vertex = original_of(mesh).vertex_map
    stored = np.empty(len(mesh.vertices), dtype=np.int64)  # one of the stored vertices that were merged
    stored[vertex[vertex >= 0]] = np.flatnonzero(vertex >= 0)
    return values[stored[np.unique(mesh.faces[keep])]]


def faces_from_original(mesh: Mesh, values: np.ndarray) -> np.ndarray:
    """Carry values per stored polygon [F0, …] to the clean faces [F, …].

    Raises:
        LabelError: if there are not F0 values.
    """
    return _checked(values, len(original_of(mesh).polygons), mesh)[original_of(mesh).polygon_of_face]


def faces_to_original(mesh: Mesh, values: np.ndarray) -> np.ndarray:
    """Carry values per clean face to the stored polygons.

    A polygon that was cut into triangles gets the value of its first triangle. A polygon that was removed because it
    is flat gets the value of the clean face with the nearest centroid.

    Args:
        mesh: the clean mesh.
        values: [F, …].

    Returns:
        [F0, …], dtype of ``values``.

    Raises:
        LabelError: if there are not F values.
    """
    values = _checked(values, len(mesh.faces), mesh)
    original = original_of(mesh)
    face = original.face_map.copy()
    dropped = np.flatnonzero(face < 0)
    if len(dropped):
        polygons = original.polygons[dropped]
        corner = polygons >= 0
        points = np.where(corner[..., None], original.vertices[polygons], 0.0)  # [n, m, 3]
        centroids = points.sum(axis=1) / np.maximum(corner.sum(axis=1), 1)[:, None] * original.mm_per_unit
        _, face[dropped] = cKDTree(mesh.centroids).query(centroids)
    return values[face]


def vertices_to_original(mesh: Mesh, face_labels: np.ndarray) -> np.ndarray:
    """Carry labels per clean face to the stored vertices.

    A vertex takes the label with the largest area among its faces (see ``majority``). A vertex without a clean face
    takes the label of the nearest vertex of a clean face, or 0 if its coordinates are not finite.

    Args:
        mesh: the clean mesh.
        face_labels: [F] FDI numbers, 0 or -1.

    Returns:
        [V0] int64.

    Raises:
        LabelError: if there are not F labels.
    """
    face_labels = _checked(face_labels, len(mesh.faces), mesh)
    labels = majority(mesh.faces.reshape(-1), np.repeat(face_labels, 3), np.repeat(mesh.areas, 3), len(mesh.vertices))
    original = original_of(mesh)
    vertex = original.vertex_map.copy()
    finite = np.isfinite(original.vertices).all(axis=1)
    loose = np.flatnonzero((vertex < 0) & finite)
    if len(loose) and len(mesh.faces):
        used = np.unique(mesh.faces)
        vertex[loose] = used[cKDTree(mesh.vertices[used]).query(original.vertices[loose] * original.mm_per_unit)[1]]
    return np.where(vertex >= 0, labels[vertex], 0)


def _checked(values: np.ndarray, count: int, mesh: Mesh) -> np.ndarray:
    values = np.asarray(values)
    if len(values) != count:
        raise LabelError(f"{mesh.scan_id}: expected {count} values, one per face, got {len(values)}")
    return values
