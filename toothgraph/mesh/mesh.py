"""The mesh: a clean triangle surface in mm, with the mapping to its file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.errors import LabelError, MeshError, ShapeError
from toothgraph.fdi import JAW_NAMES, UNKNOWN_JAW, are_whole, check_jaw
from toothgraph.mesh.label_origin import LabelOrigin
from toothgraph.mesh.topology import face_adjacency, label_pieces


@dataclass(frozen=True, eq=False)
class Original:
    """The surface as stored in the file, and the mapping to the clean mesh.

    Attributes:
        vertices: [V0, 3] float64, in the unit and order of the file.
        polygons: [F0, m] int64 indices into ``vertices``, m = 3 or more; short rows are filled with -1.
        vertex_map: [V0] int64, the clean vertex of each stored vertex; -1 if it is in no clean face.
        face_map: [F0] int64, the first clean face of each stored polygon (a quad has two); equal polygons have the
            same clean face; -1 if it was removed.
        polygon_of_face: [F] int64, the stored polygon of each clean face.
        mm_per_unit: millimetres per unit of the file.
        vertex_labels: [V0] FDI numbers of the stored vertices, 0 or -1, if the file has labels per vertex.
    """

    vertices: np.ndarray
    polygons: np.ndarray
    vertex_map: np.ndarray
    face_map: np.ndarray
    polygon_of_face: np.ndarray
    mm_per_unit: float = 1.0
    vertex_labels: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Topology:
    """The topology of a mesh: it depends only on the faces, not on shape or labels.

    Attributes:
        faces: [F, 3] int64.
    """

    faces: np.ndarray

    @cached_property
    def adjacency(self) -> np.ndarray:
        """Pairs of faces that share an edge, see :func:`toothgraph.mesh.topology.face_adjacency`. [2, E]"""
        pairs = face_adjacency(self.faces)
        pairs.flags.writeable = False  # it is shared
        return pairs

    @cached_property
    def pieces(self) -> np.ndarray:
        """The connected piece of surface of each face, numbered from 0. [F] int32"""
        pieces = label_pieces(np.zeros(len(self.faces), dtype=np.int64), self.adjacency)
        pieces.flags.writeable = False  # it is shared
        return pieces


_OF_SHAPE = ("corners", "centroids", "_area_normals", "areas", "normals")  # computed once, whatever the labels are


@dataclass(frozen=True, eq=False, repr=False)
class Mesh:
    """A triangle mesh.

    Attributes:
        vertices: [V, 3] float64, mm; every vertex is used by a face. Corners at the same position should be one vertex,
            because only faces with common vertices are neighbours.
        faces: [F, 3] int64, without degenerate and duplicate faces.
        labels: [F] int64 FDI numbers, 0 gingiva, -1 unknown; None without labels. Other numbers raise an error when a
            graph, a file, a page, a picture or a measure is made of them.
        jaw: 0 upper, 1 lower, -1 unknown.
        scan_id: name for messages and tables.
        path: the file it was read from, if any.
        original: vertices and faces as stored in the file; None for a mesh made in memory.
        topology: do not set; ``dataclasses.replace`` keeps it as long as ``faces`` is the same array.
        label_origin: where the labels come from, as far as the files tell.

    Raises:
        MeshError: if shapes do not match, an index is not whole or outside the vertices, or a vertex is not finite.
        LabelError: if labels are not one whole number per face.
        ShapeError: if ``jaw`` has another value.

    Example:
        >>> corners = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0], [10, 10, 0]])
        >>> square = Mesh(corners, np.array([[0, 1, 2], [1, 3, 2]]))
        >>> square.areas.tolist(), square.adjacency.tolist()
        ([50.0, 50.0], [[0, 1], [1, 0]])
    """

    vertices: np.ndarray
    faces: np.ndarray
    labels: np.ndarray | None = None
    jaw: int = UNKNOWN_JAW
    scan_id: str = "mesh"
    path: Path | None = None
    original: Original | None = None
    topology: Topology | None = None
    label_origin: LabelOrigin = field(default_factory=LabelOrigin)

    def __post_init__(self) -> None:
        check_jaw(self.jaw)
        vertices = np.ascontiguousarray(self.vertices, dtype=np.float64)
        given = np.asarray(self.faces)
        if given.dtype.kind == "f" and not are_whole(given).all():
            raise MeshError(f"{self.scan_id}: expected faces [F, 3] of whole numbers, of vertices, got {given.dtype}")
        faces = np.ascontiguousarray(given, dtype=np.int64)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise MeshError(
                f"{self.scan_id}: expected vertices [V, 3] and faces [F, 3], got {vertices.shape} and {faces.shape}"
                + ("; transpose the faces: faces.T" if faces.ndim == 2 and len(faces) == 3 else "")
            )
        if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise MeshError(
                f"{self.scan_id}: expected vertex indices from 0 to {len(vertices) - 1}, found {faces.min()} to "
                f"{faces.max()} in the faces"
            )
        if not np.isfinite(vertices).all():
            row = int(np.argmin(np.isfinite(vertices).all(axis=1)))
            raise MeshError(f"{self.scan_id}: expected finite vertices, found {vertices[row].tolist()} as vertex {row}")
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)
        if self.topology is None or self.topology.faces is not faces:
            object.__setattr__(self, "topology", Topology(faces))
        if self.labels is not None:
            labels = _checked_labels(self.labels, vertices, faces, self.scan_id)
            object.__setattr__(self, "labels", labels)

    def __repr__(self) -> str:
        labels = "no labels" if self.labels is None else f"labels {self.label_origin}"
        return f"Mesh({self.scan_id}, {len(self.faces):,} faces, jaw {JAW_NAMES[self.jaw]}, {labels})"

    @property
    def adjacency(self) -> np.ndarray:
        """Pairs of faces that share an edge, both directions, sorted. [2, E] int64, read-only; computed once."""
        assert self.topology is not None
        return self.topology.adjacency

    @property
    def pieces(self) -> np.ndarray:
        """The connected piece of surface of each face, numbered from 0. [F] int32, read-only; computed once."""
        assert self.topology is not None
        return self.topology.pieces

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
        """Unit face normals; the order of the corners gives the sign. [F, 3]; zero for a face without area."""
        length = np.linalg.norm(self._area_normals, axis=1, keepdims=True)
        return self._area_normals / np.maximum(length, 1e-300)

    def part(self, keep: np.ndarray) -> Mesh:
        """The mesh of some faces: ``keep`` is [F] bool or [F'] indices. It has no ``original``."""
        used, corners = np.unique(self.faces[keep], return_inverse=True)
        labels = None if self.labels is None else self.labels[keep]
        faces = corners.reshape(-1, 3)
        return replace(self, vertices=self.vertices[used], faces=faces, labels=labels, original=None)

    def inside_out(self) -> Mesh:
        """The same mesh with the opposite winding of its faces."""
        return replace(self, faces=self.faces[:, ::-1])

    def with_labels(self, labels: np.ndarray | None) -> Mesh:
        """The same mesh with other face labels [F].

        ``original.vertex_labels`` is removed, because it may not fit the new labels. ``label_origin`` is reset.

        Raises:
            LabelError: for labels that are not one whole number per face.
        """
        original = self.original and replace(self.original, vertex_labels=None)
        same = replace(self, labels=labels, original=original, label_origin=LabelOrigin())
        same.__dict__.update({name: self.__dict__[name] for name in _OF_SHAPE if name in self.__dict__})
        return same


def _checked_labels(labels: Any, vertices: np.ndarray, faces: np.ndarray, name: str) -> np.ndarray:
    """Face labels as int64 [F]; raises LabelError for other values or shapes."""
    given = np.asarray(labels)
    if given.shape != (len(faces),):
        todo = "labels per face of a file do not fit the mesh where cleaning dropped faces"
        if given.shape == (len(faces), 1):
            todo = "take the column: labels[:, 0]"
        elif given.ndim == 2 and len(given) == len(faces):
            todo = "of one column per class, take the largest: labels.argmax(axis=1), and make FDI numbers of it"
        elif given.shape == (len(vertices),):
            todo = (
                "they are per vertex: toothgraph.transforms.FaceGraph takes these as y, and a face takes what most of "
                "its corners have"
            )
        raise LabelError(f"{name}: expected {len(faces)} face labels, integers [F], got {list(given.shape)}; {todo}")
    if given.dtype.kind not in "biuf":
        raise LabelError(f"{name}: expected face labels as integers [F], got {given.dtype}; convert them to int")
    if given.dtype.kind == "f" and not (whole := are_whole(given)).all():
        raise LabelError(
            f"{name}: expected face labels as integers [F], found {given[~whole][0]:g}; -1 stands for unknown"
        )
    return np.ascontiguousarray(given, dtype=np.int64)


def check_mesh(mesh: object) -> None:
    """Raise an error if ``mesh`` is not a mesh or has no faces.

    Raises:
        ShapeError: in both cases; for what is not a mesh, the message says how to get one.
    """
    if not isinstance(mesh, Mesh):
        raise ShapeError(
            f"expected a Mesh, got {type(mesh).__name__}; toothgraph.read_scan(file) reads one, and "
            "toothgraph.Mesh(vertices, faces) makes one of arrays"
        )
    if len(mesh.faces) == 0:
        raise ShapeError(f"{mesh.scan_id}: expected a mesh with faces, got one without")
