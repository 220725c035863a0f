"""Random rigid motion, scale, mirror and jitter of a face graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch_geometric.data import Data

from toothgraph.mesh.numbering import mirror_classes

_MIRROR_CLASS = torch.from_numpy(mirror_classes())


@dataclass(frozen=True)
class Augmentation:
    """How far a graph may be moved.

    Attributes:
        rotation: degrees about a random axis; 180 stands for any rotation, uniformly.
        scale: largest relative change of size.
        translation: mm, standard deviation per axis.
        jitter: mm, standard deviation of each node's position, cut at three times that.
        normal_jitter: standard deviation added to each component of a normal before it is normalised again.
        mirror: probability of a left-right mirror image; the labels change sides with it.
    """

    rotation: float = 180.0
    scale: float = 0.1
    translation: float = 2.0
    jitter: float = 0.05
    normal_jitter: float = 0.03
    mirror: float = 0.0


def random_rotation(rng: np.random.Generator, degrees: float) -> np.ndarray:
    """[3, 3] rotation: uniform over all rotations for 180°, else a random axis and an angle up to ``degrees``."""
    if degrees >= 180:
        return Rotation.from_quat(rng.normal(size=4)).as_matrix()
    axis = rng.normal(size=3)
    angle = np.deg2rad(rng.uniform(-degrees, degrees))
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()


def _noise(rng: np.random.Generator, size: int, sigma: float) -> Tensor:
    return torch.from_numpy((sigma * rng.standard_normal((size, 3)).clip(-3, 3)).astype(np.float32))


def augment(data: Data, rng: np.random.Generator, how: Augmentation) -> Data:
    """A moved copy. ``x``, ``pos`` and ``normal`` stay consistent; tables and edges are shared with ``data``.

    ``x`` is five 3-vectors per node (position, three corner offsets, normal), so one matrix moves them all.
    A mirror image swaps two corner offsets, to keep the winding that gives an outward normal.
    """
    matrix = random_rotation(rng, how.rotation)
    size = 1 + rng.uniform(-how.scale, how.scale)
    shift = rng.normal(size=3) * how.translation
    mirrored = bool(rng.uniform() < how.mirror)
    vectors = data.x.view(-1, 5, 3)
    if mirrored:
        matrix = matrix * np.array([1.0, 1.0, -1.0])  # reflect z, then rotate
        vectors = vectors[:, [0, 1, 3, 2, 4]]
    moved = vectors @ torch.from_numpy(matrix.T.astype(np.float32))  # [N, 5, 3]

    n = data.num_nodes
    pos = moved[:, 0] * size + torch.from_numpy(shift.astype(np.float32)) + _noise(rng, n, how.jitter)
    offsets = moved[:, 1:4] * size
    normal = torch.nn.functional.normalize(moved[:, 4] + _noise(rng, n, how.normal_jitter), dim=1)

    out = Data(**dict(data.items()))
    out.x = torch.cat([pos, offsets.flatten(1), normal], dim=1)
    out.pos, out.normal, out.area = pos, normal, data.area * size**2
    if mirrored and "y" in data:
        out.y = torch.where(data.y >= 0, _MIRROR_CLASS[data.y.clamp_min(0)], data.y)
    return out
