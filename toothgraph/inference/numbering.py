"""One number per tooth, in order along the arch: the best assignment over all teeth at once."""

from __future__ import annotations

import networkx as nx
import numpy as np

from toothgraph.graph.adjacency import face_adjacency, label_pieces
from toothgraph.inference.separate import across_gaps, separate
from toothgraph.mesh.frame import ALONG, arch_rotation, place_of
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.tooth_sizes import WHOLE, usual_areas

SPECK = 6.0  # mm²; a smaller piece belongs to what surrounds it
LEAST = 1e-3  # a tooth is never surer than this that it is not another
SAME_TOOTH = 2.0  # nats that it costs to join a piece of a tooth with one it touches under one number
NO_TOOTH = 8.0  # nats that it costs to take a piece for gingiva that is likelier a tooth, besides its probability
BEHIND = -10.0  # mm, the middle of the arch the angles are about
CLOSE = 10.0  # degrees along the arch within which two crowded teeth may stand in either order


def number_teeth(mesh: Mesh, place: np.ndarray, prob: np.ndarray, jaw: int) -> np.ndarray:
    """Give every tooth one number, none twice, in order along the arch.

    Teeth are the connected pieces of one label, parted and joined by the folds of the surface
    (:func:`toothgraph.inference.separate.separate`); specks go to what surrounds them. Each tooth has a mean
    log-probability for each of the 16 places; the numbers are the assignment with the largest sum that grows along the
    arch. Gaps are free, so a missing tooth costs nothing. Two pieces that touch may be one tooth. A piece too small for
    a tooth counts for less, so that no whole tooth moves on for its sake.

    Args:
        mesh: F faces.
        place: [F] 0 gingiva, 1 … 16.
        prob: [F, 17] probabilities of the places.
        jaw: 0 upper, 1 lower; says how large a tooth usually is.

    Returns:
        [F] places.
    """
    edges = face_adjacency(mesh.faces)
    source, target = edges
    piece = label_pieces(place, edges)
    piece, place = dissolve(piece, place.copy(), mesh.areas, source, target)
    tooth = np.flatnonzero(place > 0)
    teeth, one_of = np.unique(piece[tooth], return_index=True)
    if len(teeth) == 0:
        return place
    log_prob = np.log(np.maximum(prob, LEAST))
    usual = usual_areas(place[tooth[one_of]], np.bincount(piece, weights=mesh.areas)[teeth], jaw)
    piece = separate(mesh, piece, teeth, usual, log_prob[:, 1:])
    piece = across_gaps(mesh, piece, place, jaw)
    teeth = np.unique(piece[place > 0])
    faces = [np.flatnonzero(piece == number) for number in teeth]
    weight = np.maximum(mesh.areas, 1e-12)
    likely = np.stack([np.average(log_prob[own], axis=0, weights=weight[own]) for own in faces])  # [T, 17]
    middles = np.stack([np.average(mesh.centroids[own], axis=0, weights=weight[own]) for own in faces])
    angle = along_arch(mesh, place, middles, np.array([place[own[0]] for own in faces]))
    across = piece[source] != piece[target]
    area = np.bincount(piece, weights=mesh.areas)
    part = across & (np.minimum(area[piece[source]], area[piece[target]]) < WHOLE)
    touching = set(zip(piece[source[part]].tolist(), piece[target[part]].tolist(), strict=True))
    counts = np.minimum(area[teeth] / WHOLE, 1.0)

    def assigned(order: np.ndarray) -> tuple[float, np.ndarray]:
        return assign(likely[order], touches(teeth[order], touching), counts[order])

    order = np.argsort(angle)
    found = assigned(order)
    for first in range(len(order) - 1):  # crowded teeth may stand behind each other
        pair = order[first : first + 2]
        if angle[pair[1]] - angle[pair[0]] < CLOSE:
            other = order.copy()
            other[first : first + 2] = pair[::-1]
            swapped = assigned(other)
            if swapped[0] > found[0]:
                order, found = other, swapped
    for tooth, number in zip(order, found[1], strict=True):
        place[faces[tooth]] = number
    return place


def dissolve(
    piece: np.ndarray, label: np.ndarray, area: np.ndarray, source: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give specks, of teeth or of gingiva between teeth, to the neighbouring piece they share most edges with.

    Those next to a large piece first, then those next to these. What floats beside the scan, with no large piece
    around, is gingiva: of 214 such scraps in 3D-IOSSeg, one is labelled a tooth.
    """
    across = piece[source] != piece[target]
    neighbours = nx.Graph()
    pairs, shared = np.unique(np.stack([piece[source[across]], piece[target[across]]]), axis=1, return_counts=True)
    neighbours.add_weighted_edges_from(zip(*pairs.tolist(), shared.tolist(), strict=True))
    size = np.bincount(piece, weights=area)
    of_piece = np.zeros(len(size), dtype=label.dtype)
    of_piece[piece] = label
    into = {large: large for large in np.flatnonzero(size >= SPECK).tolist()}
    specks = set(range(len(size))) - into.keys()
    while specks:
        beside = {
            speck: [(edge["weight"], other) for other, edge in neighbours.adj.get(speck, {}).items() if other in into]
            for speck in specks
        }
        reached = {speck: into[max(around)[1]] for speck, around in beside.items() if around}
        if not reached:
            break
        into |= reached
        specks -= reached.keys()
    of_piece[list(specks)] = 0
    piece = np.array([into.get(number, number) for number in range(len(size))])[piece]
    return piece, of_piece[piece]


def along_arch(mesh: Mesh, place: np.ndarray, middles: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The angle of each tooth about the middle of the arch, in degrees, growing from 18 over 11 and 21 to 28.

    Args:
        mesh: F faces.
        place: [F] 0 gingiva, 1 … 16.
        middles: [T, 3] of the teeth.
        given: [T] the place of each.
    """
    rotation = arch_rotation(mesh, place)
    if rotation is None:  # too few teeth to say how the arch lies: their order stays as it is labelled
        return np.argsort(ALONG)[given - 1].astype(float) * 10
    tooth = place > 0
    shift = place_of(place[tooth] - 1).mean(axis=0) - (mesh.centroids[tooth] @ rotation.T).mean(axis=0)
    forward, _, sideways = (middles @ rotation.T + shift).T
    angle: np.ndarray = np.degrees(np.arctan2(sideways, forward - BEHIND))
    return angle


def touches(teeth: np.ndarray, touching: set[tuple[int, int]]) -> np.ndarray:
    """Whether each tooth touches the one before it. [T - 1] bool"""
    return np.array(
        [pair in touching for pair in zip(teeth[:-1].tolist(), teeth[1:].tolist(), strict=True)], dtype=bool
    )


def assign(likely: np.ndarray, touch: np.ndarray, counts: np.ndarray) -> tuple[float, np.ndarray]:
    """The places that grow along the arch and have the largest sum of log-probabilities, by dynamic programming.

    Args:
        likely: [T, 17] log-probabilities of gingiva and the places 1 … 16, teeth in order along the arch.
        touch: [T - 1] whether a tooth touches the one before it, so that both may be one.
        counts: [T] what the log-probabilities of a tooth, and the cost of taking it for gingiva, are multiplied by.

    Returns:
        The sum, and the place of each tooth [T]; 0 for what had better be gingiva.
    """
    score = counts[:, None] * likely[:, ALONG]  # in order along the arch
    none = counts * (likely[:, 0] - np.where(likely[:, 1:].max(axis=1) > likely[:, 0], NO_TOOTH, 0.0))
    # State k: the last place given so far, 0 for none yet, k for the k-th along the arch.
    best = np.full(17, -np.inf)
    best[0] = 0.0
    came, given = np.zeros((2, len(score), 17), dtype=np.int64)
    for tooth in range(len(score)):
        smaller = np.array([0, *(int(np.argmax(best[:k])) for k in range(1, 17))])
        options = np.full((3, 17), -np.inf)  # a new place, the place of the one before, none
        options[0, 1:] = best[smaller[1:]] + score[tooth]
        if tooth and touch[tooth - 1]:
            joined = given[tooth - 1] == np.arange(17)
            options[1, 1:] = np.where(joined, best - SAME_TOOTH, -np.inf)[1:] + score[tooth]
        options[2] = best + none[tooth]
        choice = options.argmax(axis=0)
        came[tooth] = np.where(choice == 0, smaller, np.arange(17))
        given[tooth] = np.where(choice == 2, 0, np.arange(17))
        best = options.max(axis=0)
    state = int(best.argmax())
    place = np.zeros(len(score), dtype=np.int64)
    for tooth in range(len(score) - 1, -1, -1):
        place[tooth] = given[tooth, state]
        state = came[tooth, state]
    return float(best.max()), np.where(place > 0, ALONG[place - 1], 0)
