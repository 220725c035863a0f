"""Checks of arguments: indices, points, edges and random generators.

Wrong indices raise an error here, before compiled code reads them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from toothgraph.errors import ShapeError
from toothgraph.fdi import are_whole


def checked_indices(name: str, index: Any, count: int | None, of: str) -> np.ndarray:
    """Indices as an array, after a check that they are in range.

    Args:
        name: name of the argument, for the message.
        index: whole numbers, any shape.
        count: how many things can be indexed; None if only negative numbers are wrong.
        of: what is indexed, for the message.

    Raises:
        ShapeError: for numbers that are not whole, negative or too large.
    """
    index = np.asarray(index)
    if index.size == 0:
        return index if index.dtype.kind in "iu" else index.astype(np.int64)
    if index.dtype.kind not in "iu":
        if index.dtype.kind != "f" or not are_whole(index).all():
            raise ShapeError(f"expected {name} as whole numbers of {of}, got {index.dtype}")
        index = index.astype(np.int64)
    low, high = int(index.min()), int(index.max())
    if low < 0 or (count is not None and high >= count):
        wanted = "of at least 0" if count is None else f"from 0 to {count - 1}, of {count} {of}"
        raise ShapeError(f"expected {name} {wanted}, got {low} to {high}")
    return index


def check_generator(rng: object) -> None:
    """Raise an error if ``rng`` is not a random generator of numpy.

    Raises:
        ShapeError: for any other object.
    """
    if not isinstance(rng, np.random.Generator):
        raise ShapeError(f"expected a random generator, got {rng!r}; numpy.random.default_rng(seed) makes one")


def checked_point(name: str, point: Any, todo: str = "") -> np.ndarray:
    """A point [3], mm, as an array, after a check.

    Args:
        name: name of the argument, for the message.
        point: three finite numbers.
        todo: end of the message for a single number, on what else may be meant.

    Raises:
        ShapeError: for anything else.
    """
    given = np.asarray(point)
    if given.shape == (3,) and given.dtype.kind in "iuf" and np.isfinite(given).all():
        return given
    if given.ndim == 0:
        found = f"{point!r}{todo}"
    else:
        found = str(given.tolist()) if given.shape == (3,) else f"{list(given.shape)} of {given.dtype}"
    raise ShapeError(f"expected {name} [3] mm, three finite numbers, got {found}")


def checked_edges(edge_index: Any, count: int) -> np.ndarray:
    """An ``edge_index`` [2, E] between ``count`` nodes as an array, after a check.

    Raises:
        ShapeError: for another shape, or for nodes that do not exist.
    """
    shape = np.shape(edge_index)
    if len(shape) != 2 or shape[0] != 2:
        raise ShapeError(f"expected edge_index [2, E], got {list(shape)}")
    return checked_indices("edge_index", edge_index, count, "nodes")
