"""Labels of another program: every way to store them gives the same labels of the scan."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toothgraph.data.training_set import load_training_set
from toothgraph.errors import LabelError, MeshError
from toothgraph.evaluation import score_other
from toothgraph.io.formats.ply import write_ply
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.formats.tooth_folder import write_tooth_folder
from toothgraph.io.label_systems import to_universal
from toothgraph.io.labels import read_scan
from toothgraph.io.predictions import Predictions, read_predictions
from toothgraph.io.write import write_teeth3ds_json, write_txt
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import original_of, vertices_to_original
from toothgraph.synthetic import synthetic_arch
from toothgraph.training.config import PRETRAIN_PRESETS


@pytest.fixture
def scan(arch: Mesh, tmp_path: Path) -> Path:
    """A labelled scan, and beside it the empty folder ``found``."""
    path = tmp_path / "scan_upper.stl"
    write_stl(path, arch.vertices, arch.faces)
    write_txt(path.with_suffix(".txt"), arch.labels)
    (tmp_path / "found").mkdir()
    return path


def shifted(labels: np.ndarray) -> np.ndarray:
    """Labels of a program that calls the first molars second ones, so that they are not the true ones."""
    return np.where(labels == 16, 17, labels)


def labelled_ply(folder: Path, vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray) -> None:
    write_ply(folder / "scan_upper.ply", vertices, faces, np.zeros(len(vertices), dtype=np.int64), labels)


def test_numbers_of_faces_and_of_vertices(scan: Path, arch: Mesh) -> None:
    found, mesh = Predictions(scan.parent / "found"), read_scan(scan)
    labels = shifted(arch.labels)
    write_txt(found.folder / "scan_upper.txt", labels)
    np.testing.assert_array_equal(read_predictions(mesh, scan, found).faces, labels)
    (found.folder / "scan_upper.txt").unlink()
    of_vertices = vertices_to_original(mesh, labels)
    write_teeth3ds_json(found.folder / "scan_upper.json", of_vertices, jaw=0)
    read = read_predictions(mesh, scan, Predictions(found.folder))
    np.testing.assert_array_equal(read.vertices, of_vertices)
    assert (read.faces != labels).mean() < 0.1  # a face takes the majority of its corners


def test_labels_in_another_order_are_told(scan: Path, arch: Mesh, caplog: pytest.LogCaptureFixture) -> None:
    found, mesh = Predictions(scan.parent / "found"), read_scan(scan)
    write_txt(found.folder / "scan_upper.txt", arch.labels)
    read_predictions(mesh, scan, found)
    assert not caplog.records
    write_txt(found.folder / "scan_upper.txt", np.random.default_rng(0).permutation(arch.labels))
    read_predictions(mesh, scan, Predictions(found.folder))
    assert "are they in the order of the faces of the scan?" in caplog.text


def test_a_mesh_with_labels(scan: Path, arch: Mesh) -> None:
    found, mesh = Predictions(scan.parent / "found"), read_scan(scan)
    labelled_ply(found.folder, arch.vertices, arch.faces, shifted(arch.labels))
    np.testing.assert_array_equal(read_predictions(mesh, scan, found).faces, shifted(arch.labels))


@pytest.mark.parametrize(("unit", "factor"), [("m", 0.001), ("cm", 0.1), ("inch", 1 / 25.4), ("um", 1000.0)])
@pytest.mark.parametrize("part", [False, True])
def test_a_mesh_in_another_unit(scan: Path, arch: Mesh, unit: str, factor: float, part: bool) -> None:
    """Its size says the unit, also that of half an arch."""
    found, mesh = Predictions(scan.parent / "found"), read_scan(scan)
    kept = arch.centroids[:, 0] > np.median(arch.centroids[:, 0]) if part else np.ones(len(arch.faces), dtype=bool)
    labelled_ply(found.folder, arch.vertices * factor, arch.faces[kept], shifted(arch.labels)[kept])
    if unit == "um":
        with pytest.raises(MeshError, match="expected a scan of"):
            read_predictions(mesh, scan, found)
        return
    read = read_predictions(mesh, scan, found).faces
    np.testing.assert_array_equal(read[kept], shifted(arch.labels)[kept])
    assert not part or (read[~kept] == 0).mean() > 0.98


def test_another_mesh_of_the_surface(scan: Path, arch: Mesh, caplog: pytest.LogCaptureFixture) -> None:
    found, mesh = Predictions(scan.parent / "found"), read_scan(scan)
    coarse = decimate(arch, 1500).mesh
    write_stl(found.folder / "scan_upper.stl", coarse.vertices, coarse.faces)
    write_txt(found.folder / "scan_upper.txt", coarse.labels)
    read = read_predictions(mesh, scan, found)  # the numbers count the faces of the mesh that they lie beside
    assert (read.faces == arch.labels).mean() > 0.9
    (found.folder / "scan_upper.stl").unlink()
    with pytest.raises(LabelError, match="expected 2"):
        read_predictions(mesh, scan, Predictions(found.folder))
    (found.folder / "scan_upper.txt").unlink()
    labelled_ply(found.folder, coarse.vertices, coarse.faces, coarse.labels)
    read = read_predictions(mesh, scan, Predictions(found.folder))
    assert "another mesh of this scan" in caplog.text
    assert (read.faces == arch.labels).mean() > 0.9
    labelled_ply(found.folder, coarse.vertices + 20.0, coarse.faces, coarse.labels)
    with pytest.raises(LabelError, match="mm away"):
        read_predictions(mesh, scan, Predictions(found.folder))


def test_no_tooth_counts_as_gingiva(scan: Path, arch: Mesh) -> None:
    found = Predictions(scan.parent / "found")
    write_txt(found.folder / "scan_upper.txt", np.where(arch.labels == 11, 99, arch.labels))
    read = read_predictions(read_scan(scan), scan, found)
    assert (read.faces[arch.labels == 11] == 0).all()
    assert (read.vertices >= 0).all() and len(read.vertices) == len(original_of(read_scan(scan)).vertices)


@pytest.mark.parametrize("suffix", [".txt", ".TXT"])
def test_a_mesh_without_labels_beside_files_that_have_them(scan: Path, arch: Mesh, suffix: str) -> None:
    found, mesh = Predictions(scan.parent / "found"), read_scan(scan)
    labels = shifted(arch.labels)
    lines = [
        *("v {} {} {}".format(*place) for place in arch.vertices),
        *("f {} {} {}".format(*f) for f in arch.faces + 1),
    ]
    (found.folder / "scan_upper.obj").write_text("\n".join(lines))
    write_txt(found.folder / f"scan_upper{suffix}", labels)
    np.testing.assert_array_equal(read_predictions(mesh, scan, found).faces, labels)
    (found.folder / f"scan_upper{suffix}").unlink()
    labelled_ply(found.folder, arch.vertices, arch.faces, labels)
    np.testing.assert_array_equal(read_predictions(mesh, scan, Predictions(found.folder)).faces, labels)


def test_one_name_in_both_forms_of_an_accent(scan: Path, arch: Mesh) -> None:
    found = Predictions(scan.parent / "found")
    composed, apart = (unicodedata.normalize(form, "Müller_upper") for form in ("NFC", "NFD"))
    write_txt(found.folder / f"{apart}.txt", arch.labels)
    assert composed != apart and found.files_of(Path(f"{composed}.stl")) == [found.folder / f"{apart}.txt"]


def with_array(folder: Path, name: str, array: str, mesh: Mesh, numbers: np.ndarray) -> None:
    """A labelled mesh whose labels are in an array of any name."""
    folder.mkdir(exist_ok=True)
    write_ply(folder / f"{name}.ply", mesh.vertices, mesh.faces, vertices_to_original(mesh, numbers), numbers)
    content = (folder / f"{name}.ply").read_bytes()
    (folder / f"{name}.ply").write_bytes(content.replace(b" fdi\n", f" {array}\n".encode()))


def test_numbers_of_a_folder_are_of_one_label_system(arch: Mesh, tmp_path: Path, command) -> None:
    """Of a scan without its left second molar, Universal numbers are 2 to 14, as those of another label system."""
    short = np.where(arch.labels == 27, 0, arch.labels)
    assert set(to_universal(short)) == {0, *range(2, 15)} and set(to_universal(arch.labels)) == {0, *range(2, 16)}
    for name, labels in (("a_upper", arch.labels), ("b_upper", short)):
        with_array(tmp_path / "scans", name, "fdi", arch, labels)
        with_array(tmp_path / "found", name, "label", arch, to_universal(labels))
    out = tmp_path / "scores.json"
    given = ("evaluate", tmp_path / "scans", "--predictions", tmp_path / "found", "--out", out)
    done = command(*given)
    assert done.code == 1 and not out.exists()
    assert "look like universal in a_upper and like arch14 in b_upper; name the system with --pred" in done.error
    assert command(*given, "--predictions-label-system", "universal").code == 0
    assert json.loads(out.read_text())["scores"]["miou"] == 1
    with_array(tmp_path / "found", "a_upper", "fdi", arch, arch.labels)  # told, not guessed
    assert command(*given).code == 0
    assert [row.get("guessed_system") for row in json.loads(out.read_text())["per_scan"]] == [None, "arch14"]


def test_true_labels_that_look_like_several_label_systems_are_told(
    arch: Mesh, tmp_path: Path, command, caplog: pytest.LogCaptureFixture
) -> None:
    short = np.where(arch.labels == 27, 0, arch.labels)
    for name, labels in (("a_upper", arch.labels), ("b_upper", short)):
        with_array(tmp_path / "scans", name, "label", arch, to_universal(labels))
        with_array(tmp_path / "found", name, "fdi", arch, labels)
    told = "look like universal in a_upper and like arch14 in b_upper; if all scans have one label system"
    scores, prepared = ("--predictions", tmp_path / "found", "--out", tmp_path / "scores.json"), tmp_path / "prepared"
    for given in (("evaluate", tmp_path / "scans", *scores), ("prepare", tmp_path / "scans", prepared, "--faces", 500)):
        done = command(*given)
        assert done.code == 0 and told in " ".join(done.err.split()), done.err
    spec = replace(PRETRAIN_PRESETS["default"].net.graph, faces=500)
    for system, paths, warned in (("auto", "scans", True), ("auto", "prepared", True), ("universal", "scans", False)):
        caplog.clear()
        load_training_set([tmp_path / paths], spec, variants=1, seed=0, label_system=system)
        assert (told in caplog.text) is warned


def test_numbers_of_the_other_jaw_are_told(scan: Path, arch: Mesh, caplog: pytest.LogCaptureFixture) -> None:
    found, mesh = Predictions(scan.parent / "found"), read_scan(scan)
    write_txt(found.folder / "scan_upper.txt", np.where(arch.labels > 0, arch.labels + 20, 0))
    read_predictions(mesh, scan, found)
    assert "upper jaw by its true labels, but the labels in" in caplog.text
    assert "read as fdi numbers, are of the lower jaw" in caplog.text


def test_without_permanent_teeth_only_gingiva_is_scored(
    scan: Path, arch: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    found = Predictions(scan.parent / "found")
    write_txt(found.folder / "scan_upper.txt", 0 * arch.labels)
    assert score_other(found, scan).row["miou"] < 0.1 and not caplog.records
    write_txt(scan.with_suffix(".txt"), np.where((arch.labels > 0) & (arch.labels % 10 < 6), arch.labels + 40, 0))
    assert score_other(found, scan).row["miou"] == 1
    assert "no permanent tooth is labelled, so only gingiva is scored" in caplog.text


def test_a_row_tells_scans_of_one_name_apart(scan: Path, arch: Mesh) -> None:
    found = Predictions(scan.parent / "found")
    write_txt(found.folder / "scan_upper.txt", arch.labels)
    rows = [score_other(found, scan).row]
    write_stl(scan, 1.1 * arch.vertices, arch.faces)
    rows.append(score_other(found, scan).row)
    same, other = (row.pop("surface") for row in rows)
    assert same != other and rows[0] == rows[1]


def test_names(scan: Path, arch: Mesh) -> None:
    found, mesh = Predictions(scan.parent / "found"), read_scan(scan)
    with pytest.raises(LabelError, match=r"has no labels of scan_upper; expected scan_upper\.txt"):
        read_predictions(mesh, scan, found)
    write_txt(found.folder / "scan_uper.txt", arch.labels)
    with pytest.raises(LabelError, match="did you mean 'scan_uper'"):
        read_predictions(mesh, scan, Predictions(found.folder))
    for name in ("a", "b"):
        (found.folder / name).mkdir()
        write_txt(found.folder / name / "scan_upper.txt", arch.labels)
    with pytest.raises(LabelError, match="several folders"):
        read_predictions(mesh, scan, Predictions(found.folder))
    write_stl(found.folder / "bare.stl", arch.vertices, arch.faces)
    with pytest.raises(LabelError, match="--predictions-palette"):
        read_predictions(mesh, Path("bare.stl"), Predictions(found.folder))
    write_stl(found.folder / "other.stl", arch.vertices, arch.faces[:-9])  # another mesh, without labels
    with pytest.raises(LabelError, match="--predictions-palette"):
        read_predictions(mesh, Path("other.stl"), Predictions(found.folder))


def test_errors_name_the_options_and_keys_of_predictions(scan: Path, arch: Mesh) -> None:
    found, mesh = Predictions(scan.parent / "found"), read_scan(scan)
    list_of_labels = found.folder / "scan_upper.json"
    list_of_labels.write_text(str([0] * len(arch.vertices)))
    with pytest.raises(LabelError, match="expected a key `labels` with a number per vertex"):
        read_predictions(mesh, scan, found)
    list_of_labels.unlink()
    strange = np.where(arch.labels > 0, 90, 0)
    write_txt(found.folder / "scan_upper.txt", strange)
    with pytest.raises(LabelError, match=r"name the label system \(--predictions-label-system\)"):
        read_predictions(mesh, scan, Predictions(found.folder))
    (found.folder / "scan_upper.txt").unlink()
    labelled_ply(found.folder, arch.vertices, arch.faces[:-10], strange[:-10])
    with pytest.raises(LabelError, match=r"\(--predictions-label-system\)"):
        read_predictions(mesh, scan, Predictions(found.folder))


@pytest.mark.parametrize("layout", ["patient_{0}_lower.txt", "patient_{0}/lower.txt"])
def test_patients_as_folders(tmp_path: Path, command, layout: str) -> None:
    """Files of one name in folders of patients: each has the labels of its own patient, and a name of its own."""
    for number in (1, 2):
        jaw = synthetic_arch(number, jaw=1, faces=2000)
        scan = tmp_path / "scans" / f"patient_{number}" / "lower.stl"
        scan.parent.mkdir(parents=True)
        write_stl(scan, jaw.vertices, jaw.faces)
        write_txt(scan.with_suffix(".txt"), jaw.labels)
        found = tmp_path / "found" / layout.format(number)
        found.parent.mkdir(parents=True, exist_ok=True)
        write_txt(found, jaw.labels)
    out = tmp_path / "scores.json"
    done = command("evaluate", tmp_path / "scans", "--predictions", tmp_path / "found", "--out", out)
    assert done.code == 0, done.err
    rows = json.loads(out.read_text())["per_scan"]
    assert [row["scan_id"] for row in rows] == ["patient_1_lower", "patient_2_lower"]
    assert [row["miou"] for row in rows] == [1.0, 1.0]
    assert "patient_2_lower: miou" in done.out


def test_two_results_of_the_same_scans(arches: Path, tmp_path: Path, command) -> None:
    """The interval is over patients, and the difference is paired: the labels as they are against worse ones."""
    for folder in ("truth", "worse"):
        (tmp_path / folder).mkdir()
    for file in arches.glob("*.txt"):
        labels = np.loadtxt(file, dtype=np.int64)
        write_txt(tmp_path / "truth" / file.name, labels)
        write_txt(tmp_path / "worse" / file.name, np.where(labels == labels.max(), 0, labels))
    worse, out = tmp_path / "worse.json", tmp_path / "out.json"
    done = command("evaluate", arches, "--predictions", tmp_path / "worse", "--out", worse)
    assert done.code == 0 and "its 95 % interval over 3 patients" in done.out, done.err
    given = ("evaluate", arches, "--predictions", tmp_path / "truth", "--out", out)
    done = command(*given, "--against", worse)
    assert done.code == 0 and "on 6 scans that both have:" in done.out, done.err
    content = json.loads(out.read_text())
    miou = content["against"]["scores"]["miou"]
    assert miou["this"] == 1 and miou["interval"][0] > 0 and f"{miou['difference']:+.4f}" in done.out
    assert content["intervals"]["miou"] == [1, 1] and content["per_scan"][0]["patient"] == "0000"
    assert "expected what `toothgraph evaluate` writes" in command(*given, "--against", arches / "0000_lower.txt").error
    rows = json.loads(worse.read_text())
    worse.write_text(json.dumps({"per_scan": [{**row, "dice": "0.9"} for row in rows["per_scan"]]}))
    assert "expected a number as `dice` of 0000_lower, found '0.9'" in command(*given, "--against", worse).error
    worse.write_text(json.dumps({"per_scan": [{**row, "scan_id": "x"} for row in rows["per_scan"]]}))
    assert "expected scores of the scans that are scored now, found none" in command(*given, "--against", worse).error


def test_a_mesh_of_a_part_of_the_scan(scan: Path, arch: Mesh, caplog: pytest.LogCaptureFixture) -> None:
    """A program that gives the crowns alone, or a few of them, has found no tooth elsewhere."""
    mesh = read_scan(scan)
    for kept in (arch.labels > 0, np.isin(arch.labels, [11, 21])):
        found = Predictions(scan.parent / "found")
        labelled_ply(found.folder, arch.vertices, arch.faces[kept], arch.labels[kept])
        read = read_predictions(mesh, scan, found).faces
        np.testing.assert_array_equal(read, np.where(kept, arch.labels, 0))
        assert "of the faces are not near that mesh, and count as gingiva" in caplog.text
    coarse = decimate(arch, 1500).mesh
    crowns = coarse.labels > 0
    labelled_ply(found.folder, coarse.vertices, coarse.faces[crowns], coarse.labels[crowns])
    assert (read_predictions(mesh, scan, Predictions(found.folder)).faces == arch.labels).mean() > 0.8


def test_a_folder_with_one_file_per_tooth(scan: Path, arch: Mesh) -> None:
    mesh = read_scan(scan)
    for name in ("scan_upper.teeth", "scan_upper"):
        found = Predictions(scan.parent / f"found {name}")
        write_tooth_folder(found.folder / name, arch.vertices, arch.faces, shifted(arch.labels))
        assert (read_predictions(mesh, scan, found).faces == shifted(arch.labels)).all()
        with pytest.raises(LabelError, match="has no labels of other"):
            found.files_of(Path("other.stl"))
