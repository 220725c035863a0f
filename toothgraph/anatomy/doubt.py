"""A warning to review: what it is about, which teeth it names, and what of it is still true of teeth renumbered since.

Where warnings are found: :mod:`toothgraph.report.doubts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toothgraph.anatomy.tooth_text import ToothText, tooth_text
from toothgraph.fdi import JAW_NAMES, UNKNOWN_JAW, jaw_of_each

# The kinds: of all labels, which cannot be trusted then; …
STRONG = JOINED, FEW_TEETH, TWO_ARCHES, WHICH_JAW, JAW, UNSURE_SCAN = (
    "joined", "few_teeth", "two_arches", "which_jaw", "jaw", "unsure_scan",
)  # fmt: skip
# … of the scan; …
OF_SCAN = BOTH_JAWS, CUT, INSIDE_OUT, CLOSED = "both_jaws", "cut", "inside_out", "closed"
# … of the shape of teeth, whatever their numbers; …
OF_SHAPE = POST, STUMP, PART, DOUBLE, BRACKETS = "post", "stump", "part", "double", "brackets"
# … of the number of each tooth; of several numbers together; …
OF_NUMBER = UNSURE, MILK = "unsure", "milk"
OF_NUMBERS = OTHER_NUMBERS, IMPOSSIBLE = "other_numbers", "impossible"
# … a sentence of which nothing else is known, and one that was said of teeth before they got other numbers.
PLAIN, FORMER = "", "former"


@dataclass(frozen=True)
class Doubt:
    """A warning to review; ``str()`` of it is the sentence.

    Attributes:
        kind: what it is about, one of those above.
        text: how it is said, with the teeth in it.
        jaw: 0 upper, 1 lower, of a file with both jaws, if it concerns one of them; else -1.

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
        """Its sentence in pieces, see :attr:`toothgraph.anatomy.tooth_text.ToothText.flat`."""
        return [*([] if self.jaw == UNKNOWN_JAW else [f"{JAW_NAMES[self.jaw]} jaw: "]), *self.text.flat]

    @property
    def strong(self) -> bool:
        """Whether it concerns all labels of a scan."""
        return self.kind in STRONG


def as_doubt(doubt: Doubt | str) -> Doubt:
    """A warning, also from a sentence of which nothing else is known: its numbers are text."""
    return doubt if isinstance(doubt, Doubt) else Doubt.of(PLAIN, doubt)


def part_of_tooth(fdi: int, share: float | None = None) -> Doubt:
    """That a tooth shows a share of its usual area; None if the share is not known."""
    usual = "less than the usual area" if share is None else f"{share:.0%} of the usual area"
    return Doubt.of(PART, [fdi], f" shows {usual}: is it erupting, broken, or no tooth?")


def two_in_one(fdi: int, times: float | None = None) -> Doubt:
    """That a tooth is some times as wide as usual; None if it is not known how many."""
    usual = "wider than usual" if times is None else f"{times:.1f} times as wide as usual"
    return Doubt.of(DOUBLE, [fdi], f" is {usual}: are these two teeth?")


def renumbered(doubts: Iterable[Doubt], numbers: Mapping[int, int]) -> list[Doubt]:
    """The warnings that are still true when a person has given teeth other numbers.

    What is said of the shape of a tooth goes along to its new number. What is said of a number, or of how sure the
    model is of it, is gone where a person has changed it, and so is what is said of two teeth that are one now. A
    sentence of which nothing else is known may name teeth: it stays, and says that it is of the former numbers.

    Args:
        doubts: warnings.
        numbers: former to new number of each tooth.

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
    """A warning of single teeth, of those of which it is still true; none if there are none."""

    def now(fdi: int) -> int | None:
        own = numbers.get(fdi, fdi)
        return None if own <= 0 or own in joined or (doubt.kind in OF_NUMBER and own != fdi) else own

    after = doubt.text.with_teeth(now)
    if not after.teeth:
        return []
    if doubt.kind in (PART, DOUBLE) and doubt.text.teeth[0] % 10 != after.teeth[0] % 10:  # of another usual size
        after = (part_of_tooth if doubt.kind == PART else two_in_one)(after.teeth[0]).text
    return [replace(doubt, text=after)]
