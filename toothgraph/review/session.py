"""The labels of a scan under review: those it began with, and a log of what was done since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from toothgraph.review.operations import Operation, OperationError, apply, operation_from
from toothgraph.review.packed import packed, unpacked
from toothgraph.review.surface import Surface

UNSEEN, CORRECTED, APPROVED = STATES = ("unseen", "corrected", "approved")
UNDO, REDO, APPROVE = STEPS = ("undo", "redo", "approve")
FILE = "file"  # the label file was changed by another command


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
        """What takes it back."""
        return Change(self.faces, self.after, self.before)


def change_between(before: np.ndarray, after: np.ndarray) -> Change:
    """The faces in which two labellings [F] differ."""
    faces = np.flatnonzero(before != after)
    return Change(faces, before[faces], after[faces])


@dataclass(frozen=True, eq=False)
class Session:
    """Where the review of a scan stands. It does not change: each step gives a new one.

    Attributes:
        labels: [F] FDI numbers.
        version: number of steps in the log.
        state: ``unseen``, ``corrected`` or ``approved``.
        done: changes that can be undone, the last one last.
        undone: changes that can be done again, the next one last.
    """

    labels: np.ndarray
    version: int = 0
    state: str = UNSEEN
    done: tuple[Change, ...] = field(default=(), repr=False)
    undone: tuple[Change, ...] = field(default=(), repr=False)


@dataclass(frozen=True, eq=False)
class Step:
    """One more step of a review.

    Attributes:
        after: the session that it leads to.
        change: of the labels; of no face for ``approve``.
        entry: what the log says of it.
    """

    after: Session
    change: Change
    entry: dict[str, Any]


def take(surface: Surface, session: Session, content: Mapping[str, Any]) -> Step:
    """Do what a page asks for: an operation, ``undo``, ``redo`` or ``approve``.

    Args:
        surface: of the scan, F faces.
        session: where its review stands.
        content: ``{"kind": …}`` and the other fields of :class:`toothgraph.review.operations.Operation`.

    Raises:
        OperationError: if it cannot be done.
    """
    kind = content.get("kind")
    if kind in STEPS:
        entry = {"kind": kind}
        after, change = _stepped(session, str(kind))
        return Step(after, change, entry)
    done = operation_from(content, len(session.labels))
    change = change_between(session.labels, apply(surface, session.labels, done))
    return Step(_changed(session, change), change, {**_said(done), "changed": _packed(change)})


def adopted(session: Session, labels: np.ndarray) -> Step:
    """Take over labels [F] that another command has written, such as ``renumber``. What was approved stays so."""
    change = change_between(session.labels, labels)
    return Step(_taken_over(session, change), change, {"kind": FILE, "changed": _packed(change)})


def replay(session: Session, log: Sequence[Mapping[str, Any]]) -> Session:
    """The session after the steps of a log. It takes the changes as they were then, whatever the tools do today.

    Raises:
        OperationError: if the log is not of this scan.
    """
    for entry in log:
        kind = str(entry.get("kind"))
        if kind in STEPS:
            session = _stepped(session, kind)[0]
        else:
            faces, after = unpacked(entry["changed"]["faces"]), unpacked(entry["changed"]["to"])
            if len(faces) != len(after) or (len(faces) and faces.max() >= len(session.labels)):
                raise OperationError("the log does not fit this scan")
            change = Change(faces, session.labels[faces], after)
            session = _taken_over(session, change) if kind == FILE else _changed(session, change)
    return session


def _said(done: Operation) -> dict[str, Any]:
    """An operation as the log has it: the faces of a brush are in what it changed."""
    return replace(done, faces=()).content() if done.kind == "paint" else done.content()


def _packed(change: Change) -> dict[str, str]:
    return {"faces": packed(change.faces), "to": packed(change.after)}


def _changed(session: Session, change: Change) -> Session:
    return Session(_with(session.labels, change), session.version + 1, CORRECTED, (*session.done, change))


def _taken_over(session: Session, change: Change) -> Session:
    after = _changed(session, change)
    return replace(after, state=APPROVED) if session.state == APPROVED else after


def _with(labels: np.ndarray, change: Change) -> np.ndarray:
    after = labels.copy()
    after[change.faces] = change.after
    return after


def _stepped(session: Session, kind: str) -> tuple[Session, Change]:
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
