"""Teeth taken out before the scan was made, and the gap closed: by an orthodontist, or since a tooth never formed.

A net that has only seen full arches counts teeth from the front, and numbers all behind such a gap one too low.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import splev, splprep
from scipy.spatial import cKDTree
from torch import Tensor
from torch_geometric.data import Data

from toothgraph.data.views import crop
from toothgraph.graph.spec import GraphSpec, add_tables
from toothgraph.mesh.numbering import class_to_position

# Which tooth of a side, counted from the midline, and how often: most are first premolars, taken out to straighten.
TEETH, SHARES = (2, 3, 4, 5, 6), (0.1, 0.1, 0.5, 0.15, 0.15)
BOTH_SIDES = 0.7
CLOSED = (0.8, 1.0)  # share of the gap that is closed
NEAR, FAR = 8.0, 14.0  # mm from the arch: to here the gum goes along with the teeth, from there it stays
STEP = 0.25  # mm between points of the curve
BEYOND = 30.0  # mm the curve goes on straight after the last tooth
LOOSE = 1.0  # mm by which a tooth may stand beside the curve


@dataclass(frozen=True)
class Arch:
    """The curve through the middles of the teeth, seen from the bite.

    Attributes:
        points: [M, 2] x and z, mm, ``STEP`` apart, from the last tooth of one side to that of the other.
        angle: [M] of its direction, radians.
    """

    points: np.ndarray
    angle: np.ndarray

    def place(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where along the curve points [N, 2] lie, and how far from it: both [N], mm."""
        distance, nearest = cKDTree(self.points).query(flat)
        return nearest * STEP, distance

    def moved(self, flat: np.ndarray, start: np.ndarray, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [N, 2] that lie at ``start`` [N], moved along the curve; and the angles [N] they turn by."""
        last = len(self.points) - 1
        here = np.rint(start / STEP).astype(int).clip(0, last)
        there = np.rint((start + by) / STEP).astype(int).clip(0, last)
        turn = self.angle[there] - self.angle[here]
        return self.points[there] + rotated(flat - self.points[here], turn), turn


def rotated(flat: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Vectors [N, 2] turned by angles [N]."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * flat[:, 0] - sin * flat[:, 1], sin * flat[:, 0] + cos * flat[:, 1]], axis=1)


def fit_arch(middles: np.ndarray) -> Arch:
    """The curve through the middles of the teeth [T, 2], in order along the arch, T ≥ 4."""
    spline, _ = splprep(middles.T, s=len(middles) * LOOSE**2, k=3)
    fine = np.stack(splev(np.linspace(0, 1, 400), spline), axis=1)
    for end, inner in ((0, 20), (-1, -21)):
        out = fine[end] - fine[inner]
        tip = fine[end] + BEYOND * out / np.linalg.norm(out)
        fine = np.concatenate([tip[None], fine] if end == 0 else [fine, tip[None]])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    even = np.arange(0, along[-1], STEP)
    points = np.stack([np.interp(even, along, fine[:, axis]) for axis in (0, 1)], axis=1)
    direction = np.gradient(points, axis=0)
    return Arch(points, np.unwrap(np.arctan2(direction[:, 1], direction[:, 0])))


def from_midline(place: np.ndarray) -> np.ndarray:
    """Positions 1 … 16 counted from the midline: -1 … -8 on one side, 1 … 8 on the other; 0 stays 0."""
    return np.where(place > 8, place - 8, -place)


def extracted(graph: Data, rng: np.random.Generator, spec: GraphSpec) -> Data:
    """The scan as if a tooth, or the same on both sides, had been taken out and the teeth behind moved forward.

    Each tooth moves along the arch as a whole; the gum is pushed together, most of it before the gap vanishes. A
    tooth that is not there, or has none behind it, cannot be taken out: then the graph comes back as it is.

    Args:
        graph: of a labelled scan in the networks' frame (see :mod:`toothgraph.mesh.frame`), in mm.
        rng: draws which tooth, which side, and how far the gap closes.
        spec: of its neighbour tables, which are built anew.
    """
    number = int(rng.choice(TEETH, p=SHARES))
    side = rng.choice([-1, 1])
    sides = (-1, 1) if rng.uniform() < BOTH_SIDES else (side,)
    share = rng.uniform(*CLOSED)
    out = graph
    for side in sides:
        out = _closed(out, side * number, share)
    return out if out is graph else add_tables(out, spec)


def _closed(graph: Data, tooth: int, share: float) -> Data:
    """The graph without one tooth and with its gap closed; its tables are those of before."""
    order = from_midline(class_to_position(graph.y.numpy()))
    present = [int(each) for each in np.unique(order) if each != 0]
    side = 1 if tooth > 0 else -1
    behind = [each for each in present if each * side > tooth * side]
    before = [each for each in present if each * side < tooth * side]
    if tooth not in present or not behind or len(present) < 5:
        return graph
    flat = graph.pos.numpy()[:, [0, 2]].astype(float)
    arch = fit_arch(np.stack([flat[order == each].mean(axis=0) for each in present]))
    start, distance = arch.place(flat)
    start = start * side  # so that "behind" is larger on either side
    nearest_before = max(before, key=lambda each: each * side)
    nearest_behind = min(behind, key=lambda each: each * side)
    edge = np.quantile(start[order == nearest_before], 0.98)
    gap = share * (np.quantile(start[order == nearest_behind], 0.02) - edge)
    if gap <= 0:
        return graph
    by = -np.clip(start - edge, 0, gap) * np.clip((FAR - distance) / (FAR - NEAR), 0, 1)
    gone = (order == tooth) | ((order == 0) & (distance < NEAR) & (start > edge) & (start < edge + gap))
    for each in present:  # a tooth keeps its shape
        of_tooth = order == each
        start[of_tooth] = start[of_tooth].mean()
        by[of_tooth] = -gap if each in behind else 0.0
    moved, turn = arch.moved(flat, start * side, by * side)
    return crop(_with_motion(graph, moved, turn), np.flatnonzero(~gone))


def _with_motion(graph: Data, flat: np.ndarray, turn: np.ndarray) -> Data:
    """The graph with its nodes at ``flat`` [N, 2], x and z, each turned by its angle seen from the bite."""

    def turned(vectors: Tensor) -> Tensor:  # [N, 3]
        vectors = vectors.clone()
        vectors[:, [0, 2]] = torch.from_numpy(rotated(vectors[:, [0, 2]].numpy(), turn)).float()
        return vectors

    out = Data(**dict(graph.items()))
    out.pos = graph.pos.clone()
    out.pos[:, [0, 2]] = torch.from_numpy(flat).float()
    out.normal = turned(graph.normal)
    offsets = [turned(graph.x[:, first : first + 3]) for first in (3, 6, 9)]
    out.x = torch.cat([out.pos, *offsets, out.normal], dim=1)
    return out
