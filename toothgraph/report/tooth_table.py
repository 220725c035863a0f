"""A table of the teeth found in a scan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toothgraph.anatomy.frame import upright_rotation
from toothgraph.anatomy.sizes import mesiodistal_spans
from toothgraph.fdi import in_row_order, is_tooth
from toothgraph.mesh.mesh import Mesh
from toothgraph.system.files import write_text


@dataclass(frozen=True)
class ToothRow:
    """One tooth, or the gingiva.

    Attributes:
        fdi: number; 0 for gingiva.
        faces: number of faces.
        area: mm².
        width: mm, mesiodistal, see :func:`toothgraph.anatomy.sizes.mesiodistal_spans`; None for gingiva, or without a
            neighbour that gives the direction of the arch.
        confidence: mean over its area; None if it is not known for the whole area.
    """

    fdi: int
    faces: int
    area: float
    width: float | None
    confidence: float | None


def confidences(rows: Iterable[ToothRow]) -> dict[int, float]:
    """The confidence of each tooth by its number, for teeth whose confidence is known."""
    return {row.fdi: row.confidence for row in rows if row.fdi > 0 and row.confidence is not None}


def tooth_table(mesh: Mesh, labels: np.ndarray, confidence: np.ndarray | None = None) -> list[ToothRow]:
    """One row for gingiva and one per tooth, from the patient's right to the left.

    Args:
        mesh: F faces.
        labels: [F] FDI numbers.
        confidence: [F] probability of each label; NaN where it is not known.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=4000, without=[11])
        >>> [row.fdi for row in tooth_table(arch, arch.labels)]
        [0, 17, 16, 15, 14, 13, 12, 21, 22, 23, 24, 25, 26, 27]
    """
    teeth = in_row_order(number for number in np.unique(labels[labels > 0]).tolist() if is_tooth(number))
    rotation = upright_rotation(mesh.with_labels(labels))
    faces = {fdi: np.flatnonzero(labels == fdi) for fdi in [0, *teeth]}
    spans = mesiodistal_spans(mesh, [faces[fdi] for fdi in teeth], None if rotation is None else rotation[1])
    widths = {fdi: span.width for fdi, span in zip(teeth, spans, strict=True) if span is not None}
    rows = []
    for fdi, own in faces.items():
        if len(own) == 0:
            continue
        weight = np.maximum(mesh.areas[own], 1e-12)
        sure = np.nan if confidence is None else float(np.average(confidence[own], weights=weight))
        known = None if np.isnan(sure) else sure
        rows.append(ToothRow(fdi, len(own), float(mesh.areas[own].sum()), widths.get(fdi), known))
    return rows


def write_table(path: str | Path, rows: list[ToothRow]) -> None:
    """Write the rows as CSV: ``fdi``, ``faces``, ``area_mm2``, ``width_mm``, ``confidence``; None is left empty."""
    lines = ["fdi,faces,area_mm2,width_mm,confidence"]
    for row in rows:
        width, sure = ("" if value is None else f"{value:.3f}" for value in (row.width, row.confidence))
        lines.append(f"{row.fdi},{row.faces},{row.area:.2f},{width},{sure}")
    write_text(path, "\n".join(lines) + "\n")
