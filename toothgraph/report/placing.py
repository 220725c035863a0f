"""Place the jaws of a page in the axes of the patient, and two jaws one above the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toothgraph.anatomy.frame import jaw_shown, patient_axes
from toothgraph.fdi import UPPER
from toothgraph.mesh.mesh import Mesh

# Two scans lie in one bite if their teeth meet. These limits say how far they may be turned and shifted.
TURNED = 20.0  # degrees
SIDEWAYS, FORWARD = 10.0, 14.0  # mm, of the middles of the teeth
ABOVE = (1.0, 25.0)  # mm, the middle of the upper teeth above that of the lower ones
OVERLAP = 2.0  # mm; usual overbite and overjet, for scans that do not lie in one bite

PLACED = "The two jaws do not lie in one bite: they are placed by the shape of their arches, not as the patient bites."


def place_jaws(scans: Sequence[tuple[Mesh, np.ndarray]]) -> tuple[list[np.ndarray], str]:
    """The points of one or two labelled scans for a page.

    Args:
        scans: (mesh, [F] FDI numbers) of one scan, or of an upper and a lower jaw.

    Returns:
        [V, 3] for each scan, mm: x to the patient's left, y up, z to the front, with 0 in the middle of all scans. And
        a note on how two jaws were placed, empty if they lie as in their files.
    """
    note = ""
    if len(scans) == 2 and in_one_bite(*scans):
        upper = next(scan for scan in scans if jaw_shown(*scan) == UPPER)
        axes = patient_axes(*upper)
        points = [mesh.vertices @ axes.T for mesh, _ in scans]
    else:
        points = [mesh.vertices @ patient_axes(mesh, labels).T for mesh, labels in scans]
    if len(scans) == 2 and not in_one_bite(*scans):
        points = [own - _meeting_point(own, *scan) for own, scan in zip(points, scans, strict=True)]
        note = PLACED
    every = np.concatenate(points)
    middle = (every.min(axis=0) + every.max(axis=0)) / 2
    return [own - middle for own in points], note


def in_one_bite(first: tuple[Mesh, np.ndarray], second: tuple[Mesh, np.ndarray]) -> bool:
    """Whether the files of an upper and a lower jaw place them as they meet in the mouth."""
    upper, lower = sorted((first, second), key=lambda scan: jaw_shown(*scan))
    axes = patient_axes(*upper)
    between = axes @ patient_axes(*lower).T  # the rotation from one jaw's axes to the other's
    angle = np.degrees(np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)))
    sideways, above, forward = axes @ (_teeth(*upper).mean(axis=0) - _teeth(*lower).mean(axis=0))
    met = abs(sideways) <= SIDEWAYS and ABOVE[0] <= above <= ABOVE[1] and abs(forward) <= FORWARD
    return bool(angle <= TURNED and met)


def _teeth(mesh: Mesh, labels: np.ndarray) -> np.ndarray:
    """The centroids of the faces of teeth, or of all faces if there are no teeth. [T, 3]"""
    teeth = mesh.centroids[labels > 0]
    return teeth if len(teeth) else mesh.centroids


def _meeting_point(points: np.ndarray, mesh: Mesh, labels: np.ndarray) -> np.ndarray:
    """The point of a jaw that is placed where the jaws meet: midline, tips of the crowns, front."""
    teeth = points[mesh.faces[labels > 0]].reshape(-1, 3) if (labels > 0).any() else points
    upper = jaw_shown(mesh, labels) == UPPER
    low, high = np.percentile(teeth, [2, 98], axis=0)
    half = OVERLAP / 2 if upper else -OVERLAP / 2
    return np.array([(low[0] + high[0]) / 2, (low[1] if upper else high[1]) + half, high[2] - half])
