"""What in a result a person had better look at."""

from __future__ import annotations

from collections.abc import Sequence

from toothgraph.report.table import ToothRow

FEW_TEETH = 4  # with fewer, a scan is hardly one of an arch
UNSURE_SCAN = 0.7  # mean over the area of all teeth
UNSURE_TOOTH = 0.5


def find_doubts(teeth: Sequence[ToothRow], past_gap: Sequence[int] = (), inside_out: bool = False) -> list[str]:
    """Reasons to doubt a segmentation, a sentence each; none for most scans of an arch.

    Args:
        teeth: rows of :func:`toothgraph.report.table.tooth_table`, with confidences.
        past_gap: FDI numbers of the teeth that were numbered by their sizes, see
            :class:`toothgraph.inference.predict.Prediction`.
        inside_out: see there.
    """
    found = [(row, row.confidence) for row in teeth if row.fdi > 0 and row.confidence is not None]
    if len(found) < FEW_TEETH:
        return [f"{len(found)} teeth found; does it show an arch, and is --unit right?"]
    doubts = ["its faces are wound inside out; labelled as if they were not"] if inside_out else []
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
