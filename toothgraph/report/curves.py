"""Curves of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toothgraph.errors import DataError
from toothgraph.report.picture import save_png

_NAMES = {
    "train_loss": "loss in training",
    "val_loss": "loss in validation",
    "val_miou": "miou of nodes",
    "val_accuracy": "accuracy of nodes",
    "val_match_top1": "matches found",
    "lr": "learning rate",
}
_PANELS = (("loss", ("train_loss", "val_loss")), ("score", ("val_miou", "val_accuracy", "val_match_top1")))


def draw_run(path: str | Path, rows: Sequence[Mapping[str, str]], title: str = "") -> None:
    """Draw the losses and scores of a run over its steps, and the learning rate below.

    Args:
        path: the PNG file.
        rows: rows of ``metrics.csv``, each with texts by column; an empty text means no value.
        title: text above the picture.

    Raises:
        DataError: if no row has a value.
    """
    curves = {name: _curve(rows, name) for name in _NAMES}
    if not any(steps for steps, _ in curves.values()):
        raise DataError(
            f"{title or 'the run'}: expected rows with metrics, found none; the run has not written any yet: it "
            "writes one every `log_every` steps, and at each validation"
        )
    panels = [(label, [name for name in names if curves[name][0]]) for label, names in _PANELS]
    panels = [panel for panel in panels if panel[1]]
    heights = [3] * len(panels) + [1]
    figure = Figure(figsize=(7, sum(heights)), dpi=110, layout="constrained")
    grid = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (label, names) in zip(grid, panels, strict=False):
        for name in names:
            _plot(axes, curves[name], _NAMES[name], often=name == "train_loss")
        axes.set_ylabel(label)
        axes.legend(frameon=False)
    _plot(grid[-1], curves["lr"], "", often=True)
    grid[-1].set(ylabel="rate", xlabel="step")
    if title:
        figure.suptitle(title, fontsize=10)
    save_png(figure, path)


def _curve(rows: Sequence[Mapping[str, str]], name: str) -> tuple[list[int], list[float]]:
    known = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
    return [step for step, _ in known], [value for _, value in known]


def _plot(axes: Axes, curve: tuple[list[int], list[float]], label: str, *, often: bool) -> None:
    axes.plot(*curve, label=label, linewidth=1.0 if often else 1.5, marker="" if often else ".")
    axes.grid(alpha=0.3)
