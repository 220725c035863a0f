from __future__ import annotations

import numpy as np
import pytest

from toothgraph.mesh.mesh import Mesh


@pytest.fixture
def patch() -> Mesh:
    """A wavy sheet of 40 × 40 mm, 3200 faces, in four strips: gingiva, 11, 12 and unknown."""
    n = 41
    x, y = np.meshgrid(np.linspace(0, 40, n), np.linspace(0, 40, n), indexing="ij")
    vertices = np.stack([x, y, 2 * np.sin(x / 4) * np.cos(y / 5)], axis=-1).reshape(-1, 3)
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    faces = np.concatenate(
        [
            np.stack([corner, corner + n, corner + 1], axis=1),
            np.stack([corner + 1, corner + n, corner + n + 1], axis=1),
        ]
    )
    strip = (vertices[faces].mean(axis=1)[:, 0] // 10).astype(int)
    return Mesh(vertices, faces, labels=np.array([0, 11, 12, -1])[strip], scan_id="patch")
