from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toothgraph.anatomy.doubt import UNSURE, Doubt
from toothgraph.anatomy.odd_crowns import OddCrowns
from toothgraph.anatomy.tooth_text import tooth_text
from toothgraph.inference.predict import OtherReading
from toothgraph.report.doubts import doubts_of_jaw, find_doubts, pair_doubts
from toothgraph.report.tooth_table import ToothRow

NOT_SURE = "the model is less than 50% sure of the number or the border"


def rows(*confidences: float, area: float = 100.0) -> list[ToothRow]:
    return [ToothRow(0, 50, 900.0, None, 0.99)] + [
        ToothRow(11 + n, 10, area, 8.0, sure) for n, sure in enumerate(confidences)
    ]


def said(teeth: list[ToothRow], **found: Any) -> list[str]:
    return list(map(str, find_doubts(teeth, **found)))


def strong(teeth: list[ToothRow], **found: Any) -> list[str]:
    return [str(doubt) for doubt in find_doubts(teeth, **found) if doubt.strong]


def test_a_sure_arch_leaves_none() -> None:
    assert said(rows(0.9, 0.95, 0.8, 0.7)) == []


def test_too_few_teeth_are_said_before_all_else() -> None:
    assert said([]) == said(rows()) == ["0 teeth found; does the file show one arch, and is it in millimetres?"]
    few = said(rows(0.9, 0.8, 0.7), other=OtherReading(((36, 46), (37, 47)), 3.0))
    assert few[0].startswith("3 teeth found") and "36 may be 46, 37 may be 47" in few[1]


def test_few_teeth_of_a_jaw_that_is_another_are_no_matter_of_millimetres() -> None:
    (told,) = said([], jaw=1, jaw_probability=0.002)
    assert told == (
        "0 teeth found; labelled as lower jaw, but looks like the upper jaw (the model is 100% sure); check the name "
        "of the file"
    )


def test_unsure_teeth_are_named() -> None:
    assert said(rows(0.9, 0.95, 0.3, 0.98)) == [f"review 13: {NOT_SURE}"]
    low = said(rows(0.4, 0.5, 0.6, 0.7))
    assert low == [
        "the model is only 55% sure of the teeth; does the file show one whole arch?",
        f"review 11: {NOT_SURE}",
    ]


def test_confidence_counts_by_area() -> None:
    teeth = [*rows(0.99, 0.99, 0.99), ToothRow(14, 10, 1000.0, 8.0, 0.6)]
    assert said(teeth)[0].startswith("the model is only 69% sure")


def test_milk_teeth_are_named() -> None:
    sentence = "35, 45 look like milk teeth; each has the number of the permanent tooth that replaces it"
    assert said(rows(0.9, 0.95, 0.8, 0.7), milk_teeth=(35, 45)) == [sentence]


@pytest.mark.parametrize(("odds", "named"), [(1.3, True), (14.9, True), (15.1, False)])
def test_numbers_that_may_be_others_are_named_with_the_odds(odds: float, named: bool) -> None:
    other = OtherReading(((14, 15), (15, 0), (0, 18)), odds)
    others = "14 may be 15, 15 may be no tooth, there may be 18"
    sentence = f"review the numbers: {others}; the numbers given are {odds:.2g} times as likely as these"
    assert said(rows(0.9, 0.95, 0.8, 0.7), other=other) == [sentence] * named
    assert said(rows(0.9, 0.95, 0.8, 0.7), other=OtherReading((), odds)) == []


def test_faces_wound_inside_out_are_told() -> None:
    assert said(rows(0.9, 0.95, 0.8, 0.7), inside_out=True) == [
        "the surface was inside out in the file; it was turned for labelling"
    ]


def test_a_closed_surface_is_told_where_something_speaks_for_a_fault() -> None:
    whole = rows(*14 * [0.98])
    sentence = "the surface is closed, as of a model with a base or a printed shell; check that no tooth is missed, "
    sentence += "and that jaw and sides are right"
    assert said(whole, closed=True) == []  # a warning that is said of every model is soon read of none
    assert said(rows(*11 * [0.98]), closed=True) == [sentence]  # there are few
    assert said(rows(*14 * [0.94]), closed=True) == [sentence]
    assert said(whole, closed=True, jaw_probability=0.94) == [sentence]
    assert said(rows(*14 * [0.99], 0.49), closed=True) == [sentence, f"review 25: {NOT_SURE}"]
    other = said(whole, closed=True, other=OtherReading(((14, 15),), 14.0))
    assert other[0] == sentence and len(other) == 2
    assert said(whole, closed=True, other=OtherReading(((14, 15),), 16.0)) == []


def test_milk_teeth_that_are_numbered_as_such_are_to_be_checked() -> None:
    sentence = "75, 85 are numbered as milk teeth, by their size and look: check them"
    assert said(rows(0.9, 0.95, 0.8, 0.7), milk_teeth=(35, 45), primary=True) == [sentence]


def test_what_is_said_of_both_jaws_goes_to_the_page_of_each() -> None:
    upper, lower = Doubt.of(UNSURE, "review ", [16]), Doubt.of(UNSURE, "review ", [36])
    doubts = [*pair_doubts(), replace(lower, jaw=1), replace(upper, jaw=0)]
    assert list(map(str, doubts[1:])) == ["lower jaw: review 36", "upper jaw: review 16"]
    assert doubts_of_jaw(doubts, 0) == [*pair_doubts(), upper] and doubts_of_jaw(doubts, 1) == [lower]


@pytest.mark.parametrize(("sure", "strong_ones"), [(1.0, 0), (0.81, 0), (0.79, 1), (0.504, 1)])
def test_which_jaw_is_the_upper_one_must_be_known(sure: float, strong_ones: int) -> None:
    found = [doubt for doubt in pair_doubts(0.0, sure) if doubt.strong]
    assert len(found) == strong_ones and len(pair_doubts(0.0, sure)) == 1 + strong_ones
    for doubt in found:
        assert str(doubt) == (
            "it is not certain which of the two jaws in this file is the upper one (the model is "
            f"{sure:.0%} sure); or does the file show one jaw twice?"
        )


def test_a_broken_surface_is_said_where_few_teeth_are_found() -> None:
    assert said([], broken="it is broken", jaw=1, jaw_probability=0.02) == ["0 teeth found; it is broken"]
    assert said(rows(0.9, 0.95, 0.8, 0.7), broken="it is broken") == []


def test_the_teeth_of_a_warning_are_known_and_no_other_number_is_one() -> None:
    crowns = OddCrowns(posts=(16,), stumps=(15, 24), parts=((45, 0.15),), doubles=((31, 1.8),), bracketed=(11, 12, 13))
    other = OtherReading(((14, 15), (15, 0), (0, 18)), 11.0)
    low = rows(0.9, 0.95, 0.3, 0.98)
    doubts = find_doubts(low, crowns=crowns, other=other, jaw_probability=0.12, jaw=1, milk_teeth=(35,), primary=True)
    assert [(doubt.kind, doubt.text.teeth) for doubt in doubts] == [
        ("jaw", ()), ("post", (16,)), ("stump", (15, 24)), ("part", (45,)), ("double", (31,)),
        ("brackets", (11, 12, 13)), ("unsure", (13,)), ("other_numbers", (14, 15, 15, 18)), ("milk", (75,)),
    ]  # fmt: skip
    assert [str(doubt) for doubt in doubts if doubt.kind in ("stump", "part", "double", "brackets")] == [
        "15, 24: low, narrow and level on top, as a tooth prepared for a crown; check number and border",
        "45 shows 15% of the usual area: is it erupting, broken, or no tooth?",
        "31 is 1.8 times as wide as usual: are these two teeth?",
        "brackets or attachments on 11, 12, 13: check the borders on their outer side",
    ]
    post = "16: a smooth post, as of an implant's scan body, and no crown; the number is a guess by its place"
    assert doubts[1].flat == [16, post.removeprefix("16")]


def test_two_arches_in_one_file_are_told() -> None:
    assert said(rows(0.9, 0.95, 0.8, 0.7), two_arches=True) == [
        "the same teeth are found on two surfaces; are both jaws in one file? Use one file per jaw"
    ]


def test_a_jaw_that_the_scan_contradicts_is_told() -> None:
    teeth = rows(0.9, 0.95, 0.8, 0.7)
    assert said(teeth, jaw=1, jaw_probability=0.6) == []
    assert said(teeth, jaw=1, jaw_probability=0.02) == [
        "labelled as lower jaw, but looks like the upper jaw (the model is 98% sure); check the name of the file"
    ]


def test_strong_doubts_are_those_of_the_whole_scan() -> None:
    sure, other = rows(0.9, 0.95, 0.8, 0.7), OtherReading(((14, 15),), 1.1)
    assert strong(rows(0.9, 0.95, 0.3, 0.98)) == []  # one tooth is not sure
    assert said(sure, other=other, inside_out=True) and strong(sure) == []
    assert strong([]) == said([])
    for given in ({"two_arches": True}, {"jaw": 1, "jaw_probability": 0.02}):
        assert strong(sure, **given) == said(sure, **given) != []
    assert strong(rows(0.4, 0.5, 0.6, 0.7)) == [
        "the model is only 55% sure of the teeth; does the file show one whole arch?"
    ]


def test_impossible_numbers_are_to_be_reviewed() -> None:
    assert said(rows(0.9, 0.95, 0.8, 0.7), faults=[tooth_text([11], " is on two teeth")]) == [
        "review the numbers: 11 is on two teeth"
    ]
