"""A border drawn by a few points: between them it runs in the folds, and what it encloses is a tooth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from toothgraph.mesh.mesh import Mesh
from toothgraph.review.surface import Surface

REACH = 15.0  # mm beyond the points, within which the border may run


def inside_border(surface: Surface, points: Sequence[int]) -> np.ndarray:
    """The faces that a closed border encloses.

    From point to point it takes the way along the edges of the mesh that is shortest, where a way in a fold counts
    less. What lies far away is outside.

    Args:
        surface: of the scan, F faces.
        points: faces, three or more, in order around the tooth.

    Returns:
        [F] bool; nothing if the surface has a gap there, so that the border does not close.
    """
    mesh, folds = surface.mesh, surface.folds
    edges = common_corners(mesh, folds.pairs)
    # 1. The edges near the points, as a graph of vertices.
    corners = mesh.faces[list(points), 0]
    middle = mesh.vertices[corners].mean(axis=0)
    reach = np.linalg.norm(mesh.vertices[corners] - middle, axis=1).max() + REACH
    near = np.flatnonzero((np.linalg.norm(mesh.vertices[edges[:, 0]] - middle, axis=1) < reach) & (folds.weight > 0))
    count = len(mesh.vertices)
    a, b = edges[near].T
    both = (np.r_[a, b], np.r_[b, a])
    graph = csr_matrix((np.tile(folds.weight[near], 2), both), shape=(count, count))
    # 2. The way around.
    ends = np.r_[corners, corners[:1]]
    _, before = dijkstra(graph, indices=corners, return_predecessors=True)
    passed: set[tuple[int, int]] = set()
    for row, end in enumerate(ends[1:].tolist()):
        here = end
        while here != corners[row]:
            back = int(before[row, here])
            if back < 0:
                return np.zeros(len(mesh.faces), dtype=bool)
            passed.add((min(here, back), max(here, back)))
            here = back
    # 3. What it cuts off from the rest of the scan.
    key = edges.min(axis=1) * count + edges.max(axis=1)
    crossed = np.isin(key, [low * count + high for low, high in passed])
    return _cut_off(mesh, folds.pairs, crossed, middle, reach)


def _cut_off(mesh: Mesh, pairs: np.ndarray, crossed: np.ndarray, middle: np.ndarray, reach: float) -> np.ndarray:
    """The faces that a border parts from those beyond ``reach`` of its middle.

    Where the surface has a tunnel, a border may part nothing. Then it is what is nearer to the face deepest within.

    Args:
        mesh: F faces.
        pairs: [E, 2] adjacent faces.
        crossed: [E] bool, whether the border runs between them.
        middle: [3] of the border, mm.
        reach: mm.
    """
    size, (i, j) = len(mesh.faces), pairs[~crossed].T
    step = np.linalg.norm(mesh.centroids[i] - mesh.centroids[j], axis=1) + 1e-9
    graph = csr_matrix((step, (i, j)), shape=(size, size))
    off = np.linalg.norm(mesh.centroids - middle, axis=1)
    outside = off >= min(reach, off.max())
    from_outside = dijkstra(graph, directed=False, indices=np.flatnonzero(outside), min_only=True)
    parted = ~np.isfinite(from_outside)
    if parted.any():
        piece = connected_components(graph, directed=False)[1]
        beside: np.ndarray = parted & np.isin(piece, piece[pairs[crossed]])
        if beside.any():
            return beside
    within = np.where(off < reach - REACH, from_outside, -1)
    from_inside = dijkstra(graph, directed=False, indices=[int(within.argmax())], min_only=True)
    nearer: np.ndarray = from_inside < from_outside
    return nearer


def common_corners(mesh: Mesh, pairs: np.ndarray) -> np.ndarray:
    """The two vertices that each pair of adjacent faces [E, 2] shares. [E, 2]"""
    first, second = mesh.faces[pairs[:, 0]], mesh.faces[pairs[:, 1]]
    shared = (first[:, :, None] == second[:, None, :]).any(axis=2)
    place = np.argsort(~shared, axis=1, kind="stable")[:, :2]
    common: np.ndarray = np.take_along_axis(first, place, axis=1)
    return common
