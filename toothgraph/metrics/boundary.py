"""Faces near a boundary of true labels."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.fdi import (
    fdi_to_class,
)

BOUNDARY_RADIUS = 1.0  # mm


_PIECE = 0.5  # mm, maximum length of edge pieces in the candidate search


_CHUNK = 4096  # pieces per search, to limit the memory


def _weld(vertices: np.ndarray) -> np.ndarray:
    """One number per distinct position, [V] int64. Some formats, such as STL, repeat a vertex for every face."""
    if len(vertices) == 0:
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort(vertices.T)
    new = (np.diff(vertices[order], axis=0) != 0).any(axis=1)
    number = np.zeros(len(vertices), dtype=np.int64)
    number[order[1:]] = np.cumsum(new)
    return number


def label_change_edges(vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Edges between two faces with different known labels.

    Vertices at the same position count as one, so files that repeat vertices give the same edges.

    Args:
        vertices: [V, 3] mm.
        faces: [F, m] indices into ``vertices``; short rows are filled with -1.
        labels: [F] FDI numbers; faces that are neither 0 nor a permanent tooth are ignored.

    Returns:
        [E, 2 ends, 3] float64, mm: each edge once.

    Example:
        >>> vertices = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0], [10, 10, 0]])
        >>> faces = np.array([[0, 1, 2], [1, 3, 2]])  # two halves of a square
        >>> label_change_edges(vertices, faces, np.array([0, 11])).tolist()
        [[[10.0, 0.0, 0.0], [0.0, 10.0, 0.0]]]
    """
    # 1. Sides of the faces with a known label.
    label = fdi_to_class(labels)
    corner = np.asarray(faces)[label >= 0]
    label = label[label >= 0]
    following = np.roll(corner, -1, axis=1)
    following = np.where(following < 0, corner[:, :1], following)
    # [F, m, 2] -> [F * m, 2]
    ends = np.stack([corner, following], axis=2).reshape(-1, 2)
    owner = np.repeat(label, corner.shape[1])
    # 2. Vertices by position; without degenerate sides.
    place = _weld(vertices)
    number = np.sort(place[ends], axis=1)
    real = (ends[:, 0] >= 0) & (number[:, 0] != number[:, 1])
    ends, owner, number = ends[real], owner[real], number[real]
    if len(ends) == 0:
        return np.zeros((0, 2, 3))
    # 3. Group equal sides; keep those with more than one label.
    key = number[:, 0] * len(vertices) + number[:, 1]
    order = np.argsort(key, kind="stable")
    start = np.flatnonzero(np.diff(key[order], prepend=-1))
    lowest = np.minimum.reduceat(owner[order], start)
    highest = np.maximum.reduceat(owner[order], start)
    return np.asarray(vertices, dtype=np.float64)[ends[order[start[lowest != highest]]]]


def _segment_distance(points: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Distance of each point [P, 3] to its own segment [P, 2, 3]. [P]"""
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]
    length2 = np.maximum((along**2).sum(axis=1), 1e-300)
    share = np.clip(((points - start) * along).sum(axis=1) / length2, 0, 1)
    return np.linalg.norm(points - start - share[:, None] * along, axis=1)


def _near_segments(points: np.ndarray, segments: np.ndarray, radius: float) -> np.ndarray:
    """Which points [P, 3] are within ``radius`` of any segment [E, 2, 3]. [P] bool, exact.

    A point near a segment is near the middle of one of its short pieces. A k-d tree finds these candidates; then the
    distance to the whole segment is computed.
    """
    near = np.zeros(len(points), dtype=bool)
    if len(points) == 0 or len(segments) == 0:
        return near
    along = segments[:, 1] - segments[:, 0]
    length = np.linalg.norm(along, axis=1)
    pieces = np.maximum(np.ceil(length / _PIECE), 1).astype(np.int64)
    parent = np.repeat(np.arange(len(segments)), pieces)
    rank = np.arange(len(parent)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    middle = segments[parent, 0] + ((rank + 0.5) / pieces[parent])[:, None] * along[parent]
    reach = radius + (length / pieces).max() / 2 + 1e-6
    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    for first in range(0, len(middle), _CHUNK):
        part = cKDTree(middle[first : first + _CHUNK])
        pairs = part.sparse_distance_matrix(tree, reach, output_type="ndarray")
        point, edge = pairs["j"], parent[pairs["i"] + first]
        open_ = ~near[point]
        point, edge = point[open_], edge[open_]
        near[point[_segment_distance(points[point], segments[edge]) <= radius]] = True
    return near


def boundary_faces(
    vertices: np.ndarray, faces: np.ndarray, truth: np.ndarray, radius: float = BOUNDARY_RADIUS
) -> np.ndarray:
    """Faces with a centroid within ``radius`` mm of a true label-change edge (of the whole segment).

    Arguments as in :func:`label_change_edges`. Returns [F] bool; faces with unknown ground truth may be included.

    Example:
        >>> vertices = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0], [10, 10, 0]])
        >>> faces = np.array([[0, 1, 2], [1, 3, 2]])  # two halves of a square
        >>> boundary_faces(vertices, faces, np.array([0, 11]), radius=3.0).tolist()
        [True, True]
        >>> boundary_faces(vertices, faces, np.array([0, 0]), radius=3.0).tolist()
        [False, False]
    """
    faces = np.asarray(faces)
    corner = faces >= 0
    total = (np.asarray(vertices, dtype=np.float64)[faces] * corner[:, :, None]).sum(axis=1)
    centroids = total / corner.sum(axis=1, keepdims=True)
    return _near_segments(centroids, label_change_edges(vertices, faces, truth), radius)
