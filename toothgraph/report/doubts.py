"""Warnings to review: what a person should check in a result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from toothgraph.anatomy.frame import TEETH_NEEDED
from toothgraph.anatomy.odd_crowns import NONE, OddCrowns
from toothgraph.fdi import JAW_NAMES, LOWER, TO_PRIMARY, UNKNOWN_JAW, UPPER
from toothgraph.report.tooth_table import ToothRow
from toothgraph.rules import DEFAULT, ReviewRules

# The FDI number of a tooth in a warning, and no share, length or count.
_TOOTH = re.compile(r"(?<![\w.,])([1-4][1-8]|[5-8][1-5])(?![\w%]|[.,]\d| ?%| mm| times| teeth)")


class OtherNumbers(Protocol):
    """Numbers that teeth may have instead."""

    @property
    def changes(self) -> Sequence[tuple[int, int]]:
        """Pairs of FDI numbers, given and other."""

    @property
    def odds(self) -> float:
        """How much likelier the given ones are."""


def find_doubts(
    teeth: Sequence[ToothRow],
    *,
    other: OtherNumbers | None = None,
    milk_teeth: Sequence[int] = (),
    primary: bool = False,
    inside_out: bool = False,
    two_arches: bool = False,
    joined: bool = False,
    jaw: int = UNKNOWN_JAW,
    jaw_probability: float = 1.0,
    faults: Sequence[str] = (),
    crowns: OddCrowns = NONE,
    closed: bool = False,
    rules: ReviewRules = DEFAULT.review,
) -> list[str]:
    """Reasons to review a segmentation, one sentence each; most scans of one arch have none.

    Args:
        teeth: rows of :func:`toothgraph.report.tooth_table.tooth_table`, with confidences.
        other: the next best numbers and how much likelier those given are, see ``other_reading`` of
            :class:`toothgraph.inference.predict.Prediction`.
        milk_teeth, inside_out, jaw, jaw_probability: of the same.
        primary: whether milk teeth are numbered as such.
        two_arches: result of :func:`toothgraph.postprocess.two_arches.shows_two_arches`.
        joined: whether the surface looks like both jaws in a bite that could not be parted.
        faults: result of :func:`toothgraph.anatomy.number_order.number_faults`.
        crowns: result of :func:`toothgraph.anatomy.odd_crowns.odd_crowns`.
        closed: whether the surface has no open side; said only where something else speaks for a fault.
        rules: limits of the confidence.
    """
    doubts = find_strong_doubts(
        teeth, two_arches=two_arches, joined=joined, jaw=jaw, jaw_probability=jaw_probability, rules=rules
    )  # fmt: skip
    found = _found(teeth)
    if not found:
        return doubts
    if inside_out:
        doubts.append("the surface was inside out in the file; it was turned for labelling")
    told = {*crowns.posts, *crowns.stumps}
    unsure = [str(row.fdi) for row, confidence in found if confidence < rules.tooth and row.fdi not in told]
    close = other if other is not None and other.changes and other.odds < rules.odds else None
    if closed and (unsure or close or jaw_probability < rules.closed or _may_be_missed(found, rules)):
        doubts.append(
            "the surface is closed, as of a model with a base or a printed shell; check that no tooth is missed, and "
            "that jaw and sides are right"
        )
    doubts += _of_crowns(crowns)
    if unsure:
        doubts.append(
            f"review {', '.join(unsure)}: the model is less than {rules.tooth:.0%} sure of the number or the border"
        )
    if close:
        doubts.append(
            f"review the numbers: {said(close.changes)}; the numbers given are {close.odds:.2g} times as likely as "
            "these"
        )
    if milk_teeth and primary:
        own = ", ".join(str(fdi + TO_PRIMARY) for fdi in milk_teeth)
        doubts.append(f"{own} are numbered as milk teeth, by their size and look: check them")
    elif milk_teeth:
        doubts.append(
            f"{', '.join(map(str, milk_teeth))} look like milk teeth; each has the number of the permanent tooth that "
            "replaces it"
        )
    return doubts + [f"review the numbers: {fault}" for fault in faults]


def _of_crowns(crowns: OddCrowns) -> list[str]:
    """What is to be said of teeth that are not shaped as crowns are."""
    doubts = []
    if crowns.posts:
        doubts.append(
            f"{_listed(crowns.posts)}: a smooth post, as of an implant's scan body, and no crown; the number is a "
            "guess by its place"
        )
    if crowns.stumps:
        doubts.append(
            f"{_listed(crowns.stumps)}: low, narrow and level on top, as a tooth prepared for a crown; check number "
            "and border"
        )
    doubts += [f"{fdi} shows {share:.0%} of the usual area: is it erupting, broken, or no tooth?"
               for fdi, share in crowns.parts]  # fmt: skip
    doubts += [f"{fdi} is {times:.1f} times as wide as usual: are these two teeth?" for fdi, times in crowns.doubles]
    if crowns.bracketed:
        doubts.append(f"brackets or attachments on {_listed(crowns.bracketed)}: check the borders on their outer side")
    return doubts


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def find_strong_doubts(
    teeth: Sequence[ToothRow],
    *,
    two_arches: bool = False,
    joined: bool = False,
    jaw: int = UNKNOWN_JAW,
    jaw_probability: float = 1.0,
    rules: ReviewRules = DEFAULT.review,
) -> list[str]:
    """Those doubts that concern all labels of a scan: it may show no arch, both jaws, the other jaw, or a part.

    Arguments as of :func:`find_doubts`.
    """
    found = _found(teeth)
    both = ["this looks like both jaws in a bite, joined where they touch, and could not be parted: most labels may be "
            "wrong; use one file per jaw"] * joined  # fmt: skip
    if len(found) < TEETH_NEEDED:
        return [*both, f"{len(found)} teeth found; does the file show one arch, and is it in millimetres?"]
    doubts = both
    if two_arches:
        doubts.append("the same teeth are found on two surfaces; are both jaws in one file? Use one file per jaw")
    if jaw_probability < rules.jaw:
        opposite = JAW_NAMES[1 - jaw]
        doubts.append(
            f"labelled as {JAW_NAMES[jaw]} jaw, but looks like the {opposite} jaw "
            f"(the model is {1 - jaw_probability:.0%} sure); check the name of the file"
        )
    if (sure := _sure(found)) < rules.scan:
        doubts.append(f"the model is only {sure:.0%} sure of the teeth; does the file show one whole arch?")
    return doubts


def pair_doubts(cut: float = 0.0) -> list[str]:
    """What is to be said of both jaws in one file, and if they were parted along a line of some mm."""
    doubts = ["both jaws are in this file; each is labelled for itself: check that upper and lower are not exchanged"]
    if cut:
        doubts.append(f"both jaws were one surface; they were parted where they touch, along {cut:.0f} mm: look there")
    return doubts


def of_jaw(jaw: int, doubt: str) -> str:
    """A warning that concerns one jaw of two."""
    return f"{JAW_NAMES[jaw]} jaw: {doubt}"


def doubts_of_jaw(doubts: Sequence[str], jaw: int) -> list[str]:
    """The warnings of a file with both jaws that concern one jaw; what concerns both is told with the upper one."""
    upper, lower = (f"{JAW_NAMES[side]} jaw: " for side in (UPPER, LOWER))
    own, other = (upper, lower) if jaw == UPPER else (lower, upper)
    return [doubt.removeprefix(own) for doubt in doubts
            if doubt.startswith(own) or (jaw == UPPER and not doubt.startswith(other))]  # fmt: skip


def text_and_teeth(doubt: str) -> list[str | int]:
    """A warning in parts, in their order: its text, and the FDI numbers in it, for pages that write them otherwise.

    A number of something else, such as a share or a length, stays text: what follows it, or its decimals, tells.
    """
    parts: list[str | int] = list(_TOOTH.split(doubt))
    parts[1::2] = map(int, parts[1::2])
    return [part for part in parts if part != ""]


def _found(teeth: Sequence[ToothRow]) -> list[tuple[ToothRow, float]]:
    """The teeth with their confidence."""
    return [(row, row.confidence) for row in teeth if row.fdi > 0 and row.confidence is not None]


def _sure(found: Sequence[tuple[ToothRow, float]]) -> float:
    """The mean confidence over the area of all teeth."""
    return sum(row.area * confidence for row, confidence in found) / sum(row.area for row, _ in found)


def _may_be_missed(found: Sequence[tuple[ToothRow, float]], rules: ReviewRules) -> bool:
    """Whether teeth of a closed surface may have been missed: there are few, or the model is not sure of them."""
    return len(found) < rules.teeth or _sure(found) < rules.closed


def said(changes: Sequence[tuple[int, int]]) -> str:
    """Other numbers in words: ``14 may be 15, 15 may be no tooth, there may be 18``."""
    return ", ".join(
        f"{f'{given} may be' if given else 'there may be'} {other or 'no tooth'}" for given, other in changes
    )
