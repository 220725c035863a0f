"""Simulate a missing tooth with a closed gap, after an extraction with orthodontic treatment or a missing tooth germ.

A network that was trained only on full arches counts teeth from the front. Behind such a gap, its tooth numbers are too
low by one.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import splev, splprep
from scipy.spatial import cKDTree
from torch import Tensor
from torch_geometric.data import Data

from toothgraph.anatomy.frame import arch_rotation
from toothgraph.errors import check_kind
from toothgraph.fdi import check_classes, class_to_position
from toothgraph.graph.build import loose_mesh
from toothgraph.graph.fields import check_graph
from toothgraph.graph.spec import GraphSpec, add_tables
from toothgraph.mesh.checks import check_generator
from toothgraph.transforms.augment import warn_of_own_classes
from toothgraph.transforms.base import RandomTransform, before_own_classes, spec_after_move
from toothgraph.transforms.crop import crop

# Tooth of a side, counted from the midline, and its probability: most are first premolars, for orthodontic treatment.
TEETH, SHARES = (2, 3, 4, 5, 6), (0.1, 0.1, 0.5, 0.15, 0.15)
BOTH_SIDES = 0.7  # probability
CLOSED = (0.8, 1.0)  # share of the gap that is closed
NEAR, FAR = 8.0, 14.0  # mm from the arch: nearer gingiva moves with the teeth, farther gingiva does not move
STEP = 0.25  # mm between points of the curve
BEYOND = 30.0  # mm, straight extension of the curve after the last tooth
LOOSE = 1.0  # mm, allowed RMS distance of the teeth from the curve
TILTED = 60.0  # degrees between the bite and y; beyond, there is a warning


@dataclass(frozen=True)
class Arch:
    """The curve through the centres of the teeth, in the occlusal view.

    Attributes:
        points: [M, 2] x and z, mm, ``STEP`` apart, from the last tooth of one side to the last of the other.
        angle: [M] direction of the curve, radians.
    """

    points: np.ndarray
    angle: np.ndarray

    def place(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Arc length along the curve and distance from it, of points [N, 2]: both [N], mm."""
        distance, nearest = cKDTree(self.points).query(flat)
        return nearest * STEP, distance

    def moved(self, flat: np.ndarray, start: np.ndarray, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [N, 2] at arc length ``start`` [N], moved along the curve by ``by`` [N]; and their rotations [N]."""
        last = len(self.points) - 1
        here = np.rint(start / STEP).astype(int).clip(0, last)
        there = np.rint((start + by) / STEP).astype(int).clip(0, last)
        turn = self.angle[there] - self.angle[here]
        return self.points[there] + rotated(flat - self.points[here], turn), turn


def rotated(flat: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Vectors [N, 2] rotated by angles [N], radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * flat[:, 0] - sin * flat[:, 1], sin * flat[:, 0] + cos * flat[:, 1]], axis=1)


def fit_arch(middles: np.ndarray) -> Arch:
    """A smooth spline through the tooth centres [T, 2] (mm, in order along the arch, T ≥ 4), extended at both ends."""
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
    """Positions 1 … 16 to numbers from the midline, same shape: -1 … -8 on one side, 1 … 8 on the other; 0 stays 0."""
    return np.where(place > 8, place - 8, -place)


def close_gap(graph: Data, rng: np.random.Generator, spec: GraphSpec) -> Data:
    """Remove a tooth, or the same tooth on both sides, and move the teeth behind it forward.

    Each tooth moves along the arch as a rigid body; the gingiva near the gap is compressed. If the tooth is missing, or
    no tooth is before or behind it, the graph is returned unchanged.

    Args:
        graph: a labelled scan in the frame of the networks (see :mod:`toothgraph.anatomy.frame`), mm.
        rng: random generator for tooth, side and closed share of the gap.
        spec: specification of its neighbour tables, which are computed again.

    Returns:
        A new graph with fewer nodes, or ``graph`` itself.

    Raises:
        ShapeError: for a graph without labels, or with FDI numbers as labels.

    Example:
        >>> from toothgraph import scan_graph, synthetic_arch
        >>> spec = GraphSpec(faces=1000)
        >>> graph, _ = scan_graph(synthetic_arch(1, jaw=0, faces=2000), spec)
        >>> closed = close_gap(graph, np.random.default_rng(0), spec)
        >>> len(graph.y.unique()) - len(closed.y.unique())  # the first premolar of both sides
        2
    """
    check_graph(graph, "x", "pos", "normal", "edge_index", "y")
    check_generator(rng)
    check_kind("spec", spec, GraphSpec)
    check_classes(graph.y.numpy(), "y")
    number = int(rng.choice(TEETH, p=SHARES))
    side = rng.choice([-1, 1])
    sides = (-1, 1) if rng.uniform() < BOTH_SIDES else (side,)
    share = rng.uniform(*CLOSED)
    out = graph
    for side in sides:
        out = _closed(out, side * number, share)
    return out if out is graph else add_tables(out, spec)


def _closed(graph: Data, tooth: int, share: float) -> Data:
    """The graph without one tooth and with a closed gap; its tables are not computed again.

    ``tooth`` is counted from the midline, see :func:`from_midline`; ``share`` is the closed share of the gap.
    """
    order = from_midline(class_to_position(graph.y.numpy()))
    shift = shift_behind(graph.pos.numpy()[:, [0, 2]].astype(float), order, tooth, share)
    if shift is None:
        return graph
    return crop(_with_motion(graph, shift.flat, shift.turn), np.flatnonzero(~shift.gone))


@dataclass(frozen=True, eq=False)
class Shift:
    """How points move when the gap of a tooth closes.

    Attributes:
        flat: [N, 2] x and z after the motion, mm.
        turn: [N] angles of rotation about y, radians.
        gone: [N] bool, points of the tooth and of the gingiva in its gap.
    """

    flat: np.ndarray
    turn: np.ndarray
    gone: np.ndarray


def shift_behind(flat: np.ndarray, order: np.ndarray, tooth: int, share: float) -> Shift | None:
    """The motion of points when a tooth is removed and what is behind it moves along the arch to close the gap.

    Args:
        flat: [N, 2] x and z of points on a labelled scan in the networks' frame, mm.
        order: [N] tooth of each point, counted from the midline, see :func:`from_midline`.
        tooth: the tooth to remove, counted in the same way.
        share: share of the gap that is closed.

    Returns:
        None if the tooth is missing, no tooth is before or behind it, there are too few teeth for an arch, or there is
        no gap to close.
    """
    # 1. The teeth before and behind it; on a scan of one side, it may be the first tooth.
    present = [int(each) for each in np.unique(order) if each != 0]
    side = 1 if tooth > 0 else -1
    behind = [each for each in present if each * side > tooth * side]
    before = [each for each in present if each * side < tooth * side]
    if tooth not in present or not behind or not before or len(present) < 5:
        return None
    # 2. All points in coordinates of the arch curve: arc length and distance.
    arch = fit_arch(np.stack([flat[order == each].mean(axis=0) for each in present]))
    start, distance = arch.place(flat)
    start = start * side  # so that teeth behind have larger values on both sides
    # 3. The gap between the two neighbours.
    nearest_before = max(before, key=lambda each: each * side)
    nearest_behind = min(behind, key=lambda each: each * side)
    edge = np.quantile(start[order == nearest_before], 0.98)
    gap = share * (np.quantile(start[order == nearest_behind], 0.02) - edge)
    if gap <= 0:
        return None
    # 4. Displacement of each point along the curve: gingiva in proportion, teeth as rigid bodies.
    by = -np.clip(start - edge, 0, gap) * np.clip((FAR - distance) / (FAR - NEAR), 0, 1)
    gone = (order == tooth) | ((order == 0) & (distance < NEAR) & (start > edge) & (start < edge + gap))
    for each in present:
        of_tooth = order == each
        start[of_tooth] = start[of_tooth].mean()
        by[of_tooth] = -gap if each in behind else 0.0
    return Shift(*arch.moved(flat, start * side, by * side), gone)


def _with_motion(graph: Data, flat: np.ndarray, turn: np.ndarray) -> Data:
    """The graph with its nodes moved to ``flat`` [N, 2] (x and z) and rotated about y by the angles ``turn`` [N]."""

    def turned(vectors: Tensor) -> Tensor:  # [N, 3]
        vectors = vectors.clone()
        vectors[:, [0, 2]] = torch.from_numpy(rotated(vectors[:, [0, 2]].numpy(), turn)).to(vectors.dtype)
        return vectors

    out = Data(**dict(graph.items()))
    out.pos = graph.pos.clone()
    out.pos[:, [0, 2]] = torch.from_numpy(flat).to(out.pos.dtype)
    out.normal = turned(graph.normal)
    offsets = [turned(graph.x[:, first : first + 3]) for first in (3, 6, 9)]
    out.x = torch.cat([out.pos, *offsets, out.normal], dim=1)
    return out


def warn_of_own_frame(graph: Data, transform: RandomTransform) -> None:
    """Warn if the bite direction of a labelled scan is far from the y axis: seen along y, its teeth form no arch."""
    rotation = arch_rotation(loose_mesh(graph), class_to_position(graph.y.numpy()))
    if rotation is None:
        return
    off = float(np.degrees(np.arccos(min(abs(rotation[1, 1]), 1.0))))  # abs: an arch upside down is also an arch
    if off > TILTED:
        warnings.warn(
            f"{type(transform).__name__} closes few gaps of {graph.get('scan_id', 'a graph')}: by its teeth, the bite "
            f"is {off:.0f}° off the y axis; take graphs of ScanFolder or prepare_scan, which turn a labelled scan, or "
            "turn the mesh first: toothgraph.anatomy.frame.turned(mesh, upright_rotation(mesh))",
            stacklevel=5,
        )


@dataclass(eq=False)
class CloseGap(RandomTransform):
    """Remove a tooth, often on both sides, and move the teeth behind it forward: see :func:`close_gap`.

    The graph must be in the frame of the networks; there is a warning if its teeth are not.
    :class:`toothgraph.datasets.ScanFolder` and :func:`toothgraph.data.prepare_scan` turn labelled scans into this
    frame. A scan from a file is in its own frame.

    Args:
        spec: specification of the neighbour tables, which are computed again; a graph without tables gets none.
        rng: see :class:`RandomTransform`.

    Shapes:
        - input: a graph of :class:`FaceGraph` with ``y`` [N] classes, in the frame of the networks
          (:mod:`toothgraph.anatomy.frame`), mm
        - output: fewer nodes, or the same graph if the tooth is missing, or no tooth is before or behind it

    Raises:
        ConfigError: in a call with a graph that has tables, if ``spec`` is None.
        ShapeError: in a call with a graph without labels.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> short = CloseGap(rng=0)(graph)
        >>> sorted(set(graph.y.tolist()) - set(short.y.tolist()))  # 14 and 24
        [4, 12]
    """

    spec: GraphSpec | None = None

    def _of_graph(self, graph: Data) -> Data:
        warn_of_own_classes(graph, before_own_classes(self))
        closed = close_gap(graph, self.generator(), spec_after_move(self, graph, self.spec))
        warn_of_own_frame(graph, self)
        return closed
