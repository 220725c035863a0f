"""What in a result a person had better look at."""

from __future__ import annotations

from collections.abc import Sequence

from toothgraph.mesh.frame import TEETH_NEEDED
from toothgraph.mesh.numbering import JAW_NAMES, UNKNOWN_JAW
from toothgraph.report.table import ToothRow

UNSURE_SCAN = 0.7  # mean over the area of all teeth
UNSURE_TOOTH = 0.5
OTHER_JAW = 0.5  # of the jaw that was given; less, and the net would have said the other


def find_doubts(
    teeth: Sequence[ToothRow],
    *,
    past_gap: Sequence[int] = (),
    inside_out: bool = False,
    two_arches: bool = False,
    jaw: int = UNKNOWN_JAW,
    jaw_probability: float = 1.0,
) -> list[str]:
    """Reasons to doubt a segmentation, a sentence each; none for most scans of an arch.

    Args:
        teeth: rows of :func:`toothgraph.report.table.tooth_table`, with confidences.
        past_gap, inside_out, jaw, jaw_probability: of a :class:`toothgraph.inference.predict.Prediction`.
        two_arches: what :func:`toothgraph.inference.arches.shows_two_arches` says.
    """
    found = [(row, row.confidence) for row in teeth if row.fdi > 0 and row.confidence is not None]
    if len(found) < TEETH_NEEDED:
        return [f"{len(found)} teeth found; does it show an arch, and is --unit right?"]
    doubts = []
    if two_arches:
        doubts.append("the same teeth are found on two surfaces; are both jaws in one file? Give each its own")
    if jaw_probability < OTHER_JAW:
        other = JAW_NAMES[1 - jaw]
        doubts.append(f"taken for the {JAW_NAMES[jaw]} jaw, but looks like the {other} one ({1 - jaw_probability:.0%})")
    if inside_out:
        doubts.append("its faces are wound inside out; labelled as if they were not")
    sure = sum(row.area * confidence for row, confidence in found) / sum(row.area for row, _ in found)
    if sure < UNSURE_SCAN:
        doubts.append(f"a confidence of {sure:.0%} only; is it one whole arch?")
    unsure = [str(row.fdi) for row, confidence in found if confidence < UNSURE_TOOTH]
    if unsure:
        doubts.append(f"look at {', '.join(unsure)}: below {UNSURE_TOOTH:.0%} confidence")
    if past_gap:
        numbers = ", ".join(map(str, past_gap))
        doubts.append(f"numbers of {numbers}: by its size a molar stands where a premolar would; was one extracted?")
    return doubts
