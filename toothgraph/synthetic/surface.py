"""From a layout of teeth to one open triangle mesh: gum, crowns, and naive surface nets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from toothgraph.fdi import UPPER
from toothgraph.synthetic.crowns import crown_distance, smooth_max, smooth_min
from toothgraph.synthetic.layout import CONTACT, ArchCurve, Tooth

_COLLAR = 0.55  # mm, thickness of the gum around the neck of a tooth: the step at the margin
_REAR = 5.0  # mm of gum behind the last tooth


class SmoothNoise:
    """A smooth random function of position: a sum of plane waves, independent of any grid.

    Args:
        rng: random generator for directions and phases.
        dimensions: dimensions of the positions.
        wavelength: mm.
    """

    def __init__(self, rng: np.random.Generator, dimensions: int, wavelength: float) -> None:
        direction = rng.normal(size=(12, dimensions))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        self.k = direction * (2 * np.pi / wavelength) * rng.uniform(0.6, 1.4, size=(12, 1))
        self.phase = rng.uniform(0, 2 * np.pi, size=12)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Value at each position: [..., dimensions] → [...], mean 0, standard deviation 1."""
        return np.cos(places @ self.k.T + self.phase).sum(axis=-1) / np.sqrt(6.0)


@dataclass(frozen=True)
class Gum:
    """The gum without its collars around the teeth, as a height over the (x, z) plane.

    Attributes:
        jaw: upper (with a palate) or lower.
        curve: the arch curve.
        teeth: the teeth in order along the curve.
        vault: depth of the palate, or of the lingual side, below the margins, mm.
        reach: how far the scan extends below the ridge on the buccal side, mm.
        texture: unevenness of the surface.
        border: unevenness of the scan boundary (slow and fast).
        ragged: scale of ``border``, mm.
    """

    jaw: int
    curve: ArchCurve
    teeth: Sequence[Tooth]
    vault: float
    reach: float
    texture: SmoothNoise
    border: tuple[SmoothNoise, SmoothNoise]
    ragged: float

    def _nearest(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Arc length of the nearest curve point, and signed distance from the ridge (outward positive), mm.

        The ridge is under the necks of the teeth: inside the curve if crowns are inclined outwards.
        """
        _, index = cKDTree(self.curve.points).query(places)
        away = places - self.curve.points[index]
        side = np.sign((away * self.curve.outward[index]).sum(axis=-1))
        lean = [CONTACT * tooth.crown.height * np.sin(np.radians(tooth.crown.torque)) for tooth in self.teeth]
        inward = np.interp(self.curve.along[index], [tooth.along for tooth in self.teeth], lean)
        return self.curve.along[index], side * np.linalg.norm(away, axis=-1) + inward

    def _ridge(self, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Level of the ridge and half of its width at each arc length, mm."""
        teeth, at = self.teeth, [tooth.along for tooth in self.teeth]
        crest = np.interp(along, at, [tooth.origin[1] - 0.8 for tooth in teeth])
        half = np.interp(along, at, [0.36 * tooth.crown.depth for tooth in teeth])
        behind = np.maximum(np.maximum(at[0] - along, along - at[-1]) - 5.0, 0.0)
        return crest - 0.15 * behind, half

    def _buccal_drop(self, signed: np.ndarray, half: np.ndarray) -> np.ndarray:
        """Depth of the gum below the ridge, mm: a steep wall that becomes flat towards the vestibule."""
        beyond = np.maximum(signed - 0.6 * half, 0.0)
        return 9.0 * (1.0 - np.exp(-((beyond / 3.6) ** 1.5)))

    def height(self, places: np.ndarray) -> np.ndarray:
        """Level of the gum, mm. [..., 2] → [...]."""
        along, signed = self._nearest(places)
        crest, half = self._ridge(along)
        inside = np.maximum(-signed - 0.6 * half, 0.0)
        if self.jaw == UPPER:
            level = np.mean([tooth.origin[1] for tooth in self.teeth]) - 1.0
            crest = level + (crest - level) * np.exp(-((inside / 6.0) ** 2))
            lingual = self.vault * (1.0 - np.exp(-((inside / 8.5) ** 1.6)))
            lingual -= self._rugae(places, inside)
        else:
            lingual = self.vault * (1.0 - np.exp(-((inside / 4.4) ** 1.5)))
        drop = np.where(signed > 0, self._buccal_drop(signed, half), lingual)
        return crest - drop + 0.15 * self.texture(places)

    def _rugae(self, places: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Palatal rugae: transverse folds at the front of the palate, height in mm."""
        forward, sideways = places[..., 0], places[..., 1]
        window = np.exp(-(((forward - 10.0) / 6.0) ** 4) - (sideways / 11.0) ** 4) * (
            1 - np.exp(-((inside / 3.0) ** 2))
        )
        raphe = 1.0 - np.exp(-((sideways / 1.2) ** 2))
        wave = np.sin(2 * np.pi * (forward + 0.2 * np.abs(sideways)) / 3.6 + 1.2 * self.texture(places))
        return 0.45 * window * raphe * wave

    def keeps(self, places: np.ndarray) -> np.ndarray:
        """Whether the scan includes each position. [..., 2] → [...], bool."""
        along, signed = self._nearest(places)
        _, half = self._ridge(along)
        slow, fast = (wave(places) for wave in self.border)
        rough = self.ragged * (1.2 * slow + 0.5 * fast)
        last = max(abs(tooth.along) + 0.5 * tooth.crown.width for tooth in self.teeth)
        outer = self._buccal_drop(signed, half) < np.minimum(self.reach + 0.7 * rough, 8.6)
        rear = np.abs(along) < last + _REAR + rough
        if self.jaw == UPPER:
            back = min(tooth.origin[0] - 0.5 * tooth.crown.width for tooth in self.teeth) - _REAR
            return outer & (rear | (signed < 0)) & (places[..., 0] > back + rough)
        return outer & rear & (signed > -half - 0.7 * self.reach - 0.7 * rough)


def _local(tooth: Tooth, points: np.ndarray) -> list[np.ndarray]:
    """Points in the tooth's frame: three arrays, distal, buccal, axial."""
    local = (points - tooth.origin) @ tooth.axes.T
    return [local[..., axis] for axis in range(3)]


def tooth_distance(tooth: Tooth, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Implicit functions of a tooth's crown and of the gum's collar around its neck. [..., 3] → 2 × [...]."""
    a, b, c = _local(tooth, points)
    crown = crown_distance(tooth.crown, a, b, c)
    # The margin is scalloped: low in the middle of the buccal and lingual sides, high between neighbours.
    wide, deep = (a / tooth.crown.width) ** 2, (b / tooth.crown.depth) ** 2
    proximal = (wide / np.maximum(wide + deep, 1e-9)) ** 2
    margin = np.where(a < 0, *tooth.papillae) * proximal
    return crown, smooth_max(crown - _COLLAR, c - margin, 0.9)


def _box(tooth: Tooth) -> tuple[np.ndarray, np.ndarray]:
    """Corners of an axis-aligned box around the tooth and its collar. [3] and [3]."""
    reach = np.array([tooth.crown.width / 2 + 2.0, tooth.crown.depth / 2 + 2.0])
    signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (0, 1)])
    local = np.where(signs[:, 2:] == 1, tooth.crown.height + 1.0, -6.0) * [0, 0, 1]
    local[:, :2] = signs[:, :2] * reach
    corners = tooth.origin + local @ tooth.axes
    return corners.min(axis=0), corners.max(axis=0)


def arch_surface(gum: Gum, step: float, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dense surface of the arch.

    Args:
        gum: the gum and its teeth.
        step: edge length of the grid cubes, mm.
        shift: [3], offset of the grid, in steps.

    Returns:
        vertices [V, 3] and faces [F, 3], normals outward; vertices outside the scan are still included.
    """
    # 1. A grid around all teeth.
    boxes = np.array([_box(tooth) for tooth in gum.teeth])
    low = boxes[:, 0].min(axis=0) - 8.0 + shift * step
    high = boxes[:, 1].max(axis=0) + np.array([7.0, 1.0, 7.0])
    axes = [np.arange(low[i], high[i], step) for i in range(3)]
    columns = np.stack(np.meshgrid(axes[0], axes[2], indexing="ij"), axis=-1)
    # 2. The gum: approximate distance to its height field.
    height = gaussian_filter(gum.height(columns), 0.6 / step)
    slope = np.hypot(*np.gradient(height, step))
    low[1] = height.min() - (2 + shift[1]) * step
    axes[1] = np.arange(low[1], high[1], step)
    field = ((axes[1][None, :, None] - height[:, None, :]) / np.sqrt(1 + slope**2)[:, None, :]).astype(np.float32)
    # 3. Collars are blended into the gum; crowns are kept apart.
    crowns = np.full_like(field, 1e3)
    for tooth, box in zip(gum.teeth, boxes, strict=True):
        span = tuple(slice(*np.searchsorted(axes[i], box[:, i])) for i in range(3))
        points = np.stack(np.meshgrid(*(axes[i][span[i]] for i in range(3)), indexing="ij"), axis=-1)
        crown, collar = tooth_distance(tooth, points.astype(np.float32))
        field[span] = smooth_min(field[span], collar, 2.2)
        crowns[span] = np.minimum(crowns[span], crown)
    # 4. The zero surface of both, cut to the extent of a scan.
    vertices, faces = surface_nets(np.minimum(field, crowns))
    vertices = vertices * step + [axis[0] for axis in axes]
    kept = gum.keeps(vertices[:, [0, 2]]) | _close_to_teeth(gum, vertices)
    return vertices, faces[kept[faces].all(axis=1)]


def _close_to_teeth(gum: Gum, points: np.ndarray) -> np.ndarray:
    """Points on crowns and collars, which are always kept: no boundary crosses a tooth. [P, 3] → [P], bool."""
    close = np.zeros(len(points), dtype=bool)
    for tooth in gum.teeth:
        low, high = _box(tooth)
        near = np.flatnonzero(((points > low) & (points < high)).all(axis=1))
        close[near] |= np.minimum(*tooth_distance(tooth, points[near])) < 0.5
    return close


def label_points(gum: Gum, points: np.ndarray) -> np.ndarray:
    """FDI number of the crown at each surface point; 0 for gum. [P, 3] → [P]."""
    labels = np.zeros(len(points), dtype=np.int64)
    gum_distance = np.full(len(points), np.inf)
    nearest = np.full(len(points), np.inf)
    for tooth in gum.teeth:
        low, high = _box(tooth)
        near = np.flatnonzero(((points > low) & (points < high)).all(axis=1))
        crown, collar = tooth_distance(tooth, points[near])
        gum_distance[near] = np.minimum(gum_distance[near], collar)
        closer = crown < nearest[near]
        nearest[near[closer]] = crown[closer]
        labels[near[closer]] = tooth.fdi
    # On the surface of a crown, its function is near zero and not larger than the functions of the collars.
    labels[(nearest > gum_distance) | (nearest > 0.35)] = 0
    return labels


def surface_nets(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Zero surface of a sampled function by naive surface nets: one vertex per crossed cube.

    Source: Gibson, MICCAI 1998, https://doi.org/10.1007/BFb0056277

    Args:
        field: [X, Y, Z], negative inside.

    Returns:
        vertices [V, 3] in grid steps, and triangles [F, 3] with normals towards positive values.
    """
    # 1. Cubes with corners on both sides.
    inside = field < 0
    shape = np.array(field.shape) - 1
    corners = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    count = np.zeros(shape, dtype=np.int8)
    for corner in corners:
        count += inside[tuple(slice(c, c + n) for c, n in zip(corner, shape, strict=True))]
    cells = np.argwhere((count > 0) & (count < 8))
    index = np.full(shape, -1, dtype=np.int64)
    index[tuple(cells.T)] = np.arange(len(cells))
    # 2. The vertex of a cube is the mean of the zero crossings on its edges; each crossed grid edge gives a quad.
    total, crossings = np.zeros((len(cells), 3)), np.zeros((len(cells), 1))
    quads = []
    for axis in range(3):
        unit = np.eye(3, dtype=np.int64)[axis]
        for corner in (c for c in corners if c[axis] == 0):
            start, stop = (field[tuple((cells + offset).T)] for offset in (corner, corner + unit))
            crossed = np.flatnonzero((start < 0) != (stop < 0))
            share = start[crossed] / (start[crossed] - stop[crossed])
            total[crossed] += cells[crossed] + corner + share[:, None] * unit
            crossings[crossed] += 1
        quads.append(_quads(inside, index, axis))
    return total / crossings, _split(np.concatenate(quads), total / crossings)


def _quads(inside: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    """A quad of cube vertices around every grid edge along ``axis`` that crosses the surface. [Q, 4]."""
    u, v = np.eye(3, dtype=np.int64)[[(axis + 1) % 3, (axis + 2) % 3]]
    begin = [slice(1, -1)] * 3
    begin[axis] = slice(0, -1)
    end = list(begin)
    end[axis] = slice(1, None)
    edges = np.argwhere(inside[tuple(begin)] != inside[tuple(end)]) + 1
    edges[:, axis] -= 1
    ring = np.stack([index[tuple((edges - offset).T)] for offset in (u + v, v, 0 * u, u)], axis=1)
    leaving = inside[tuple(edges.T)]
    return np.where(leaving[:, None], ring, ring[:, ::-1])


def _split(quads: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Cut quads along their shorter diagonal. [Q, 4] → [2Q, 3]."""
    corner = vertices[quads]
    first = np.linalg.norm(corner[:, 0] - corner[:, 2], axis=1)
    second = np.linalg.norm(corner[:, 1] - corner[:, 3], axis=1)
    turned = np.where((first <= second)[:, None], quads, np.roll(quads, -1, axis=1))
    return np.concatenate([turned[:, [0, 1, 2]], turned[:, [0, 2, 3]]])
