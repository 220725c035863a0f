"""Graph transforms, each as a function that takes a random generator and as a step of torch_geometric's ``Compose``."""

from toothgraph.transforms.augment import Augment, Augmentation, MirrorArch, augment
from toothgraph.transforms.base import GraphTransform, RandomTransform
from toothgraph.transforms.build import FaceGraph, NeighborTables
from toothgraph.transforms.close_gap import CloseGap, close_gap
from toothgraph.transforms.crop import Subgraph, crop, cut_region
from toothgraph.transforms.removal import (
    CentreSurface,
    Removal,
    RemoveParts,
    RemoveTeeth,
    centred,
    remove_parts,
    trimmed,
    without,
    without_teeth,
)
from toothgraph.transforms.rotate import RandomRotate
from toothgraph.transforms.views import TwoViews, ViewOptions, match, spread_candidates, two_views
from toothgraph.transforms.warp_teeth import Warps, WarpTeeth, warp_teeth

__all__ = [
    "Augment",
    "Augmentation",
    "CentreSurface",
    "CloseGap",
    "FaceGraph",
    "GraphTransform",
    "MirrorArch",
    "NeighborTables",
    "RandomRotate",
    "RandomTransform",
    "Removal",
    "RemoveParts",
    "RemoveTeeth",
    "Subgraph",
    "TwoViews",
    "ViewOptions",
    "WarpTeeth",
    "Warps",
    "augment",
    "centred",
    "close_gap",
    "crop",
    "cut_region",
    "match",
    "remove_parts",
    "spread_candidates",
    "trimmed",
    "two_views",
    "warp_teeth",
    "without",
    "without_teeth",
]
