"""The scores of the 3DTeethSeg challenge (MICCAI 2022): as computed by its code, and as defined in its text.

Challenge: Ben-Hamadou et al., 2023, https://arxiv.org/abs/2305.18277. Matching: Kuhn, 1955 (Hungarian method),
https://doi.org/10.1002/nav.3800020109

The first steps are the same. An instance with several labels becomes gingiva. Each true tooth has a centroid c and a
size vector s = √Σ(c − v)² per axis over its vertices. True and predicted teeth are matched with the Hungarian method
on centroid distances. The distance of a pair is d = ‖(c_true − c_pred) / s‖.

=======  =============================================  ==================================================
part     ``challenge_code``                             ``challenge_documented``
=======  =============================================  ==================================================
TLA      mean d; an unmatched true tooth adds 5·‖s‖     mean d; an unmatched true tooth adds 5
TSA      accuracy of tooth against gingiva (micro F1)   mean over true teeth of the F1 of their vertices
                                                        against the matched instance; unmatched counts 0
TIR      share of *matched pairs* with d < 0.5 and the  share of *true teeth* with a match of d < 0.5 and
         same FDI number; 0 without a pair              the same FDI number
score    mean of exp(−TLA), TSA, TIR                    the same
=======  =============================================  ==================================================

s is a sum, not a mean. So all parts except TSA depend on the mesh resolution: use the original vertices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from toothgraph.errors import LabelError
from toothgraph.fdi import check_fdi, whole_numbers
from toothgraph.metrics.definitions import CHALLENGE_CODE, CHALLENGE_DOCUMENTED, EXP_TLA, SCORE, TIR, TSA

PENALTY = 5.0
THRESHOLD = 0.5
_LEAST_SIZE = 1e-6  # mm


@dataclass(frozen=True)
class _Teeth:
    """T instances: labels [T], centroids and sizes [T, 3] in mm, and the instance of each vertex [V], or -1."""

    labels: np.ndarray
    centroids: np.ndarray
    sizes: np.ndarray
    member: np.ndarray


def one_instance_per_number(labels: np.ndarray) -> np.ndarray:
    """Instances from labels [V], one per FDI number: the number itself, 0 for gingiva and unknown. [V]

    Example:
        >>> one_instance_per_number(np.array([-1, 0, 11, 11, 12])).tolist()
        [0, 0, 11, 11, 12]
    """
    return np.maximum(np.asarray(labels), 0)


def _sum_by(member: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Sums of the rows of ``values`` [V, 3] per instance. [count, 3]"""
    return np.stack([np.bincount(member, weights=axis, minlength=count) for axis in values.T], axis=1)


def _teeth(vertices: np.ndarray, labels: np.ndarray, instances: np.ndarray) -> _Teeth:
    """The instances with one label. All others, and instances of 0 and below, become gingiva."""
    ids, group = np.unique(np.maximum(instances, 0), return_inverse=True)
    lowest, highest = np.full(len(ids), np.iinfo(np.int64).max), np.full(len(ids), np.iinfo(np.int64).min)
    np.minimum.at(lowest, group, labels)
    np.maximum.at(highest, group, labels)
    kept = (ids > 0) & (lowest == highest)
    member = np.where(kept, np.cumsum(kept) - 1, -1)[group]
    inside = member >= 0
    own, points, count = member[inside], vertices[inside], int(kept.sum())
    centroids = _sum_by(own, points, count) / np.bincount(own, minlength=count)[:, None]
    sizes = np.sqrt(_sum_by(own, (points - centroids[own]) ** 2, count))
    return _Teeth(lowest[kept], centroids, sizes, member)


def _pair_f1(true: _Teeth, pred: _Teeth, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """F1 of the vertices of each matched pair. [pairs]"""
    overlap = np.zeros((len(true.labels), len(pred.labels)))
    both = (true.member >= 0) & (pred.member >= 0)
    np.add.at(overlap, (true.member[both], pred.member[both]), 1)
    true_size = np.bincount(true.member[true.member >= 0], minlength=len(true.labels))
    pred_size = np.bincount(pred.member[pred.member >= 0], minlength=len(pred.labels))
    return 2 * overlap[rows, columns] / (true_size[rows] + pred_size[columns])


def _parts(tla: float, tsa: float, tir: float) -> dict[str, float]:
    exp_tla = math.exp(-tla)
    return {EXP_TLA: exp_tla, TSA: float(tsa), TIR: float(tir), SCORE: float((exp_tla + tsa + tir) / 3)}


def challenge_scores(
    vertices: np.ndarray,
    truth_labels: np.ndarray,
    truth_instances: np.ndarray,
    pred_labels: np.ndarray,
    pred_instances: np.ndarray,
) -> dict[str, dict[str, float]] | None:
    """Score the labelled vertices of one jaw in both ways (see the table of the module).

    Vertices with true label -1 are ignored. An empty prediction gets a low score and no error. A size below 1e-6 mm
    along an axis (a flat tooth, a tooth of one vertex) counts as 1e-6 mm in d. Then only a prediction at the same
    position is a hit.

    Args:
        vertices: [V, 3] mm, original vertices.
        truth_labels: [V] FDI numbers, 0 gingiva, -1 unknown.
        truth_instances: [V] tooth instances, 0 gingiva.
        pred_labels: [V] FDI numbers.
        pred_instances: [V] tooth instances; 0 and below are gingiva.

    Returns:
        ``{"challenge_code": {exp_tla, tsa, tir, score}, "challenge_documented": {…}}``; None for a scan
        without true teeth.

    Raises:
        LabelError: if shapes differ, labels are not FDI numbers, or a true instance has several labels.

    Example:
        >>> vertices, labels = np.random.default_rng(0).normal(size=(40, 3)), np.repeat([0, 11, 12, 13], 10)
        >>> vertices[:, 0] += 10 * labels
        >>> scores = challenge_scores(vertices, labels, labels, labels, labels)
        >>> scores["challenge_code"]["score"], scores["challenge_documented"]["score"]
        (1.0, 1.0)
    """
    vertices = np.asarray(vertices, dtype=np.float64)
    given = [
        check_fdi(truth_labels, "true labels"), whole_numbers(truth_instances, "true instances"),
        check_fdi(pred_labels, "predicted labels"), whole_numbers(pred_instances, "predicted instances"),
    ]  # fmt: skip
    if any(array.shape != (len(vertices),) for array in given):
        found = [array.shape for array in given]
        raise LabelError(f"expected {len(vertices)} labels and instances, one per vertex, got {found}")
    known = given[0] >= 0
    vertices, given = vertices[known], [array[known] for array in given]
    # 1. Instances of ground truth and prediction.
    true, pred = _teeth(vertices, *given[:2]), _teeth(vertices, *given[2:])
    if ((true.member < 0) & (given[1] > 0)).any():
        raise LabelError("expected one label in each true tooth instance, found several: correct the label file")
    teeth = len(true.labels)
    if teeth == 0:
        return None
    # 2. Match them by centroid.
    rows, columns = linear_sum_assignment(np.linalg.norm(true.centroids[:, None] - pred.centroids[None], axis=2))
    offset = true.centroids[rows] - pred.centroids[columns]
    distance = np.linalg.norm(offset / np.maximum(true.sizes[rows], _LEAST_SIZE), axis=1)
    # 3. The parts of both scores.
    missed = np.setdiff1d(np.arange(teeth), rows)
    identified = int(((distance < THRESHOLD) & (true.labels[rows] == pred.labels[columns])).sum())
    lost = PENALTY * np.linalg.norm(true.sizes[missed], axis=1).sum()
    return {
        CHALLENGE_CODE: _parts(
            tla=(distance.sum() + lost) / teeth,
            tsa=((true.member >= 0) == (pred.member >= 0)).mean(),
            tir=identified / max(len(rows), 1),
        ),
        CHALLENGE_DOCUMENTED: _parts(
            tla=(distance.sum() + PENALTY * len(missed)) / teeth,
            tsa=_pair_f1(true, pred, rows, columns).sum() / teeth,
            tir=identified / teeth,
        ),
    }
