"""Scores of predicted labels against the ground truth: per scan over classes, then the mean over scans."""

from toothgraph.metrics.boundary import boundary_faces, label_change_edges
from toothgraph.metrics.challenge import challenge_scores, one_instance_per_number
from toothgraph.metrics.classes import (
    class_scores,
    confusion,
    matched_iou,
    number_scores,
    per_tooth,
    segmentation_scores,
    surface_scores,
)
from toothgraph.metrics.scan import score_scan, summarise

__all__ = [
    "boundary_faces",
    "challenge_scores",
    "class_scores",
    "confusion",
    "label_change_edges",
    "matched_iou",
    "number_scores",
    "one_instance_per_number",
    "per_tooth",
    "score_scan",
    "segmentation_scores",
    "summarise",
    "surface_scores",
]
