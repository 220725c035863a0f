"""Change teeth of a labelled scan into forms that are rare in data sets.

Teeth are prepared for crowns, replaced by scan bodies of implants, made larger or smaller, or get brackets or
attachments. Corners of faces are moved; no faces are added. The margin of a tooth stays where it is. Where two teeth
are joined, the faces of both move, so that the surface stays whole. Labels stay, except that the faces of a scan body
that reach into the margin become gingiva.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch_geometric.data import Data

from toothgraph.errors import check_kind, check_number
from toothgraph.fdi import check_classes, class_to_position
from toothgraph.graph.build import face_corners, with_corners
from toothgraph.graph.fields import check_graph
from toothgraph.graph.spec import GraphSpec, add_tables
from toothgraph.mesh.checks import check_generator
from toothgraph.transforms.augment import warn_of_own_classes
from toothgraph.transforms.base import RandomTransform, before_own_classes, spec_after_move
from toothgraph.transforms.close_gap import from_midline

# From corners [M, 3 corners, 3], mm, in the frame of a crown (see Crown.axes), to the same corners after the change.
Warp = Callable[[np.ndarray, np.random.Generator], np.ndarray]

MARGIN = 1.0  # mm from the gingiva over which a change grows to its full size
SAME = 1e-3  # mm, maximum distance between two copies of a corner
FRONT, MOST = 6, 4  # the last tooth from the midline that may get a bracket; how many teeth may be resized


@dataclass(frozen=True)
class Warps:
    """Probabilities that teeth of a scan are changed, independent of each other.

    Attributes:
        prepared: one to three adjacent teeth are ground down for crowns.
        scan_bodies: one or two adjacent teeth become cylinders, the scan bodies of implants.
        resized: one to four teeth become wider or narrower, and mostly lower, as milk teeth are.
        brackets: all teeth up to the first molars, or some of them, get a bracket or an attachment.

    Raises:
        ConfigError: for a value that is no probability.
    """

    prepared: float = 0.0
    scan_bodies: float = 0.0
    resized: float = 0.0
    brackets: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_number(f"probability {name} of a change of teeth", value, least=0, most=1)


NO_WARPS = Warps()


@dataclass(frozen=True, eq=False)
class Crown:
    """Position and orientation of a tooth.

    Attributes:
        rows: [M] indices of its faces.
        foot: [3] mm, the middle of its margin.
        axes: [3, 3] rows: outwards (to lips and cheeks), towards the bite, along the arch.
    """

    rows: np.ndarray
    foot: np.ndarray
    axes: np.ndarray


def prepared(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change a tooth into a stump: narrower, tapered and lower, with a more or less flat top."""
    height = max(float(np.quantile(points[..., 1], 0.98)), 1e-6)
    share = points[..., 1] / height
    inside = share.clip(0, 1)
    flat, level = rng.uniform(0, 1), rng.uniform(0.6, 0.85)
    share = (1 - flat) * share + flat * np.minimum(share, level)
    narrow = rng.uniform(0.65, 0.9) * (1 - rng.uniform(0.05, 0.3) * inside)
    out = points * narrow[..., None]
    out[..., 1] = height * share * rng.uniform(0.45, 0.85)
    return out


def scan_body(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change a tooth into a cylinder with a flat top: points move to it along rays from the middle of the margin."""
    radius, tall = rng.uniform(1.6, 3.0), rng.uniform(5.0, 11.0)
    away = np.hypot(points[..., 0], points[..., 2]).clip(1e-6)
    up = points[..., 1].clip(1e-6)
    moved: np.ndarray = points * np.minimum(radius / away, tall / up)[..., None]
    return moved


def resized(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make a tooth narrower or wider, and in most cases lower."""
    across, tall = rng.uniform(0.75, 1.25), rng.uniform(0.6, 1.1)
    return points * np.array([across, tall, across])


def bracket(points: np.ndarray, rng: np.random.Generator, size: np.ndarray) -> np.ndarray:
    """Add a block to the outer side of a tooth; its edges are as sharp as the faces allow.

    Args:
        points: see ``Warp``.
        rng: random generator for place and tilt.
        size: [3] mm, thickness, height and width.
    """
    out, up, along = np.moveaxis(points, -1, 0)
    outer = out > np.median(out)
    if not outer.any():
        return points
    high, middle = rng.uniform(0.35, 0.65) * np.quantile(up, 0.95), rng.normal(0, 0.3)
    tilt = rng.uniform(-0.2, 0.2)
    along, up = along - middle - tilt * (up - high), up - high + tilt * (along - middle)
    beyond = np.hypot(2 * up / size[1], 2 * along / size[2])  # an ellipse; 1 at its edge
    moved = points.copy()
    moved[..., 0] += np.where(outer, size[0] * ((1.4 - beyond) / 0.4).clip(0, 1), 0.0)
    return moved


def warp_teeth(graph: Data, rng: np.random.Generator, how: Warps, spec: GraphSpec) -> Data:
    """The graph after random changes of teeth, possibly none.

    Args:
        graph: a labelled scan, mm, in any pose.
        rng: random generator for what is changed, and how.
        how: probabilities; if all are 0, nothing is drawn.
        spec: specification of its neighbour tables, which are computed again.

    Returns:
        A new graph with the same nodes, or ``graph`` itself.

    Raises:
        ShapeError: for a graph without labels, or with FDI numbers as labels.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> low = warp_teeth(graph, np.random.default_rng(0), Warps(prepared=1), GraphSpec(spacings=()))
        >>> bool(low.area.sum() < graph.area.sum())
        True
    """
    check_graph(graph, "x", "pos", "normal", "area", "edge_index", "y")
    check_generator(rng)
    check_kind("how", how, Warps)
    check_kind("spec", spec, GraphSpec)
    check_classes(graph.y.numpy(), "y")
    if how == NO_WARPS:
        return graph
    place = from_midline(class_to_position(graph.y.numpy()))
    teeth = np.unique(place[place != 0])
    if len(teeth) < 2:
        return graph
    drawn: list[tuple[np.ndarray, Warp]] = []
    if rng.uniform() < how.resized:
        count = min(int(rng.integers(1, MOST + 1)), len(teeth))
        drawn.append((rng.choice(teeth, size=count, replace=False), resized))
    if rng.uniform() < how.brackets:
        size = rng.uniform([0.8, 2.0, 2.5], [2.5, 4.0, 4.5])
        front = teeth[np.abs(teeth) <= FRONT]
        drawn.append((front[rng.uniform(size=len(front)) < rng.choice([0.4, 1.0])], partial(bracket, size=size)))
    if rng.uniform() < how.prepared:
        drawn.append((_neighbours(teeth, 3, rng), prepared))
    if rng.uniform() < how.scan_bodies:
        drawn.append((_neighbours(teeth, 2, rng), scan_body))
    if not any(len(chosen) for chosen, _ in drawn):
        return graph
    corners, y = face_corners(graph), graph.y.clone()
    for chosen, warp in drawn:
        corners, stretched = warped(corners, place, chosen, warp, rng)
        if warp is scan_body:
            y[torch.from_numpy(stretched)] = 0
    out = with_corners(graph, corners)
    out.y = y
    return add_tables(out, spec)


def _neighbours(teeth: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """One to ``most`` adjacent teeth, drawn at random."""
    first = int(rng.integers(len(teeth)))
    return teeth[first : first + int(rng.integers(1, most + 1))]


def warped(
    corners: np.ndarray, place: np.ndarray, chosen: Sequence[int] | np.ndarray, warp: Warp, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Corners [N, 3, 3] after a change of some teeth, and which faces of these teeth reach into the margin [N] bool.

    Args:
        corners: [N, 3 corners, 3] mm.
        place: [N] tooth of each face, see :func:`toothgraph.transforms.close_gap.from_midline`.
        chosen: places of the teeth to change.
        warp: the change.
        rng: random generator for the change.
    """
    out, stretched = corners.copy(), np.zeros(len(corners), dtype=bool)
    gum = corners[place == 0].reshape(-1, 3)
    tree = cKDTree(gum) if len(gum) else None
    for tooth in chosen:
        crown = find_crown(corners, place, int(tooth))
        own = corners[crown.rows]
        local = (own - crown.foot) @ crown.axes.T
        moved = warp(local, rng) - local
        if tree is not None:
            grown = (tree.query(own)[0] / MARGIN).clip(0, 1)
            moved *= grown[..., None]
            stretched[crown.rows] = (grown < 1).any(axis=1)
        moved = moved @ crown.axes
        # Copies of these corners in other faces move along.
        distance, same = cKDTree(own.reshape(-1, 3)).query(corners, distance_upper_bound=SAME)
        joined = np.isfinite(distance)
        out[joined] += moved.reshape(-1, 3)[same[joined]]
    return out, stretched


def find_crown(corners: np.ndarray, place: np.ndarray, tooth: int) -> Crown:
    """Position and orientation of a tooth: its axis from its surface, the arch direction from its neighbours.

    Args:
        corners, place: see :func:`warped`.
        tooth: place of the tooth; there must be at least one other tooth.
    """
    rows = np.flatnonzero(place == tooth)
    own = corners[rows]
    middles = {int(each): corners[place == each].mean(axis=(0, 1)) for each in np.unique(place[place != 0])}
    # 1. Upwards: the area vectors of an open surface add up to a vector that points from its margin to the bite.
    up = np.cross(own[:, 1] - own[:, 0], own[:, 2] - own[:, 0]).sum(axis=0)
    up /= max(float(np.linalg.norm(up)), 1e-12)
    # 2. Along the arch: from one neighbour to the other. The last tooth has only one neighbour.
    order = sorted(middles)
    at = order.index(tooth)
    along = middles[order[min(at + 1, len(order) - 1)]] - middles[order[max(at - 1, 0)]]
    along -= (along @ up) * up
    along /= max(float(np.linalg.norm(along)), 1e-12)
    # 3. Outwards: perpendicular to both. Places have the same direction in both jaws, and on a scan of any part.
    out = np.cross(up, along)
    # 4. The foot: the middle of the crown, as low as its margin.
    points = own.reshape(-1, 3)
    foot = middles[tooth] + (np.quantile(points @ up, 0.1) - middles[tooth] @ up) * up
    return Crown(rows, foot, np.stack([out, up, along]))


@dataclass(eq=False)
class WarpTeeth(RandomTransform):
    """Grind teeth down, turn them into scan bodies, resize them, or add brackets: see :func:`warp_teeth`.

    Args:
        how: probability of each change.
        spec: specification of the neighbour tables, which are computed again; a graph without tables gets none.
        rng: see :class:`RandomTransform`.

    Shapes:
        - input: a graph of :class:`FaceGraph` with ``y`` [N] classes, mm, in any pose
        - output: the same nodes and edges; labels, see :mod:`toothgraph.transforms.warp_teeth`

    Raises:
        ConfigError: in a call with a graph that has tables, if ``spec`` is None.
        ShapeError: in a call with a graph without labels.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> ground = WarpTeeth(Warps(prepared=1), rng=0)(graph)
        >>> bool(ground.area.sum() < graph.area.sum()), ground.num_nodes == graph.num_nodes
        (True, True)
    """

    how: Warps = Warps(0.25, 0.25, 0.25, 0.25)
    spec: GraphSpec | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kind("how", self.how, Warps)

    def _of_graph(self, graph: Data) -> Data:
        warn_of_own_classes(graph, before_own_classes(self))
        return warp_teeth(graph, self.generator(), self.how, spec_after_move(self, graph, self.spec))
