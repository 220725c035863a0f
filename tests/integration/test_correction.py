"""Labels that a model found, corrected by a person, and learned from; and every format that `predict` writes, given to
every command that reads scans."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from toothgraph.choices import FORMATS
from toothgraph.data.prepared.folder import read_prepared
from toothgraph.io.labels import read_scan


@pytest.fixture(scope="module")
def labelled(command, arches, tmp_path_factory) -> Path:
    """A scan of each jaw in every format, as `predict` writes them with the weights in the package."""
    pytest.importorskip("vtkmodules")
    out = tmp_path_factory.mktemp("labelled")
    scans = (arches / "0000_upper.stl", arches / "0000_lower.stl")
    done = command("predict", *scans, "--out", out, *(f"--format={kind}" for kind in FORMATS))
    assert done.labelled, done.err
    assert len(np.unique(np.loadtxt(out / "0000_upper.txt"))) > 8
    return out


@pytest.fixture(params=[*FORMATS, "all"])
def folder(request, labelled, arches, tmp_path) -> Path:
    """A folder with one format of a scan, or all of them, as `predict` left it."""
    folder, kind = tmp_path / "scans", request.param
    folder.mkdir()
    shutil.copy(labelled / "0000_upper.found.json", folder)
    for each in FORMATS if kind == "all" else [kind]:
        name = f"0000_upper.{'teeth' if each == 'stl' else each}"
        (shutil.copytree if each == "stl" else shutil.copy)(labelled / name, folder / name)
    if kind in ("txt", "json"):  # label files are read beside their scan
        shutil.copy(arches / "0000_upper.stl", folder)
    return folder


def test_what_predict_writes_every_command_reads(folder, command, labelled, segmenter, tiny_toml, tmp_path):
    for scan in folder.iterdir():  # each file that is a scan by itself
        if scan.suffix in (".txt", ".json"):
            continue
        done = command("view", scan, "-o", tmp_path / "page.html")
        assert done.code == 0, done.err
        done = command("renumber", scan)
        assert done.code == 0 and "0000_upper: found by default (sha256 " in done.out, done.err
        found = read_scan(labelled / "0000_upper.ply").labels
        assert np.array_equal(np.unique(read_scan(scan).labels), np.unique(found))
    done = command("predict", folder, "--model", segmenter, "--out", tmp_path / "again")
    assert done.labelled and len(list((tmp_path / "again").glob("*.ply"))) == 1, done.err
    done = command("evaluate", folder, "--model", segmenter, "--out", tmp_path / "scores.json")
    assert done.code == 0 and "a model found the true labels of 1 of them" in done.err, done.err
    (row,) = json.loads((tmp_path / "scores.json").read_text())["per_scan"]
    assert row["labels"].startswith("found by default (sha256 ")
    done = command("finetune", folder, "--out", tmp_path / "fine", "--config", tiny_toml, "--steps", 1)
    assert done.code == 0, done.err
    assert "trains on 1 scan of 1 patient (0000); labels: 1 found by default (sha256 " in done.err
    assert "validates on no patient" in done.err and "a model found all the labels to train on" in done.err
    done = command("pretrain", folder, "--out", tmp_path / "pre", "--config", tiny_toml, "--steps", 1)
    assert done.code == 0 and "validates on no patient" in done.err, done.err
    done = command("prepare", folder, tmp_path / "prepared", "--faces", 300, "--tessellations", 1, "--workers", 1)
    assert done.code == 0 and "1 of 1 scan: 1 prepared" in done.out, done.err
    done = command("predict", tmp_path / "prepared", "--out", tmp_path / "out")
    assert "a folder of `toothgraph prepare` is only for pretrain and finetune" in done.error
    (prepared,) = read_prepared(tmp_path / "prepared")
    assert prepared.label_origin.kind == "found" and prepared.label_origin.model.startswith("default (sha256 ")


def test_a_run_that_nobody_validates_is_whole(command, arches, tiny_toml, tmp_path):
    scan = arches / "0000_upper.stl"
    done = command("finetune", scan, "--out", tmp_path / "run", "--config", tiny_toml)
    assert done.code == 0, done.err
    assert not (tmp_path / "run" / "best.ckpt").exists()
    assert (tmp_path / "run" / "last.ckpt").exists() and (tmp_path / "run" / "previous.ckpt").exists()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["train"], config["val"]) == (["0000_upper"], []) and config["labels"] == {"0000_upper": "given"}
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "trains on 1 scan of 1 patient (0000); labels: 1 given" in log and "validates on no patient" in log
    again = command("finetune", scan, "--out", tmp_path / "run", "--config", tiny_toml, "--resume")
    assert again.code == 0 and "finished already" in again.err
    assert "0 to validate" in command("info", tmp_path / "run").out


def test_the_next_command_writes_where_nothing_is(command, arches, segmenter, tiny_toml, tmp_path, monkeypatch):
    scan = arches / "0000_upper.stl"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labelled").mkdir()
    given = ("--config", tiny_toml, "--steps", 1)
    assert "--out labelled-2 --report" in command("finetune", scan, "--out", "run", *given).err
    (tmp_path / "split.json").write_text('{"train": ["0000"], "val": ["0001"]}')
    (tmp_path / "pre-fine").mkdir()
    assert "--out pre-fine-2\n" in command("pretrain", scan, "--out", "pre", *given).err
    given = (*given, "--split", "split.json", "--resume")
    scans = (scan, arches / "0001_upper.stl")
    assert "--out split/scores.json" in command("finetune", *scans, "--out", "split", *given).err
    (tmp_path / "split" / "scores.json").touch()
    assert "--out split/scores-2.json" in command("finetune", *scans, "--out", "split", *given).err


def test_corrected_labels_are_told_and_learned(command, labelled, arches, tiny_toml, tmp_path):
    folder = tmp_path / "scans"
    shutil.copytree(labelled, folder)
    shutil.copy(arches / "0001_upper.stl", folder)
    shutil.copy(arches / "0001_upper.txt", folder)
    first, second = np.unique(np.loadtxt(folder / "0000_upper.txt", dtype=int))[-2:].tolist()
    done = command("renumber", folder / "0000_upper.json", f"{first}={second}", f"{second}={first}")
    assert done.code == 0 and f"{first} -> {second}, {second} -> {first}" in done.out, done.err
    assert "0000_upper: corrected" in done.out
    assert f"Warning: 0000_upper: {first} and {second} are in" in done.err or f"{second} and {first} are in" in done.err
    done = command("finetune", folder, "--out", tmp_path / "fine", "--config", tiny_toml, "--steps", 1)
    assert done.code == 0, done.err
    assert "trains on 2 scans of 1 patient (0000); labels: 1 corrected, 1 found by " in done.err
    assert "validates on 1 scan of 1 patient (0001); labels: 1 given" in done.err
    assert f"then corrected: {first} was {second}, {second} was {first}" in done.err
    assert command("renumber", folder / "0000_upper.ply", f"{first}={second}", f"{second}={first}").code == 0
    done = command("finetune", folder, "--out", tmp_path / "fine", "--config", tiny_toml, "--steps", 1, "--resume")
    assert "cannot resume with other options or scans" in done.error and done.error.endswith("labels")


def test_corrections_are_kept_and_the_other_scans_labelled(command, arches, segmenter, tmp_path):
    scans = arches / "0000_upper.stl", arches / "0001_upper.stl"
    given = ("predict", *scans, "--model", segmenter, "--out", tmp_path)
    assert command(*given).labelled and command(*given).labelled  # twice is no harm
    labels = tmp_path / "0000_upper.txt"
    corrected = labels.read_text().replace("0", "0 ")
    labels.write_text(corrected)
    (tmp_path / "0001_upper.ply").unlink()
    done = command(*given)
    assert done.labelled and "0000_upper: kept, because its labels were corrected" in done.out, done.err
    assert "1 of 2 scans had labels that were corrected; these labels are kept" in done.err
    assert labels.read_text() == corrected and (tmp_path / "0001_upper.ply").exists()  # the others are labelled


def test_what_a_review_has_corrected_is_kept(command, arches, segmenter, tmp_path):
    """Its folder has no record of `predict`, where it was begun with the labels of the scans."""
    scan, out, steps = arches / "0000_upper.stl", tmp_path / "reviewed", tmp_path / "steps.jsonl"
    steps.write_text(
        '{"scan": "0000_upper", "kind": "gingiva", "tooth": 11}\n{"scan": "0000_upper", "kind": "approve"}\n'
    )
    assert command("review", scan, "--labels", out, "--apply", steps).code == 0
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    done = command("predict", scan, "--model", segmenter, "--out", out, "--again", "--report")
    assert done.code == 0 and f"kept, because its labels were corrected -> {out / '0000_upper.json'}" in done.out, (
        done.err
    )
    assert {name: (out / name).read_bytes() for name in before} == before
    done = command("convert", scan, "--out", out)
    assert f"{out / '0000_upper.json'}: its corrected labels would be overwritten" in done.err and done.code == 1
    assert {name: (out / name).read_bytes() for name in before} == before
    (out / "0000_upper.json").unlink()  # a stop came before it
    done = command("predict", scan, "--model", segmenter, "--out", out)
    assert f"kept, because its labels were corrected -> {out / '0000_upper.log.jsonl'}" in done.out, done.err
    assert not (out / "0000_upper.ply").exists()


def test_convert_keeps_what_was_corrected(command, labelled, arches, tmp_path):
    for name in ("0000_lower.txt", "0000_lower.found.json"):
        shutil.copy(labelled / name, tmp_path)
    last = int(np.loadtxt(tmp_path / "0000_lower.txt").max())
    assert command("renumber", tmp_path / "0000_lower.txt", f"{last}=0").code == 0
    before = (tmp_path / "0000_lower.txt").read_bytes()
    done = command("convert", arches / "0000_lower.stl", "--out", tmp_path)
    assert f"{tmp_path / '0000_lower.txt'}: its corrected labels would be overwritten" in done.err and done.code == 1
    assert (tmp_path / "0000_lower.txt").read_bytes() == before


def test_an_impossible_order_is_told_with_scan_and_place(command, arches, tiny_toml, tmp_path):
    scan = tmp_path / "7_lower.stl"
    shutil.copy(arches / "0000_lower.stl", scan)
    labels = np.loadtxt(arches / "0000_lower.txt", dtype=int)
    exchanged = np.select([labels == 34, labels == 35], [35, 34], labels)
    scan.with_suffix(".txt").write_text("\n".join(map(str, exchanged)))
    for given in (
        ("finetune", scan, "--out", tmp_path / "run", "--config", tiny_toml, "--steps", 1),
        ("evaluate", scan, "--out", tmp_path / "scores.json"),
        ("view", scan, "-o", tmp_path / "page.html"),
        ("renumber", scan),
    ):
        done = command(*given)
        assert done.code == 0, done.err
        assert (
            "Warning: 7_lower: 35 and 34 are in the wrong order; from the patient's right to the left there are …"
            in done.err
        )
    assert read_scan(arches / "0000_lower.stl").label_origin.kind == "given"


@pytest.mark.parametrize(("given", "code", "said"), [
    (("36",), 2, "expected old and new number as 36=35, got '36'"),
    (("36=x",), 2, "expected old and new number"),
    (("36=99",), 2, "99: expected the FDI number of a tooth"),
    (("36=35", "36=34"), 2, "expected one new number for 36, got two"),
    (("99=35",), 1, "no tooth has the number 99"),
])  # fmt: skip
def test_renumber_refuses(given, code, said, command, labelled, tmp_path):
    shutil.copy(labelled / "0000_lower.txt", tmp_path)
    done = command("renumber", tmp_path / "0000_lower.txt", *given)
    assert done.code == code and said in done.err


def test_renumber_refuses_a_wrong_path_before_it_loads_libraries(tmp_path):
    script = (
        "import sys\nfrom toothgraph.cli import main\n"
        "try: main(sys.argv[1:])\nfinally: print(sorted({'scipy', 'toothgraph.io.renumber'} & set(sys.modules)))"
    )
    for path, change, code in ((tmp_path / "nope.ply", "42=43", 1), (tmp_path, "42=99", 2)):
        words = [sys.executable, "-c", script, "renumber", str(path), change]
        done = subprocess.run(words, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (code, "[]\n"), done.stderr


def test_renumber_without_a_scan_beside(command, labelled, tmp_path):
    shutil.copy(labelled / "0000_lower.txt", tmp_path)
    number = int(np.loadtxt(tmp_path / "0000_lower.txt").max())
    done = command("renumber", tmp_path / "0000_lower.txt", f"{number}=0")
    assert done.code == 0 and f"{number} -> 0" in done.out and "the order of its numbers cannot be checked" in done.err


def shown(page: Path) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def reported(command, arches, tmp_path_factory) -> Path:
    """Both jaws of a patient with all that `--report` writes. Shared: to be copied."""
    out = tmp_path_factory.mktemp("reported") / "lab"
    scans = (arches / "0000_upper.stl", arches / "0000_lower.stl")
    done = command("predict", *scans, "--out", out, "--report")
    assert done.labelled, done.err
    return out


def test_what_lies_beside_corrected_labels_has_their_numbers(command, arches, reported, tmp_path):
    out = tmp_path / "lab"
    shutil.copytree(reported, out)
    views = ["html", "png", "csv"]
    before = {kind: (out / f"0000_upper.{kind}").read_bytes() for kind in views}
    untouched = {path.name: path.read_bytes() for path in out.glob("0000_lower.*")}
    last = max(int(row["fdi"]) for row in rows(out / "0000_upper.csv"))
    done = command("renumber", out / "0000_upper.ply", f"{last}=0")
    assert done.code == 0, done.err
    others = ("summary.csv", "0000.both.html", "index.html", "measures.csv")
    for name in (*(f"0000_upper.{kind}" for kind in views), *others):
        assert done.out.count(f"wrote {out / name}\n") == 1
    assert done.err.count("then corrected: ") == 1 and "renumbering 0000_upper" in done.err
    assert all((out / f"0000_upper.{kind}").read_bytes() != content for kind, content in before.items())
    assert {path.name: path.read_bytes() for path in out.glob("0000_lower.*")} == untouched
    teeth = sorted(np.unique(np.loadtxt(out / "0000_upper.txt", dtype=int)).tolist())
    assert last not in teeth
    assert sorted(int(row["fdi"]) for row in rows(out / "0000_upper.csv")) == teeth
    assert rows(out / "0000_upper.csv")[0]["confidence"] == ""  # of gingiva nothing is known
    own, both = shown(out / "0000_upper.html"), shown(out / "0000.both.html")
    assert sorted(row["fdi"] for row in own["scans"][0]["results"][0]["teeth"]) == teeth
    assert [scan["jaw"] for scan in both["scans"]] == ["upper", "lower"]
    assert sorted(row["fdi"] for row in both["scans"][0]["results"][0]["teeth"]) == teeth
    assert str(last) not in re.search(r'"name": "0000_upper".*?"teeth": (.*?)]', (out / "index.html").read_text())[1]
    summary = {row["scan"]: row for row in rows(out / "summary.csv")}
    assert sorted(map(int, summary["0000_upper"]["numbers"].split())) == teeth[1:]
    assert summary["0000_upper"]["state"] == "corrected" and float(summary["0000_upper"]["seconds"]) > 0
    assert summary["0000_lower"]["state"] != "corrected"
    said = json.loads(command("predict", arches / "0000_upper.stl", "--out", out, "--report", "--json").out)["scans"][0]
    assert said["state"] == "corrected" and said["jaw"] == "upper" and said["labelled_before"] is False
    assert sorted(tooth["fdi"] for tooth in said["teeth"]) == teeth[1:]


def test_measures_in_the_json_are_those_of_the_corrected_numbers(command, arches, tmp_path):
    out, names = tmp_path / "lab", ("0001_lower", "0002_lower")
    assert command("predict", *(arches / f"{name}.stl" for name in names), "--out", out).labelled
    ends = {"intercanine_width": 33, "intermolar_width": 36}  # a tooth that each is measured from
    before = {name: json.loads((out / f"{name}.json").read_text())["measures"] for name in names}
    name, key = next((name, key) for name in before for key in ends if before[name][key]["value"])
    tooth = ends[key]
    assert command("renumber", out / f"{name}.json", f"{tooth}=0").code == 0
    now = json.loads((out / f"{name}.json").read_text())["measures"]
    assert now[key]["value"] is None and str(tooth) in now[key]["reason"]


def test_predict_renews_what_shows_labels_that_were_edited(command, arches, reported, tmp_path):
    out = tmp_path / "lab"
    shutil.copytree(reported, out)
    numbers = np.loadtxt(out / "0000_upper.txt", dtype=int)
    np.savetxt(out / "0000_upper.txt", np.where(numbers == 11, 0, numbers), fmt="%d")
    done = command("predict", arches / "0000_upper.stl", "--out", out, "--report")
    assert done.code == 0 and "kept, because its labels were corrected" in done.out, done.err
    assert "11" not in {row["fdi"] for row in rows(out / "0000_upper.csv")}
    (row,) = [row for row in rows(out / "summary.csv") if row["scan"] == "0000_upper"]
    assert row["state"] == "corrected" and "11" not in row["numbers"].split()
    renewed = (out / "0000_upper.png").stat().st_mtime_ns
    assert command("predict", arches / "0000_upper.stl", "--out", out, "--report").code == 0
    assert (out / "0000_upper.png").stat().st_mtime_ns == renewed  # nothing to renew


def test_predict_shows_corrected_labels_of_which_there_is_no_page(command, arches, tmp_path):
    scans = arches / "0000_upper.stl", arches / "0000_lower.stl"
    given = ("predict", *scans, "--out", tmp_path)
    assert command(*given).labelled
    for scan in scans:
        last = int(np.loadtxt(tmp_path / f"{scan.stem}.txt").max())
        assert command("renumber", tmp_path / f"{scan.stem}.txt", f"{last}=0").code == 0
    assert command(*given, "--picture").code == 0
    assert (tmp_path / "0000_upper.png").is_file() and not list(tmp_path.glob("*.html"))
    assert command(*given, "--report").code == 0
    for scan in scans:
        teeth = np.unique(np.loadtxt(tmp_path / f"{scan.stem}.txt", dtype=int)).tolist()
        assert sorted(int(row["fdi"]) for row in rows(tmp_path / f"{scan.stem}.csv")) == teeth
        assert (tmp_path / f"{scan.stem}.html").is_file() and (tmp_path / f"{scan.stem}.png").is_file()
        assert f'"name": "{scan.stem}"' in (tmp_path / "index.html").read_text()
        assert scan.stem in (tmp_path / "measures.csv").read_text()
    assert [scan["jaw"] for scan in shown(tmp_path / "0000.both.html")["scans"]] == ["upper", "lower"]


def test_one_jaw_labelled_again_keeps_the_page_of_both(command, arches, reported, tmp_path):
    out = tmp_path / "lab"
    shutil.copytree(reported, out)
    before = shown(out / "0000.both.html")
    given = ("predict", arches / "0000_upper.stl", "--out", out, "--report", "--again", "--no-refine")
    assert command(*given).labelled
    now = shown(out / "0000.both.html")
    assert [scan["name"] for scan in now["scans"]] == [scan["name"] for scan in before["scans"]]
    upper, lower = now["scans"]
    assert upper["results"][0]["labels"] == shown(out / "0000_upper.html")["scans"][0]["results"][0]["labels"]
    assert lower["results"][0]["labels"] == before["scans"][1]["results"][0]["labels"]
    assert now["measures"] == before["measures"] or upper["results"] != before["scans"][0]["results"]
    assert '"page": "0000.both.html"' in (out / "index.html").read_text()
    for file in out.glob("0000_lower.*"):
        file.unlink()
    assert command(*given).labelled
    assert not (out / "0000.both.html").exists()


def test_a_label_file_without_a_surface_says_what_is_out_of_date(command, labelled, tmp_path):
    for name in ("0000_lower.txt", "0000_lower.found.json"):
        shutil.copy(labelled / name, tmp_path)
    (tmp_path / "0000_lower.html").touch()
    number = int(np.loadtxt(tmp_path / "0000_lower.txt").max())
    done = command("renumber", tmp_path / "0000_lower.txt", f"{number}=0")
    assert f"so these still show the former numbers: {tmp_path / '0000_lower.html'}" in done.err


def test_files_beside_given_labels_are_let_alone(command, arches, tmp_path):
    for kind in ("stl", "txt"):
        shutil.copy(arches / f"0000_lower.{kind}", tmp_path)
    (tmp_path / "0000_lower.csv").write_text("my own table\n")
    last = int(np.loadtxt(tmp_path / "0000_lower.txt").max())
    done = command("renumber", tmp_path / "0000_lower.txt", f"{last}=-1")
    assert done.code == 0 and (tmp_path / "0000_lower.csv").read_text() == "my own table\n"


def test_teeth_are_joined_only_where_asked(command, labelled, tmp_path):
    for name in ("0000_lower.ply", "0000_lower.found.json"):
        shutil.copy(labelled / name, tmp_path)
    first, second = np.unique(read_scan(tmp_path / "0000_lower.ply").labels)[-2:].tolist()
    asked = ("renumber", tmp_path / "0000_lower.ply", f"{first}={second}")
    before = (tmp_path / "0000_lower.ply").read_bytes()
    assert f"two teeth would have the number {second}" in command(*asked).error
    assert (tmp_path / "0000_lower.ply").read_bytes() == before
    done = command(*asked, "--merge")
    assert f"{second} is one tooth now" in done.out


def test_a_folder_of_scans_is_no_scan(command, labelled, tmp_path):
    done = command("view", labelled, "-o", tmp_path / "page.html")
    assert "expected a folder to write to" in done.error


def test_a_scan_without_labels_has_no_numbers_to_change(command, arches, tmp_path):
    shutil.copy(arches / "0000_upper.stl", tmp_path)
    assert "expected a labelled scan, found no labels" in command("renumber", tmp_path / "0000_upper.stl").error
