"""The mesh: a clean triangle surface in millimetres that remembers the file it came from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from toothgraph.errors import MeshError
from toothgraph.mesh.numbering import UNKNOWN_JAW


@dataclass(frozen=True, eq=False)
class Original:
    """The surface as its file stores it, and how the clean mesh maps onto it.

    Attributes:
        vertices: [V0, 3] float64, in the file's own unit and order.
        polygons: [F0, m] int64 into ``vertices``, m = 3 or more; short rows are filled with -1.
        vertex_map: [V0] int64, the clean vertex each stored vertex became; -1 if it is in no clean face.
        face_map: [F0] int64, the first clean face of each stored polygon (a quad has two), for a polygon
            stored twice its twin's; -1 if it was dropped.
        polygon_of_face: [F] int64, the stored polygon each clean face comes from.
        mm_per_unit: millimetres per unit of the file.
        vertex_labels: [V0] FDI numbers of the stored vertices, 0 or -1, where it is these that were labelled.
    """

    vertices: np.ndarray
    polygons: np.ndarray
    vertex_map: np.ndarray
    face_map: np.ndarray
    polygon_of_face: np.ndarray
    mm_per_unit: float = 1.0
    vertex_labels: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle surface.

    Attributes:
        vertices: [V, 3] float64, mm; every vertex is used by a face.
        faces: [F, 3] int64, no degenerate and no duplicate face.
        labels: [F] int64 FDI numbers, 0 gingiva, -1 unknown; None without labels.
        jaw: 0 upper, 1 lower, -1 unknown.
        scan_id: a name for messages and rows.
        path: the file it was read from, if any.
        original: the file's own vertices and faces; None for a mesh made in memory.

    Raises:
        MeshError: if shapes disagree or an index points outside.
    """

    vertices: np.ndarray
    faces: np.ndarray
    labels: np.ndarray | None = None
    jaw: int = UNKNOWN_JAW
    scan_id: str = "mesh"
    path: Path | None = None
    original: Original | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, dtype=np.float64)
        faces = np.ascontiguousarray(self.faces, dtype=np.int64)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise MeshError(
                f"{self.scan_id}: expected vertices [V, 3] and faces [F, 3], got {vertices.shape} and {faces.shape}"
            )
        if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise MeshError(f"{self.scan_id}: a face points outside the {len(vertices)} vertices")
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)
        if self.labels is not None:
            labels = np.ascontiguousarray(self.labels, dtype=np.int64)
            if labels.shape != (len(faces),):
                raise MeshError(f"{self.scan_id}: expected {len(faces)} face labels, got {labels.shape}")
            object.__setattr__(self, "labels", labels)

    @cached_property
    def corners(self) -> np.ndarray:
        """The three corners of each face. [F, 3 corners, 3], mm."""
        return self.vertices[self.faces]

    @cached_property
    def centroids(self) -> np.ndarray:
        """Face barycentres. [F, 3], mm."""
        return self.corners.mean(axis=1)

    @cached_property
    def _area_normals(self) -> np.ndarray:
        corners = self.corners
        return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])

    @cached_property
    def areas(self) -> np.ndarray:
        """Face areas. [F], mm²."""
        return 0.5 * np.linalg.norm(self._area_normals, axis=1)

    @cached_property
    def normals(self) -> np.ndarray:
        """Unit face normals, by the order of the corners. [F, 3]; zero for a face without area."""
        length = np.linalg.norm(self._area_normals, axis=1, keepdims=True)
        return self._area_normals / np.maximum(length, 1e-300)

    def part(self, keep: np.ndarray) -> Mesh:
        """The surface of some of the faces, [F] bool or [F'] indices; it does not remember the file's own."""
        used, corners = np.unique(self.faces[keep], return_inverse=True)
        labels = None if self.labels is None else self.labels[keep]
        faces = corners.reshape(-1, 3)
        return replace(self, vertices=self.vertices[used], faces=faces, labels=labels, original=None)

    def inside_out(self) -> Mesh:
        """The same surface with its faces wound the other way round."""
        return replace(self, faces=self.faces[:, ::-1])

    def with_labels(self, labels: np.ndarray | None) -> Mesh:
        """The same surface with other face labels; the file's own of its vertices, which may differ, are left out."""
        original = self.original and replace(self.original, vertex_labels=None)
        return replace(self, labels=labels, original=original)
