"""Score a net, or the labels that another program found, on labelled scans."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.anatomy.jaw_parts import jaw_parts, shows_both_jaws
from toothgraph.anatomy.molars import counts_past_gap
from toothgraph.anatomy.mouth import KINDS, kind_of_mouth
from toothgraph.both_jaws import segment_file
from toothgraph.errors import LabelError
from toothgraph.fdi import JAW_NAMES, UNKNOWN, UNKNOWN_JAW, jaw_of_labels
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.predict import Prediction
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import Palette
from toothgraph.io.predictions import Labels, Predictions, read_predictions
from toothgraph.io.unread_labels import unread_labels
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import (
    faces_from_original,
    faces_to_original,
    original_of,
    scan_of_part,
    surface_digest,
    vertices_of_part,
    vertices_to_original,
)
from toothgraph.metrics import confusion, per_tooth, score_scan, summarise
from toothgraph.model.nets import SegmentationNet
from toothgraph.scan_names import jaw_from_name, lasting
from toothgraph.stages import stage

_log = logging.getLogger("toothgraph")


@dataclass(frozen=True)
class Scored:
    """The row of scores of a scan, and the counts from which the per-tooth table is computed."""

    row: dict[str, Any]
    confusion: np.ndarray


def score_file(
    net: SegmentationNet,
    file: Path,
    *,
    jaw: int | None = None,
    palette: Palette | None = None,
    unit: str = "mm",
    label_system: str = "auto",
    scan_id: str | None = None,
    options: PredictOptions | None = None,
) -> Scored:
    """Read, label and score one scan; the net gets no information from the true labels, not even the jaw.

    Args:
        net: in evaluation mode.
        file: the scan.
        jaw: 0 upper, 1 lower; None takes it from the file's name, or lets the net decide if the name does not tell.
        palette, unit, label_system, scan_id: see :func:`toothgraph.io.labels.read_scan`.
        options: which steps of prediction are taken; by default all of them.

    Raises:
        MeshError: if the surface cannot be read.
        LabelError: if it has no labels, or they do not fit.
    """
    start = time.perf_counter()
    mesh = _labelled(file, jaw, palette, unit, label_system, scan_id)
    # Not mesh.jaw: if the name does not tell the jaw, mesh.jaw comes from the labels.
    found = segment_file(mesh, net, jaw_from_name(file) if jaw is None else jaw, options)
    seconds = time.perf_counter() - start
    return _score(mesh, _on_file(mesh, found.labels), found.jaw_name, seconds)


def _on_file(mesh: Mesh, labels: np.ndarray) -> Labels:
    """Transfer the labels [F] of the clean faces to the faces and vertices of the file."""
    return Labels(faces_to_original(mesh, labels), vertices_to_original(mesh, labels))


def _score(mesh: Mesh, found: Labels, found_jaw: str | None, seconds: float | None) -> Scored:
    """The scores of a file, see :func:`score_labels`; for a file with both jaws, the mean of both jaws."""
    parts, guessed = jaw_parts(mesh), mesh.label_origin.guessed
    if not parts:
        return _guessed(score_labels(mesh, found, found_jaw, seconds), guessed_true_system=guessed)
    faces = faces_from_original(mesh, found.faces)
    jaws = []
    for jaw, part in enumerate(parts):
        own = Labels(faces[part], vertices_of_part(mesh, part, found.vertices))
        jaws.append(score_labels(replace(scan_of_part(mesh, part), jaw=jaw), own, found_jaw, seconds))
    rows = [jaw.row for jaw in jaws]
    row = {
        **rows[0], "faces": len(original_of(mesh).polygons), "surface": surface_digest(mesh), "jaw": "both",
        "file": str(mesh.path and lasting(mesh.path)),
        "mouth": max((row["mouth"] for row in rows), key=KINDS.index), "counted": any(row["counted"] for row in rows),
        "labels": str(mesh.label_origin), **summarise(rows),
    }  # fmt: skip
    return _guessed(Scored(row, np.sum([jaw.confusion for jaw in jaws], axis=0)), guessed_true_system=guessed)


def _guessed(scored: Scored, **systems: str) -> Scored:
    """Add the label systems that were guessed to the row of a scan; empty ones are left out."""
    return replace(scored, row={**scored.row, **{key: system for key, system in systems.items() if system}})


def score_other(
    predictions: Predictions,
    file: Path,
    *,
    jaw: int | None = None,
    palette: Palette | None = None,
    unit: str = "mm",
    label_system: str = "auto",
    scan_id: str | None = None,
) -> Scored:
    """Score the labels that another program found for a scan, by the same definitions as the labels of a net.

    Args:
        predictions: where the labels of the other program are.
        file, jaw, palette, unit, label_system, scan_id: the scan and its true labels, see :func:`score_file`.

    Raises:
        MeshError: if a surface cannot be read.
        LabelError: if the true labels or those of the other program are missing, or do not fit.
    """
    mesh = _labelled(file, jaw, palette, unit, label_system, scan_id)
    labels = read_predictions(mesh, file, predictions, scan_id)
    scored = _score(mesh, labels, _jaw_name(labels.faces), None)
    return _guessed(scored, guessed_system=labels.guessed_system)


def _jaw_name(labels: np.ndarray) -> str | None:
    """The name of the jaw that labels show, or ``both``; None without teeth."""
    if shows_both_jaws(labels):
        return "both"
    jaw = jaw_of_labels(labels)
    return None if jaw == UNKNOWN_JAW else JAW_NAMES[jaw]


def _labelled(
    file: Path, jaw: int | None, palette: Palette | None, unit: str, label_system: str, scan_id: str | None
) -> Mesh:
    mesh = read_scan(file, unit=unit, palette=palette, jaw=jaw, label_system=label_system, scan_id=scan_id)
    if mesh.labels is None or not (mesh.labels >= 0).any():
        raise LabelError(f"{file}: has no labels to score against; {unread_labels(file)}")
    if not (mesh.labels > 0).any():
        _log.warning(
            "%s: no permanent tooth is labelled, so only gingiva is scored, and a result without teeth is perfect",
            mesh.scan_id,
        )
    return mesh


def score_prediction(mesh: Mesh, prediction: Prediction, seconds: float) -> Scored:
    """Score a prediction on the original faces and vertices.

    Args:
        mesh: with its true labels; if the file labels vertices, vertices are scored with these labels.
        prediction: for that mesh.
        seconds: the time from reading the file to its labels.
    """
    return score_labels(mesh, _on_file(mesh, prediction.labels), JAW_NAMES[prediction.jaw], seconds)


def score_labels(mesh: Mesh, found: Labels, found_jaw: str | None, seconds: float | None) -> Scored:
    """Score labels of the original faces and vertices.

    Args:
        mesh: with its true labels; if the file labels vertices, vertices are scored with these labels.
        found: the labels that are scored.
        found_jaw: ``upper``, ``lower`` or ``both``; None if that is not known.
        seconds: the time from reading the file to its labels; None if that is not known.
    """
    assert mesh.labels is not None
    stage("scoring")
    original = original_of(mesh)
    truth = faces_to_original(mesh, mesh.labels)
    of_vertices = original.vertex_labels
    if of_vertices is None:
        of_vertices = vertices_to_original(mesh, mesh.labels)
    of_vertices = np.where(np.isfinite(original.vertices).all(axis=1), of_vertices, UNKNOWN)  # without a place
    jaw = jaw_of_labels(mesh.labels)
    scores = score_scan(
        original.vertices * original.mm_per_unit,
        original.polygons,
        truth,
        found.faces,
        of_vertices,
        found.vertices,
        jaw,
    )
    row = {
        "scan_id": mesh.scan_id,
        "file": str(mesh.path and lasting(mesh.path)),
        "faces": len(original.polygons),
        "surface": surface_digest(mesh),
        "jaw": JAW_NAMES[jaw],
        "predicted_jaw": found_jaw,
        "mouth": kind_of_mouth(mesh),
        "counted": counts_past_gap(mesh),
        "labels": str(mesh.label_origin),
        "seconds": None if seconds is None else round(seconds, 3),
        **scores,
    }
    return Scored(row, confusion(truth, found.faces))


def report(scored: list[Scored]) -> dict[str, Any]:
    """The scores of all scans, as a dictionary for a JSON file.

    ``scores`` has the means over all scans, or None without a scan. ``sound`` has the means over the scans whose true
    labels do not count past the gap of a missing tooth. (Labels that do are wrong as tooth numbers, see
    :mod:`toothgraph.anatomy.molars`.) ``by_mouth`` has the means over each kind of mouth among the sound scans.
    ``per_scan`` has one row per scan, and ``per_tooth`` the scores of each tooth.
    """
    rows = [item.row for item in scored]
    sound = [row for row in rows if not row["counted"]]
    kinds = {kind: [row for row in sound if row["mouth"] == kind] for kind in KINDS}
    return {
        "scores": summarise(rows) if rows else None,
        "sound": {"scans": len(sound), **(summarise(sound) if sound else {})},
        "by_mouth": {kind: {"scans": len(own), **summarise(own)} for kind, own in kinds.items() if own},
        "per_scan": rows,
        "per_tooth": per_tooth([item.confusion for item in scored]),
    }
