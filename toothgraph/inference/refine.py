"""Borders where the surface has them: a Potts energy over the faces near a border, minimised by alpha-expansion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from scipy.spatial import cKDTree

from toothgraph.graph.adjacency import face_adjacency
from toothgraph.mesh.mesh import Mesh

STRENGTH = 2.0  # mm² on which an e-fold of probability weighs as much as one mm of border
CREASE = 0.5  # radians of concave bend by which a border gets cheaper by an e-fold
BAND = 2.0  # mm from a border within which faces may change
PLAUSIBLE = 1e-3  # least probability of a class that a face may take
LEAST = 1e-4  # probabilities below count as this
CYCLES = 2
UNIT = 10_000.0  # capacities are whole numbers


@dataclass(frozen=True, eq=False)
class Borders:
    """Pairs of adjacent faces.

    Attributes:
        pairs: [E, 2] faces, each pair once.
        weight: [E] mm, what a border between them costs: its length, less in a concave fold.
    """

    pairs: np.ndarray
    weight: np.ndarray


def borders(mesh: Mesh, crease: float = CREASE) -> Borders:
    """The pairs of faces that share an edge, with what a border along it costs."""
    source, target = face_adjacency(mesh.faces)
    once = source < target
    a, b = source[once], target[once]
    # two triangles that share an edge share two corners; the edge is between those
    shared = (mesh.faces[a][:, :, None] == mesh.faces[b][:, None, :]).any(axis=2)  # [E, 3 corners of a]
    corners = mesh.vertices[mesh.faces[a]]
    middle = np.where(shared[:, :, None], corners, 0).sum(axis=1) / np.maximum(shared.sum(axis=1), 1)[:, None]
    spread = np.where(shared[:, :, None], corners - middle[:, None], 0)
    length = np.sqrt((spread**2).sum(axis=(1, 2)) * 2)  # two ends, each half the length from the middle
    cosine = np.clip((mesh.normals[a] * mesh.normals[b]).sum(axis=1), -1, 1)
    concave = ((mesh.centroids[b] - mesh.centroids[a]) * mesh.normals[a]).sum(axis=1) > 0
    bend = np.where(concave, np.arccos(cosine), 0.0)
    return Borders(np.stack([a, b], axis=1), length * np.exp(-bend / crease))


def refine(
    mesh: Mesh, prob: np.ndarray, strength: float = STRENGTH, crease: float = CREASE, band: float = BAND
) -> np.ndarray:
    """Move borders into the folds of the surface.

    Minimises Σ_f area_f·(−log prob_f[l_f]) + strength·Σ over borders of their length, which counts less the sharper
    the fold it runs in (Potts model; alpha-expansion of Boykov, Veksler and Zabih, PAMI 2001). Only faces near a border
    of the likeliest labels may change.

    Args:
        mesh: F faces.
        prob: [F, C] probabilities.
        strength: mm.
        crease: radians.
        band: mm.

    Returns:
        [F] classes.
    """
    labels = prob.argmax(axis=1)
    every = borders(mesh, crease)
    free = near_border(mesh, labels, every.pairs, band)
    touching = free[every.pairs].any(axis=1)
    near = Borders(every.pairs[touching], strength * every.weight[touching])
    for _ in range(CYCLES):
        before = labels.copy()
        for label in np.unique(labels[free]):
            nodes = np.flatnonzero(free & (labels != label) & (prob[:, label] > PLAUSIBLE))
            if len(nodes):
                expand(labels, label, nodes, prob, mesh.areas, near)
        if np.array_equal(before, labels):
            break
    return labels


def near_border(mesh: Mesh, labels: np.ndarray, pairs: np.ndarray, band: float) -> np.ndarray:
    """Faces within ``band`` mm of a face at a border of labels. [F] bool."""
    at = np.unique(pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]])
    if len(at) == 0:
        return np.zeros(len(labels), dtype=bool)
    distance, _ = cKDTree(mesh.centroids[at]).query(mesh.centroids, distance_upper_bound=band)
    near: np.ndarray = np.isfinite(distance)
    return near


def expand(
    labels: np.ndarray, label: int, nodes: np.ndarray, prob: np.ndarray, area: np.ndarray, near: Borders
) -> None:
    """Let any of some faces change to ``label`` at once, so that the energy falls as far as it can.

    The least cut of a graph whose nodes are these faces: one on the sink's side changes.

    Args:
        labels: [F], changed in place.
        label: the class to change to.
        nodes: [M] faces of other labels.
        prob: [F, C].
        area: [F] mm².
        near: the borders that count.
    """
    number = np.full(len(labels), -1)
    number[nodes] = np.arange(len(nodes))
    keep, change = (  # what staying and what changing costs
        -np.log(np.maximum(prob[nodes, which].astype(np.float64), LEAST)) * area[nodes]
        for which in (labels[nodes], label)
    )
    pairs, weight = near.pairs, near.weight
    i, j = number[pairs].T
    one, both = (i < 0) != (j < 0), (i >= 0) & (j >= 0)
    # a border with a face that cannot change
    inside = np.where(i[one] >= 0, i[one], j[one])
    outside = np.where(i[one] >= 0, pairs[one, 1], pairs[one, 0])
    np.add.at(keep, inside, weight[one] * (labels[outside] != labels[nodes[inside]]))
    np.add.at(change, inside, weight[one] * (labels[outside] != label))
    # Two free faces: x = 1 for change. E = w·[x_i ≠ x_j] if they had one label; if not, w·(1 − x_i x_j), which is
    # w − w·x_j + w·(1 − x_i)·x_j (Kolmogorov and Zabih, PAMI 2004).
    i, j, w = i[both], j[both], weight[both]
    same = labels[nodes[i]] == labels[nodes[j]]
    np.add.at(keep, j[~same], w[~same])
    stays = cut(keep, change, np.r_[i, j[same]], np.r_[j, i[same]], np.r_[w, w[same]])
    labels[nodes[~stays]] = label


def cut(keep: np.ndarray, change: np.ndarray, start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The least cut: which nodes stay, of costs to keep [M], to change [M], and w for start staying as end changes."""
    m = len(keep)
    source, sink, every = m, m + 1, np.arange(m)
    least = np.minimum(keep, change)
    rows = np.r_[np.full(m, source), every, start]
    columns = np.r_[every, np.full(m, sink), end]
    values = np.r_[change - least, keep - least, weight]
    capacity = csr_matrix((np.rint(values * UNIT).astype(np.int64), (rows, columns)), shape=(m + 2, m + 2))
    capacity.data = np.minimum(capacity.data, np.iinfo(np.int32).max // 4)
    capacity = capacity.astype(np.int32)
    residual = capacity - maximum_flow(capacity, source, sink).flow
    residual.data = np.maximum(residual.data, 0)
    residual.eliminate_zeros()
    reached = breadth_first_order(residual, source, return_predecessors=False)
    stays = np.zeros(m + 2, dtype=bool)
    stays[reached] = True
    return stays[:m]
