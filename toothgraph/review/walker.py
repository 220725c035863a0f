"""Assign faces to clicks by a random walk over the surface, which hardly crosses a fold.

Source: random walker, Grady, PAMI 2006, https://doi.org/10.1109/TPAMI.2006.233
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu

from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.borders import borders, neighbours

CREASE = 0.08  # radians; a concave bend of this size makes a step across it less likely by a factor e
# Distance of two unit embeddings that makes a step less likely by a factor e. Of 0.03, 0.1, 0.3 and 1, this value is
# the best on eight validation scans of 3D-IOSSeg: a new tooth by one click has a mean IoU of 0.967 with it, and of
# 0.953 without an embedding.
UNLIKE = 0.3
NO_STEP = 1e-9  # likelihood of a step where there is none, so that every walk ends


def walk(
    mesh: Mesh, seed: np.ndarray, count: int, crease: float = CREASE, embedding: np.ndarray | None = None
) -> np.ndarray:
    """The probability that a walk from each face reaches the seeds of each label first.

    The likelihood of a step to a neighbour grows with the length of their common edge. It is smaller in a concave fold,
    for a long step, and between faces that a net tells apart.

    Args:
        mesh: F faces.
        seed: [F] label of each face that is a seed, 0 to ``count - 1``; -1 for all others.
        count: number of labels.
        crease: see ``CREASE``.
        embedding: [F, D] embeddings of a net, each of length 1, if there is a net.

    Returns:
        [F, count]; on a piece of the surface without seeds, all labels are equally likely.
    """
    # 1. The Laplacian of the steps.
    pairs = neighbours(mesh)
    i, j = pairs.T
    far = np.linalg.norm(mesh.centroids[i] - mesh.centroids[j], axis=1)
    weight = borders(mesh, crease, pairs).weight / np.maximum(far, 1e-3) + NO_STEP
    if embedding is not None:
        weight = weight * np.exp(-np.linalg.norm(embedding[i] - embedding[j], axis=1) / UNLIKE)
    n = len(mesh.faces)
    steps = csr_matrix((np.r_[weight, weight], (np.r_[i, j], np.r_[j, i])), shape=(n, n))
    laplacian = (diags(np.asarray(steps.sum(axis=1)).ravel() + NO_STEP) - steps).tocsr()
    # 2. The walks from all faces that are not seeds, at once.
    fixed, free = np.flatnonzero(seed >= 0), np.flatnonzero(seed < 0)
    reached = np.zeros((n, count))
    reached[fixed, seed[fixed]] = 1
    if len(free) and len(fixed):
        rows = laplacian[free]
        known = -(rows[:, fixed] @ reached[fixed])
        symmetric = {"SymmetricMode": True}
        reached[free] = splu(rows[:, free].tocsc(), permc_spec="MMD_AT_PLUS_A", options=symmetric).solve(known)
    total = reached.sum(axis=1, keepdims=True)
    share: np.ndarray = np.where(total > NO_STEP, np.maximum(reached, 0) / np.maximum(total, NO_STEP), 1 / count)
    return share
