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
        mended: in words, where the file departs from its format but was still read.
    """

    vertices: np.ndarray
    polygons: np.ndarray
    vertex_data: dict[str, np.ndarray] = field(default_factory=dict)
    face_data: dict[str, np.ndarray] = field(default_factory=dict)
    mended: tuple[str, ...] = ()


def stack_polygons(blocks: list[np.ndarray]) -> np.ndarray:
    """Concatenate blocks [n_i, m_i] of vertex indices to [Σ n_i, max m_i] int64, filled with -1.

    Raises:
        ValueError: if the table would be large and mostly empty.
    """
    width = max((block.shape[1] for block in blocks), default=3)
    rows = sum(len(block) for block in blocks)
    _check_proportion(rows, width, sum(block.size for block in blocks))
    polygons = np.full((rows, max(width, 3)), -1, dtype=np.int64)
    row = 0
    for block in blocks:
        polygons[row : row + len(block), : block.shape[1]] = block
        row += len(block)
    return polygons


def polygons_from(sizes: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Polygons [F, m] from their numbers of corners and from all corners in one array; short rows are filled with -1.

    Args:
        sizes: [F] number of corners of each polygon.
        corners: vertex indices of all polygons, one polygon after the other.

    Raises:
        ValueError: if the sizes and corners do not match, or the table would be large and mostly empty.
    """
    if sizes.min(initial=0) < 0 or sizes.sum() != len(corners):
        raise ValueError(f"its polygons need {sizes.sum()} corners, found {len(corners)}")
    _check_proportion(len(sizes), int(sizes.max(initial=3)), len(corners))
    polygons = np.full((len(sizes), max(int(sizes.max(initial=3)), 3)), -1, dtype=np.int64)
    polygons[np.arange(polygons.shape[1]) < sizes[:, None]] = corners
    return polygons


def _check_proportion(rows: int, width: int, corners: int) -> None:
    """Raise ValueError if a table [rows, width] would be large and mostly empty.

    One polygon of many corners, such as a filled base, would make the row of each triangle as long as its own.
    """
    if rows * width > 100 * corners + 1000:
        raise ValueError(f"a polygon has {width} corners, which is too many")


NO_SURFACE = Stored(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))  # for a file that is only a list of labels


def triangles_of_strips(sizes: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The triangles [T, 3] of triangle strips, and the strip of each triangle [T].

    In a strip, every second triangle is wound the other way; this is corrected.

    Args:
        sizes: number of corners of each strip.
        corners: vertex indices of all strips, one strip after the other.

    Raises:
        ValueError: if the sizes and corners do not match.
    """
    if sizes.min(initial=0) < 0 or sizes.sum() != len(corners):
        raise ValueError(f"its strips need {sizes.sum()} corners, found {len(corners)}")
    counts = np.maximum(sizes - 2, 0)
    strip_of = np.repeat(np.arange(len(sizes)), counts)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)  # within its strip
    start = (np.cumsum(sizes) - sizes)[strip_of] + place
    triangles = corners[start[:, None] + np.arange(3)]
    triangles[place % 2 == 1] = triangles[place % 2 == 1][:, [1, 0, 2]]
    return triangles, strip_of
