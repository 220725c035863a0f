"""The log of a review: the labels of all faces at its beginning, then one line for each step.

The present labels follow from the log. The steps themselves are in :mod:`toothgraph.review.session`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.errors import LabelError, OperationError
from toothgraph.io.packed import unpacked
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import surface_digest

LOG = ".log.jsonl"
START = "start"
UNSEEN, CORRECTED, APPROVED = "unseen", "corrected", "approved"
UNDO, REDO, APPROVE = STEPS = ("undo", "redo", "approve")
FILE = "file"  # the kind of a step in which another command has changed the label file


@dataclass(frozen=True, eq=False)
class Change:
    """Faces that get other labels.

    Attributes:
        faces: [n] in ascending order.
        before: [n] FDI numbers.
        after: [n] FDI numbers.
    """

    faces: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def reversed(self) -> Change:
        """The change that undoes this change."""
        return Change(self.faces, self.after, self.before)


def change_between(before: np.ndarray, after: np.ndarray) -> Change:
    """The change from one labelling [F] to another, with the faces in which they differ."""
    faces = np.flatnonzero(before != after)
    return Change(faces, before[faces], after[faces])


@dataclass(frozen=True, eq=False)
class Session:
    """The present state of the review of a scan. A session does not change: each step gives a new session.

    Attributes:
        labels: [F] FDI numbers.
        version: number of steps in the log.
        state: ``unseen``, ``corrected`` or ``approved``.
        done: changes that can be undone, the latest at the end.
        undone: changes that can be done again, the next at the end.
    """

    labels: np.ndarray
    version: int = 0
    state: str = UNSEEN
    done: tuple[Change, ...] = field(default=(), repr=False)
    undone: tuple[Change, ...] = field(default=(), repr=False)


def read_log(log: Path) -> list[dict[str, Any]]:
    """The lines of a log; empty if there is no log.

    Raises:
        LabelError: if a line cannot be read.
    """
    if not log.is_file():
        return []
    whole = log.read_bytes()
    whole = whole[: whole.rfind(b"\n") + 1]  # a last line that was cut off was never reported as saved
    try:
        found = [json.loads(line) for line in whole.splitlines()]
        if found and found[0]["kind"] != START:
            raise ValueError(f"its first line is {found[0]['kind']!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{log}: expected the log of a review, cannot read it ({error!r})") from error
    return found


def session_of(log: Path, lines: Sequence[Mapping[str, Any]], mesh: Mesh) -> Session:
    """The session of a review after the lines of its log.

    Raises:
        LabelError: if there are no lines, they cannot be read, or they are of another surface.
        OperationError: if a step does not fit the scan.
    """
    if not lines:
        raise LabelError(f"{log}: expected the log of a review, found none")
    try:
        labels = unpacked(lines[0]["labels"])
        if lines[0]["surface"] != surface_digest(mesh) or len(labels) != len(mesh.faces):
            raise LabelError(
                f"{log}: this review was made for another surface than {mesh.path or mesh.scan_id} has now; put "
                "the former scan back, or move the files of the review away to begin a new one"
            )
        return replay(Session(labels), lines[1:])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise LabelError(f"{log}: expected the log of a review, cannot read it ({error!r})") from error


def replay(session: Session, log: Sequence[Mapping[str, Any]]) -> Session:
    """The session after the steps of a log. Changes are taken from the log, not computed again by the tools.

    Raises:
        OperationError: if the log is not of this scan, or a step cannot be undone or done again.
    """
    for entry in log:
        kind = str(entry.get("kind"))
        if kind in STEPS:
            session = stepped(session, kind)[0]
        else:
            faces, after = unpacked(entry["changed"]["faces"]), unpacked(entry["changed"]["to"])
            if len(faces) != len(after) or (len(faces) and faces.max() >= len(session.labels)):
                raise OperationError("the log does not fit this scan")
            change = Change(faces, session.labels[faces], after)
            session = taken_over(session, change) if kind == FILE else changed(session, change)
    return session


def changed(session: Session, change: Change) -> Session:
    """The session after a change of the labels."""
    return Session(_with(session.labels, change), session.version + 1, CORRECTED, (*session.done, change))


def taken_over(session: Session, change: Change) -> Session:
    """The session after a change by another command. An approved review stays approved."""
    after = changed(session, change)
    return replace(after, state=APPROVED) if session.state == APPROVED else after


def _with(labels: np.ndarray, change: Change) -> np.ndarray:
    after = labels.copy()
    after[change.faces] = change.after
    return after


def stepped(session: Session, kind: str) -> tuple[Session, Change]:
    """The session after ``undo``, ``redo`` or ``approve``, and the change of labels that the step makes.

    Raises:
        OperationError: if there is nothing to undo, or to do again.
    """
    nothing = change_between(session.labels, session.labels)
    version = session.version + 1
    if kind == APPROVE:
        return replace(session, version=version, state=APPROVED), nothing
    stack = session.done if kind == UNDO else session.undone
    if not stack:
        raise OperationError(f"nothing to {kind}")
    change = stack[-1].reversed() if kind == UNDO else stack[-1]
    done = session.done[:-1] if kind == UNDO else (*session.done, stack[-1])
    undone = (*session.undone, stack[-1]) if kind == UNDO else session.undone[:-1]
    return Session(_with(session.labels, change), version, CORRECTED, done, undone), change
