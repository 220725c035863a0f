"""Give each tooth one number: the pieces of the surface form a row along the arch, which is read as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from toothgraph.anatomy.frame import bite_directions
from toothgraph.anatomy.row import POINTS, Gaps, in_tooth_frames, order_along_arch
from toothgraph.anatomy.sizes import SHARE, WHOLE_TOOTH, usual_areas
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.sampling import sample_surface
from toothgraph.mesh.topology import label_pieces
from toothgraph.postprocess.pieces import across_gaps, separate
from toothgraph.postprocess.read_row import Reading, Row, read_row, score_of
from toothgraph.postprocess.short_rows import read_either_way
from toothgraph.rules import DEFAULT, RowRules, Rules
from toothgraph.seeding import sample_rng

DRAW = 77  # number of the draw of points, so that it differs from the draws of the scan's tessellations
BACKWARDS = np.array([-1.0, -1, 1])  # a crown in its frame, seen from the other end of the row
Classifier = Callable[[np.ndarray, int], np.ndarray]  # points [T, P, 3] of crowns and their jaw, to [T, 16] log-prob.


@dataclass(frozen=True, eq=False)
class Numbered:
    """Teeth with their numbers.

    Attributes:
        place: [F] position of each face, 1 … 16, 0 gingiva.
        tooth: [F] which tooth of the row each face belongs to, -1 for none.
        reading: the reading of the row; None if there is no tooth.
    """

    place: np.ndarray
    tooth: np.ndarray
    reading: Reading | None = None


def number_teeth(
    mesh: Mesh,
    place: np.ndarray,
    prob: np.ndarray,
    jaw: int,
    up: np.ndarray | None = None,
    classify: Classifier | None = None,
    rules: Rules = DEFAULT,
    side: np.ndarray | None = None,
    crowns: Sequence[np.ndarray] = (),
) -> Numbered:
    """Give every tooth one number, each number once, in order along the arch.

    Teeth are the connected components of one label, split and joined at the folds of the surface. What each crown looks
    like and the gaps between crowns give the numbers of the whole row at once: see
    :mod:`toothgraph.postprocess.read_row`. With ``classify``, the reading does not use the net's own numbers, because
    a net counts the teeth along the arch.

    Args:
        mesh: F faces.
        place: [F] positions 1 … 16, 0 gingiva; they tell which faces form a tooth, more than which tooth it is.
        prob: [F, 17] probabilities of the positions.
        jaw: 0 upper, 1 lower.
        up: [3] unit direction towards the bite; by default the first of
            :func:`toothgraph.anatomy.frame.bite_directions`.
        classify: gives positions by the shape of crowns; by default, the mean of the log of ``prob`` over each crown
            is used.
        rules: the tuned constants.
        side: [F] bool, the faces that the net looked at, if not all; only these show what a tooth looks like.
        crowns: faces of each piece of surface that is one tooth, see :mod:`toothgraph.postprocess.lone_crowns`.
    """
    piece, place = find_teeth(mesh, place, prob, jaw, rules, crowns)
    tooth = np.full(len(place), -1)
    if not (place > 0).any():
        return Numbered(place, tooth)
    row = see_teeth(mesh, piece, place, prob, up, rules, side)
    reading, order = read_teeth(row, jaw, classify, rules.row)
    for number, own in enumerate(order):
        place[row.faces[own]], tooth[row.faces[own]] = reading.places[number], number
    return Numbered(place, tooth, reading)


@dataclass(frozen=True, eq=False)
class SeenTeeth:
    """T teeth in order along the arch, what each looks like, and what lies between them.

    Attributes:
        piece: [T] number of the piece of surface that is the tooth.
        faces: the faces of each tooth.
        angle: [T] degrees, of each tooth along the arch.
        log_prob: [T, 16] mean log-probability of the positions, by the net.
        gingiva: [T] mean log-probability of gingiva, less that of any position.
        shapes: [T, P, 3] points of each crown in its own frame, mm.
        size: [T] mm, geometric mean of the extents of each crown along and across the arch.
        area: [T] mm², of the faces that the net looked at.
        gaps: the gaps between any two teeth.
        meeting: the pairs of pieces that have a common edge.
    """

    piece: np.ndarray
    faces: list[np.ndarray]
    angle: np.ndarray
    log_prob: np.ndarray
    gingiva: np.ndarray
    shapes: np.ndarray
    size: np.ndarray
    area: np.ndarray
    gaps: Gaps
    meeting: set[tuple[int, int]]

    def in_order(self, order: np.ndarray, said: np.ndarray) -> Row:
        """The row of these teeth in an order [T], of which a look said the log-probabilities ``said`` [T, 16]."""
        return Row(
            said[order], self.gingiva[order], np.minimum(self.area[order] / WHOLE_TOOTH, 1.0), self.gaps.along(order),
            self.gaps.along(order, 2), touching(self.meeting, self.piece[order], self.area[order]), self.size[order],
        )  # fmt: skip


def see_teeth(
    mesh: Mesh,
    piece: np.ndarray,
    place: np.ndarray,
    prob: np.ndarray,
    up: np.ndarray | None,
    rules: Rules,
    side: np.ndarray | None,
) -> SeenTeeth:
    """Put the teeth of a surface in order along the arch, and measure what each looks like.

    Args:
        mesh: F faces.
        piece: [F] number of the piece of each face; a piece is one tooth, or gingiva.
        place: [F] positions, 0 gingiva, at least one tooth.
        prob, up, rules, side: as in :func:`number_teeth`.
    """
    teeth = np.unique(piece[place > 0])
    whole = [np.flatnonzero(piece == number) for number in teeth]
    faces = [own if side is None or not side[own].any() else own[side[own]] for own in whole]
    weight = np.maximum(mesh.areas, 1e-12)
    middles = np.stack([np.average(mesh.centroids[own], axis=0, weights=weight[own]) for own in faces])
    up = bite_directions(mesh)[0] if up is None else up
    order, angle = order_along_arch(middles, up)
    whole, faces = [whole[number] for number in order], [faces[number] for number in order]
    rng = sample_rng(0, 0, mesh.scan_id, DRAW)
    points = [sample_surface(mesh.corners[own], POINTS, rng) for own in faces]
    log_prob = np.log(np.maximum(prob, rules.numbers.least))
    seen = np.stack([np.average(log_prob[own], axis=0, weights=weight[own]) for own in faces])  # [T, 17]
    shapes = in_tooth_frames(points, middles[order], up)
    low, high = np.quantile(shapes[..., :2], [SHARE, 1 - SHARE], axis=1)
    return SeenTeeth(
        teeth[order], whole, angle, seen[:, 1:], seen[:, 0] - np.logaddexp.reduce(seen[:, 1:], axis=1),
        shapes, np.sqrt(np.prod(high - low, axis=1)), np.array([mesh.areas[own].sum() for own in faces]),
        Gaps([own[::2] for own in points]), pieces_that_meet(mesh, piece),
    )  # fmt: skip


def read_teeth(teeth: SeenTeeth, jaw: int, classify: Classifier | None, rules: RowRules) -> tuple[Reading, np.ndarray]:
    """Read the numbers of the whole row.

    It may begin behind one of several wide gaps. Crowded neighbours may change places. A short or straight row has two
    readings, one from each end.

    Returns:
        The reading, and the order [T] of the teeth in it.
    """

    def look_of(shapes: np.ndarray) -> np.ndarray:
        return teeth.log_prob if classify is None else classify(shapes, jaw)

    def order_of(angle: np.ndarray, said: np.ndarray, order: np.ndarray) -> np.ndarray:
        if bend < rules.straight:  # all are at nearly the same angle
            return order
        return order[settled_order(lambda other: teeth.in_order(order[other], said), angle, jaw, rules)]

    said = look_of(teeth.shapes)
    forward = max(
        beginnings(teeth.angle, rules.nearly), key=lambda order: score_of(teeth.in_order(order, said), jaw, rules)
    )
    angle = np.rad2deg(np.unwrap(np.deg2rad(teeth.angle[forward])))
    bend = angle[-1] - angle[0]
    order = order_of(angle, said, forward)
    if not (1 < len(angle) < rules.short or bend < rules.straight):
        return read_row(teeth.in_order(order, said), jaw, rules), order
    other = look_of(teeth.shapes * BACKWARDS)
    orders = order, order_of(-angle[::-1], other, forward[::-1])
    rows = teeth.in_order(orders[0], said), teeth.in_order(orders[1], other)
    reading, backwards = read_either_way(rows, orders, jaw, rules)
    return reading, orders[int(backwards)]


def beginnings(angle: np.ndarray, nearly: float = DEFAULT.row.nearly) -> list[np.ndarray]:
    """The orders [T] in which a row may run: behind the widest angle, and behind another that is nearly as wide.

    Without front teeth, the open side of the arch may look narrower than the gap in front.

    Args:
        angle: [T] degrees, growing; the widest angle is that between the last tooth and the first one.
        nearly: share of the widest angle from which another one is nearly as wide.
    """
    order = np.arange(len(angle))
    if len(angle) < 3:
        return [order]
    between = np.diff(angle)
    widest = int(between.argmax())
    if between[widest] < nearly * (360 - (angle[-1] - angle[0])):
        return [order]
    return [order, np.roll(order, -(widest + 1))]


def settled_order(
    row_of: Callable[[np.ndarray], Row], angle: np.ndarray, jaw: int, rules: RowRules = DEFAULT.row
) -> np.ndarray:
    """The order of teeth that gives the best reading; neighbours at nearly the same angle may change places. [T]

    Args:
        row_of: the row of the teeth in a given order [T].
        angle: [T] degrees, of each tooth along the arch.
        jaw: 0 upper, 1 lower.
        rules: the tuned constants of a row.
    """
    order = np.arange(len(angle))
    best = score_of(row_of(order), jaw, rules)
    for first in np.flatnonzero(np.diff(angle) < rules.crowded):
        other = order.copy()
        other[[first, first + 1]] = other[[first + 1, first]]
        if (score := score_of(row_of(other), jaw, rules) - rules.exchange) > best:
            order, best = other, score
    return order


def find_teeth(
    mesh: Mesh,
    place: np.ndarray,
    prob: np.ndarray,
    jaw: int,
    rules: Rules = DEFAULT,
    crowns: Sequence[np.ndarray] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Divide a surface into pieces that are one tooth each, or gingiva.

    Args:
        mesh: F faces.
        place: [F] positions 1 … 16, 0 gingiva.
        prob: [F, 17] probabilities of the positions.
        jaw: 0 upper, 1 lower; for the expected size of each tooth.
        rules: the tuned constants.
        crowns: faces of each piece of surface that is one tooth; it is not joined with other pieces near it.

    Returns:
        [F] numbers of the pieces, and [F] positions, 0 for gingiva. Very small pieces have the label around them.
    """
    piece = label_pieces(place, mesh.adjacency)
    piece, place = dissolve(piece, place.copy(), mesh, rules.numbers.speck)
    for own in crowns:  # the faces include specks on the crown, which are not connected to it
        first = own[np.bincount(piece[own], weights=mesh.areas[own])[piece[own]].argmax()]
        piece[own], place[own] = piece[first], place[first]
    tooth = np.flatnonzero(place > 0)
    teeth, one_of = np.unique(piece[tooth], return_index=True)
    if len(teeth) == 0:
        return piece, place
    log_prob = np.log(np.maximum(prob, rules.numbers.least))
    usual = usual_areas(place[tooth[one_of]], np.bincount(piece, weights=mesh.areas)[teeth], jaw)
    piece = separate(mesh, piece, teeth, usual, log_prob[:, 1:], rules)
    others = place.copy()
    for own in crowns:
        others[own] = 0
    return across_gaps(mesh, piece, others, jaw, rules.pieces), place


def pieces_that_meet(mesh: Mesh, piece: np.ndarray) -> set[tuple[int, int]]:
    """All pairs of pieces that have a common edge, each pair in both orders."""
    source, target = piece[mesh.adjacency]
    across = source != target
    return set(zip(source[across].tolist(), target[across].tolist(), strict=True))


def touching(meeting: set[tuple[int, int]], teeth: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Whether each tooth of a row touches the next one, and one of the two is too small for a tooth. [T - 1] bool"""
    meet = [pair in meeting for pair in zip(teeth[:-1].tolist(), teeth[1:].tolist(), strict=True)]
    return np.array(meet, dtype=bool) & (np.minimum(area[:-1], area[1:]) < WHOLE_TOOTH)


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
