"""Tooth numbers (FDI, ISO 3950) and the classes the networks predict.

============  =====================================================
class index   meaning
============  =====================================================
0             gingiva (FDI 0)
1 … 8         FDI 11 … 18, upper right, from the midline backwards
9 … 16        FDI 21 … 28, upper left
17 … 24       FDI 31 … 38, lower left
25 … 32       FDI 41 … 48, lower right
-1            unknown: left out of losses and scores
============  =====================================================

The *position* of a tooth, 1 … 16, is its class within its jaw: FDI 11 and 31 share position 1, 21 and 41
share position 9. Seen from the biting side both jaws run through the positions in the same sense.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

UPPER, LOWER, UNKNOWN_JAW = 0, 1, -1
JAW_NAMES = {UPPER: "upper", LOWER: "lower", UNKNOWN_JAW: "unknown"}

FDI_OF_CLASS = np.array([0] + [10 * quadrant + tooth for quadrant in (1, 2, 3, 4) for tooth in range(1, 9)])
NUM_CLASSES = len(FDI_OF_CLASS)  # 33
NUM_POSITIONS = 17  # gingiva and 16 places in one jaw
UNKNOWN = -1

_CLASS_OF_FDI = np.full(100, UNKNOWN)
_CLASS_OF_FDI[FDI_OF_CLASS] = np.arange(NUM_CLASSES)


def is_permanent(fdi: np.ndarray) -> np.ndarray:
    """Whether each number is 0 (gingiva) or a permanent tooth. Shape of ``fdi``, bool."""
    fdi = np.asarray(fdi)
    inside = (fdi >= 0) & (fdi < 100)
    return inside & (_CLASS_OF_FDI[np.where(inside, fdi, 1)] != UNKNOWN)


def fdi_to_class(fdi: np.ndarray) -> np.ndarray:
    """FDI numbers to class indices; whatever is no permanent tooth and not 0 becomes -1."""
    fdi = np.asarray(fdi)
    return np.where(is_permanent(fdi), _CLASS_OF_FDI[np.clip(fdi, 0, 99)], UNKNOWN)


def class_to_fdi(index: np.ndarray) -> np.ndarray:
    """Class indices to FDI numbers; -1 stays -1."""
    index = np.asarray(index)
    return np.where(index >= 0, FDI_OF_CLASS[np.clip(index, 0, NUM_CLASSES - 1)], UNKNOWN)


def jaw_of_labels(fdi: np.ndarray) -> int:
    """The jaw most labelled faces belong to; ``UNKNOWN_JAW`` when no tooth is labelled."""
    fdi = np.asarray(fdi)
    upper = int(((fdi >= 11) & (fdi <= 28)).sum())
    lower = int(((fdi >= 31) & (fdi <= 48)).sum())
    if upper == lower == 0:
        return UNKNOWN_JAW
    return UPPER if upper >= lower else LOWER


def classes_of_jaw(jaw: int) -> np.ndarray:
    """The 17 class indices of one jaw, gingiva first; all 33 when the jaw is unknown."""
    if jaw == UNKNOWN_JAW:
        return np.arange(NUM_CLASSES)
    return np.concatenate([[0], np.arange(1, 17) + (16 if jaw == LOWER else 0)])


def class_to_position(index: np.ndarray) -> np.ndarray:
    """Class indices to positions 1 … 16 within their jaw; 0 for gingiva and for what is unknown."""
    index = np.asarray(index)
    return np.where(index > 0, (index - 1) % 16 + 1, 0)


def mirror_classes() -> np.ndarray:
    """Class index of the same tooth on the other side (quadrants 1↔2, 3↔4). Shape [33]."""
    quadrant, tooth = np.divmod(FDI_OF_CLASS, 10)
    swapped = np.array([0, 2, 1, 4, 3])[quadrant]
    return fdi_to_class(10 * swapped + tooth)


# A word of its own, or the beginning or end of a camel's hump (`UpperJawScan`), with `jaw` or `arch` behind it.
_JAW_WORD = re.compile(
    r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))(?:(?P<upper>(?i:upper|maxilla(?:ry)?))|(?i:lower|mandib(?:le|ular)))"
    r"(?:[ _-]?(?i:jaw|arch)(?![a-z]))?(?:(?![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
)
_JAW_LETTER = re.compile(
    r"(?<![A-Za-z])(?:(?P<upper>U)|L)(?![A-Za-z])"
    r"|(?:(?<=[0-9][_-])|(?<=[A-Za-z0-9]{2}[_-]))(?:(?P<last>u)|l)$"
)


def jaw_from_name(path: str | Path) -> int:
    """The jaw a file name names, else unknown.

    By a word ``upper``, ``lower``, ``maxilla``, ``maxillary``, ``mandible`` or ``mandibular`` in any case, which may be
    part of a name like ``UpperJawScan``; without such a word by a capital ``U`` or ``L`` of its own, or ``_u`` or
    ``_l`` at the end. So ``007_L.ply`` is lower and ``follower.stl`` says nothing. A name that names both jaws says
    nothing either.
    """
    name = Path(path).stem
    tokens = list(_JAW_WORD.finditer(name)) or list(_JAW_LETTER.finditer(name))
    upper = {any(token.groupdict().values()) for token in tokens}
    if len(upper) != 1:
        return UNKNOWN_JAW
    return UPPER if upper.pop() else LOWER


def without_jaw(name: str) -> str:
    """What is left of a name without any word or letter for a jaw; empty where it says nothing else.

    Letters go even where a word names the jaw, so that ``007_U_upper`` and ``007_L_lower`` leave the same.
    """
    return _JAW_LETTER.sub("", _JAW_WORD.sub("", name)).strip("_- .")
