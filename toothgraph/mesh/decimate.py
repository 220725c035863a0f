"""Fewer faces for a network, with the way back for labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import fast_simplification
import numpy as np
from scipy.spatial import cKDTree

from toothgraph.errors import MeshError
from toothgraph.mesh.clean import drop_unused_vertices, flat_faces, unique_rows
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.vote import majority

_CANDIDATES = 4  # coarse faces looked at for one that faces the same way


@dataclass(frozen=True, eq=False)
class Decimated:
    """A coarse surface and how the fine one maps onto it.

    Attributes:
        mesh: the coarse surface; it carries labels if the fine one did.
        fine: the surface it was made from.
        survivor: the fine faces that survived the collapses.
        new_face: the coarse face of each survivor, -1 if it was dropped.
    """

    mesh: Mesh
    fine: Mesh
    survivor: np.ndarray
    new_face: np.ndarray

    @cached_property
    def face_map(self) -> np.ndarray:
        """[F] int64, the coarse face of each fine face, so that ``values[face_map]`` carries values back.

        Found when it is first asked for: a prediction does without.
        """
        if self.mesh is self.fine:
            return self.survivor
        return _map_faces(self.fine, self.mesh, self.survivor, self.new_face)


def decimate(mesh: Mesh, n_faces: int, *, rng: np.random.Generator | None = None, jitter: float = 0.0) -> Decimated:
    """Collapse edges until about ``n_faces`` faces are left (quadric error; Garland and Heckbert, 1997).

    A coarse face takes the label that most of the area of its fine faces has; unknown (-1) only where
    nothing else stands there. A mesh that is small enough already comes back as it is.

    Args:
        mesh: the fine surface; several components, borders and non-manifold edges are fine.
        n_faces: faces to aim at; the result may be a few off.
        rng: draws the jitter.
        jitter: mm, standard deviation of noise added to the vertices first, so that each draw gives another
            tessellation. The coarse surface stays within this noise of the fine one.

    Raises:
        MeshError: if ``n_faces`` is less than 4, so small that nothing is left, or jitter is asked
            for without ``rng``.
    """
    if n_faces < 4:
        raise MeshError(f"{mesh.scan_id}: expected a target of at least 4 faces, got {n_faces}")
    if jitter > 0 and rng is None:
        raise MeshError(f"{mesh.scan_id}: decimating with jitter needs a random generator `rng`")
    if len(mesh.faces) <= n_faces:
        every_face = np.arange(len(mesh.faces))
        return Decimated(mesh, mesh, every_face, every_face)
    points = mesh.vertices
    if jitter > 0 and rng is not None:
        points = points + rng.normal(scale=jitter, size=points.shape)
    vertices, faces, collapses = fast_simplification.simplify(
        points, mesh.faces.astype(np.int32), target_count=n_faces, return_collapses=True
    )
    if len(faces) == 0:
        raise MeshError(f"{mesh.scan_id}: nothing is left of it at {n_faces} faces; ask for more faces")
    survivor = _survivors(mesh.faces, len(mesh.vertices), collapses)
    coarse, new_face = _clean_coarse(mesh, np.asarray(vertices, dtype=np.float64), faces.astype(np.int64))
    decimated = Decimated(coarse, mesh, survivor, new_face)
    if mesh.labels is None:
        return decimated
    return replace(decimated, mesh=coarse.with_labels(_vote(mesh, coarse, decimated.face_map)))


def _survivors(faces: np.ndarray, n_vertices: int, collapses: np.ndarray) -> np.ndarray:
    """The fine faces whose corners stay apart in all collapses: the simplifier's output, in its order."""
    target = np.arange(n_vertices)
    target[collapses[:, 1]] = collapses[:, 0]
    while not np.array_equal(target, target[target]):  # a vertex may collapse into one that collapses later
        target = target[target]
    a, b, c = target[faces].T
    return np.flatnonzero((a != b) & (b != c) & (c != a))


def _clean_coarse(mesh: Mesh, vertices: np.ndarray, faces: np.ndarray) -> tuple[Mesh, np.ndarray]:
    """The simplifier's output without flat and repeated faces, and each face's new index, -1 if dropped."""
    solid = np.flatnonzero(~flat_faces(vertices, faces))
    kept, twin = unique_rows(np.sort(faces[solid], axis=1))
    new_face = np.full(len(faces), -1, dtype=np.int64)
    new_face[solid] = twin
    vertices, clean_faces, _ = drop_unused_vertices(vertices, faces[solid][kept])
    return replace(mesh, vertices=vertices, faces=clean_faces, labels=None, original=None), new_face


def _map_faces(mesh: Mesh, coarse: Mesh, survivor: np.ndarray, new_face: np.ndarray) -> np.ndarray:
    """The coarse face of each fine face: its own if it survived, else the nearest that faces the same way."""
    n_candidates = min(_CANDIDATES, len(coarse.faces))
    _, near = cKDTree(coarse.centroids).query(mesh.centroids, k=n_candidates)
    near = near.reshape(len(mesh.faces), n_candidates)
    facing = np.einsum("fkd,fd->fk", coarse.normals[near], mesh.normals) > 0
    face_map = near[np.arange(len(near)), facing.argmax(axis=1)]  # none faces the same way: the nearest
    if len(survivor) == len(new_face):  # else the simplifier dropped faces by rules of its own
        kept = new_face >= 0
        face_map[survivor[kept]] = new_face[kept]
    return face_map


def _vote(mesh: Mesh, coarse: Mesh, face_map: np.ndarray) -> np.ndarray:
    """The label with the largest fine area on each coarse face. [F'] int64."""
    assert mesh.labels is not None
    labels = majority(face_map, mesh.labels, mesh.areas, len(coarse.faces))
    silent = np.bincount(face_map, minlength=len(coarse.faces)) == 0
    if silent.any():
        _, nearest = cKDTree(mesh.centroids).query(coarse.centroids[silent])
        labels[silent] = mesh.labels[nearest]
    return labels
