"""The labels with which the review of a scan begins: its own, or those that a model finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.anatomy.doubt import Doubt
from toothgraph.anatomy.frame import outside_out, upright_rotation
from toothgraph.both_jaws import JawPair, segment_file
from toothgraph.fdi import jaw_of_teeth
from toothgraph.io.label_folder import with_labels_of
from toothgraph.io.label_record import check_name
from toothgraph.io.labels import read_scan
from toothgraph.io.said import Said, said_of_labels
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.nets import SegmentationNet
from toothgraph.report.doubts import doubts_now
from toothgraph.report.picture import thumbnail_text
from toothgraph.report.tooth_table import confidences
from toothgraph.review.store import Start


def begin(mesh: Mesh, net: Callable[[], SegmentationNet], predict: bool, folder: Path | None = None) -> Start:
    """The labels with which the review of a scan begins.

    Labels that are in the folder of the review already go first, as ``predict`` or ``renumber`` has left them. Then
    come the labels of the scan itself, and last those that the net finds.

    Args:
        mesh: the scan as read, with its labels if it has any.
        net: gives the net; only called where it is needed.
        predict: whether the net also labels scans that have labels of their own.
        folder: the folder of the review, where labels may be already.

    Raises:
        LabelError: if labels in the folder do not fit the scan.
    """
    held = with_labels_of(folder, mesh.scan_id, mesh, primary=True) if folder else None
    if folder and held:
        return _own(held, folder / f"{mesh.scan_id}.json", f"in {folder}")
    if mesh.labels is None or predict:
        return _found(mesh, net())
    return _own(mesh, mesh.path, "in the folder of the scan")


def read_for_review(path: Path, name: str, reading: dict[str, Any]) -> Mesh:
    """A scan with its own labels, under the name that it has in the review.

    Raises:
        ConfigError: if the files of the scan would replace the record of another scan.
        ToothgraphError: if the scan cannot be read.
    """
    check_name(name)
    return replace(read_scan(path, **reading, primary=True), scan_id=name)


def _own(mesh: Mesh, beside: Path | None, where: str) -> Start:
    assert mesh.labels is not None
    seen = outside_out(mesh, upright_rotation(mesh))
    said = said_of_labels(beside, mesh.label_origin) if beside else Said()
    there = np.unique(mesh.labels).tolist()
    teeth = {fdi: said.confidence[fdi] for fdi in there if fdi in said.confidence}
    return _start(seen, seen is not mesh, mesh.labels, said.on_faces(mesh.labels), teeth, mesh.label_origin.model,
                  doubts_now(mesh, said.doubts), f"{mesh.label_origin}, {where}")  # fmt: skip


def _found(mesh: Mesh, net: SegmentationNet) -> Start:
    found = segment_file(mesh, net)
    inside_out, model = all(jaw.prediction.inside_out for jaw in found.jaws), found.jaws[0].model
    seen = mesh.inside_out() if inside_out and isinstance(found, JawPair) else found.mesh
    return _start(seen, inside_out, found.labels, found.confidence, confidences(found.teeth), model, found.warnings,
                  f"found by {model}" if model else "found by a model")  # fmt: skip


def _start(
    seen: Mesh, inside_out: bool, labels: np.ndarray, confidence: np.ndarray | None, teeth: dict[int, float],
    model: str, doubts: list[Doubt], source: str,
) -> Start:  # fmt: skip
    tooth, sure = labels > 0, None
    if confidence is not None and (known := tooth & ~np.isnan(confidence)).any():
        sure = float(np.average(confidence[known], weights=np.maximum(seen.areas[known], 1e-12)))
    jaw = jaw_of_teeth(labels) if tooth.any() else seen.jaw
    return Start(labels, confidence, model, jaw, inside_out, list(doubts), teeth, sure, thumbnail_text(seen, labels),
                 source)  # fmt: skip
