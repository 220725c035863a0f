from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from toothgraph.postprocess.assign_numbers import BACKWARDS, number_teeth
from toothgraph.postprocess.read_row import Row, read_row
from toothgraph.postprocess.short_rows import read_either_way
from toothgraph.synthetic import synthetic_arch


def row_of(places: list[int], sure: float) -> Row:
    """Pieces that look like teeth at some positions."""
    teeth = len(places)
    log_prob = np.full((teeth, 16), np.log((1 - sure) / 15))
    log_prob[np.arange(teeth), np.array(places) - 1] = np.log(sure)
    return Row(log_prob, np.full(teeth, -5.0), np.ones(teeth), np.full(teeth - 1, 0.2), np.full(teeth - 2, 8.0),
               np.zeros(teeth - 1, dtype=bool), np.full(teeth, np.nan))  # fmt: skip


LEFT, RIGHT = [7, 6, 5], [13, 14, 15]  # as met along the arch
ORDERS = np.arange(3), np.arange(3)[::-1]


@pytest.mark.parametrize("better", [0, 1])
def test_the_end_from_which_the_crowns_look_like_themselves_is_the_first(better: int) -> None:
    rows = [row_of(LEFT, 0.5), row_of(RIGHT, 0.5)]
    rows[better] = row_of((LEFT, RIGHT)[better], 0.95)
    reading, backwards = read_either_way((rows[0], rows[1]), ORDERS, 1)
    assert backwards == bool(better)
    assert reading.places.tolist() == (LEFT, RIGHT)[better]
    # the other side is the next best reading: the same pieces, in the order of those that were read
    assert reading.second.tolist() == (LEFT, RIGHT)[1 - better][::-1]
    assert 1 < reading.odds < read_row(rows[better], 1).odds
    np.testing.assert_allclose(reading.probability.sum(axis=1), 1)


@pytest.mark.parametrize("better", [0, 1])
def test_crowded_pieces_may_be_exchanged_in_one_of_the_two_orders(better: int) -> None:
    """Each piece keeps its own second number, whatever its place in the other order is."""
    orders = np.array([0, 1, 2]), np.array([2, 0, 1])
    rows = [row_of(LEFT, 0.5), row_of(RIGHT, 0.5)]
    rows[better] = row_of((LEFT, RIGHT)[better], 0.95)
    reading, _ = read_either_way((rows[0], rows[1]), orders, 1)
    of_piece = dict(zip(orders[1 - better].tolist(), (LEFT, RIGHT)[1 - better], strict=True))
    assert reading.second.tolist() == [of_piece[piece] for piece in orders[better].tolist()]


def test_what_looks_the_same_from_both_ends_is_no_surer_than_even() -> None:
    reading, _ = read_either_way((row_of(LEFT, 0.9), row_of(RIGHT, 0.9)), ORDERS, 1)
    assert reading.odds == pytest.approx(1, abs=0.3)
    assert reading.probability.max() < 0.6


def test_a_reading_of_the_same_end_may_be_the_second() -> None:
    unsure = row_of(RIGHT, 0.95)
    said = unsure.log_prob.copy()
    said[2, 14] = said[2, 15] = np.log(0.45)
    reading, _ = read_either_way((replace(unsure, log_prob=said), row_of(LEFT, 0.05)), ORDERS, 1)
    assert reading.places.tolist() == RIGHT and reading.second.tolist() == [13, 14, 16]


@pytest.mark.parametrize("wanted", [[44, 45, 46, 47], [34, 35, 36, 37]])
def test_back_teeth_get_numbers_of_the_side_that_their_crowns_have(wanted: list[int]) -> None:
    """The classifier knows the teeth, if it is shown them as they stand in the mouth; else it takes them for others."""
    scan = synthetic_arch(4, jaw=1, faces=6000)
    part = scan.part(np.isin(scan.labels, wanted))
    place = np.where(part.labels > 40, part.labels % 10 + 8, part.labels % 10)
    prob = np.eye(17)[place] * 0.9 + 0.1 / 17
    shown: list[np.ndarray] = []

    def classify(points: np.ndarray, jaw: int) -> np.ndarray:
        shown.append(points)
        # in either order of the row the tooth nearest to the front is the smallest
        right = np.ptp(points[0, :, 0]) < np.ptp(points[-1, :, 0])
        own = np.array([12, 13, 14, 15] if right else [7, 6, 5, 4])
        sure = 0.9 if right == (wanted[0] == 44) else 0.3
        return np.log(np.where(np.eye(17)[own][:, 1:] > 0, sure, (1 - sure) / 15))

    found = number_teeth(part, place, prob, 1, np.array([0.0, 1, 0]), classify)
    assert len(shown) == 2
    np.testing.assert_allclose(shown[1], shown[0] * BACKWARDS)
    np.testing.assert_array_equal(found.place, place)
