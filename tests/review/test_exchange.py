"""Files for other programs, written and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toothgraph.io.formats.vtk import read_vtk, write_polydata
from toothgraph.io.labels import read_scan
from toothgraph.io.renumber import renumber
from toothgraph.mesh.mesh import Mesh
from toothgraph.review.exchange import FORMATS, has_labels, write_exchange
from toothgraph.review.session import adopted, take
from toothgraph.review.store import Store
from toothgraph.review.surface import Surface

from .conftest import start_of

pytest.importorskip("vtkmodules")


def test_labels_come_back_from_both(crowns: Mesh, tmp_path: Path) -> None:
    for kind in FORMATS:
        write_exchange(tmp_path / f"one_L.{kind}", crowns, crowns.labels)
    np.testing.assert_array_equal(read_scan(tmp_path / "one_L.vtp").labels, crowns.labels)
    mesh = read_scan(tmp_path / "one_L.vtk")
    assert mesh.labels is not None and (mesh.labels == crowns.labels).mean() > 0.9
    assert set(np.unique(mesh.labels)) == set(np.unique(crowns.labels))
    stored = read_vtk(tmp_path / "one_L.vtk")
    assert list(stored.vertex_data) == ["Universal_ID"] and not stored.face_data
    assert stored.vertex_data["Universal_ID"].max() == 31  # 47


def test_what_another_program_changes_is_read(crowns: Mesh, tmp_path: Path) -> None:
    write_exchange(tmp_path / "one_L.vtk", crowns, crowns.labels)
    stored = read_vtk(tmp_path / "one_L.vtk")
    numbers = np.asarray(stored.vertex_data["Universal_ID"])
    changed = np.where(numbers == 18, 17, np.where(numbers == 0, 33, numbers))  # 37 to 38; gum as 33
    write_polydata(tmp_path / "two_L.vtk", stored.vertices, stored.polygons, {"Universal_ID": changed}, {})
    labels = read_scan(tmp_path / "two_L.vtk").labels
    assert labels is not None and 38 in labels and 37 not in labels and 0 in labels and -1 not in labels


def test_approved_labels_are_written_for_others(crowns: Mesh, tmp_path: Path) -> None:
    store = Store(tmp_path, "one_L", FORMATS)
    store.begin(crowns, start_of(crowns, crowns.labels))
    for content, there in (({"kind": "gingiva", "tooth": 37}, False), ({"kind": "approve"}, True)):
        start, session = store.load(crowns)
        store.save(crowns, start, take(Surface(crowns), session, content))
        assert (tmp_path / "one_L.vtp").exists() == (tmp_path / "one_L.vtk").exists() == there
    assert 37 not in read_scan(tmp_path / "one_L.vtp").labels


def taken(store: Store, crowns: Mesh, *steps: dict[str, object]) -> None:
    for content in steps:
        start, session = store.load(crowns)
        store.save(crowns, start, take(Surface(crowns), session, content))


def test_an_approval_that_is_taken_back_leaves_no_file_of_its_labels(crowns: Mesh, tmp_path: Path) -> None:
    store = Store(tmp_path, "one_L", FORMATS)
    store.begin(crowns, start_of(crowns, crowns.labels))
    taken(store, crowns, {"kind": "gingiva", "tooth": 37}, {"kind": "approve"})
    later = Store(tmp_path, "one_L")  # started without --format
    taken(later, crowns, {"kind": "gingiva", "tooth": 36})
    assert not list(tmp_path.glob("*.vt?"))
    taken(store, crowns, {"kind": "approve"})
    stored = read_vtk(tmp_path / "one_L.vtk")
    numbers = np.where(stored.vertex_data["Universal_ID"] == 20, 0, stored.vertex_data["Universal_ID"])
    write_polydata(tmp_path / "one_L.vtk", stored.vertices, stored.polygons, {"Universal_ID": numbers}, {})
    taken(later, crowns, {"kind": "undo"})
    assert [file.name for file in tmp_path.glob("*.vt?")] == ["one_L.vtk"]  # a person has worked on it


def test_renumber_changes_what_an_approval_has_written(crowns: Mesh, tmp_path: Path) -> None:
    store = Store(tmp_path, "one_L", FORMATS)
    store.begin(crowns, start_of(crowns, crowns.labels))
    taken(store, crowns, {"kind": "approve"})
    done = renumber(store.labels, {36: 37, 37: 75})
    assert {file.name for file in done.written} == {"one_L.json", "one_L.vtp", "one_L.vtk"}
    expected = np.select([crowns.labels == 36, crowns.labels == 37], [37, 75], crowns.labels)
    assert has_labels(tmp_path / "one_L.vtp", crowns, expected) and has_labels(tmp_path / "one_L.vtk", crowns, expected)
    step = adopted(store.load(crowns)[1], expected)
    store.save(crowns, store.load(crowns)[0], step)
    taken(store, crowns, {"kind": "undo"})
    assert not list(tmp_path.glob("*.vt?"))
