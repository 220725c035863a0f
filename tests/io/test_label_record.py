from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import LabelError
from toothgraph.io.find import find_scans
from toothgraph.io.label_record import read_record, record_of
from toothgraph.io.labels import read_scan
from toothgraph.io.write import write_labelled
from toothgraph.mesh.label_origin import LabelOrigin
from toothgraph.mesh.mesh import Mesh

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
    assert not (read_scan(ply).labels > 0).any()  # both were changed: the usual order


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
    '{"files": {"../a_upper.ply": {"model": "", "content": "", "numbers": {}}}, "renumbered": []}',
])  # fmt: skip
def test_a_damaged_record_is_told(content, arch, tmp_path):
    (ply,) = written(tmp_path, arch, "ply")
    record_of(ply).write_text(content)
    with pytest.raises(LabelError, match=r"a_upper\.found\.json: expected the record"):
        read_scan(ply)
    assert find_scans([tmp_path]) == [ply]


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
