"""A teacher labels what nobody labelled, and a student learns from both."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from toothgraph.data.prepared.folder import read_prepared
from toothgraph.errors import DataError
from toothgraph.fdi import JAW_NAMES
from toothgraph.io.formats.stl import write_stl
from toothgraph.synthetic import synthetic_arch
from toothgraph.training import found_labels
from toothgraph.training.finetune import FinetuneTask
from toothgraph.training.run_folder import threads_of
from toothgraph.training.unlabelled import find_unlabelled


@pytest.fixture(scope="module")
def folders(arches, tmp_path_factory) -> tuple[Path, Path]:
    """A labelled patient who trains and one who validates; and scans without labels, one of them damaged."""
    labelled, bare = (tmp_path_factory.mktemp(name) for name in ("labelled", "bare"))
    for scan in sorted(arches.glob("000[01]_*")):
        shutil.copy(scan, labelled)
        if scan.suffix == ".stl":
            shutil.copy(scan, bare)
    for seed, jaw in ((2, 0), (4, 1), (7, 1)):  # on these the package's net is sure of most teeth
        mesh = synthetic_arch(seed, jaw=jaw, faces=6000)
        write_stl(bare / f"900{seed}_{JAW_NAMES[jaw]}.stl", mesh.vertices, mesh.faces)
    (bare / "90009_upper.stl").write_bytes(b"no scan")
    (labelled / "split.json").write_text('{"train": ["0000"], "val": ["0001"]}')
    return labelled, bare


@pytest.fixture(scope="module")
def go(command, folders, tmp_path_factory) -> Callable[..., Any]:
    """Two rounds of the package's net, hardly changed by training, so that it finds teeth."""
    labelled, bare = folders
    toml = tmp_path_factory.mktemp("toml") / "fine.toml"
    toml.write_text("variants = 2\nbases = 0\nrounds = 2\ncrowns = 'keep'\nbatch = 1\ncheckpoint_every = 1\n")

    def run(out: Path, *more: object) -> Any:
        return command(
            "finetune", labelled, "--unlabelled", bare, "--init", "default", "--split", labelled / "split.json",
            "--lr", 1e-6, "--steps", 2, "--config", toml, "--out", out, *more,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def run(go, tmp_path_factory) -> tuple[Path, str]:
    """A whole run, and what it said."""
    out = tmp_path_factory.mktemp("run") / "fine"
    done = go(out)
    assert done.code == 0, done.err
    return out, done.err


def test_a_student_learns_from_given_and_from_found_labels(run):
    out, _ = run
    assert (out / "model.safetensors").exists() and (out / "teacher-2" / "model.safetensors").exists()
    labels = json.loads((out / "config.json").read_text())["labels"]
    assert labels["0000_upper"] == "given" and labels["0001_upper"] == "given"
    found = {scan: origin for scan, origin in labels.items() if origin.startswith("found")}
    assert found and set(found.values()) == {"found by teacher-2"}
    assert not any(scan.startswith(("0000", "0001")) for scan in found)  # labelled already; and who validates
    assert {scan.scan_id for scan in read_prepared(out / "found-2")} == set(found)


def test_what_is_thrown_away_is_counted(run):
    out, said = run
    assert "90009_upper.stl" in (out / "found-1" / "quarantine.csv").read_text()
    assert said.count("left out: ") == 2 and "90009_upper.stl" in said  # once a round
    rows = list(csv.DictReader((out / "found-1" / "teeth.csv").read_text().splitlines()))
    kept = [row for row in rows if row["state"] == "kept"]
    assert f"{len(kept)} teeth kept" in said and kept
    assert "their patients are for validation or test, or their labels are used: 4" in said
    logged = (out / "log.txt").read_text()
    assert logged.count("labels found on ") == 2 and logged.count("left out: ") == 2


def test_info_tells_of_it(command, run, tmp_path):
    out, _ = run
    assert "found by teacher-2" in command("info", out).out
    (tmp_path / "half").mkdir()
    shutil.copytree(out / "teacher-1", tmp_path / "half" / "teacher-1")
    said = command("info", tmp_path / "half").out
    assert "the student has not begun" in said and "finished, at step 2" in said
    shutil.copytree(out / "found-1", tmp_path / "first" / "found-1")
    said = command("info", tmp_path / "first").out
    assert "the net of --init labels scans" in said and f"toothgraph info {tmp_path / 'first' / 'found-1'}" in said
    found = command("info", out / "found-1").out
    assert "a teacher of toothgraph finetune --unlabelled" in found and "next" not in found
    (out / "found-1" / "manifest.csv").rename(tmp_path / "manifest.csv")
    assert "to go on, run the same `toothgraph finetune` command with --resume" in command("info", out / "found-1").out
    (tmp_path / "manifest.csv").rename(out / "found-1" / "manifest.csv")


@pytest.mark.parametrize(
    "where", ["labelling", *(pytest.param(each, marks=pytest.mark.slow) for each in ("teacher", "student"))]
)
def test_a_run_that_was_killed_and_resumed_ends_with_the_same_weights(where, go, run, monkeypatch, tmp_path):
    labelled = []

    def interrupt(real, at):
        def instead(*args, **kwargs):
            labelled.append(real)
            if len(labelled) == at:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        return instead

    if where == "labelling":
        monkeypatch.setattr(found_labels, "trusted_labels", interrupt(found_labels.trusted_labels, 2))
    else:
        at = 1 if where == "teacher" else 6  # steps: 2 of each of two teachers, and of the student
        monkeypatch.setattr(FinetuneTask, "training_step", interrupt(FinetuneTask.training_step, at))
    stopped = go(tmp_path / "run")
    assert stopped.code == 130 and not (tmp_path / "run" / "model.safetensors").exists()
    stage = {
        "labelling": "stopped: the labels found by teacher-1, 2 of 4 scans done",
        "teacher": "the first teacher, teacher-1: stopped at once",
        "student": "student 2 of 2: stopped at once",
    }[where]
    assert stopped.err.splitlines()[-1] == f"{stage}; to go on, run the same command with --resume"
    monkeypatch.undo()
    looks: list[str] = []
    real = found_labels.trusted_labels
    monkeypatch.setattr(
        found_labels, "trusted_labels",
        lambda net, mesh, *args, **kwargs: looks.append(mesh.scan_id) or real(net, mesh, *args, **kwargs),
    )  # fmt: skip
    resumed = go(tmp_path / "run", "--resume")
    assert resumed.code == 0, resumed.err
    assert len(looks) == {"teacher": 6, "labelling": 5, "student": 0}[where]  # none is labelled twice
    whole, found = (load_file(folder / "model.safetensors") for folder in (run[0], tmp_path / "run"))
    assert all(torch.equal(whole[key], found[key]) for key in whole)


def test_what_a_student_learns_from_does_not_change_under_it(go, run, folders, monkeypatch, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(run[0], out)
    before = (out / "found-1" / "manifest.csv").read_text()
    scan = folders[1] / "9002_upper.stl"
    content = scan.read_bytes()
    try:
        mesh = synthetic_arch(12, jaw=0, faces=6000)
        write_stl(scan, mesh.vertices, mesh.faces)
        changed = go(out, "--resume")
    finally:
        scan.write_bytes(content)
    assert changed.code == 1 and "teacher-2: cannot resume: it has begun to learn from" in changed.error
    assert scan.name in changed.error and (out / "found-1" / "manifest.csv").read_text() == before
    scan.rename(tmp_path / scan.name)
    try:
        fewer = go(out, "--resume")
    finally:
        (tmp_path / scan.name).rename(scan)
    assert fewer.code == 1 and "teacher-2: cannot resume" in fewer.error
    monkeypatch.setattr(found_labels, "__version__", "0.0.1")
    done = go(out, "--resume")  # of another version: what is finished stays so
    assert done.code == 0 and done.err.count("finished already") == 3, done.err
    (out / "teacher-2" / "model.safetensors").unlink()
    assert "version that it began with" in go(out, "--resume").error


def test_limits_and_rounds_may_change_until_the_student_has_begun(go, run, folders, monkeypatch, tmp_path):
    out, fine = tmp_path / "run", tmp_path / "fine.toml"
    (out / "found-1").mkdir(parents=True)
    shutil.copytree(run[0] / "teacher-1", out / "teacher-1")
    fine.write_text("variants = 2\nbases = 0\nrounds = 1\ncrowns = 'keep'\nbatch = 1\ncheckpoint_every = 1\n"
                    "[trust]\nteeth = 0.4\n")  # fmt: skip
    done = go(out, "--resume", "--config", fine)
    assert done.code == 0 and "teacher-1: finished already" in done.err, done.err
    seen: list[object] = []
    monkeypatch.setattr(found_labels, "trusted_labels", lambda *args, **kwargs: seen.append(args))
    more = go(out, "--resume", "--config", fine, "--rounds", 2)
    assert more.code == 1 and "cannot resume with other options or scans" in more.error and "rounds" in more.error
    assert not seen  # before any work


def test_a_run_of_its_own_may_be_the_first_teacher(command, go, folders, tmp_path):
    labelled, _ = folders
    toml = tmp_path / "fine.toml"
    toml.write_text("variants = 2\nbases = 0\nrounds = 3\ncrowns = 'keep'\nbatch = 1\ncheckpoint_every = 1\n")
    plain = command("finetune", labelled, "--init", "default", "--split", labelled / "split.json", "--lr", 1e-6,
                    "--steps", 2, "--config", toml, "--out", tmp_path / "run" / "teacher-1")  # fmt: skip
    assert plain.code == 0, plain.err
    done = go(tmp_path / "run", "--resume", "--rounds", 1)
    assert done.code == 0 and "teacher-1: finished already" in done.err, done.err


def test_an_error_of_this_package_on_one_scan_stops_nothing(go, monkeypatch, tmp_path):
    real = found_labels.trusted_labels

    def fails(net, mesh, *args, **kwargs):
        if mesh.scan_id == "9004_lower":
            raise IndexError("of this package")
        return real(net, mesh, *args, **kwargs)

    monkeypatch.setattr(found_labels, "trusted_labels", fails)
    done = go(tmp_path / "run", "--rounds", 1)
    assert done.code == 0, done.err
    assert "unexpected IndexError: of this package" in (tmp_path / "run" / "found-1" / "quarantine.csv").read_text()


def test_the_threads_of_a_teacher_at_work_are_those_of_the_run(run, tmp_path):
    shutil.copytree(run[0] / "teacher-1", tmp_path / "teacher-1")
    assert threads_of(tmp_path) == threads_of(run[0]) == torch.get_num_threads()


def test_a_scan_named_as_the_other_jaw_is_left_out(command, folders, tmp_path):
    mesh = synthetic_arch(9, jaw=1, faces=6000)
    (tmp_path / "scans").mkdir()
    write_stl(tmp_path / "scans" / "mueller_upper.stl", mesh.vertices, mesh.faces)
    done = command("finetune", "--unlabelled", tmp_path / "scans", "--init", "default", "--steps", 1,
                   "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 1 and "none of the 1 unlabelled scans" in done.error
    said = (tmp_path / "run" / "found-1" / "quarantine.csv").read_text()
    assert "given as the upper jaw, but looks like the lower jaw" in said


def test_a_split_counts_without_labelled_scans(command, folders, tmp_path):
    _, bare = folders
    (tmp_path / "fine.toml").write_text("variants = 1\nbases = 0\nbatch = 1\ncrowns = 'keep'\nrounds = 1\n")
    (tmp_path / "split.json").write_text('{"train": [], "val": ["9002"], "test": ["9004"]}')
    done = command("finetune", "--unlabelled", bare, "--init", "default", "--steps", 1, "--config",
                   tmp_path / "fine.toml", "--split", tmp_path / "split.json", "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 0, done.err
    learned = json.loads((tmp_path / "run" / "config.json").read_text())["train"]
    assert learned and not any(name.startswith(("9002", "9004")) for name in learned)
    assert "next: toothgraph predict NEW_SCANS" in done.err


def test_the_unit_may_be_mended(command, folders, tmp_path):
    (tmp_path / "metres").mkdir()
    for seed, jaw in ((2, 0), (4, 1)):
        mesh = synthetic_arch(seed, jaw=jaw, faces=6000)
        write_stl(tmp_path / "metres" / f"900{seed}_{JAW_NAMES[jaw]}.stl", mesh.vertices / 1000, mesh.faces)
    (tmp_path / "fine.toml").write_text("variants = 1\nbases = 0\nbatch = 1\ncrowns = 'keep'\nrounds = 1\n")
    run = ("finetune", "--unlabelled", tmp_path / "metres", "--init", "default", "--steps", 1, "--config",
           tmp_path / "fine.toml", "--out", tmp_path / "run")  # fmt: skip
    wrong = command(*run)
    assert wrong.code == 1 and "--unit m" in wrong.err
    right = command(*run, "--unit", "m")
    assert right.code == 0, right.err


def test_what_a_folder_was_prepared_from_has_to_be_there(command, folders, run, tmp_path):
    shutil.copytree(folders[1], tmp_path / "scans")
    done = command("prepare", tmp_path / "scans", tmp_path / "prepared", "--faces", 300, "--tessellations", 1,
                   "--workers", 1)  # fmt: skip
    assert done.code == 0, done.err
    shutil.rmtree(tmp_path / "scans")
    for folder, why in (
        (tmp_path / "prepared", "give the scan files, or"),
        (run[0] / "found-1", "an earlier self-training"),
    ):
        with pytest.raises(DataError, match=why):
            find_unlabelled([folder])


def test_nothing_is_left_to_label(command, folders, tiny_toml, tmp_path):
    labelled, _ = folders
    done = command("finetune", labelled, "--unlabelled", labelled, "--split", labelled / "split.json",
                   "--config", tiny_toml, "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 1 and "none of the 4 unlabelled scans can be used" in done.error


def test_a_net_that_is_sure_of_nothing_says_so(command, folders, tiny_toml, tmp_path):
    labelled, bare = folders
    done = command("finetune", labelled, "--unlabelled", bare, "--split", labelled / "split.json",
                   "--config", tiny_toml, "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 1 and "unlabelled scans has labels to learn from; " in done.error


def test_prepared_scans_are_labelled_from_their_files(command, folders, tmp_path):
    _, bare = folders
    done = command("prepare", bare, tmp_path / "prepared", "--faces", 300, "--tessellations", 1, "--workers", 1)
    assert done.code == 0, done.err
    raw, prepared = find_unlabelled([bare]), find_unlabelled([tmp_path / "prepared"])
    good = [one for one in raw if one.source.scan_id != "90009_upper"]
    assert [(one.source.path, one.source.patient, one.unit) for one in prepared] == [
        (one.source.path, one.source.patient, one.unit) for one in good
    ]


def test_one_device_only(command, folders, tiny_toml, tmp_path):
    labelled, bare = folders
    done = command("finetune", labelled, "--unlabelled", bare, "--devices", 2, "--out", tmp_path / "run")
    assert done.code == 1 and "one device" in done.error


def test_a_new_scanner_without_any_labels(command, folders, tmp_path):
    _, bare = folders
    (tmp_path / "fine.toml").write_text("variants = 1\nbases = 0\nbatch = 1\ncrowns = 'keep'\n")
    done = command("finetune", "--unlabelled", bare, "--init", "default", "--steps", 1, "--config",
                   tmp_path / "fine.toml", "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 0, done.err
    labels = json.loads((tmp_path / "run" / "config.json").read_text())["labels"]
    assert labels and set(labels.values()) == {"found by teacher-2"}
    assert "a model found all the labels to train on" in done.err


def test_without_labels_there_must_be_a_net_that_labels(command, folders, pretrained, tiny_toml, tmp_path):
    _, bare = folders
    run = ("finetune", "--config", tiny_toml, "--out", tmp_path / "run")
    done = command(*run)
    assert done.code == 2 and "expected SCANS with labels" in done.err
    for init in ((), ("--init", pretrained)):
        done = command(*run, "--unlabelled", bare, *init)
        assert done.code == 1 and "to label the others" in done.error
