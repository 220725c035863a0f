"""Everything about one scan in a row, and the mean of many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toothgraph.errors import DataError
from toothgraph.fields import CHALLENGE_CODE, CHALLENGE_DOCUMENTED, CHALLENGE_PARTS, METRICS
from toothgraph.metrics.challenge import challenge_scores, instances_of
from toothgraph.metrics.segmentation import surface_scores


def score_scan(
    vertices: np.ndarray,
    faces: np.ndarray,
    truth_faces: np.ndarray,
    pred_faces: np.ndarray,
    truth_vertices: np.ndarray,
    pred_vertices: np.ndarray,
    jaw: int,
) -> dict[str, Any]:
    """Every score of one scan, by the keys of :data:`toothgraph.fields.METRICS`.

    Args:
        vertices: [V0, 3] mm, all original vertices.
        faces: [F0, m] original faces; rows of fewer than m corners are filled with -1.
        truth_faces: [F0] FDI numbers, 0 gingiva, -1 unknown.
        pred_faces: [F0] FDI numbers.
        truth_vertices: [V0] FDI numbers, 0 gingiva, -1 unknown; one tooth instance per number.
        pred_vertices: [V0] FDI numbers, likewise.
        jaw: 0 upper, 1 lower; -1 takes the jaw of the true teeth.

    Returns:
        The six face scores, each a number or None, and the two challenge dictionaries, each four numbers, or
        None for a scan without true teeth. Ready for JSON.

    Raises:
        LabelError: if shapes differ, or the truth numbers teeth of the other jaw.
    """
    row: dict[str, Any] = {**surface_scores(vertices, faces, truth_faces, pred_faces, jaw)}
    challenge = challenge_scores(
        vertices, truth_vertices, instances_of(truth_vertices), pred_vertices, instances_of(pred_vertices)
    )
    return {**row, **(challenge or {CHALLENGE_CODE: None, CHALLENGE_DOCUMENTED: None})}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over scans of every score, a scan's None left out.

    Args:
        rows: from :func:`score_scan`; other keys, such as a scan's name, are passed over.

    Returns:
        The keys of :data:`toothgraph.fields.METRICS`, the challenge's nested as in a row; None where no scan
        has a value.

    Raises:
        DataError: without a row.
    """
    if not rows:
        raise DataError("expected at least one scored scan, got none: check the folder of scans and labels")
    summary: dict[str, Any] = {}
    for key in METRICS:
        values = [row.get(key) for row in rows]
        if key in (CHALLENGE_CODE, CHALLENGE_DOCUMENTED):
            known = [value for value in values if value is not None]
            summary[key] = {part: _mean([value[part] for value in known]) for part in CHALLENGE_PARTS}
        else:
            summary[key] = _mean(values)
    return summary
