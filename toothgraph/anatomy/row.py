"""Teeth as a row along the arch, by geometry alone: their order, the frame of each, and the gaps between them.

Nothing here depends on numbers that were given before: a row built on wrong numbers would repeat them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.anatomy.sizes import NEAR

POINTS = 1024  # number of points that are drawn on each crown
# mm; a neighbour farther off is on the other side of the arch. In 3D-IOSSeg, canines and wisdom teeth of one side are
# 43 mm apart (median), central incisors and second molars as well, and second molars of both sides 50 mm.
ACROSS = 46.0
CLOSEST = 0.002  # the gap of two surfaces is this quantile of their distances, so that a stray point does not count


def plane_of(up: np.ndarray) -> np.ndarray:
    """Two unit vectors [2, 3] across a direction ``up`` [3]: x, y = ``up`` and z form a right-handed frame."""
    x = np.cross(np.eye(3)[np.abs(up).argmin()], up)
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(x, up)])


def order_along_arch(middles: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of teeth along the arch, from the patient's right in an upper jaw and from the left in a lower one.

    The middles are fitted by a circle, by least squares (Coope 1993, doi:10.1007/BF00939613). The teeth are ordered by
    their angle about its centre, and the row begins behind the widest gap: the open side of the arch.

    Args:
        middles: [T, 3] mm.
        up: [3] unit direction from the gingiva to the bite.

    Returns:
        [T] indices, which seen from the bite run through the positions 8 … 1, 9 … 16; and the angle of each tooth in
        this order, in degrees, growing.
    """
    if len(middles) < 2:
        return np.arange(len(middles)), np.zeros(len(middles))
    flat = middles @ plane_of(up).T  # [T, 2]
    system = np.concatenate([2 * flat, np.ones((len(flat), 1))], axis=1)
    centre = np.linalg.lstsq(system, (flat**2).sum(axis=1), rcond=None)[0][:2]
    angle = np.arctan2(*(flat - centre).T[::-1])
    order = np.argsort(angle)
    gap = np.diff(angle[order], append=angle[order[0]] + 2 * np.pi)
    order = np.roll(order, -(int(gap.argmax()) + 1))
    return order, np.degrees(np.unwrap(angle[order]))


def tooth_frames(middles: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The frame of each tooth of a row: along the arch, inwards, and towards the bite.

    Args:
        middles: [T, 3] mm, in order along the arch.
        up: [3] unit direction from the gingiva to the bite.

    Returns:
        [T, 3, 3], the rows unit vectors. Without a neighbour within ``NEAR``, the first direction is to the nearest
        neighbour, or across this line if that tooth is on the other side. For a single tooth, it is arbitrary.
    """
    frames = np.empty((len(middles), 3, 3))
    for tooth in range(len(middles)):
        step = _along(middles, tooth, up)
        step = step - (step @ up) * up
        length = np.linalg.norm(step)
        forward = step / length if length > 1e-6 else plane_of(up)[0]
        frames[tooth] = forward, np.cross(forward, up), up
    return frames


def _along(middles: np.ndarray, tooth: int, up: np.ndarray) -> np.ndarray:
    """The direction [3] of the row at a tooth, of any length; zero for a single tooth."""
    away = {other: float(np.linalg.norm(middles[other] - middles[tooth])) for other in (tooth - 1, tooth + 1)
            if 0 <= other < len(middles)}  # fmt: skip
    near = [other for other, far in away.items() if far < NEAR] or sorted(away, key=lambda other: away[other])[:1]
    row = sorted([tooth, *near])
    step: np.ndarray = middles[row[-1]] - middles[row[0]]
    if away and away[near[0]] > ACROSS:  # then the step points inwards, or outwards from the tooth before this one
        return np.cross(up, step) if near[0] > tooth else np.cross(step, up)
    return step


def in_tooth_frames(points: Sequence[np.ndarray], middles: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Points on teeth of a row, each tooth in its own frame about its own middle.

    Args:
        points: T times [P, 3] mm.
        middles, up: see :func:`tooth_frames`.

    Returns:
        [T, P, 3] mm: along the arch, inwards, and towards the bite.
    """
    frames = tooth_frames(middles, up)
    return np.stack([(own - middle) @ frame.T for own, middle, frame in zip(points, middles, frames, strict=True)])


def gap_between(first: np.ndarray, second: np.ndarray) -> float:
    """The gap between two surfaces, given as points [P, 3] and [Q, 3], mm."""
    return _gap_to(cKDTree(first), second)


def _gap_to(first: cKDTree, second: np.ndarray) -> float:
    """The gap between the points of a tree and other points [Q, 3], mm.

    Only the few smallest distances count. So the search ends at a bound on these distances, and most points of a tooth
    are beyond it.
    """
    few = min(int(CLOSEST * (len(second) - 1)) + 2, len(second))
    towards = np.argpartition(((second - first.data.mean(axis=0)) ** 2).sum(axis=1), few - 1)[:few]
    bound = first.query(second[towards])[0].max()
    distance, _ = first.query(second, distance_upper_bound=bound * (1 + 1e-9) + 1e-12)
    return float(np.quantile(distance, CLOSEST))


class Gaps:
    """The gaps between teeth of a row, each pair measured once.

    Args:
        points: [P, 3] on the surface of each tooth, mm.
    """

    def __init__(self, points: Sequence[np.ndarray]) -> None:
        self.points = points
        self.trees = [cKDTree(each) for each in points]
        self.known: dict[tuple[int, int], float] = {}

    def along(self, order: Sequence[int] | np.ndarray, step: int = 1) -> np.ndarray:
        """The gap between each tooth and the one ``step`` places behind it in the given order. [T - step], mm"""
        pairs = [(int(first), int(second)) for first, second in zip(order[:-step], order[step:], strict=True)]
        for first, second in pairs:
            if (first, second) not in self.known:
                self.known[first, second] = _gap_to(self.trees[first], self.points[second])
        return np.array([self.known[pair] for pair in pairs])
