"""A border drawn by a few points. Between the points it runs in the folds, and what it encloses is a tooth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.borders import Borders, borders
from toothgraph.review.surface import Surface

REACH = 8.0  # mm beyond the points, within which the border may run
RIM = 3.0  # mm; the outermost part of this reach is outside the border


def inside_border(surface: Surface, points: Sequence[int]) -> np.ndarray:
    """The faces that a closed border encloses.

    From point to point, the border takes the shortest way along the edges of the mesh, where a way in a fold counts
    less. Faces far away are outside.

    Args:
        surface: the surface of the scan, F faces.
        points: three or more faces, in order around the tooth.

    Returns:
        [F] bool; all False if the surface has a gap there, so that the border does not close.
    """
    mesh, inside = surface.mesh, np.zeros(len(surface.mesh.faces), dtype=bool)
    # 1. The part of the scan where the border may run.
    middle = mesh.centroids[list(points)].mean(axis=0)
    off = np.linalg.norm(mesh.centroids - middle, axis=1)
    reach = float(off[list(points)].max()) + REACH
    near = np.flatnonzero(off < reach)
    part = mesh.part(near)
    folds = borders(part)
    edges = common_corners(part, folds.pairs)
    # 2. The way around, and what it cuts off.
    crossed = _way_around(part, folds, edges, part.faces[np.searchsorted(near, points), 0])
    if crossed.any():
        inside[near[_cut_off(part, folds.pairs, crossed, off[near], reach)]] = True
    return inside


def _way_around(mesh: Mesh, folds: Borders, edges: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Which edges the border takes from each vertex of ``corners`` to the next, and back to the first.

    Args:
        mesh: the part of the scan.
        folds: the E pairs of adjacent faces, and the cost of a border between them.
        edges: [E, 2] vertices of the edge between each pair.
        corners: vertices, in order.

    Returns:
        [E] bool; all False if there is no way.
    """
    count = len(mesh.vertices)
    low, high = edges.min(axis=1), edges.max(axis=1)
    graph = csr_matrix((folds.weight + 1e-9, (low, high)), shape=(count, count))
    _, before = dijkstra(graph, directed=False, indices=corners, return_predecessors=True)
    passed: set[int] = set()
    for row, end in enumerate(np.roll(corners, -1).tolist()):
        here = end
        while here != corners[row]:
            back = int(before[row, here])
            if back < 0:
                return np.zeros(len(edges), dtype=bool)
            passed.add(min(here, back) * count + max(here, back))
            here = back
    crossed: np.ndarray = np.isin(low * count + high, list(passed))
    return crossed


def _cut_off(mesh: Mesh, pairs: np.ndarray, crossed: np.ndarray, off: np.ndarray, reach: float) -> np.ndarray:
    """The faces that a border separates from the rim of a part of a scan.

    Where the surface has a tunnel, the border may separate nothing. Then the result is the faces that are nearer to the
    innermost face than to the rim.

    Args:
        mesh: F faces, the part of the scan.
        pairs: [E, 2] adjacent faces.
        crossed: [E] bool, whether the border runs between them.
        off: [F] distance from the middle of the border, mm.
        reach: radius of the part, mm.
    """
    size, (i, j) = len(mesh.faces), pairs[~crossed].T
    step = np.linalg.norm(mesh.centroids[i] - mesh.centroids[j], axis=1) + 1e-9
    graph = csr_matrix((step, (i, j)), shape=(size, size))
    rim = off >= min(reach - RIM, off.max())
    from_outside = dijkstra(graph, directed=False, indices=np.flatnonzero(rim), min_only=True)
    parted = ~np.isfinite(from_outside)
    if parted.any():
        piece = connected_components(graph, directed=False)[1]
        beside: np.ndarray = parted & np.isin(piece, piece[pairs[crossed]])
        if beside.any():
            return beside
    deepest = int(np.where(off < reach - REACH, from_outside, -1).argmax())
    from_inside = dijkstra(graph, directed=False, indices=[deepest], min_only=True)
    nearer: np.ndarray = from_inside < from_outside
    return nearer


def common_corners(mesh: Mesh, pairs: np.ndarray) -> np.ndarray:
    """The two vertices that each pair of adjacent faces [E, 2] shares. [E, 2]"""
    first, second = mesh.faces[pairs[:, 0]], mesh.faces[pairs[:, 1]]
    shared = (first[:, :, None] == second[:, None, :]).any(axis=2)
    place = np.argsort(~shared, axis=1, kind="stable")[:, :2]
    common: np.ndarray = np.take_along_axis(first, place, axis=1)
    return common
