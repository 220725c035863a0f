"""How large the crowns of the teeth are, along the arch and across it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toothgraph.mesh.frame import ALONG, TEETH_NEEDED, arch_rotation
from toothgraph.mesh.mesh import Mesh

WHOLE = 30.0  # mm²; what is smaller may be part of a tooth
# mm², the surface labelled as a tooth 1 … 8 of the upper and of the lower jaw: medians of the training patients of
# 3D-IOSSeg (benchmarks/tooth_cuts.py).
CROWN_AREA = np.array([[157, 112, 130, 148, 132, 212, 178, 114], [89, 99, 122, 124, 127, 210, 178, 101]], dtype=float)
NEAR = 20.0  # mm to a neighbour; where the front teeth are gone, the next one stands across the mouth
SHARE = 0.02  # of the vertices at either end that an extent leaves out: a stray face does not widen a tooth


def tooth_sizes(mesh: Mesh, teeth: Sequence[np.ndarray], up: np.ndarray | None) -> np.ndarray:
    """The mesiodistal and the buccolingual extent of each tooth, as far as its surface shows.

    The arch runs at a tooth from the tooth before it to the one after it; one beyond a wide gap does not count.

    Args:
        mesh: F faces.
        teeth: the indices of the faces of each of T teeth, in order along the arch.
        up: [3], towards the bite, since neighbours may stand higher or lower; None where it is not known.

    Returns:
        [T, 2] in mm; NaN where nothing says which way the arch runs: no neighbour, or, across it, no ``up``.
    """
    middles = [mesh.centroids[own].mean(axis=0) for own in teeth]
    sizes = np.full((len(teeth), 2), np.nan)
    for tooth, own in enumerate(teeth):
        around = middles[max(tooth - 1, 0) : tooth + 2]
        near = [middle for middle in around if np.linalg.norm(middle - middles[tooth]) < NEAR]
        along = _direction(near[0], near[-1], up)
        if along is None:
            continue
        corners = mesh.vertices[np.unique(mesh.faces[own])]
        sizes[tooth, 0] = _extent(corners @ along)
        if up is not None:
            sizes[tooth, 1] = _extent(corners @ np.cross(along, up))
    return sizes


def usual_areas(place: np.ndarray, area: np.ndarray, jaw: int) -> np.ndarray:
    """The area that teeth usually have, in a mouth whose teeth are as large as these.

    Args:
        place: [T] 1 … 16.
        area: [T] mm²; those of at least ``WHOLE`` say how large this mouth's teeth are, if there are four or more.
        jaw: 0 upper, 1 lower.

    Returns:
        [T] mm².
    """
    usual = CROWN_AREA[jaw, (place - 1) % 8]
    share = (area / usual)[area >= WHOLE]
    return usual * np.median(share) if len(share) >= TEETH_NEEDED else usual


def sizes_by_place(mesh: Mesh, place: np.ndarray) -> dict[int, np.ndarray]:
    """The extents [2] of each tooth of at least ``WHOLE`` mm², see :func:`tooth_sizes`, by its place.

    Args:
        mesh: F faces.
        place: [F] 1 … 16, 0 for gingiva and what is not known.

    Returns:
        In order along the arch; nothing where there are too few teeth to say how the arch lies.
    """
    area = np.bincount(place, weights=mesh.areas, minlength=17)
    teeth = [number for number in ALONG.tolist() if area[number] >= WHOLE]
    rotation = arch_rotation(mesh, place)
    if rotation is None:
        return {}
    sizes = tooth_sizes(mesh, [np.flatnonzero(place == number) for number in teeth], rotation[1])
    return dict(zip(teeth, sizes, strict=True))


def _direction(before: np.ndarray, after: np.ndarray, up: np.ndarray | None) -> np.ndarray | None:
    """The unit vector [3] from one point to another, seen along ``up``; None where both are the same."""
    step = after - before
    if up is not None:
        step = step - (step @ up) * up
    length = np.linalg.norm(step)
    return None if length < 1e-6 else step / length


def _extent(positions: np.ndarray) -> float:
    """How far positions [N] reach, all but ``SHARE`` of them at either end."""
    low, high = np.quantile(positions, [SHARE, 1 - SHARE])
    return float(high - low)
