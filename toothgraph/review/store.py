"""The files of a review: for each scan its labels, and the log of the steps that led to them.

DIR/<name>.json         labels in the layout of Teeth3DS, with instances, and ``review``: state, version, origin
DIR/<name>.vtp, .vtk    the same labels for other programs, once they are approved, if asked for
DIR/<name>.*            the same labels, in the files that `predict` has written here before
DIR/<name>.log.jsonl    the labels that the review began with, then one line for each step, with the time

No other files are written, except an empty file that locks the log. A step is written to the log before it counts, so
a stop at any moment loses nothing that was reported as saved. A line that was cut off by a stop is removed before the
next one is written. The labels follow from the log.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph._version import __version__
from toothgraph.anatomy.doubt import Doubt
from toothgraph.anatomy.jaw_parts import jaw_name_of, split_labelled
from toothgraph.anatomy.measures import measure_arch, measures_of_file
from toothgraph.errors import LabelError
from toothgraph.fdi import JAW_NAMES
from toothgraph.io.formats.registry import SUFFIXES
from toothgraph.io.label_folder import with_labels_of
from toothgraph.io.label_record import read_record
from toothgraph.io.packed import packed, unpacked
from toothgraph.io.review_file import LABELS, review_entry, review_state, review_version
from toothgraph.io.review_log import APPROVED, LOG, START, UNSEEN, Session, read_log, replay, session_of
from toothgraph.io.reviewed import changed_since
from toothgraph.io.said import changed_numbers, doubts_content, doubts_in, said_now
from toothgraph.io.write import count_instances, measures_content, write_again
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import surface_digest, vertices_to_original
from toothgraph.report.doubts import doubts_now
from toothgraph.review.exchange import FORMATS, has_labels, write_exchange
from toothgraph.review.session import Step
from toothgraph.scan_names import without_jaw
from toothgraph.system.files import write_text
from toothgraph.system.lock import one_at_a_time

_log = logging.getLogger("toothgraph")
# The entries of a label file that follow from the log.
OF_LABELS = ("jaw", "labels", "instances", "review", "confidence", "doubts", "doubt_parts")
NOT_KNOWN = -1  # in a log, a confidence that is NaN; others are 0 to 255


class Stale(LabelError):
    """Another window, or another program, has changed the labels since."""


@dataclass(frozen=True, eq=False)
class Start:
    """What a review begins with.

    Attributes:
        labels: [F] FDI numbers.
        confidence: [F] 0 to 1, NaN where it is not known; None for labels that no model found.
        model: what found the labels; empty for labels of a file.
        jaw: 0 upper, 1 lower, -1 unknown.
        inside_out: whether the faces are shown with the opposite winding of the file.
        doubts: warnings to review.
        teeth: mean confidence by FDI number.
        sure: mean confidence over all teeth; None if unknown.
        picture: a WebP picture of the scan, in base64.
        source: where the labels come from, in words.
        options: the options of the command with which the labels were found or read.
    """

    labels: np.ndarray
    confidence: np.ndarray | None
    model: str
    jaw: int
    inside_out: bool
    doubts: list[Doubt]
    teeth: dict[int, float]
    sure: float | None
    picture: str
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> tuple[bool, bool, float]:
        """A sort key that puts the scans in most doubt first."""
        return not self.doubts, self.sure is None, self.sure or 0.0

    def line(self, mesh: Mesh) -> dict[str, Any]:
        """The first line of a log."""
        sure = None if self.confidence is None else packed(_stored(self.confidence))
        return {
            "kind": START, "surface": surface_digest(mesh), "labels": packed(self.labels), "confidence": sure,
            "model": self.model, "jaw": JAW_NAMES[self.jaw], "inside_out": self.inside_out,
            **doubts_content(self.doubts), "teeth": self.teeth, "sure": self.sure, "picture": self.picture,
            "source": self.source, "options": dict(self.options), "toothgraph": __version__,
        }  # fmt: skip


def start_of(line: Mapping[str, Any]) -> Start:
    """The start of a review from the first line of its log."""
    sure = line["confidence"]
    return Start(
        unpacked(line["labels"]), None if sure is None else _confidence(unpacked(sure)), str(line["model"]),
        {name: jaw for jaw, name in JAW_NAMES.items()}[line["jaw"]], bool(line["inside_out"]),
        doubts_in(line), {int(fdi): float(share) for fdi, share in line["teeth"].items()},
        None if line["sure"] is None else float(line["sure"]), str(line["picture"]), str(line.get("source", "")),
        dict(line.get("options", {})),
    )  # fmt: skip


def _stored(confidence: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(confidence), NOT_KNOWN, np.rint(255 * np.clip(confidence, 0, 1)))


def _confidence(stored: np.ndarray) -> np.ndarray:
    return np.where(stored == NOT_KNOWN, np.nan, stored / 255)


class Store:
    """The review of one scan on disk.

    Args:
        folder: the folder DIR.
        name: the name of the scan, which is the stem of the files.
        formats: formats of :mod:`toothgraph.review.exchange` in which approved labels are also written.
    """

    def __init__(self, folder: Path, name: str, formats: Sequence[str] = ()) -> None:
        self.formats = formats
        self.labels, self.log = folder / f"{name}{LABELS}", folder / f"{name}{LOG}"
        self._seen: dict[str, tuple[int, int]] | None = None  # the label files when they last had the session's labels

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the log; empty if there is none yet.

        Raises:
            LabelError: if a line cannot be read.
        """
        return read_log(self.log)

    def begin(self, mesh: Mesh, start: Start) -> None:
        """Begin the log of a scan. A log without steps is replaced; one with steps stays."""
        with one_at_a_time(self._lock):
            if len(self.lines()) <= 1:
                write_text(self.log, json.dumps(start.line(mesh)) + "\n")

    def load(self, mesh: Mesh) -> tuple[Start, Session]:
        """What the review began with, and where it stands.

        Raises:
            LabelError: if there is no log, or it cannot be read or is of another surface.
        """
        lines = self.lines()
        session = session_of(self.log, lines, mesh)
        try:
            return start_of(lines[0]), session
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise LabelError(f"{self.log}: expected the log of a review, cannot read it ({error!r})") from error

    def save(self, mesh: Mesh, start: Start, step: Step) -> list[Doubt]:
        """Append a step to the log, then write the labels.

        Returns:
            The warnings that are true of the labels.

        Raises:
            Stale: if the log has another version than the step builds on.
        """
        entry = {"version": step.after.version, "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds")}
        with one_at_a_time(self._lock):
            there = len(self.lines()) - 1
            if there != step.after.version - 1:
                raise Stale(f"the labels were changed elsewhere in the meantime (step {there}); they are loaded again")
            _append(self.log, json.dumps({**entry, **step.entry}))
            return self.write_labels(mesh, start, step.after)

    def write_labels(self, mesh: Mesh, start: Start, session: Session) -> list[Doubt]:
        """Write the label file of a scan for a session, and the other files that have the labels.

        Returns:
            The warnings that are true of the labels.
        """
        if session.state != APPROVED and review_state(self.labels) == APPROVED:
            self._withdraw(mesh, start)
        labelled = mesh.with_labels(session.labels)
        doubts = doubts_of(start, labelled)
        content = {
            **_labels_content(labelled, start),
            **_others_content(self.labels, labelled),
            "review": review_entry(session.state, session.version, start.model),
            **_said_content(labelled, start, doubts),
        }
        record = read_record(self.labels)
        others = [self.labels.with_name(name) for name in record.files if name != self.labels.name]
        for file in others:  # files of `predict` must not keep other labels than these
            if file.exists():
                write_again(file, mesh, session.labels)
        write_text(self.labels, json.dumps(content))
        if session.state == APPROVED:
            for kind in self.formats:
                write_exchange(self.labels.with_name(f"{self.labels.stem}.{kind}"), mesh, session.labels)
        self._seen = self._stamps()
        return doubts

    def _withdraw(self, mesh: Mesh, start: Start) -> None:
        """Remove the files for other programs that an approval has written, when it does not hold any more.

        A file that another program has changed since stays.
        """
        approved = replay(Session(start.labels), self.lines()[1 : 1 + (review_version(self.labels) or 0)])
        record = read_record(self.labels)
        for kind in FORMATS:
            file = self.labels.with_name(f"{self.labels.stem}.{kind}")
            if file.name in record.files or not file.is_file():  # the record's files have the present labels anyway
                continue
            if has_labels(file, mesh, approved.labels):
                file.unlink()
            else:
                _log.warning(
                    "%s: another program has changed this file, so that its labels differ from the review; it is kept",
                    file,
                )

    def catch_up(self, mesh: Mesh, start: Start, session: Session) -> None:
        """Write the label file again if a stop came after the log was written and before the file was."""
        if session.state != UNSEEN and review_version(self.labels) != session.version:
            self.write_labels(mesh, start, session)

    def changed_elsewhere(self, mesh: Mesh, session: Session) -> np.ndarray | None:
        """The labels [F] of the label files, if another command has changed them; else None.

        Changes count since the review last wrote or read the files.

        Raises:
            LabelError: if the labels do not fit the scan.
        """
        before, stamps = self._seen, self._stamps()
        if stamps == before:
            return None
        labels = None
        if session.state != UNSEEN:
            labels = changed_since(self.labels, mesh, session)
        elif before is not None:  # at its first look, a review begins with these labels anyway
            held = with_labels_of(self.labels.parent, mesh.scan_id, mesh, primary=True)
            if held is not None and held.labels is not None and not np.array_equal(held.labels, session.labels):
                labels = held.labels
        if labels is None:
            self._seen = stamps
        return labels

    def _stamps(self) -> dict[str, tuple[int, int]]:
        """Time and size of each label file of the scan: they tell whether another command has written one."""
        files = (self.labels.with_suffix(suffix) for suffix in (*SUFFIXES, ".txt", LABELS))
        return {file.name: (file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file()}

    @property
    def _lock(self) -> Path:
        return self.log.with_name(f".{self.log.name}.lock")


def _labels_content(labelled: Mesh, start: Start) -> dict[str, Any]:
    """The labels of a label file, in the layout of Teeth3DS."""
    assert labelled.labels is not None
    labels = vertices_to_original(labelled, labelled.labels)
    return {
        "id_patient": without_jaw(labelled.scan_id),
        "jaw": jaw_name_of(labelled.labels, start.jaw),
        "labels": labels.tolist(),
        "instances": count_instances(labels).tolist(),
    }


def doubts_of(start: Start, labelled: Mesh) -> list[Doubt]:
    """The warnings of the start that are true of the present labels, and those of impossible numbers in them."""
    assert labelled.labels is not None
    return doubts_now(labelled, said_now(start.doubts, start.labels, labelled.labels))


def _said_content(labelled: Mesh, start: Start, doubts: Sequence[Doubt]) -> dict[str, Any]:
    """The warnings, and the confidence of the start, as far as it is true of the present labels."""
    assert labelled.labels is not None
    changed = changed_numbers(start.labels, labelled.labels)
    sure = {str(fdi): round(share, 4) for fdi, share in start.teeth.items() if fdi not in changed}
    return {**({"confidence": sure} if sure else {}), **(doubts_content(doubts) if doubts or start.model else {})}


def _others_content(file: Path, labelled: Mesh) -> dict[str, Any]:
    """The other entries of a label file, which another command has written, such as the patient's name.

    Measures are computed again, as they depend on the labels.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or cut off
        return {}
    others = {key: value for key, value in content.items() if key not in OF_LABELS} if isinstance(content, dict) else {}
    if "measures" in others:
        arches = [measure_arch(jaw) for jaw in split_labelled(labelled)]
        others["measures"] = measures_content(measures_of_file(arches))
    return others


def _append(path: Path, line: str) -> None:
    """Append a line after the last complete one. It is on the disk when this function returns."""
    with path.open("r+b") as file:
        whole = file.read()
        file.seek(whole.rfind(b"\n") + 1)
        file.truncate()
        file.write(line.encode("utf-8") + b"\n")
        file.flush()
        os.fsync(file.fileno())
