"""Steps, undo and redo, and a log that leads to the same labels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from toothgraph.errors import OperationError
from toothgraph.io.review_log import Session, replay
from toothgraph.mesh.mesh import Mesh
from toothgraph.review.session import take
from toothgraph.review.surface import Surface


def test_steps_are_undone_and_done_again_without_limit(crowns: Mesh, surface: Surface) -> None:
    session, seen, log = Session(crowns.labels), [crowns.labels], []
    steps = [{"kind": "swap", "tooth": 36, "to": 37}, {"kind": "gingiva", "tooth": 35},
             {"kind": "paint", "to": 34, "faces": [1, 5, 7]}, {"kind": "renumber", "tooth": 36, "to": 38}]  # fmt: skip
    for step in steps:
        done = take(surface, session, step)
        log.append(done.entry)
        session = done.after
        seen.append(session.labels)
    assert session.version == 4 and session.state == "corrected"
    for before in seen[-2::-1]:
        done = take(surface, session, {"kind": "undo"})
        log.append(done.entry)
        session = done.after
        np.testing.assert_array_equal(session.labels, before)
    with pytest.raises(OperationError, match="nothing to undo"):
        take(surface, session, {"kind": "undo"})
    for after in seen[1:3]:
        done = take(surface, session, {"kind": "redo"})
        log.append(done.entry)
        session = done.after
        np.testing.assert_array_equal(session.labels, after)
    # another step ends what could be done again
    done = take(surface, session, {"kind": "gingiva", "tooth": 34})
    log.append(done.entry)
    with pytest.raises(OperationError, match="nothing to redo"):
        take(surface, done.after, {"kind": "redo"})
    # the log, as it is written, leads to the same
    again = replay(Session(crowns.labels), [json.loads(json.dumps(entry)) for entry in log])
    np.testing.assert_array_equal(again.labels, done.after.labels)
    assert (again.version, again.state, len(again.done)) == (11, "corrected", len(done.after.done))
    assert "faces" not in log[2] and log[0]["tooth"] == 36


def test_approval_holds_until_the_next_change(crowns: Mesh, surface: Surface) -> None:
    session = take(surface, Session(crowns.labels), {"kind": "approve"}).after
    assert session.state == "approved" and session.version == 1
    session = take(surface, session, {"kind": "gingiva", "tooth": 37}).after
    assert session.state == "corrected"
    session = take(surface, session, {"kind": "approve"}).after
    assert take(surface, session, {"kind": "undo"}).after.state == "corrected"


def test_a_log_of_another_scan_is_refused(crowns: Mesh, surface: Surface) -> None:
    entry = take(surface, Session(crowns.labels), {"kind": "gingiva", "tooth": 37}).entry
    with pytest.raises(OperationError, match="does not fit"):
        replay(Session(crowns.labels[:10]), [entry])
