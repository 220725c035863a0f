"""Which scans there are, how each stands, and in which order they are looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.mesh.mesh import Mesh
from toothgraph.review import scans as scans_module
from toothgraph.review.embedding import Embedded
from toothgraph.review.scans import Scans
from toothgraph.review.store import Start

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
