from __future__ import annotations

import pytest

from toothgraph.anatomy import doubt as kinds
from toothgraph.anatomy.doubt import Doubt, as_doubt, part_of_tooth, renumbered, two_in_one
from toothgraph.anatomy.tooth_text import tooth_text

NUMBERS = {41: 31, 42: 42, 43: 0, 34: 35, 35: 35, 45: 46}


@pytest.mark.parametrize(("doubt", "kept"), [
    (two_in_one(41, 2.2), "31 is 2.2 times as wide as usual: are these two teeth?"),
    (part_of_tooth(45, 0.2), "46 shows less than the usual area: is it erupting, broken, or no tooth?"),
    (two_in_one(45, 1.6), "46 is wider than usual: are these two teeth?"),
    (part_of_tooth(42, 0.2), "42 shows 20% of the usual area: is it erupting, broken, or no tooth?"),
    (Doubt(kinds.STUMP, tooth_text([41, 42], ": low"), jaw=1), "lower jaw: 31, 42: low"),
    (Doubt.of(kinds.BRACKETS, "brackets on ", [41, 43], ": check"), "brackets on 31: check"),
    (Doubt.of(kinds.UNSURE, "review ", [41, 42], ": below 70%"), "review 42: below 70%"),
    (Doubt.of(kinds.UNSURE, "review ", [41], ": below 70%"), None),
    (Doubt.of(kinds.POST, [43], ": a smooth post"), None),  # gingiva now
    (two_in_one(34, 1.8), None),  # one tooth with another
    (Doubt.of(kinds.MILK, [45], " look like milk teeth"), None),
    (Doubt.of(kinds.OTHER_NUMBERS, "review the numbers: ", [42], " may be ", [41]), None),
    (Doubt.of(kinds.IMPOSSIBLE, "review the numbers: ", [42], " is on two teeth"), None),
    (Doubt.of(kinds.JAW, "labelled as lower jaw"), "labelled as lower jaw"),
    (Doubt.of(kinds.UNSURE_SCAN, "the model is only 55% sure"), "the model is only 55% sure"),
    (Doubt.of(kinds.CLOSED, "the surface is closed"), "the surface is closed"),
    (as_doubt("look at 41"), "before teeth got other numbers: look at 41"),
    (Doubt.of("of a later version", "look at ", [41]), "before teeth got other numbers: look at 41"),
])  # fmt: skip
def test_what_is_still_true_of_other_numbers(doubt: Doubt, kept: str | None) -> None:
    after = renumbered([doubt], NUMBERS)
    assert list(map(str, after)) == ([] if kept is None else [kept])
    assert all(one.jaw == doubt.jaw for one in after)


def test_what_is_of_former_numbers_is_told_once() -> None:
    once = renumbered([as_doubt("look at 41")], {41: 31})
    assert renumbered(once, {31: 32}) == once


def test_a_warning_of_the_jaw_ends_with_numbers_of_the_other() -> None:
    assert renumbered([Doubt.of(kinds.JAW, "labelled as lower jaw")], {41: 11, 42: 12}) == []


def test_every_kind_is_of_one_group() -> None:
    """Else `renumbered` would take it for a sentence of which nothing is known."""
    own = {value for name, value in vars(kinds).items() if name.isupper() and isinstance(value, str)}
    groups = [kinds.STRONG, kinds.OF_SCAN, kinds.OF_SHAPE, kinds.OF_NUMBER, kinds.OF_NUMBERS]
    grouped = [kind for group in groups for kind in group]
    assert len(grouped) == len(set(grouped)) and own == {*grouped, kinds.PLAIN, kinds.FORMER}


def test_a_sentence_is_a_warning_without_known_teeth() -> None:
    assert as_doubt("look at 41").flat == ["look at 41"] and not as_doubt("look at 41").strong
    own = Doubt.of(kinds.FEW_TEETH, "3 teeth found")
    assert as_doubt(own) is own and own.strong
