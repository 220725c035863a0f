"""Label boundaries that follow the folds of the surface: a Potts energy near boundaries, minimised by α-expansion.

Sources: Boykov, Veksler and Zabih, PAMI 2001, https://doi.org/10.1109/34.969114; Kolmogorov and Zabih, PAMI 2004,
https://doi.org/10.1109/TPAMI.2004.1262177
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from scipy.spatial import cKDTree

from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.rules import DEFAULT, BorderRules
from toothgraph.stages import clock, stage

_WORTH_TELLING = 5.0  # seconds
UNIT = 10_000.0  # scale of the capacities, which must be integers


@dataclass(frozen=True, eq=False)
class Borders:
    """Pairs of adjacent faces, and the cost of a label boundary between them.

    Attributes:
        pairs: [E, 2] faces, each pair once.
        weight: [E] mm, cost of a boundary: length of the common edge, reduced in a concave fold.
    """

    pairs: np.ndarray
    weight: np.ndarray


def borders(mesh: Mesh, crease: float = DEFAULT.borders.crease, pairs: np.ndarray | None = None) -> Borders:
    """The pairs of faces with a common edge, and the cost of a label boundary along it.

    Args:
        mesh: F faces.
        crease: radians; a concave bend of this size reduces the cost by a factor e.
        pairs: [E, 2], the pairs to use; by default all.
    """
    # 1. Pairs of faces.
    pairs = neighbours(mesh) if pairs is None else pairs
    a, b = pairs.T
    # 2. Length of the common edge, from the two common corners.
    shared = (mesh.faces[a][:, :, None] == mesh.faces[b][:, None, :]).any(axis=2)  # [E, 3 corners of a]
    corners = mesh.vertices[mesh.faces[a]]
    middle = np.where(shared[:, :, None], corners, 0).sum(axis=1) / np.maximum(shared.sum(axis=1), 1)[:, None]
    spread = np.where(shared[:, :, None], corners - middle[:, None], 0)
    length = np.sqrt((spread**2).sum(axis=(1, 2)) * 2)  # two ends, each half the length from the middle
    # 3. Bend, if concave.
    cosine = np.clip((mesh.normals[a] * mesh.normals[b]).sum(axis=1), -1, 1)
    concave = ((mesh.centroids[b] - mesh.centroids[a]) * mesh.normals[a]).sum(axis=1) > 0
    bend = np.where(concave, np.arccos(cosine), 0.0)
    return Borders(pairs, length * np.exp(-bend / crease))


def neighbours(mesh: Mesh) -> np.ndarray:
    """The pairs of faces with a common edge, each pair once. [E, 2]"""
    source, target = mesh.adjacency
    once = source < target
    return np.stack([source[once], target[once]], axis=1)


def refine(mesh: Mesh, prob: np.ndarray, rules: BorderRules = DEFAULT.borders) -> np.ndarray:
    """Move label boundaries into the folds of the surface.

    Minimises Σ_f area_f·(−log prob_f[l_f]) + strength·Σ over boundaries of their length, reduced in sharp folds (Potts
    model). Only faces near a boundary of the most likely labels may change. The time of a cut grows faster than the
    number of its faces. So the borders of a large scan are first placed on a coarser surface, and then moved a little
    on the scan itself.

    Sources: Boykov, Veksler and Zabih, PAMI 2001, https://doi.org/10.1109/34.969114 (α-expansion); Lombaert et al.,
    ICCV 2005, https://doi.org/10.1109/ICCV.2005.13 (a band around the cut of a coarser level)

    Args:
        mesh: F faces.
        prob: [F, C] probabilities.
        rules: cost of a boundary, and how far it may move.

    Returns:
        [F] classes.
    """
    if len(mesh.faces) <= rules.large:
        return _placed(mesh, prob, prob.argmax(axis=1), rules.band, rules)
    coarse = decimate(mesh, rules.coarse)
    every = np.arange(len(mesh.faces))
    onto = csr_matrix((mesh.areas, (coarse.face_map, every)), (len(coarse.mesh.faces), len(every)))
    mean = onto @ prob / np.maximum(onto @ np.ones(len(every)), 1e-12)[:, None]
    labels = refine(coarse.mesh, mean, rules)[coarse.face_map]
    return _placed(mesh, prob, labels, rules.narrow, rules)


def _placed(mesh: Mesh, prob: np.ndarray, labels: np.ndarray, band: float, rules: BorderRules) -> np.ndarray:
    """Labels [F] with a lower energy; only faces within ``band`` mm of a boundary of ``labels`` [F] may change."""
    pairs = neighbours(mesh)
    free = near_border(mesh, labels, pairs, band)
    near = borders(mesh, rules.crease, pairs[free[pairs].any(axis=1)])
    near = Borders(near.pairs, rules.strength * near.weight)
    plausible = prob > rules.plausible
    plausible &= free[:, None]
    watch = _Clock(rules.cycles * [plausible[:, label].sum() for label in np.unique(labels[free])])
    for _ in range(rules.cycles):
        before = labels.copy()
        for label in np.unique(labels[free]):
            nodes = np.flatnonzero(plausible[:, label] & (labels != label))
            stage(f"placing borders{watch.left()}")
            if len(nodes):
                expand(labels, label, nodes, prob, mesh.areas, near, rules.least)
            watch.done(plausible[:, label].sum())
        if np.array_equal(before, labels):
            break
    return labels


class _Clock:
    """Estimates the time that is left for all cuts, which take minutes on a large scan.

    Args:
        faces: number of faces that may change, for each cut.
    """

    def __init__(self, faces: Sequence[int]) -> None:
        self.all = sum(map(self._seconds, faces))
        self.past, self.begun = 0.0, time.monotonic()

    @staticmethod
    def _seconds(faces: int) -> float:
        """The time of one cut, as measured once on a core of a server; :meth:`left` corrects it."""
        return 2e-8 * float(faces) ** 1.5

    def done(self, faces: int) -> None:
        """Count one more cut as done; ``faces`` could change in it."""
        self.past += self._seconds(faces)

    def left(self) -> str:
        """The longest time that is left, as text, judged by the cuts so far; empty if it is a few seconds."""
        slower = (time.monotonic() - self.begun) / self.past if self.past > self.all / 20 else 1.0
        seconds = slower * (self.all - self.past)
        return f", at most about {clock(seconds)} left" if seconds > _WORTH_TELLING else ""


def near_border(mesh: Mesh, labels: np.ndarray, pairs: np.ndarray, band: float) -> np.ndarray:
    """Which faces are within ``band`` mm of a face at a label boundary. [F] bool

    Args:
        mesh: F faces.
        labels: [F].
        pairs: [E, 2] faces with a common edge.
        band: mm.
    """
    at = np.unique(pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]])
    if len(at) == 0:
        return np.zeros(len(labels), dtype=bool)
    distance, _ = cKDTree(mesh.centroids[at]).query(mesh.centroids, distance_upper_bound=band)
    near: np.ndarray = np.isfinite(distance)
    return near


def expand(
    labels: np.ndarray,
    label: int,
    nodes: np.ndarray,
    prob: np.ndarray,
    area: np.ndarray,
    near: Borders,
    least: float = DEFAULT.borders.least,
) -> None:
    """One expansion move: change a subset of the faces ``nodes`` to ``label`` so that the energy becomes minimal.

    This is the minimum cut of a graph of these faces; faces on the sink's side change.

    Source: Kolmogorov and Zabih, PAMI 2004, https://doi.org/10.1109/TPAMI.2004.1262177

    Args:
        labels: [F], changed in place.
        label: the new class.
        nodes: [M] faces of other labels.
        prob: [F, C].
        area: [F] mm².
        near: the pairs of faces near boundaries.
        least: lower limit of the probabilities.
    """
    # 1. Costs of each face to keep its label and to change it.
    number = np.full(len(labels), -1)
    number[nodes] = np.arange(len(nodes))
    keep, change = (
        -np.log(np.maximum(prob[nodes, which].astype(np.float64), least)) * area[nodes]
        for which in (labels[nodes], label)
    )
    pairs, weight = near.pairs, near.weight
    i, j = number[pairs].T
    one, both = (i < 0) != (j < 0), (i >= 0) & (j >= 0)
    # 2. Pairs with one face that cannot change: part of the costs of the other face.
    inside = np.where(i[one] >= 0, i[one], j[one])
    outside = np.where(i[one] >= 0, pairs[one, 1], pairs[one, 0])
    np.add.at(keep, inside, weight[one] * (labels[outside] != labels[nodes[inside]]))
    np.add.at(change, inside, weight[one] * (labels[outside] != label))
    # 3. Pairs of two free faces; x = 1 means change. E = w·[x_i ≠ x_j] for equal labels, else w·(1 − x_i x_j) =
    #    w − w·x_j + w·(1 − x_i)·x_j.
    i, j, w = i[both], j[both], weight[both]
    same = labels[nodes[i]] == labels[nodes[j]]
    np.add.at(keep, j[~same], w[~same])
    stays = cut(keep, change, np.r_[i, j[same]], np.r_[j, i[same]], np.r_[w, w[same]])
    labels[nodes[~stays]] = label


def cut(keep: np.ndarray, change: np.ndarray, start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The minimum cut: which nodes keep their label. [M] bool

    Args:
        keep: [M] cost of keeping.
        change: [M] cost of changing.
        start, end, weight: [L] cost ``weight`` if node ``start`` keeps its label and node ``end`` changes.
    """
    # 1. Capacities as integers.
    m = len(keep)
    source, sink, every = m, m + 1, np.arange(m)
    least = np.minimum(keep, change)
    rows = np.r_[np.full(m, source), every, start]
    columns = np.r_[every, np.full(m, sink), end]
    values = np.r_[change - least, keep - least, weight]
    capacity = csr_matrix((np.rint(values * UNIT).astype(np.int64), (rows, columns)), shape=(m + 2, m + 2))
    capacity.data = np.minimum(capacity.data, np.iinfo(np.int32).max // 4)
    capacity = capacity.astype(np.int32)
    # 2. Maximum flow; nodes that the source still reaches are on its side.
    residual = capacity - maximum_flow(capacity, source, sink).flow
    residual.data = np.maximum(residual.data, 0)
    residual.eliminate_zeros()
    reached = breadth_first_order(residual, source, return_predecessors=False)
    stays = np.zeros(m + 2, dtype=bool)
    stays[reached] = True
    return stays[:m]
