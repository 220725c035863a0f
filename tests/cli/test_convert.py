"""``toothgraph convert``: labels of a review, of `predict`, or of the scans, as files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import ConfigError
from toothgraph.io.find import find_scans
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.label_record import read_record
from toothgraph.io.label_systems import to_universal
from toothgraph.io.labels import read_scan
from toothgraph.io.write import write_labelled, write_txt
from toothgraph.mesh.mesh import Mesh
from toothgraph.review.begin import read_for_review
from toothgraph.synthetic import synthetic_arch


def test_labels_of_a_review_as_files_and_pages(command, arch: Mesh, tmp_path: Path) -> None:
    scans, reviewed, out = tmp_path / "scans", tmp_path / "reviewed", tmp_path / "out"
    for name in ("one_U", "two_U"):
        write_labelled(scans, name, arch, arch.labels, ("ply",))
    steps = tmp_path / "steps.jsonl"
    steps.write_text('{"scan": "one_U", "kind": "swap", "tooth": 16, "to": 15}\n')
    assert command("review", scans, "--labels", reviewed, "--apply", steps).code == 0
    formats = ("--format", "ply", "--format", "txt", "--format", "stl")
    done = command("convert", scans, "--labels", reviewed, "--out", out, *formats, "--report")
    assert done.code == 0, done.err
    assert "one_U: corrected (review: corrected), 14 teeth: 17 16 15" in done.out
    assert f"left out: two_U has no labels in {reviewed}" in done.err
    expected = np.select([arch.labels == 16, arch.labels == 15], [15, 16], arch.labels)
    np.testing.assert_array_equal(np.loadtxt(out / "one_U.txt", dtype=int), expected)
    np.testing.assert_array_equal(read_scan(out / "one_U.ply").labels, expected)
    assert read_scan(out / "one_U.ply").label_origin.kind == "given"  # by a person
    assert len(list((out / "one_U.teeth").iterdir())) == 15  # 14 teeth and gingiva
    written = {"index.html", "measures.csv", "one_U.html", "one_U.csv", "one_U.ply", "one_U.txt", "one_U.teeth",
               "one_U.found.json"}  # fmt: skip
    assert {file.name for file in out.iterdir()} == written


def test_labels_of_scans_and_of_predict(command, arch: Mesh, tmp_path: Path) -> None:
    bare, labelled = tmp_path / "bare", tmp_path / "labelled"
    write_labelled(bare, "one_U", arch, np.zeros_like(arch.labels), ("ply",))
    write_labelled(labelled, "one_U", arch, arch.labels, ("ply",), model="a model")
    for k, given in enumerate(((labelled,), (bare, "--labels", labelled))):
        out = tmp_path / f"out-{k}"
        done = command("convert", *given, "--out", out)
        assert done.code == 0 and "one_U: found by a model, 14 teeth: " in done.out, done.err
        assert {file.name for file in out.iterdir()} == {"one_U.ply", "one_U.txt", "one_U.json", "one_U.found.json"}
        assert read_scan(out / "one_U.ply").label_origin.model == "a model"
        assert json.loads((out / "one_U.json").read_text())["jaw"] == "upper"


def test_given_labels_in_several_formats_are_one_scan(command, arch: Mesh, tmp_path: Path) -> None:
    """As those of a model are: each command takes one of the files, and all of them get other numbers."""
    out, numbers = tmp_path / "out", {16: 15, 15: 16}
    write_labelled(tmp_path / "scans", "one_U", arch, arch.labels, ("ply",))
    formats = [word for kind in ("ply", "txt", "json", "stl") for word in ("--format", kind)]
    convert = ("convert", tmp_path / "scans", "--out", out, *formats, "--report")
    assert command(*convert).code == 0
    assert find_scans([out]) == [out / "one_U.ply"]
    assert {(found.kind, found.model) for found in read_record(out / "one_U.ply").files.values()} == {("given", "")}
    assert command(*convert).code == 0  # nobody has changed them
    done = command("renumber", out / "one_U.teeth", *(f"{old}={new}" for old, new in numbers.items()))
    assert done.code == 0 and "one_U: given, " in done.out, done.err
    again = {"one_U.ply", "one_U.txt", "one_U.json", "one_U.teeth", "one_U.html", "one_U.csv"}
    assert {Path(line.split()[1]).name for line in done.out.splitlines() if line.startswith("wrote")} >= again
    expected = np.select([arch.labels == old for old in numbers], [*numbers.values()], arch.labels)
    np.testing.assert_array_equal(np.loadtxt(out / "one_U.txt", dtype=int), expected)
    for scan in (out / "one_U.ply", out / "one_U.teeth"):
        mesh = read_scan(scan)
        assert mesh.label_origin.kind == "given" and (mesh.labels == 15).sum() == (arch.labels == 16).sum()
    assert "its corrected labels would be overwritten" in command(*convert).err


def test_an_edited_file_of_given_labels_goes_before_the_others(command, arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path / "scans", "one_U", arch, arch.labels, ("ply",))
    assert command("convert", tmp_path / "scans", "--out", tmp_path / "out").code == 0
    content = json.loads((tmp_path / "out" / "one_U.json").read_text())
    content["labels"] = [0 if fdi == 16 else fdi for fdi in content["labels"]]
    (tmp_path / "out" / "one_U.json").write_text(json.dumps(content))
    mesh = read_scan(tmp_path / "out" / "one_U.ply", label_system="universal")  # they are FDI numbers all the same
    assert mesh.label_origin.kind == "given" and {*np.unique(mesh.labels)} == {*np.unique(arch.labels)} - {16}


def test_what_predict_said_goes_along(command, arch: Mesh, tmp_path: Path) -> None:
    bare, labelled = tmp_path / "bare", tmp_path / "labelled"
    write_labelled(bare, "one_U", arch, np.zeros_like(arch.labels), ("ply",))
    said = {"confidence": {16: 0.5, 15: 0.75}, "doubts": ["review 16: the model is less than 70% sure"]}
    write_labelled(labelled, "one_U", arch, arch.labels, ("ply", "json"), model="a model", **said)
    for k, given in enumerate(((labelled,), (bare, "--labels", labelled))):
        out = tmp_path / f"out-{k}"
        done = command("convert", *given, "--out", out, "--report")
        assert done.code == 0 and "one_U: found by a model (to review), 14 teeth: " in done.out, done.err
        content = json.loads((out / "one_U.json").read_text())
        assert content["confidence"] == {"16": 0.5, "15": 0.75} and content["doubts"] == said["doubts"]
        assert "\n16," in (table := (out / "one_U.csv").read_text()) and ",0.500\n" in table
        for page in ("one_U.html", "index.html"):
            assert ": the model is less than 70% sure" in (out / page).read_text()


def test_what_is_refused(command, arch: Mesh, tmp_path: Path) -> None:
    scans, other = tmp_path / "scans", tmp_path / "other"
    (scan,) = write_labelled(scans, "one_U", arch, arch.labels, ("ply",))
    assert "--out is the scan's own folder" in command("convert", scan, "--out", scans).error
    assert f"{other}: no such file or folder" in command(
        "convert", scan, "--labels", other, "--out", tmp_path / "out").error  # fmt: skip
    other.mkdir()
    assert "choose another" in command("convert", scan, "--labels", other, "--out", other).error
    small = arch.part(np.arange(300))
    write_labelled(other, "one_U", small, arch.labels[:300], ("ply",))
    done = command("convert", scan, "--labels", other, "--out", tmp_path / "out")
    assert done.code == 1 and "is it another scan of that name?" in done.err
    (other / "one_U.ply").rename(other / "two_U.ply")
    done = command("convert", scan, "--labels", other, "--out", tmp_path / "out")
    assert done.code == 1 and "expected labels of 1 scan, found none;" in done.error


def test_a_file_of_both_jaws_stays_one_and_is_measured(command, arch: Mesh, tmp_path: Path) -> None:
    lower = synthetic_arch(2, jaw=1, faces=2000)
    apart = lower.vertices - np.array([0, 40, 0])
    both = Mesh(np.concatenate([arch.vertices, apart]), np.concatenate([arch.faces, lower.faces + len(arch.vertices)]))
    write_labelled(
        tmp_path / "in", "case", both, np.concatenate([arch.labels, lower.labels]), ("ply",), model="a model"
    )
    done = command("convert", tmp_path / "in", "--out", tmp_path / "out", "--format", "json", "--format", "ply")
    assert done.code == 0, done.err
    content = json.loads((tmp_path / "out" / "case.json").read_text())
    assert content["jaw"] == "both" and {"upper_arch_length", "lower_arch_length"} <= content["measures"].keys()
    faces = len(arch.faces)
    jaws = {"upper": [(0, faces)], "lower": [(faces, len(both.faces))]}
    assert read_record(tmp_path / "out" / "case.ply").jaws == jaws


def test_that_there_are_no_warnings_goes_along(command, arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path / "in", "one_U", arch, arch.labels, ("ply", "json"), model="a model", doubts=[])
    write_labelled(tmp_path / "given", "one_U", arch, arch.labels, ("ply",))
    for folder, told in (("in", True), ("given", False)):
        assert command("convert", tmp_path / folder, "--out", tmp_path / "out").code == 0
        assert ("doubts" in json.loads((tmp_path / "out" / "one_U.json").read_text())) is told


def test_other_numbers_in_a_folder_of_labels(command, arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path / "scans", "one_U", arch, np.zeros_like(arch.labels), ("ply",))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "one_U.txt").write_text("\n".join(map(str, to_universal(arch.labels))))
    run = ("convert", tmp_path / "scans", "--labels", tmp_path / "labels", "--out", tmp_path / "out")
    refused = command(*run)
    assert refused.code == 1 and "--label-system" in refused.err and "faces: 2, 3, 4" in refused.err
    done = command(*run, "--label-system", "universal", "--format", "txt")
    assert done.code == 0, done.err
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "out" / "one_U.txt", dtype=int), arch.labels)


@pytest.mark.parametrize("jaw", [0, 1])
@pytest.mark.parametrize("log", [True, False])
def test_what_a_review_has_written_are_fdi_numbers(command, jaw: int, log: bool, tmp_path: Path) -> None:
    """Whatever the numbers of the scans are, which the same option tells `review`."""
    arch = synthetic_arch(1, jaw=jaw, faces=2000)
    write_stl(tmp_path / "scans" / "007.stl", arch.vertices, arch.faces)
    (tmp_path / "scans" / "007.txt").write_text("\n".join(map(str, to_universal(arch.labels))))
    (tmp_path / "steps.jsonl").write_text('{"scan": "007", "kind": "approve"}\n')
    run = ("--labels", tmp_path / "rev", "--label-system", "universal")
    assert command("review", tmp_path / "scans", *run, "--apply", tmp_path / "steps.jsonl").code == 0
    if not log:
        (tmp_path / "rev" / "007.log.jsonl").unlink()
    done = command("convert", tmp_path / "scans", *run, "--out", tmp_path / "out", "--format", "json")
    assert done.code == 0 and "are those of the" not in done.err, done.err
    content = json.loads((tmp_path / "out" / "007.json").read_text())
    assert content["jaw"] == ("upper", "lower")[jaw] and {*content["labels"]} == {*arch.labels.tolist()}


@pytest.mark.parametrize(
    ("words", "name", "said"),
    [
        (("convert",), "anna.Found", "is the record of anna; give the scan another name"),
        (("convert", "--report"), "anna.both", "is the page of both jaws of anna; give the scan another name"),
        (("view",), "anna.Both", "is the page of both jaws of anna; give the scan another name"),
        (("predict",), "anna.found", "is the record of anna; give the scan another name"),
        (("predict", "--report"), "anna.both", "is the page of both jaws of anna; give the scan another name"),
    ],
)
def test_names_of_other_files_are_refused(
    command, words: tuple[str, ...], name: str, said: str, arch: Mesh, tmp_path: Path
) -> None:
    write_labelled(tmp_path / "scans", "one", arch, arch.labels, ("ply",))
    (tmp_path / "scans" / "one.ply").rename(tmp_path / "scans" / f"{name}.ply")
    out = tmp_path / "out"
    done = command(*words, tmp_path / "scans", "--out", out)
    assert done.code == 1 and said in done.err, done.err
    assert not out.exists() or not list(out.glob("anna*"))
    with pytest.raises(ConfigError, match=r"is the record of a;"):
        write_labelled(out, "a.found", arch, arch.labels, ("ply",))
    with pytest.raises(ConfigError, match=r"is the record of a;"):
        read_for_review(tmp_path / "scans" / f"{name}.ply", "a.found", {})


def test_another_scan_into_the_same_folder_is_refused(command, arch: Mesh, tmp_path: Path) -> None:
    other, out = synthetic_arch(2, jaw=0, faces=2000), tmp_path / "out"
    for patient, mesh in (("anna", arch), ("ben", other)):
        write_labelled(tmp_path / patient, "upper", mesh, mesh.labels, ("ply",))
    assert command("convert", tmp_path / "anna", "--out", out, "--format", "txt", "--report").code == 0
    before = (out / "upper.txt").read_bytes()
    done = command("convert", tmp_path / "ben", "--out", out, "--format", "txt", "--report")
    assert done.code == 1 and f"upper.* belong to {tmp_path / 'anna' / 'upper.ply'}; choose another --out" in done.err
    assert (out / "upper.txt").read_bytes() == before and "choose another" not in (out / "index.html").read_text()
    write_labelled(tmp_path / "anna", "upper", other, other.labels, ("ply",))  # scanned again
    assert command("convert", tmp_path / "anna", "--out", out, "--format", "txt").code == 0


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder in which nothing can be made")
def test_an_error_of_the_system_says_what_to_do(command, arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path, "one_U", arch, arch.labels, ("ply",))
    done = command("convert", tmp_path, "--out", "/proc/foo")
    assert (
        done.code == 1 and done.error.startswith("Error: /proc/foo: ") and done.error.endswith("choose another --out")
    )


@pytest.mark.parametrize("words", [("predict",), ("evaluate",), ("finetune",)])
def test_a_list_of_scans_is_for_prepare(command, words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("path\nx.stl\n")
    done = command(*words, tmp_path / "set.csv", "--out", tmp_path / "out")
    assert done.code == 1 and "set.csv: only `toothgraph prepare` reads a list of scans" in done.error
    assert not (tmp_path / "out").exists()


def test_a_fault_of_ours_costs_one_scan(command, arch: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one_U", "two_U"):
        write_labelled(tmp_path / "scans", name, arch, arch.labels, ("ply",))

    def read(path: Path, **options: object) -> Mesh:
        if path.stem == "one_U":
            raise IndexError("boom")
        return read_scan(path)

    monkeypatch.setattr("toothgraph.io.labels.read_scan", read)
    for name, out in (("convert", "out"), ("view", "pages")):
        done = command(name, tmp_path / "scans", "--out", tmp_path / out)
        assert done.code == 1 and "boom" in done.err and "this is a fault of toothgraph" in done.err, done.err
        assert list((tmp_path / out).glob("two_U.*")) and not list((tmp_path / out).glob("one_U.*"))


def test_warnings_name_the_output(command, arch: Mesh, tmp_path: Path) -> None:
    for patient in ("p1", "p2"):
        (tmp_path / "in" / patient).mkdir(parents=True)
        write_stl(tmp_path / "in" / patient / "upper.stl", arch.vertices, arch.faces)
        write_txt(tmp_path / "in" / patient / "upper.txt", np.where(arch.labels == 16, 23, arch.labels))
    done = command("convert", tmp_path / "in", "-o", tmp_path / "out")
    assert done.code == 0 and "Warning: p1_upper: " in done.err and "Warning: p2_upper: " in done.err
