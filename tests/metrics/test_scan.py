"""The row of one scan and the mean of rows."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from toothgraph.errors import DataError
from toothgraph.fdi import UPPER
from toothgraph.metrics import score_scan, summarise
from toothgraph.metrics.definitions import CHALLENGE_PARTS, METRICS

VERTICES = np.array([[x, y, 0.1 * x * y] for x in range(5) for y in range(2)], dtype=float)
FACES = np.array([[2 * i + a, 2 * i + b, 2 * i + c] for i in range(4) for a, b, c in ((0, 2, 1), (1, 2, 3))])
TRUTH_FACES = np.repeat([0, 11], 4)
TRUTH_VERTICES = np.repeat([0, 11], [4, 6])


def test_a_row_carries_every_key_and_fits_json() -> None:
    row = score_scan(VERTICES, FACES, TRUTH_FACES, TRUTH_FACES, TRUTH_VERTICES, TRUTH_VERTICES, UPPER)
    assert list(row) == list(METRICS)
    assert list(row["challenge_code"]) == list(row["challenge_documented"]) == list(CHALLENGE_PARTS)
    assert json.loads(json.dumps(row)) == row
    assert row["miou"] == row["boundary_iou"] == row["challenge_code"]["score"] == 1


def test_a_scan_without_true_teeth() -> None:
    nothing = np.zeros_like(TRUTH_VERTICES)
    row = score_scan(VERTICES, FACES, 0 * TRUTH_FACES, TRUTH_FACES, nothing, TRUTH_VERTICES, UPPER)
    assert row["accuracy"] == pytest.approx(1 / 2)
    assert row["miou"] == pytest.approx((1 / 2 + 0) / 2)
    assert row["boundary_iou"] is row["challenge_code"] is row["challenge_documented"] is None


def test_a_scan_of_unknown_truth_has_no_scores() -> None:
    row = score_scan(VERTICES, FACES, np.full(8, -1), TRUTH_FACES, np.full(10, -1), TRUTH_VERTICES, UPPER)
    assert row == dict.fromkeys(METRICS)


def test_faces_and_vertices_are_scored_apart() -> None:
    row = score_scan(VERTICES, FACES, TRUTH_FACES, TRUTH_FACES, TRUTH_VERTICES, 0 * TRUTH_VERTICES, UPPER)
    assert row["accuracy"] == 1
    assert row["challenge_code"]["tsa"] == pytest.approx(4 / 10)
    assert row["challenge_documented"]["exp_tla"] == pytest.approx(math.exp(-5))


def test_milk_teeth_are_left_out_on_faces_and_on_vertices() -> None:
    """Two scans: gingiva and 11; and beside it a true 55, which the prediction calls 15."""
    faces, vertices = np.append(TRUTH_FACES, [55] * 4), np.append(TRUTH_VERTICES, [55] * 6)
    found = np.where(faces == 55, 15, faces), np.where(vertices == 55, 15, vertices)
    places, corners = np.vstack([VERTICES, VERTICES[4:] + 20]), np.vstack([FACES, FACES[4:] + 6])
    row = score_scan(places, corners, faces, found[0], vertices, found[1], UPPER)
    assert row == score_scan(VERTICES, FACES, TRUTH_FACES, TRUTH_FACES, TRUTH_VERTICES, TRUTH_VERTICES, UPPER)


def test_summarise_is_the_mean_over_scans_without_none() -> None:
    parts = {"exp_tla": 1.0, "tsa": 0.5, "tir": 0.0, "score": 0.5}
    other = {"exp_tla": 0.0, "tsa": 0.7, "tir": 1.0, "score": 0.9}
    base = {"dice": 0.5, "miou_paper": 0.5}
    rows = [
        {**base, "accuracy": 1.0, "miou": 0.4, "boundary_iou": None, "challenge_code": parts, "scan_id": "a"},
        {**base, "accuracy": 0.5, "miou": 0.8, "boundary_iou": 0.2, "challenge_code": other, "jaw": 1},
        {**base, "accuracy": 0.0, "miou": None, "boundary_iou": None, "challenge_code": None},
    ]
    rows = [{**row, "challenge_documented": None} for row in rows]
    summary = summarise(rows)
    assert list(summary) == list(METRICS)
    assert summary["accuracy"] == pytest.approx(0.5)
    assert summary["miou"] == pytest.approx(0.6)
    assert summary["boundary_iou"] == pytest.approx(0.2)
    assert summary["challenge_code"] == pytest.approx({"exp_tla": 0.5, "tsa": 0.6, "tir": 0.5, "score": 0.7})
    assert summary["challenge_documented"] == dict.fromkeys(CHALLENGE_PARTS)


def test_summarise_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match="at least one scored scan"):
        summarise([])


def test_rows_may_come_one_by_one() -> None:
    assert summarise(row for row in [{"miou": 0.9}, {"miou": 0.7}])["miou"] == pytest.approx(0.8)
    with pytest.raises(DataError, match="at least one scored scan"):
        summarise(iter([]))
