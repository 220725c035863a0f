"""Tooth numbers as other systems write them, and which system an array is likely to use."""

from __future__ import annotations

import numpy as np

from toothgraph.errors import LabelError
from toothgraph.mesh.numbering import UNKNOWN, UNKNOWN_JAW, UPPER, is_permanent

# Universal numbers 1 … 32 in order: along the upper jaw from the patient's right, back along the lower jaw.
_UNIVERSAL = np.array([*range(18, 10, -1), *range(21, 29), *range(38, 30, -1), *range(41, 49)])
# 1 … 14 along a jaw without wisdom teeth.
_ARCH14 = {
    True: np.array([*range(17, 10, -1), *range(21, 28)]),  # upper: from the patient's right
    False: np.array([*range(37, 30, -1), *range(41, 48)]),  # lower: from the patient's left
}


def guess_numbering(numbers: np.ndarray, name: str = "") -> str:
    """The system a set of labels is taken for. The first of these that holds:

    1. ``universal`` or ``fdi``, if the array's name says so
    2. ``fdi``, if every number is 0, -1 or a permanent tooth in FDI, or if none is below 11 and one below 17
    3. ``arch14``, if no number is above 14
    4. ``universal``, if none is above 32
    5. ``none``, if one is below 10: such numbers count clusters, not teeth
    6. ``fdi``: the numbers that are no teeth then count as unknown
    """
    for system in ("universal", "fdi"):
        if system in name.lower():
            return system
    there = np.unique(numbers[numbers > 0])
    if is_permanent(there).all() or 11 <= there.min() <= 16:
        return "fdi"
    if there.max() <= 32:
        return "arch14" if there.max() <= 14 else "universal"
    return "none" if there.min() < 10 else "fdi"


def to_fdi(numbers: np.ndarray, numbering: str, jaw: int) -> np.ndarray:
    """Labels of another system as FDI numbers; 0 stays gingiva, and what is no tooth there becomes -1.

    Args:
        numbers: [N] int64.
        numbering: ``fdi``, ``universal`` or ``arch14``.
        jaw: 0 upper, 1 lower; ``arch14`` needs it.

    Raises:
        LabelError: for another numbering, or for ``arch14`` where the jaw is unknown.
    """
    if numbering == "fdi":
        return numbers
    if numbering not in ("universal", "arch14"):
        raise LabelError(f"expected a numbering of fdi, universal or arch14, got {numbering!r}")
    if numbering == "arch14" and jaw == UNKNOWN_JAW:
        raise LabelError(
            "expected to know the jaw along which the labels count 1 to 14; put `upper` or `lower` into the scan's "
            "name, or say which jaw it is"
        )
    teeth = _UNIVERSAL if numbering == "universal" else _ARCH14[jaw == UPPER]
    inside = (numbers >= 1) & (numbers <= len(teeth))
    return np.where(inside, teeth[np.where(inside, numbers, 1) - 1], np.where(numbers == 0, 0, UNKNOWN))
