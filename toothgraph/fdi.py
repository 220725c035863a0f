"""Tooth numbers (FDI, ISO 3950) and the classes the networks predict.

============  =====================================================
class index   meaning
============  =====================================================
0             gingiva (FDI 0)
1 … 8         FDI 11 … 18, upper right, from the midline backwards
9 … 16        FDI 21 … 28, upper left
17 … 24       FDI 31 … 38, lower left
25 … 32       FDI 41 … 48, lower right
-1            unknown: not used in losses and scores
============  =====================================================

The *position* of a tooth, 1 … 16, is its class within its jaw: FDI 11 and 31 share position 1, FDI 21 and 41
share position 9. Seen from the occlusal side, the positions run in the same direction in both jaws.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from toothgraph.errors import ShapeError

UPPER, LOWER, UNKNOWN_JAW = 0, 1, -1
JAW_NAMES = {UPPER: "upper", LOWER: "lower", UNKNOWN_JAW: "unknown"}

FDI_OF_CLASS = np.array([0] + [10 * quadrant + tooth for quadrant in (1, 2, 3, 4) for tooth in range(1, 9)])
NUM_CLASSES = len(FDI_OF_CLASS)  # 33
NUM_POSITIONS = 17  # gingiva and 16 teeth of one jaw
UNKNOWN = -1

# As a chart of teeth is read: from the patient's right to the left, upper teeth, then lower ones.
CHART = [10 * quadrant + tooth for quadrant, teeth in ((1, range(8, 0, -1)), (2, range(1, 9)), (4, range(8, 0, -1)),
         (3, range(1, 9))) for tooth in teeth]  # fmt: skip

_CLASS_OF_FDI = np.full(100, UNKNOWN)
_CLASS_OF_FDI[FDI_OF_CLASS] = np.arange(NUM_CLASSES)


_KINDS = ("central incisor", "lateral incisor", "canine", "first premolar", "second premolar", "first molar",
          "second molar", "third molar")  # fmt: skip
_QUADRANTS = ("upper right", "upper left", "lower left", "lower right")


def tooth_name(fdi: int) -> str:
    """A tooth in words: 16 is ``upper right first molar``.

    Raises:
        ValueError: for a number that is not a permanent tooth.
    """
    if fdi not in FDI_OF_CLASS[1:]:
        raise ValueError(f"expected the FDI number of a permanent tooth, 11 to 48, got {fdi}")
    return f"{_QUADRANTS[fdi // 10 - 1]} {_KINDS[fdi % 10 - 1]}"


def in_chart_order(numbers: Iterable[int]) -> list[int]:
    """Numbers as a chart of teeth has them, each once; what is not a permanent tooth comes last, by size."""
    place = {fdi: index for index, fdi in enumerate(CHART)}
    return sorted({int(number) for number in numbers}, key=lambda number: (place.get(number, len(place)), number))


def is_permanent(fdi: np.ndarray) -> np.ndarray:
    """Whether each number is 0 (gingiva) or a permanent tooth. Shape of ``fdi``, bool."""
    fdi = np.asarray(fdi)
    inside = (fdi >= 0) & (fdi < 100)
    return inside & (_CLASS_OF_FDI[np.where(inside, fdi, 1)] != UNKNOWN)


def fdi_to_class(fdi: np.ndarray) -> np.ndarray:
    """FDI numbers to class indices, same shape. Anything but 0 and the permanent teeth becomes -1."""
    fdi = np.asarray(fdi)
    return np.where(is_permanent(fdi), _CLASS_OF_FDI[np.clip(fdi, 0, 99)], UNKNOWN)


def check_classes(index: np.ndarray, whose: str = "classes") -> None:
    """Refuse what are no class indices: numbers above 32, or the FDI numbers of an upper jaw, which are below.

    Args:
        index: class indices of one scan, any shape.
        whose: what they are, for the message.

    Raises:
        ShapeError: then.
    """
    index = np.asarray(index)
    found = np.unique(index[index > 0])
    right, left = found[found < 17], found[found >= 17]  # of an upper jaw; no scan has classes of both jaws
    of_fdi = min(len(right), len(left)) >= 2 and bool(np.isin(found, FDI_OF_CLASS[1:17]).all())
    if of_fdi or (len(found) and found[-1] >= NUM_CLASSES):
        raise ShapeError(
            f"expected {whose} as class indices, 0 to {NUM_CLASSES - 1}, or -1 for unknown, got {found.tolist()}, as "
            "of FDI numbers; toothgraph.fdi.fdi_to_class makes classes of them"
        )


def class_to_fdi(index: np.ndarray) -> np.ndarray:
    """Class indices to FDI numbers, same shape; -1 stays -1.

    Raises:
        ShapeError: for numbers that are no classes.
    """
    index = np.asarray(index)
    if index.size and index.max() >= NUM_CLASSES:
        check_classes(index)
    return np.where(index >= 0, FDI_OF_CLASS[np.clip(index, 0, NUM_CLASSES - 1)], UNKNOWN)


def jaw_of_labels(fdi: np.ndarray) -> int:
    """The jaw of most labelled faces, from FDI numbers [N]; ``UNKNOWN_JAW`` if no tooth is labelled."""
    jaw = jaw_of_each(fdi)
    upper, lower = (int((jaw == side).sum()) for side in (UPPER, LOWER))
    if upper == lower == 0:
        return UNKNOWN_JAW
    return UPPER if upper >= lower else LOWER


def jaw_of_each(fdi: np.ndarray) -> np.ndarray:
    """The jaw of each FDI number, of permanent and primary teeth: 0 upper, 1 lower, -1 for what is no tooth. Same
    shape."""
    fdi = np.asarray(fdi)
    upper = ((fdi >= 11) & (fdi <= 28)) | ((fdi >= 51) & (fdi <= 65))
    lower = ((fdi >= 31) & (fdi <= 48)) | ((fdi >= 71) & (fdi <= 85))
    return np.where(upper, UPPER, np.where(lower, LOWER, UNKNOWN_JAW))


def classes_of_jaw(jaw: int) -> np.ndarray:
    """The 17 class indices of one jaw, gingiva first; all 33 when the jaw is unknown."""
    if jaw == UNKNOWN_JAW:
        return np.arange(NUM_CLASSES)
    return np.concatenate([[0], np.arange(1, 17) + (16 if jaw == LOWER else 0)])


def class_to_position(index: np.ndarray) -> np.ndarray:
    """Class indices to positions 1 … 16 within their jaw, same shape; 0 for gingiva and unknown."""
    index = np.asarray(index)
    return np.where(index > 0, (index - 1) % 16 + 1, 0)


def mirror_classes() -> np.ndarray:
    """Class index of the same tooth on the other side (quadrants 1↔2, 3↔4). Shape [33]."""
    quadrant, tooth = np.divmod(FDI_OF_CLASS, 10)
    swapped = np.array([0, 2, 1, 4, 3])[quadrant]
    return fdi_to_class(10 * swapped + tooth)
