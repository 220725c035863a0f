"""The page on teeth that are changed in training, from benchmarks/results/odd_teeth.jsonl."""

from __future__ import annotations

import numpy as np

from benchmarks.pages.markdown import facts_of, number, rendered, table
from benchmarks.pages.statistics import Row, paired_interval
from benchmarks.pages.study_tables import in_points
from benchmarks.studies.odd_mouths import KINDS as MOUTHS
from benchmarks.studies.odd_teeth import KINDS, SCORES, WITH, WITHOUT

PLAIN, ODD = "validation patients, as they are", "all four kinds of odd teeth"
GAIN = "is a gain"
HEAD = [
    *("scans", "how many", f"`miou`, {WITHOUT}", f"`miou`, {WITH}", "gain in points", "gain in `miou_matched`"),
    *("gain in `numbers_right`", f"odd teeth found, and with their number, {WITHOUT}", f"the same, {WITH}"),
]


def odd_teeth(rows: list[Row]) -> str:
    """The page: what changing teeth in training gains on ordinary scans, on odd teeth and on files."""
    base, ours = ([row for row in rows if row["training"] == name] for name in (WITHOUT, WITH))
    sets = {PLAIN: (None,), **{MOUTHS[kind][0]: (kind,) for kind in KINDS}, ODD: KINDS}
    sides = {name: (scans_of(base, kinds), scans_of(ours, kinds)) for name, kinds in sets.items()}
    gains = {name: gain(*sides[name]) for name in (PLAIN, ODD)}
    return rendered(
        "results/odd_teeth",
        table=table(HEAD, [line(name, *each) for name, each in sides.items()]),
        files=files_table(base, ours),
        warps=ours[0]["warps"],
        seeds=len(ours),
        steps=ours[0]["steps"],
        faces=ours[0]["faces"],
        facts=facts_of(rows),
        plain=in_points(gains[PLAIN]),
        odd=in_points(gains[ODD]),
        verdicts={name: told(interval) for name, interval in gains.items()},
        gained=[name for name in sides if name not in gains and told(gain(*sides[name])) == GAIN],
        PLAIN=PLAIN,
        ODD=ODD,
    )


def scans_of(rows: list[Row], kinds: tuple[str | None, ...]) -> list[Row]:
    """The rows of the nets with only the scans of some kinds; None is the kind of the scans as they are."""
    if kinds == (None,):
        return [{"seed": row["seed"], "per_scan": row["per_scan"]} for row in rows]
    return [{"seed": row["seed"], "per_scan": [s for s in row["odd"] if s["kind"] in kinds]} for row in rows]


def gain(base: list[Row], ours: list[Row], score: str = "miou") -> tuple[float, float, float]:
    """The gain and its interval over patients and seeds. A score that a scan lacks counts as 0.

    A scan in which no tooth is found has no number that is right.
    """
    return paired_interval(filled(ours, score), filled(base, score), score)


def filled(rows: list[Row], score: str) -> list[Row]:
    """The rows with 0 for a score that a scan lacks."""
    return [{**row, "per_scan": [{**scan, score: scan[score] or 0.0} for scan in row["per_scan"]]} for row in rows]


def told(interval: tuple[float, float, float]) -> str:
    """What an interval shows, in words: a gain, a loss, or neither."""
    _, low, high = interval
    return GAIN if low > 0 else "is a loss" if high < 0 else "cannot be told from zero"


def line(name: str, base: list[Row], ours: list[Row]) -> list[str]:
    """The table line of one kind of scans."""
    return [
        name,
        str(len(base[0]["per_scan"])),
        *(number(np.mean([scan["miou"] for row in side for scan in row["per_scan"]])) for side in (base, ours)),
        *(in_points(gain(base, ours, score)) for score in ("miou", "miou_matched", "numbers_right")),
        *(counts(side) for side in (base, ours)),
    ]


def counts(rows: list[Row]) -> str:
    """How many of the changed teeth are found, and how many of these have the right number, over all nets."""
    scans = [scan for row in rows for scan in row["per_scan"] if "changed" in scan]
    changed, found, right = (sum(scan[name] for scan in scans) for name in ("changed", "found", "right"))
    return f"{found} and {right} of {changed}" if changed else "–"


def files_table(base: list[Row], ours: list[Row]) -> str:
    """A table of the scores on files, as means over the nets."""
    lines = []
    for place, scan in enumerate(base[0]["field"]):
        cells = [
            number(np.mean([row["field"][place][score] or 0.0 for row in side]))
            for score in SCORES
            for side in (base, ours)
        ]
        lines.append([f"`{scan['scan_id']}`", *cells])
    head = ["file", *(f"`{score}`, {name}" for score in SCORES for name in (WITHOUT, WITH))]
    return table(head, lines)
