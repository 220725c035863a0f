"""Scores of a net on labelled scans: predicted as for a user, then compared with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toothgraph.inference.predict import Prediction
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import JAW_NAMES, jaw_of_labels
from toothgraph.mesh.original import faces_to_original, original_of, vertices_to_original
from toothgraph.metrics import confusion, per_tooth, score_scan, summarise


@dataclass(frozen=True)
class Scored:
    """A scan's row of scores, and the counts that the per-tooth table is made of."""

    row: dict[str, Any]
    confusion: np.ndarray


def score_prediction(mesh: Mesh, prediction: Prediction, seconds: float) -> Scored:
    """Score a prediction on the original faces and vertices.

    Args:
        mesh: with its true labels.
        prediction: for that mesh.
        seconds: what it took, file to labels.
    """
    assert mesh.labels is not None
    original = original_of(mesh)
    truth, predicted = (faces_to_original(mesh, labels) for labels in (mesh.labels, prediction.labels))
    jaw = jaw_of_labels(mesh.labels)
    scores = score_scan(
        original.vertices * original.mm_per_unit,
        original.polygons,
        truth,
        predicted,
        vertices_to_original(mesh, mesh.labels),
        vertices_to_original(mesh, prediction.labels),
        jaw,
    )
    row = {
        "scan_id": mesh.scan_id,
        "file": str(mesh.path),
        "faces": len(original.polygons),
        "jaw": JAW_NAMES[jaw],
        "predicted_jaw": JAW_NAMES[prediction.jaw],
        "seconds": round(seconds, 3),
        **scores,
    }
    return Scored(row, confusion(truth, predicted))


def report(scored: list[Scored]) -> dict[str, Any]:
    """``scores`` (means over scans), ``per_scan`` and ``per_tooth``."""
    rows = [item.row for item in scored]
    return {
        "scores": summarise(rows),
        "per_scan": rows,
        "per_tooth": per_tooth([item.confusion for item in scored]),
    }
