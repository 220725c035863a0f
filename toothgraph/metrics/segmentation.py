"""Scores over the faces of one scan, all from one confusion table.

Always on the original faces, gingiva included. Truth -1 is left out. A label of the other jaw
counts as wrong. Published mIoU differ by definition: never compare two without their definitions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from toothgraph.errors import LabelError
from toothgraph.fields import ACCURACY, BOUNDARY_IOU, DICE, MIOU, MIOU_MATCHED, MIOU_PAPER
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import (
    FDI_OF_CLASS,
    JAW_NAMES,
    NUM_CLASSES,
    UNKNOWN_JAW,
    classes_of_jaw,
    fdi_to_class,
    jaw_of_labels,
)

BOUNDARY_RADIUS = 1.0  # mm
_PIECE = 0.5  # mm, longest piece of an edge in the candidate search
_CHUNK = 4096  # pieces searched at once: bounds the memory


def confusion(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Count faces by true and predicted class.

    Args:
        truth: [F] FDI numbers; a face whose truth is neither 0 nor a permanent tooth is left out.
        prediction: [F] FDI numbers; anything else than 0 or a permanent tooth goes to the last column.

    Returns:
        [33, 34] int64: rows are true classes, columns predicted classes, the last column "no class".

    Raises:
        LabelError: if the shapes differ.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.ndim != 1 or truth.shape != prediction.shape:
        raise LabelError(
            f"expected one true and one predicted label per face, got {truth.shape} and {prediction.shape}"
        )
    row, column = fdi_to_class(truth), fdi_to_class(prediction)
    column = np.where(column < 0, NUM_CLASSES, column)
    known = row >= 0
    cell = row[known] * (NUM_CLASSES + 1) + column[known]
    return np.bincount(cell, minlength=NUM_CLASSES * (NUM_CLASSES + 1)).reshape(NUM_CLASSES, NUM_CLASSES + 1)


def _counts(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces right, faces in truth, faces in prediction. Each [33], from a table [33, 34]."""
    return np.diagonal(table).copy(), table.sum(axis=1), table.sum(axis=0)[:NUM_CLASSES]


def class_scores(table: np.ndarray, jaw: int) -> dict[str, float | None]:
    """Scores of one scan from its confusion table.

    - ``accuracy``: share of faces labelled right.
    - ``dice``, ``miou``: mean over the classes present in truth or prediction, gingiva included. A class of
      the other jaw in the prediction is present, and has no right face: it enters with 0.
    - ``miou_paper``: mean over the jaw's 17 classes, a class absent from both counting 1. A class of the
      other jaw is none of the 17; it lowers the classes whose faces it took.
    - ``miou_matched``: see :func:`matched_iou`.

    Args:
        table: [33, 34] from :func:`confusion`.
        jaw: 0 upper, 1 lower; -1 takes all 33 classes as possible and leaves ``miou_paper`` undefined.

    Returns:
        The five keys; every value None when no face has a known truth.
    """
    right, true, predicted = _counts(table)
    if true.sum() == 0:
        return dict.fromkeys((ACCURACY, DICE, MIOU, MIOU_PAPER, MIOU_MATCHED))
    own = classes_of_jaw(jaw)
    right[np.setdiff1d(np.arange(NUM_CLASSES), own)] = 0
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
    """``miou`` with every predicted tooth under the number of the true tooth it fits best, one to one.

    The assignment maximises the sum of the IoU (Kuhn, 1955). A tooth that gets no partner, true or predicted,
    counts 0. The difference to ``miou`` is what wrong numbers cost.

    Args:
        table: [33, 34] from :func:`confusion`, with at least one face.
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


def _weld(vertices: np.ndarray) -> np.ndarray:
    """One number per distinct position. [V] int64. Files such as STL repeat a vertex for every face."""
    if len(vertices) == 0:
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort(vertices.T)
    new = (np.diff(vertices[order], axis=0) != 0).any(axis=1)
    number = np.zeros(len(vertices), dtype=np.int64)
    number[order[1:]] = np.cumsum(new)
    return number


def label_change_edges(vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Edges shared by two faces whose labels differ, a face without a known label aside.

    Vertices in the same place count as one, so a file that shares no vertices gives the same edges.

    Args:
        vertices: [V, 3] mm.
        faces: [F, m] indices into ``vertices``; rows of fewer than m corners are filled with -1.
        labels: [F] FDI numbers; a face that is neither 0 nor a permanent tooth makes no label change.

    Returns:
        [E, 2 ends, 3] float64, mm: each edge once.
    """
    label = fdi_to_class(labels)
    corner = np.asarray(faces)[label >= 0]
    label = label[label >= 0]
    following = np.roll(corner, -1, axis=1)
    following = np.where(following < 0, corner[:, :1], following)
    # [F, m, 2] -> [F * m, 2]
    ends = np.stack([corner, following], axis=2).reshape(-1, 2)
    owner = np.repeat(label, corner.shape[1])
    place = _weld(vertices)
    number = np.sort(place[ends], axis=1)
    real = (ends[:, 0] >= 0) & (number[:, 0] != number[:, 1])
    ends, owner, number = ends[real], owner[real], number[real]
    if len(ends) == 0:
        return np.zeros((0, 2, 3))
    key = number[:, 0] * len(vertices) + number[:, 1]
    order = np.argsort(key, kind="stable")
    start = np.flatnonzero(np.diff(key[order], prepend=-1))
    lowest = np.minimum.reduceat(owner[order], start)
    highest = np.maximum.reduceat(owner[order], start)
    return np.asarray(vertices, dtype=np.float64)[ends[order[start[lowest != highest]]]]


def _segment_distance(points: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Distance of each point [P, 3] to its segment [P, 2, 3]. [P]"""
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]
    length2 = np.maximum((along**2).sum(axis=1), 1e-300)
    share = np.clip(((points - start) * along).sum(axis=1) / length2, 0, 1)
    return np.linalg.norm(points - start - share[:, None] * along, axis=1)


def _near_segments(points: np.ndarray, segments: np.ndarray, radius: float) -> np.ndarray:
    """Which points [P, 3] lie within ``radius`` of any of the segments [E, 2, 3]. [P] bool, exact.

    A point near a segment is near the middle of one of its short pieces. Those candidates come from a tree;
    each is then measured against its whole segment.
    """
    near = np.zeros(len(points), dtype=bool)
    if len(points) == 0 or len(segments) == 0:
        return near
    along = segments[:, 1] - segments[:, 0]
    length = np.linalg.norm(along, axis=1)
    pieces = np.maximum(np.ceil(length / _PIECE), 1).astype(np.int64)
    parent = np.repeat(np.arange(len(segments)), pieces)
    rank = np.arange(len(parent)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    middle = segments[parent, 0] + ((rank + 0.5) / pieces[parent])[:, None] * along[parent]
    reach = radius + (length / pieces).max() / 2 + 1e-6
    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    for first in range(0, len(middle), _CHUNK):
        part = cKDTree(middle[first : first + _CHUNK])
        pairs = part.sparse_distance_matrix(tree, reach, output_type="ndarray")
        point, edge = pairs["j"], parent[pairs["i"] + first]
        open_ = ~near[point]
        point, edge = point[open_], edge[open_]
        near[point[_segment_distance(points[point], segments[edge]) <= radius]] = True
    return near


def boundary_faces(
    vertices: np.ndarray, faces: np.ndarray, truth: np.ndarray, radius: float = BOUNDARY_RADIUS
) -> np.ndarray:
    """Faces whose centroid lies within ``radius`` mm of a true label-change edge (the whole segment).

    Arguments as in :func:`label_change_edges`. Returns [F] bool; faces of unknown truth may be among them.
    """
    faces = np.asarray(faces)
    corner = faces >= 0
    total = (np.asarray(vertices, dtype=np.float64)[faces] * corner[:, :, None]).sum(axis=1)
    centroids = total / corner.sum(axis=1, keepdims=True)
    return _near_segments(centroids, label_change_edges(vertices, faces, truth), radius)


def surface_scores(
    vertices: np.ndarray, faces: np.ndarray, truth: np.ndarray, prediction: np.ndarray, jaw: int
) -> dict[str, float | None]:
    """The scores of :func:`class_scores` and ``boundary_iou``.

    ``boundary_iou``: ``miou`` over the faces whose centroid lies within 1.0 mm of a *true* label-change edge;
    None for a scan with no such face.

    Args:
        vertices: [V, 3] mm.
        faces: [F, m] original faces; rows of fewer than m corners are filled with -1.
        truth: [F] FDI numbers, 0 gingiva, -1 unknown.
        prediction: [F] FDI numbers.
        jaw: 0 upper, 1 lower; -1 takes the jaw of the true teeth.

    Returns:
        ``accuracy``, ``dice``, ``miou``, ``miou_paper``, ``miou_matched``, ``boundary_iou``; all None when no
        truth is known.

    Raises:
        LabelError: if shapes differ, or the truth numbers teeth of the other jaw.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
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
    """:func:`surface_scores` of a mesh: truth and prediction are [F] FDI numbers of its faces."""
    return surface_scores(mesh.vertices, mesh.faces, truth, prediction, jaw)


def _mean_where(values: np.ndarray, where: np.ndarray) -> float | None:
    return float(values[where].mean()) if where.any() else None


def per_tooth(confusions: Iterable[np.ndarray]) -> list[dict[str, Any]]:
    """One row per class: each value is computed per scan, then averaged over scans.

    - ``fdi``: the tooth, 0 for gingiva.
    - ``iou``, ``dice``: mean over the scans in which the class is in truth or prediction.
    - ``precision``: mean over the scans in which it is predicted; None if never.
    - ``recall``: mean over the scans in which it is in the truth; None if never.
    - ``faces``: faces of this class in the truth of all scans.
    - ``scans``: scans in which it is in truth or prediction.

    Args:
        confusions: tables [33, 34] from :func:`confusion`, one per scan.

    Returns:
        Rows in the order of the class indices; a class in no scan has no row.
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
