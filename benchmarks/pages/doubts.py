"""The page of warnings to review, from benchmarks/results/doubts.json."""

from __future__ import annotations

from typing import Any

from benchmarks.pages.markdown import rendered, table
from benchmarks.studies.doubts import CHOSEN, COUNTED, MISSING, ORDINARY

RIGHT = "right"
WORDS = {
    ORDINARY: "nothing: ordinary scans, no tooth missing between two others",
    MISSING: "teeth missing, gaps open or closed",
    "crowns": "crowns without gum",
    RIGHT: "nothing: closed models and shells with every tooth right",
}


def doubts_section(content: dict[str, Any]) -> str:
    """The page: for each kind, how many scans get a warning, and one of the warnings."""
    words = {**content["kinds"], **WORDS}
    rows = [{**row, "kind": RIGHT if row.get("right") else row["kind"]} for row in content["rows"]]
    made = list(content["kinds"])
    good = [row for row in rows if row["kind"] == ORDINARY and row["side"] == COUNTED]
    odd = [row for row in rows if row["kind"] in made and row["side"] == COUNTED]
    lines = [
        [words[kind], shares(rows, kind, CHOSEN, False), shares(rows, kind, COUNTED, False),
         shares(rows, kind, COUNTED, True), said(rows, kind)]
        for kind in [*made, "crowns", MISSING]
    ]  # fmt: skip
    lines += [
        [words[RIGHT], shares(rows, RIGHT, CHOSEN, False), shares(rows, RIGHT, COUNTED, False),
         shares(rows, RIGHT, COUNTED, True), said(rows, RIGHT)],
        [words[ORDINARY], shares(rows, ORDINARY, CHOSEN, True), "–", shares(rows, ORDINARY, COUNTED, True), "–"],
    ]  # fmt: skip
    head = ["what is wrong", "made, chosen on", "made, counted", "real, counted", "one of the warnings"]
    wrongly = [f"`{row['name'].split('-', 2)[2]}`: {row['doubts'][0]}" for row in good if row["doubts"]]
    return rendered(
        "results/doubts",
        facts=content["facts"],
        table=table(head, lines),
        found=sum(bool(row["doubts"]) for row in odd),
        odd=len(odd),
        wrongly=len(wrongly),
        good=len(good),
        models=sum(row["kind"] == RIGHT and row["side"] == COUNTED for row in rows),
        models_told=sum(row["kind"] == RIGHT and row["side"] == COUNTED and bool(row["doubts"]) for row in rows),
        list="\n".join(f"- {line}" for line in wrongly),
        least=min(
            sum(bool(row["doubts"]) for row in odd if row["kind"] == kind) / sum(row["kind"] == kind for row in odd)
            for kind in {row["kind"] for row in odd}
        ),
    )


def shares(rows: list[dict[str, Any]], kind: str, side: str, real: bool) -> str:
    """How many scans of a kind get a warning, such as ``9 of 10``."""
    own = [row for row in rows if (row["kind"], row["side"], row["real"]) == (kind, side, real)]
    return f"{sum(bool(row['doubts']) for row in own)} of {len(own)}" if own else "–"


def said(rows: list[dict[str, Any]], kind: str) -> str:
    """The most frequent warning of the scans of a kind. Warnings with the same first 20 letters count as the same."""
    own = [row for row in rows if row["kind"] == kind and row["doubts"]]
    starts: dict[str, list[str]] = {}  # the warnings of the scans, by their first 20 letters
    for row in own:
        for begin, doubt in {"".join(filter(str.isalpha, doubt))[:20]: doubt for doubt in row["doubts"]}.items():
            starts.setdefault(begin, []).append(doubt)
    if not starts:
        return "–"
    doubt = max(starts.values(), key=len)[0]
    return doubt.split(": ", 1)[1] if doubt.startswith("/") else doubt
