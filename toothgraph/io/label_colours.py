"""Labels that a file stores as colours of faces or vertices."""

from __future__ import annotations

import logging

import numpy as np

from toothgraph.fdi import JAW_NAMES, LOWER, UNKNOWN, UNKNOWN_JAW, UPPER
from toothgraph.io.label_columns import LabelColumn, column_of
from toothgraph.io.palette import Palette
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.stored import Stored

_log = logging.getLogger("toothgraph")
_STRANGE = 0.6  # share of the labels without gingiva; if more are not teeth, the palette or label system is wrong
MOST_CLASSES = 40  # colours: 33 classes, and some colours that an editing tool has mixed
CHANNELS = (("red", "green", "blue"), ("r", "g", "b"))


def mostly_strange(strange: int, teeth: int) -> bool:
    """Whether so many labels are neither gingiva nor a tooth that they cannot be single errors.

    Args:
        strange: count of labels that are neither gingiva nor a tooth.
        teeth: count of labels that are a tooth.
    """
    return strange > _STRANGE * (strange + teeth)


def from_colours(mesh: Mesh, stored: Stored, palette: Palette) -> LabelColumn | None:
    """The labels that a palette gives to the colours of a scan.

    Returns:
        The labels; None if the scan has no colours, or most of them are not in the palette.
    """
    colours = {"face": colour_column(stored.face_data), "vertex": colour_column(stored.vertex_data)}
    found = {where: rgb for where, rgb in colours.items() if rgb is not None}
    if not found:
        return None
    where = palette.where if palette.where in found else max(found, key=lambda key: palette.exact_share(found[key]))
    rgb = found[where]
    jaw = palette.jaw_of(rgb)
    if UNKNOWN_JAW not in (jaw, mesh.jaw) and jaw != mesh.jaw:
        _log.warning(
            "%s: its name says %s jaw, but its colours are those of the %s jaw; the colours are used",
            *(mesh.scan_id, JAW_NAMES[mesh.jaw], JAW_NAMES[jaw]),
        )
    jaw = mesh.jaw if jaw == UNKNOWN_JAW else jaw
    of_jaw = {each: palette.of_jaw(each).labels(rgb) for each in (UPPER, LOWER)}
    labels = palette.labels(rgb) if jaw == UNKNOWN_JAW else of_jaw[jaw]
    strange = int((labels == UNKNOWN).sum())
    of_any = np.maximum(of_jaw[UPPER], of_jaw[LOWER])  # counts colours of both jaws: both are in the palette
    none, teeth = int((of_any == UNKNOWN).sum()), int((of_any > 0).sum())
    if mostly_strange(none, teeth):
        _log.warning(
            "%s: %d of %d %s colours are not in palette %s, most often %s, and only %d are colours of its teeth: "
            "the scan counts as not labelled. Is it the palette of these scans?",
            *(mesh.scan_id, none, len(rgb), where, palette.name, _most_often(rgb[of_any == UNKNOWN]), teeth),
        )  # fmt: skip
        return None
    if strange:
        _log.warning(
            "%s: %d of %d %s colours are not in palette %s, most often %s; they count as unknown",
            *(mesh.scan_id, strange, len(labels), where, palette.name, _most_often(rgb[labels == UNKNOWN])),
        )
    return column_of(mesh, labels, per_vertex=where == "vertex")


def _most_often(rgb: np.ndarray) -> list[int]:
    """The colour [3] that occurs most often among [n, 3]."""
    return _by_frequency(rgb)[0]


def _by_frequency(rgb: np.ndarray) -> list[list[int]]:
    """The different colours among [n, 3], the most frequent first."""
    colours, count = np.unique(rgb, axis=0, return_counts=True)
    ordered: list[list[int]] = colours[np.argsort(-count, kind="stable")].tolist()
    return ordered


def colours_like_labels(stored: Stored) -> list[list[int]]:
    """The different face or vertex colours of a scan, if these are so few that they may be labels; else none.

    The most frequent colour comes first; channels are 0 … 255. Photographs of teeth have thousands of colours.
    """
    columns = (colour_column(data) for data in (stored.face_data, stored.vertex_data))
    found = (_by_frequency(rgb) for rgb in columns if rgb is not None)
    return next((colours for colours in found if 1 < len(colours) <= MOST_CLASSES), [])


def colour_column(data: dict[str, np.ndarray]) -> np.ndarray | None:
    """The colours [n, 3] in columns of a file, int64, 0 … 255; None if there are none.

    Floats up to 1 are read as shares of 255.
    """
    for names in CHANNELS:
        if all(name in data for name in names):
            rgb = np.stack([data[name] for name in names], axis=1)
            if rgb.dtype.kind == "f" and len(rgb) and rgb.max() <= 1.0:
                rgb = rgb * 255.0
            return np.clip(np.rint(rgb), 0, 255).astype(np.int64)
    return None
