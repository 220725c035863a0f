"""Warnings to review: what each is about, which teeth it names, and what stays true after teeth are renumbered.

The module :mod:`toothgraph.report.doubts` finds the warnings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toothgraph.anatomy.tooth_text import ToothText, tooth_text
from toothgraph.fdi import JAW_NAMES, UNKNOWN_JAW, jaw_of_each

# The kinds of warnings. About all labels of a scan, which cannot be trusted then:
STRONG = JOINED, FEW_TEETH, TWO_ARCHES, WHICH_JAW, JAW, UNSURE_SCAN = (
    "joined", "few_teeth", "two_arches", "which_jaw", "jaw", "unsure_scan",
)  # fmt: skip
# About the scan:
OF_SCAN = BOTH_JAWS, CUT, INSIDE_OUT, CLOSED = "both_jaws", "cut", "inside_out", "closed"
# About the shape of teeth, whatever their numbers are:
OF_SHAPE = POST, STUMP, PART, DOUBLE, BRACKETS = "post", "stump", "part", "double", "brackets"
# About the number of each tooth, and about several numbers together:
OF_NUMBER = UNSURE, MILK = "unsure", "milk"
OF_NUMBERS = OTHER_NUMBERS, IMPOSSIBLE = "other_numbers", "impossible"
# A sentence of unknown kind, and such a sentence about teeth before they got other numbers:
PLAIN, FORMER = "", "former"


@dataclass(frozen=True)
class Doubt:
    """A warning to review; ``str()`` of it is the sentence.

    Attributes:
        kind: what it is about, one of the constants of this module.
        text: the sentence, with the teeth that it names.
        jaw: 0 upper, 1 lower, if the file has both jaws and the warning is about one of them; else -1.

    Example:
        >>> doubt = Doubt.of(UNSURE, "review ", [36, 37], ": the model is not sure")
        >>> str(doubt), doubt.text.teeth
        ('review 36, 37: the model is not sure', (36, 37))
    """

    kind: str
    text: ToothText
    jaw: int = UNKNOWN_JAW

    @classmethod
    def of(cls, kind: str, *parts: str | Iterable[int]) -> Doubt:
        """A warning from pieces of text and lists of FDI numbers."""
        return cls(kind, tooth_text(*parts))

    def __str__(self) -> str:
        return "".join(map(str, self.flat))

    @property
    def flat(self) -> list[str | int]:
        """The sentence in pieces, see :attr:`toothgraph.anatomy.tooth_text.ToothText.flat`."""
        return [*([] if self.jaw == UNKNOWN_JAW else [f"{JAW_NAMES[self.jaw]} jaw: "]), *self.text.flat]

    @property
    def strong(self) -> bool:
        """Whether the warning is about all labels of a scan."""
        return self.kind in STRONG


def as_doubt(doubt: Doubt | str) -> Doubt:
    """Turn a sentence into a warning of unknown kind, in which numbers stay text; return a warning unchanged."""
    return doubt if isinstance(doubt, Doubt) else Doubt.of(PLAIN, doubt)


def part_of_tooth(fdi: int, share: float | None = None) -> Doubt:
    """The warning that a tooth shows only a share of its usual area; ``share`` is None if it is not known."""
    usual = "less than the usual area" if share is None else f"{share:.0%} of the usual area"
    return Doubt.of(PART, [fdi], f" shows {usual}: is it erupting, broken, or no tooth?")


def two_in_one(fdi: int, times: float | None = None) -> Doubt:
    """The warning that a tooth is ``times`` as wide as usual; None if the factor is not known."""
    usual = "wider than usual" if times is None else f"{times:.1f} times as wide as usual"
    return Doubt.of(DOUBLE, [fdi], f" is {usual}: are these two teeth?")


def renumbered(doubts: Iterable[Doubt], numbers: Mapping[int, int]) -> list[Doubt]:
    """The warnings that are still true after a person has given teeth other numbers.

    A warning about the shape of a tooth gets the new number of the tooth. A warning about a number, or about how sure
    the model is of it, is dropped if the person has changed the number. Warnings about several numbers together are
    always dropped, and so are those about a tooth that was removed or joined with another tooth. The warning about the
    jaw is dropped if teeth now have numbers of the other jaw. A sentence of unknown kind may name teeth: it stays, with
    a note that it has the former numbers.

    Args:
        doubts: warnings.
        numbers: the new number of each tooth, by its former number.

    Example:
        >>> [str(doubt) for doubt in renumbered([two_in_one(41, 2.2)], {41: 31})]
        ['31 is 2.2 times as wide as usual: are these two teeth?']
    """
    joined = {now for now, times in Counter(numbers.values()).items() if times > 1}
    former, given = (jaw_of_each(np.array([*each], dtype=np.int64)) for each in (numbers, numbers.values()))
    other_jaw = bool(((np.minimum(former, given) != UNKNOWN_JAW) & (former != given)).any())
    kept = []
    for doubt in doubts:
        if doubt.kind in OF_NUMBERS or (other_jaw and doubt.kind == JAW):
            continue
        if doubt.kind in (*STRONG, *OF_SCAN, FORMER):
            kept.append(doubt)
        elif doubt.kind in (*OF_SHAPE, *OF_NUMBER):
            kept += _of_teeth(doubt, numbers, joined)
        else:
            kept.append(
                replace(doubt, kind=FORMER, text=tooth_text("before teeth got other numbers: ", *doubt.text.parts))
            )
    return kept


def _of_teeth(doubt: Doubt, numbers: Mapping[int, int], joined: set[int]) -> list[Doubt]:
    """A warning about single teeth, for the teeth of which it is still true; an empty list if there are none."""

    def now(fdi: int) -> int | None:
        own = numbers.get(fdi, fdi)
        return None if own <= 0 or own in joined or (doubt.kind in OF_NUMBER and own != fdi) else own

    after = doubt.text.with_teeth(now)
    if not after.teeth:
        return []
    if doubt.kind in (PART, DOUBLE) and doubt.text.teeth[0] % 10 != after.teeth[0] % 10:  # another usual size
        after = (part_of_tooth if doubt.kind == PART else two_in_one)(after.teeth[0]).text
    return [replace(doubt, text=after)]
