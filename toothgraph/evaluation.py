"""Scores of a net, or of labels that another program found, on labelled scans."""

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
from toothgraph.scan_names import jaw_from_name
from toothgraph.stages import stage

_log = logging.getLogger("toothgraph")


@dataclass(frozen=True)
class Scored:
    """A scan's row of scores, and the counts that the per-tooth table is made of."""

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
    """Read, predict and score one scan; its labels tell the net nothing, not even the jaw.

    Args:
        net: in evaluation mode.
        file: the scan.
        jaw: 0 upper, 1 lower; None takes it from the file's name, or if that says nothing lets the net decide.
        palette, unit, label_system, scan_id: see :func:`toothgraph.io.labels.read_scan`.
        options: which steps of prediction are taken; by default all of them.

    Raises:
        MeshError: if the surface cannot be read.
        LabelError: if it has no labels, or they do not fit.
    """
    start = time.perf_counter()
    mesh = _labelled(file, jaw, palette, unit, label_system, scan_id)
    # Not mesh.jaw: where the name does not tell the jaw, that one comes from the labels.
    found = segment_file(mesh, net, jaw_from_name(file) if jaw is None else jaw, options)
    seconds = time.perf_counter() - start
    return _score(mesh, _on_file(mesh, found.labels), found.jaw_name, seconds)


def _on_file(mesh: Mesh, labels: np.ndarray) -> Labels:
    """Labels [F] of the clean faces on the faces and vertices of the file."""
    return Labels(faces_to_original(mesh, labels), vertices_to_original(mesh, labels))


def _score(mesh: Mesh, found: Labels, found_jaw: str | None, seconds: float | None) -> Scored:
    """The row of a file, see :func:`score_labels`; of one with both jaws the mean of the scores of both."""
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
        "file": str(mesh.path),
        "mouth": max((row["mouth"] for row in rows), key=KINDS.index), "counted": any(row["counted"] for row in rows),
        "labels": str(mesh.label_origin), **summarise(rows),
    }  # fmt: skip
    return _guessed(Scored(row, np.sum([jaw.confusion for jaw in jaws], axis=0)), guessed_true_system=guessed)


def _guessed(scored: Scored, **systems: str) -> Scored:
    """The same, its row with the label systems that were guessed, where some were."""
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
    """Score the labels that another program found for a scan, by the same definitions as those of a net.

    Args:
        predictions: where they are.
        file, jaw, palette, unit, label_system, scan_id: of the scan and its true labels, see :func:`score_file`.

    Raises:
        MeshError: if a surface cannot be read.
        LabelError: if either has no labels, or they do not fit.
    """
    mesh = _labelled(file, jaw, palette, unit, label_system, scan_id)
    labels = read_predictions(mesh, file, predictions, scan_id)
    scored = _score(mesh, labels, _jaw_name(labels.faces), None)
    return _guessed(scored, guessed_system=labels.guessed_system)


def _jaw_name(labels: np.ndarray) -> str | None:
    """Which jaw labels show, or both; None without teeth."""
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
            "%s: no permanent tooth is labelled, so that only gingiva is scored: labels without a tooth are perfect",
            mesh.scan_id,
        )
    return mesh


def score_prediction(mesh: Mesh, prediction: Prediction, seconds: float) -> Scored:
    """Score a prediction on the original faces and vertices.

    Args:
        mesh: with its true labels; of its vertices those of the file count, where it labels these.
        prediction: for that mesh.
        seconds: what it took, file to labels.
    """
    return score_labels(mesh, _on_file(mesh, prediction.labels), JAW_NAMES[prediction.jaw], seconds)


def score_labels(mesh: Mesh, found: Labels, found_jaw: str | None, seconds: float | None) -> Scored:
    """Score labels of the original faces and vertices.

    Args:
        mesh: with its true labels; of its vertices those of the file count, where it labels these.
        found: what is scored.
        found_jaw: ``upper``, ``lower`` or ``both``, if that is known.
        seconds: what it took, file to labels, if that is known.
    """
    assert mesh.labels is not None
    stage("scoring")
    original = original_of(mesh)
    truth = faces_to_original(mesh, mesh.labels)
    of_vertices = original.vertex_labels
    if of_vertices is None:
        of_vertices = vertices_to_original(mesh, mesh.labels)
    of_vertices = np.where(np.isfinite(original.vertices).all(axis=1), of_vertices, UNKNOWN)  # they have no place
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
        "file": str(mesh.path),
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
    """``scores`` (means over scans), ``by_mouth``, ``per_scan`` and ``per_tooth``.

    ``sound`` has the means over the scans whose labels do not count past the gap of a missing tooth, which is no truth
    for numbers (see :mod:`toothgraph.anatomy.molars`); ``by_mouth`` those of each kind of mouth among them. Without a
    scan, ``scores`` is None.
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
