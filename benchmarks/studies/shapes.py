"""Shapes that programs make from scans: models with a base, printed shells, crowns alone, parts of an arch.

All are made from a labelled scan in the networks' frame (:func:`toothgraph.anatomy.frame.upright_rotation`), with y
towards the bite. So the labels of the result are known. New faces are gingiva.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.anatomy.sizes import LEAST
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import border_edges, label_pieces
from toothgraph.synthetic.model_base import outer_border

UP = np.array([0.0, 1.0, 0.0])


def solid_u(mesh: Mesh, depth: float) -> Mesh:
    """A solid model with the outline of the scan, as aligners are formed over: walls straight down to a flat bottom.

    Args:
        mesh: F faces, upright.
        depth: mm from the lowest point of the scan to the bottom.
    """
    foot = mesh.vertices.copy()
    foot[:, 1] = foot[:, 1].min() - depth
    return closed_by(mesh, foot)


def solid_full(mesh: Mesh, depth: float, flare: float = 0.15) -> Mesh:
    """A solid model with walls from the outer border, and one bottom under the whole arch and the place of the tongue.

    Args:
        mesh: F faces, upright.
        depth: mm from the lowest point of the scan to the bottom.
        flare: how much wider than the scan the bottom is.
    """
    edges = outer_border(mesh)
    border, ends = np.unique(edges, return_inverse=True)
    start, end = ends.reshape(-1, 2).T
    foot = mesh.vertices[border]
    centre = foot.mean(axis=0)
    foot = centre + (1 + flare) * (foot - centre)
    foot[:, 1] = centre[1] = mesh.vertices[:, 1].min() - depth
    first = len(mesh.vertices)
    low, high = first + start, first + end
    top, after = edges.T
    middle = np.full(len(edges), first + len(border))
    faces = [
        mesh.faces,
        np.stack([after, top, low], 1),
        np.stack([after, low, high], 1),
        np.stack([high, low, middle], 1),
    ]
    return with_faces(mesh, np.concatenate([mesh.vertices, foot, centre[None]]), np.concatenate(faces))


def shell(mesh: Mesh, thickness: float) -> Mesh:
    """A scan made thick for printing: its surface, a second one below it that is inside out, and a rim between them.

    Args:
        mesh: F faces.
        thickness: in mm; if negative, the shell grows outwards, and the teeth with it.
    """
    other = mesh.vertices - thickness * vertex_normals(mesh)
    if thickness > 0:
        return closed_by(mesh, other)
    return closed_by(replace(mesh, vertices=other), mesh.vertices)


def hollow(mesh: Mesh, depth: float, thickness: float) -> Mesh:
    """A printed model with walls down to the table but no bottom; all of it is ``thickness`` mm thick."""
    walls = solid_full(mesh, depth)
    bottom = walls.vertices[:, 1].min() + 1e-6
    return shell(walls.part(~(walls.corners[:, :, 1] < bottom).all(axis=1)), thickness)


def closed_by(mesh: Mesh, other: np.ndarray) -> Mesh:
    """A mesh closed by a copy of its faces with the vertices ``other`` [V, 3], and by a rim between the surfaces."""
    edges, count = border_edges(mesh.faces), len(mesh.vertices)
    top, after = edges.T
    rim = [np.stack([after, top, top + count], 1), np.stack([after, top + count, after + count], 1)]
    faces = [mesh.faces, mesh.faces[:, ::-1] + count, *rim]
    return with_faces(mesh, np.concatenate([mesh.vertices, other]), np.concatenate(faces))


def with_faces(mesh: Mesh, vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """The mesh with new vertices and faces. Faces that come after its own are labelled gingiva."""
    assert mesh.labels is not None
    labels = np.concatenate([mesh.labels, np.zeros(len(faces) - len(mesh.faces), dtype=np.int64)])
    return replace(mesh, vertices=vertices, faces=faces, labels=labels, original=None)


def vertex_normals(mesh: Mesh) -> np.ndarray:
    """Unit normals of the vertices [V, 3]: the mean normal of their faces, weighted by area."""
    total = np.zeros_like(mesh.vertices)
    np.add.at(total, mesh.faces, (mesh.areas[:, None] * mesh.normals)[:, None])
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def crowns_alone(mesh: Mesh, closed: bool) -> Mesh:
    """The teeth of a scan by their labels, each a separate piece, without gum.

    Args:
        mesh: with labels.
        closed: whether each tooth gets a bottom.
    """
    assert mesh.labels is not None
    vertices, faces, labels, first = [], [], [], 0
    for fdi in teeth_of(mesh):
        tooth = largest_piece(mesh.part(mesh.labels == fdi))
        own = [tooth.faces]
        points = tooth.vertices
        if closed:
            edges = border_edges(tooth.faces)
            own.append(np.stack([edges[:, 1], edges[:, 0], np.full(len(edges), len(points))], 1))
            points = np.concatenate([points, points[np.unique(edges)].mean(axis=0, keepdims=True)])
        vertices.append(points)
        faces.append(np.concatenate(own) + first)
        labels.append(np.full(len(faces[-1]), fdi))
        first += len(points)
    return replace(mesh, vertices=np.concatenate(vertices), faces=np.concatenate(faces), labels=np.concatenate(labels),
                   original=None)  # fmt: skip


def largest_piece(mesh: Mesh) -> Mesh:
    """The connected component of a mesh with the largest area."""
    piece = label_pieces(np.zeros(len(mesh.faces), dtype=np.int64), mesh.adjacency)
    return mesh.part(piece == np.bincount(piece, weights=mesh.areas).argmax())


def teeth_of(mesh: Mesh) -> list[int]:
    """The FDI numbers of the teeth of a mesh."""
    assert mesh.labels is not None
    number, where = np.unique(mesh.labels, return_inverse=True)
    area = np.bincount(where, weights=mesh.areas)
    return [int(fdi) for fdi, size in zip(number, area, strict=True) if fdi > 0 and size >= LEAST]


def around(mesh: Mesh, teeth: Sequence[int]) -> Mesh:
    """The part of a scan that is nearer to the given teeth than to any other tooth: these teeth and the gum around.

    Args:
        mesh: with labels.
        teeth: FDI numbers.
    """
    assert mesh.labels is not None
    tooth = mesh.labels > 0
    _, near = cKDTree(mesh.centroids[tooth]).query(mesh.centroids)
    return largest_piece(mesh.part(np.isin(mesh.labels[tooth][near], list(teeth))))


def cut_through(mesh: Mesh, fdi: int, share: float) -> Mesh:
    """A scan that ends within its last tooth: everything behind a plane across this tooth is removed.

    Args:
        mesh: with labels, upright; ``fdi`` is the last tooth of a side.
        fdi: its number.
        share: share of the area of the tooth that is left.
    """
    assert mesh.labels is not None
    back = -mesh.centroids[:, 0]
    own = mesh.labels == fdi
    order = np.argsort(back[own])
    limit = back[own][order][np.searchsorted(np.cumsum(mesh.areas[own][order]), share * mesh.areas[own].sum())]
    side = np.sign(np.median(mesh.centroids[own, 2]))
    return largest_piece(mesh.part((back <= limit) | (side * mesh.centroids[:, 2] < 0)))
