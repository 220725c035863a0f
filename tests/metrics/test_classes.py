"""Face scores against hand-computed values, brute force and symmetries."""

from __future__ import annotations

import numpy as np
import pytest

from toothgraph.errors import LabelError, ShapeError
from toothgraph.fdi import LOWER, UNKNOWN_JAW, UPPER
from toothgraph.mesh.mesh import Mesh
from toothgraph.metrics import (
    boundary_faces,
    class_scores,
    confusion,
    label_change_edges,
    matched_iou,
    number_scores,
    per_tooth,
    segmentation_scores,
    surface_scores,
)


def strip(count: int, width: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """``count`` squares in a row along x, each two triangles: faces 2i and 2i + 1."""
    x = width * np.arange(count + 1)
    vertices = np.array([[a, b, 0.0] for a in x for b in (0.0, width)])
    i = 2 * np.arange(count)
    faces = np.stack([i, i + 2, i + 1, i + 1, i + 2, i + 3], axis=1).reshape(-1, 3)
    return vertices, faces


def bumpy(side: int, step: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bent grid of 2·side² faces with blobs of labels, some of them unknown."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(side + 1), np.arange(side + 1), indexing="ij"), axis=-1).reshape(-1, 2)
    vertices = np.column_stack([grid * step, np.zeros(len(grid))]) + rng.normal(0, 0.15 * step, (len(grid), 3))
    corner = (np.arange(side)[:, None] * (side + 1) + np.arange(side)).ravel()
    lower = np.stack([corner, corner + side + 1, corner + 1], axis=1)
    upper = np.stack([corner + 1, corner + side + 1, corner + side + 2], axis=1)
    faces = np.concatenate([lower, upper])
    seeds = rng.uniform(0, side * step, (8, 2))
    nearest = np.linalg.norm(vertices[faces].mean(axis=1)[:, None, :2] - seeds, axis=2).argmin(axis=1)
    return vertices, faces, np.array([0, 0, 0, 11, 12, 13, 21, -1])[nearest]


def brute_force_boundary(vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Every pair of faces, every shared edge, every centroid, one by one."""
    segments = []
    for a in range(len(faces)):
        for b in range(a):
            shared = sorted(set(faces[a]) & set(faces[b]))
            if len(shared) == 2 and labels[a] != labels[b] and -1 not in (labels[a], labels[b]):
                segments.append(vertices[shared])
    near = np.zeros(len(faces), dtype=bool)
    for i, face in enumerate(faces):
        centroid = vertices[face].mean(axis=0)
        for start, end in segments:
            share = np.dot(centroid - start, end - start) / np.dot(end - start, end - start)
            foot = start + min(max(share, 0.0), 1.0) * (end - start)
            near[i] |= np.linalg.norm(centroid - foot) <= 1.0
    return near


def test_confusion_counts_and_leaves_unknown_truth_out() -> None:
    table = confusion(np.array([0, 0, 11, 11, -1, 51, 48]), np.array([0, 11, 11, -1, 11, 0, 55]))
    assert table.shape == (33, 34)
    assert table.sum() == 5
    assert table[0, 0] == table[0, 1] == table[1, 1] == 1
    assert table[1, 33] == 1 and table[32, 33] == 1


def test_confusion_rejects_unequal_lengths() -> None:
    with pytest.raises(LabelError, match="one true and one predicted"):
        confusion(np.zeros(3, dtype=int), np.zeros(4, dtype=int))


def test_class_indices_are_no_fdi_numbers() -> None:
    gingiva, classes = np.zeros(20, dtype=int), np.arange(20)
    with pytest.raises(
        LabelError, match=r"true labels as FDI numbers.* found 1, 2, 3, 4, 5 and 6 more; .*class_to_fdi"
    ):
        confusion(classes, gingiva)
    with pytest.raises(LabelError, match=r"predicted labels as FDI numbers.* found 9; "):
        confusion(gingiva, gingiva + 9)


def test_class_scores_by_hand() -> None:
    # gingiva: 4 true, 3 predicted, 3 right; 11: 4 true, 4 predicted, 3 right; 12: 0 true, 1 predicted
    truth = np.array([0, 0, 0, 0, 11, 11, 11, 11])
    prediction = np.array([0, 0, 0, 11, 11, 11, 11, 12])
    scores = class_scores(confusion(truth, prediction), UPPER)
    assert scores["accuracy"] == pytest.approx(6 / 8)
    assert scores["dice"] == pytest.approx((6 / 7 + 6 / 8 + 0) / 3)
    assert scores["miou"] == pytest.approx((3 / 4 + 3 / 5 + 0) / 3)
    assert scores["miou_paper"] == pytest.approx((3 / 4 + 3 / 5 + 0 + 14) / 17)


def test_a_class_of_the_other_jaw_counts_wrong() -> None:
    truth = np.array([0, 0, 11, 11])
    scores = class_scores(confusion(truth, np.array([0, 0, 11, 41])), UPPER)
    assert scores["accuracy"] == pytest.approx(3 / 4)
    assert scores["dice"] == pytest.approx((1 + 2 / 3 + 0) / 3)  # gingiva, 11, 41
    assert scores["miou"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert scores["miou_paper"] == pytest.approx((1 + 1 / 2 + 15) / 17)  # 41 is none of the 17


def test_a_true_tooth_of_the_other_jaw_is_scored_as_all_others() -> None:
    truth = np.array([0, 0, 11, 11, 41, 41])
    perfect = class_scores(confusion(truth, truth), UPPER)
    assert perfect == dict.fromkeys(["accuracy", "dice", "miou", "miou_paper", "miou_matched"], 1.0)
    half = class_scores(confusion(truth, np.array([0, 0, 11, 11, 41, 31])), UPPER)
    assert half["accuracy"] == pytest.approx(5 / 6)
    assert half["miou"] == pytest.approx((1 + 1 + 1 / 2 + 0) / 4)  # gingiva, 11, 41, and 31, which is no true tooth


def test_unpredicted_faces_are_wrong_but_no_class() -> None:
    scores = class_scores(confusion(np.array([0, 0, 31, 31]), np.array([0, 0, 31, -1])), LOWER)
    assert scores["accuracy"] == pytest.approx(3 / 4)
    assert scores["miou"] == pytest.approx((1 + 1 / 2) / 2)


def test_label_change_edges_of_a_strip() -> None:
    vertices, faces = strip(4)
    edges = label_change_edges(vertices, faces, np.array([0, 0, 11, 11, -1, -1, 12, 12]))
    assert edges.shape == (1, 2, 3)  # 11 | -1 and -1 | 12 are no label change
    assert sorted(edges[0].tolist()) == [[1, 0, 0], [1, 1, 0]]


def test_label_change_edge_of_three_faces() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1.0]])
    faces = np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]])
    for labels, count in [([0, 0, 11], 1), ([0, -1, 11], 1), ([0, -1, 0], 0), ([11, 11, 11], 0)]:
        assert len(label_change_edges(vertices, faces, np.array(labels))) == count


def test_boundary_iou_by_hand() -> None:
    # Label change at x = 6 (width 2): centroids at 2/3 and 4/3 past the left side of each square, so the
    # distances are 2/3 (left square, second face), 4/3, 2/3 (right square, first face), 4/3.
    vertices, faces = strip(6, width=2.0)
    truth = np.repeat([0, 11], 6)
    near = boundary_faces(vertices, faces, truth)
    assert np.flatnonzero(near).tolist() == [5, 6]
    prediction = truth.copy()
    prediction[5] = 11
    scores = surface_scores(vertices, faces, truth, prediction, UPPER)
    assert scores["boundary_iou"] == pytest.approx((0 + 1 / 2) / 2)
    assert scores["miou"] == pytest.approx((5 / 6 + 6 / 7) / 2)


def test_no_boundary_gives_none() -> None:
    vertices, faces = strip(3)
    truth = np.array([11, 11, -1, -1, 12, 12])
    scores = surface_scores(vertices, faces, truth, truth, UPPER)
    assert scores["boundary_iou"] is None
    assert scores["miou"] == 1


def test_boundary_without_a_centroid_nearby_gives_none() -> None:
    vertices, faces = strip(2, width=30.0)
    truth = np.array([0, 0, 11, 11])
    assert len(label_change_edges(vertices, faces, truth)) == 1
    assert surface_scores(vertices, faces, truth, truth, UPPER)["boundary_iou"] is None


@pytest.mark.parametrize("step", [0.2, 0.9, 3.0])
@pytest.mark.parametrize(("seed", "chunk"), [(0, 4096), (1, 7)])
def test_boundary_equals_brute_force(step: float, seed: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toothgraph.metrics.boundary._CHUNK", chunk)
    vertices, faces, labels = bumpy(13, step, seed)
    expected = brute_force_boundary(vertices, faces, labels)
    assert expected.any()
    np.testing.assert_array_equal(boundary_faces(vertices, faces, labels), expected)


def test_boundary_along_a_long_edge_reaches_its_whole_length() -> None:
    # One 40 mm edge between gingiva and a tooth, and small faces beside its far end.
    vertices = [[0, 0, 0], [40, 0, 0], [20, 9, 0], [20, -9, 0]]
    faces = [[0, 1, 2], [1, 0, 3]]
    for x, y in [(39.0, 0.9), (39.0, 1.1), (40.9, 0.0), (41.1, 0.0)]:
        first = len(vertices)
        vertices += [[x - 0.01, y, 0], [x + 0.01, y, 0], [x, y, 0]]
        faces.append([first, first + 1, first + 2])
    near = boundary_faces(np.array(vertices, dtype=float), np.array(faces), np.array([0, 11, 0, 0, 0, 0]))
    assert near.tolist() == [False, False, True, False, True, False]


def test_perfect_prediction_scores_one() -> None:
    vertices, faces, labels = bumpy(10, 0.5, 3)
    scores = segmentation_scores(Mesh(vertices, faces), labels, labels, UPPER)
    assert scores == dict.fromkeys(["accuracy", "dice", "miou", "miou_paper", "miou_matched", "boundary_iou"], 1.0)


def test_scores_do_not_depend_on_order_or_sharing_of_vertices() -> None:
    vertices, faces, truth = bumpy(12, 0.6, 4)
    rng = np.random.default_rng(5)
    prediction = np.where(rng.random(len(truth)) < 0.3, rng.choice([0, 11, 14, 31, -1], len(truth)), truth)
    expected = surface_scores(vertices, faces, truth, prediction, UPPER)
    order = rng.permutation(len(faces))
    turned = np.roll(faces[order], 1, axis=1)
    assert surface_scores(vertices, turned, truth[order], prediction[order], UPPER) == pytest.approx(expected)
    soup = np.arange(3 * len(faces)).reshape(-1, 3)
    assert surface_scores(vertices[faces].reshape(-1, 3), soup, truth, prediction, UPPER) == pytest.approx(expected)


def test_quads_and_filled_rows() -> None:
    vertices, _ = strip(4)
    i = 2 * np.arange(4)
    quads = np.stack([i, i + 2, i + 3, i + 1], axis=1)
    quads[3] = [6, 8, 7, -1]
    truth = np.array([0, 0, 11, 11])
    edges = label_change_edges(vertices, quads, truth)
    assert sorted(edges[0].tolist()) == [[2, 0, 0], [2, 1, 0]] and len(edges) == 1
    assert boundary_faces(vertices, quads, truth).tolist() == [False, True, True, False]
    truth = np.array([0, 0, 0, 11])  # the triangle's centroid is 1/3 mm past the edge, the quad's 1/2 before
    assert boundary_faces(vertices, quads, truth).tolist() == [False, False, True, True]


def test_unknown_truth_changes_nothing() -> None:
    vertices, faces = strip(6)
    truth = np.repeat([0, 11, -1], 4)
    prediction = truth.copy()
    prediction[3] = 11
    one = surface_scores(vertices, faces, truth, prediction, UPPER)
    prediction[8:] = [12, 13, 31, 0]
    assert surface_scores(vertices, faces, truth, prediction, UPPER) == one
    assert one["accuracy"] == pytest.approx(7 / 8)


def test_all_truth_unknown_has_no_scores() -> None:
    vertices, faces = strip(2)
    scores = surface_scores(vertices, faces, np.full(4, -1), np.zeros(4, dtype=int), UPPER)
    assert scores == dict.fromkeys(["accuracy", "dice", "miou", "miou_paper", "miou_matched", "boundary_iou"])


def test_unknown_jaw_is_taken_from_the_truth() -> None:
    vertices, faces = strip(2)
    truth, prediction = np.array([0, 0, 31, 31]), np.array([0, 0, 31, 0])
    given = surface_scores(vertices, faces, truth, prediction, LOWER)
    assert surface_scores(vertices, faces, truth, prediction, UNKNOWN_JAW) == given
    gingiva = surface_scores(vertices, faces, np.zeros(4, dtype=int), np.zeros(4, dtype=int), UNKNOWN_JAW)
    assert gingiva["miou"] == 1 and gingiva["miou_paper"] is None


def test_truth_of_the_other_jaw_is_an_error() -> None:
    vertices, faces = strip(2)
    truth = np.array([0, 0, 31, 31])
    with pytest.raises(LabelError, match="expected the true labels of the upper jaw, found mostly teeth of the lower"):
        surface_scores(vertices, faces, truth, truth, UPPER)


def test_wrong_number_of_labels_is_an_error() -> None:
    vertices, faces = strip(2)
    with pytest.raises(LabelError, match="expected 4 true face labels"):
        surface_scores(vertices, faces, np.zeros(3, dtype=int), np.zeros(4, dtype=int), UPPER)


def test_per_tooth_by_hand() -> None:
    first = confusion(np.array([0, 0, 11, 11, 11]), np.array([0, 0, 11, 11, 0]))
    second = confusion(np.array([0, 0, 0]), np.array([0, 0, 11]))  # 11 predicted where there is none
    third = confusion(np.array([0, 12]), np.array([0, 0]))  # 12 never predicted
    rows = {row["fdi"]: row for row in per_tooth([first, second, third])}
    assert list(rows) == [0, 11, 12]
    tooth = rows[11]
    assert (tooth["faces"], tooth["scans"]) == (3, 2)
    assert tooth["iou"] == pytest.approx((2 / 3 + 0) / 2)
    assert tooth["dice"] == pytest.approx((4 / 5 + 0) / 2)
    assert tooth["precision"] == pytest.approx((1 + 0) / 2)
    assert tooth["recall"] == pytest.approx(2 / 3)  # the second scan has no tooth to recall
    assert rows[12]["precision"] is None and rows[12]["recall"] == 0 and rows[12]["iou"] == 0
    assert rows[0]["iou"] == pytest.approx((2 / 3 + 2 / 3 + 1 / 2) / 3)
    assert per_tooth([]) == []


def test_per_tooth_averages_to_miou_of_a_single_scan() -> None:
    _, _, truth = bumpy(12, 0.6, 7)
    prediction = np.random.default_rng(8).permutation(truth)
    table = confusion(truth, prediction)
    assert np.mean([row["iou"] for row in per_tooth([table])]) == pytest.approx(class_scores(table, UPPER)["miou"])


def test_matched_iou_by_hand() -> None:
    truth = np.array([0, 0, 11, 11, 11, 11, 12, 12, 13])
    shifted = np.array([0, 0, 12, 12, 12, 12, 13, 13, 14])
    assert matched_iou(confusion(truth, truth)) == matched_iou(confusion(truth, shifted)) == 1
    assert class_scores(confusion(truth, shifted), 0)["miou"] == pytest.approx(1 / 5)  # gingiva alone
    # 11 split in two: the larger half counts, the other is a tooth too many
    split = np.array([0, 0, 11, 11, 11, 16, 12, 12, 13])
    assert matched_iou(confusion(truth, split)) == pytest.approx((1 + 3 / 4 + 1 + 1 + 0) / 5)
    # 12 and 13 in one: the better fit counts, the other true tooth is lost
    joined = np.array([0, 0, 11, 11, 11, 11, 12, 12, 12])
    assert matched_iou(confusion(truth, joined)) == pytest.approx((1 + 1 + 2 / 3 + 0) / 4)
    assert matched_iou(confusion(truth, np.zeros(9, dtype=int))) == pytest.approx((2 / 9) / 4)
    assert matched_iou(confusion(truth[2:], truth[2:])) == 1  # no gingiva anywhere
    greedy = np.array([11, 11, 11, 12, 12, 12, 12, 12])
    truth = np.array([11, 11, 11, 11, 11, 11, 12, 12])
    assert matched_iou(confusion(truth, greedy)) == pytest.approx((3 / 6 + 2 / 5) / 2)


def test_matched_iou_may_be_below_miou() -> None:
    truth, found = np.repeat([12, 11, 0], [6, 2, 2]), np.repeat([12, 0, 11], [6, 2, 2])  # 11 beside its place
    table = confusion(truth, found)
    assert class_scores(table, UPPER)["miou"] == pytest.approx((1 + 0 + 0) / 3)
    assert matched_iou(table) == pytest.approx((1 + 0 + 0 + 0) / 4)


def test_a_predicted_tooth_finds_one_true_tooth_at_most() -> None:
    """One of 20 faces over two of 10 has an IoU of 0.5 with each."""
    table = confusion(np.repeat([11, 12], 10), np.repeat([11], 20))
    assert number_scores(table) == {"teeth_found": 0, "numbers_right": None, "scans_right": None}


def test_teeth_found_and_their_numbers() -> None:
    truth = np.repeat([0, 11, 12, 13], 10)
    assert number_scores(confusion(truth, truth)) == {"teeth_found": 1, "numbers_right": 1, "scans_right": 1}
    exchanged = np.repeat([0, 12, 11, 13], 10)
    assert number_scores(confusion(truth, exchanged)) == {
        "teeth_found": 1, "numbers_right": pytest.approx(1 / 3), "scans_right": 0,
    }  # fmt: skip
    half = truth.copy()
    half[10:16] = 0  # of 11, four faces of ten are left: not found, and its number does not count
    assert number_scores(confusion(truth, half)) == {
        "teeth_found": pytest.approx(2 / 3), "numbers_right": 1, "scans_right": 1,
    }  # fmt: skip
    half[15] = 11  # five of ten, an IoU of just 0.5, are not enough
    assert number_scores(confusion(truth, half))["teeth_found"] == pytest.approx(2 / 3)
    half[10:16], half[16:20] = 11, 0
    assert number_scores(confusion(truth, half))["teeth_found"] == 1
    nothing = np.zeros_like(truth)
    assert number_scores(confusion(truth, nothing)) == {"teeth_found": 0, "numbers_right": None, "scans_right": None}
    assert set(number_scores(confusion(nothing, truth)).values()) == {None}
    assert number_scores(confusion(truth, truth + 30 * (truth > 0)))["numbers_right"] == 0  # of the other jaw


def test_labels_as_numpy_reads_them_score_alike() -> None:
    vertices, faces = strip(4)
    truth, found = np.repeat([0, 11], 4), np.repeat([0, 11, 12], [4, 3, 1])
    scores = surface_scores(vertices, faces, truth, found, UPPER)
    assert surface_scores(vertices, faces, truth.astype(float), found.astype(float), UPPER) == scores
    assert boundary_faces(vertices, faces, truth.astype(float)).any()
    with pytest.raises(LabelError, match="predicted labels as whole numbers, found nan"):
        confusion(truth, np.full(8, np.nan))
    with pytest.raises(ShapeError, match="a jaw of 0 upper"):
        surface_scores(vertices, faces, truth, found, "upper")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="a jaw of 0 upper"):
        class_scores(confusion(truth, found), None)  # type: ignore[arg-type]
