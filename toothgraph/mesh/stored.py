"""The content of a surface file before cleaning."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Stored:
    """The content of a surface file.

    Attributes:
        vertices: [V0, 3] float64, in the unit of the file.
        polygons: [F0, m] int64 indices into ``vertices``; short rows are filled with -1.
        vertex_data: further columns per vertex by name, each [V0] (colours, labels).
        face_data: further columns per polygon by name, each [F0].
    """

    vertices: np.ndarray
    polygons: np.ndarray
    vertex_data: dict[str, np.ndarray] = field(default_factory=dict)
    face_data: dict[str, np.ndarray] = field(default_factory=dict)


def stack_polygons(blocks: list[np.ndarray]) -> np.ndarray:
    """Concatenate blocks [n_i, m_i] of vertex indices to [Σ n_i, max m_i] int64, filled with -1."""
    width = max((block.shape[1] for block in blocks), default=3)
    polygons = np.full((sum(len(block) for block in blocks), max(width, 3)), -1, dtype=np.int64)
    row = 0
    for block in blocks:
        polygons[row : row + len(block), : block.shape[1]] = block
        row += len(block)
    return polygons
