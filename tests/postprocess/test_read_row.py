from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from toothgraph.anatomy.dentition import CROWN_SIZE
from toothgraph.anatomy.frame import ALONG
from toothgraph.postprocess.milk_teeth import in_mixed_dentition
from toothgraph.postprocess.read_row import Row, end_costs, gap_costs, read_row
from toothgraph.rules import DEFAULT, RowRules

RULES = DEFAULT.row


def row_of(places: list[int], sure: float = 0.9, gap: float = 0.2, **changes: object) -> Row:
    """Pieces that look like some teeth."""
    teeth = len(places)
    log_prob = np.full((teeth, 16), np.log((1 - sure) / 15))
    log_prob[np.arange(teeth), np.array(places) - 1] = np.log(sure)
    values = {
        "log_prob": log_prob, "gingiva": np.full(teeth, -5.0), "weight": np.ones(teeth), "gap": np.full(teeth - 1, gap),
        "wide_gap": np.full(max(teeth - 2, 0), 8.0), "touching": np.zeros(teeth - 1, dtype=bool),
        "size": np.full(teeth, np.nan),
    }  # fmt: skip
    return Row(**{**values, **changes})  # type: ignore[arg-type]


def written_out(row: Row, jaw: int, rules: RowRules) -> list[tuple[float, tuple[int, ...]]]:
    """Every reading with its score: numbers as places along the arch 0 … 15, -1 for gingiva."""
    start, end = end_costs(jaw, rules)
    found = []
    for states in product(range(-1, 16), repeat=len(row.log_prob)):
        score, last, gingiva = 0.0, -1, False
        for piece, state in enumerate(states):
            if state < 0:
                score += row.weight[piece] * (rules.trust * row.gingiva[piece] - rules.no_tooth)
                gingiva = True
                continue
            score += rules.trust * row.weight[piece] * row.log_prob[piece, ALONG[state] - 1]
            if last < 0:
                score -= start[state]
            elif state == last and not gingiva and row.touching[piece - 1]:
                score -= rules.same_tooth
            else:
                gap = row.wide_gap[piece - 2] if gingiva else row.gap[piece - 1]
                score -= gap_costs(jaw, float(gap), rules)[last, state]
            last, gingiva = state, False
        found.append((score - (end[last] if last >= 0 else 0.0), states))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_best_second_and_probabilities_against_all_readings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    row = Row(
        np.log(rng.dirichlet(np.full(16, 0.3), size=3).clip(1e-3)), rng.normal(size=3) * 4, rng.uniform(0.3, 1, 3),
        rng.uniform(0, 12, 2), rng.uniform(0, 20, 1), np.array([seed % 2 == 0, False]), rng.uniform(6, 11, 3),
    )  # fmt: skip
    jaw = seed % 2
    mixed = replace(row, log_prob=in_mixed_dentition(row.log_prob, row.size, jaw)[0])
    both = written_out(row, jaw, RULES) + [
        (score - RULES.mixed, states) for score, states in written_out(mixed, jaw, RULES)
    ]
    every = sorted(((score, states) for score, states in both if np.isfinite(score)), reverse=True)
    places = [np.array([0 if state < 0 else ALONG[state] for state in states]) for _, states in every]
    reading = read_row(row, jaw)
    np.testing.assert_array_equal(reading.places, places[0])
    other = next(number for number, found in enumerate(places) if (found != places[0]).any())
    np.testing.assert_array_equal(reading.second, places[other])
    assert reading.odds == pytest.approx(np.exp(min(every[0][0] - every[other][0], 50.0)))
    weight = np.exp(np.array([score for score, _ in every]) - every[0][0])
    expected = np.zeros((3, 17))
    for share, found in zip(weight / weight.sum(), places, strict=True):
        expected[np.arange(3), found] += share
    np.testing.assert_allclose(reading.probability, expected, atol=1e-9)


COMPLETE = [7, 6, 5, 4, 3, 2, 1, 9, 10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize("jaw", [0, 1])
def test_a_complete_row(jaw: int) -> None:
    reading = read_row(row_of(COMPLETE), jaw)
    assert reading.places.tolist() == COMPLETE and reading.odds > 100
    np.testing.assert_allclose(reading.probability.sum(axis=1), 1)
    assert reading.probability[np.arange(14), COMPLETE].min() > 0.99


@pytest.mark.parametrize("missing", [[4, 12], [5], [2, 10], [6], [14, 6], [1]])
@pytest.mark.parametrize("closed", [True, False])
def test_crowns_that_are_sure_keep_their_numbers_across_gaps(missing: list[int], closed: bool) -> None:
    there = [place for place in COMPLETE if place not in missing]
    row = row_of(there, sure=0.8)
    if not closed:
        row.gap[:] = [0.2 if abs(COMPLETE.index(a) - COMPLETE.index(b)) == 1 else 6.0 for a, b in
                      pairwise(there)]  # fmt: skip
    assert read_row(row, 0).places.tolist() == there


def test_one_doubtful_crown_in_a_full_row_gets_the_number_between_its_neighbours() -> None:
    row = row_of(COMPLETE)
    row.log_prob[3] = np.log(1 / 16)
    assert read_row(row, 0).places.tolist() == COMPLETE


def test_a_premolar_that_may_be_either_is_said_to_be() -> None:
    there = [place for place in COMPLETE if place != 4]
    row = row_of(there)
    row.log_prob[2, [3, 4]] = np.log(0.45)
    reading = read_row(row, 0)
    assert reading.odds < 3 and {reading.places[2], reading.second[2]} == {4, 5}
    assert reading.probability[2, [4, 5]].min() > 0.2


def test_a_piece_of_gingiva_takes_no_number() -> None:
    places = [*COMPLETE[:10], 12, *COMPLETE[10:]]
    row = row_of(places)
    row.log_prob[10] = np.log(1 / 16)
    row.gingiva[10] = 5.0
    reading = read_row(row, 0)
    assert reading.places.tolist() == [*COMPLETE[:10], 0, *COMPLETE[10:]] and reading.probability[10, 0] > 0.9


def test_halves_of_a_tooth_that_touch_are_one() -> None:
    places = [7, 6, 6, 5, 4]
    touching = np.array([False, True, False, False])
    assert (
        read_row(row_of(places, weight=np.array([1, 0.5, 0.5, 1, 1]), touching=touching), 0).places.tolist() == places
    )


@pytest.mark.parametrize("places", [[7, 6, 5], [2, 1, 9, 10], [13, 14, 15]])
def test_a_part_of_an_arch(places: list[int]) -> None:
    assert read_row(row_of(places, sure=0.95), 1).places.tolist() == places


def mixed_row(jaw: int, milk: float) -> Row:
    """What is seen of a mouth with milk molars: two first molars a side, the one in front this much of its size."""
    places = [6, 5, 4, 3, 2, 1, 9, 10, 11, 12, 13, 14]
    size = CROWN_SIZE[jaw, (np.array(places) - 1) % 8]
    seen = np.array(places)
    for tooth in (1, -2):
        seen[tooth] += 1  # a second milk molar looks like a first molar
        size[tooth] = milk * CROWN_SIZE[jaw, 5]
    return row_of(seen.tolist(), sure=0.8, size=size)


@pytest.mark.parametrize("jaw", [0, 1])
def test_milk_molars_have_the_numbers_of_their_successors(jaw: int) -> None:
    reading = read_row(mixed_row(jaw, 0.86), jaw)
    assert reading.places.tolist() == [6, 5, 4, 3, 2, 1, 9, 10, 11, 12, 13, 14]
    assert reading.places[reading.milk].tolist() == [5, 13]
    assert reading.odds > 15


@pytest.mark.parametrize("jaw", [0, 1])
def test_what_looks_like_a_molar_and_is_as_large_as_one_is_no_milk_tooth(jaw: int) -> None:
    assert not read_row(mixed_row(jaw, 1.0), jaw).milk.any()
    assert not read_row(row_of(COMPLETE, size=CROWN_SIZE[jaw, (np.array(COMPLETE) - 1) % 8]), jaw).milk.any()


def test_costs_of_gaps() -> None:
    closed, fitting = gap_costs(0, 0.2, RULES), gap_costs(0, 5.6, RULES)  # 5.6 mm: what is left of a premolar's room
    at = {place: index for index, place in enumerate(ALONG.tolist())}
    assert closed[at[5], at[4]] == 0 < closed[at[5], at[3]]
    assert fitting[at[5], at[3]] < closed[at[5], at[3]]  # a missing tooth explains an open gap
    assert fitting[at[5], at[4]] > 0
    assert np.isinf(closed[at[4], at[5]]) and np.isinf(closed[at[4], at[4]])


@pytest.mark.parametrize("jaw", [0, 1])
@pytest.mark.parametrize(("back", "gap"), [(6, 40.0), (5, 36.0), (4, 34.0)])
def test_teeth_on_both_sides_of_a_long_gap_stay_teeth(jaw: int, back: int, gap: float) -> None:
    """Of many teeth in a row that are missing, each costs less: they were lost together. The gap is seen across."""
    there = [*range(8, back - 1, -1), *range(8 + back, 17)]
    gaps = np.array([gap if {one, other} == {back, 8 + back} else 0.2 for one, other in pairwise(there)])
    wide = gaps[:-1] + gaps[1:] + 8.0
    row = replace(row_of(there), gap=gaps, wide_gap=wide)
    assert read_row(row, jaw).places.tolist() == there


@pytest.mark.parametrize("jaw", [0, 1])
def test_a_gap_is_no_wider_than_the_teeth_that_are_missing_in_it(jaw: int) -> None:
    """Behind a gap of two teeth, second and third molars look much like first and second ones."""
    at, room = {place: index for index, place in enumerate(ALONG.tolist())}, 7.0 + 10.5
    cost = gap_costs(jaw, room, RULES)
    assert cost[at[7], at[4]] + 2 < min(cost[at[6], at[4]], cost[at[5], at[4]])
    there = [8, 7, 4, 3, 2, 1, *range(9, 17)]
    looks = row_of(there).log_prob.copy()
    for tooth, other in ((0, 7), (1, 6)):
        looks[tooth, other - 1] = looks[tooth, there[tooth] - 1] + 1.0  # somewhat more like the teeth before them
    gaps = np.array([room if (one, other) == (7, 4) else 0.2 for one, other in pairwise(there)])
    row = replace(row_of(there), log_prob=looks, gap=gaps, wide_gap=gaps[:-1] + gaps[1:] + 8.0)
    assert read_row(row, jaw).places.tolist() == there


def test_a_long_run_of_missing_teeth_costs_as_much_as_before_where_the_gap_has_closed() -> None:
    at = {place: index for index, place in enumerate(ALONG.tolist())}
    closed, open_ = (gap_costs(0, gap, RULES)[at[6], at[14]] for gap in (0.2, 38.0))
    assert closed > 20 > 13 > open_ > 10
