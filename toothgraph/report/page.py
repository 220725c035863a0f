"""A self-contained HTML page with a labelled scan: rotate, zoom, show and hide teeth."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.anatomy.colours import COLOUR_OF_FDI
from toothgraph.anatomy.frame import viewing_frame
from toothgraph.errors import ConfigError
from toothgraph.fdi import LOWER, jaw_of_labels
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.tooth_table import ToothRow, tooth_table
from toothgraph.system.files import write_text

UNKNOWN = 255  # the byte for FDI -1


def write_page(
    path: str | Path,
    mesh: Mesh,
    labels: np.ndarray,
    *,
    title: str | None = None,
    confidence: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    teeth: list[ToothRow] | None = None,
    doubts: Sequence[str] = (),
) -> None:
    """Write an HTML page that shows a labelled scan. It needs no network and no other files.

    Args:
        path: the HTML file.
        mesh: F faces.
        labels: [F] FDI numbers.
        title: title; by default the name of the scan.
        confidence: [F] probabilities of the labels, as a second colouring.
        truth: [F] FDI numbers, as a third colouring: wrong labels.
        teeth: the table of these labels, if already computed.
        doubts: what a person should review.

    Raises:
        ConfigError: for a mesh without faces, or values of another length.
    """
    content = json.dumps(page_data(mesh, labels, title or mesh.scan_id, confidence, truth, teeth, doubts))
    template = resources.files("toothgraph.report").joinpath("page.html").read_text(encoding="utf-8")
    # A scan's name may contain any text: `</script>` in it must not end the script.
    write_text(path, template.replace("__DATA__", content.replace("<", "\\u003c")))


def page_data(
    mesh: Mesh,
    labels: np.ndarray,
    title: str,
    confidence: np.ndarray | None,
    truth: np.ndarray | None,
    teeth: list[ToothRow] | None = None,
    doubts: Sequence[str] = (),
) -> dict[str, Any]:
    """The data for the script of the page, arrays as base64; arguments and errors as in :func:`write_page`."""
    for name, values in (("labels", labels), ("confidence", confidence), ("truth", truth)):
        if values is not None and np.shape(values) != (len(mesh.faces),):
            raise ConfigError(
                f"{mesh.scan_id}: expected {len(mesh.faces)} {name}, one per face, got {np.shape(values)}"
            )
    if len(mesh.faces) == 0:
        raise ConfigError(f"{mesh.scan_id}: expected a mesh with faces, got none")
    points = mesh.vertices @ viewing_frame(mesh, labels)[[0, 2, 1]].T  # x forward, y to the bite
    points -= (points.min(axis=0) + points.max(axis=0)) / 2
    table = tooth_table(mesh, labels, confidence) if teeth is None else teeth
    return {
        "title": title,
        "about": f"{len(mesh.faces):,} faces, {sum(row.fdi > 0 for row in table)} teeth",
        "doubts": list(doubts),
        "lower": jaw_of_labels(labels) == LOWER,
        "radius": float(np.linalg.norm(points, axis=1).max()),
        "points": _text(points.astype("<f4")),
        "faces": _text(mesh.faces.astype("<u4")),
        "labels": _text(_bytes(labels)),
        "confidence": None if confidence is None else _text(np.rint(255 * np.clip(confidence, 0, 1)).astype("u1")),
        "truth": None if truth is None else _text(_bytes(truth)),
        "colours": {UNKNOWN if fdi < 0 else fdi: list(colour) for fdi, colour in COLOUR_OF_FDI.items()},
        "teeth": [asdict(row) for row in table],
    }


def _bytes(fdi: np.ndarray) -> np.ndarray:
    return np.where((fdi >= 0) & (fdi < UNKNOWN), fdi, UNKNOWN).astype("u1")


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
