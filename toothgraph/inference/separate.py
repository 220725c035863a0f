"""Which faces are one tooth, whatever their numbers: two teeth meet in a fold, the halves of one do not."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import eigsh
from scipy.spatial import cKDTree

from toothgraph.graph.adjacency import face_adjacency, label_pieces
from toothgraph.inference.carry import carry_up
from toothgraph.inference.refine import Borders, borders
from toothgraph.mesh.decimate import Decimated, decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.tooth_sizes import usual_areas

# Areas as shares of what the tooth's number and the size of the mouth's other teeth let expect: 95 of 100 teeth have
# less than LARGE, 99 less than BULKY, 99 of 100 pairs of neighbours have more (benchmarks/tooth_cuts.py).
LARGE, BULKY = 1.2, 1.4
HALF = 0.2  # least share of the area on either side of a cut
# Length of a border, discounted in folds, over the square root of the smaller area beside it. Of 96 scans, the best cut
# through one of 1330 teeth takes 0.22 or more, that between neighbours 0.2 or less in 96 of 100 pairs
# (benchmarks/tooth_cuts.py).
NARROW = 0.2  # where a cut is no wider, two teeth meet
WIDE, SOLID = 0.45, 0.3  # a border that is no fold, and what the best cut through one tooth takes
# Nats that one number for two pieces may cost. Of the pieces without a fold between them in 24 scans that five nets had
# not seen, those of one tooth cost 0.1 to 1.2 (22 pairs), two incisors that stand close 1.8 to 6 (7 pairs).
DOUBT = 1.5
PART, GAP = 0.8, 2.0  # a share of the usual area that is no whole tooth yet, and mm between the parts of one
FACE = 0.2  # mm²; on finer faces the bend of a fold would be spread over many edges


def separate(mesh: Mesh, piece: np.ndarray, teeth: np.ndarray, usual: np.ndarray, log_prob: np.ndarray) -> np.ndarray:
    """Part the pieces that are two teeth or more, and join those that are one, however they are labelled.

    Args:
        mesh: F faces.
        piece: [F] number of the connected piece each face belongs to.
        teeth: [T] the numbers of those that are teeth.
        usual: [T] mm², how large each would be by its label; a piece not much larger stays one.
        log_prob: [F, 16] log-probabilities of the places 1 … 16; where they tell two teeth apart, these stay two.

    Returns:
        [F] numbers of pieces; new ones follow the largest.
    """
    tooth = np.flatnonzero(np.isin(piece, teeth))
    part = mesh.part(tooth).with_labels(piece[tooth])
    decimated = coarsened(part)
    coarse = decimated.mesh
    assert coarse.labels is not None
    onto = csr_matrix((part.areas, (decimated.face_map, np.arange(len(tooth)))), (len(coarse.faces), len(tooth)))
    sizes = dict(zip(teeth.tolist(), usual.tolist(), strict=True))
    parted = cut_apart(coarse, coarse.labels, sizes, int(piece.max()) + 1)
    found = join(coarse, parted, onto @ log_prob[tooth])
    out = piece.copy()
    for number in teeth:  # those that stay whole keep their borders to the face
        inside = coarse.labels == number
        parts = np.unique(found[inside])
        own = np.flatnonzero(piece == number)
        if len(parts) < 2:
            out[own] = parts[0] if len(parts) else number
            continue
        share = (found[inside][:, None] == parts).astype(np.float32)
        out[own] = parts[carry_up(coarse.part(inside), mesh.part(own), share).argmax(axis=1)]
    return out


def coarsened(teeth: Mesh) -> Decimated:
    """The surface of teeth with faces of about ``FACE``, on which they are parted."""
    return decimate(teeth, max(round(teeth.areas.sum() / FACE), 50))


def cut_apart(mesh: Mesh, piece: np.ndarray, usual: dict[int, float], new: int) -> np.ndarray:
    """Part the pieces [F] that a narrow cut parts, and the bulky ones that a less narrow one does.

    ``usual`` is the area in mm² that each piece would have by its label; new pieces are numbered from ``new`` on.
    """
    piece, usual = piece.copy(), usual.copy()
    waiting = np.unique(piece).tolist()
    while waiting:
        number = waiting.pop()
        own = np.flatnonzero(piece == number)
        widest = widest_cut(mesh.areas[own].sum() / usual[number])
        if widest == 0:
            continue
        width, side = narrowest_cut(mesh.part(own))
        if width <= widest:
            piece[own[side]] = new
            usual[new] = usual[number]
            waiting += [number, new]
            new += 1
    return piece


def widest_cut(bulk: float) -> float:
    """The width of a cut up to which a piece, so many times as large as usual, is two teeth; 0 for none."""
    if bulk < LARGE:
        return 0.0
    return SOLID if bulk > BULKY else NARROW


def join(mesh: Mesh, piece: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Join the pieces [F] that meet in no fold and together have no narrow cut, those with the widest border first.

    If the narrow cut is another than their border, they are parted there instead. Two that the net is sure to be
    different teeth are not joined.

    Args:
        mesh: F faces.
        piece: [F] numbers.
        evidence: [F, 16] log-probabilities of the places times the area of the face.
    """
    every = borders(mesh)
    piece = piece.copy()
    apart: set[tuple[int, int]] = set()
    while True:
        area = np.bincount(piece, weights=mesh.areas)
        ends = np.sort(piece[every.pairs], axis=1)
        across = ends[:, 0] != ends[:, 1]
        pairs, which = np.unique(ends[across], axis=0, return_inverse=True)
        cost = np.bincount(which.reshape(-1), weights=every.weight[across], minlength=len(pairs))
        widths = cost / np.sqrt(np.maximum(area[pairs].min(axis=1), 1e-12))
        candidates = [tuple(pairs[k].tolist()) for k in np.argsort(-widths) if widths[k] > WIDE]
        pair = next((pair for pair in candidates if pair not in apart), None)
        if pair is None:
            return piece
        union = np.flatnonzero(np.isin(piece, pair))
        width, side = narrowest_cut(mesh.part(union))
        if width < SOLID:
            apart.add(pair)  # a pair is parted once at most, so this comes to an end
            if width <= NARROW:
                piece[union] = np.where(side, pair[0], pair[1])
        elif cost_of_one_number([piece == number for number in pair], mesh.areas, evidence) > DOUBT:
            apart.add(pair)
        else:
            piece[union] = pair[0]
            apart = {other for other in apart if not set(other) & set(pair)}


def across_gaps(mesh: Mesh, piece: np.ndarray, place: np.ndarray, jaw: int) -> np.ndarray:
    """Join the parts of one tooth that share no edge: a hole, a seam or a band labelled gingiva runs through it.

    They bear one label, lie close, none of them is as large as a tooth, and together they are not too large for one.

    Args:
        mesh: F faces.
        piece: [F] numbers of pieces, each of one tooth at most.
        place: [F] 0 gingiva, 1 … 16.
        jaw: 0 upper, 1 lower.

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
        if max(area[first], area[other]) > PART * expected or area[first] + area[other] > LARGE * expected:
            continue
        distance, _ = cKDTree(mesh.centroids[piece == first]).query(mesh.centroids[faces[other]])
        if distance.min() < GAP:
            piece[faces[other]] = first
            area[first] += area[other]
            area[other] = np.inf  # there no more
    return piece


def cost_of_one_number(pieces: list[np.ndarray], area: np.ndarray, evidence: np.ndarray) -> float:
    """Nats by which the likeliest numbers of pieces [F] bool are likelier than the likeliest one for all of them."""
    means = np.stack([evidence[own].sum(axis=0) / area[own].sum() for own in pieces])
    return float(means.max(axis=1).sum() - means.sum(axis=0).max())


def narrowest_cut(part: Mesh) -> tuple[float, np.ndarray]:
    """The narrowest cut into two large sides: its width, and one side [F] bool.

    The second eigenvector of the Laplacian of the face graph, whose links weigh what a border along them costs,
    orders the faces; of all cuts in this order the narrowest for its smaller side is taken (after Shi and Malik,
    PAMI 2000). Of fewer than three faces none is cut. What hangs on at a corner only (a surface that is no manifold has
    such crumbs) is left to the other side; of two large parts without a common edge, each is a side.
    """
    if len(part.faces) < 3:
        return np.inf, np.zeros(len(part.faces), dtype=bool)
    connected = label_pieces(np.zeros(len(part.faces), dtype=np.int64), face_adjacency(part.faces))
    area = np.bincount(connected, weights=part.areas)
    largest = connected == area.argmax()
    if area.max() < (1 - HALF) * area.sum():
        return 0.0, largest
    side = np.zeros(len(largest), dtype=bool)
    if not largest.all():
        within, side[largest] = narrowest_cut(part.part(largest))
        return within, side
    order, cost, smaller = sweep(part.areas, borders(part))
    width = np.where(smaller > HALF * part.areas.sum(), cost / np.sqrt(np.maximum(smaller, 1e-12)), np.inf)
    best = int(width.argmin())
    side[order[: best + 1]] = True
    return float(width[best]), side


def sweep(area: np.ndarray, every: Borders) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All cuts of faces [n] in the order of the second eigenvector.

    Returns:
        ``order`` [n], and for the cut after each but the last: its cost and the area of its smaller side, [n - 1].
    """
    n = len(area)
    i, j = every.pairs.T
    weights = csr_matrix((np.r_[every.weight, every.weight], (np.r_[i, j], np.r_[j, i])), shape=(n, n))
    laplacian = diags(np.asarray(weights.sum(axis=1)).ravel()) - weights
    start = np.linspace(-1, 1, n)  # a fixed one, so that the result is too
    values, vectors = eigsh(laplacian.tocsc(), k=2, M=diags(area).tocsc(), sigma=-1e-3, v0=start)
    order = np.argsort(vectors[:, values.argmax()], kind="stable")
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    first, last = np.minimum(rank[i], rank[j]), np.maximum(rank[i], rank[j])
    change = np.bincount(first, every.weight, n) - np.bincount(last, every.weight, n)
    before = np.cumsum(area[order])[:-1]
    return order, np.cumsum(change)[:-1], np.minimum(before, area.sum() - before)
