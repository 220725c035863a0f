"""Whose a scan is, and which scan it is: on one side of a split, known when scored, the same when a run goes on."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toothgraph as tg
from toothgraph.cli.jobs import jobs_of
from toothgraph.data.prepared.sources import Source, find_sources
from toothgraph.data.training_set import load_training_set
from toothgraph.errors import ConfigError, DataError
from toothgraph.fdi import LOWER, UPPER
from toothgraph.graph import GraphSpec
from toothgraph.io.label_systems import to_fdi
from toothgraph.io.write import write_labelled

JAWS = ("upper", "lower")


@pytest.fixture
def cases(arches: Path, tmp_path: Path) -> Path:
    """Three patients, each a folder of one named and one other jaw, with labels."""
    for number in range(3):
        folder = tmp_path / "cases" / f"p{number}"
        folder.mkdir(parents=True)
        for jaw, name in zip(JAWS, ("antagonist", "lower"), strict=True):
            for suffix in (".stl", ".txt"):
                shutil.copy(arches / f"000{number}_{jaw}{suffix}", folder / f"{name}{suffix}")
    return tmp_path / "cases"


@pytest.fixture
def trained(command: Callable[..., Any], tiny_toml: Path, tmp_path: Path) -> Callable[..., Path]:
    """Fine-tunes for a few steps into a new folder."""

    def trained(*words: object, name: str = "run") -> Path:
        done = command("finetune", *words, "--config", tiny_toml, "--out", tmp_path / name)
        assert done.code == 0, done.err
        return tmp_path / name

    return trained


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def facts(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "config.json").read_text())
    return content


def test_both_jaws_of_a_case_are_on_one_side(cases, trained, tmp_path):
    run = facts(trained(cases))
    assert len(run["train"]) + len(run["val"]) == 6
    assert not {name[:2] for name in run["train"]} & {name[:2] for name in run["val"]}
    (tmp_path / "split.json").write_text('{"train": ["p0", "p1"], "val": ["p2"]}')
    named = facts(trained(cases, "--split", tmp_path / "split.json", name="named"))
    assert len(named["train"]) == 4 and named["val"] == ["p2_antagonist", "p2_lower"]
    assert {source.patient for source in find_sources([cases])} == {"p0", "p1", "p2"}
    assert {source.jaw for source in find_sources([cases]) if source.path.stem == "antagonist"} == {0}


def test_evaluate_knows_whom_a_model_has_learned_from(cases, command, trained, tmp_path):
    (tmp_path / "split.json").write_text('{"train": ["p0"], "val": ["p2"]}')
    first = trained(cases, "--split", tmp_path / "split.json", name="first")
    second = trained(cases / "p1", "--init", first, name="second")

    def note(model: Path, *scans: Path, **split: object) -> str:
        words = [word for name, value in split.items() for word in (f"--{name}", value)]
        done = command("evaluate", *scans, "--model", model, *words, "--out", tmp_path / "scores.json", "--again")
        assert done.code == 0, done.err
        return next((line for line in done.err.splitlines() if line.startswith("note:")), "")

    assert "the patients of 2 of 6 scans" in note(first, cases)
    assert "the patients of 2 of 2 scans" in note(first, cases / "p0")  # without the folder in its name
    assert "the patients of 1 of 1 scan" in note(first, cases / "p0" / "antagonist.stl")
    assert note(first, cases / "p1") == ""
    assert "the patients of 4 of 6 scans" in note(second, cases)  # and from whom --init has
    assert note(first, cases, split=tmp_path / "split.json") == ""


@pytest.mark.parametrize("what", ["labels", "surface", "prepared"])
def test_a_run_does_not_go_on_with_what_has_changed(what, arches, command, tiny_toml, tmp_path):
    scans = tmp_path / "scans"
    shutil.copytree(arches, scans)
    given = tmp_path / "prepared" if what == "prepared" else scans

    def prepare() -> None:
        if what == "prepared":
            shutil.rmtree(given, ignore_errors=True)
            done = command("prepare", scans, given, "--faces", 300, "--tessellations", 2, "--workers", 1)
            assert done.code == 0, done.err

    def go(*more: object) -> Any:
        return command("finetune", given, "--config", tiny_toml, "--out", tmp_path / "run", *more)

    prepare()
    assert go().code == 0
    assert go("--resume").code == 0
    if what == "surface":
        for suffix in (".stl", ".txt"):
            shutil.copy(scans / f"0002_upper{suffix}", scans / f"0001_upper{suffix}")
    else:
        labels = (scans / "0001_upper.txt").read_text().split()
        (scans / "0001_upper.txt").write_text("\n".join("12" if one == "11" else one for one in labels))
    prepare()
    done = go("--resume")
    assert done.code == 1 and done.error.endswith("started with: the surface or labels of 0001_upper"), done.error


def test_a_run_at_work_is_not_written_to(arches, command, tiny_toml, tmp_path):
    from toothgraph.training.run_state import told

    run = ("finetune", arches, "--config", tiny_toml, "--out", tmp_path / "run")
    assert command(*run).code == 0
    (tmp_path / "run" / "last.ckpt").unlink()
    (tmp_path / "run" / "model.safetensors").unlink()
    before = (tmp_path / "run" / "config.json").read_text()
    with told(tmp_path / "run", lambda: 0):
        done = command(*run, "--resume", "--lr", 0.5)
    assert done.code == 1 and "another process is at work" in done.error
    assert (tmp_path / "run" / "config.json").read_text() == before


def prepared(command: Callable[..., Any], *words: object) -> Any:
    return command("prepare", *words, "--faces", 300, "--tessellations", 1, "--workers", 1)


def test_a_limit_that_is_raised_counts(arches, command, tmp_path):
    bad = prepared(command, arches, tmp_path / "out", "--megabytes", 0.01)
    assert bad.code == 1 and "none of 6 scans can be used" in bad.error
    assert prepared(command, arches, tmp_path / "out").code == 0
    assert len(rows(tmp_path / "out" / "manifest.csv")) == 6


def test_parts_are_the_same_when_a_scan_goes(arches, command, tmp_path):
    scans, out = tmp_path / "scans", tmp_path / "out"
    shutil.copytree(arches, scans)
    first = prepared(command, scans, out, "--shard", "1/3")
    done = len(rows(out / "manifest.csv"))
    assert 0 < done < 6 and f"{6 - done} of 6 scans are not prepared yet: run the other parts" in first.err
    assert "next:" not in first.err
    (scans / "0002_upper.stl").unlink()
    assert prepared(command, scans, out, "--shard", "3/3").code == 0  # nobody is in this part
    second = prepared(command, scans, out, "--shard", "2/3")
    assert len(rows(out / "manifest.csv")) == 5 and "next:" in second.err


def test_a_folder_of_another_version_is_refused(arches, command, tmp_path):
    assert prepared(command, arches, tmp_path / "out").code == 0
    options = tmp_path / "out" / "options.json"
    options.write_text(options.read_text().replace("toothgraph-scan-2", "toothgraph-scan-1"))
    done = command("finetune", tmp_path / "out", "--faces", 300, "--out", tmp_path / "run")
    assert done.code == 1 and "made by another version of toothgraph (toothgraph-scan-1" in done.error


def test_a_scan_given_twice_is_refused(arches, command, tmp_path):
    assert prepared(command, arches, tmp_path / "out").code == 0
    spec = GraphSpec(faces=300)
    options = {"variants": 1, "seed": 0}
    with pytest.raises((DataError, ConfigError), match="this scan is given twice"):
        load_training_set([tmp_path / "out", arches], spec, **options)
    (tmp_path / "list.csv").write_text(f"path,scan_id,patient\n{arches / '0002_upper.stl'},s2,other\n")
    assert prepared(command, tmp_path / "list.csv", tmp_path / "named").code == 0
    with pytest.raises(DataError, match=r"0002_upper\.stl: this scan is given twice"):
        load_training_set([tmp_path / "named", arches], spec, **options)
    both = find_sources([arches, arches / ".." / arches.name, tmp_path / "list.csv"])
    assert len(both) == 6 and {source.patient for source in both} == {"0000", "0001", "0002", "other"}


def test_a_list_says_what_is_meant(arches, tmp_path):
    file = tmp_path / "list.csv"
    file.write_text(f"path,patient,jaw\n {arches / '0000_upper.stl'} , anna , Upper\n")
    assert find_sources([file]) == [Source(arches / "0000_upper.stl", "0000_upper", "anna", 0)]
    file.write_text(f"path,Patient\n{arches / '0000_upper.stl'},anna\n")
    with pytest.raises(DataError, match="has a column 'Patient'; did you mean 'patient'"):
        find_sources([file])


def test_the_buffer_of_a_gltf_is_a_part_of_it(tmp_path):
    uri = "surface%20of.bin"
    (tmp_path / "a.gltf").write_text(json.dumps({"buffers": [{"uri": uri}, {"uri": "data:,x"}, {}]}))
    source = Source(tmp_path / "a.gltf", "a", "a")
    (tmp_path / "surface of.bin").write_bytes(b"one")
    before = source.digest()
    (tmp_path / "surface of.bin").write_bytes(b"two")
    assert source.digest() != before
    (tmp_path / "a.gltf").write_text("{")
    assert source.digest() not in ("", before)


def test_formats_of_an_earlier_run_get_the_new_labels(arches, command, tmp_path):
    scan, out = arches / "0000_upper.stl", tmp_path / "labelled"
    assert command("predict", scan, "--out", out).code in (0, 3)
    other = command("predict", scan, "--out", out, "--jaw", "lower", "--no-orient", "--format", "ply")
    assert other.code in (0, 3), other.err
    lines = {int(line) for line in (out / "0000_upper.txt").read_text().split()}
    assert lines <= {0, *range(31, 49)} and lines == {*json.loads((out / "0000_upper.json").read_text())["labels"], 0}


def test_parts_of_an_archive_and_missing_labels_come_to_an_end(arches, command, tmp_path):
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for file in sorted(arches.glob("000[01]_upper.*")):
            archive.write(file, file.name)
    (tmp_path / "theirs").mkdir()
    shutil.copy(arches / "0000_upper.txt", tmp_path / "theirs")
    run = ("evaluate", tmp_path / "s.zip", "--predictions", tmp_path / "theirs", "--out", tmp_path / "o.json")
    codes = [command(*run, "--shard", f"{part}/2").code for part in (1, 2)]
    content = json.loads((tmp_path / "o.json").read_text())
    assert sorted(codes) == [0, 1] and [row["scan_id"] for row in content["per_scan"]] == ["0000_upper"]
    assert [failure["file"] for failure in content["failures"]] == ["s/0001_upper.stl"]


def test_a_part_without_a_scan_names_no_file(arches, command, tmp_path):
    run = ("evaluate", arches / "0000_upper.stl", "--predictions", arches, "--out", tmp_path / "o.json")
    done = command(*run, "--shard", "2/2")
    assert done.code == 0 and "0 of 1 scan scored by part 2 of 2\n" in done.out
    done = command(*run, "--shard", "1/2")
    assert done.code == 0 and (tmp_path / "o.json").exists()


def test_parts_with_other_options_are_told(arches, command, tmp_path):
    run = ("evaluate", arches / "0000_upper.stl", arches / "0001_upper.stl", "--predictions", arches,
           "--out", tmp_path / "o.json")  # fmt: skip
    assert command(*run, "--shard", "1/2").code == 0
    other = command(*run, "--shard", "2/2", "--jaw", "upper")
    assert other.code == 1 and "1 of 2 scans were scored by other parts with other options" in other.error
    assert command(*run, "--shard", "2/2").code == 0 and (tmp_path / "o.json").exists()


def test_other_scans_of_one_name_are_not_compared(cases, command, tmp_path):
    for which in (0, 1):
        words = ["--against", tmp_path / "o0.json"] if which else []
        folder = cases / f"p{which}"
        done = command("evaluate", folder, "--predictions", folder, "--out", tmp_path / f"o{which}.json", *words)
        assert done.code == 0, done.err
    assert "Warning: 2 scans in" in done.err and "on 0 scans that both have" in done.out
    assert json.loads((tmp_path / "o1.json").read_text())["against"]["unlike"] == 2


def test_labels_of_another_program_are_read_by_the_jaw_of_the_case(cases, command, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name, jaw in (("antagonist", UPPER), ("lower", LOWER)):
        fdi = [int(line) for line in (cases / "p0" / f"{name}.txt").read_text().split()]
        arch14 = {int(to_fdi(np.array([number]), "arch14", jaw)[0]): number for number in range(1, 15)}
        (theirs / f"{name}.txt").write_text("\n".join(str(arch14.get(one, 0)) for one in fdi))
    done = command("evaluate", cases / "p0", "--predictions", theirs, "--predictions-label-system", "arch14",
                   "--out", tmp_path / "o.json")  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "o.json").read_text())["scores"]["miou"] > 0.8


def test_both_jaws_are_in_one_part_wherever_they_lie(arches, tmp_path):
    files = [tmp_path / jaw / f"{who}_{jaw}.stl" for jaw in JAWS for who in ("a", "b", "c")]
    units = jobs_of(files, [file.stem for file in files], again=False)
    assert [[job.name for job in unit] for unit in units] == [[f"{who}_{jaw}" for jaw in JAWS] for who in "abc"]


def test_labels_on_a_mesh_in_another_order_are_those_of_its_places(arches, command, tmp_path):
    mesh = tg.read_scan(arches / "0000_upper.stl")
    rng = np.random.default_rng(0)
    order, faces = rng.permutation(len(mesh.vertices)), rng.permutation(len(mesh.faces))
    place = np.argsort(order)
    for which, by in (("vertices", slice(None)), ("faces", faces)):
        folder = tmp_path / which
        folder.mkdir()
        moved = tg.Mesh(mesh.vertices[order], place[mesh.faces[by]], scan_id="0000_upper")
        write_labelled(folder, "0000_upper", moved, mesh.labels[by], ("ply",))
        done = command("evaluate", arches / "0000_upper.stl", "--predictions", folder, "--out", tmp_path / "o.json")
        assert done.code == 0, done.err
        assert json.loads((tmp_path / "o.json").read_text())["scores"]["miou"] > 0.99
