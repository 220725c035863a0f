"""Confusion matrices as pictures: which teeth are taken for which."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from toothgraph.errors import ConfigError
from toothgraph.fdi import FDI_OF_CLASS, NUM_CLASSES, fdi_to_class, in_chart_order

_SAID = 0.005  # smallest share that is written into its cell
_DARK = 0.5  # cells with a larger share have white letters


def draw_confusion(table: np.ndarray, title: str = "") -> Figure:
    """Draw a confusion matrix with a row for each true tooth and a column for each given number.

    Rows and columns are in the order of a dental chart. Each row adds up to 100 %. Numbers that are neither true nor
    given are left out.

    Args:
        table: [33, 34] of :func:`toothgraph.metrics.confusion`.
        title: text above the picture.

    Raises:
        ConfigError: for a table of another shape, or without a face.
    """
    if table.shape != (NUM_CLASSES, NUM_CLASSES + 1) or not table.any():
        raise ConfigError(f"expected a confusion matrix [33, 34] with a face or more, got {table.shape}")
    there = np.flatnonzero(table.sum(axis=1) + table.sum(axis=0)[:NUM_CLASSES])
    numbers = in_chart_order(FDI_OF_CLASS[there[there > 0]].tolist())
    order = fdi_to_class(np.array([0, *numbers]))
    names = ["gum", *map(str, numbers)]
    counts = table[np.ix_(order, order)]
    share = counts / np.maximum(table[order].sum(axis=1, keepdims=True), 1)
    side = 2.0 + 0.32 * len(order)
    figure = Figure(figsize=(side, side), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(share >= _SAID):
        said, colour = f"{100 * share[row, column]:.0f}", "white" if share[row, column] > _DARK else "black"
        axes.text(column, row, said, ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(order)), names, fontsize=8, rotation=90)
    axes.set_yticks(range(len(order)), names, fontsize=8)
    axes.set(xlabel="found, %", ylabel="true")
    if title:
        axes.set_title(title, fontsize=10)
    return figure
