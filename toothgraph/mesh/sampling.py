"""Points on a surface."""

from __future__ import annotations

import numpy as np


def sample_surface(corners: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random points on triangles, spread evenly by area.

    Args:
        corners: [F, 3 corners, 3].
        count: number of points P.
        rng: random generator that draws them.

    Returns:
        [P, 3].
    """
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    area = np.maximum(area, 1e-12)
    face = corners[rng.choice(len(corners), count, p=area / area.sum())]
    a, b = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    points: np.ndarray = (1 - a) * face[:, 0] + a * (1 - b) * face[:, 1] + a * b * face[:, 2]
    return points
