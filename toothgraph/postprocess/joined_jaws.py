"""Find both jaws of a patient in one connected surface by its shape, and part them at the narrowest place.

In a scan of a bite, the jaws are joined where the teeth touch: a program has merged vertices at the same position, or
has closed a gap with faces.
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

ENDS = 0.1  # share of the area at either end of a bite that belongs to one jaw: palate, floor of the mouth, the folds
PER_MM = 100  # the length of a cut is counted in whole hundredths of a mm
UNCUT = 2**30  # a capacity larger than any cut


@dataclass(frozen=True, eq=False)
class Joined:
    """A surface that looks like two jaws in a bite.

    Attributes:
        parts: the face numbers [F'] of each jaw; empty if the jaws could not be parted.
        cut: mm, the length of the shortest line between the jaws.
    """

    parts: tuple[np.ndarray, ...]
    cut: float


def joined_jaws(mesh: Mesh, rules: TwoArchRules = DEFAULT.two_arches) -> Joined | None:
    """Part two jaws that form one connected surface; None if the surface does not look like a bite.

    In a bite the upper half of the surface faces downwards and the lower half upwards; no scan of one jaw looks like
    this. The jaws are parted along the shortest line between the two ends of the bite. If this line is long, the jaws
    are joined at many places, and they are not parted.

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
    if not main.all():  # loose pieces go with the nearest faces
        first[~main] = first[main][cKDTree(mesh.centroids[main]).query(mesh.centroids[~main])[1]]
    area = mesh.areas[first].sum()
    least = max(rules.arch, rules.share * max(area, mesh.areas.sum() - area))
    safe = cut <= rules.cut and min(area, mesh.areas.sum() - area) >= least
    return Joined((np.flatnonzero(first), np.flatnonzero(~first)) if safe else (), cut)


def bite_height(mesh: Mesh, rules: TwoArchRules = DEFAULT.two_arches) -> np.ndarray | None:
    """The height of each face in a bite, [F] mm; None if the surface is not a bite.

    Arguments as in :func:`joined_jaws`.
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
    border = mesh.vertices[border_edges(mesh.faces)]  # a solid with its faces inside out has no border
    return height if np.linalg.norm(border[:, 0] - border[:, 1], axis=1).sum() > rules.border else None


def _facing(mesh: Mesh, height: np.ndarray, axis: np.ndarray) -> float:
    """How much the halves above and below the middle face each other along an axis.

    For each half, this is the part of its mean normal that points to the other half; the smaller of the two counts.
    """
    up, high = mesh.areas * (mesh.normals @ axis), height > 0
    whole = np.maximum([mesh.areas[high].sum(), mesh.areas[~high].sum()], 1e-300)
    return float(np.minimum(-up[high].sum() / whole[0], up[~high].sum() / whole[1]))


def _cut(mesh: Mesh, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, float]:
    """Cut a surface along the shortest line between the faces ``low`` and the faces ``high``.

    Returns:
        [F] bool, the faces on the side of ``low``, and the length of the line, mm.
    """
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
