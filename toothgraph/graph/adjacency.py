"""Which faces touch: the edges of the face graph.

Policy, by how many faces share a mesh edge:

* one face: a border, no link;
* two faces: linked, in both directions;
* three to ``MAX_FACES_PER_EDGE`` (non-manifold): every pair of them is linked;
* more: linked to none, as a border. Such edges come from broken exports; linking all pairs would let one
  bad edge make the graph quadratic.

Orientation plays no part, so inconsistently wound faces are still neighbours.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

MAX_FACES_PER_EDGE = 16


def face_adjacency(faces: np.ndarray) -> np.ndarray:
    """Pairs of faces that share a mesh edge.

    Args:
        faces: [F, 3] vertex indices.

    Returns:
        ``edge_index`` [2, E] int64: both directions, each pair once, sorted by source, then target.
    """
    faces = np.asarray(faces)
    faces = faces if faces.dtype.kind in "iu" else faces.astype(np.int64)
    num_faces = len(faces)
    if num_faces == 0:
        return np.zeros((2, 0), dtype=np.int64)

    # 1. The 3F sides, ordered by their lower vertex, then by their upper one: equal edges stand together.
    lower, upper, face = _sorted_sides(faces)
    changes = (upper[1:] != upper[:-1]) | (lower[1:] != lower[:-1])
    first = np.concatenate([[0], np.flatnonzero(changes) + 1])
    count = np.diff(first, append=len(face))
    linked = (count > 1) & (count <= MAX_FACES_PER_EDGE)
    first, count = first[linked], count[linked]

    # 2. Pair the faces of an edge, whose sides stand 1, 2, … places apart.
    pairs = [
        (face[first[count > b] + a], face[first[count > b] + b])
        for b in range(1, int(count.max(initial=0)))
        for a in range(b)
    ]
    if not pairs:
        return np.zeros((2, 0), dtype=np.int64)
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    different = a != b  # a degenerate face may meet itself
    a, b = a[different], b[different]

    # 3. Both directions, each pair once, in order.
    ends = np.concatenate([a, b]), np.concatenate([b, a])
    links = csr_matrix((np.ones(len(ends[0]), dtype=bool), ends), shape=(num_faces, num_faces))
    links.sum_duplicates()
    edge_index = np.empty((2, links.nnz), dtype=np.int64)
    edge_index[0] = np.repeat(np.arange(num_faces), np.diff(links.indptr))
    edge_index[1] = links.indices
    return edge_index


def label_pieces(label: np.ndarray, edge_index: np.ndarray) -> np.ndarray:
    """The connected piece of equal labels that each face belongs to.

    Args:
        label: [F].
        edge_index: [2, E].

    Returns:
        [F] int32, numbered from 0.
    """
    source, target = edge_index
    same = label[source] == label[target]
    ends = source[same], target[same]
    graph = csr_matrix((np.ones(len(ends[0]), dtype=bool), ends), shape=(len(label), len(label)))
    piece: np.ndarray = connected_components(graph, directed=False)[1]
    return piece


def _sorted_sides(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower vertex, upper vertex and face of all 3F sides, sorted by lower, then upper vertex.

    A sparse matrix of faces and lower vertices that is turned round puts the sides in order of their lower vertex
    in linear time; the few at each are sorted then.
    """
    num_vertices = int(faces.max()) + 1
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
