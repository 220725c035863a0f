from __future__ import annotations

import numpy as np
import pytest

from toothgraph.anatomy.dentition import CROWN_SIZE, MILK_SIZE
from toothgraph.postprocess.milk_teeth import FIT, in_mixed_dentition, with_milk_incisors
from toothgraph.rules import DEFAULT


def one_that_looks_like(place: int) -> np.ndarray:
    said = np.full((1, 16), np.log(0.1 / 15))
    said[0, place - 1] = np.log(0.9)
    return said


@pytest.mark.parametrize("jaw", [0, 1])
@pytest.mark.parametrize("side", [0, 8])
def test_a_small_first_molar_may_be_a_second_milk_molar_of_the_same_side(jaw: int, side: int) -> None:
    seen = one_that_looks_like(6 + side)
    said, milk = in_mixed_dentition(seen, MILK_SIZE[jaw, 2:3], jaw)
    assert said[0].argmax() + 1 in (5 + side, 6 + side)
    assert said[0, 4 + side] > seen[0, 4 + side] + 2 and milk[0, 4 + side]
    assert said[0, 12 - side] < said[0, 4 + side] - 2  # not on the other side
    large, _ = in_mixed_dentition(seen, CROWN_SIZE[jaw, 5:6], jaw)
    assert large[0, 4 + side] < said[0, 4 + side] - 2


def test_late_molars_are_less_likely_and_all_else_stays() -> None:
    seen = one_that_looks_like(1)
    said, milk = in_mixed_dentition(seen, np.array([8.0]), 0)
    np.testing.assert_allclose(said[0, [6, 7, 14, 15]], seen[0, [6, 7, 14, 15]] - DEFAULT.row.late)
    np.testing.assert_array_equal(said[0, [0, 1, 5, 8, 9, 13]], seen[0, [0, 1, 5, 8, 9, 13]])
    assert not milk[0, [0, 1, 5, 6, 7, 8, 9, 13, 14, 15]].any()


def test_an_unknown_size_speaks_neither_way() -> None:
    seen = one_that_looks_like(6)
    said, _ = in_mixed_dentition(seen, np.array([np.nan]), 0)
    assert said[0, 4] == pytest.approx(seen[0, 5] - DEFAULT.row.milk)


@pytest.mark.parametrize(("jaw", "number"), [(0, 3), (0, 4), (0, 5), (1, 4)])
def test_what_is_too_small_for_a_milk_tooth_is_none_by_its_size(jaw: int, number: int) -> None:
    """A crown of coarse faces, whose border is lost, or a part of a tooth."""
    seen = one_that_looks_like(number + 1)
    at_least = MILK_SIZE[jaw, number - 3] * np.exp(-FIT * DEFAULT.row.milk_size)
    small, unknown, some = (in_mixed_dentition(seen, np.array([size]), jaw)[0][0, number - 1]
                            for size in (0.97 * at_least, np.nan, 1.03 * at_least))  # fmt: skip
    assert small <= unknown < some


def test_without_permanent_molars_all_teeth_are_milk_teeth() -> None:
    child = np.array([5, 4, 3, 2, 1, 9, 10, 11, 12, 13])
    milk = np.isin(child, [3, 4, 5, 11, 12, 13])
    assert with_milk_incisors(child, milk).all()
    assert not with_milk_incisors(np.append(child, 0), np.append(milk, False))[-1]  # a piece that is no tooth


@pytest.mark.parametrize(
    ("places", "milk"),
    [
        ([6, 5, 4, 3, 2, 1, 9, 10, 11, 12, 13], [5, 4, 3, 11, 12, 13]),  # a first molar has come
        ([5, 4, 3, 2, 1, 9, 10, 11, 12, 13], [5, 4, 11, 12, 13]),  # a canine has come
        ([5, 4, 3, 2, 1], [5, 4, 3]),  # one side only
        ([5, 4, 3, 2, 1, 9, 10, 11, 12, 13], []),
    ],
)
def test_else_incisors_are_what_they_were(places: list[int], milk: list[int]) -> None:
    found = np.isin(places, milk)
    np.testing.assert_array_equal(with_milk_incisors(np.array(places), found), found)
