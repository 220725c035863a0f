"""One number per tooth, in order along the arch: the best assignment of all teeth together."""

from __future__ import annotations

import networkx as nx
import numpy as np

from toothgraph.anatomy.frame import ALONG, arch_rotation, place_of
from toothgraph.anatomy.sizes import WHOLE_TOOTH, usual_areas
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import label_pieces
from toothgraph.postprocess.pieces import across_gaps, separate
from toothgraph.rules import DEFAULT, NumberRules, Rules


def number_teeth(mesh: Mesh, place: np.ndarray, prob: np.ndarray, jaw: int, rules: Rules = DEFAULT) -> np.ndarray:
    """Give every tooth one number, in order along the arch and each number only once.

    Teeth are the connected components of one label, split and joined at the folds of the surface
    (:func:`toothgraph.postprocess.pieces.separate`); very small components take the label around them. Each tooth has a
    mean log-probability for each of the 16 positions. The result is the assignment with the largest sum and increasing
    order along the arch. Gaps cost nothing, so missing teeth are possible. Two touching pieces may be one tooth. Pieces
    smaller than a tooth have less weight, so that they do not shift the number of a whole tooth.

    Args:
        mesh: F faces.
        place: [F] positions 1 … 16, 0 gingiva.
        prob: [F, 17] probabilities of the positions.
        jaw: 0 upper, 1 lower; for the expected size of each tooth.
        rules: the tuned constants.

    Returns:
        [F] positions.
    """
    # 1. Pieces: connected components of one label, without very small ones.
    limits = rules.numbers
    source, target = mesh.adjacency
    piece = label_pieces(place, mesh.adjacency)
    piece, place = dissolve(piece, place.copy(), mesh, limits.speck)
    tooth = np.flatnonzero(place > 0)
    teeth, one_of = np.unique(piece[tooth], return_index=True)
    if len(teeth) == 0:
        return place
    # 2. Teeth: pieces split and joined at the folds of the surface.
    log_prob = np.log(np.maximum(prob, limits.least))
    usual = usual_areas(place[tooth[one_of]], np.bincount(piece, weights=mesh.areas)[teeth], jaw)
    piece = separate(mesh, piece, teeth, usual, log_prob[:, 1:], rules)
    piece = across_gaps(mesh, piece, place, jaw, rules.pieces)
    teeth = np.unique(piece[place > 0])
    faces = [np.flatnonzero(piece == number) for number in teeth]
    # 3. Probabilities of each tooth, and its angle along the arch.
    weight = np.maximum(mesh.areas, 1e-12)
    likely = np.stack([np.average(log_prob[own], axis=0, weights=weight[own]) for own in faces])  # [T, 17]
    middles = np.stack([np.average(mesh.centroids[own], axis=0, weights=weight[own]) for own in faces])
    angle = along_arch(mesh, place, middles, np.array([place[own[0]] for own in faces]), limits)
    # 4. Pieces that may form one tooth with the piece before them.
    across = piece[source] != piece[target]
    area = np.bincount(piece, weights=mesh.areas)
    part = across & (np.minimum(area[piece[source]], area[piece[target]]) < WHOLE_TOOTH)
    touching = set(zip(piece[source[part]].tolist(), piece[target[part]].tolist(), strict=True))
    counts = np.minimum(area[teeth] / WHOLE_TOOTH, 1.0)

    def assigned(order: np.ndarray) -> tuple[float, np.ndarray]:
        return assign(likely[order], touches(teeth[order], touching), counts[order], limits)

    # 5. The best numbers in this order, and with the order of crowded neighbours exchanged.
    order = np.argsort(angle)
    found = assigned(order)
    for first in range(len(order) - 1):  # crowded teeth may be behind each other
        pair = order[first : first + 2]
        if angle[pair[1]] - angle[pair[0]] < limits.close:
            other = order.copy()
            other[first : first + 2] = pair[::-1]
            swapped = assigned(other)
            if swapped[0] > found[0]:
                order, found = other, swapped
    for tooth, number in zip(order, found[1], strict=True):
        place[faces[tooth]] = number
    return place


def dissolve(
    piece: np.ndarray, label: np.ndarray, mesh: Mesh, speck: float = DEFAULT.numbers.speck
) -> tuple[np.ndarray, np.ndarray]:
    """Merge very small pieces, of a tooth or of gingiva, into the neighbour with most common edges.

    Small pieces next to a large piece come first, then their neighbours. Small pieces that are not connected to a large
    one become gingiva: of 214 such pieces in 3D-IOSSeg, one is labelled as a tooth.

    Args:
        piece: [F] number of the piece of each face.
        label: [F] label of each face, one per piece.
        mesh: F faces.
        speck: mm², area of the smallest large piece.

    Returns:
        [F] numbers of the pieces, and [F] labels.
    """
    source, target = mesh.adjacency
    across = piece[source] != piece[target]
    neighbours = nx.Graph()
    pairs, shared = np.unique(np.stack([piece[source[across]], piece[target[across]]]), axis=1, return_counts=True)
    neighbours.add_weighted_edges_from(zip(*pairs.tolist(), shared.tolist(), strict=True))
    size = np.bincount(piece, weights=mesh.areas)
    of_piece = np.zeros(len(size), dtype=label.dtype)
    of_piece[piece] = label
    into = {large: large for large in np.flatnonzero(size >= speck).tolist()}
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


def along_arch(
    mesh: Mesh, place: np.ndarray, middles: np.ndarray, given: np.ndarray, rules: NumberRules = DEFAULT.numbers
) -> np.ndarray:
    """The angle of each tooth about the centre of the arch, degrees, increasing from 18 over 11 and 21 to 28.

    Args:
        mesh: F faces.
        place: [F] positions 1 … 16, 0 gingiva.
        middles: [T, 3] centres of the teeth, mm.
        given: [T] position of each tooth.
        rules: ``behind`` is the centre of the angles.

    Returns:
        [T].
    """
    rotation = arch_rotation(mesh, place)
    if rotation is None:  # too few teeth to find the frame: keep the order of the labels
        return np.argsort(ALONG)[given - 1].astype(float) * 10
    tooth = place > 0
    shift = place_of(place[tooth] - 1).mean(axis=0) - (mesh.centroids[tooth] @ rotation.T).mean(axis=0)
    forward, _, sideways = (middles @ rotation.T + shift).T
    angle: np.ndarray = np.degrees(np.arctan2(sideways, forward - rules.behind))
    return angle


def touches(teeth: np.ndarray, touching: set[tuple[int, int]]) -> np.ndarray:
    """Whether each tooth touches the one before it: ``teeth`` [T] to [T - 1] bool."""
    return np.array(
        [pair in touching for pair in zip(teeth[:-1].tolist(), teeth[1:].tolist(), strict=True)], dtype=bool
    )


def assign(
    likely: np.ndarray, touch: np.ndarray, counts: np.ndarray, rules: NumberRules = DEFAULT.numbers
) -> tuple[float, np.ndarray]:
    """The increasing positions with the largest sum of log-probabilities, by dynamic programming.

    Args:
        likely: [T, 17] log-probabilities of gingiva and the positions 1 … 16; teeth in order along the arch.
        touch: [T - 1] whether a tooth touches the one before it, so that both may be one tooth.
        counts: [T] weight of each tooth, for its log-probabilities and for the cost of gingiva.
        rules: the costs of joining two teeth and of gingiva.

    Returns:
        The sum, and the position of each tooth [T]; 0 for gingiva.
    """
    # 1. Scores in order along the arch.
    score = counts[:, None] * likely[:, ALONG]
    none = counts * (likely[:, 0] - np.where(likely[:, 1:].max(axis=1) > likely[:, 0], rules.no_tooth, 0.0))
    # 2. Forward. State k: the last position given so far is the k-th along the arch; 0: none yet.
    best = np.full(17, -np.inf)
    best[0] = 0.0
    came, given = np.zeros((2, len(score), 17), dtype=np.int64)
    for tooth in range(len(score)):
        smaller = np.array([0, *(int(np.argmax(best[:k])) for k in range(1, 17))])
        options = np.full((3, 17), -np.inf)  # a new position, the position of the tooth before, gingiva
        options[0, 1:] = best[smaller[1:]] + score[tooth]
        if tooth and touch[tooth - 1]:
            joined = given[tooth - 1] == np.arange(17)
            options[1, 1:] = np.where(joined, best - rules.same_tooth, -np.inf)[1:] + score[tooth]
        options[2] = best + none[tooth]
        choice = options.argmax(axis=0)
        came[tooth] = np.where(choice == 0, smaller, np.arange(17))
        given[tooth] = np.where(choice == 2, 0, np.arange(17))
        best = options.max(axis=0)
    # 3. Backward along the best path.
    state = int(best.argmax())
    place = np.zeros(len(score), dtype=np.int64)
    for tooth in range(len(score) - 1, -1, -1):
        place[tooth] = given[tooth, state]
        state = came[tooth, state]
    return float(best.max()), np.where(place > 0, ALONG[place - 1], 0)
