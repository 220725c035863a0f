"""Warnings to review: what a person should check in a result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from toothgraph.anatomy import doubt as kinds
from toothgraph.anatomy.doubt import Doubt, part_of_tooth, two_in_one
from toothgraph.anatomy.frame import TEETH_NEEDED
from toothgraph.anatomy.number_order import number_faults
from toothgraph.anatomy.odd_crowns import NONE, OddCrowns
from toothgraph.anatomy.tooth_text import ToothText
from toothgraph.fdi import JAW_NAMES, TO_PRIMARY, UNKNOWN_JAW, UPPER
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.tooth_table import ToothRow
from toothgraph.rules import DEFAULT, ReviewRules, TwoArchRules


class OtherNumbers(Protocol):
    """Numbers that teeth may have instead."""

    @property
    def changes(self) -> Sequence[tuple[int, int]]:
        """Pairs of FDI numbers, given and other. 0 stands for no tooth."""

    @property
    def odds(self) -> float:
        """How much likelier the given numbers are than the others."""


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
    faults: Sequence[ToothText] = (),
    crowns: OddCrowns = NONE,
    closed: bool = False,
    broken: str = "",
    rules: ReviewRules = DEFAULT.review,
) -> list[Doubt]:
    """Reasons to review a segmentation; most scans of one arch have none.

    Reasons that concern all labels (:attr:`toothgraph.anatomy.doubt.Doubt.strong`) come first: the scan may show no
    arch, both jaws, the other jaw, or only a part.

    Args:
        teeth: rows of :func:`toothgraph.report.tooth_table.tooth_table`, with confidences.
        other: the next best numbers and how much likelier the given ones are, see ``other_reading`` of
            :class:`toothgraph.inference.predict.Prediction`.
        milk_teeth, inside_out, jaw, jaw_probability: see the same class.
        primary: whether milk teeth are numbered as such.
        two_arches: result of :func:`toothgraph.postprocess.two_arches.shows_two_arches`.
        joined: whether the surface looks like both jaws in a bite that could not be parted.
        faults: result of :func:`toothgraph.anatomy.number_order.number_faults`.
        crowns: result of :func:`toothgraph.anatomy.odd_crowns.odd_crowns`.
        closed: whether the surface has no open side; reported only if something else also suggests a fault.
        broken: result of :func:`toothgraph.mesh.soundness.broken_surface`; reported only if few teeth are found.
        rules: limits of the confidence.
    """
    found = _found(teeth)
    doubts = _of_all_labels(found, two_arches, joined, jaw, jaw_probability, broken, rules)
    if not found:
        return doubts
    if inside_out:
        doubts.append(Doubt.of(kinds.INSIDE_OUT, "the surface was inside out in the file; it was turned for labelling"))
    told = {*crowns.posts, *crowns.stumps}
    unsure = [row.fdi for row, confidence in found if confidence < rules.tooth and row.fdi not in told]
    close = other if other is not None and other.changes and other.odds < rules.odds else None
    if closed and (unsure or close or jaw_probability < rules.closed or _may_be_missed(found, rules)):
        model = (
            "the surface is closed, as of a model with a base or a printed shell; check that no tooth is missed, and "
            "that jaw and sides are right"
        )
        doubts.append(Doubt.of(kinds.CLOSED, model))
    return [*doubts, *_of_crowns(crowns), *_of_numbers(unsure, close, milk_teeth, primary, rules), *_impossible(faults)]


def _of_numbers(
    unsure: Sequence[int], close: OtherNumbers | None, milk_teeth: Sequence[int], primary: bool, rules: ReviewRules
) -> list[Doubt]:
    """The warnings of teeth that are unsure, of another reading of the row that is close, and of milk teeth."""
    doubts = []
    if unsure:
        limit = f": the model is less than {rules.tooth:.0%} sure of the number or the border"
        doubts.append(Doubt.of(kinds.UNSURE, "review ", unsure, limit))
    if close:
        odds = f"; the numbers given are {close.odds:.2g} times as likely as these"
        doubts.append(Doubt.of(kinds.OTHER_NUMBERS, "review the numbers: ", *_changes(close.changes), odds))
    if milk_teeth and primary:
        own = [fdi + TO_PRIMARY for fdi in milk_teeth]
        doubts.append(Doubt.of(kinds.MILK, own, " are numbered as milk teeth, by their size and look: check them"))
    elif milk_teeth:
        successor = " look like milk teeth; each has the number of the permanent tooth that replaces it"
        doubts.append(Doubt.of(kinds.MILK, milk_teeth, successor))
    return doubts


def doubts_now(mesh: Mesh, doubts: Iterable[Doubt]) -> list[Doubt]:
    """The warnings that are true of the present labels, which a person may have changed.

    Warnings of impossible numbers are found anew in the present labels; the former ones are left out.

    Args:
        mesh: the scan with its present labels.
        doubts: the warnings so far.
    """
    impossible = _impossible(number_faults(mesh))
    said = set(map(str, impossible))
    return [*(doubt for doubt in doubts if doubt.kind != kinds.IMPOSSIBLE and str(doubt) not in said), *impossible]


def _impossible(faults: Sequence[ToothText]) -> list[Doubt]:
    return [Doubt.of(kinds.IMPOSSIBLE, "review the numbers: ", *fault.parts) for fault in faults]


def _of_all_labels(
    found: Sequence[tuple[ToothRow, float]],
    two_arches: bool,
    joined: bool,
    jaw: int,
    jaw_probability: float,
    broken: str,
    rules: ReviewRules,
) -> list[Doubt]:
    """The warnings that concern all labels."""
    doubts, other_jaw = [], ""
    if jaw_probability < rules.jaw:
        other_jaw = (
            f"labelled as {JAW_NAMES[jaw]} jaw, but looks like the {JAW_NAMES[1 - jaw]} jaw "
            f"(the model is {1 - jaw_probability:.0%} sure); check the name of the file"
        )
    if joined:
        doubts.append(
            Doubt.of(
                kinds.JOINED,
                "this looks like both jaws in a bite, joined where they touch, and they could not be separated: most "
                "labels may be wrong; use one file per jaw",
            )
        )
    if len(found) < TEETH_NEEDED:
        why = broken or other_jaw or "does the file show one arch, and is it in millimetres?"
        return [*doubts, Doubt.of(kinds.FEW_TEETH, f"{len(found)} teeth found; {why}")]
    if two_arches:
        doubts.append(
            Doubt.of(
                kinds.TWO_ARCHES,
                "the same teeth are found on two surfaces; are both jaws in one file? Use one file per jaw",
            )
        )
    if other_jaw:
        doubts.append(Doubt.of(kinds.JAW, other_jaw))
    if (sure := _sure(found)) < rules.scan:
        doubts.append(
            Doubt.of(
                kinds.UNSURE_SCAN, f"the model is only {sure:.0%} sure of the teeth; does the file show one whole arch?"
            )
        )
    return doubts


def _of_crowns(crowns: OddCrowns) -> list[Doubt]:
    """The warnings of teeth that do not have the shape of a crown, and of brackets."""
    doubts = []
    if crowns.posts:
        post = ": a smooth post, as of an implant's scan body, and no crown; the number is a guess by its place"
        doubts.append(Doubt.of(kinds.POST, crowns.posts, post))
    if crowns.stumps:
        stump = ": low, narrow and level on top, as a tooth prepared for a crown; check number and border"
        doubts.append(Doubt.of(kinds.STUMP, crowns.stumps, stump))
    doubts += [part_of_tooth(fdi, share) for fdi, share in crowns.parts]
    doubts += [two_in_one(fdi, times) for fdi, times in crowns.doubles]
    if crowns.bracketed:
        where = ": check the borders on their outer side"
        doubts.append(Doubt.of(kinds.BRACKETS, "brackets or attachments on ", crowns.bracketed, where))
    return doubts


def pair_doubts(cut: float = 0.0, sure: float = 1.0, rules: TwoArchRules = DEFAULT.two_arches) -> list[Doubt]:
    """The warnings of a file that has both jaws.

    Args:
        cut: mm, the length of the line along which they were parted; 0 if they were not connected.
        sure: the probability that they are not exchanged.
        rules: the limit of that probability.
    """
    which = Doubt.of(
        kinds.WHICH_JAW,
        f"it is not certain which of the two jaws in this file is the upper one (the model is {sure:.0%} sure); or "
        "does the file show one jaw twice?",
    )
    doubts = [which] if sure < rules.sure else []
    doubts += [
        Doubt.of(
            kinds.BOTH_JAWS,
            "both jaws are in this file; each is labelled on its own: check that upper and lower are not exchanged",
        )
    ]
    if cut:
        where = (
            f"both jaws were one surface; they were separated where they touch, along {cut:.0f} mm: check the labels "
            "there"
        )
        doubts.append(Doubt.of(kinds.CUT, where))
    return doubts


def doubts_of_jaw(doubts: Sequence[Doubt], jaw: int) -> list[Doubt]:
    """The warnings that concern one jaw of a file with both. Warnings of both jaws go with the upper jaw."""
    sides = (jaw, UNKNOWN_JAW) if jaw == UPPER else (jaw,)
    return [replace(doubt, jaw=UNKNOWN_JAW) for doubt in doubts if doubt.jaw in sides]


def _found(teeth: Sequence[ToothRow]) -> list[tuple[ToothRow, float]]:
    """The teeth whose confidence is known, each with its confidence."""
    return [(row, row.confidence) for row in teeth if row.fdi > 0 and row.confidence is not None]


def _sure(found: Sequence[tuple[ToothRow, float]]) -> float:
    """The mean confidence over the area of all teeth."""
    return sum(row.area * confidence for row, confidence in found) / sum(row.area for row, _ in found)


def _may_be_missed(found: Sequence[tuple[ToothRow, float]], rules: ReviewRules) -> bool:
    """Whether teeth of a closed surface may have been missed: there are few, or the model is not sure of them."""
    return len(found) < rules.teeth or _sure(found) < rules.closed


def _changes(changes: Sequence[tuple[int, int]]) -> list[str | Sequence[int]]:
    """Other numbers in words: ``14 may be 15, 15 may be no tooth, there may be 18``."""
    parts: list[str | Sequence[int]] = []
    for given, other in changes:
        parts += [", "] * bool(parts)
        parts += [[given], " may be "] if given else ["there may be "]
        parts.append([other] if other else "no tooth")
    return parts
