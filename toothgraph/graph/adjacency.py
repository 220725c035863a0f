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

MAX_FACES_PER_EDGE = 16


def face_adjacency(faces: np.ndarray) -> np.ndarray:
    """Pairs of faces that share a mesh edge.

    Args:
        faces: [F, 3] vertex indices.

    Returns:
        ``edge_index`` [2, E] int64: both directions, each pair once, sorted by source, then target.
    """
    faces = np.asarray(faces, dtype=np.int64)
    num_faces = len(faces)
    if num_faces == 0:
        return np.zeros((2, 0), dtype=np.int64)

    # 1. One row per (face, side), ordered so that equal edges stand together.
    ends = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)  # [3F, 2]
    key = ends.min(axis=1) * (faces.max() + 1) + ends.max(axis=1)  # [3F]
    order = np.argsort(key, kind="stable")
    face = order // 3
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    count = np.diff(first, append=len(order))
    shared = np.repeat(np.where(count <= MAX_FACES_PER_EDGE, count, 1), count)  # [3F]
    group = np.repeat(np.arange(len(first)), count)

    # 2. Pair each row with the rows 1, 2, … places further on in its group.
    codes = []
    for step in range(1, int(shared.max())):
        here = np.flatnonzero((group[:-step] == group[step:]) & (shared[:-step] > step))
        a, b = face[here], face[here + step]
        different = a != b  # a degenerate face may meet itself
        codes += [a[different] * num_faces + b[different], b[different] * num_faces + a[different]]

    if not codes:
        return np.zeros((2, 0), dtype=np.int64)
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), num_faces))
