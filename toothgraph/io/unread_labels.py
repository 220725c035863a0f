"""Hints for messages: what may be the labels of a scan although it is not read as labels, and what to do."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np

from toothgraph.errors import some_of
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.label_colours import CHANNELS, MOST_CLASSES, colours_like_labels

SHOWN = 20  # colours that a message lists: gingiva and the teeth of a jaw
_OF_COLOURS = {"alpha", "a", *chain(*CHANNELS)}


def unread_labels(path: Path, palette_option: str = "--palette", system_option: str = "--label-system") -> str:
    """A text that says what beside a scan or in it may be its labels, and what to do.

    Args:
        path: a scan in which no labels were found.
        palette_option, system_option: the options for the meaning of colours and of numbers.

    Raises:
        MeshError: if the file cannot be read.
    """
    beside = path.with_suffix(".npy")
    if not path.is_dir() and beside.is_file():
        return (
            f"{beside.name} is not read: write it as text, for example "
            f"np.savetxt('{path.stem}.txt', np.load('{beside.name}').ravel(), fmt='%d')"
        )
    stored = read_stored(path)
    for where, data in (("face", stored.face_data), ("vertex", stored.vertex_data)):
        for name, column in data.items():
            if name.lower() not in _OF_COLOURS and _like_labels(np.asarray(column)):
                numbers = f"{np.min(column):g} to {np.max(column):g}"
                return (
                    f"the {where} array `{name}` ({numbers}) is not read: say with {system_option} FILE:SET which "
                    "teeth its numbers are"
                )
    if colours := colours_like_labels(stored):
        shown = some_of([" ".join(map(str, rgb)) for rgb in colours], SHOWN)
        said = f"it has {len(colours)} colours ({shown})"
        return f"{said}: if they are labels, say with {palette_option} FILE:SET what they mean"
    return f"expected a .txt or .json beside it, an array `fdi` or `label` in it, or colours and {palette_option}"


def _like_labels(column: np.ndarray) -> bool:
    """Whether an array [n] has few different numbers, all of them whole."""
    if column.ndim != 1 or column.dtype.kind not in "iuf" or not np.isfinite(column).all():
        return False
    there = np.unique(column)
    return 1 < len(there) <= MOST_CLASSES and bool((there == np.rint(there)).all())
