"""Mesh topology: the edges of the face graph, its connected components and the boundary.

The number of faces that share a mesh edge decides:

* one face: a boundary edge, no link;
* two faces: linked, in both directions;
* three to ``MAX_FACES_PER_EDGE`` (non-manifold): all pairs are linked;
* more: no link, like a boundary edge. Such edges come from broken exports, and the number of pairs would grow
  quadratically.

Orientation is not used: faces with inconsistent winding are neighbours, too.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from toothgraph.errors import ShapeError
from toothgraph.mesh.checks import checked_edges, checked_indices

MAX_FACES_PER_EDGE = 16


def face_adjacency(faces: np.ndarray) -> np.ndarray:
    """Pairs of faces that share a mesh edge.

    Args:
        faces: [F, 3] vertex indices.

    Returns:
        ``edge_index`` [2, E] int64: both directions, each pair once, sorted by source, then by target.

    Raises:
        ShapeError: for another shape, or for vertex indices that are negative or not whole.

    Example:
        >>> face_adjacency(np.array([[0, 1, 2], [1, 3, 2], [4, 5, 6]])).tolist()  # the first two share an edge
        [[0, 1], [1, 0]]
    """
    faces = _checked_faces(faces)
    num_faces = len(faces)
    if num_faces == 0:
        return np.zeros((2, 0), dtype=np.int64)

    # 1. Sort the 3F sides by lower, then by upper vertex: equal edges are then consecutive.
    lower, upper, face = _sorted_sides(faces)
    changes = (upper[1:] != upper[:-1]) | (lower[1:] != lower[:-1])
    first = np.concatenate([[0], np.flatnonzero(changes) + 1])
    count = np.diff(first, append=len(face))
    linked = (count > 1) & (count <= MAX_FACES_PER_EDGE)
    first, count = first[linked], count[linked]

    # 2. Pair the faces of each edge.
    pairs = [
        (face[first[count > b] + a], face[first[count > b] + b])
        for b in range(1, int(count.max(initial=0)))
        for a in range(b)
    ]
    if not pairs:
        return np.zeros((2, 0), dtype=np.int64)
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    different = a != b  # a degenerate face may be paired with itself
    a, b = a[different], b[different]

    # 3. Both directions, each pair once, in order.
    ends = np.concatenate([a, b]), np.concatenate([b, a])
    links = csr_matrix((np.ones(len(ends[0]), dtype=bool), ends), shape=(num_faces, num_faces))
    links.sum_duplicates()
    edge_index = np.empty((2, links.nnz), dtype=np.int64)
    edge_index[0] = np.repeat(np.arange(num_faces), np.diff(links.indptr))
    edge_index[1] = links.indices
    return edge_index


def border_edges(faces: np.ndarray) -> np.ndarray:
    """The boundary edges of a mesh: edges of one face only.

    Args:
        faces: [F, 3] vertex indices.

    Returns:
        [E, 2] vertex indices, each edge in the direction of its face.

    Raises:
        ShapeError: for another shape, or for vertex indices that are negative or not whole.
    """
    faces = _checked_faces(faces)
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    number = edges.astype(np.int64, copy=False)
    if faces.max(initial=0) >= 2**31:  # the key would overflow
        number = np.unique(edges, return_inverse=True)[1].reshape(-1, 2)
    key = number.min(axis=1) * (number.max(initial=-1) + 1) + number.max(axis=1)
    _, where, count = np.unique(key, return_inverse=True, return_counts=True)
    return edges[count[where] == 1]


def label_pieces(label: np.ndarray, edge_index: np.ndarray) -> np.ndarray:
    """Connected components of faces with equal labels.

    Args:
        label: [F].
        edge_index: [2, E].

    Returns:
        [F] int32, the component of each face, numbered from 0.

    Raises:
        ShapeError: for edges of another shape, or of faces that do not exist.

    Example:
        >>> row = np.array([[0, 1, 1, 2], [1, 0, 2, 1]])  # three faces, each beside the next
        >>> label_pieces(np.array([11, 0, 11]), row).tolist()
        [0, 1, 2]
    """
    label = np.asarray(label)
    if label.ndim != 1:
        raise ShapeError(f"expected label [F], one for each face, got {list(label.shape)}")
    source, target = checked_edges(edge_index, len(label))
    same = label[source] == label[target]
    ends = source[same], target[same]
    graph = csr_matrix((np.ones(len(ends[0]), dtype=bool), ends), shape=(len(label), len(label)))
    piece: np.ndarray = connected_components(graph, directed=False)[1]
    return piece


def _checked_faces(faces: np.ndarray) -> np.ndarray:
    """Vertex indices [F, 3] that compiled code may read; raises ShapeError."""
    faces = np.asarray(faces)
    if faces.size and (faces.ndim != 2 or faces.shape[1] != 3):
        raise ShapeError(f"expected faces [F, 3], got {list(faces.shape)}")
    return checked_indices("faces", faces.reshape(-1, 3), None, "vertices")


def _sorted_sides(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower vertex, upper vertex and face of all 3F sides, sorted by lower, then by upper vertex.

    Vertices that no face uses cost nothing: if the vertex numbers are much larger than the number of corners, the used
    vertices are numbered anew first. A transposed sparse matrix (faces by lower vertices) sorts the sides by lower
    vertex in linear time. The few sides at each vertex are sorted afterwards.
    """
    num_vertices = int(faces.max()) + 1
    if num_vertices > 16 * faces.size + 1024:  # else memory for every number up to the largest
        used, corners = np.unique(faces, return_inverse=True)
        lower, upper, face = _sorted_sides(corners.reshape(-1, 3))
        return used[lower], used[upper], face
    number = np.int32 if max(num_vertices, 3 * len(faces)) < 2**31 else np.int64
    lower, upper = np.empty((2, len(faces), 3), dtype=number)
    for side in range(3):
        a, b = faces[:, side], faces[:, (side + 1) % 3]
        np.minimum(a, b, out=lower[:, side], casting="same_kind")
        np.maximum(a, b, out=upper[:, side], casting="same_kind")
    ends = np.arange(0, 3 * len(faces) + 1, 3, dtype=number)
    by_vertex = csr_matrix((upper.ravel(), lower.ravel(), ends), shape=(len(faces), num_vertices)).tocsc()
    sides = csr_matrix((by_vertex.indices, by_vertex.data, by_vertex.indptr), shape=(num_vertices, num_vertices))
    sides.sort_indices()
    lower = np.repeat(np.arange(num_vertices, dtype=number), np.diff(sides.indptr))
    return lower, sides.indices, sides.data
