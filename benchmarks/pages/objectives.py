"""The section on objectives of pre-training: the scores with one labelled patient, compared with InfoNCE alone."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from benchmarks.pages.few_patients import gain, run_of, said_gain
from benchmarks.pages.markdown import facts_of, number, rendered, table
from benchmarks.pages.statistics import Row
from benchmarks.studies.pretraining_tasks import Masked, Prototypes

NONE, ALONE = "none (from scratch)", "InfoNCE alone"
TITLES = {
    "prototypes": "InfoNCE and prototypes",
    "crowns": "InfoNCE and pieces between folds",
    "masked": "hidden surface, no InfoNCE",
}


def objectives(rows: list[Row], few: list[Row], shot: list[Row]) -> str:
    """The section on objectives of pre-training.

    Args:
        rows: rows of the study of objectives.
        few: rows of the study of few labelled patients by the short recipe. Its runs from scratch and from InfoNCE are
            used for comparison.
        shot: rows of the study without training, with the nearest labels of an untrained net and of InfoNCE.
    """
    runs = runs_by_title(rows, few, shot)
    draws = sorted({row["draw"] for row in rows})
    shared = set.intersection(*({row["draw"] for row in own} for own in runs.values()))
    who = {row["draw"]: row["labelled"][0] for own in runs.values() for row in own}
    lines = [
        [title, *(one_draw(own, draw) for draw in draws), mean_nearest(own, shared),
         "–" if title == ALONE else said_gain(own, runs[ALONE])]
        for title, own in runs.items()
    ]  # fmt: skip
    of_all = ", ".join(who[draw] for draw in sorted(shared)) or "none"
    nearest = f"nearest face, labelled: {of_all}"
    head = ["pre-trained by", *(f"labelled: {who[draw]}" for draw in draws), nearest, "against InfoNCE"]
    return rendered(
        "results/objectives",
        table=table(head, lines),
        verdict=verdict({title: own for title, own in runs.items() if title not in (NONE, ALONE)}, runs[ALONE]),
        facts=facts_of(rows),
        measured=sorted({row["objective"] for row in rows}),
        prototypes=Prototypes.COUNT,
        hidden=round(100 * Masked.SHARE),
    )


def runs_by_title(rows: list[Row], few: list[Row], shot: list[Row]) -> dict[str, list[Row]]:
    """The runs with one labelled patient, by the title of their pre-training. Each run also has ``nearest``."""
    draws = {run_of(row) for row in rows}
    nearest = {(row["pretrained"], row["patient"]): row for row in shot}
    found: dict[str, list[Row]] = defaultdict(list)
    for arm, title in (("scratch", NONE), ("pretrained", ALONE)):
        for row in few:
            if (row["arm"], row["patients"]) == (arm, 1) and run_of(row) in draws:
                known = nearest[arm == "pretrained", row["labelled"][0]]
                found[title].append({**row, "nearest": {"miou": known["miou"]}})
    for name, title in TITLES.items():
        if own := [row for row in rows if row["objective"] == name]:
            found[title] = own
    return dict(found)


def one_draw(rows: list[Row], draw: int) -> str:
    """`miou` with the labels of a draw, as the mean over its seeds."""
    values = [row["scores"]["miou"] for row in rows if row["draw"] == draw]
    return number(float(np.mean(values))) if values else "–"


def mean_nearest(rows: list[Row], draws: set[int]) -> str:
    """Mean `miou` of the nearest face over some draws."""
    values = [row["nearest"]["miou"] for row in rows if row["draw"] in draws]
    return number(float(np.mean(values))) if values else "–"


def verdict(runs: dict[str, list[Row]], alone: list[Row]) -> dict[str, list[str]]:
    """Which objectives are better or worse than InfoNCE alone by more than their spread over draws and patients.

    With a single run in common, the spread is not known, and the verdict is ``open``.
    """
    found: dict[str, list[str]] = {"better": [], "worse": [], "same": [], "open": []}
    for title, own in runs.items():
        together = {run_of(row) for row in own} & {run_of(row) for row in alone}
        compared = gain(own, alone)
        if compared is None or len(together) < 2:
            found["open"].append(title)
        else:
            found["better" if compared[1] > 0 else "worse" if compared[2] < 0 else "same"].append(title)
    return found
