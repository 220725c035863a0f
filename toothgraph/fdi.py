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

Primary (milk) teeth, 51 … 85, have no classes. The nets and the rules use the number of the successor of each instead.
Primary teeth get their own numbers only at the end (``primary`` of :class:`toothgraph.segmentation.Segmentation`).

The *position* of a tooth, 1 … 16, is its class within its jaw: FDI 11 and 31 share position 1, FDI 21 and 41
share position 9. Seen from the occlusal side, the positions run in the same direction in both jaws.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np

from toothgraph.errors import ConfigError, LabelError, ShapeError, some_of

UPPER, LOWER, UNKNOWN_JAW = 0, 1, -1
JAW_NAMES = {UPPER: "upper", LOWER: "lower", UNKNOWN_JAW: "unknown"}

FDI_OF_CLASS = np.array([0] + [10 * quadrant + tooth for quadrant in (1, 2, 3, 4) for tooth in range(1, 9)])
NUM_CLASSES = len(FDI_OF_CLASS)  # 33
NUM_POSITIONS = 17  # gingiva and 16 teeth of one jaw
UNKNOWN = -1

# In the order of a dental chart: from the patient's right to the left, upper teeth, then lower teeth.
CHART = [10 * quadrant + tooth for quadrant, teeth in ((1, range(8, 0, -1)), (2, range(1, 9)), (4, range(8, 0, -1)),
         (3, range(1, 9))) for tooth in teeth]  # fmt: skip

_CLASS_OF_FDI = np.full(100, UNKNOWN)
_CLASS_OF_FDI[FDI_OF_CLASS] = np.arange(NUM_CLASSES)


TO_PRIMARY = 40  # the number of a primary tooth minus the number of its successor
PRIMARY_TEETH = np.array([10 * quadrant + tooth for quadrant in (5, 6, 7, 8) for tooth in range(1, 6)])

# Whether each number from -2 to 99 may be a label; -2 may not.
_KNOWN = np.isin(np.arange(-2, 100), [UNKNOWN, *FDI_OF_CLASS, *PRIMARY_TEETH])

_KINDS = ("central incisor", "lateral incisor", "canine", "first premolar", "second premolar", "first molar",
          "second molar", "third molar")  # fmt: skip
_PRIMARY_KINDS = ("primary central incisor", "primary lateral incisor", "primary canine", "first primary molar",
                  "second primary molar")  # fmt: skip
_QUADRANTS = ("upper right", "upper left", "lower left", "lower right")


def tooth_name(fdi: int) -> str:
    """The name of a tooth: 16 is ``upper right first molar``, 55 ``upper right second primary molar``.

    Raises:
        ValueError: for a number that is not a tooth.

    Example:
        >>> tooth_name(36)
        'lower left first molar'
    """
    if not is_tooth(fdi):
        raise ValueError(
            f"expected the FDI number of a permanent tooth, 11 to 48, or of a primary one, 51 to 85, got {fdi!r}"
        )
    kinds = _PRIMARY_KINDS if fdi > 50 else _KINDS
    return f"{_QUADRANTS[fdi // 10 % 4 - 1]} {kinds[fdi % 10 - 1]}"


def check_jaw(jaw: object) -> None:
    """Refuse anything but a jaw: 0 upper, 1 lower, -1 unknown.

    Raises:
        ShapeError: for anything else.
    """
    if not isinstance(jaw, Integral) or isinstance(jaw, bool) or jaw not in JAW_NAMES:
        raise ShapeError(f"expected a jaw of 0 upper, 1 lower or -1 unknown, got {jaw!r}")


def is_tooth(fdi: int) -> bool:
    """Whether a number is the FDI number of a permanent or a primary tooth."""
    return fdi in FDI_OF_CLASS[1:] or fdi in PRIMARY_TEETH


def named_teeth(name: str, teeth: Any) -> list[int]:
    """The FDI numbers of the permanent teeth that an option names, sorted and without repetition.

    Raises:
        ConfigError: for anything that is not a permanent tooth, and for one number or a text in place of a list.
    """
    if isinstance(teeth, str) or not isinstance(teeth, Collection):
        raise ConfigError(f"expected {name} as a list of FDI numbers, got {teeth!r}; a list of one is [11]")
    known = FDI_OF_CLASS[1:].tolist()
    if strange := {str(each) for each in teeth if not (isinstance(each, Real) and each in known)}:
        raise ConfigError(
            f"expected {name} as FDI numbers of permanent teeth, 11 to 48, got {', '.join(sorted(strange))}"
        )
    return sorted({int(each) for each in teeth})


def is_primary(fdi: np.ndarray) -> np.ndarray:
    """Whether each number is the FDI number of a primary tooth, 51 … 85. Same shape, bool."""
    return np.isin(fdi, PRIMARY_TEETH)


def successors_of(fdi: np.ndarray) -> np.ndarray:
    """FDI numbers with each primary tooth replaced by its successor: 55 becomes 15. Same shape."""
    fdi = np.asarray(fdi)
    return np.where(is_primary(fdi), fdi - TO_PRIMARY, fdi)


def in_chart_order(numbers: Iterable[int]) -> list[int]:
    """The numbers in the order of a dental chart, each once.

    Numbers that are not permanent teeth come last, sorted. For rows with primary teeth, see :func:`in_row_order`.

    Example:
        >>> in_chart_order([21, 11, 12, 22, 21])  # from the patient's right to the left
        [12, 11, 21, 22]
    """
    place = {fdi: index for index, fdi in enumerate(CHART)}
    return sorted({int(number) for number in numbers}, key=lambda number: (place.get(number, len(place)), number))


def in_row_order(numbers: Iterable[int]) -> list[int]:
    """The numbers of teeth from the patient's right to the left, primary teeth in the places of their successors."""
    place = {fdi: index for index, fdi in enumerate(CHART)}
    return sorted(
        {int(number) for number in numbers}, key=lambda number: (place[number - TO_PRIMARY * (number > 50)], number)
    )


def are_whole(numbers: np.ndarray) -> np.ndarray:
    """Whether each number is finite and whole. Same shape, bool."""
    whole: np.ndarray = np.isfinite(numbers) & (numbers == np.rint(numbers))
    return whole


def whole_numbers(numbers: object, whose: str = "labels", where: str = "") -> np.ndarray:
    """The numbers as an array of integers, same shape; whole floats, which NumPy reads from files, are converted.

    Args:
        numbers: FDI numbers or class indices.
        whose: what the numbers are, for the message.
        where: the scan or file that they are from, for the message.

    Raises:
        LabelError: for numbers that are not whole, or anything that is not a number.
    """
    given = np.asarray(numbers)
    if given.dtype.kind in "iu":
        return given
    if given.dtype.kind in "bf" and (whole := are_whole(given)).all():
        return given.astype(np.int64)
    found = f"{given[~whole][0]:g}" if given.dtype.kind == "f" else f"{given.dtype}"
    raise LabelError(f"{where}{': ' * bool(where)}expected {whose} as whole numbers, found {found}; -1 is unknown")


def is_permanent(fdi: np.ndarray) -> np.ndarray:
    """Whether each number is 0 (gingiva) or a permanent tooth. Shape of ``fdi``, bool.

    Raises:
        LabelError: for numbers that are not whole, or anything that is not a number.
    """
    fdi = whole_numbers(fdi)
    inside = (fdi >= 0) & (fdi < 100)
    return inside & (_CLASS_OF_FDI[np.where(inside, fdi, 1)] != UNKNOWN)


def fdi_to_class(fdi: np.ndarray) -> np.ndarray:
    """Convert FDI numbers to class indices, same shape. Anything but 0 and the permanent teeth becomes -1.

    Raises:
        LabelError: for numbers that are not whole, or anything that is not a number.

    Example:
        >>> fdi_to_class(np.array([0, 11, 21, 31, 48, 55, -1])).tolist()  # 55 is a primary tooth
        [0, 1, 9, 17, 32, -1, -1]
    """
    fdi = whole_numbers(fdi)
    return np.where(is_permanent(fdi), _CLASS_OF_FDI[np.clip(fdi, 0, 99)], UNKNOWN)


def check_fdi(numbers: np.ndarray, whose: str = "labels", where: str = "") -> np.ndarray:
    """Refuse anything but FDI numbers: 0, -1 for unknown, and the permanent and primary teeth.

    Args:
        numbers: any shape; whole floats are accepted.
        whose: what the numbers are, for the message.
        where: the scan or file that they are from, for the message.

    Returns:
        The same numbers as integers.

    Raises:
        LabelError: for anything else.
    """
    numbers = whole_numbers(numbers, whose, where)
    known = _KNOWN[np.clip(numbers, -2, len(_KNOWN) - 3).astype(np.int64) + 2]
    if not known.all():
        found = np.unique(numbers[~known]).tolist()
        raise LabelError(
            f"{where}{': ' * bool(where)}expected {whose} as FDI numbers, 11 to 48 or 51 to 85, 0 for gingiva or -1 "
            f"for unknown, found {some_of(found)}; "
            "toothgraph.fdi.class_to_fdi makes them of class indices, 1 to 32; labels of your own, such as 0 and 1, go "
            "into a graph: graph = face_graph(mesh.with_labels(None)), then graph.y"
        )
    return numbers


def check_classes(index: np.ndarray, whose: str = "classes") -> None:
    """Refuse numbers that are not class indices.

    Refused are numbers above 32 and booleans. The FDI numbers of an upper jaw, 11 to 28, are refused, too, if at least
    two of them are below 17 and two are not: as class indices, these would be teeth of both jaws.

    Args:
        index: class indices of one scan, any shape.
        whose: what the numbers are, for the message.

    Raises:
        ShapeError: for such numbers.
    """
    index = np.asarray(index)
    wanted = f"expected {whose} as class indices, 0 to {NUM_CLASSES - 1}, or -1 for unknown"
    if index.dtype == bool:
        raise ShapeError(f"{wanted}, got booleans")
    found = np.unique(index[index > 0])
    right, left = found[found < 17], found[found >= 17]  # by FDI; as classes, they are of both jaws, as no scan has
    of_fdi = min(len(right), len(left)) >= 2 and bool(np.isin(found, FDI_OF_CLASS[1:17]).all())
    if of_fdi or (len(found) and found[-1] >= NUM_CLASSES):
        raise ShapeError(
            f"{wanted}, got {found.tolist()}, as of FDI numbers; toothgraph.fdi.fdi_to_class makes classes of them"
        )


def class_to_fdi(index: np.ndarray) -> np.ndarray:
    """Convert class indices to FDI numbers, same shape; -1 stays -1.

    Raises:
        ShapeError: for numbers that are not classes.
        LabelError: for numbers that are not whole, or anything that is not a number.

    Example:
        >>> class_to_fdi(np.array([0, 1, 9, 17, 32, -1])).tolist()
        [0, 11, 21, 31, 48, -1]
    """
    index = whole_numbers(index, "classes")
    if index.size and index.max() >= NUM_CLASSES:
        check_classes(index)
    return np.where(index >= 0, FDI_OF_CLASS[np.clip(index, 0, NUM_CLASSES - 1)], UNKNOWN)


def jaw_of_labels(fdi: np.ndarray) -> int:
    """The jaw of most faces that are labelled as teeth, from FDI numbers [N]; ``UNKNOWN_JAW`` without such faces.

    Milk teeth do not count, because training does not use them; :func:`jaw_of_teeth` counts them.

    Example:
        >>> jaw_of_labels(np.array([0, 31, 32, 11]))
        1
    """
    fdi = np.asarray(fdi)
    jaw = np.where(is_primary(fdi), UNKNOWN_JAW, jaw_of_each(fdi))
    upper, lower = (int((jaw == side).sum()) for side in (UPPER, LOWER))
    if upper == lower == 0:
        return UNKNOWN_JAW
    return UPPER if upper >= lower else LOWER


def jaw_of_teeth(fdi: np.ndarray) -> int:
    """The jaw of most faces that are labelled as permanent or milk teeth, from FDI numbers [N].

    Example:
        >>> jaw_of_teeth(np.array([0, 71, 72]))
        1
    """
    return jaw_of_labels(successors_of(fdi))


def jaw_of_each(fdi: np.ndarray) -> np.ndarray:
    """The jaw of each FDI number: 0 upper, 1 lower, -1 for no tooth. Same shape; primary teeth count, too."""
    fdi = successors_of(fdi)
    upper, lower = (fdi >= 11) & (fdi <= 28), (fdi >= 31) & (fdi <= 48)
    return np.where(upper, UPPER, np.where(lower, LOWER, UNKNOWN_JAW))


def classes_of_jaw(jaw: int) -> np.ndarray:
    """The 17 class indices of one jaw, gingiva first; all 33 when the jaw is unknown.

    Raises:
        ShapeError: for anything but 0 upper, 1 lower, -1 unknown.
    """
    check_jaw(jaw)
    if jaw == UNKNOWN_JAW:
        return np.arange(NUM_CLASSES)
    return np.concatenate([[0], np.arange(1, 17) + (16 if jaw == LOWER else 0)])


def class_to_position(index: np.ndarray) -> np.ndarray:
    """Convert class indices to positions 1 … 16 within their jaw, same shape; 0 for gingiva and unknown.

    Example:
        >>> class_to_position(fdi_to_class(np.array([11, 21, 31, 41, 0]))).tolist()
        [1, 9, 1, 9, 0]
    """
    index = np.asarray(index)
    return np.where(index > 0, (index - 1) % 16 + 1, 0).astype(np.int64)  # uint8 has no negative numbers


def mirror_classes() -> np.ndarray:
    """For each class, the class index of the same tooth on the other side (quadrants 1↔2, 3↔4). Shape [33].

    Example:
        >>> int(mirror_classes()[fdi_to_class(11)]) == int(fdi_to_class(21))
        True
    """
    quadrant, tooth = np.divmod(FDI_OF_CLASS, 10)
    swapped = np.array([0, 2, 1, 4, 3])[quadrant]
    return fdi_to_class(10 * swapped + tooth)
