"""The curves of the label-efficiency study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pages.statistics import Row, cells, common_seeds, has_pair, paired_interval, studies
from benchmarks.pages.study_tables import CURVES, TITLES
from benchmarks.paths import IMAGES

COLOURS = {"scratch": "#b3532a", "pretrained": "#1f6fa8", "more": "#3d8c40"}


def curve_name(*key: str | int) -> str:
    """The stem of the files of a study's curve."""
    return "-".join(map(str, ("label_efficiency", *key)))


def draw_curves(rows: list[Row]) -> None:
    """Draw the curve of each set of rows that may be compared, as PNG and SVG."""
    IMAGES.mkdir(exist_ok=True)
    for key, own in studies(rows).items():
        if has_pair(own):
            protocol, dataset, *_, faces = key
            files = [IMAGES / f"{curve_name(*key)}.{ending}" for ending in ("png", "svg")]
            draw_curve(own, f"{dataset}, {protocol} protocol, {faces} faces", files)


def draw_curve(rows: list[Row], title: str, files: list[Path]) -> None:
    """Draw scores and gains over the share of labels.

    The upper plots show the scores: each seed is a point, and a line joins the means. The lower plots show the gain
    over scratch, paired by patient, with its 95 % interval. `miou` is on the left, `miou_matched` (the same without
    regard to numbers) on the right.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "toothgraph"  # the same figures give the same file
    figure, axes = plt.subplots(
        2, 2, figsize=(9.0, 6.0), layout="constrained", sharex=True, sharey="row", height_ratios=(2, 1)
    )
    found = cells(rows)
    for (upper, lower), (score, name) in zip(axes.T, CURVES.items(), strict=True):
        _draw_scores(upper, found, score)
        _draw_gains(lower, found, score)
        upper.set_title(name)
        ticks = sorted({fraction for _, fraction in found})
        lower.set(xlabel="labelled training patients, %", xscale="log")
        lower.set_xticks(ticks, labels=list(map(str, ticks)))
        lower.set_xticks([], minor=True)
        if len(ticks) == 1:  # otherwise a single share would not be visible
            lower.set_xlim(ticks[0] / 2, ticks[0] * 2)
    axes[0, 0].set_ylabel("mean over other patients")
    axes[1, 0].set_ylabel("gain, points")
    axes[0, 0].legend(frameon=False)
    figure.suptitle(title)
    for file in files:
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)


def _draw_scores(axes: Any, found: dict[tuple[str, int], list[Row]], score: str) -> None:
    for init, colour in COLOURS.items():
        points = [
            (fraction, [row["scores"][score] for row in own]) for (name, fraction), own in found.items() if name == init
        ]
        if not points:
            continue
        points.sort()
        axes.plot([x for x, _ in points], [np.mean(y) for _, y in points], color=colour, label=TITLES[init])
        for x, values in points:
            axes.plot([x] * len(values), values, "o", color=colour, markersize=4, alpha=0.7)
    axes.grid(alpha=0.3)


def _draw_gains(axes: Any, found: dict[tuple[str, int], list[Row]], score: str) -> None:
    shift = {"pretrained": 1.0, "more": 1.05}  # so that they do not hide each other
    for (init, fraction), own in found.items():
        base = found.get(("scratch", fraction), [])
        if init not in shift or not common_seeds(own, base):
            continue
        mean, low, high = (100 * value for value in paired_interval(own, base, score))
        reach = [[mean - low], [high - mean]]
        at = fraction * shift[init]
        axes.errorbar(at, mean, reach, fmt="o", color=COLOURS[init], markersize=4, capsize=3)
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.grid(alpha=0.3)
