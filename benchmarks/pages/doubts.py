"""The page of warnings to review, from benchmarks/results/doubts.json."""

from __future__ import annotations

from typing import Any

from benchmarks.pages.markdown import rendered, table
from benchmarks.studies.doubts import CHOSEN, COUNTED, MISSING, ORDINARY

RIGHT = "right"
NAMED = {
    "model": "surface is closed", "shell": "surface is closed", "part": "review the numbers", "mixed": "milk",
    "stump": "prepared for a crown", "scan body": "scan body", "brackets": "brackets", "unit": "--unit",
    "mirrored": "inside out", "no teeth": "teeth found", "both jaws": "both jaws", "crowns": "surface is closed",
    MISSING: "review the numbers",
}  # fmt: skip  # the words of the warning that names what is wrong
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
         shares(rows, kind, COUNTED, True), named(rows, kind), said(rows, kind)]
        for kind in [*made, "crowns", MISSING]
    ]  # fmt: skip
    lines += [
        [words[RIGHT], shares(rows, RIGHT, CHOSEN, False), shares(rows, RIGHT, COUNTED, False),
         shares(rows, RIGHT, COUNTED, True), "–", said(rows, RIGHT)],
        [words[ORDINARY], shares(rows, ORDINARY, CHOSEN, True), "–", shares(rows, ORDINARY, COUNTED, True), "–", "–"],
    ]  # fmt: skip
    head = ["what is wrong", "made, chosen on", "made, counted", "real, counted", "of the counted, named",
            "one of the warnings"]  # fmt: skip
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
        named=sum(names_it(row) for row in odd),
    )


def shares(rows: list[dict[str, Any]], kind: str, side: str, real: bool) -> str:
    """How many scans of a kind get a warning, such as ``9 of 10``."""
    own = [row for row in rows if (row["kind"], row["side"], row["real"]) == (kind, side, real)]
    return f"{sum(bool(row['doubts']) for row in own)} of {len(own)}" if own else "–"


def names_it(row: dict[str, Any]) -> bool:
    """Whether one of the warnings of a scan names what is wrong with it."""
    return any(NAMED[row["kind"]] in doubt for doubt in row["doubts"])


def named(rows: list[dict[str, Any]], kind: str) -> str:
    """How many of the counted scans of a kind, made and real, get a warning that names what is wrong."""
    own = [row for row in rows if (row["kind"], row["side"]) == (kind, COUNTED)]
    return f"{sum(map(names_it, own))} of {len(own)}" if own else "–"


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
