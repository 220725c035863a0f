"""Scans as training data: reading, split by patient, samples and batches."""

from toothgraph.data.loading import LabelledGraphs, StepLoader, StepSampler, ViewPairs, collate, collate_pairs
from toothgraph.data.scan import Scan, prepare_scan
from toothgraph.data.split import Split, load_split, make_split
from toothgraph.data.training_set import load_training_set, read_scans

__all__ = [
    "LabelledGraphs",
    "Scan",
    "Split",
    "StepLoader",
    "StepSampler",
    "ViewPairs",
    "collate",
    "collate_pairs",
    "load_split",
    "load_training_set",
    "make_split",
    "prepare_scan",
    "read_scans",
]
