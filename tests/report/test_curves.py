"""Curves of a training run."""

from __future__ import annotations

import pytest
from matplotlib.image import imread

from toothgraph.errors import DataError
from toothgraph.report.curves import draw_run


def row(step: int, **values: object) -> dict[str, str]:
    return {"step": str(step), "val_miou": "", "val_loss": "", **{name: str(value) for name, value in values.items()}}


def test_a_run_without_validation_has_no_panel_of_scores(tmp_path):
    rows = [row(step, train_loss=3.0 / step, lr=0.001) for step in (10, 20, 30)]
    draw_run(tmp_path / "without.png", rows, "runs/fine")
    draw_run(tmp_path / "with.png", [*rows, row(40, val_miou=0.8, val_loss=0.2)], "runs/fine")
    heights = [imread(tmp_path / f"{name}.png").shape[0] for name in ("without", "with")]
    assert heights == [440, 770]  # a panel has 3 inches at 110 dpi


def test_a_run_that_has_not_begun_is_refused(tmp_path):
    with pytest.raises(DataError, match="the run has not written any yet"):
        draw_run(tmp_path / "none.png", [row(10)], "runs/fine")
    assert not (tmp_path / "none.png").exists()
