"""Which scans there are, how each stands, and in which order they are looked at."""

from __future__ import annotations

import base64
import errno
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.labels import read_scan
from toothgraph.io.renumber import renumber
from toothgraph.io.write import write_labelled
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import vertices_to_original
from toothgraph.model import SegmentationNet
from toothgraph.report.picture import thumbnail
from toothgraph.review import scans as scans_module
from toothgraph.review.begin import begin
from toothgraph.review.embedding import Embedded
from toothgraph.review.scans import Scans
from toothgraph.review.store import Stale, Start, Store
from toothgraph.stages import stage

from .conftest import start_of

NAMES = ("a_L", "b_L", "c_L", "d_L", "e_L", "broken_L")


@pytest.fixture
def made(crowns: Mesh, tmp_path: Path) -> list[str]:
    """The names of scans that were labelled."""
    return []


def scans_of(crowns: Mesh, folder: Path, made: list[str]) -> Scans:
    def read(path: Path, name: str) -> Mesh:
        if name == "broken_L":
            raise MeshError(f"{path}: expected a scan, found nothing")
        return replace(crowns, scan_id=name, labels=None)

    def begin(mesh: Mesh) -> Start:
        made.append(mesh.scan_id)
        sure = {"a_L": 0.9, "b_L": 0.5, "c_L": 0.99, "d_L": 0.8, "e_L": 0.7}[mesh.scan_id]
        doubts = ("look",) if mesh.scan_id in ("c_L", "d_L") else ()
        return replace(start_of(mesh, crowns.labels, doubts), sure=sure)

    return Scans({name: folder / f"{name}.ply" for name in NAMES}, folder / "reviewed", read, begin)


def test_both_scans_of_a_case_are_of_one_patient(crowns: Mesh, tmp_path: Path) -> None:
    files = {name: tmp_path / "anna" / f"{name}.stl" for name in ("lower", "antagonist")}
    scans = Scans(files, tmp_path / "reviewed", lambda path, name: crowns, lambda mesh: start_of(mesh, crowns.labels))
    assert {known.patient for known in scans.known.values()} == {"anna"}


def test_what_a_net_knows_of_a_scan_is_asked_once_and_only_by_the_tools(crowns: Mesh, tmp_path: Path) -> None:
    asked: list[str] = []

    def embed(mesh: Mesh) -> Embedded:
        asked.append(mesh.scan_id)
        return Embedded(mesh.centroids, np.ones((len(mesh.faces), 1)))

    scans = Scans({"a_L": tmp_path / "a_L.ply"}, tmp_path / "reviewed",
                  lambda path, name: replace(crowns, scan_id=name, labels=None),
                  lambda mesh: start_of(mesh, crowns.labels), embed=embed)  # fmt: skip
    surface = scans.open("a_L").surface
    assert asked == []
    surface.prepare()
    assert surface.embedding(crowns) is not None and asked == ["a_L"]


def test_those_in_doubt_come_first_and_what_is_approved_last(crowns: Mesh, tmp_path: Path, made: list[str]) -> None:
    scans = scans_of(crowns, tmp_path, made)
    assert {row["state"] for row in scans.listed()} == {""}
    scans.prepare_all()
    assert made == list(NAMES[:5])
    assert [row["name"] for row in scans.listed()] == ["d_L", "c_L", "b_L", "e_L", "a_L", "broken_L"]
    assert "found nothing" in scans.listed()[-1]["error"]
    scans.step("d_L", 0, {"kind": "approve"})
    scans.step("b_L", 0, {"kind": "gingiva", "tooth": 36})
    rows = scans.listed()
    assert [row["name"] for row in rows] == ["c_L", "b_L", "e_L", "a_L", "broken_L", "d_L"]
    assert {row["name"]: row["state"] for row in rows}["b_L"] == "corrected"


def test_another_start_of_the_command_goes_on(crowns: Mesh, tmp_path: Path, made: list[str]) -> None:
    first = scans_of(crowns, tmp_path, made)
    first.prepare_all()
    first.step("a_L", 0, {"kind": "approve"})
    made.clear()
    again = scans_of(crowns, tmp_path, made)
    assert {row["name"]: row["state"] for row in again.listed()} == {
        **dict.fromkeys(NAMES[1:5], "unseen"), "a_L": "approved", "broken_L": "",
    }  # fmt: skip
    again.prepare_all()
    assert made == []  # nothing is labelled again
    assert again.open("a_L").session.version == 1
    again.stores["b_L"].log.write_text("nonsense\n")
    third = scans_of(crowns, tmp_path, made)
    assert "expected the log of a review" in third.known["b_L"].error


def test_with_other_options_what_nobody_has_worked_on_begins_anew(crowns: Mesh, tmp_path: Path) -> None:
    made: list[str] = []

    def scans(**options: object) -> Scans:
        def begin(mesh: Mesh) -> Start:
            made.append(mesh.scan_id)
            return start_of(
                mesh, np.where(crowns.labels == 36, 0, crowns.labels) if options["predict"] else crowns.labels
            )

        read = lambda path, name: replace(crowns, scan_id=name, labels=None)  # noqa: E731
        files = {name: tmp_path / f"{name}.ply" for name in ("a_L", "b_L")}
        found = Scans(files, tmp_path / "reviewed", read, begin, options=options)
        found.prepare_all()
        return found

    first = scans(predict=False)
    first.step("a_L", 0, {"kind": "gingiva", "tooth": 31})
    made.clear()
    assert scans(predict=False).begun_otherwise == [] and made == []
    again = scans(predict=True)
    assert again.begun_otherwise == ["a_L"] and made == ["b_L"]
    assert 36 in again.open("a_L").session.labels and 36 not in again.open("b_L").session.labels
    assert scans(predict=True).begun_otherwise == ["a_L"] and made == ["b_L"]  # once
    log = again.stores["b_L"].log
    line = json.loads(log.read_text())
    del line["options"]  # as of a version before
    log.write_text(json.dumps(line) + "\n")
    scans(predict=False)
    assert made == ["b_L", "b_L"]


def test_few_scans_are_held_in_memory(
    crowns: Mesh, tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans_module, "KEPT", 2)
    scans = scans_of(crowns, tmp_path, made)
    first = scans.open("a_L")
    assert scans.open("a_L") is first
    scans.step("a_L", 0, {"kind": "gingiva", "tooth": 36})
    for name in ("b_L", "c_L"):
        scans.open(name)
    again = scans.open("a_L")
    assert again is not first and again.session.version == 1
    assert 36 not in np.unique(again.session.labels)


def test_the_background_ends_when_asked(crowns: Mesh, tmp_path: Path, made: list[str]) -> None:
    scans = scans_of(crowns, tmp_path, made)
    scans.end()
    scans.prepare_all()
    assert made == []


def test_pictures_show_the_labels_as_they_are_now(crowns: Mesh, tmp_path: Path, made: list[str]) -> None:
    scans = scans_of(crowns, tmp_path, made)
    scans.prepare_all()

    def picture(of: Scans, name: str) -> str:
        return str(next(row["picture"] for row in of.listed() if row["name"] == name))

    assert picture(scans, "a_L") == ""  # as it begins
    scans.step("a_L", 0, {"kind": "gingiva", "tooth": 36})
    scans.prepare_all()
    now = picture(scans, "a_L")
    labels = np.where(crowns.labels == 36, 0, crowns.labels)
    bare = replace(crowns, labels=None)
    assert base64.b64decode(now) == thumbnail(bare, labels)
    scans.step("a_L", 1, {"kind": "undo"})
    scans.step("a_L", 2, {"kind": "approve"})
    scans.prepare_all()
    assert base64.b64decode(picture(scans, "a_L")) == thumbnail(bare, crowns.labels) and picture(scans, "b_L") == ""
    again = scans_of(crowns, tmp_path, made)  # after a restart, too
    again.prepare_all()
    assert picture(again, "a_L") == picture(scans, "a_L")


def test_a_picture_is_drawn_while_the_server_runs(crowns: Mesh, tmp_path: Path, made: list[str]) -> None:
    scans = scans_of(crowns, tmp_path, made)
    worker = threading.Thread(target=scans.work, daemon=True)
    worker.start()
    scans.step("c_L", 0, {"kind": "gingiva", "tooth": 36})
    until = time.monotonic() + 60
    while not (picture := next(row["picture"] for row in scans.listed() if row["name"] == "c_L")):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert base64.b64decode(picture)[8:12] == b"WEBP"
    scans.end()
    worker.join(timeout=60)
    assert not worker.is_alive()


def test_labels_that_another_command_has_changed_are_taken_over(crowns: Mesh, tmp_path: Path, made: list[str]) -> None:
    scans = scans_of(crowns, tmp_path, made)
    scans.step("a_L", 0, {"kind": "gingiva", "tooth": 31})
    scans.step("a_L", 1, {"kind": "approve"})
    file = tmp_path / "reviewed" / "a_L.json"
    renumber(file, {36: 37, 37: 36})
    session = scans_of(crowns, tmp_path, made).open("a_L").session
    expected = np.select([crowns.labels == 36, crowns.labels == 37, crowns.labels == 31], [37, 36, 0], crowns.labels)
    np.testing.assert_array_equal(session.labels, expected)  # all faces, those at the borders, too
    assert session.state == "approved" and session.version == 3
    again = scans_of(crowns, tmp_path, made)
    assert again.open("a_L").session.version == 3  # once
    again.step("a_L", 3, {"kind": "undo"})
    np.testing.assert_array_equal(again.open("a_L").session.labels == 36, crowns.labels == 36)
    content = json.loads(file.read_text())
    content["labels"] = [0 if label == 37 else label for label in content["labels"]]
    content["labels"][:50] = [35] * 50  # painted in another program
    file.write_text(json.dumps(content))
    session = scans_of(crowns, tmp_path, made).open("a_L").session
    assert 37 not in session.labels and session.state == "corrected"
    assert set(session.labels[(crowns.faces < 50).all(axis=1)]) == {35}


def test_what_predict_has_written_in_the_folder_says_the_same(crowns: Mesh, tmp_path: Path) -> None:
    folder, scan = tmp_path / "labelled", replace(crowns, scan_id="a_L", labels=None)
    write_labelled(folder, "a_L", crowns, crowns.labels, ("ply", "txt", "json", "stl"), model="a model")

    def scans() -> Scans:
        return Scans({"a_L": tmp_path / "a_L.ply"}, folder, lambda path, name: scan,
                     lambda mesh: begin(mesh, no_net, False, folder))  # fmt: skip

    one = scans()
    assert one.open("a_L").start.source == f"found by a model, in {folder}"
    renumber(folder / "a_L.ply", {36: 37, 37: 36})  # before anything is done in the review
    one = scans()
    start = one.open("a_L").start
    assert start.source == f"corrected, in {folder}"
    np.testing.assert_array_equal(start.labels == 37, crowns.labels == 36)
    one.step("a_L", 0, {"kind": "gingiva", "tooth": 31})
    one.step("a_L", 1, {"kind": "approve"})
    now = one.open("a_L").session.labels
    read = read_scan(folder / "a_L.ply")
    np.testing.assert_array_equal(read.labels, now)
    assert read.label_origin.kind == "corrected"
    np.testing.assert_array_equal(np.loadtxt(folder / "a_L.txt", dtype=int), now)
    assert not list((folder / "a_L.teeth").glob("*31*"))
    np.testing.assert_array_equal(scans().open("a_L").session.labels, now)


@pytest.mark.parametrize("seen", [False, True])
def test_what_another_command_changes_while_a_scan_is_open_is_not_overwritten(
    seen: bool, crowns: Mesh, tmp_path: Path
) -> None:
    """Whether the review has written the files (it was seen), or `predict` has."""
    folder, scan = tmp_path / "labelled", replace(crowns, scan_id="a_L", labels=None)
    write_labelled(folder, "a_L", crowns, crowns.labels, ("json",), model="a model")
    scans = Scans({"a_L": tmp_path / "a_L.ply"}, folder, lambda path, name: scan,
                  lambda mesh: begin(mesh, no_net, False, folder))  # fmt: skip
    session = scans.open("a_L").session
    if seen:
        session = scans.step("a_L", 0, {"kind": "gingiva", "tooth": 31}).after
    version, before = session.version, session.labels
    renumber(folder / "a_L.json", {36: 37, 37: 36})
    with pytest.raises(Stale, match=r"another command has changed .* your last step was not done"):
        scans.step("a_L", version, {"kind": "gingiva", "tooth": 45})
    session = scans.open("a_L").session
    swapped = np.select([before == 36, before == 37], [37, 36], before)
    different = np.flatnonzero(session.labels != swapped)  # a file has vertices: a face between three teeth may differ
    assert len(different) <= (0 if seen else 5)
    assert session.version == version + 1 and session.state == "corrected"
    scans.step("a_L", version + 1, {"kind": "gingiva", "tooth": 45})  # and goes on, once
    labels = vertices_to_original(scan, np.where(session.labels == 45, 0, session.labels))
    assert json.loads((folder / "a_L.json").read_text())["labels"] == labels.tolist()
    (folder / "a_L.json").touch()  # as it was
    scans.step("a_L", version + 2, {"kind": "approve"})


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "b_L.log.jsonl"), "the disk is full, b_L.log.jsonl cannot"),
        (OSError(errno.EACCES, "Permission denied", "b_L.log.jsonl"), "b_L.log.jsonl: Permission denied"),
        (MemoryError(), "needs more memory than"),
        (ZeroDivisionError("division\nby zero"), "unexpected ZeroDivisionError: division by zero"),
    ],
)
def test_whatever_one_scan_fails_with_the_others_are_prepared(
    fault: Exception, said: str, crowns: Mesh, tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans, begin = scans_of(crowns, tmp_path, made), Store.begin

    def fails(store: Store, mesh: Mesh, start: Start) -> None:
        if mesh.scan_id == "b_L":
            raise fault
        begin(store, mesh, start)

    monkeypatch.setattr(Store, "begin", fails)
    scans.prepare_all()
    assert {row["name"] for row in scans.listed() if row["state"]} == {"a_L", "c_L", "d_L", "e_L"}
    assert said in scans.known["b_L"].error and "\n" not in scans.known["b_L"].error
    monkeypatch.setattr(Store, "begin", begin)
    assert scans.open("b_L") and not scans.known["b_L"].error  # there is room again


def test_the_background_ends_in_the_middle_of_a_scan(crowns: Mesh, tmp_path: Path) -> None:
    begun = threading.Event()

    def begin(mesh: Mesh) -> Start:
        begun.set()
        while True:
            stage("placing borders")
            time.sleep(0.01)

    read = lambda path, name: replace(crowns, scan_id=name, labels=None)  # noqa: E731
    scans = Scans({"a_L": tmp_path / "a_L.ply"}, tmp_path / "reviewed", read, begin)
    worker = threading.Thread(target=scans.work, daemon=True)
    worker.start()
    assert begun.wait(30)
    scans.end()
    worker.join(30)
    assert not worker.is_alive() and not scans.known["a_L"].error


def no_net() -> SegmentationNet:
    raise AssertionError("no net is needed")
