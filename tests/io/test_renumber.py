from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toothgraph.anatomy.doubt import OTHER_NUMBERS, Doubt, two_in_one
from toothgraph.errors import LabelError, MeshError
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.label_record import read_record
from toothgraph.io.labels import read_scan
from toothgraph.io.read import read_mesh
from toothgraph.io.renumber import renumber, surface_of
from toothgraph.io.said import doubts_content
from toothgraph.io.write import write_labelled, write_txt
from toothgraph.mesh.label_origin import LabelOrigin
from toothgraph.mesh.mesh import Mesh

MODEL = "some-net (sha256 0123)"
NAMES = ("a_upper.ply", "a_upper.txt", "a_upper.json", "a_upper.vtp", "a_upper.vtk", "a_upper.teeth")


@pytest.fixture(scope="module")
def written(arch: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scan in all formats, as `predict` writes it. Shared: to be copied."""
    pytest.importorskip("vtkmodules")
    folder = tmp_path_factory.mktemp("written")
    kinds = ("ply", "txt", "json", "vtp", "vtk", "stl")
    write_labelled(
        folder, "a_upper", arch, arch.labels, kinds, confidence={15: 0.5, 16: 0.6, 17: 0.7}, doubts=["x"], model=MODEL
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def before(written: Path) -> dict[str, np.ndarray]:
    """The face labels in each file of it."""
    return numbers_of(written)


@pytest.fixture
def found(written: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path


def numbers_of(folder: Path) -> dict[str, np.ndarray]:
    """The face labels in each file, of the vertices in the JSON."""
    own = {}
    for name in NAMES:
        path = folder / name
        if path.suffix == ".txt":
            own[name] = np.loadtxt(path, dtype=int)
        elif path.suffix == ".json":
            own[name] = np.array(json.loads(path.read_text())["labels"])
        else:
            own[name] = read_stored(path).face_data["fdi"]
    return own


def test_a_scan_in_metres_is_renumbered_in_metres(arch: Mesh, tmp_path: Path) -> None:
    write_stl(tmp_path / "a_upper.stl", arch.vertices / 1000, arch.faces)
    mesh = read_mesh(tmp_path / "a_upper.stl", unit="m").with_labels(arch.labels)
    pytest.importorskip("vtkmodules")
    write_labelled(tmp_path, "a_upper", mesh, mesh.labels, ("ply", "vtp", "stl", "txt"), model=MODEL)
    stored = read_stored(tmp_path / "a_upper.ply")
    done = renumber(tmp_path / "a_upper.ply", {15: 16, 16: 15}, unit="m")
    assert len(done.written) == 4
    again = read_stored(tmp_path / "a_upper.ply")
    np.testing.assert_array_equal(again.vertices, stored.vertices)
    before, now = stored.face_data["fdi"], again.face_data["fdi"]
    np.testing.assert_array_equal(now, np.select([before == 15, before == 16], [16, 15], before))
    with pytest.raises(MeshError, match="try --unit m"):
        renumber(tmp_path / "a_upper.ply", {15: 16, 16: 15})


@pytest.mark.parametrize("name", NAMES)
def test_two_teeth_are_exchanged_in_every_format(name, found, before):
    points = read_stored(found / "a_upper.ply").vertices
    done = renumber(found / name, {15: 16, 16: 15})
    assert sorted(path.name for path in done.written) == sorted(NAMES) and done.joined == [] and done.found
    after = numbers_of(found)
    for file, numbers in after.items():
        if file.endswith(".teeth"):  # its parts have another order now
            assert [(numbers == n).sum() for n in (15, 16)] == [(before[file] == n).sum() for n in (16, 15)]
            continue
        expected = np.select([before[file] == 15, before[file] == 16], [16, 15], before[file])
        assert np.array_equal(numbers, expected), file
    assert np.array_equal(read_stored(found / "a_upper.ply").vertices, points)
    vertices = read_stored(found / "a_upper.ply").vertex_data["fdi"]
    assert np.array_equal(vertices, after["a_upper.json"])
    for file in (found / "a_upper.ply", found / "a_upper.teeth"):
        assert read_scan(file).label_origin == LabelOrigin("corrected", MODEL)
    assert read_record(found / name).renumbered == [{15: 16, 16: 15}]


def test_back_again_is_as_found(found):
    renumber(found / "a_upper.ply", {15: 16, 16: 15})
    renumber(found / "a_upper.json", {15: 16, 16: 15})
    assert read_scan(found / "a_upper.ply").label_origin == LabelOrigin("found", MODEL)
    assert len(read_record(found / "a_upper.ply").renumbered) == 2


def test_confidence_of_what_was_changed_is_gone_and_doubts_go_along(found):
    before = json.loads((found / "a_upper.json").read_text())
    other = Doubt.of(OTHER_NUMBERS, "review the numbers: ", [15], " may be ", [14])
    (found / "a_upper.json").write_text(json.dumps({**before, **doubts_content(["x", two_in_one(15, 2.2), other])}))
    renumber(found / "a_upper.ply", {15: 16, 16: 15})
    content = json.loads((found / "a_upper.json").read_text())
    assert content["confidence"] == {"17": 0.7}
    wide = "16 is wider than usual: are these two teeth?"
    assert content["doubts"] == ["before teeth got other numbers: x", wide]
    assert content["doubt_parts"][1] == {"kind": "double", "jaw": None, "parts": [[16], wide.removeprefix("16")]}
    assert (content["jaw"], content["id_patient"]) == ("upper", before["id_patient"])
    where = np.array(content["labels"]) > 0
    assert (np.array(content["instances"])[where] > 0).all() and not np.array(content["instances"])[~where].any()


def test_a_tooth_becomes_gingiva_or_part_of_another(found):
    done = renumber(found / "a_upper.ply", {15: 0, 16: 17, 14: -1}, merge=True)
    assert done.joined == [17]
    assert not (found / "a_upper.teeth" / "15.stl").exists() and (found / "a_upper.teeth" / "unknown.stl").exists()
    labels = np.loadtxt(found / "a_upper.txt", dtype=int)
    assert not np.isin([14, 15, 16], labels).any() and (labels == -1).any()


def test_milk_teeth_alone_tell_of_which_jaw_a_number_is(arch: Mesh, tmp_path: Path) -> None:
    milk = np.where((arch.labels > 0) & (arch.labels % 10 < 6), arch.labels + 60, 0)  # of a lower jaw
    write_labelled(tmp_path, "child", replace(arch, jaw=-1), milk, ("txt", "ply"), model=MODEL)
    assert renumber(tmp_path / "child.txt", {0: 1}, label_system="arch14").numbers == {0: 37}


def test_a_tooth_becomes_a_milk_tooth(found):
    renumber(found / "a_upper.ply", {15: 55})
    labels = np.loadtxt(found / "a_upper.txt", dtype=int)
    assert (labels == 55).any() and not (labels == 15).any() and (found / "a_upper.teeth" / "55.stl").exists()
    kept, shown = (read_scan(found / "a_upper.ply", primary=primary).labels for primary in (False, True))
    assert (kept[shown == 55] == -1).all() and (shown == 55).any()  # training learns nothing of it


@pytest.mark.parametrize(("numbers", "said"), [
    ({45: 46}, "no tooth has the number 45; its teeth are 1"),
    ({15: 19}, "19: expected the fdi number of a tooth"),
    ({15: 56}, "56: expected the fdi number of a tooth"),
])  # fmt: skip
def test_wrong_numbers_are_refused_and_nothing_is_written(numbers, said, found):
    before = {path: path.read_bytes() for path in found.rglob("*") if path.is_file()}
    with pytest.raises(LabelError, match=said):
        renumber(found / "a_upper.ply", numbers)
    assert before == {path: path.read_bytes() for path in found.rglob("*") if path.is_file()}


def test_found_labels_are_fdi_whatever_the_numbers_given(found):
    done = renumber(found / "a_upper.ply", {4: 3, 3: 4}, "universal")
    assert done.numbers == {15: 16, 16: 15} and read_record(found / "a_upper.ply").renumbered == [{15: 16, 16: 15}]


def test_given_labels_keep_their_system(arch, tmp_path):
    write_labelled(tmp_path, "a_upper", arch, arch.labels, ["ply"])
    scan = (tmp_path / "a_upper.ply").rename(tmp_path / "b_upper.ply")
    write_txt(tmp_path / "b_upper.txt", np.where(arch.labels > 0, 3, 0))
    with pytest.raises(LabelError, match="33: expected the universal number"):
        renumber(scan, {3: 33}, "universal")
    done = renumber(scan, {3: 4}, "universal")
    assert done.written == [tmp_path / "b_upper.txt"]
    assert set(np.loadtxt(tmp_path / "b_upper.txt").astype(int)) == {0, 4}
    assert read_scan(scan, label_system="universal").label_origin == LabelOrigin("given")
    assert not list(tmp_path.glob("*.found.json"))


def test_numbers_of_ones_own(command, found, tmp_path):
    (tmp_path / "own.json").write_text(json.dumps({"mine": {"background": 99, "upper": {"16": 106, "15": 105}}}))
    system = ("--label-system", f"{tmp_path / 'own.json'}:mine")
    done = command("renumber", found / "a_upper.ply", "106=105", "105=106", *system)
    assert done.code == 0 and read_record(found / "a_upper.ply").renumbered == [{16: 15, 15: 16}], done.err
    assert command("renumber", found / "a_upper.ply", "106=99", *system).code == 0  # what is gingiva there
    assert not (np.loadtxt(found / "a_upper.txt") == 16).any()
    wrong = command("renumber", found / "a_upper.ply", "105=107", *system)
    assert wrong.code == 1 and "107: expected the" in wrong.error


def test_files_that_do_not_agree_are_refused(found):
    labels = np.loadtxt(found / "a_upper.txt", dtype=int)
    write_txt(found / "a_upper.txt", np.where(labels == 16, 15, labels))
    with pytest.raises(
        LabelError, match=r"contradict each other, .*a_upper\.ply: not changed; .*a_upper\.txt: 15 has another"
    ):
        renumber(found / "a_upper.ply", {17: 18})
    for name in NAMES:
        if name not in ("a_upper.ply", "a_upper.txt"):
            shutil.rmtree(found / name) if name.endswith(".teeth") else (found / name).unlink()
    (found / "a_upper.ply").unlink()
    assert renumber(found / "a_upper.txt", {17: 18}).written == [found / "a_upper.txt"]


def test_a_border_of_faces_that_no_vertex_shows_is_no_disagreement(found, arch):
    """A review writes numbers of faces and, into the JSON, of vertices, where a border may stay as it was."""
    border = np.flatnonzero((arch.labels == 16) & _touches(arch, 0))[:1]
    moved = arch.labels.copy()
    moved[border] = 0
    record = (found / "a_upper.found.json").read_text()
    write_labelled(found, "a_upper", arch, moved, ("ply", "txt", "json", "vtp", "vtk", "stl"))
    (found / "a_upper.found.json").write_text(record)  # of what the model found
    assert renumber(found / "a_upper.ply", {17: 18}).numbers == {17: 18}


def test_vertices_that_contradict_faces_are_refused(found):
    content = json.loads((found / "a_upper.json").read_text())
    content["labels"] = [{16: 15, 15: 16}.get(label, label) for label in content["labels"]]
    (found / "a_upper.json").write_text(json.dumps(content))
    with pytest.raises(LabelError, match=r"contradict each other \(teeth 16, 15\)"):
        renumber(found / "a_upper.ply", {17: 18})


def _touches(arch: Mesh, number: int) -> np.ndarray:
    """Which faces have a corner in common with a face of that label [F]."""
    corners = np.unique(arch.faces[arch.labels == number])
    return np.isin(arch.faces, corners).any(axis=1)


def test_scans_without_label_files_are_refused(arch, tmp_path):
    ply, teeth = write_labelled(tmp_path, "a_upper", arch, arch.labels, ["ply", "stl"])
    with pytest.raises(LabelError, match=r"txt or \.json beside it"):
        renumber(ply, {15: 16})
    with pytest.raises(LabelError, match="rename the files in it"):
        renumber(teeth, {15: 16})
    with pytest.raises(LabelError, match="no such file"):
        renumber(tmp_path / "b.ply", {15: 16})
    (tmp_path / "a_upper.json").write_text('{"some": "other file"}')
    with pytest.raises(LabelError, match=r"txt or \.json beside it"):
        renumber(ply, {15: 16})
    (tmp_path / "a_upper.json").write_text('{"labels": ["a"]}')
    with pytest.raises(LabelError, match=r"a_upper\.json: expected a JSON label file"):
        renumber(ply, {15: 16})
    (tmp_path / "a_upper.json").unlink()
    ply.with_suffix(".txt").write_text("no numbers")
    with pytest.raises(LabelError, match="expected one whole number per face"):
        renumber(ply, {15: 16})
    with zipfile.ZipFile(tmp_path / "a_upper.zip", "w") as archive:
        archive.write(ply, ply.name)
    with pytest.raises(LabelError, match="found an archive, which is only read; unpack it"):
        renumber(tmp_path / "a_upper.zip", {15: 16})


def test_a_file_that_another_program_wrote_without_its_numbers_is_refused(arch, tmp_path):
    ply, txt = write_labelled(tmp_path, "a_upper", arch, arch.labels, ["ply", "txt"], model=MODEL)
    header, _, body = ply.read_bytes().partition(b"end_header")
    ply.write_bytes(header.replace(b" fdi", b" own") + b"end_header" + body)
    assert read_scan(ply).label_origin == LabelOrigin("found", MODEL)  # of the text file
    with pytest.raises(LabelError, match=r"a_upper\.ply: has no numbers `fdi`"):
        renumber(txt, {15: 16})


def test_the_surface_of_a_label_file(found):
    for name in NAMES:
        own = name.rpartition(".")[2] not in ("txt", "json")
        assert surface_of(found / name) == found / (name if own else "a_upper.ply")
    (found / "b.txt").touch()
    assert surface_of(found / "b.txt") is None
    with pytest.raises(LabelError, match="expected a label file or a scan, found a folder"):
        surface_of(found)
