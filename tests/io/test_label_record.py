from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from toothgraph.anatomy.colours import COLOUR_OF_FDI
from toothgraph.errors import LabelError
from toothgraph.io import label_record
from toothgraph.io.find import find_scans
from toothgraph.io.formats.ply import write_ply
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.formats.vtk import write_vtk
from toothgraph.io.label_record import read_record, record_of, was_changed
from toothgraph.io.labels import read_scan
from toothgraph.io.renumber import renumber
from toothgraph.io.write import write_labelled
from toothgraph.mesh.label_origin import LabelOrigin
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.stored import Stored

MODEL = "some-net (sha256 0123)"
FOUND = LabelOrigin("found", MODEL)
CORRECTED = LabelOrigin("corrected", MODEL)
FORMATS = ("ply", "txt", "json", "vtp", "vtk", "stl")


def written(folder: Path, mesh: Mesh, *formats: str) -> list[Path]:
    if {"vtp", "vtk"} & set(formats):
        pytest.importorskip("vtkmodules")
    return write_labelled(folder, "a_upper", mesh, mesh.labels, formats, model=MODEL)


def edit_txt(file: Path, old: int, new: int) -> None:
    labels = file.read_text().split()
    file.write_text("\n".join(str(new) if label == str(old) else label for label in labels))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_says_that_a_model_found_it(kind, arch, tmp_path):
    (path,) = written(tmp_path, arch, kind)
    scan = path
    if kind in ("txt", "json"):  # a label file beside the scan
        scan = write_labelled(tmp_path / "other", "a_upper", arch, arch.labels, ["ply"])[0]
        scan = Path(shutil.move(scan, tmp_path))
    assert read_scan(scan).label_origin == FOUND
    record_of(path).unlink()
    assert read_scan(scan).label_origin == LabelOrigin("given")


def test_an_edited_text_file_is_a_correction_and_its_teeth_are_told(arch, tmp_path, caplog):
    caplog.set_level("INFO", "toothgraph")
    ply, txt = written(tmp_path, arch, "ply", "txt")
    edit_txt(txt, 16, 17)  # both are 17 now
    assert read_scan(ply).label_origin == CORRECTED
    assert f"labels found by {MODEL}, then corrected: 17 has another outline, 16 is gone" in caplog.text
    edit_txt(txt, 17, 0)
    caplog.clear()
    read_scan(ply)
    assert "then corrected: 16 is gone, 17 is gone" in caplog.text


CELLS = {"faces": "face_data", "vertices": "vertex_data"}


def rewritten(path: Path, where: str, columns: dict[str, np.ndarray], *, keep_fdi: bool = True) -> None:
    """Write a PLY as another program does: text, some columns of faces or vertices changed."""
    stored = read_stored(path)
    names = ["red", "green", "blue", *(["fdi"] if keep_fdi else [])]
    own = {each: {name: getattr(stored, attribute)[name] for name in names} for each, attribute in CELLS.items()}
    own[where] |= columns
    words = [f"property {'int' if name == 'fdi' else 'uchar'} {name}" for name in names]
    points = np.column_stack([stored.vertices, *own["vertices"].values()])
    faces = np.column_stack([np.full(len(stored.polygons), 3), stored.polygons, *own["faces"].values()])
    head = ["ply", "format ascii 1.0", f"element vertex {len(points)}", *(f"property float {axis}" for axis in "xyz"),
            *words, f"element face {len(faces)}", "property list uchar int vertex_indices", *words,
            "end_header"]  # fmt: skip
    rows = [" ".join(f"{value:.9g}" for value in row) for row in (*points, *faces)]
    path.write_text("\n".join([*head, *rows]) + "\n")


def brush(stored: Stored, where: str, tooth: int) -> np.ndarray:
    """Which faces, or vertices, of a tooth lie on one side of its middle: what a person paints over. [n]"""
    places = stored.vertices if where == "vertices" else stored.vertices[stored.polygons].mean(axis=1)
    own = getattr(stored, CELLS[where])["fdi"] == tooth
    return own & (places[:, 0] > np.median(places[own, 0]))


@pytest.mark.parametrize("keep_fdi", [True, False])
@pytest.mark.parametrize("where", CELLS)
def test_painting_a_ply_is_a_correction(where, keep_fdi, arch, tmp_path, caplog):
    """Other programs paint faces or vertices, and may leave out the numbers that they do not know."""
    caplog.set_level("INFO", "toothgraph")
    ply, txt = written(tmp_path, arch, "ply", "txt")
    stored = read_stored(ply)
    painted = brush(stored, where, 16)
    rgb = {name: getattr(stored, CELLS[where])[name].astype(int) for name in ("red", "green", "blue")}
    for name, part in zip(rgb, COLOUR_OF_FDI[17], strict=True):
        rgb[name][painted] = part + 2  # not quite the colour: a soft brush
    rewritten(ply, where, rgb, keep_fdi=keep_fdi)
    mesh = read_scan(ply)
    assert mesh.label_origin == CORRECTED and "16 has another outline" in caplog.text
    assert 0.3 < (mesh.labels[arch.labels == 16] == 17).mean() < 0.7
    assert (mesh.labels == arch.labels)[arch.labels != 16].mean() > (0.999 if where == "faces" else 0.95)  # borders
    txt.unlink()
    renumber(ply, {17: 18})  # what was painted is not lost
    assert (read_scan(ply).labels == 18).sum() == (mesh.labels == 17).sum() > (arch.labels == 17).sum()
    assert read_scan(ply).label_origin == CORRECTED


def test_gingiva_that_is_unknown_now_is_told(arch, tmp_path, caplog):
    caplog.set_level("INFO", "toothgraph")
    ply, txt = written(tmp_path, arch, "ply", "txt")
    labels = txt.read_text().split()
    labels[labels.index("0")] = "-1"
    txt.write_text("\n".join(labels))
    assert read_scan(ply).label_origin == CORRECTED
    assert "then corrected: other gingiva" in caplog.text


def test_a_tooth_painted_as_another_is_told_by_its_number(arch, tmp_path, caplog):
    caplog.set_level("INFO", "toothgraph")
    (ply,) = written(tmp_path, arch, "ply")
    tooth = read_stored(ply).face_data["fdi"] == 17
    rgb = {name: np.where(tooth, part, read_stored(ply).face_data[name])
           for name, part in zip(("red", "green", "blue"), COLOUR_OF_FDI[18], strict=True)}  # fmt: skip
    rewritten(ply, "faces", rgb)
    assert set(read_scan(ply).labels[arch.labels == 17]) == {18}
    assert "then corrected: 18 was 17" in caplog.text


@pytest.mark.parametrize("kind", ["ply", "vtp", "vtk"])
def test_numbers_changed_on_vertices_only_are_a_correction(kind, arch, tmp_path):
    (path,) = written(tmp_path, arch, kind)
    stored = read_stored(path)
    of_vertices = np.where(stored.vertex_data["fdi"] == 16, 15, stored.vertex_data["fdi"])
    write = write_ply if kind == "ply" else write_vtk
    write(path, stored.vertices, stored.polygons, of_vertices, stored.face_data["fdi"])
    if kind == "ply":  # as a program that knows nothing of the colours
        rewritten(path, "vertices", {name: stored.vertex_data[name] for name in ("red", "green", "blue")})
    mesh = read_scan(path)
    assert mesh.label_origin == CORRECTED and not (mesh.labels == 16).any()


def test_a_scan_without_a_tooth_is_as_it_was_written(arch, tmp_path, caplog):
    """It has one colour for all, which nobody has changed."""
    write_labelled(tmp_path, "a_upper", arch, np.zeros(len(arch.faces), dtype=int), ("ply",), model="net")
    assert read_scan(tmp_path / "a_upper.ply").label_origin.kind == "found" and not caplog.text


def test_the_same_file_from_another_program_is_no_correction(arch, tmp_path, caplog):
    (ply,) = written(tmp_path, arch, "ply")
    stored = read_stored(ply)
    rewritten(ply, "faces", {})
    assert read_scan(ply).label_origin == FOUND
    rewritten(ply, "faces", {name: np.full(len(stored.polygons), 77) for name in ("red", "green", "blue")})
    assert read_scan(ply).label_origin == FOUND  # one colour for all: not labels
    assert "another program has changed its face colours" in caplog.text


def test_colours_mean_what_they_meant_when_the_file_was_written(arch, tmp_path):
    """A later version may colour the teeth in another way."""
    (ply,) = written(tmp_path, arch, "ply")
    content = json.loads(record_of(ply).read_text())
    known = content["files"][ply.name]["colours"]
    known["16"], known["17"] = known["17"], known["16"]
    record_of(ply).write_text(json.dumps(content))
    assert set(read_scan(ply).labels[arch.labels == 16]) == {17}


def test_a_record_of_an_earlier_version_knows_the_numbers_only(arch, tmp_path):
    (ply,) = written(tmp_path, arch, "ply")
    content = json.loads(record_of(ply).read_text())
    for key in ("colours", "of_vertices"):
        del content["files"][ply.name][key]
    record_of(ply).write_text(json.dumps(content))
    assert read_scan(ply).label_origin == FOUND


def test_other_white_space_is_no_correction(arch, tmp_path):
    ply, txt = written(tmp_path, arch, "ply", "txt")
    txt.write_text(" ".join(txt.read_text().split()))
    assert read_scan(ply).label_origin == FOUND


def test_what_was_changed_goes_before_what_was_not(arch, tmp_path):
    """The text file goes first, but it is out of date."""
    ply, txt, sidecar = written(tmp_path, arch, "ply", "txt", "json")
    content = json.loads(sidecar.read_text())
    content["labels"] = [15 if label == 16 else label for label in content["labels"]]
    sidecar.write_text(json.dumps(content))
    mesh = read_scan(ply)
    assert mesh.label_origin == CORRECTED and not (mesh.labels == 16).any()
    txt.write_text("\n".join(["0"] * len(arch.faces)))
    with pytest.raises(LabelError, match="contradict each other"):  # both were changed
        read_scan(ply)


def test_given_labels_beside_a_found_scan_are_given(arch, tmp_path):
    (ply,) = written(tmp_path, arch, "ply")
    ply.with_suffix(".txt").write_text("\n".join(["0"] * len(arch.faces)))
    assert read_scan(ply).label_origin == LabelOrigin("given")


def test_found_labels_are_fdi_whatever_the_others_are(arch, tmp_path):
    (ply,) = written(tmp_path, arch, "ply")
    assert np.array_equal(read_scan(ply, label_system="universal").labels, arch.labels)


def test_another_model_in_the_same_folder(arch, tmp_path):
    ply, _ = written(tmp_path, arch, "ply", "txt")
    write_labelled(tmp_path, "a_upper", arch, arch.labels, ["txt"], model="another")
    assert read_scan(ply).label_origin == LabelOrigin("found", "another")
    assert {name: found.model for name, found in read_record(ply).files.items()} == {
        "a_upper.ply": MODEL, "a_upper.txt": "another",
    }  # fmt: skip
    write_labelled(tmp_path, "a_upper", arch, arch.labels, ["txt"])  # by no model
    assert read_scan(ply).label_origin == LabelOrigin("given")


def test_labels_that_no_model_found_have_no_record(arch, tmp_path):
    write_labelled(tmp_path, "a_upper", arch, arch.labels)
    assert not list(tmp_path.glob("*.found.json"))


@pytest.mark.parametrize("content", [
    "{", "[]", '{"files": {}}', '{"files": {"a": 1}, "renumbered": []}',
    '{"files": {"a_upper.ply": {"model": "", "content": "", "numbers": {}, "colours": {"11": "f"}}}, "renumbered": []}',
    '{"files": {"a_upper.ply": {"model": "", "content": "", "numbers": {}, "colours": {"1": "ff"}}}, "renumbered": []}',
    '{"files": {"../a_upper.ply": {"model": "", "content": "", "numbers": {}}}, "renumbered": []}',
])  # fmt: skip
def test_a_damaged_record_is_told(content, arch, tmp_path):
    ply, teeth = written(tmp_path, arch, "ply", "stl")
    assert find_scans([tmp_path]) == [ply]
    record_of(ply).write_text(content)
    for scan in (ply, teeth):
        with pytest.raises(LabelError, match=r"a_upper\.found\.json: expected the record"):
            read_scan(scan)
    assert find_scans([tmp_path]) == [ply, teeth]  # nothing says that they are one


def test_other_labels_forget_where_they_came_from(arch, tmp_path):
    (ply,) = written(tmp_path, arch, "ply")
    assert read_scan(ply).with_labels(None).label_origin == LabelOrigin("given")


def test_one_scan_in_many_formats_is_one_scan(arch, tmp_path):
    paths = written(tmp_path, arch, *FORMATS)
    assert find_scans([tmp_path]) == find_scans(paths[:1] + paths[3:]) == [tmp_path / "a_upper.ply"]
    # the one whose labels were corrected is taken
    teeth = tmp_path / "a_upper.teeth"
    (teeth / "16.stl").rename(teeth / "15_.stl")
    (teeth / "15.stl").rename(teeth / "16.stl")
    (teeth / "15_.stl").rename(teeth / "15.stl")
    assert find_scans([tmp_path]) == [teeth]
    mesh = read_scan(teeth)
    assert mesh.label_origin == CORRECTED
    for number, former in ((15, 16), (16, 15)):
        assert (mesh.labels == number).sum() == (arch.labels == former).sum()


def test_files_without_a_record_stay_two_scans(arch, tmp_path):
    ply, teeth = write_labelled(tmp_path, "a_upper", arch, arch.labels, ["ply", "stl"])
    assert find_scans([tmp_path]) == [ply, teeth]
    written(tmp_path / "b", arch, "ply")
    shutil.copy(ply, tmp_path / "b" / "a_upper.stl")  # not of the record
    assert len(find_scans([tmp_path / "b"])) == 2


def test_a_folder_of_parts_that_was_recorded_without_its_milk_teeth_is_unchanged(arch, tmp_path, monkeypatch):
    milk = np.where(arch.labels == 15, 55, arch.labels)
    content, numbers = label_record.content_digest, label_record.number_digests
    monkeypatch.setattr(label_record, "content_digest", lambda path, **_: content(path, milk_teeth=False))
    monkeypatch.setattr(label_record, "number_digests", lambda path, labels: {
        number: digest for number, digest in numbers(path, labels).items() if number < 51})  # fmt: skip
    (folder,) = write_labelled(tmp_path, "a_upper", arch, milk, ["stl"], model="m")
    monkeypatch.undo()
    record = read_record(folder)
    assert 55 not in record.files["a_upper.teeth"].numbers and not was_changed(folder, record)
    assert read_scan(folder, primary=True).label_origin.kind == "found"
    (folder / "55.stl").rename(folder / "15.stl")
    assert was_changed(folder, record) and read_scan(folder).label_origin.kind == "corrected"
