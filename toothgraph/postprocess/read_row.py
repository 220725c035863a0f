"""The numbers of a row of teeth: the best reading of the whole row, the next best one, and how sure each number is.

The model is a chain. Its state is the last position given so far, and whether the piece before was taken for gingiva.
Each piece takes a later position than the piece before it, or no position. It may also take the same position where the
two pieces may be one tooth. A score in nats sums up what each piece looks like and what lies between two teeth (an open
gap, a missing tooth, a gap that has closed). The row is read once with permanent teeth only and once with milk teeth
too, and the two readings are compared. The best path is found by the algorithm of Viterbi (1967,
doi:10.1109/TIT.1967.1054010), the probabilities by the forward-backward algorithm (Rabiner 1989, doi:10.1109/5.18626).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from toothgraph.anatomy.dentition import CROWN_WIDTH, MISSING_COST, along
from toothgraph.anatomy.frame import ALONG
from toothgraph.anatomy.sizes import NEAR
from toothgraph.postprocess.milk_teeth import in_mixed_dentition
from toothgraph.rules import DEFAULT, RowRules

LAST = 17  # states: no position yet, or the k-th along the arch; the same again if the piece before is gingiva
Lattice = tuple[np.ndarray, np.ndarray]  # scores of all steps [T, 34, 34], and of all ends [34]


@dataclass(frozen=True, eq=False)
class Row:
    """Pieces in order along the arch, T of them.

    Attributes:
        log_prob: [T, 16] log-probabilities of the positions 1 … 16, by what each piece looks like.
        gingiva: [T] nats by which a piece is likelier gingiva than a tooth.
        weight: [T] from 0 to 1; less than 1 for a piece that is too small for a tooth.
        gap: [T - 1] mm to the next piece.
        wide_gap: [T - 2] mm to the piece after the next one: the gap around one piece of gingiva. After several such
            pieces, it is measured from the last of them but one.
        touching: [T - 1] bool, whether a piece and the next one may be one tooth.
        size: [T] mm, the square root of the product of the extents of each piece along and across the arch; NaN if not
            known.
    """

    log_prob: np.ndarray
    gingiva: np.ndarray
    weight: np.ndarray
    gap: np.ndarray
    wide_gap: np.ndarray
    touching: np.ndarray
    size: np.ndarray


@dataclass(frozen=True, eq=False)
class Reading:
    """The numbers of a row.

    Attributes:
        places: [T] positions 1 … 16, 0 for gingiva.
        probability: [T, 17] probabilities of gingiva and of the positions, for each piece, over all readings.
        second: [T] positions in the next best reading.
        odds: how much likelier the best reading is than the second.
        milk: [T] bool, whether the best reading takes each piece for a milk tooth in the place of its successor.
    """

    places: np.ndarray
    probability: np.ndarray
    second: np.ndarray
    odds: float
    milk: np.ndarray


def read_row(row: Row, jaw: int, rules: RowRules = DEFAULT.row) -> Reading:
    """The best reading of a row, the next best one, and the probability of each number.

    Args:
        row: T pieces, at least one.
        jaw: 0 upper, 1 lower.
        rules: what gaps, missing teeth and pieces of gingiva cost.
    """
    lattices, milk = both_dentitions(row, jaw, rules)
    paths = [best_path(*one) for one in lattices]
    mixed = int(paths[1][0] > paths[0][0])
    score, path = paths[mixed]
    # The second best reading differs from the best in at least one piece.
    others = [best_path(_without(steps, piece, state), ends) for steps, ends in lattices
              for piece, state in enumerate(path)]  # fmt: skip
    second_score, second = max(others, key=lambda found: found[0])
    places = _places(path)
    return Reading(
        places, marginals(lattices), _places(second), float(np.exp(min(score - second_score, 50.0))),
        (places > 0) & (mixed == 1) & milk[np.arange(len(places)), places - 1],
    )  # fmt: skip


def score_of(row: Row, jaw: int, rules: RowRules = DEFAULT.row) -> float:
    """The score of the best reading of a row, nats."""
    return max(best_path(*one)[0] for one in both_dentitions(row, jaw, rules)[0])


def both_dentitions(row: Row, jaw: int, rules: RowRules) -> tuple[list[Lattice], np.ndarray]:
    """The lattices of a mouth without and with milk teeth, and at which positions a piece would be a milk tooth.

    Returns:
        The two lattices, and [T, 16] bool.
    """
    said, milk = in_mixed_dentition(row.log_prob, row.size, jaw, rules)
    between = transitions(row, jaw, rules)
    ends = np.tile(np.concatenate([[0.0], -end_costs(jaw, rules)[1]]), 2)
    permanent, mixed = (_with_looks(between, log_prob, row, rules) for log_prob in (row.log_prob, said))
    return [(permanent, ends), (mixed, ends - rules.mixed)], milk


def transitions(row: Row, jaw: int, rules: RowRules) -> np.ndarray:
    """Scores of all steps of the chain from state to state, without what each piece looks like. [T, 34, 34]"""
    pieces = len(row.weight)
    none = row.weight * (rules.trust * row.gingiva - rules.no_tooth)
    start, _ = end_costs(jaw, rules)
    steps = np.full((pieces, 2 * LAST, 2 * LAST), -np.inf)
    plain, after_gingiva = slice(0, LAST), slice(LAST, 2 * LAST)
    for before, gap, back in ((plain, row.gap, 1), (after_gingiva, row.wide_gap, 2)):
        step = steps[:, before, plain]  # a view
        step[:, 0, 1:] = -start
        step[back:, 1:, 1:] = -gap_costs(jaw, gap[: max(pieces - back, 0)], rules)
        steps[:, before, after_gingiva] = np.where(np.eye(LAST, dtype=bool), none[:, None, None], -np.inf)
    place = np.arange(1, LAST)
    steps[1 + np.flatnonzero(row.touching)[:, None], place, place] = -rules.same_tooth
    steps[0, 1:] = -np.inf  # no piece comes before the first
    return steps


def _with_looks(between: np.ndarray, log_prob: np.ndarray, row: Row, rules: RowRules) -> np.ndarray:
    """The scores of :func:`transitions` plus what each piece looks like, ``log_prob`` [T, 16]. [T, 34, 34]"""
    seen = rules.trust * row.weight[:, None] * log_prob[:, ALONG - 1]  # in order along the arch
    steps = between.copy()
    steps[:, :, 1:LAST] += seen[:, None, :]
    return steps


def gap_costs(jaw: int, gap: float | np.ndarray, rules: RowRules) -> np.ndarray:
    """The cost of one position after another across a gap; infinite if it may not follow. [..., 16, 16]

    Args:
        jaw: 0 upper, 1 lower.
        gap: [...] mm.
        rules: the costs of gaps.
    """
    lost, room = _between(jaw)
    gap = np.asarray(gap)[..., None, None]
    first, second = np.ogrid[:16, :16]
    spread = rules.open_gap * np.maximum(gap - rules.loose, 0.0)  # a gap with no tooth missing in it
    kept = rules.open_gap * np.maximum(np.abs(gap - np.minimum(rules.shrink * room, rules.mouth)) - rules.slack, 0.0)
    lost = np.where(gap > NEAR, np.minimum(lost, rules.stretch), lost)
    between = np.where(second == first + 1, spread, lost + np.minimum(kept, rules.closed_gap + spread))
    # Hardly any gap is wider than the teeth that are missing in it: in 3D-IOSSeg, 1,468 gaps between neighbours are at
    # most 3.0 mm wide, and 16 gaps where teeth are missing are at most 0.3 mm wider than these teeth.
    between = between + rules.wider * np.maximum(gap - room - rules.beyond, 0.0)
    return np.where(second > first, between, np.inf)


@cache
def _between(jaw: int) -> tuple[np.ndarray, np.ndarray]:
    """The cost if all teeth between two positions are missing, and the room of these teeth in mm. [16, 16] each"""
    first, second = np.ogrid[:16, :16]
    later, behind = second > first, np.minimum(first + 1, 16)
    tables = (np.concatenate([[0.0], np.cumsum(along(table, jaw))]) for table in (MISSING_COST, CROWN_WIDTH))
    lost, room = (np.where(later, table[second] - table[behind], 0.0) for table in tables)
    return lost, room


def end_costs(jaw: int, rules: RowRules) -> tuple[np.ndarray, np.ndarray]:
    """The cost of a row that begins, and of a row that ends, at each position. [16] each

    It is the cost of the teeth beyond, which are missing or were not scanned.
    """
    missing = rules.end * along(MISSING_COST, jaw)
    before, after = np.cumsum(missing) - missing, np.cumsum(missing[::-1])[::-1] - missing
    return np.minimum(before, rules.part), np.minimum(after, rules.part)


def best_path(steps: Iterable[np.ndarray], ends: np.ndarray) -> tuple[float, list[int]]:
    """The largest score of all paths, and the state of that path after each piece."""
    score, came = np.where(np.arange(len(ends)) == 0, 0.0, -np.inf), []
    for step in steps:
        options = score[:, None] + step
        came.append(options.argmax(axis=0))
        score = options.max(axis=0)
    state = int((score + ends).argmax())
    path = [state]
    for back in came[:0:-1]:
        path.append(int(back[path[-1]]))
    return float((score + ends).max()), path[::-1]


def marginals(lattices: list[Lattice]) -> np.ndarray:
    """The probability of gingiva and of each position for every piece, over all paths of some lattices.

    Returns:
        [T, 17], positions 1 … 16 behind gingiva.
    """
    joint = np.logaddexp.reduce([_joint(steps, ends) for steps, ends in lattices], axis=0)  # [T, 34]
    share = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    probability = np.zeros((len(joint), 17))
    probability[:, ALONG] = share[:, 1:LAST]
    probability[:, 0] = share[:, 0] + share[:, LAST:].sum(axis=1)
    return probability


def _joint(steps: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The score of all paths together that go through each state at each piece, nats. [T, 34]"""
    forward = [np.where(np.arange(len(ends)) == 0, 0.0, -np.inf)]
    for step in steps:
        forward.append(np.logaddexp.reduce(forward[-1][:, None] + step, axis=0))
    backward = [ends]
    for step in steps[:0:-1]:
        backward.append(np.logaddexp.reduce(step + backward[-1], axis=1))
    return np.stack(forward[1:]) + np.stack(backward[::-1])


def _without(steps: np.ndarray, piece: int, state: int) -> list[np.ndarray]:
    """The steps of a lattice in which one piece may not be in one state."""
    other = steps[piece].copy()
    other[:, state] = -np.inf
    return [*steps[:piece], other, *steps[piece + 1 :]]


def _places(path: list[int]) -> np.ndarray:
    """The position of each piece, from the states of a path; 0 for gingiva. [T]"""
    return np.array([ALONG[state - 1] if 0 < state < LAST else 0 for state in path])
