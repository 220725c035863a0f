"""Steps of a review, and the log entry of each. The log itself is in :mod:`toothgraph.io.review_log`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toothgraph.io.packed import packed
from toothgraph.io.review_log import FILE, STEPS, Change, Session, change_between, changed, stepped, taken_over
from toothgraph.review.operations import Operation, apply, operation_from
from toothgraph.review.surface import Surface


@dataclass(frozen=True, eq=False)
class Step:
    """One more step of a review.

    Attributes:
        after: the session after the step.
        change: the change of the labels; it has no faces for ``approve``.
        entry: what the log says of the step.
    """

    after: Session
    change: Change
    entry: dict[str, Any]


def take(surface: Surface, session: Session, content: Mapping[str, Any]) -> Step:
    """Do a step that a page asks for: an operation, ``undo``, ``redo`` or ``approve``.

    Args:
        surface: the surface of the scan, F faces.
        session: where the review of the scan stands.
        content: ``{"kind": …}`` and the other fields of :class:`toothgraph.review.operations.Operation`.

    Raises:
        OperationError: if the step cannot be done.
    """
    kind = content.get("kind")
    if kind in STEPS:
        entry = {"kind": kind}
        after, change = stepped(session, str(kind))
        return Step(after, change, entry)
    done = operation_from(content, len(session.labels))
    change = change_between(session.labels, apply(surface, session.labels, done))
    return Step(changed(session, change), change, {**_said(done), "changed": _packed(change)})


def adopted(session: Session, labels: np.ndarray) -> Step:
    """The step that takes over labels [F] of another command, such as ``renumber``.

    An approved scan stays approved.
    """
    change = change_between(session.labels, labels)
    return Step(taken_over(session, change), change, {"kind": FILE, "changed": _packed(change)})


def _said(done: Operation) -> dict[str, Any]:
    """An operation as the log has it. The faces of a brush are left out, since the change has them."""
    return replace(done, faces=()).content() if done.kind == "paint" else done.content()


def _packed(change: Change) -> dict[str, str]:
    return {"faces": packed(change.faces), "to": packed(change.after)}
