"""Scores over the faces of one scan, from one confusion matrix.

Scores use the original faces, including gingiva. Faces with ground truth -1 are ignored. Published mIoU values have
different definitions: do not compare them without their definitions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from toothgraph.errors import LabelError
from toothgraph.fdi import (
    FDI_OF_CLASS,
    JAW_NAMES,
    NUM_CLASSES,
    UNKNOWN_JAW,
    check_fdi,
    check_jaw,
    classes_of_jaw,
    fdi_to_class,
    jaw_of_labels,
    whole_numbers,
)
from toothgraph.mesh.mesh import Mesh
from toothgraph.metrics.boundary import boundary_faces
from toothgraph.metrics.definitions import (
    ACCURACY,
    BOUNDARY_IOU,
    DICE,
    MIOU,
    MIOU_MATCHED,
    MIOU_PAPER,
    NUMBERS_RIGHT,
    SCANS_RIGHT,
    TEETH_FOUND,
)

FOUND = 0.5  # a tooth can have a larger IoU with one other tooth only, so each tooth finds one at most


def confusion(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The confusion matrix: number of faces per true and predicted class.

    Args:
        truth: [F] FDI numbers, 0 gingiva, -1 unknown; faces that are neither 0 nor a permanent tooth are ignored.
        prediction: [F] FDI numbers; -1 and primary teeth go to the last column.

    Returns:
        [33, 34] int64: rows are true classes, columns predicted classes; the last column is "no class".

    Raises:
        LabelError: if the shapes differ, or for numbers that are not FDI numbers, such as class indices.

    Example:
        >>> table = confusion(np.array([0, 11, 11, 12]), np.array([0, 11, 12, 12]))
        >>> int(np.diagonal(table).sum()), int(table[1, 2])  # three faces are right; one of 11 was taken for 12
        (3, 1)
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.ndim != 1 or truth.shape != prediction.shape:
        raise LabelError(
            f"expected one true and one predicted label per face, got {truth.shape} and {prediction.shape}"
        )
    truth, prediction = check_fdi(truth, "true labels"), check_fdi(prediction, "predicted labels")
    row, column = fdi_to_class(truth), fdi_to_class(prediction)
    column = np.where(column < 0, NUM_CLASSES, column)
    known = row >= 0
    cell = row[known] * (NUM_CLASSES + 1) + column[known]
    return np.bincount(cell, minlength=NUM_CLASSES * (NUM_CLASSES + 1)).reshape(NUM_CLASSES, NUM_CLASSES + 1)


def _counts(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correct faces, faces in the ground truth, faces in the prediction. Each [33], from a table [33, 34]."""
    return np.diagonal(table).copy(), table.sum(axis=1), table.sum(axis=0)[:NUM_CLASSES]


def class_scores(table: np.ndarray, jaw: int) -> dict[str, float | None]:
    """Scores of one scan from its confusion matrix.

    - ``accuracy``: share of correct faces.
    - ``dice``, ``miou``: mean over the classes present in ground truth or prediction, including gingiva and the classes
      of the other jaw. A class that is only predicted counts 0.
    - ``miou_paper``: mean over the 17 classes of the jaw; a class absent from both counts 1. A predicted class of the
      other jaw is not one of the 17, but it lowers the IoU of the true classes of its faces.
    - ``miou_matched``: see :func:`matched_iou`.

    Args:
        table: [33, 34] from :func:`confusion`.
        jaw: 0 upper, 1 lower, -1 unknown; it is used for ``miou_paper`` only, which is None with -1.

    Returns:
        The five keys; every value is None if no face has a known ground truth.

    Raises:
        ShapeError: if ``jaw`` has another value.

    Example:
        >>> table = confusion(np.array([0, 11, 11, 12]), np.array([0, 11, 12, 12]))
        >>> scores = class_scores(table, jaw=0)
        >>> scores["accuracy"], round(scores["miou"], 3)  # of gingiva 1, of both teeth 1/2
        (0.75, 0.667)
    """
    own = classes_of_jaw(jaw)
    right, true, predicted = _counts(table)
    if true.sum() == 0:
        return dict.fromkeys((ACCURACY, DICE, MIOU, MIOU_PAPER, MIOU_MATCHED))
    present = true + predicted > 0
    iou = np.where(present, right / np.maximum(true + predicted - right, 1), 1.0)
    dice = 2 * right[present] / (true + predicted)[present]
    return {
        ACCURACY: float(right.sum() / true.sum()),
        DICE: float(dice.mean()),
        MIOU: float(iou[present].mean()),
        MIOU_PAPER: None if jaw == UNKNOWN_JAW else float(iou[own].mean()),
        MIOU_MATCHED: matched_iou(table),
    }


def matched_iou(table: np.ndarray) -> float:
    """``miou`` after a one-to-one matching of predicted and true teeth, independent of their numbers.

    The matching maximises the sum of the IoU (Kuhn, 1955, https://doi.org/10.1002/nav.3800020109). A tooth without an
    overlapping partner counts 0, in the ground truth and in the prediction. The difference from ``miou`` is the loss
    from wrong numbers. This score may be lower than ``miou``: if a true and a predicted tooth with the same number do
    not overlap, ``miou`` counts one 0 for both, and this score counts 0 for each.

    Args:
        table: [33, 34] from :func:`confusion`, with at least one face.

    Example:
        >>> table = confusion(np.array([0, 11, 11, 12]), np.array([0, 12, 12, 13]))  # each number is one too high
        >>> matched_iou(table), round(class_scores(table, jaw=0)["miou"], 3)
        (1.0, 0.25)
    """
    _, true, predicted = _counts(table)
    union = true[:, None] + predicted - table[:, :NUM_CLASSES]
    iou = np.where(union > 0, table[:, :NUM_CLASSES] / np.maximum(union, 1), 0.0)
    mine, found = np.flatnonzero(true[1:]) + 1, np.flatnonzero(predicted[1:]) + 1
    rows, columns = linear_sum_assignment(-iou[np.ix_(mine, found)])
    fits = iou[mine[rows], found[columns]]
    matched = fits[fits > 0]
    gingiva = [iou[0, 0]] if true[0] + predicted[0] > 0 else []
    return float((matched.sum() + sum(gingiva)) / (len(mine) + len(found) - len(matched) + len(gingiva)))


def found_teeth(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True teeth that are found: each overlaps with a predicted tooth, of any number, by an IoU above 0.5.

    Args:
        table: [33, 34] from :func:`confusion`.

    Returns:
        [T] classes 1 … 32 of the true teeth that are found, and [T] classes of the predicted teeth that find them. Each
        true tooth has at most one such predicted tooth.
    """
    _, true, predicted = _counts(table)
    common = table[1:, 1:NUM_CLASSES]
    iou = common / np.maximum(true[1:, None] + predicted[None, 1:] - common, 1)
    found = np.flatnonzero((true[1:] > 0) & (iou.max(axis=1) > FOUND))
    return found + 1, iou[found].argmax(axis=1) + 1


def number_scores(table: np.ndarray) -> dict[str, float | None]:
    """Whether teeth are found, and whether the found ones have the right number.

    Args:
        table: [33, 34] from :func:`confusion`.

    Returns:
        For the teeth of :func:`found_teeth`: ``teeth_found``, ``numbers_right`` and ``scans_right`` (1 if all found
        teeth have the right number, else 0). None for a scan without true teeth; the last two also if no tooth is
        found.

    Example:
        >>> table = confusion(np.array([0, 11, 12, 13]), np.array([0, 11, 12, 14]))
        >>> scores = number_scores(table)
        >>> scores["teeth_found"], round(scores["numbers_right"], 3), scores["scans_right"]
        (1.0, 0.667, 0.0)
    """
    there = np.count_nonzero(table[1:].sum(axis=1))
    found, given = found_teeth(table)
    right = found == given
    scores: dict[str, float | None] = dict.fromkeys((TEETH_FOUND, NUMBERS_RIGHT, SCANS_RIGHT))
    if there:
        scores[TEETH_FOUND] = float(len(found) / there)
    if len(found):
        scores[NUMBERS_RIGHT] = float(right.sum() / len(found))
        scores[SCANS_RIGHT] = float(right.all())
    return scores


def surface_scores(
    vertices: np.ndarray, faces: np.ndarray, truth: np.ndarray, prediction: np.ndarray, jaw: int
) -> dict[str, float | None]:
    """The scores of :func:`class_scores` and ``boundary_iou``.

    ``boundary_iou`` is the ``miou`` over the faces with a centroid within 1.0 mm of a *true* label-change edge; None
    for a scan without such faces.

    Args:
        vertices: [V, 3] mm.
        faces: [F, m] original faces; short rows are filled with -1.
        truth: [F] FDI numbers, 0 gingiva, -1 unknown.
        prediction: [F] FDI numbers.
        jaw: 0 upper, 1 lower; -1 means the jaw of the true teeth.

    Returns:
        ``accuracy``, ``dice``, ``miou``, ``miou_paper``, ``miou_matched``, ``boundary_iou``; all None without known
        ground truth.

    Raises:
        LabelError: if shapes differ, most true teeth belong to the other jaw, or labels are not FDI numbers.
        ShapeError: if ``jaw`` has another value.

    Example:
        >>> vertices = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0], [10, 10, 0]])
        >>> faces = np.array([[0, 1, 2], [1, 3, 2]])  # two halves of a square
        >>> scores = surface_scores(vertices, faces, np.array([0, 11]), np.array([0, 0]), jaw=0)
        >>> scores["accuracy"], scores["miou"], scores["boundary_iou"]  # no centroid is near the border
        (0.5, 0.25, None)
    """
    check_jaw(jaw)
    truth, prediction = whole_numbers(truth, "true labels"), whole_numbers(prediction, "predicted labels")
    if truth.shape != (len(faces),):
        raise LabelError(f"expected {len(faces)} true face labels, got {truth.shape}")
    true_jaw = jaw_of_labels(truth)
    if UNKNOWN_JAW not in (jaw, true_jaw) and jaw != true_jaw:
        raise LabelError(
            f"expected the true labels of the {JAW_NAMES[jaw]} jaw, found mostly teeth of the "
            f"{JAW_NAMES[true_jaw]} jaw: correct the jaw or the label file"
        )
    jaw = true_jaw if jaw == UNKNOWN_JAW else jaw
    scores = class_scores(confusion(truth, prediction), jaw)
    near = boundary_faces(vertices, faces, truth)
    scores[BOUNDARY_IOU] = class_scores(confusion(truth[near], prediction[near]), jaw)[MIOU]
    return scores


def segmentation_scores(mesh: Mesh, truth: np.ndarray, prediction: np.ndarray, jaw: int) -> dict[str, float | None]:
    """The :func:`surface_scores` of a mesh; ``truth`` and ``prediction`` are [F] FDI numbers of its faces.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> found = np.where(arch.labels == 11, 21, arch.labels)
        >>> scores = segmentation_scores(arch, arch.labels, found, jaw=0)
        >>> scores["miou"] < scores["accuracy"] < 1  # accuracy hardly sees one wrong tooth
        True
    """
    return surface_scores(mesh.vertices, mesh.faces, truth, prediction, jaw)


def _mean_where(values: np.ndarray, where: np.ndarray) -> float | None:
    return float(values[where].mean()) if where.any() else None


def per_tooth(confusions: Iterable[np.ndarray]) -> list[dict[str, Any]]:
    """One row per class: each value is computed per scan, then averaged over scans.

    - ``fdi``: the tooth, 0 for gingiva.
    - ``iou``, ``dice``: mean over the scans with this class in ground truth or prediction.
    - ``precision``: mean over the scans with this class in the prediction; None if there are none.
    - ``recall``: mean over the scans with this class in the ground truth; None if there are none.
    - ``faces``: number of faces of this class in the ground truth of all scans.
    - ``scans``: number of scans with this class in ground truth or prediction.

    Args:
        confusions: tables [33, 34] from :func:`confusion`, one per scan.

    Returns:
        Rows in the order of the class indices; a class that is in no scan has no row.

    Example:
        >>> rows = per_tooth([confusion(np.array([0, 11, 11, 12]), np.array([0, 11, 12, 12]))])
        >>> [(row["fdi"], row["iou"], row["recall"]) for row in rows]
        [(0, 1.0, 1.0), (11, 0.5, 0.5), (12, 0.5, 1.0)]
    """
    tables = np.array([*confusions]).reshape(-1, NUM_CLASSES, NUM_CLASSES + 1)
    right = np.diagonal(tables, axis1=1, axis2=2)
    true, predicted = tables.sum(axis=2), tables.sum(axis=1)[:, :NUM_CLASSES]
    seen = true + predicted > 0
    iou = right / np.maximum(true + predicted - right, 1)
    dice = 2 * right / np.maximum(true + predicted, 1)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(true, 1)
    return [
        {
            "fdi": int(FDI_OF_CLASS[c]),
            "iou": _mean_where(iou[:, c], seen[:, c]),
            "dice": _mean_where(dice[:, c], seen[:, c]),
            "precision": _mean_where(precision[:, c], predicted[:, c] > 0),
            "recall": _mean_where(recall[:, c], true[:, c] > 0),
            "faces": int(true[:, c].sum()),
            "scans": int(seen[:, c].sum()),
        }
        for c in np.flatnonzero(seen.any(axis=0))
    ]
