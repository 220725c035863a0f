"""Both jaws of a patient in one connected surface: found by their shape, and parted at the narrowest place.

Scans of a bite are joined where the teeth touch: a program has welded what coincides, or has bridged a gap with faces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from scipy.spatial import cKDTree

from toothgraph.anatomy.frame import area_vector
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import border_edges
from toothgraph.rules import DEFAULT, TwoArchRules

ENDS = 0.1  # share of the area at either end of a bite, which is of one jaw: palate, floor of the mouth, the folds
PER_MM = 100  # lengths of a cut are counted in parts of a mm
UNCUT = 2**30  # more than any cut


@dataclass(frozen=True, eq=False)
class Joined:
    """A surface that looks like two jaws in a bite.

    Attributes:
        parts: the faces [F'] of either, if they could be parted.
        cut: mm, the length of the narrowest line between them.
    """

    parts: tuple[np.ndarray, ...]
    cut: float


def joined_jaws(mesh: Mesh, rules: TwoArchRules = DEFAULT.two_arches) -> Joined | None:
    """Part two jaws that are one connected surface; None for what does not look like a bite, as any scan of one jaw.

    In a bite the upper half of the surface faces downwards and the lower half upwards. Both are parted along the
    shortest line between what lies at either end. Where that is long, the jaws are joined at many places, and stay one.

    Args:
        mesh: F faces.
        rules: what counts as a bite, how long the line may be, and how large the jaws are.
    """
    height = bite_height(mesh, rules)
    if height is None:
        return None
    order = np.argsort(height, kind="stable")
    share = np.cumsum(mesh.areas[order]) / mesh.areas.sum()
    first, cut = _cut(mesh, order[share < ENDS], order[share > 1 - ENDS])
    main = mesh.pieces == np.bincount(mesh.pieces, weights=mesh.areas).argmax()
    if not main.all():  # what is loose goes with what is nearest
        first[~main] = first[main][cKDTree(mesh.centroids[main]).query(mesh.centroids[~main])[1]]
    area = mesh.areas[first].sum()
    least = max(rules.arch, rules.share * max(area, mesh.areas.sum() - area))
    safe = cut <= rules.cut and min(area, mesh.areas.sum() - area) >= least
    return Joined((np.flatnonzero(first), np.flatnonzero(~first)) if safe else (), cut)


def bite_height(mesh: Mesh, rules: TwoArchRules = DEFAULT.two_arches) -> np.ndarray | None:
    """How high each face lies in a bite [F], mm; None for a surface that is none.

    Arguments as of :func:`joined_jaws`.
    """
    if len(mesh.faces) < 2 or np.linalg.norm(area_vector(mesh)) > rules.one_way:
        return None
    weights = mesh.areas / max(mesh.areas.sum(), 1e-300)
    centred = mesh.centroids - weights @ mesh.centroids
    axes = np.linalg.eigh(centred.T @ (centred * weights[:, None]))[1].T
    axis = max(axes, key=lambda axis: _facing(mesh, centred @ axis, axis))
    height: np.ndarray = centred @ axis
    if _facing(mesh, height, axis) < rules.facing:
        return None
    border = mesh.vertices[border_edges(mesh.faces)]  # a solid whose faces are inside out has none
    return height if np.linalg.norm(border[:, 0] - border[:, 1], axis=1).sum() > rules.border else None


def _facing(mesh: Mesh, height: np.ndarray, axis: np.ndarray) -> float:
    """How much the halves above and below the middle face each other along an axis: of the less, its mean normal."""
    up, high = mesh.areas * (mesh.normals @ axis), height > 0
    whole = np.maximum([mesh.areas[high].sum(), mesh.areas[~high].sum()], 1e-300)
    return float(np.minimum(-up[high].sum() / whole[0], up[~high].sum() / whole[1]))


def _cut(mesh: Mesh, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, float]:
    """The faces [F] on the side of ``low`` of the shortest line between some faces and others, and its length, mm."""
    source, target = mesh.adjacency
    shared = (mesh.faces[source][:, :, None] == mesh.faces[target][:, None, :]).any(axis=2)  # [E, 3 corners]
    ends = mesh.corners[source]
    middle = (ends * shared[..., None]).sum(axis=1, keepdims=True) / np.maximum(shared.sum(axis=1), 1)[:, None, None]
    length = 2 * np.linalg.norm((ends - middle) * shared[..., None], axis=2).max(axis=1)
    count = len(mesh.faces)
    edges = np.concatenate(
        [[source, target], [np.full(len(low), count), low], [high, np.full(len(high), count + 1)]], axis=1
    )
    capacity = np.concatenate([np.ceil(PER_MM * length), np.full(len(low) + len(high), UNCUT)]).astype(np.int32)
    graph = csr_matrix((capacity, edges), shape=(count + 2, count + 2))
    flow = maximum_flow(graph, count, count + 1)
    left = graph - flow.flow
    left.eliminate_zeros()
    first = np.zeros(count + 2, dtype=bool)
    first[breadth_first_order(left, count, return_predecessors=False)] = True
    return first[:count], flow.flow_value / PER_MM
