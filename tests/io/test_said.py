from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toothgraph.anatomy.doubt import CLOSED, DOUBLE, OTHER_NUMBERS, UNSURE, Doubt, as_doubt
from toothgraph.io.said import Said, doubts_content, doubts_in, said_of, said_of_labels
from toothgraph.mesh.label_origin import LabelOrigin

REVIEW = Doubt.of(UNSURE, "review ", [36, 37], ": below 70%")


def test_what_was_said_of_a_scan_is_read_beside_it(tmp_path: Path) -> None:
    said = {"labels": [], "confidence": {"17": 0.5, "16": 1}, **doubts_content([REVIEW])}
    (tmp_path / "a.json").write_text(json.dumps(said))
    assert said_of(tmp_path / "a.ply") == Said([REVIEW], {17: 0.5, 16: 1.0}, told=True)


def test_the_confidence_of_faces() -> None:
    """Of a tooth that is not named, whose number is from a person, and of gingiva nothing is known."""
    assert Said().on_faces(np.array([0, 16])) is None
    sure = Said(confidence={16: 0.5}).on_faces(np.array([0, 16, 15, -1]))
    np.testing.assert_array_equal(sure, [np.nan, 0.5, np.nan, np.nan])


def test_warnings_have_the_documented_shape_and_come_back() -> None:
    closed, plain = Doubt.of(CLOSED, "the surface is closed"), as_doubt("look at 36")
    content = json.loads(json.dumps(doubts_content([closed, replace(REVIEW, jaw=1), "look at 36"])))
    assert content == {
        "doubts": ["the surface is closed", "lower jaw: review 36, 37: below 70%", "look at 36"],
        "doubt_parts": [
            {"kind": "closed", "jaw": None, "parts": ["the surface is closed"]},
            {"kind": "unsure", "jaw": "lower", "parts": ["review ", [36, 37], ": below 70%"]},
        ],
    }
    assert doubts_in(content) == [closed, replace(REVIEW, jaw=1), plain]


def test_the_sentences_decide_what_is_told() -> None:
    """A program, or a person, may have written others, or taken some away."""
    content = {**doubts_content([REVIEW]), "doubts": ["review 36"]}
    assert doubts_in(content) == [as_doubt("review 36")] and doubts_in({**content, "doubts": []}) == []
    assert doubts_in({"doubts": ["review 36"]}) == [as_doubt("review 36")] and doubts_in({}) == []


@pytest.mark.parametrize("content", [
    "", "[]", '{"labels": [1]}', '{"confidence": {"x": 1}}', '{"confidence": [1]}', "7", '{"doubts": 7}',
    '{"doubt_parts": [7]}', '{"doubt_parts": [{}]}', '{"doubt_parts": [{"kind": "a", "jaw": "left", "parts": []}]}',
    '{"doubt_parts": [{"kind": "a", "jaw": null, "parts": [36]}]}',
])  # fmt: skip
def test_nothing_is_said_by_a_file_of_another_program(content: str, tmp_path: Path) -> None:
    assert said_of(tmp_path / "b.ply") == Said()
    (tmp_path / "b.json").write_text(content)
    assert said_of(tmp_path / "b.ply") == Said()


def test_nothing_is_said_of_numbers_that_a_person_has_changed(tmp_path: Path) -> None:
    other = Doubt.of(OTHER_NUMBERS, "review the numbers: ", [46], " may be ", [47])
    wide = Doubt.of(DOUBLE, [37], " is 1.8 times as wide as usual")
    said = {"labels": [], "confidence": {"37": 0.5, "46": 0.6}, **doubts_content([REVIEW, other, wide])}
    (tmp_path / "a.json").write_text(json.dumps(said))
    scan, changed = tmp_path / "a.ply", LabelOrigin("corrected", "net", frozenset([0, 37]))
    now = said_of_labels(scan, changed)
    assert now.confidence == {46: 0.6}
    assert list(map(str, now.doubts)) == ["review 36: below 70%", str(other), str(wide)]
    assert said_of_labels(scan, LabelOrigin("corrected", "net", frozenset([46]))).doubts == [REVIEW, wide]
    assert said_of_labels(scan, LabelOrigin("found", "net")) == said_of(scan)
