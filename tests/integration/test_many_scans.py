"""A folder of many scans: several processes, parts, stops, and what goes on after them."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from toothgraph.cli import labelling, scoring, workers
from toothgraph.cli.labelling import Labeller
from toothgraph.cli.scoring import Scorer
from toothgraph.io.label_record import read_record

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"{n:04d}_{jaw}" for n in range(3) for jaw in ("lower", "upper")]
OPTIONS = ("--no-orient", "--model")  # a net of few steps recognises no arch, and would look for one in every pose
TIMES = re.compile(rb'"seconds": "[0-9.]*"')


def content(folder):
    """All files but the summary, without the time that each scan took."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "summary.csv"]
    return {str(path.relative_to(folder)): TIMES.sub(b"", path.read_bytes()) for path in files}


def table(folder):
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def states(folder):
    return {scan: row["state"] for scan, row in table(folder).items()}


def lines(text):
    """All but those that tell how far it is, which depend on the time."""
    return sorted(line for line in text.splitlines() if not line.startswith("labelling "))


def listed(folder):
    found = json.loads(re.search(r'id="scans">(.*?)</script>', (folder / "index.html").read_text(), re.DOTALL)[1])
    return sorted(scan["name"] for patient in found["patients"] for scan in patient["scans"])


def written(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.suffix in (".ply", ".txt")}


@pytest.fixture(scope="module")
def lab(command, arches, segmenter, tmp_path_factory):
    """Six scans, labelled by one process, with pages. Shared: to be copied."""
    out = tmp_path_factory.mktemp("many") / "lab"
    done = command("predict", arches, *OPTIONS, segmenter, "--out", out, "--report")
    assert done.labelled, done.err
    return out, done


@pytest.fixture
def copied(lab, tmp_path):
    shutil.copytree(lab[0], tmp_path / "lab")
    return tmp_path / "lab"


def test_processes_do_what_one_does(command, arches, segmenter, lab, tmp_path):
    one, alone = lab
    out = tmp_path / "lab"  # the same name, which the list shows
    done = command("predict", arches, *OPTIONS, segmenter, "--out", out, "--report", "--workers", 2)
    assert done.code == alone.code
    assert content(out) == content(one)
    assert lines(done.out.replace(str(out), "")) == lines(alone.out.replace(str(one), ""))
    assert lines(done.err.replace(str(out), "")) == lines(alone.err.replace(str(one), ""))
    assert list(table(out)) == NAMES
    for scan, row in table(out).items():
        said = json.loads((out / f"{scan}.json").read_text())
        assert (row["jaw"], row["warnings"]) == (said["jaw"], " | ".join(said["doubts"]))
        assert int(row["teeth"]) == len(row["numbers"].split()) == len(set(said["labels"]) - {0, -1})
        assert float(row["seconds"]) > 0 and row["error"] == ""
        assert row["state"] == "untrusted" or bool(row["warnings"]) == (row["state"] == "review")


def test_a_scan_that_is_done_is_not_labelled_again(command, arches, segmenter, lab, copied):
    before = written(copied)
    given = ("predict", arches, *OPTIONS, segmenter, "--out", copied)
    (copied / "summary.csv").unlink()  # as after kill -9
    done = command(*given, "--report", "--workers", 2)
    assert written(copied) == before and content(copied) == content(lab[0])
    assert done.out.count("labelled before, unchanged ->") == 6 and "6 of 6 scans were labelled before" in done.err
    assert done.code == lab[1].code  # labels that cannot be trusted are not trusted the second time either
    assert table(copied) == table(lab[0])
    assert "labelled before" not in command(*given, "--report", "--again").out
    assert all(written(copied)[name] > time_ for name, time_ in before.items())


@pytest.mark.parametrize(
    "what", ["scan", "labels beside it", "option", "format", "file gone", "cut", "record", "model"]
)
def test_what_is_not_the_same_is_labelled_again(what, command, arches, segmenter, tmp_path):
    scans, out, model = tmp_path / "scans", tmp_path / "out", tmp_path / "model"
    scans.mkdir()
    shutil.copytree(segmenter, model)
    for name in NAMES[:2]:
        shutil.copy(arches / f"{name}.stl", scans)
    given = ["predict", scans, *OPTIONS, model, "--out", out]
    assert command(*given).labelled
    first = scans / f"{NAMES[0]}.stl"
    if what == "scan":
        first.write_bytes(b"another title".ljust(80) + first.read_bytes()[80:])
    elif what == "labels beside it":
        shutil.copy(arches / f"{NAMES[0]}.txt", scans)
    elif what == "option":
        given.append("--no-refine")
    elif what == "format":
        given += ["--format", "ply"]
    elif what == "file gone":
        (out / f"{NAMES[0]}.txt").unlink()
    elif what == "model":
        shutil.copy(ROOT / "toothgraph" / "weights" / "default.safetensors", model / "model.safetensors")
    else:  # a run that was stopped while it wrote, and a record of an earlier version
        file = out / f"{NAMES[0]}.found.json"
        record = json.loads(file.read_text())
        del record["run"]
        if what == "cut":
            record["files"][f"{NAMES[0]}.ply"]["content"] = ""
            (out / f"{NAMES[0]}.ply").write_bytes((out / f"{NAMES[1]}.ply").read_bytes())
        file.write_text(json.dumps(record))
    done = command(*given)
    assert done.labelled, done.err
    assert done.out.count("labelled before") == (0 if what in ("option", "format", "model") else 1)
    assert f"{NAMES[0]}: labelled before" not in done.out and "kept, because its labels were corrected" not in done.out
    assert command(*given).out.count("labelled before") == 2


def test_corrected_labels_are_kept_whatever_is_asked_for(command, arches, segmenter, copied):
    number = (copied / f"{NAMES[0]}.txt").read_text().split()[0]
    assert command("renumber", copied / f"{NAMES[0]}.txt", f"{number}=-1").code == 0
    before = written(copied)
    done = command("predict", arches / f"{NAMES[0]}.stl", *OPTIONS, segmenter, "--out", copied, "--again")
    assert done.code == 0 and "kept, because its labels were corrected" in done.out
    assert written(copied) == before and states(copied)[NAMES[0]] == "corrected"
    assert table(copied)[NAMES[0]]["teeth"] and len(table(copied)) == 6


def test_another_patient_into_the_same_folder_is_refused(command, arches, segmenter, tmp_path):
    """By a name that both files have, one would take the place of the other, corrected or not."""
    for number, patient in enumerate(("anna", "ben")):
        (tmp_path / patient).mkdir()
        shutil.copy(arches / f"{number:04d}_upper.stl", tmp_path / patient / "upper.stl")
    out = tmp_path / "out"
    given = (*OPTIONS, segmenter, "--format", "txt", "--report", "--out", out)
    assert command("predict", tmp_path / "anna", *given).labelled
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    for words in (given, (*given, "--again")):
        done = command("predict", tmp_path / "ben", *words)
        assert (
            done.code == 1 and f"upper.* belong to {tmp_path / 'anna' / 'upper.stl'}; choose another --out" in done.err
        )
        assert {name for name, content in before.items() if (out / name).read_bytes() != content} <= {"index.html"}
        assert listed(out) == ["upper"] and table(out)["upper"]["error"] == ""
    (out / "upper.txt").write_text("0\n" + "11\n" * (before["upper.txt"].count(b"\n") - 1))
    assert "belong to" in command("predict", tmp_path / "ben", *given).err
    assert "kept, because its labels were corrected" in command("predict", tmp_path / "anna", *given).out
    (tmp_path / "anna").rename(tmp_path / "moved")
    assert "kept, because its labels were corrected" in command("predict", tmp_path / "moved", *given).out


def test_parts_come_to_the_whole(command, arches, segmenter, lab, tmp_path):
    out, given = tmp_path / "lab", ("predict", arches, *OPTIONS, segmenter, "--report", "--out", tmp_path / "lab")
    part = command(*given, "--shard", "2/2")
    assert part.labelled and list(states(out)) == NAMES[2:4]  # both jaws of a patient, who have a page together
    assert command(*given, "--shard", "1/2").labelled
    assert content(out) == content(lab[0]) and list(states(out)) == NAMES and listed(out) == NAMES
    assert "part 9 of 9 has no scans" in command(*given, "--shard", "9/9").out
    assert command(*given, "--shard", "3/2").code == 2


def test_a_page_of_both_jaws_needs_both(command, arches, segmenter, copied):
    """One jaw is labelled again because it changed, the other one for their page."""
    (copied / f"{NAMES[0]}.html").unlink()
    done = command("predict", arches, *OPTIONS, segmenter, "--report", "--out", copied)
    assert done.labelled and done.out.count("labelled before") == 4
    assert (copied / "0000.both.html").exists() and listed(copied) == NAMES


class Deadly(Labeller):
    def _label(self, job, pages):
        if job.name == NAMES[3]:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._label(job, pages)


def test_a_process_that_dies_costs_one_scan(command, arches, segmenter, lab, tmp_path, monkeypatch):
    given = ("predict", arches, *OPTIONS, segmenter, "--report", "--workers", 2, "--out", tmp_path / "lab")
    monkeypatch.setattr(labelling, "Labeller", Deadly)
    done = command(*given)
    first, last = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    assert (
        done.code == 1
        and f"{NAMES[3]}.stl: its process ended (killed by SIGKILL), perhaps because memory was short" in first
    )
    assert "1 of 6 scans could not be labelled" in last
    found = states(tmp_path / "lab")
    assert list(found) == NAMES and [scan for scan, state in found.items() if state == "failed"] == [NAMES[3]]
    assert "killed by SIGKILL" in table(tmp_path / "lab")[NAMES[3]]["error"]
    assert listed(tmp_path / "lab") == sorted(set(NAMES) - {NAMES[3]})
    monkeypatch.undo()
    assert command(*given).labelled
    assert content(tmp_path / "lab") == content(lab[0]) and "failed" not in states(tmp_path / "lab").values()


@pytest.mark.parametrize(
    ("name", "module", "part"), [("predict", labelling, "row_for"), ("evaluate", scoring, "score_file")]
)
def test_an_error_of_this_package_costs_one_scan(name, module, part, command, arches, segmenter, tmp_path, monkeypatch):
    real = getattr(module, part)

    def fails(*given, **named):
        if any(NAMES[1] in str(word) for word in given):
            raise IndexError("of this package")
        return real(*given, **named)

    monkeypatch.setattr(module, part, fails)
    scans, out = [arches / f"{scan}.stl" for scan in NAMES[:3]], tmp_path / "out"
    done = command(name, *scans, *OPTIONS, segmenter, "--out", out)
    first, last = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    place = f"toothgraph/cli/{module.__name__.rpartition('.')[2]}.py, line"
    assert f"{NAMES[1]}.stl: unexpected IndexError: of this package ({place}" in first and "please report it" in first
    assert done.code == 1 and "1 of 3 scans could not be" in last
    if name == "predict":
        assert [scan for scan, state in states(out).items() if state == "failed"] == [NAMES[1]]
    else:
        assert [Path(row["file"]).stem for row in json.loads(out.read_text())["failures"]] == [NAMES[1]]


def test_a_summary_of_somebody_else_is_not_replaced(command, arches, segmenter, tmp_path):
    (tmp_path / "summary.csv").write_text("mine")
    given = ("predict", arches / f"{NAMES[0]}.stl", *OPTIONS, segmenter)
    assert "expected the table of an earlier run" in command(*given, "--out", tmp_path).error
    assert [path.name for path in tmp_path.iterdir()] == ["summary.csv"]
    shutil.copy(arches / f"{NAMES[0]}.stl", tmp_path / "summary.stl")
    done = command("predict", tmp_path / "summary.stl", *OPTIONS, segmenter, "--out", tmp_path / "out", "--report")
    assert done.code == 1 and "summary.csv is the table of all scans; give the scan another name" in done.err


def test_several_processes_beside_a_gpu_are_refused(command, arches, segmenter, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "choose_device", lambda name: torch.device("cuda"))
    for name, out in (("predict", tmp_path / "out"), ("evaluate", tmp_path / "out.json")):
        done = command(name, arches, *OPTIONS, segmenter, "--out", out, "--workers", 2)
        assert "--workers 2: one process keeps the device cuda busy; expected --workers 1 or --device cpu" in done.error


@pytest.mark.parametrize(
    ("name", "number", "code"),
    [("predict", signal.SIGTERM, 143), pytest.param("evaluate", signal.SIGINT, 130, marks=pytest.mark.slow)],
)
def test_a_stop_and_what_goes_on(name, number, code, command, arches, segmenter, tmp_path):
    """The signal goes to all processes, as from a terminal or a batch system."""
    scans = tmp_path / "scans"
    for copy in range(3):
        shutil.copytree(arches, scans / f"clinic{copy}")
    out = tmp_path / ("out" if name == "predict" else "out.json")
    given = [name, str(scans), "--model", str(segmenter), "--out", str(out), "--workers", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command_line = [sys.executable, "-m", "toothgraph", *given]
    with subprocess.Popen(command_line, cwd=ROOT, text=True, start_new_session=True, **pipes) as process:
        said = [process.stdout.readline() for _ in range(3)]
        os.killpg(process.pid, number)
        rest, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err and not alive(process.pid)
    done = [line for line in (*said, *rest.splitlines()) if "teeth:" in line or "miou" in line]
    last = err.splitlines()[-1]
    count = int(re.match(r"stopped: (\d+) of 18 scans done", last)[1])
    assert 3 <= len(done) <= count < 18
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
    if name == "predict":
        assert f"table of the scans -> {out / 'summary.csv'}" in rest and len(table(out)) == count
        assert sum(bool(read_record(file).run) for file in out.glob("*.ply")) >= count
    else:
        assert f"{out} is not written: {count} are kept in {out}.parts; to go on, run the same command again" in last
        assert not out.exists()
    again = command(*given)
    assert again.code in (0, 3) and len(done) <= again.out.count("before, unchanged") < 18, again.err
    assert len(table(out)) == 18 if name == "predict" else len(json.loads(out.read_text())["per_scan"]) == 18


def alive(group):
    """Whether a process of a group is left; they have a moment to go."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


def scores(file):
    """What was found, without the times."""
    found = json.loads(file.read_text())
    for row in found["per_scan"]:
        assert row.pop("seconds") > 0
    return {key: value for key, value in found.items() if key != "evaluated"}


def test_evaluate_in_processes_and_in_parts(command, arches, segmenter, tmp_path):
    scans = tmp_path / "scans"
    shutil.copytree(arches, scans)
    (scans / "bare_upper.stl").write_bytes((arches / f"{NAMES[1]}.stl").read_bytes())
    given = ("evaluate", scans, *OPTIONS, segmenter, "--out")
    one, two, parts = (tmp_path / name for name in ("one.json", "two.json", "parts.json"))
    assert "1 of 7 scans could not be scored" in command(*given, one).err
    assert "1 of 7 scans could not be scored" in command(*given, two, "--workers", 2).err
    assert scores(two) == scores(one) and len(scores(one)["failures"]) == 1
    done = command(*given, parts, "--shard", "1/2", "--workers", 2)
    assert done.code == 0 and f"4 of 7 scans scored by part 1 of 2 -> {parts}.parts" in done.out, done.err
    assert {line.partition(":")[0][:4] for line in done.out.splitlines()[:-1]} == {"0000", "0002"}  # both jaws of each
    assert not parts.exists()
    last = command(*given, parts, "--shard", "2/2")
    assert "1 of 7 scans could not be scored" in last.err
    assert f"6 scans scored -> {parts}" in last.out and last.code == 1
    assert scores(parts) == scores(one)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "parts.json", "scans", "two.json"]


def test_evaluate_keeps_what_is_the_same(command, arches, segmenter, tmp_path):
    scans, out = tmp_path / "scans", tmp_path / "out.json"
    shutil.copytree(arches, scans)
    given = ["evaluate", scans, *OPTIONS, segmenter, "--out", out]
    assert command(*given, "--shard", "1/2").code == 0
    parts = Path(f"{out}.parts")
    lines = parts.read_bytes()
    parts.write_bytes(lines[:-100])  # killed while it wrote the last one
    labels = scans / f"{NAMES[0]}.txt"
    labels.write_text(re.sub(r"[1-9]\d", "0", labels.read_text(), count=1))
    assert command(*given, "--shard", "2/2").code == 0 and not out.exists()  # one is missing, one is another now
    done = command(*given)
    assert done.code == 0 and done.out.count("(scored before, unchanged)") == 4 and not parts.exists()
    assert command(*given).out.count("scored before") == 0  # a finished evaluation keeps nothing
    parts.write_bytes(lines)
    assert command(*given, "--no-refine", "--shard", "1/2").out.count("scored before") == 0
    assert command(*given, "--again", "--no-refine", "--shard", "1/2").out.count("scored before") == 0


class DeadlyScorer(Scorer):
    def __call__(self, file):
        if file.stem == NAMES[3]:
            os.kill(os.getpid(), signal.SIGKILL)
        yield from super().__call__(file)


def test_a_process_that_dies_costs_one_score(command, arches, segmenter, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "Scorer", DeadlyScorer)
    done = command("evaluate", arches, *OPTIONS, segmenter, "--out", tmp_path / "out.json", "--workers", 2)
    assert done.code == 1 and "killed by SIGKILL" in done.err
    found = json.loads((tmp_path / "out.json").read_text())
    assert [Path(row["file"]).stem for row in found["failures"]] == [NAMES[3]] and len(found["per_scan"]) == 5
