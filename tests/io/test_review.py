from __future__ import annotations

import json
from pathlib import Path

import pytest

from toothgraph.io.review import Review, renumbered_doubts, review_of


def test_what_was_said_of_a_scan_is_read_beside_it(tmp_path: Path) -> None:
    said = {"labels": [], "confidence": {"17": 0.5, "16": 1}, "doubts": ["review 17"]}
    (tmp_path / "a.json").write_text(json.dumps(said))
    assert review_of(tmp_path / "a.ply") == Review(["review 17"], {17: 0.5, 16: 1.0})


@pytest.mark.parametrize(
    "content", ["", "[]", '{"labels": [1]}', '{"confidence": {"x": 1}}', '{"confidence": [1]}', "7"]
)
def test_nothing_is_said_by_a_file_of_another_program(content: str, tmp_path: Path) -> None:
    assert review_of(tmp_path / "b.ply") == Review()
    (tmp_path / "b.json").write_text(content)
    assert review_of(tmp_path / "b.ply") == Review()


@pytest.mark.parametrize(("doubt", "kept"), [
    ("41 is 2.2 times as wide as usual: two teeth?", "31 is 2.2 times as wide as usual: two teeth?"),
    ("45 shows 20% of the usual area: is it erupting?", "46 shows less than the usual area: is it erupting?"),
    ("lower jaw: 41, 42: low, narrow and level on top", "lower jaw: 31, 42: low, narrow and level on top"),
    ("brackets or attachments on 41, 42: check", "brackets or attachments on 31, 42: check"),
    ("review 41, 42: the model is less than 70% sure", "review 42: the model is less than 70% sure"),
    ("review 41: the model is less than 70% sure of the number", None),
    ("43: a smooth post, and no crown", None),  # gingiva now
    ("34 is 1.8 times as wide as usual: are these two teeth?", None),  # one tooth with another
    ("45 look like milk teeth; each has the number of the permanent tooth", None),
    ("review the numbers: 41 may be 42; the numbers given are 4 times as likely as these", None),
    ("labelled as lower jaw, but looks like the upper jaw (the model is 90% sure)",) * 2,
    ("the model is only 55% sure of the teeth; does the file show one whole arch?",) * 2,
    ("the surface is closed, as of a model with a base; check that no tooth is missed",) * 2,
])  # fmt: skip
def test_what_is_still_true_of_other_numbers(doubt: str, kept: str | None) -> None:
    numbers = {41: 31, 42: 42, 43: 0, 34: 35, 35: 35, 45: 46}
    assert renumbered_doubts([doubt], numbers) == ([] if kept is None else [kept])


def test_a_warning_of_the_jaw_ends_with_numbers_of_the_other() -> None:
    doubt = "labelled as lower jaw, but looks like the upper jaw (the model is 90% sure)"
    assert renumbered_doubts([doubt], {41: 11, 42: 12}) == []
