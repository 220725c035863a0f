"""Surfaces and graphs of any size for the benchmarks."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch_geometric.data import Batch, Data

from toothgraph.graph import GraphSpec, face_graph
from toothgraph.graph.neighbors import dilated_tables, knn_table
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import MIN_FACES, synthetic_arch


def subdivide(mesh: Mesh) -> Mesh:
    """Divide each face into four at the middles of its edges. The four stay together in the order of faces."""
    ends = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, first, middle = np.unique(ends @ [len(mesh.vertices), 1], return_index=True, return_inverse=True)
    a, b, c = mesh.faces.T
    ab, bc, ca = (middle.reshape(-1, 3) + len(mesh.vertices)).T
    faces = np.stack([a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca], axis=1).reshape(-1, 3)
    vertices = np.concatenate([mesh.vertices, mesh.vertices[ends[first]].mean(axis=1)])
    return replace(mesh, vertices=vertices, faces=faces, labels=None, original=None)


@lru_cache(maxsize=2)
def arch(faces: int) -> Mesh:
    """A synthetic arch of about ``faces`` faces in spatial order. Arches above 60,000 faces are subdivided ones."""
    if faces > 60_000:
        return subdivide(arch(faces // 4))
    mesh = synthetic_arch(1, jaw=0, faces=max(faces, MIN_FACES))
    if faces < MIN_FACES:
        mesh = decimate(mesh, faces).mesh
    order = np.argsort(morton(mesh.centroids, 0.25), kind="stable")
    return replace(mesh, faces=mesh.faces[order], labels=None, original=None)


def morton(points: np.ndarray, cell: float) -> np.ndarray:
    """Place of each point on the Z-curve through cubes of side ``cell``, [N]. Near points have near places."""
    cube = np.floor((points - points.min(axis=0)) / cell).astype(np.int64)
    place = np.zeros(len(points), dtype=np.int64)
    for bit in range(int(cube.max(initial=0)).bit_length()):
        for axis in range(3):
            place |= (cube[:, axis] >> bit & 1) << (3 * bit + axis)
    return place


def mesh_table(faces: int, k: int) -> torch.Tensor:
    """The k nearest neighbours of the faces of an arch, with faces in spatial order. [k, about ``faces``]"""
    return torch.from_numpy(knn_table(arch(faces).centroids, k))


def graph(faces: int, spec: GraphSpec) -> Batch:
    """A batch with the graph of one arch that is not decimated, and the neighbour tables of ``spec``."""
    mesh = arch(faces)
    data: Data = face_graph(mesh)
    if spec.spacings:
        table, level = dilated_tables(mesh.centroids, spec.k, spec.spacings)
        data.neighbor_index, data.level = torch.from_numpy(table.astype(np.int32)), torch.from_numpy(level)
    return Batch.from_data_list([data])
