"""Neighbour tables: a fixed number of neighbours per node, computed once per scan.

A table is ``[k, N]`` int64. Column ``n`` contains the neighbours of node ``n``, nearest first. A missing neighbour is
the node itself, never -1: batching adds offsets to indices, so -1 would become a node of another scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from toothgraph.errors import ConfigError, ShapeError, check_number
from toothgraph.mesh.checks import checked_edges, checked_indices


def _checked(pos: np.ndarray, k: int = 1, least: int = 1) -> np.ndarray:
    """The positions, [N, 3] finite numbers, after a check of these and that ``k`` is at least ``least``."""
    pos = np.asarray(pos)
    if np.ndim(pos) != 2 or np.shape(pos)[1] != 3:
        raise ShapeError(f"expected positions [N, 3], got {list(np.shape(pos))}")
    if not (finite := np.isfinite(pos).all(axis=1)).all():
        raise ShapeError(f"expected positions of finite numbers, got others at node {int(np.argmin(finite))}")
    check_number("k", k, least=least, whole=True)
    return pos


def check_spacings(spacings: Any) -> None:
    """Check the spacings of levels.

    Raises:
        ConfigError: if they are not a sequence of finite numbers of at least 0, in increasing order.
    """
    numbers = isinstance(spacings, Sequence) and all(isinstance(each, Real) and isfinite(each) for each in spacings)
    if not numbers or list(spacings) != sorted(spacings) or (spacings and not spacings[0] >= 0):
        wanted = "finite numbers of at least 0 in increasing order, one per level"
        raise ConfigError(f"expected spacings (mm) as {wanted}, got {spacings!r}")


def knn_table(pos: np.ndarray, k: int, candidates: np.ndarray | None = None, workers: int = 1) -> np.ndarray:
    """The ``k`` nearest other nodes in space.

    The scans of a ``Batch`` overlap in space, so a table of all their positions would link different scans. Make the
    table of each graph before you batch the graphs, as :func:`toothgraph.graph.add_tables` does, or use
    :func:`toothgraph.nn.knn_edges`, which takes a ``batch``.

    Args:
        pos: [N, 3] positions of one scan.
        k: neighbours per node.
        candidates: [M] indices of the nodes that may be neighbours; all nodes by default.
        workers: number of threads for the search.

    Returns:
        [k, N] int64.

    Raises:
        ShapeError: for positions of another shape or that are not finite, or candidates that are not nodes.
        ConfigError: for a ``k`` below 0.

    Example:
        >>> pos = np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]])
        >>> knn_table(pos, 2)
        array([[1, 0, 1],
               [2, 2, 0]])
    """
    pos = _checked(pos, k, least=0)
    nodes = np.arange(len(pos))
    pool = nodes if candidates is None else checked_indices("candidates", candidates, len(pos), "nodes")
    if len(pool) == 0 or len(pos) == 0:
        return np.broadcast_to(nodes, (k, len(pos))).copy()
    tree = cKDTree(pos[pool])
    distance, found = tree.query(pos, k=range(1, min(k + 1, len(pool)) + 1), workers=workers)  # [N, ≤ k+1]
    found = pool[found]
    # Move the node itself to the end (it is not always the first: faces may have the same centroid).
    distance = np.where(found == nodes[:, None], np.inf, distance)
    order = np.argsort(distance, axis=1, kind="stable")
    found = np.take_along_axis(found, order, axis=1)[:, :k]
    table = np.broadcast_to(nodes[:, None], (len(pos), k)).copy()
    table[:, : found.shape[1]] = found
    return np.ascontiguousarray(table.T)


def thin(pos: np.ndarray, spacing: float) -> np.ndarray:
    """One node per cube of side ``spacing``: the node nearest to the centre of the cube.

    Args:
        pos: [N, 3] positions, mm.
        spacing: mm.

    Returns:
        [M] sorted indices of the nodes.

    Raises:
        ShapeError: for positions of another shape or that are not finite.
        ConfigError: for a spacing that is not above 0.

    Example:
        >>> pos = np.array([[0.5, 0.5, 0.5], [0.9, 0.5, 0.5], [1.5, 0.5, 0.5]])
        >>> thin(pos, spacing=1.0).tolist()  # the second node is in the cube of the first
        [0, 2]
    """
    pos = _checked(pos)
    check_number("a spacing (mm)", spacing, above=0)
    cell = np.floor(pos / spacing).astype(np.int64)
    off_centre = ((pos / spacing - cell - 0.5) ** 2).sum(axis=1)
    order = np.lexsort((off_centre, cell[:, 2], cell[:, 1], cell[:, 0]))
    is_first = np.any(np.diff(cell[order], axis=0, prepend=cell[order[:1]] - 1) != 0, axis=1)
    return np.sort(order[is_first])


def surface_distance(pos: np.ndarray, edge_index: np.ndarray, start: int | np.ndarray) -> np.ndarray:
    """Shortest distances along the edges of the graph, mm; infinite where there is no path (Dijkstra's algorithm).

    Args:
        pos: [N, 3] positions.
        edge_index: [2, E], both directions; an edge that is listed twice counts once.
        start: one node, or [M] nodes.

    Returns:
        [N] for one node, [M, N] for M nodes.

    Raises:
        ShapeError: for edges of another shape, or for nodes that do not exist.
    """
    source, target = checked_edges(edge_index, len(pos))
    start = checked_indices("start", start, len(pos), "nodes")
    length = np.linalg.norm(pos[source] - pos[target], axis=1) + 1e-9  # in a sparse matrix, zero means no edge
    # csr_matrix adds up the lengths of an edge that is listed several times; so divide by the number of times.
    graph, times = (csr_matrix((each, (source, target)), shape=(len(pos), len(pos)))
                    for each in (length, np.ones(len(length))))  # fmt: skip
    graph.data /= times.data
    distance: np.ndarray = dijkstra(graph, indices=start)
    return distance


def surface_table(pos: np.ndarray, edge_index: np.ndarray, k: int, candidates: np.ndarray) -> np.ndarray:
    """The ``k`` nearest other nodes along the edges of the graph; nodes without a path are not neighbours.

    Args:
        pos: [N, 3] positions.
        edge_index: [2, E].
        k: neighbours per node.
        candidates: [M] indices of the nodes that may be neighbours. All N·M distances are computed at once, so
            :func:`ring_table` is better if all nodes are candidates.

    Returns:
        [k, N] int64.

    Raises:
        ShapeError: for edges of another shape, or for nodes that do not exist.
    """
    nodes, candidates = np.arange(len(pos)), checked_indices("candidates", candidates, len(pos), "nodes")
    table = np.broadcast_to(nodes, (k, len(pos))).copy()
    distance = surface_distance(pos, edge_index, candidates)  # [M, N]
    distance[np.arange(len(candidates)), candidates] = np.inf  # not itself
    nearest = np.argsort(distance, axis=0, kind="stable")[:k]  # [≤ k, N]
    reached = np.isfinite(np.take_along_axis(distance, nearest, axis=0))
    table[: len(nearest)] = np.where(reached, candidates[nearest], nodes)
    return table


def dilated_tables(
    pos: np.ndarray, k: int, spacings: Sequence[float], edge_index: np.ndarray | None = None, workers: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbourhoods of growing size: at each level, the ``k`` nearest nodes of a coarser set of nodes.

    The nodes of a level are a subset of the nodes of the level before (:func:`thin`). On a surface, ``k`` nodes with
    spacing s reach about s·√(k/π), independent of the resolution of the scan.

    Args:
        pos: [N, 3] positions, mm.
        k: neighbours per level.
        spacings: mm, one per level, increasing; 0 means all nodes.
        edge_index: [2, E], to measure distances along the edges and not through space. A level of all nodes then counts
            steps, see :func:`ring_table`.
        workers: number of threads for the search through space.

    Returns:
        The table [len(spacings)·k, N] int64, level by level, and ``level`` [N] int64, the coarsest level of each node.
        All neighbours at level l have ``level`` ≥ l, except a missing neighbour, which is replaced by the node itself.

    Raises:
        ShapeError: for positions of another shape or that are not finite.
        ConfigError: for a ``k`` below 1, or spacings that are not increasing from 0 or more.

    Example:
        >>> pos = np.random.default_rng(0).uniform(0, 20, size=(300, 3))
        >>> table, level = dilated_tables(pos, k=8, spacings=(0.0, 4.0))
        >>> table.shape, bool((level[table[8:]] == 1).all())  # the second 8 neighbours are nodes of the second level
        ((16, 300), True)
    """
    pos = _checked(pos, k)
    check_spacings(spacings)
    level = np.zeros(len(pos), dtype=np.int64)
    nodes = np.arange(len(pos))
    tables = []
    for number, spacing in enumerate(spacings):
        if spacing > 0:
            nodes = nodes[thin(pos[nodes], spacing)]
        level[nodes] = number
        if edge_index is None:
            tables.append(knn_table(pos, k, nodes, workers))
        elif len(nodes) == len(pos):
            tables.append(ring_table(edge_index, len(pos), k, k))
        else:
            tables.append(surface_table(pos, edge_index, k, nodes))
    table = np.concatenate(tables) if tables else np.zeros((0, len(pos)), dtype=np.int64)
    return table, level


def ring_table(edge_index: np.ndarray, num_nodes: int, rings: int, k: int | None = None) -> np.ndarray:
    """The nodes within ``rings`` steps along the edges, sorted by ring, then by index.

    Args:
        edge_index: [2, E].
        num_nodes: N.
        rings: number of steps, at least 1.
        k: rows of the table; by default the size of the largest neighbourhood. Larger neighbourhoods are cut off.

    Returns:
        [k, N] int64.

    Raises:
        ShapeError: for edges of another shape, or to nodes that do not exist.
        ConfigError: if ``rings`` is below 1.

    Example:
        >>> row = np.array([[0, 1, 1, 2], [1, 0, 2, 1]])  # three nodes, each beside the next
        >>> ring_table(row, 3, rings=2)  # a node that has no more neighbours stands for itself
        array([[1, 0, 1],
               [2, 2, 0]])
    """
    check_number("num_nodes", num_nodes, least=0, whole=True)
    check_number("rings", rings, least=1, whole=True)
    edge_index = checked_edges(edge_index, num_nodes)
    one = np.ones(edge_index.shape[1], dtype=np.int32)
    adjacency = csr_matrix((one, (edge_index[0], edge_index[1])), shape=(num_nodes, num_nodes))
    # 1. Ring by ring: the neighbours of the last ring that are not seen yet.
    seen = csr_matrix((np.ones(num_nodes, np.int32), (np.arange(num_nodes),) * 2), shape=(num_nodes,) * 2)
    front = seen
    sources, targets, steps = [], [], []
    for step in range(1, rings + 1):
        front = front @ adjacency
        front = front - front.multiply(seen > 0)
        front.eliminate_zeros()
        front.data[:] = 1
        seen = seen + front
        source, target = front.nonzero()
        sources.append(source)
        targets.append(target)
        steps.append(np.full(len(source), step))
    # 2. Sort by node, ring and index, and fill the table.
    source, target, ring = (np.concatenate(part) for part in (sources, targets, steps))
    order = np.lexsort((target, ring, source))
    source, target = source[order], target[order]
    first = np.searchsorted(source, np.arange(num_nodes))
    place = np.arange(len(source)) - first[source]
    if k is None:
        k = int(place.max()) + 1 if len(place) else 0
    table = np.broadcast_to(np.arange(num_nodes), (k, num_nodes)).copy()
    keep = place < k
    table[place[keep], source[keep]] = target[keep]
    return table


def crop_table(table: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The table of a subset of the nodes; a neighbour outside the subset is replaced by the node itself.

    Args:
        table: [k, N].
        keep: [M] indices of the kept nodes, in their new order.

    Returns:
        [k, M], dtype of ``table``.

    Raises:
        ShapeError: if ``table`` is not [k, N], if a node to keep or a neighbour in the table does not exist, or if a
            node is kept twice.

    Example:
        >>> crop_table(np.array([[1, 2, 0], [2, 0, 1]]), np.array([0, 2]))  # node 2 is the second now
        array([[0, 0],
               [1, 1]])
    """
    if np.ndim(table) != 2:
        raise ShapeError(f"expected a table [k, N], got {list(np.shape(table))}")
    nodes = np.shape(table)[1]
    keep = checked_indices("nodes to keep", keep, nodes, "columns of the table")
    table = checked_indices("neighbours in the table", table, nodes, "columns")
    if len(np.unique(keep)) != len(keep):
        raise ShapeError("expected each node to keep once, got one several times; give each node once")
    new = np.full(table.shape[1], -1, dtype=np.int64)
    new[keep] = np.arange(len(keep))
    cropped = new[table[:, keep]]
    return np.where(cropped < 0, np.arange(len(keep)), cropped).astype(table.dtype)
