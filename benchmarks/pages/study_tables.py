"""Tables and figures of the label-efficiency study, from its rows; the words are in the templates."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.pages.figures import number, points, table
from benchmarks.pages.statistics import (
    SHARES_OF_STEPS,
    Row,
    by_rates,
    cells,
    common_seeds,
    compared,
    gains,
    mean_interval,
    mean_miou,
    of_common_seeds,
    paired_interval,
    patient_gains,
    rates_of,
    reached,
)

TITLES = {"scratch": "from scratch", "pretrained": "pre-trained", "more": "pre-trained on more"}
CURVES = {"miou": "mIoU", "miou_matched": "mIoU, numbers aside"}
GOAL, GOAL_SHARES = 0.03, (10, 20)  # the gain in `miou` expected of pre-training, at these per cent of the labels


def spread(rows: list[Row], score: str = "miou") -> str:
    """Mean of a score over seeds, with the smallest and the largest value, as text."""
    values = [row["scores"][score] for row in rows]
    if not values:
        return "–"
    ends = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{ends}"


def in_points(interval: tuple[float, float, float]) -> str:
    """A mean and its interval in hundredths, as text."""
    mean, low, high = map(points, interval)
    return f"{mean} ({low} to {high})"


def gain_over(base: list[Row], rows: list[Row], score: str = "miou") -> str:
    """The mean gain in points with its interval, for the seeds that both sides have, as text."""
    if not common_seeds(rows, base):
        return "–"
    return in_points(paired_interval(rows, base, score))


def gain_of_seeds(base: list[Row], rows: list[Row], score: str) -> str:
    """The mean gain in points with its interval, as text. For a single common seed, it is only the mean.

    An interval from a single seed would leave out how seeds differ.
    """
    if len(common_seeds(rows, base)) != 1:
        return gain_over(base, rows, score)
    return f"{points(paired_interval(rows, base, score)[0])} (one seed)"


def study_table(rows: list[Row], score: str = "miou") -> str:
    """A table with one line for each fraction. The gain of pre-training over scratch is paired by patient."""
    found = cells(rows)
    there = [init for init in TITLES if any(name == init for name, _ in found)]
    gained = [f"gain, {TITLES[init]}" for init in there[1:]]
    lines = []
    for fraction in sorted({fraction for _, fraction in found}):
        own = {init: found.get((init, fraction), []) for init in there}
        gain = [gain_of_seeds(own["scratch"], own[init], score) if "scratch" in own else "–" for init in there[1:]]
        patients = next(row["patients"] for init in there for row in own[init])
        seeds = ", ".join(str(len(own[init])) for init in there)
        lines.append([f"{fraction} %", str(patients), *(spread(own[init], score) for init in there), *gain, seeds])
    return table(["labels", "patients", *(TITLES[init] for init in there), *gained, "seeds"], lines)


def of_compared(rows: list[Row]) -> list[Row]:
    """The rows of the shares of labels that were run both from scratch and pre-trained.

    A row without a partner does not show what pre-training gains.
    """
    shares = set(compared(rows))
    return [row for row in rows if row["fraction"] in shares]


def rates_table(rows: list[Row]) -> str:
    """A table of all learning rates that were tried, and which of them the other tables show."""
    shown = cells(rows)
    lines = [
        [TITLES[init], f"{fraction} %", f"{lr:g}", f"{share:g}", *(spread(own, score) for score in CURVES),
         str(len(own)), "yes" if shown[init, fraction] == own else ""]
        for (init, fraction, (lr, share)), own in sorted(by_rates(rows).items())
    ]  # fmt: skip
    head = ["initialisation", "labels", "highest learning rate", "backbone's share of it"]
    return table([*head, *(f"`{score}`" for score in CURVES), "seeds", "in the tables"], lines)


def flatness_table(rows: list[Row]) -> str:
    """A table of the `val_miou` of each cell at shares of its steps: it shows if more steps would have helped."""
    lines = [
        [TITLES[init], f"{fraction} %", *(f"{value:.3f}" for value in reached(own))]
        for (init, fraction), own in sorted(cells(rows).items())
    ]
    return table(["initialisation", "labels", *(f"{share:.0%} of the steps" for share in SHARES_OF_STEPS)], lines)


def patient_table(rows: list[Row]) -> str:
    """A table of the gain of pre-training on each patient, in points. It shows if many patients gain, or only one."""
    columns = {
        f"{share} %, `{score}`": patient_gains(*of_common_seeds(*pair), score)
        for share, pair in compared(rows).items()
        for score in CURVES
    }
    patients = sorted(set().union(*columns.values()))
    lines = [[patient, *(points(own[patient]) for own in columns.values())] for patient in patients]
    return table(["patient", *columns], lines)


def still_rising(rows: list[Row], least: float = 0.01) -> dict[str, Any]:
    """The cells that were still improving at the end. A gain over such a cell may shrink with more steps."""
    rising = []
    for (init, fraction), own in sorted(cells(rows).items()):
        *_, before, last = reached(own)
        if last - before > least:
            rising.append(f"{TITLES[init]} with {fraction} % ({points(last - before)})")
    return {"least": least, "cells": rising}


def few_labels(rows: list[Row]) -> dict[str, Any]:
    """What pre-training gains with the fewest labels and with more labels, and if its interval includes zero."""
    pairs = compared(rows)
    fewest, *more = pairs
    found = {share: paired_interval(*pairs[share]) for share in more}
    ours, base = pairs[fewest]
    return {
        "patients": base[0]["patients"],
        "faces": f"{base[0]['faces']:,}",
        "steps": f"{base[0]['steps']:,}",
        "scratch": number(mean_miou(base)),
        "pretrained": number(mean_miou(ours)),
        "none": [f"{share} %" for share, (_, low, high) in found.items() if low <= 0 <= high],
        "some": [
            f"{points(gain)} points at {share} %" for share, (gain, low, high) in found.items() if low > 0 or high < 0
        ],
    }


def verdict(rows: list[Row], least: float = GOAL) -> dict[str, Any]:
    """The shares at which pre-training gained what was expected, those at which it did not, and those not compared."""
    found = gains(rows)
    told: dict[str, Any] = {"least": least, "shares": GOAL_SHARES, "reached": [], "missed": [], "not_compared": []}
    for share in sorted({*GOAL_SHARES} | {share for _, share in cells(rows)}):
        if share not in found:
            told["not_compared"].append(f"{share} %")
        else:
            enough = found[share] >= (least if share in GOAL_SHARES else 0.0)
            told["reached" if enough else "missed"].append(f"{share} % ({points(found[share])})")
    return told


def share_that_suffices(rows: list[Row]) -> dict[str, dict[str, Any] | None]:
    """The share of labels with which a net does as well as a net trained from scratch with all labels.

    There is one share for pre-trained nets and one for nets from scratch, because only both together show the effect of
    pre-training. Empty without a run from scratch with all labels.
    """
    found = cells(rows)
    base = found.get(("scratch", 100), [])
    return {TITLES[init]: enough(found, init, base) for init in ("pretrained", "scratch")} if base else {}


def enough(found: dict[tuple[str, int], list[Row]], init: str, base: list[Row]) -> dict[str, Any] | None:
    """The smallest share of labels at which an initialisation is not below ``base`` in either score; None if none."""
    for share in sorted(share for name, share in found if name == init):
        own = found[init, share]
        if own is base:
            continue
        intervals = {score: mean_interval(own, base, score) for score in CURVES}
        if all(mean >= 0 for mean, _, _ in intervals.values()):
            gained = {score: in_points(interval) for score, interval in intervals.items()}
            return {"share": share, "gains": gained, "seeds": len(own), "base_seeds": len(base)}
    return None


def better_rates(rows: list[Row]) -> list[dict[str, Any]]:
    """The learning rates that did better than those in the tables. Without them a baseline would look too weak."""
    found = cells(rows)
    better = []
    for (init, fraction, rates), own in sorted(by_rates(rows).items()):
        shown = found.get((init, fraction))
        if shown and rates_of(shown[0]) != rates and mean_miou(own) > mean_miou(shown):
            lr, share = rates
            backbone = None if init == "scratch" else f"{lr * share:g}"
            better.append({"title": TITLES[init], "fraction": fraction, "miou": spread(own), "lr": f"{lr:g}",
                           "backbone": backbone, "seeds": len(own)})  # fmt: skip
    return better
