"""All scores of one scan as a row, and the mean of many rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from toothgraph.errors import DataError
from toothgraph.fdi import UNKNOWN, check_fdi, is_primary
from toothgraph.metrics.challenge import challenge_scores, one_instance_per_number
from toothgraph.metrics.classes import confusion, number_scores, surface_scores
from toothgraph.metrics.definitions import CHALLENGE_CODE, CHALLENGE_DOCUMENTED, CHALLENGE_PARTS, METRICS


def score_scan(
    vertices: np.ndarray,
    faces: np.ndarray,
    truth_faces: np.ndarray,
    pred_faces: np.ndarray,
    truth_vertices: np.ndarray,
    pred_vertices: np.ndarray,
    jaw: int,
) -> dict[str, Any]:
    """All scores of one scan; the keys are :data:`toothgraph.metrics.definitions.METRICS`.

    Args:
        vertices: [V0, 3] mm, all original vertices.
        faces: [F0, m] original faces; short rows are filled with -1.
        truth_faces: [F0] FDI numbers, 0 gingiva, -1 unknown; primary teeth count as unknown, here and on vertices.
        pred_faces: [F0] FDI numbers.
        truth_vertices: [V0] FDI numbers, 0 gingiva, -1 unknown; one tooth instance per number.
        pred_vertices: [V0] FDI numbers; one tooth instance per number.
        jaw: 0 upper, 1 lower; -1 means the jaw of the true teeth.

    Returns:
        Nine face scores (each a number or None) and two challenge dictionaries (each four numbers, or None for a scan
        without true teeth). All values can be written as JSON.

    Raises:
        LabelError: if shapes differ, most true teeth belong to the other jaw, or labels are not FDI numbers.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> at_vertices = np.zeros(len(arch.vertices), dtype=int)
        >>> at_vertices[arch.faces] = arch.labels[:, None]
        >>> row = score_scan(arch.vertices, arch.faces, arch.labels, arch.labels, at_vertices, at_vertices, jaw=0)
        >>> row["miou"], row["numbers_right"], row["challenge_code"]["score"]
        (1.0, 1.0, 1.0)
    """
    row: dict[str, Any] = {
        **surface_scores(vertices, faces, truth_faces, pred_faces, jaw),
        **number_scores(confusion(truth_faces, pred_faces)),
    }
    truth_vertices = check_fdi(truth_vertices, "true labels of vertices")
    truth_vertices = np.where(is_primary(truth_vertices), UNKNOWN, truth_vertices)
    challenge = challenge_scores(
        vertices,
        truth_vertices,
        one_instance_per_number(truth_vertices),
        pred_vertices,
        one_instance_per_number(pred_vertices),
    )
    return {**row, **(challenge or {CHALLENGE_CODE: None, CHALLENGE_DOCUMENTED: None})}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def summarise(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of each score over scans; values of None are ignored.

    Args:
        rows: from :func:`score_scan`; other keys, such as the name of a scan, are ignored.

    Returns:
        The keys of :data:`toothgraph.metrics.definitions.METRICS`; challenge scores are nested as in a row. None if no
        scan has a value.

    Raises:
        DataError: if there are no rows.

    Example:
        >>> summary = summarise([{"miou": 0.9}, {"miou": 0.7}, {"miou": None}])
        >>> round(summary["miou"], 3), summary["dice"]
        (0.8, None)
    """
    rows = list(rows)
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
