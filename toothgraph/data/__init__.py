"""Scans as training data: reading, splits by patient, augmentation, views, batches."""

from toothgraph.data.augment import Augmentation, augment
from toothgraph.data.loading import LabelledGraphs, StepLoader, StepSampler, ViewPairs, collate, collate_pairs
from toothgraph.data.scans import Scan, prepare_scan, read_scans
from toothgraph.data.seeding import sample_rng
from toothgraph.data.split import Split, load_split, make_split, patient_of
from toothgraph.data.views import ViewOptions, crop, match, spread_candidates, two_views

__all__ = [
    "Augmentation",
    "LabelledGraphs",
    "Scan",
    "Split",
    "StepLoader",
    "StepSampler",
    "ViewOptions",
    "ViewPairs",
    "augment",
    "collate",
    "collate_pairs",
    "crop",
    "load_split",
    "make_split",
    "match",
    "patient_of",
    "prepare_scan",
    "read_scans",
    "sample_rng",
    "spread_candidates",
    "two_views",
]
