"""Graph transforms: crop, augment, turn, draw two views of a scan, remove teeth, close gaps."""

from toothgraph.transforms.augment import Augmentation, augment
from toothgraph.transforms.close_gap import close_gap
from toothgraph.transforms.crop import crop, cut_region
from toothgraph.transforms.removal import Removal, remove_parts, trimmed, without_teeth
from toothgraph.transforms.rotate import RandomRotate
from toothgraph.transforms.views import ViewOptions, match, spread_candidates, two_views

__all__ = [
    "Augmentation",
    "RandomRotate",
    "Removal",
    "ViewOptions",
    "augment",
    "close_gap",
    "crop",
    "cut_region",
    "match",
    "remove_parts",
    "spread_candidates",
    "trimmed",
    "two_views",
    "without_teeth",
]
