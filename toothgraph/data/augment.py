"""Random motion, scale, stretch, bending, mirror and jitter of a face graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn.functional import normalize
from torch_geometric.data import Data

from toothgraph.mesh.numbering import mirror_classes

_MIRROR_CLASS = torch.from_numpy(mirror_classes())


@dataclass(frozen=True)
class Augmentation:
    """How far a graph may be moved.

    Attributes:
        rotation: degrees about a random axis; 180 stands for any rotation, uniformly.
        scale: largest relative change of size.
        stretch: largest relative change of length along each axis of the scan, on top of ``scale``.
        elastic: mm, standard deviation of a smooth random displacement of the surface (:class:`Waves`).
        translation: mm, standard deviation per axis.
        jitter: mm, standard deviation of each node's position, cut at three times that.
        normal_jitter: standard deviation added to each component of a normal before it is normalised again.
        mirror: probability of a left-right mirror image; the labels change sides with it.
    """

    rotation: float = 180.0
    scale: float = 0.1
    stretch: float = 0.0
    elastic: float = 0.0
    translation: float = 2.0
    jitter: float = 0.05
    normal_jitter: float = 0.03
    mirror: float = 0.0


STILL = Augmentation(rotation=0.0, scale=0.0, translation=0.0, jitter=0.0, normal_jitter=0.0)


def random_rotation(rng: np.random.Generator, degrees: float) -> np.ndarray:
    """[3, 3] rotation: uniform over all rotations for 180°, else a random axis and an angle up to ``degrees``."""
    if degrees >= 180:
        return Rotation.from_quat(rng.normal(size=4)).as_matrix()
    axis = rng.normal(size=3)
    angle = np.deg2rad(rng.uniform(-degrees, degrees))
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()


class Waves:
    """A smooth random displacement of space: a few plane waves, 30 to 80 mm long.

    Arches get other widths and depths, teeth other sizes beside their neighbours; at 1 mm of displacement a
    length of some millimetres changes by about a tenth.

    Args:
        rng: draws the waves.
        sigma: mm, standard deviation of the displacement along each axis.
    """

    COUNT = 6
    LENGTHS = (30.0, 80.0)  # mm

    def __init__(self, rng: np.random.Generator, sigma: float) -> None:
        direction = rng.normal(size=(self.COUNT, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        vectors = 2 * np.pi * direction / rng.uniform(*self.LENGTHS, size=(self.COUNT, 1))
        self.vectors = torch.from_numpy(vectors.astype(np.float32))  # [W, 3], per mm
        self.phases = torch.from_numpy(rng.uniform(0, 2 * np.pi, size=self.COUNT).astype(np.float32))
        shifts = rng.normal(size=(self.COUNT, 3)) * sigma * np.sqrt(2 / self.COUNT)  # a sine squared is a half
        self.shifts = torch.from_numpy(shifts.astype(np.float32))  # [W, 3], mm

    def __call__(self, points: Tensor) -> Tensor:
        """Displacements [..., 3] of points [..., 3], mm."""
        return torch.sin(points @ self.vectors.T + self.phases) @ self.shifts


def _noise(rng: np.random.Generator, size: int, sigma: float) -> Tensor:
    return torch.from_numpy((sigma * rng.standard_normal((size, 3)).clip(-3, 3)).astype(np.float32))


def augment(data: Data, rng: np.random.Generator, how: Augmentation) -> Data:
    """A moved copy. ``x``, ``pos``, ``normal`` and ``area`` stay consistent; tables and edges are shared with ``data``.

    Corners are moved, and normals and areas follow from them. A mirror image swaps two corners, to keep the
    winding that gives an outward normal.
    """
    matrix = random_rotation(rng, how.rotation)
    matrix = matrix * (1 + rng.uniform(-how.scale, how.scale)) * (1 + rng.uniform(-1, 1, size=3) * how.stretch)
    shift = torch.from_numpy((rng.normal(size=3) * how.translation).astype(np.float32))
    mirrored = bool(rng.uniform() < how.mirror)
    vectors = data.x[:, :12].view(-1, 4, 3)  # position, three corner offsets
    if mirrored:
        matrix = matrix * np.array([1.0, 1.0, -1.0])  # reflect z first
        vectors = vectors[:, [0, 1, 3, 2]]
    vectors = vectors @ torch.from_numpy(matrix.T.astype(np.float32))
    pos, offsets = vectors[:, 0], vectors[:, 1:]
    if how.elastic > 0:
        displaced = Waves(rng, how.elastic)(pos[:, None] + offsets)  # [N, 3 corners, 3]
        centre = displaced.mean(dim=1)
        pos, offsets = pos + centre, offsets + displaced - centre[:, None]
    doubled = torch.linalg.cross(offsets[:, 1] - offsets[:, 0], offsets[:, 2] - offsets[:, 0])

    n = data.num_nodes
    pos = pos + shift + _noise(rng, n, how.jitter)
    normal = normalize(normalize(doubled, dim=1) + _noise(rng, n, how.normal_jitter), dim=1)
    out = Data(**dict(data.items()))
    out.x = torch.cat([pos, offsets.flatten(1), normal], dim=1)
    out.pos, out.normal, out.area = pos, normal, doubled.norm(dim=1) / 2
    if mirrored and "y" in data:
        out.y = torch.where(data.y >= 0, _MIRROR_CLASS[data.y.clamp_min(0)], data.y)
    return out
