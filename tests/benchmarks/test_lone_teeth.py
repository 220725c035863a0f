"""Mouths with teeth that stand alone, as the study makes and counts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toothgraph.io.read import read_mesh


def test_each_mouth_is_made_in_several_poses(arches: Path, tmp_path: Path) -> None:
    from benchmarks.studies.lone_teeth import PATTERNS, made

    rows = made(tmp_path, [arches / "0000_upper.stl"], None)
    assert [tuple(row["teeth"]) for row in rows] == [pattern for pattern in PATTERNS for _ in range(2)]
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        truth = np.load(first["labels"])
        gone = {tooth + 20 if tooth > 0 else 10 - tooth for tooth in first["teeth"]}
        assert gone.isdisjoint(np.unique(truth)) and first["kind"] == "turn 0" and second["kind"] == "turn 1"
        np.testing.assert_array_equal(truth, np.load(second["labels"]))
        one, other = read_mesh(first["file"]), read_mesh(second["file"])
        assert np.abs(one.vertices - other.vertices).max() > 5
        assert one.areas.sum() == pytest.approx(other.areas.sum(), rel=1e-4)


def test_a_mouth_is_right_if_every_tooth_is_found_under_its_number() -> None:
    from benchmarks.studies.lone_teeth import summary

    def row(scan: str, wrong: list[tuple[int, int]], found: int = 8) -> dict[str, object]:
        return {"scan": scan, "teeth": [5, 6], "wrong": wrong, "found": found, "true_teeth": 8}

    rows = [row("1_U", []), row("1_U", [(17, 16)]), row("2_U", []), row("2_U", []), row("3_U", [], 7), row("3_U", [])]
    (found,) = summary(rows)
    assert found["mouths"] == 3 and found["runs"] == 6 and found["right_in_all_turns"] == 1
    assert found["right"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["numbers_right"] == pytest.approx(1 - 1 / 47, abs=1e-4) and found["teeth_found"] == round(47 / 48, 4)


@pytest.mark.parametrize(
    ("teeth", "words"),
    [((), "none"), ((5, 6), "5 and 6 of one side"), ((-6, -5, 5, 6), "5 and 6 of both sides"),
     ((-3, -2, -1, 1, 2, 3), "1 to 3 of both sides")],
)  # fmt: skip
def test_teeth_in_words(teeth: tuple[int, ...], words: str) -> None:
    from benchmarks.pages.weights import taken_out

    assert taken_out(teeth) == words
