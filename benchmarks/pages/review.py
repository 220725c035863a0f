"""The sections on reviews: how long they take, how fast they answer, and which scan to correct next."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from benchmarks.pages.figures import number, table
from benchmarks.pages.markdown import facts_of, rendered
from benchmarks.studies.active_learning import START
from benchmarks.studies.review_times import ROUNDS
from benchmarks.studies.reviewer import NET, PACKAGE, STARTS
from benchmarks.studies.simulated_reviewer import SECONDS


def reviewer(content: dict[str, Any]) -> str:
    """The section on how long a review takes, from the rows of the study."""
    rows = content["rows"]
    starts = sorted({(row["start"], row["net"]) for row in rows},
                    key=lambda one: (STARTS.index(one[0]), one[1] != PACKAGE))  # fmt: skip
    lines = [
        _line(f"{start} {net}".strip(), [row for row in rows if (row["start"], row["net"]) == (start, net)])
        for start, net in starts
    ]
    head = ["begins with", "scans", "`miou_matched` then", "scans all right then", "operations", "most", "seconds",
            "which operations, a scan"]  # fmt: skip
    wrong = [[row["scan"], str(row["wrong"]), _said(row["kinds"]), number(row["seconds"], 0)]
             for row in rows if (row["start"], row["net"]) == (NET, PACKAGE) and row["wrong"]]  # fmt: skip
    return rendered(
        "results/reviewer",
        facts=content["facts"],
        table=table(head, lines),
        wrong=table(["scan", "teeth wrong", "operations", "seconds"], wrong) if wrong else "",
        seconds=", ".join(f"{kind} {seconds:.1f}" for kind, seconds in SECONDS.items()),
    )


def review_times(content: dict[str, Any]) -> str:
    """The section on how fast a review answers and its page draws."""
    rows = content["rows"]
    head = ["", *(f"{row['faces']:,} faces" for row in rows)]
    answers = [["before all, in the background", *(f"{row['prepare']:.2f} s" for row in rows)]]
    answers += [[kind, *(_first_and_again(row["answers"][kind]) for row in rows)] for kind in rows[0]["answers"]]
    frames = [[what, *(f"{row['frames'][what]:.0f} ms" for row in rows)] for what in rows[0]["frames"]]
    return rendered(
        "results/review_times",
        facts=content["facts"],
        load=content["load"],
        ahead=content["ahead"],
        rounds=ROUNDS,
        answers=table(["step", *head[1:]], answers),
        frames=table(["on the page", *head[1:]], frames),
    )


def active_learning(rows: list[dict[str, Any]]) -> str:
    """The section on which scan to correct next, from the rows of all rounds."""
    runs: dict[tuple[str, int, int], list[list[dict[str, Any]]]] = {}
    for row in rows:
        if row["arm"] == START:
            continue
        before = [one for one in rows if one["arm"] == row["arm"] and one["round"] <= row["round"]
                  and all(one[key] == row[key] for key in ("seed", "steps", "pool"))]  # fmt: skip
        runs.setdefault((row["arm"], row["steps"], row["round"]), []).append(before)
    (start,) = (row for row in rows if row["arm"] == START)
    first = [number(start["scores"][score]) for score in ("miou", "miou_matched")]
    lines = [["the first net", "0", "–", "0", "0", *first]]
    lines += [[arm, str(round_), ", ".join(past[-1]["scan"] for past in own), *_spent(own), *_mean_scores(own)]
              for (arm, _, round_), own in sorted(runs.items())]  # fmt: skip
    return rendered(
        "results/active_learning", table=table(
            ["chosen", "round", "corrected in it", "operations so far", "seconds so far", "`miou`", "`miou_matched`"],
            lines,
        ),
        facts=facts_of(rows), rounds=max(row["round"] for row in rows), seeds=len({row["seed"] for row in rows}),
        steps=rows[-1]["steps"], pool=rows[-1]["pool"], scored=len(start["per_scan"]),
    )  # fmt: skip


def _spent(runs: list[list[dict[str, Any]]]) -> list[str]:
    return [number(float(np.mean([sum(row[what] for row in past) for past in runs])), 0)
            for what in ("operations", "seconds")]  # fmt: skip


def _mean_scores(runs: list[list[dict[str, Any]]]) -> list[str]:
    return [number(float(np.mean([past[-1]["scores"][score] for past in runs]))) for score in ("miou", "miou_matched")]


def _first_and_again(seconds: dict[str, float]) -> str:
    return f"{seconds['first']:.2f}, then {seconds['again']:.2f} s"


def _line(start: str, rows: list[dict[str, Any]]) -> list[str]:
    def mean(name: str) -> float:
        return float(np.mean([row[name] for row in rows]))

    right = sum(not row["wrong"] for row in rows)
    kinds = sum((Counter(row["kinds"]) for row in rows), Counter[str]())
    said = ", ".join(f"{count / len(rows):.2f} {kind}" for kind, count in kinds.most_common())
    return [start, str(len(rows)), number(mean("miou_matched")), f"{right} of {len(rows)}",
            number(mean("operations"), 2), str(max(row["operations"] for row in rows)),
            number(mean("seconds"), 0), said]  # fmt: skip


def _said(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in Counter(kinds).most_common())
