"""Tables and figures of the ablations, from their rows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from benchmarks.pages.markdown import table
from benchmarks.pages.statistics import Row, common_seeds, paired_interval
from benchmarks.pages.study_tables import CURVES, gain_over, spread

OLDER_PREDICTION = ("7e5952f",)  # revisions before a39bb5d; all other rows were scored at a39bb5d or later


def budgets(rows: list[Row]) -> dict[tuple[str, int, int], list[Row]]:
    """Groups of rows that may be compared: with the same data set, steps and faces of the default."""
    found: dict[tuple[str, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["dataset"], row["steps"], row["faces"]].append(row)
    return dict(sorted(found.items()))


def largest_budget(rows: list[Row]) -> list[Row]:
    """The largest group of rows that may be compared, which the summaries are about."""
    return max(budgets(rows).values(), key=len)


def by_variant(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each variant, one for each seed: first the default, then from scratch, then by name."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["variant"] not in ("default", "from scratch"), row["variant"])):
        found[row["variant"]].append(row)
    return dict(found)


def base_of(found: dict[str, list[Row]], name: str) -> list[Row]:
    """The rows that a variant is compared with: those of the default, or from scratch for a change of that."""
    return found.get("from scratch" if name.startswith("from scratch, ") else "default", [])


def ablation_table(rows: list[Row]) -> str:
    """The table of the ablation, with one line for each variant of the recipe."""
    found = by_variant(rows)
    lines = []
    for name, own in found.items():
        base = base_of(found, name)
        line = [f"{name} ¹" if any(map(scored_before, own)) else name]
        for score in CURVES:
            line += [spread(own, score), "–" if name == "default" else gain_over(base, own, score)]
        boundary = np.mean([row["scores"]["boundary_iou"] for row in own])
        lines.append([*line, f"{boundary:.3f}", f"{own[0]['parameters'] / 1e6:.2f}", str(len(own))])
    head = ["change", *(text for score in CURVES for text in (f"`{score}`", "gain in points"))]
    return table([*head, "`boundary_iou`", "million parameters", "seeds"], lines)


def scored_before(row: Row) -> bool:
    """Whether a row was scored with an older version of prediction than the other rows."""
    return (row.get("scored") or row["facts"]["git"]) in OLDER_PREDICTION


def ablation_verdict(rows: list[Row]) -> dict[str, list[str]]:
    """The changes that are worse or better by the intervals of both scores, and those that are neither ("same")."""
    found = by_variant(rows)
    told: dict[str, list[str]] = {"worse": [], "same": [], "better": []}
    for name, own in found.items():
        base = base_of(found, name)
        if name != "default" and common_seeds(own, base):
            intervals = [paired_interval(own, base, score) for score in CURVES]
            worse = all(high < 0 for _, _, high in intervals)
            better = all(low > 0 for _, low, _ in intervals)
            told["worse" if worse else "better" if better else "same"].append(name)
    return told
