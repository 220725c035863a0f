"""Scores of a labelled scan against the truth: per scan, over classes; then the mean over scans."""

from toothgraph.metrics.challenge import challenge_scores, instances_of
from toothgraph.metrics.score import score_scan, summarise
from toothgraph.metrics.segmentation import (
    boundary_faces,
    class_scores,
    confusion,
    label_change_edges,
    matched_iou,
    per_tooth,
    segmentation_scores,
    surface_scores,
)

__all__ = [
    "boundary_faces",
    "challenge_scores",
    "class_scores",
    "confusion",
    "instances_of",
    "label_change_edges",
    "matched_iou",
    "per_tooth",
    "score_scan",
    "segmentation_scores",
    "summarise",
    "surface_scores",
]
