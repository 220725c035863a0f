"""3DTeethSeg scores against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toothgraph.errors import LabelError
from toothgraph.metrics import challenge_scores, one_instance_per_number

# Eight corners of a cube of side 2: centroid at its middle, s = (√8, √8, √8), ‖s‖ = √24.
CUBE = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
SIDE = math.sqrt(8)
ALONG_X = np.array([1.0, 0, 0])


def cubes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """``count`` cubes 100 mm apart, FDI 11, 12, …, and four vertices of gingiva. Vertices and labels."""
    gingiva = np.array([[0.0, 50, i] for i in range(4)])
    vertices = np.concatenate([CUBE + 100 * i * ALONG_X for i in range(count)] + [gingiva])
    return vertices, np.concatenate([np.repeat(11 + np.arange(count), 8), np.zeros(4, dtype=int)])


def score(vertices: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> dict[str, dict[str, float]]:
    result = challenge_scores(
        vertices, truth, one_instance_per_number(truth), prediction, one_instance_per_number(prediction)
    )
    assert result is not None
    return result


def parts(exp_tla: float, tsa: float, tir: float) -> object:
    return pytest.approx({"exp_tla": exp_tla, "tsa": tsa, "tir": tir, "score": (exp_tla + tsa + tir) / 3})


def test_one_instance_per_number() -> None:
    assert one_instance_per_number(np.array([0, 11, -1, 48])).tolist() == [0, 11, 0, 48]


def test_perfect_prediction_scores_one() -> None:
    vertices, truth = cubes(3)
    result = score(vertices, truth, truth)
    assert result["challenge_code"] == parts(1, 1, 1)
    assert result["challenge_documented"] == parts(1, 1, 1)


def test_empty_prediction_by_hand() -> None:
    vertices, truth = cubes(2)
    result = score(vertices, truth, np.zeros_like(truth))
    assert result["challenge_code"] == parts(math.exp(-5 * math.sqrt(24)), 4 / 20, 0)
    assert result["challenge_documented"] == parts(math.exp(-5), 0, 0)
    assert score(vertices, truth, np.full_like(truth, -1)) == result


def test_a_missing_tooth_by_hand() -> None:
    vertices, truth = cubes(4)
    prediction = np.where(truth == 14, 0, truth)
    result = score(vertices, truth, prediction)
    # three pairs at distance 0, one tooth unmatched; 8 of 36 vertices wrong
    assert result["challenge_code"] == parts(math.exp(-5 * math.sqrt(24) / 4), 28 / 36, 3 / 3)
    assert result["challenge_documented"] == parts(math.exp(-5 / 4), 3 / 4, 3 / 4)


def test_a_wrong_number_by_hand() -> None:
    vertices, truth = cubes(2)
    result = score(vertices, truth, np.where(truth == 12, 13, truth))
    assert result["challenge_code"] == parts(1, 1, 1 / 2)
    assert result["challenge_documented"] == parts(1, 1, 1 / 2)  # the F1 is of vertices, whatever the number


def test_half_a_tooth_by_hand() -> None:
    vertices, truth = cubes(1)
    prediction = truth.copy()
    prediction[4:8] = 0  # keeps the four corners at x = -1: the centroid moves by 1 mm along x
    result = score(vertices, truth, prediction)
    assert result["challenge_code"] == parts(math.exp(-1 / SIDE), 8 / 12, 1)  # 1/√8 = 0.35 < 0.5
    assert result["challenge_documented"] == parts(math.exp(-1 / SIDE), 2 * 4 / (8 + 4), 1)


def test_a_tooth_too_far_is_not_identified() -> None:
    vertices, truth = cubes(1)
    prediction = truth.copy()
    prediction[1:8] = 0  # one corner: each axis off by 1 mm, d = √3/√8 = 0.61
    result = score(vertices, truth, prediction)
    assert result["challenge_code"] == parts(math.exp(-math.sqrt(3 / 8)), 5 / 12, 0)
    assert result["challenge_documented"] == parts(math.exp(-math.sqrt(3 / 8)), 2 / 9, 0)


def test_a_mixed_instance_is_dropped_to_gingiva() -> None:
    vertices, truth = cubes(2)
    labels = truth.copy()
    labels[8] = 13  # one vertex of the second instance says otherwise
    mixed = challenge_scores(vertices, truth, one_instance_per_number(truth), labels, one_instance_per_number(truth))
    assert mixed == score(vertices, truth, np.where(truth == 12, 0, truth))
    assert mixed is not None and mixed["challenge_code"]["tsa"] == pytest.approx(12 / 20)


def test_matching_minimises_the_total_distance() -> None:
    # On a line: true teeth at 0 and 10, predicted at 9 and 21. Each tooth's nearest is the first;
    # the best total (9 + 11 = 20) pairs 0-9 and 10-21, not 0-21 and 10-9 (22).
    cross = np.array([[-1.0, -1, -1], [1, 1, 1]])
    vertices = np.concatenate([cross + place * ALONG_X for place in (0, 10, 9, 21)])
    truth = np.array([11, 11, 12, 12, 0, 0, 0, 0])
    prediction = np.array([0, 0, 0, 0, 11, 11, 12, 12])
    tla = (9 + 11) / math.sqrt(2) / 2
    assert score(vertices, truth, prediction)["challenge_code"] == parts(math.exp(-tla), 0, 0)
    assert score(vertices, truth, prediction)["challenge_documented"] == parts(math.exp(-tla), 0, 0)


def test_extra_predicted_teeth_stay_unmatched() -> None:
    vertices, truth = cubes(1)
    prediction = truth.copy()
    prediction[-4:] = 18
    result = score(vertices, truth, prediction)
    assert result["challenge_code"] == parts(1, 8 / 12, 1)
    assert result["challenge_documented"] == parts(1, 1, 1)


def test_unknown_truth_is_left_out() -> None:
    vertices, truth = cubes(2)
    prediction = np.where(truth == 12, 0, truth)
    unknown = np.where(truth == 12, -1, truth)
    assert score(vertices, unknown, prediction)["challenge_code"] == parts(1, 1, 1)
    prediction[8:16] = 47
    assert score(vertices, unknown, prediction)["challenge_code"] == parts(1, 1, 1)


@pytest.mark.parametrize("label", [0, -1])
def test_no_true_tooth_gives_none(label: int) -> None:
    vertices, truth = cubes(1)
    truth[:] = label
    assert challenge_scores(vertices, truth, one_instance_per_number(truth), truth * 0 + 11, truth * 0 + 11) is None


def test_a_flat_tooth_is_a_hit_in_place_and_a_miss_elsewhere() -> None:
    flat = CUBE * [0, 1, 1] + 0.1 * ALONG_X
    vertices = np.concatenate([flat, flat + ALONG_X])
    truth = np.repeat([11, 0], 8)
    assert score(vertices, truth, truth)["challenge_code"] == parts(1, 1, 1)
    assert score(vertices, truth, truth[::-1])["challenge_code"] == parts(0, 0, 0)


def test_a_tooth_of_one_vertex() -> None:
    vertices, truth = np.array([[0.1, 0.2, 0.3], [5, 5, 5]]), np.array([11, 0])
    assert score(vertices, truth, truth)["challenge_documented"] == parts(1, 1, 1)
    assert score(vertices, truth, truth[::-1])["challenge_documented"] == parts(0, 0, 0)


def test_order_of_vertices_does_not_matter() -> None:
    vertices, truth = cubes(4)
    rng = np.random.default_rng(0)
    vertices = vertices + rng.normal(0, 0.3, vertices.shape)
    prediction = np.where(rng.random(len(truth)) < 0.3, rng.choice([0, 11, 12, 21], len(truth)), truth)
    order = rng.permutation(len(truth))
    one, other = score(vertices, truth, prediction), score(vertices[order], truth[order], prediction[order])
    assert all(other[key] == pytest.approx(one[key]) for key in one)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(11.5, "as whole numbers, found 11.5"), (math.nan, "as whole numbers, found nan"), (1, "as FDI .* found 1")],
)
def test_labels_are_fdi_numbers(wrong: float, message: str) -> None:
    vertices, truth = cubes(2)
    labels = np.where(truth == 11, wrong, truth)
    with pytest.raises(LabelError, match=f"true labels {message}"):
        challenge_scores(vertices, labels, truth, truth, truth)
    with pytest.raises(LabelError, match=f"predicted labels {message}"):
        challenge_scores(vertices, truth, truth, labels, truth)


def test_errors() -> None:
    vertices, truth = cubes(1)
    with pytest.raises(LabelError, match="one per vertex"):
        challenge_scores(vertices, truth[1:], truth, truth, truth)
    mixed = truth.copy()
    mixed[0] = 12
    with pytest.raises(LabelError, match="one label in each true tooth instance"):
        challenge_scores(vertices, mixed, one_instance_per_number(truth), truth, truth)
