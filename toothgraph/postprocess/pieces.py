"""Which faces form one tooth, from the shape of the surface: two teeth meet in a fold, two halves of a tooth do not.

A *piece* is a set of faces that counts as one tooth: first a connected component of one label, then split or joined.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import eigsh
from scipy.spatial import cKDTree

from toothgraph.anatomy.sizes import usual_areas
from toothgraph.mesh.decimate import Decimated, decimate
from toothgraph.mesh.interpolate import interpolate
from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.borders import Borders, borders
from toothgraph.rules import DEFAULT, PieceRules, Rules


def separate(
    mesh: Mesh, piece: np.ndarray, teeth: np.ndarray, usual: np.ndarray, log_prob: np.ndarray, rules: Rules = DEFAULT
) -> np.ndarray:
    """Split pieces of two or more teeth, and join pieces of one tooth, independent of their labels.

    Args:
        mesh: F faces.
        piece: [F] number of the piece of each face.
        teeth: [T] numbers of the pieces that are teeth.
        usual: [T] mm², expected area of each by its label; a piece that is not much larger is not split.
        log_prob: [F, 16] log-probabilities of the positions 1 … 16; pieces that are clearly different teeth are not
            joined.
        rules: constants of pieces, borders and interpolation.

    Returns:
        [F] numbers of pieces; new pieces have numbers above the largest old one.
    """
    # 1. A coarse surface of the teeth.
    tooth = np.flatnonzero(np.isin(piece, teeth))
    part = mesh.part(tooth).with_labels(piece[tooth])
    decimated = coarsened(part, rules.pieces.face)
    coarse = decimated.mesh
    assert coarse.labels is not None
    onto = csr_matrix((part.areas, (decimated.face_map, np.arange(len(tooth)))), (len(coarse.faces), len(tooth)))
    sizes = dict(zip(teeth.tolist(), usual.tolist(), strict=True))
    # 2. Split and join on the coarse surface.
    parted = cut_apart(coarse, coarse.labels, sizes, int(piece.max()) + 1, rules)
    found = join(coarse, parted, onto @ log_prob[tooth], rules)
    # 3. Back to the fine faces; a piece that was not split keeps its faces.
    out = piece.copy()
    for number in teeth:
        inside = coarse.labels == number
        parts = np.unique(found[inside])
        own = np.flatnonzero(piece == number)
        if len(parts) < 2:
            out[own] = parts[0] if len(parts) else number
            continue
        share = (found[inside][:, None] == parts).astype(np.float32)
        out[own] = parts[interpolate(coarse.part(inside), mesh.part(own), share, rules.interpolation).argmax(axis=1)]
    return out


def coarsened(teeth: Mesh, face: float = DEFAULT.pieces.face) -> Decimated:
    """The surface of the teeth with faces of about ``face`` mm², for splitting and joining."""
    return decimate(teeth, max(round(teeth.areas.sum() / face), 50))


def cut_apart(mesh: Mesh, piece: np.ndarray, usual: dict[int, float], new: int, rules: Rules = DEFAULT) -> np.ndarray:
    """Split large pieces at a narrow cut, and very large pieces also at a wider cut.

    Args:
        mesh: F faces.
        piece: [F] numbers of pieces.
        usual: mm², expected area of each piece by its label.
        new: number of the first new piece.
        rules: constants of pieces and borders.

    Returns:
        [F] numbers of pieces.
    """
    piece, usual = piece.copy(), usual.copy()
    waiting = np.unique(piece).tolist()
    while waiting:
        number = waiting.pop()
        own = np.flatnonzero(piece == number)
        widest = widest_cut(mesh.areas[own].sum() / usual[number], rules.pieces)
        if widest == 0:
            continue
        width, side = narrowest_cut(mesh.part(own), rules)
        if width <= widest:
            piece[own[side]] = new
            usual[new] = usual[number]
            waiting += [number, new]
            new += 1
    return piece


def widest_cut(bulk: float, rules: PieceRules = DEFAULT.pieces) -> float:
    """The maximum width of a cut through a piece; 0 for no cut. ``bulk`` is its area relative to the expected area."""
    if bulk < rules.large:
        return 0.0
    return rules.solid if bulk > rules.bulky else rules.narrow


def join(mesh: Mesh, piece: np.ndarray, evidence: np.ndarray, rules: Rules = DEFAULT) -> np.ndarray:
    """Join pieces that do not meet in a fold and have no narrow cut together; widest boundary first.

    If there is a narrow cut through both pieces together, they are split there instead. Pieces are not joined if the
    probabilities say clearly that they are different teeth.

    Args:
        mesh: F faces.
        piece: [F] numbers of pieces.
        evidence: [F, 16] log-probabilities of the positions times the area of the face.
        rules: constants of pieces and borders.

    Returns:
        [F] numbers of pieces.
    """
    every, limits = borders(mesh, rules.borders.crease), rules.pieces
    piece = piece.copy()
    apart: set[tuple[int, int]] = set()
    while True:
        # 1. The pair of pieces with the widest boundary.
        area = np.bincount(piece, weights=mesh.areas)
        ends = np.sort(piece[every.pairs], axis=1)
        across = ends[:, 0] != ends[:, 1]
        pairs, which = np.unique(ends[across], axis=0, return_inverse=True)
        cost = np.bincount(which.reshape(-1), weights=every.weight[across], minlength=len(pairs))
        widths = cost / np.sqrt(np.maximum(area[pairs].min(axis=1), 1e-12))
        candidates = [tuple(pairs[k].tolist()) for k in np.argsort(-widths) if widths[k] > limits.wide]
        pair = next((pair for pair in candidates if pair not in apart), None)
        if pair is None:
            return piece
        # 2. Their narrowest cut: split there, leave them, or join them.
        union = np.flatnonzero(np.isin(piece, pair))
        width, side = narrowest_cut(mesh.part(union), rules)
        if width < limits.solid:
            apart.add(pair)  # each pair is split at most once, so the loop ends
            if width <= limits.narrow:
                piece[union] = np.where(side, pair[0], pair[1])
        elif cost_of_one_number([piece == number for number in pair], mesh.areas, evidence) > limits.doubt:
            apart.add(pair)
        else:
            piece[union] = pair[0]
            apart = {other for other in apart if not set(other) & set(pair)}


def across_gaps(
    mesh: Mesh, piece: np.ndarray, place: np.ndarray, jaw: int, rules: PieceRules = DEFAULT.pieces
) -> np.ndarray:
    """Join parts of one tooth without a common edge, for example at a hole, a seam or a band labelled as gingiva.

    Parts are joined if they have the same label and are close, each is smaller than a tooth, and together they are not
    too large for one tooth.

    Args:
        mesh: F faces.
        piece: [F] numbers of pieces; each is at most one tooth.
        place: [F] positions 1 … 16, 0 gingiva.
        jaw: 0 upper, 1 lower.
        rules: limits of distance and area.

    Returns:
        [F] numbers of pieces.
    """
    piece = piece.copy()
    teeth = np.unique(piece[place > 0])
    faces = {number: np.flatnonzero(piece == number) for number in teeth.tolist()}
    label = np.array([np.bincount(place[own], mesh.areas[own]).argmax() for own in faces.values()], dtype=np.int64)
    area = {number: mesh.areas[own].sum() for number, own in faces.items()}
    usual = usual_areas(label, np.array([*area.values()]), jaw)
    known = zip(teeth.tolist(), label.tolist(), usual.tolist(), strict=True)
    for (first, one_label, expected), (other, other_label, _) in combinations(known, 2):
        if one_label != other_label:
            continue
        if max(area[first], area[other]) > rules.part * expected or area[first] + area[other] > rules.large * expected:
            continue
        distance, _ = cKDTree(mesh.centroids[piece == first]).query(mesh.centroids[faces[other]])
        if distance.min() < rules.gap:
            piece[faces[other]] = first
            area[first] += area[other]
            area[other] = np.inf  # this piece no longer exists
    return piece


def cost_of_one_number(pieces: list[np.ndarray], area: np.ndarray, evidence: np.ndarray) -> float:
    """Cost, nats, of one common number for pieces ([F] bool each), compared with the best number for each piece.

    ``area`` is [F] mm², ``evidence`` is [F, 16], see :func:`join`.
    """
    means = np.stack([evidence[own].sum(axis=0) / area[own].sum() for own in pieces])
    return float(means.max(axis=1).sum() - means.sum(axis=0).max())


def narrowest_cut(part: Mesh, rules: Rules = DEFAULT) -> tuple[float, np.ndarray]:
    """The narrowest cut into two large sides: its width (without unit), and one side [F] bool.

    The faces are sorted by the second eigenvector of the graph Laplacian; the weight of a link is the cost of a
    boundary there. Among all cuts in this order, the narrowest is taken; its width is its cost divided by the square
    root of the smaller area.

    Surfaces of fewer than three faces are not cut (infinite width). If the surface has two large components, each is a
    side (width 0). Small components, for example at a non-manifold vertex, go to the second side.

    Source: after Shi and Malik, PAMI 2000, https://doi.org/10.1109/34.868688
    """
    # 1. Too few faces.
    if len(part.faces) < 3:
        return np.inf, np.zeros(len(part.faces), dtype=bool)
    # 2. More than one connected component.
    connected = part.pieces
    area = np.bincount(connected, weights=part.areas)
    largest = connected == area.argmax()
    if area.max() < (1 - rules.pieces.half) * area.sum():
        return 0.0, largest
    side = np.zeros(len(largest), dtype=bool)
    if not largest.all():
        within, side[largest] = narrowest_cut(part.part(largest), rules)
        return within, side
    # 3. One component: the narrowest of all cuts in the order of the eigenvector.
    order, cost, smaller = sweep(part.areas, borders(part, rules.borders.crease))
    width = np.where(smaller > rules.pieces.half * part.areas.sum(), cost / np.sqrt(np.maximum(smaller, 1e-12)), np.inf)
    best = int(width.argmin())
    side[order[: best + 1]] = True
    return float(width[best]), side


def sweep(area: np.ndarray, every: Borders) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All cuts of n faces in the order of the second eigenvector of the Laplacian.

    Args:
        area: [n] mm².
        every: pairs of the faces with their weights, mm.

    Returns:
        ``order`` [n]; for the cut after each face except the last, its cost (mm) and the area of the smaller side
        (mm²), [n - 1] each.
    """
    n = len(area)
    i, j = every.pairs.T
    weights = csr_matrix((np.r_[every.weight, every.weight], (np.r_[i, j], np.r_[j, i])), shape=(n, n))
    laplacian = diags(np.asarray(weights.sum(axis=1)).ravel()) - weights
    start = np.linspace(-1, 1, n)  # a fixed start vector, for a reproducible result
    values, vectors = eigsh(laplacian.tocsc(), k=2, M=diags(area).tocsc(), sigma=-1e-3, v0=start)
    order = np.argsort(vectors[:, values.argmax()], kind="stable")
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    first, last = np.minimum(rank[i], rank[j]), np.maximum(rank[i], rank[j])
    change = np.bincount(first, every.weight, n) - np.bincount(last, every.weight, n)
    before = np.cumsum(area[order])[:-1]
    return order, np.cumsum(change)[:-1], np.minimum(before, area.sum() - before)
