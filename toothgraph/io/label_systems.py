"""Other tooth numbering systems, and a guess of the system that an array uses."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from toothgraph.choices import is_own
from toothgraph.errors import LabelError, some_of
from toothgraph.fdi import UNKNOWN, UNKNOWN_JAW, UPPER, check_fdi, is_permanent, is_tooth
from toothgraph.io.numbering import load_numbering

# Universal numbers 1 … 32 in order: upper jaw from the patient's right, then back along the lower jaw.
_UNIVERSAL = np.array([*range(18, 10, -1), *range(21, 29), *range(38, 30, -1), *range(41, 49)])
# The Universal letters A … T for primary teeth, in the same order; here they are numbers LETTER + 1 … LETTER + 20.
_UNIVERSAL_PRIMARY = np.array([*range(55, 50, -1), *range(61, 66), *range(75, 70, -1), *range(81, 86)])
LETTER = 100
_PALMER = ("UR", "UL", "LL", "LR")
# 1 … 14 along a jaw without wisdom teeth.
_ARCH14 = {
    True: np.array([*range(17, 10, -1), *range(21, 28)]),  # upper: from the patient's right
    False: np.array([*range(37, 30, -1), *range(41, 48)]),  # lower: from the patient's left
}

_log = logging.getLogger("toothgraph")
_FEW = 3  # different labels: so few are more often classes of another kind than teeth
_QUADRANT = 8  # teeth; labels that count from 1 to at most 8 may be kinds of teeth


def to_universal(fdi: np.ndarray) -> np.ndarray:
    """FDI numbers [N] as Universal numbers [N], 1 … 32.

    The letters of primary teeth become ``LETTER + 1`` … ``LETTER + 20``; gingiva and unknown stay 0 and -1.

    Raises:
        LabelError: if a number is no FDI number.

    Example:
        >>> to_universal(np.array([18, 11, 38, 0, -1])).tolist()
        [1, 8, 17, 0, -1]
    """
    numbers = np.zeros(100, dtype=np.int64)
    numbers[_UNIVERSAL] = np.arange(1, len(_UNIVERSAL) + 1)
    numbers[_UNIVERSAL_PRIMARY] = LETTER + np.arange(1, len(_UNIVERSAL_PRIMARY) + 1)
    fdi = check_fdi(fdi)
    return np.where(fdi > 0, numbers[fdi], fdi)


def guess_system(numbers: np.ndarray, name: str = "") -> str:
    """The label system that labels [N] probably use. The first rule that applies decides:

    1. ``universal`` or ``fdi``, if this word is part of the array's name
    2. ``fdi``, if every number is 0, -1 or a permanent tooth in FDI, or if the smallest tooth number is 11 to 16
    3. ``unsure``, if no number is above 14, and there are at most three different numbers, or they count from 1 to at
       most 8: these may be a quadrant in ``arch14``, or classes of another kind, such as tooth and margin
    4. ``arch14``, if no number is above 14
    5. ``universal``, if no number is above 32
    6. ``none``, if a number is below 10: these are clusters, not teeth
    7. ``fdi``: numbers that are not teeth then count as unknown

    Example:
        >>> guess_system(np.array([0, 11, 12])), guess_system(np.array([0, 8, 17])), guess_system(np.arange(15))
        ('fdi', 'universal', 'arch14')
        >>> guess_system(np.array([0, 1, 2]))
        'unsure'
    """
    if told := system_by_name(name):
        return told
    there = np.unique(numbers[numbers > 0])
    if is_permanent(there).all() or 11 <= there.min() <= 16:
        return "fdi"
    if there.max() <= 14 and (len(there) <= _FEW or there.max() == len(there) <= _QUADRANT):
        return "unsure"
    if there.max() <= 32:
        return "arch14" if there.max() <= 14 else "universal"
    return "none" if there.min() < 10 else "fdi"


def system_by_name(name: str) -> str:
    """The label system that the name of an array tells, such as ``universal`` for ``UniversalID``; empty if none."""
    return next((system for system in ("universal", "fdi") if system in name.lower()), "")


def told_apart(guessed: Iterable[tuple[str, str]]) -> str:
    """Which scans look like which label system, in words; empty if all look like the same system.

    A scan without the teeth that are typical of its label system may be taken for another system.

    Args:
        guessed: the name and label system of each scan; the system is empty if it was not guessed, see
            :func:`guess_system`.

    Example:
        >>> told_apart([("007_U", "arch14"), ("007_L", "universal"), ("008_L", "universal")])
        'like arch14 in 007_U and like universal in 007_L, 008_L'
    """
    scans: dict[str, list[str]] = defaultdict(list)
    for name, system in guessed:
        if system:
            scans[system].append(name)
    if len(scans) < 2:
        return ""
    return " and ".join(f"like {system} in {some_of(sorted(names))}" for system, names in scans.items())


def warn_of_several_systems(guessed: Iterable[tuple[str, str]]) -> None:
    """Warn if the labels of a set of scans look like several label systems, see :func:`told_apart`."""
    if like := told_apart(guessed):
        _log.warning(
            "the numbers of the labels look %s; if all scans have one label system, some labels are read wrongly: name "
            "it with --label-system (in Python label_system=)", like,
        )  # fmt: skip


def to_fdi(numbers: np.ndarray, label_system: str, jaw: int) -> np.ndarray:
    """Labels of another system as FDI numbers. Numbers that are neither a tooth nor gingiva become -1.

    Gingiva is 0, and in the Universal system also 33, which some programs use. Labels that are ``fdi`` are not changed.

    Args:
        numbers: [N] int64.
        label_system: ``fdi``, ``universal``, ``arch14`` or ``FILE:SET``, see
            :func:`toothgraph.io.numbering.load_numbering`.
        jaw: 0 upper, 1 lower; needed for ``arch14``, and for a ``FILE:SET`` that gives a number to different teeth in
            the two jaws.

    Returns:
        [N] int64.

    Raises:
        LabelError: for an unknown label system, or if the jaw is needed and unknown.
        ConfigError: if the file of ``FILE:SET`` cannot be read.

    Example:
        >>> to_fdi(np.array([0, 3, 19]), "universal", jaw=-1).tolist()
        [0, 16, 36]
        >>> to_fdi(np.array([0, 1, 14]), "arch14", jaw=1).tolist()  # of a lower jaw
        [0, 37, 47]
    """
    if label_system == "fdi":
        return numbers
    if is_own(label_system):
        return load_numbering(label_system).to_fdi(numbers, jaw)
    if label_system not in ("universal", "arch14"):
        raise LabelError(f"expected a label system of fdi, universal or arch14, got {label_system!r}")
    if label_system == "arch14" and jaw == UNKNOWN_JAW:
        raise LabelError(
            "labels from 1 to 14 (arch14) need a known jaw, found none; put `upper` or `lower` into the scan's name, "
            "or say which jaw it is"
        )
    teeth = _UNIVERSAL if label_system == "universal" else _ARCH14[jaw == UPPER]
    inside = (numbers >= 1) & (numbers <= len(teeth))
    gingiva = (numbers == 0) | ((numbers == len(_UNIVERSAL) + 1) & (label_system == "universal"))
    fdi = np.where(inside, teeth[np.where(inside, numbers, 1) - 1], np.where(gingiva, 0, UNKNOWN))
    letter = (numbers > LETTER) & (numbers <= LETTER + 20) & (label_system == "universal")
    return np.where(letter, _UNIVERSAL_PRIMARY[np.where(letter, numbers - LETTER, 1) - 1], fdi)


def number_of_word(word: str) -> float:
    """A label in a text file as a number; the Universal letters ``A`` … ``T`` become ``LETTER + 1`` … ``LETTER + 20``.

    Raises:
        ValueError: if the word is neither a number nor such a letter.
    """
    return LETTER + ord(word) - ord("A") + 1 if len(word) == 1 and "A" <= word <= "T" else float(word)


def universal_name(fdi: int) -> str:
    """The Universal name of a tooth: 16 is ``3``, 55 is ``A``.

    Raises:
        ValueError: for a number that is not a tooth.

    Example:
        >>> universal_name(16), universal_name(55)
        ('3', 'A')
    """
    _check_tooth(fdi)
    if fdi in _UNIVERSAL_PRIMARY:
        return chr(ord("A") + int(np.flatnonzero(fdi == _UNIVERSAL_PRIMARY)[0]))
    return str(int(np.flatnonzero(fdi == _UNIVERSAL)[0]) + 1)


def palmer_name(fdi: int) -> str:
    """The Palmer name of a tooth, with its quadrant as two letters: 16 is ``UR6``, 55 is ``URE``.

    Raises:
        ValueError: for a number that is not a tooth.

    Example:
        >>> palmer_name(16), palmer_name(55)
        ('UR6', 'URE')
    """
    _check_tooth(fdi)
    tooth = fdi % 10
    return f"{_PALMER[fdi // 10 % 4 - 1]}{'ABCDE'[tooth - 1] if fdi > 50 else tooth}"


def _check_tooth(fdi: int) -> None:
    if not is_tooth(fdi):
        raise ValueError(f"expected the FDI number of a tooth, 11 to 48 or 51 to 85, got {fdi}")
