"""Mesh decimation for the networks, with the mapping to carry labels back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

import fast_simplification
import numpy as np
from scipy.spatial import cKDTree

from toothgraph.errors import MeshError, check_number
from toothgraph.mesh.checks import check_generator
from toothgraph.mesh.clean import drop_unused_vertices, flat_faces, unique_rows
from toothgraph.mesh.majority import majority
from toothgraph.mesh.mesh import Mesh
from toothgraph.stages import stage

_ONE_AT_A_TIME = Lock()  # the library keeps the mesh in global variables, and lets other threads run meanwhile

_CANDIDATES = 4  # nearest coarse faces that are tested for a similar normal


@dataclass(frozen=True, eq=False)
class Decimated:
    """A coarse mesh and the mapping from the fine mesh.

    Attributes:
        mesh: the coarse mesh; with labels if the fine mesh has labels.
        fine: the mesh it was made from.
        survivor: [S] the fine faces that remain after the collapses.
        new_face: [S] the coarse face of each of these fine faces, -1 if it was removed in cleaning.
    """

    mesh: Mesh
    fine: Mesh
    survivor: np.ndarray
    new_face: np.ndarray

    @cached_property
    def face_map(self) -> np.ndarray:
        """[F] int64, the coarse face of each fine face: ``values[face_map]`` carries values back to the fine mesh.

        Computed at first use, because a prediction does not need it.
        """
        if self.mesh is self.fine:
            return self.survivor
        return _map_faces(self.fine, self.mesh, self.survivor, self.new_face)


def decimate(mesh: Mesh, n_faces: int, *, rng: np.random.Generator | None = None, jitter: float = 0.0) -> Decimated:
    """Decimate a mesh to about ``n_faces`` faces by edge collapse with quadric error metrics.

    A coarse face takes the label with the largest area among its fine faces; it is unknown (-1) only if all of them
    are unknown. A mesh that is already small enough is returned unchanged.

    Source: Garland and Heckbert, SIGGRAPH 1997, https://doi.org/10.1145/258734.258849

    Args:
        mesh: the fine mesh; several components, boundaries and non-manifold edges are allowed.
        n_faces: target number of faces; the result may differ by a few.
        rng: random generator for the jitter.
        jitter: mm, standard deviation of noise that is first added to the vertices, so that each draw gives another
            tessellation. The coarse surface stays within this noise of the fine one.

    Raises:
        MeshError: if ``n_faces`` is below 4 or so small that no face remains, or if ``jitter`` is given without
            ``rng``.
        ConfigError: if ``n_faces`` or ``jitter`` is not a finite number, or ``jitter`` is below 0.
        ShapeError: if ``rng`` is not a random generator.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> small = decimate(arch, 1000)
        >>> abs(len(small.mesh.faces) - 1000) < 50, len(small.face_map) == len(arch.faces)
        (True, True)
    """
    check_number("n_faces", n_faces)
    check_number("jitter", jitter, least=0)
    if n_faces < 4:
        raise MeshError(f"{mesh.scan_id}: expected a target of at least 4 faces, got {n_faces}")
    if jitter > 0 and rng is None:
        raise MeshError(f"{mesh.scan_id}: decimation with jitter needs a random generator, got none; give `rng`")
    if rng is not None:
        check_generator(rng)
    if len(mesh.faces) <= n_faces:
        every_face = np.arange(len(mesh.faces))
        return Decimated(mesh, mesh, every_face, every_face)
    stage("decimating")
    points = mesh.vertices
    if jitter > 0 and rng is not None:
        points = points + rng.normal(scale=jitter, size=points.shape)
    with _ONE_AT_A_TIME:
        vertices, faces, collapses = fast_simplification.simplify(
            points, mesh.faces.astype(np.int32), target_count=n_faces, return_collapses=True
        )
    if len(faces) == 0:
        raise MeshError(f"{mesh.scan_id}: no face remains after decimation to {n_faces} faces; use a larger target")
    survivor = _survivors(mesh.faces, len(mesh.vertices), collapses)
    coarse, new_face = _clean_coarse(mesh, np.asarray(vertices, dtype=np.float64), faces.astype(np.int64))
    decimated = Decimated(coarse, mesh, survivor, new_face)
    if mesh.labels is None:
        return decimated
    return replace(decimated, mesh=coarse.with_labels(_vote(mesh, coarse, decimated.face_map)))


def _survivors(faces: np.ndarray, n_vertices: int, collapses: np.ndarray) -> np.ndarray:
    """The fine faces [S] with three different corners after all collapses: the simplifier's output, in its order."""
    target = np.arange(n_vertices)
    target[collapses[:, 1]] = collapses[:, 0]
    while not np.array_equal(target, target[target]):  # the target vertex may collapse later, too
        target = target[target]
    a, b, c = target[faces].T
    return np.flatnonzero((a != b) & (b != c) & (c != a))


def _clean_coarse(mesh: Mesh, vertices: np.ndarray, faces: np.ndarray) -> tuple[Mesh, np.ndarray]:
    """The simplifier's output without flat and repeated faces, and the new index of each face, -1 if removed."""
    solid = np.flatnonzero(~flat_faces(vertices, faces))
    kept, twin = unique_rows(np.sort(faces[solid], axis=1))
    new_face = np.full(len(faces), -1, dtype=np.int64)
    new_face[solid] = twin
    vertices, clean_faces, _ = drop_unused_vertices(vertices, faces[solid][kept])
    return replace(mesh, vertices=vertices, faces=clean_faces, labels=None, original=None), new_face


def _map_faces(mesh: Mesh, coarse: Mesh, survivor: np.ndarray, new_face: np.ndarray) -> np.ndarray:
    """The coarse face of each fine face [F]: itself if it survived, else the nearest with a similar normal."""
    n_candidates = min(_CANDIDATES, len(coarse.faces))
    _, near = cKDTree(coarse.centroids).query(mesh.centroids, k=n_candidates)
    near = near.reshape(len(mesh.faces), n_candidates)
    facing = np.einsum("fkd,fd->fk", coarse.normals[near], mesh.normals) > 0
    face_map = near[np.arange(len(near)), facing.argmax(axis=1)]  # the nearest if none has a similar normal
    if len(survivor) == len(new_face):  # otherwise the simplifier removed further faces
        kept = new_face >= 0
        face_map[survivor[kept]] = new_face[kept]
    return face_map


def _vote(mesh: Mesh, coarse: Mesh, face_map: np.ndarray) -> np.ndarray:
    """The label with the largest fine area, per coarse face. [F'] int64."""
    assert mesh.labels is not None
    labels = majority(face_map, mesh.labels, mesh.areas, len(coarse.faces))
    silent = np.bincount(face_map, minlength=len(coarse.faces)) == 0
    if silent.any():
        _, nearest = cKDTree(mesh.centroids).query(coarse.centroids[silent])
        labels[silent] = mesh.labels[nearest]
    return labels
