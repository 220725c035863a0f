"""Folds of a surface, such as those between teeth and beside the gum: where boundaries of labels run."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from toothgraph.mesh.mesh import Mesh

RADIUS = 0.6  # mm, over which the curvature is averaged: the edge length of a scan of 16,000 faces
SHARPEST = 3.0  # 1/mm; a sharper fold counts as one of this curvature


def concave_curvature(mesh: Mesh) -> np.ndarray:
    """How sharply the surface is folded at each vertex, averaged over about 0.6 mm.

    The bend of each pair of neighbouring faces over the distance of their centroids, averaged with its sign over faces
    and vertices in turn, so that noise cancels. Fine and coarse meshes of one surface have about the same values.

    Returns:
        [V] 1/mm, 0 where the surface is flat or convex.
    """
    source, target = mesh.adjacency
    step = mesh.centroids[target] - mesh.centroids[source]
    length = np.maximum(np.linalg.norm(step, axis=1), 1e-6)
    cosine = np.einsum("ij,ij->i", mesh.normals[source], mesh.normals[target])
    inwards = np.einsum("ij,ij->i", step, mesh.normals[source])  # positive where the neighbour rises: a fold
    bend = np.arccos(np.clip(cosine, -1, 1)) * np.sign(inwards) / length
    count = np.bincount(source, minlength=len(mesh.faces))
    of_face = np.bincount(source, bend, len(mesh.faces)) / np.maximum(count, 1)
    to_vertices, to_faces = _averages(mesh)
    of_vertex = to_vertices @ of_face
    rounds = round((RADIUS / float(np.median(length))) ** 2) if len(length) else 0
    for _ in range(rounds - 1):
        of_vertex = to_vertices @ (to_faces @ of_vertex)
    curvature: np.ndarray = np.clip(of_vertex, 0, SHARPEST)
    return curvature


def deepening(mesh: Mesh, folds: float) -> np.ndarray:
    """How vertices move if folds are made deeper, against the normal. [V, 3] mm

    Args:
        mesh: V vertices.
        folds: mm of depth per 1/mm of concave curvature.
    """
    to_vertices, _ = _averages(mesh)
    normals = to_vertices @ mesh.normals
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    moved: np.ndarray = -folds * concave_curvature(mesh)[:, None] * normals
    return moved


def _averages(mesh: Mesh) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """From faces to vertices, by area, and from vertices to faces. [V, F] and [F, V]"""
    n_faces, n_vertices = len(mesh.faces), len(mesh.vertices)
    face, vertex = np.repeat(np.arange(n_faces), 3), mesh.faces.ravel()
    area = np.maximum(np.repeat(mesh.areas, 3), 1e-12)
    total = np.maximum(np.bincount(vertex, area, n_vertices), 1e-12)
    to_vertices = sparse.csr_matrix((area / total[vertex], (vertex, face)), shape=(n_vertices, n_faces))
    to_faces = sparse.csr_matrix((np.full(len(face), 1 / 3), (face, vertex)), shape=(n_faces, n_vertices))
    return to_vertices, to_faces
