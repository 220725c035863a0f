from __future__ import annotations

import pytest

from toothgraph.inference.predict import OtherReading
from toothgraph.report.doubts import (
    doubts_of_jaw,
    find_doubts,
    find_strong_doubts,
    of_jaw,
    pair_doubts,
    text_and_teeth,
)
from toothgraph.report.tooth_table import ToothRow

UNSURE = "the model is less than 50% sure of the number or the border"


def rows(*confidences: float, area: float = 100.0) -> list[ToothRow]:
    return [ToothRow(0, 50, 900.0, None, 0.99)] + [
        ToothRow(11 + n, 10, area, 8.0, sure) for n, sure in enumerate(confidences)
    ]


def test_a_sure_arch_leaves_none() -> None:
    assert find_doubts(rows(0.9, 0.95, 0.8, 0.7)) == []


def test_too_few_teeth_are_said_before_all_else() -> None:
    assert (
        find_doubts([])
        == find_doubts(rows())
        == ["0 teeth found; does the file show one arch, and is it in millimetres?"]
    )
    few = find_doubts(rows(0.9, 0.8, 0.7), other=OtherReading(((36, 46), (37, 47)), 3.0))
    assert few[0].startswith("3 teeth found") and "36 may be 46, 37 may be 47" in few[1]


def test_unsure_teeth_are_named() -> None:
    assert find_doubts(rows(0.9, 0.95, 0.3, 0.98)) == [f"review 13: {UNSURE}"]
    low = find_doubts(rows(0.4, 0.5, 0.6, 0.7))
    assert low == [
        "the model is only 55% sure of the teeth; does the file show one whole arch?",
        f"review 11: {UNSURE}",
    ]


def test_confidence_counts_by_area() -> None:
    teeth = [*rows(0.99, 0.99, 0.99), ToothRow(14, 10, 1000.0, 8.0, 0.6)]
    assert find_doubts(teeth)[0].startswith("the model is only 69% sure")


def test_milk_teeth_are_named() -> None:
    said = "35, 45 look like milk teeth; each has the number of the permanent tooth that replaces it"
    assert find_doubts(rows(0.9, 0.95, 0.8, 0.7), milk_teeth=(35, 45)) == [said]


@pytest.mark.parametrize(("odds", "named"), [(1.3, True), (14.9, True), (15.1, False)])
def test_numbers_that_may_be_others_are_named_with_the_odds(odds: float, named: bool) -> None:
    other = OtherReading(((14, 15), (15, 0), (0, 18)), odds)
    others = "14 may be 15, 15 may be no tooth, there may be 18"
    said = f"review the numbers: {others}; the numbers given are {odds:.2g} times as likely as these"
    assert find_doubts(rows(0.9, 0.95, 0.8, 0.7), other=other) == [said] * named
    assert find_doubts(rows(0.9, 0.95, 0.8, 0.7), other=OtherReading((), odds)) == []


def test_faces_wound_inside_out_are_told() -> None:
    assert find_doubts(rows(0.9, 0.95, 0.8, 0.7), inside_out=True) == [
        "the surface was inside out in the file; it was turned for labelling"
    ]


def test_a_closed_surface_is_told_where_something_speaks_for_a_fault() -> None:
    whole = rows(*14 * [0.98])
    said = "the surface is closed, as of a model with a base or a printed shell; check that no tooth is missed, and "
    said += "that jaw and sides are right"
    assert find_doubts(whole, closed=True) == []  # a warning that is said of every model is soon read of none
    assert find_doubts(rows(*11 * [0.98]), closed=True) == [said]  # there are few
    assert find_doubts(rows(*14 * [0.94]), closed=True) == [said]
    assert find_doubts(whole, closed=True, jaw_probability=0.94) == [said]
    assert find_doubts(rows(*14 * [0.99], 0.49), closed=True) == [said, f"review 25: {UNSURE}"]
    other = find_doubts(whole, closed=True, other=OtherReading(((14, 15),), 14.0))
    assert other[0] == said and len(other) == 2
    assert find_doubts(whole, closed=True, other=OtherReading(((14, 15),), 16.0)) == []


def test_milk_teeth_that_are_numbered_as_such_are_to_be_checked() -> None:
    said = "75, 85 are numbered as milk teeth, by their size and look: check them"
    assert find_doubts(rows(0.9, 0.95, 0.8, 0.7), milk_teeth=(35, 45), primary=True) == [said]


def test_what_is_said_of_both_jaws_goes_to_the_page_of_each() -> None:
    doubts = [*pair_doubts(), of_jaw(1, "review 36"), of_jaw(0, "review 16")]
    assert doubts_of_jaw(doubts, 0) == [*pair_doubts(), "review 16"] and doubts_of_jaw(doubts, 1) == ["review 36"]


@pytest.mark.parametrize(
    ("doubt", "teeth"),
    [
        ("review 33, 34: the model is less than 50% sure of the number or the border", [33, 34]),
        ("14 may be 15, there may be 18; the numbers given are 11 times as likely as these", [14, 15, 18]),
        ("review the numbers: 44 may be 45; the numbers given are 1.2 times as likely as these", [44, 45]),
        ("labelled as lower jaw, but looks like the upper jaw (the model is 88% sure); check the name of the file", []),
        ("45 shows 15% of the usual area: is it erupting, broken, or no tooth?", [45]),
        ("31 is 1.8 times as wide as usual: are these two teeth?", [31]),
        ("75, 85 are numbered as milk teeth, by their size and look: check them", [75, 85]),
        ("review the numbers: 11 is on two teeth, 14 mm apart; one of them has another number", [11]),
        ("16: a smooth post, as of an implant's scan body, and no crown; the number is a guess by its place", [16]),
        ("lower jaw: brackets or attachments on 35, 34.", [35, 34]),
        ("</script> a11 <b>scan.16</b> 19 56", []),
        ("", []),
    ],
)  # fmt: skip
def test_the_teeth_of_a_warning(doubt: str, teeth: list[int]) -> None:
    parts = text_and_teeth(doubt)
    assert [part for part in parts if isinstance(part, int)] == teeth
    assert "".join(map(str, parts)) == doubt


def test_two_arches_in_one_file_are_told() -> None:
    assert find_doubts(rows(0.9, 0.95, 0.8, 0.7), two_arches=True) == [
        "the same teeth are found on two surfaces; are both jaws in one file? Use one file per jaw"
    ]


def test_a_jaw_that_the_scan_contradicts_is_told() -> None:
    teeth = rows(0.9, 0.95, 0.8, 0.7)
    assert find_doubts(teeth, jaw=1, jaw_probability=0.6) == []
    assert find_doubts(teeth, jaw=1, jaw_probability=0.02) == [
        "labelled as lower jaw, but looks like the upper jaw (the model is 98% sure); check the name of the file"
    ]


def test_strong_doubts_are_those_of_the_whole_scan() -> None:
    sure, other = rows(0.9, 0.95, 0.8, 0.7), OtherReading(((14, 15),), 1.1)
    assert find_strong_doubts(rows(0.9, 0.95, 0.3, 0.98)) == []  # one tooth is not sure
    assert find_doubts(sure, other=other, inside_out=True) and find_strong_doubts(sure) == []
    assert find_strong_doubts([]) == find_doubts([])
    for given in ({"two_arches": True}, {"jaw": 1, "jaw_probability": 0.02}):
        assert find_strong_doubts(sure, **given) == find_doubts(sure, **given) != []
    assert find_strong_doubts(rows(0.4, 0.5, 0.6, 0.7)) == [
        "the model is only 55% sure of the teeth; does the file show one whole arch?"
    ]


def test_impossible_numbers_are_to_be_reviewed() -> None:
    assert find_doubts(rows(0.9, 0.95, 0.8, 0.7), faults=["11 is on two teeth"]) == [
        "review the numbers: 11 is on two teeth"
    ]
