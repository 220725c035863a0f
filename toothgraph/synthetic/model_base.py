"""Add a model base under a scan, as laboratory software does; training scans often have none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from toothgraph.anatomy.frame import open_direction
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import border_edges

DEPTH = (1.0, 12.0)  # mm from the lowest point of the scan to the base
FLARE = (0.0, 0.3)  # relative widening of the base, compared with the boundary of the scan


def with_base(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The scan with walls from its outer boundary down to a plane and, with probability 0.5, a bottom.

    Down is opposite to the area vector (see :func:`toothgraph.anatomy.frame.area_vector`). The new faces are gingiva.

    Args:
        mesh: any scan; a scan that is closed, or has no boundary, is returned unchanged.
        rng: random generator for depth, flare and bottom.
    """
    up, edges = open_direction(mesh), outer_border(mesh)
    if len(edges) < 3 or up is None:
        return mesh
    border, ends = np.unique(edges, return_inverse=True)
    start, end = ends.reshape(-1, 2).T  # into `border`
    points = mesh.vertices[border]
    centre = points.mean(axis=0)
    flat = points - centre - ((points - centre) @ up)[:, None] * up
    bottom = (mesh.vertices - centre) @ up
    middle = centre + (bottom.min() - rng.uniform(*DEPTH)) * up
    foot = middle + (1 + rng.uniform(*FLARE)) * flat

    first = len(mesh.vertices)
    low_start, low_end = first + start, first + end
    top_start, top_end = edges.T
    faces = [mesh.faces, np.stack([top_end, top_start, low_start], 1), np.stack([top_end, low_start, low_end], 1)]
    if rng.uniform() < 0.5:
        faces.append(np.stack([low_end, low_start, np.full(len(edges), first + len(border))], 1))
    else:
        middle = foot[0]  # no face uses it
    joined = np.concatenate(faces)
    added = np.zeros(len(joined) - len(mesh.faces), dtype=np.int64)
    return replace(
        mesh,
        vertices=np.concatenate([mesh.vertices, foot, middle[None]]),
        faces=joined,
        labels=None if mesh.labels is None else np.concatenate([mesh.labels, added]),
        original=None,
    )


def outer_border(mesh: Mesh) -> np.ndarray:
    """The longest boundary of a mesh. [E, 2] vertex indices, each edge in the direction of its face."""
    border = border_edges(mesh.faces)
    n = len(mesh.vertices)
    _, piece = connected_components(csr_matrix((np.ones(len(border)), border.T), shape=(n, n)), directed=False)
    lengths = np.linalg.norm(np.subtract(*mesh.vertices[border].swapaxes(0, 1)), axis=1)
    total = np.bincount(piece[border[:, 0]], weights=lengths) if len(border) else np.zeros(1)
    return border[piece[border[:, 0]] == total.argmax()]
