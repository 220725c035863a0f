"""Which values the options of a training run may have.

This is not in the module of the options, so that values can be checked before torch is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from toothgraph.config import check_choices
from toothgraph.errors import ConfigError

_AT_LEAST_1 = (
    *("steps", "epochs", "batch", "variants", "devices", "nodes", "accumulate"),
    *("checkpoint_every", "validate_every", "log_every", "crown_steps", "rounds"),
)
_AT_LEAST_0 = ("seed", "workers", "bases", "weight_decay", "clip", "dice_weight", "exclude_radius", "boundary_weight")
_ABOVE_0 = ("lr", "temperature", "backbone_rate")
_SHARES = ("val_fraction", "label_fraction", "label_smoothing", "jaw_dropout")
_RANGES: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (_AT_LEAST_1, lambda value: value >= 1, "at least 1"),
    (_AT_LEAST_0, lambda value: 0 <= value < math.inf, "at least 0"),
    (_ABOVE_0, lambda value: 0 < value < math.inf, "above 0"),
    (("seed",), lambda value: value < 2**63, f"at most {2**63 - 1}"),  # the largest that torch accepts
    (("label_fraction",), lambda value: value != 0, "above 0 and up to 1"),
    (_SHARES, lambda value: 0 <= value <= 1, "0 to 1"),
    (("average",), lambda value: 0 <= value < 1, "at least 0 and below 1"),
)
_CHOICES = {
    "optimizer": ("adamw", "adam", "sgd"),
    "schedule": ("warmup", "cosine", "decay"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "precision": ("32", "bf16", "16"),
    "negatives": ("scan", "batch"),
    "crowns": ("adapt", "keep", "train"),
}


def check_values(values: Mapping[str, Any]) -> None:
    """Raise an error for values that would stop a run later, when scans are read and training has begun.

    Args:
        values: options by name. None stands for an option that is not set. A value of the wrong type is not checked
            here, but in :func:`toothgraph.config.updated`.

    Raises:
        ConfigError: for a number out of its range, or a word that is not a choice of its option.
    """
    for names, fits, wanted in _RANGES:
        for name in names:
            value = values.get(name)
            if isinstance(value, int | float) and not fits(value):
                raise ConfigError(f"expected {name} of {wanted}, got {value}")
    check_choices({name: value for name, value in values.items() if isinstance(value, str)}, _CHOICES, "")
