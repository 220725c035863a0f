"""The study of which scan to correct next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.pages.review import active_learning as section
from benchmarks.studies import active_learning
from benchmarks.studies.rows import read_rows
from toothgraph.anatomy.doubt import as_doubt
from toothgraph.data.split import Split
from toothgraph.model import SegmentationNet
from toothgraph.review.store import Start


@pytest.mark.slow
def test_it_runs_goes_on_and_is_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--quick", "--out", str(tmp_path / "rows.jsonl")]
    active_learning.main(given)
    rows = read_rows(tmp_path / "rows.jsonl")
    assert [(row["arm"], row["round"]) for row in rows] == [
        ("start", 0), ("doubtful", 1), ("random", 1), ("doubtful", 2), ("random", 2)]  # fmt: skip
    for arm in active_learning.ARMS:  # none is corrected twice
        assert len({row["scan"] for row in rows if row["arm"] == arm}) == 2
    capsys.readouterr()
    active_learning.main(given)
    assert read_rows(tmp_path / "rows.jsonl") == rows and "round" not in capsys.readouterr().out
    page = section(rows)
    assert "| doubtful | 2 |" in page and "| the first net | 0 |" in page and "One seed" in page
    spent = sum(row["operations"] for row in rows if row["arm"] == "random")
    assert f"| random | 2 | {rows[-1]['scan']} | {spent} |" in page


def start(doubts: list[str], sure: float | None) -> Start:
    labels = np.zeros(1, dtype=np.int64)
    return Start(labels, None, "", 0, False, list(map(as_doubt, doubts)), {}, sure, "")


def test_the_doubtful_scan_is_the_one_that_a_review_shows_first(
    monkeypatch: pytest.MonkeyPatch, net: SegmentationNet
) -> None:
    starts = {"a": start([], 0.5), "b": start(["look"], 0.99), "c": start(["look"], 0.98), "d": start([], None)}
    monkeypatch.setattr(active_learning, "started", lambda file, *_: starts[file.stem])
    files = [Path(f"{name}.ply") for name in starts]
    dataset = active_learning.Dataset("x", Path("."), None, Split((), (), {}))
    assert active_learning.chosen("doubtful", files, net, dataset, 0)[0].stem == "c"
    drawn = {active_learning.chosen("random", files, net, dataset, seed)[0].stem for seed in range(20)}
    assert drawn == set("abcd")
    assert sorted("abcd", key=lambda name: starts[name].order) == ["c", "b", "a", "d"]
