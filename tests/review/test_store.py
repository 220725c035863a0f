"""What is on the disk after each step, and after a stop at any moment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import LabelError
from toothgraph.io.predictions import Predictions, read_predictions
from toothgraph.io.review_log import Session
from toothgraph.io.write import count_instances
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import vertices_to_original
from toothgraph.review.session import take
from toothgraph.review.store import Stale, Store
from toothgraph.review.surface import Surface

from .conftest import start_of


@pytest.fixture
def store(crowns: Mesh, tmp_path: Path) -> Store:
    store = Store(tmp_path / "reviewed", "one_L")
    store.begin(crowns, start_of(crowns, crowns.labels))
    return store


def step(store: Store, mesh: Mesh, **content: object) -> Session:
    start, session = store.load(mesh)
    done = take(Surface(mesh), session, content)
    store.save(mesh, start, done)
    return done.after


def test_each_step_is_saved_with_labels_and_log(store: Store, crowns: Mesh) -> None:
    assert not store.labels.exists()  # nobody has looked at it
    after = step(store, crowns, kind="swap", tooth=36, to=37)
    content = json.loads(store.labels.read_text())
    labels = vertices_to_original(crowns, after.labels)
    assert content["labels"] == labels.tolist() and content["instances"] == count_instances(labels).tolist()
    assert content["jaw"] == "lower" and content["review"] == {"state": "corrected", "version": 1, "model": "test"}
    step(store, crowns, kind="approve")
    assert json.loads(store.labels.read_text())["review"]["state"] == "approved"
    start, session = Store(store.log.parent, "one_L").load(crowns)
    np.testing.assert_array_equal(session.labels, after.labels)
    np.testing.assert_array_equal(start.labels, crowns.labels)
    assert start.confidence is not None and abs(start.confidence - 0.9).max() < 0.01
    lines = [json.loads(line) for line in store.log.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["start", "swap", "approve"]
    assert lines[1]["version"] == 1 and lines[1]["time"] > "2024"
    assert {file.name for file in store.log.parent.iterdir()} == {
        "one_L.json",
        "one_L.log.jsonl",
        ".one_L.log.jsonl.lock",
    }


def test_a_review_is_scored_by_the_labels_of_its_faces(store: Store, crowns: Mesh, tmp_path: Path) -> None:
    """The label file has those of vertices only, which move borders by a face."""
    scattered = np.flatnonzero(crowns.labels == 36)[::3].tolist()
    after = step(store, crowns, kind="paint", to=37, faces=scattered)
    read = read_predictions(crowns, tmp_path / "one_L.ply", Predictions(store.log.parent))
    np.testing.assert_array_equal(read.faces, after.labels)
    moved = replace(crowns, vertices=crowns.vertices + 1.0)  # another surface: the log is not of it
    other = read_predictions(moved, tmp_path / "one_L.ply", Predictions(store.log.parent)).faces
    assert 0 < (other != after.labels).mean() < 0.1


def test_a_confidence_that_is_not_known_stays_so(tmp_path: Path, crowns: Mesh) -> None:
    sure = np.where(crowns.labels > 0, 0.6, np.nan)
    Store(tmp_path, "one_L").begin(crowns, replace(start_of(crowns, crowns.labels), confidence=sure))
    start, _ = Store(tmp_path, "one_L").load(crowns)
    np.testing.assert_allclose(start.confidence, sure, atol=0.002)


def test_what_builds_on_older_labels_is_refused(store: Store, crowns: Mesh) -> None:
    start, session = store.load(crowns)
    surface = Surface(crowns)
    mine = take(surface, session, {"kind": "gingiva", "tooth": 37})
    theirs = step(Store(store.log.parent, "one_L"), crowns, kind="gingiva", tooth=36)
    before = store.log.read_bytes()
    with pytest.raises(Stale, match="changed elsewhere"):
        store.save(crowns, start, mine)
    assert store.log.read_bytes() == before
    np.testing.assert_array_equal(store.load(crowns)[1].labels, theirs.labels)


def test_a_line_that_a_stop_has_cut_off_does_not_count(store: Store, crowns: Mesh) -> None:
    first = step(store, crowns, kind="gingiva", tooth=37)
    step(store, crowns, kind="gingiva", tooth=36)
    whole = store.log.read_bytes()
    store.log.write_bytes(whole[:-7])
    np.testing.assert_array_equal(store.load(crowns)[1].labels, first.labels)
    step(store, crowns, kind="gingiva", tooth=36)
    assert len(store.lines()) == 3 and store.log.read_bytes().endswith(b"\n")


def test_labels_that_a_stop_has_left_behind_are_written_again(store: Store, crowns: Mesh) -> None:
    step(store, crowns, kind="gingiva", tooth=37)
    former = store.labels.read_text()
    step(store, crowns, kind="gingiva", tooth=36)
    latest = store.labels.read_text()
    for behind in (former, "", "{"):
        store.labels.write_text(behind)
        store.catch_up(crowns, *store.load(crowns))
        assert store.labels.read_text() == latest


def test_a_log_of_another_surface_is_kept_and_refused(store: Store, crowns: Mesh) -> None:
    other = replace(crowns, vertices=crowns.vertices + 1.0)
    with pytest.raises(LabelError, match="this review was made for another surface"):
        store.load(other)
    store.log.write_text("nonsense\n")
    with pytest.raises(LabelError, match="expected the log of a review"):
        store.load(crowns)
    assert store.log.read_text() == "nonsense\n"


WORKER = """
from pathlib import Path
from toothgraph.review.session import take
from toothgraph.review.store import Store
from toothgraph.review.surface import Surface
from toothgraph.synthetic import Variation, synthetic_arch
mesh = synthetic_arch(3, jaw=1, faces=6000, variation=Variation.none())
store, surface = Store(Path(given[0]), "one_L"), Surface(mesh)
start, session = store.load(mesh)
while True:
    done = take(surface, session, {"kind": "swap", "tooth": 36, "to": 37})
    store.save(mesh, start, done)
    session = done.after
    print(session.version, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_at_any_moment_nothing_that_was_saved_is_lost(
    store: Store, crowns: Mesh, tmp_path: Path, apart: Callable[..., BaseProcess]
) -> None:
    said = tmp_path / "said"
    os.mkfifo(said)
    for wait in (0.0, 0.013, 0.031):
        worker = apart(store.log.parent, code=WORKER, out=said)
        with said.open() as lines:
            told = [lines.readline() for _ in range(5)]
            time.sleep(wait)
            worker.kill()
            told += lines.readlines()
        worker.join()
        saved = int([line for line in told if line.endswith("\n")][-1])
        start, session = store.load(crowns)
        assert saved <= session.version <= saved + 1
        there = json.loads(store.labels.read_text())["review"]["version"]
        assert there in (session.version, session.version - 1)  # whole, and at most one step behind
        store.catch_up(crowns, start, session)
        assert json.loads(store.labels.read_text())["review"]["version"] == session.version
