"""The picture of which teeth are taken for which."""

from __future__ import annotations

import numpy as np
import pytest

from toothgraph.errors import ConfigError
from toothgraph.metrics import confusion
from toothgraph.report.confusion import draw_confusion
from toothgraph.report.picture import pixels


def test_rows_are_true_teeth_and_add_up_to_all() -> None:
    truth = np.array([0] * 8 + [11] * 4 + [12] * 4 + [21] * 2)
    found = np.array([0] * 8 + [11] * 3 + [12] * 5 + [22] * 2)
    (axes,) = draw_confusion(confusion(truth, found), "step 3").axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [text.get_text() for text in axes.get_xticklabels()] == ["gum", "12", "11", "21", "22"]
    said = {(names[int(y)], names[int(x)]): text.get_text() for text in axes.texts for x, y in [text.get_position()]}
    assert said == {("gum", "gum"): "100", ("12", "12"): "100", ("11", "11"): "75", ("11", "12"): "25",
                    ("21", "22"): "100"}  # fmt: skip
    assert axes.get_title() == "step 3"
    assert pixels(draw_confusion(confusion(truth, found))).shape[2] == 3


@pytest.mark.parametrize("table", [np.zeros((33, 34)), np.ones((33, 33))])
def test_what_is_no_confusion_matrix_is_refused(table: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"expected a confusion matrix \[33, 34\]"):
        draw_confusion(table)
