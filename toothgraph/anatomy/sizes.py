"""Sizes of tooth crowns, along and across the arch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toothgraph.anatomy.frame import ALONG, TEETH_NEEDED, arch_rotation
from toothgraph.mesh.mesh import Mesh

LEAST = 20.0  # mm²; a smaller labelled area does not count as a tooth
WHOLE_TOOTH = 30.0  # mm²; a smaller piece may be part of a tooth
# mm², labelled area of teeth 1 … 8 of the upper and of the lower jaw: medians of the training patients of 3D-IOSSeg
# (benchmarks/studies/tooth_cuts.py).
CROWN_AREA = np.array([[157, 112, 130, 148, 132, 212, 178, 114], [89, 99, 122, 124, 127, 210, 178, 101]], dtype=float)
NEAR = 20.0  # mm, maximum distance of a neighbour; without front teeth, the next tooth is on the other side of the arch
SHARE = 0.02  # share of the vertices ignored at either end of an extent, so that single faces do not widen a tooth
# Share of the area ignored at either end of a mesiodistal width. With this value the widths of left and right teeth
# agree best, depend least on the resolution of the mesh, and fit synthetic crowns of known width (docs/measures.md).
END = 0.005
CONTACT = 0.02  # the contact point is the middle of this share of the area at an end


@dataclass(frozen=True, eq=False)
class Span:
    """A crown measured along the arch.

    Attributes:
        width: mesiodistal width, mm.
        ends: [2, 3] mm, its contact points: towards the tooth before it, and towards the tooth after it.
    """

    width: float
    ends: np.ndarray


def mesiodistal_spans(mesh: Mesh, teeth: Sequence[np.ndarray], up: np.ndarray | None) -> list[Span | None]:
    """The mesiodistal width of each tooth, and where it ends.

    The width is the extent of the crown along the arch, without ``END`` of its area at either end. It is measured on
    the middles of the faces, by area: the corners of a coarse mesh lie beyond the border of the tooth.

    Args:
        mesh, teeth, up: see :func:`tooth_sizes`.

    Returns:
        One for each tooth; None if the direction of the arch is not known, for example without a neighbour.
    """
    return [
        None if along is None else _span(mesh.centroids[own], np.maximum(mesh.areas[own], 1e-12), along)
        for own, along in zip(teeth, arch_directions(mesh, teeth, up), strict=True)
    ]


def _span(points: np.ndarray, area: np.ndarray, along: np.ndarray) -> Span:
    """The span of a crown from points [N, 3] with an area [N] each, in the direction ``along`` [3]."""
    position = points @ along
    low, inner_low, inner_high, high = area_quantiles(position, area, [END, CONTACT, 1 - CONTACT, 1 - END])
    ends = []
    for end, outermost in ((low, position <= inner_low), (high, position >= inner_high)):
        middle = np.average(points[outermost], axis=0, weights=area[outermost])
        ends.append(middle + (end - middle @ along) * along)
    return Span(float(high - low), np.stack(ends))


def area_quantiles(values: np.ndarray, area: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """The values below which the given shares of an area lie. [S]

    Args:
        values: [N].
        area: [N], more than 0.
        shares: S numbers from 0 to 1.
    """
    order = np.argsort(values)
    below = np.cumsum(area[order])
    return np.interp(shares, (below - area[order] / 2) / below[-1], values[order])


def tooth_sizes(mesh: Mesh, teeth: Sequence[np.ndarray], up: np.ndarray | None) -> np.ndarray:
    """The mesiodistal and the buccolingual extent of the visible surface of each tooth.

    The direction of the arch at a tooth is the line from the tooth before it to the tooth after it. Teeth beyond a wide
    gap are not used.

    Args:
        mesh: F faces.
        teeth: face indices of each of T teeth, in order along the arch.
        up: [3], direction of the bite (neighbours may be higher or lower); None if unknown.

    Returns:
        [T, 2] in mm. NaN if the direction is not known: without a neighbour; across the arch also without ``up``.
    """
    sizes = np.full((len(teeth), 2), np.nan)
    for tooth, (own, along) in enumerate(zip(teeth, arch_directions(mesh, teeth, up), strict=True)):
        if along is None:
            continue
        corners = mesh.vertices[np.unique(mesh.faces[own])]
        sizes[tooth, 0] = _extent(corners @ along)
        if up is not None:
            sizes[tooth, 1] = _extent(corners @ np.cross(along, up))
    return sizes


def usual_areas(place: np.ndarray, area: np.ndarray, jaw: int) -> np.ndarray:
    """The expected area of each tooth, scaled to the size of the teeth in this scan.

    Args:
        place: [T] positions 1 … 16.
        area: [T] mm²; the scale comes from teeth of at least ``WHOLE_TOOTH``, if there are four or more.
        jaw: 0 upper, 1 lower.

    Returns:
        [T] mm².
    """
    usual = CROWN_AREA[jaw, (place - 1) % 8]
    share = (area / usual)[area >= WHOLE_TOOTH]
    return usual * np.median(share) if len(share) >= TEETH_NEEDED else usual


def sizes_by_place(mesh: Mesh, place: np.ndarray) -> dict[int, np.ndarray]:
    """The extents of each tooth of at least ``WHOLE_TOOTH`` mm², see :func:`tooth_sizes`, by its position.

    Args:
        mesh: F faces.
        place: [F] positions 1 … 16; 0 for gingiva and unknown.

    Returns:
        Position to [2] mm, in order along the arch. Empty if there are too few teeth to find the frame of the arch.
    """
    area = np.bincount(place, weights=mesh.areas, minlength=17)
    teeth = [number for number in ALONG.tolist() if area[number] >= WHOLE_TOOTH]
    rotation = arch_rotation(mesh, place)
    if rotation is None:
        return {}
    sizes = tooth_sizes(mesh, [np.flatnonzero(place == number) for number in teeth], rotation[1])
    return dict(zip(teeth, sizes, strict=True))


def arch_directions(mesh: Mesh, teeth: Sequence[np.ndarray], up: np.ndarray | None) -> list[np.ndarray | None]:
    """The unit direction of the arch at each tooth, [3]; None if no neighbour gives it.

    Arguments as in :func:`tooth_sizes`.
    """
    middles = [mesh.centroids[own].mean(axis=0) for own in teeth]
    directions = []
    for tooth, middle in enumerate(middles):
        around = middles[max(tooth - 1, 0) : tooth + 2]
        near = [other for other in around if np.linalg.norm(other - middle) < NEAR]
        directions.append(_direction(near[0], near[-1], up))
    return directions


def _direction(before: np.ndarray, after: np.ndarray, up: np.ndarray | None) -> np.ndarray | None:
    """The unit vector [3] from one point to another, perpendicular to ``up``; None if both are the same."""
    step = after - before
    if up is not None:
        step = step - (step @ up) * up
    length = np.linalg.norm(step)
    return None if length < 1e-6 else step / length


def _extent(positions: np.ndarray) -> float:
    """The range of positions [N] without ``SHARE`` of them at either end."""
    low, high = np.quantile(positions, [SHARE, 1 - SHARE])
    return float(high - low)
