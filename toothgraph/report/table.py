"""What is worth knowing of each tooth that was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toothgraph.files import write_text
from toothgraph.mesh.frame import upright_rotation
from toothgraph.mesh.mesh import Mesh

ORDER = [10 * quadrant + tooth for quadrant, teeth in ((1, range(8, 0, -1)), (2, range(1, 9)), (4, range(8, 0, -1)),
         (3, range(1, 9))) for tooth in teeth]  # fmt: skip
SHARE = 0.02  # of the vertices at either end that the width leaves out: a stray face does not widen a tooth


@dataclass(frozen=True)
class ToothRow:
    """One tooth, or the gingiva.

    Attributes:
        fdi: number; 0 for gingiva.
        faces: of the mesh.
        area: mm².
        width: mm from the mesial to the distal side, as far as its surface shows; None for gingiva, or where no
            neighbour and no frame says which way the arch runs.
        confidence: mean over its area; None where it is not known.
    """

    fdi: int
    faces: int
    area: float
    width: float | None
    confidence: float | None


def tooth_table(mesh: Mesh, labels: np.ndarray, confidence: np.ndarray | None = None) -> list[ToothRow]:
    """A row for gingiva and for each tooth, in order along the arch.

    Args:
        mesh: F faces.
        labels: [F] FDI numbers.
        confidence: [F] probability of each label.
    """
    teeth = [fdi for fdi in ORDER if (labels == fdi).any()]
    middles = {fdi: mesh.centroids[labels == fdi].mean(axis=0) for fdi in teeth}
    rotation = upright_rotation(mesh.with_labels(labels))
    up = None if rotation is None else rotation[1]
    rows = []
    for fdi in ([0] if (labels == 0).any() else []) + teeth:
        own = labels == fdi
        weight = np.maximum(mesh.areas[own], 1e-12)
        sure = None if confidence is None else float(np.average(confidence[own], weights=weight))
        width = None if fdi == 0 else _width(mesh, own, along(teeth, middles, fdi, up))
        rows.append(ToothRow(int(fdi), int(own.sum()), float(mesh.areas[own].sum()), width, sure))
    return rows


def write_table(path: str | Path, rows: list[ToothRow]) -> None:
    """Write the rows as CSV: ``fdi``, ``faces``, ``area_mm2``, ``width_mm``, ``confidence``; empty for none."""
    lines = ["fdi,faces,area_mm2,width_mm,confidence"]
    for row in rows:
        width, sure = ("" if value is None else f"{value:.3f}" for value in (row.width, row.confidence))
        lines.append(f"{row.fdi},{row.faces},{row.area:.2f},{width},{sure}")
    write_text(path, "\n".join(lines) + "\n")


def along(teeth: list[int], middles: dict[int, np.ndarray], fdi: int, up: np.ndarray | None) -> np.ndarray | None:
    """The direction of the arch at a tooth: from the tooth before it to the one after it. [3] or None.

    Args:
        teeth: FDI numbers in order along the arch.
        middles: [3] of each.
        fdi: the tooth.
        up: [3], towards the bite: neighbours may stand higher or lower; None where it is not known.
    """
    place = teeth.index(fdi)
    before, after = teeth[max(place - 1, 0)], teeth[min(place + 1, len(teeth) - 1)]
    direction = middles[after] - middles[before]
    if np.linalg.norm(direction) < 1e-6:
        return None
    if up is not None:
        direction = direction - (direction @ up) * up
    unit: np.ndarray = direction / max(np.linalg.norm(direction), 1e-12)
    return unit


def _width(mesh: Mesh, own: np.ndarray, direction: np.ndarray | None) -> float | None:
    if direction is None:
        return None
    positions = mesh.vertices[np.unique(mesh.faces[own])] @ direction
    low, high = np.quantile(positions, [SHARE, 1 - SHARE])
    return float(high - low)
