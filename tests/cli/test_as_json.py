"""``--json``: one text on stdout, whatever happens to single scans."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

NAMES = ["0000_lower", "0000_upper", "0001_lower"]
KEYS = {"scan", "file", "state", "jaw", "teeth", "doubts", "files", "seconds", "labelled_before", "error"}


@pytest.fixture(scope="module")
def mixed(arches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scans, and one between them that cannot be read. Shared: do not write into it."""
    folder = tmp_path_factory.mktemp("mixed")
    for name in NAMES:
        shutil.copy(arches / f"{name}.stl", folder)
        shutil.copy(arches / f"{name}.txt", folder)
    (folder / "0000_x.stl").write_bytes(b"solid but cut")
    return folder


def without_times(content: dict) -> dict:
    return {**content, "scans": [{**scan, "seconds": 0, "labelled_before": False} for scan in content["scans"]]}


def test_predict_tells_all_that_it_found(command, mixed, tmp_path):
    out = tmp_path / "out"
    given = ("predict", mixed, "--out", out, "--json")
    done = command(*given, "--report")
    assert done.code == 1 and "Error: 1 of 4 scans could not be labelled" in done.err
    content = json.loads(done.out)
    assert set(content) == {"scans", "given", "model", "summary"}
    assert content["given"] == 4 and content["summary"] == str(out / "summary.csv")
    assert content["model"].startswith("default (sha256 ")
    scans = {scan["scan"]: scan for scan in content["scans"]}
    assert list(scans) == ["0000_lower", "0000_upper", "0000_x", "0001_lower"]
    assert all(set(scan) == KEYS for scan in scans.values())
    bad = scans.pop("0000_x")
    assert bad["state"] == "failed" and str(mixed / "0000_x.stl") in bad["error"] and bad["teeth"] is None
    assert bad["files"] == [] and bad["jaw"] is None and bad["seconds"] is None
    for name, scan in scans.items():
        beside = json.loads((out / f"{name}.json").read_text())
        assert (scan["jaw"], scan["doubts"], scan["error"]) == (beside["jaw"], beside["doubts"], None)
        with (out / f"{name}.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["fdi"] != "0"]
        assert len(rows) > 8
        for tooth, row in zip(scan["teeth"], rows, strict=True):
            assert list(tooth) == list(row)
            assert all(tooth[key] == (float(text) if text else None) for key, text in row.items())
        assert sorted(scan["files"]) == sorted(str(out / f"{name}.{end}") for end in
                                               ("ply", "txt", "json", "html", "png", "csv"))  # fmt: skip
        assert all(Path(file).exists() for file in scan["files"])
        assert scan["seconds"] > 0 and scan["labelled_before"] is False

    again = command(*given, "--report")
    assert without_times(json.loads(again.out)) == without_times(content)
    assert [scan["labelled_before"] for scan in json.loads(again.out)["scans"]] == [True, True, False, True]
    assert "Warning: 0000_lower" not in again.err


def test_processes_and_parts_print_the_same(command, mixed, segmenter, tmp_path):
    def scans(content):
        return [{**scan, "seconds": 0, "files": len(scan["files"])} for scan in content["scans"]]

    given = ["predict", mixed, "--model", segmenter, "--json", "--out"]
    whole = json.loads(command(*given, tmp_path / "whole").out)
    # Of a real process: what a library prints to its stdout would be in it, too.
    words = [sys.executable, "-m", "toothgraph", *map(str, given), str(tmp_path / "two"), "--workers", "2"]
    two = subprocess.run(words, capture_output=True, text=True, check=False)
    assert two.returncode == 1 and scans(json.loads(two.stdout)) == scans(whole)
    parts = [json.loads(command(*given, tmp_path / "parts", "--shard", f"{part}/4").out) for part in (1, 2, 3, 4)]
    assert [part["given"] for part in parts] == [2, 1, 1, 0] and parts[3]["scans"] == []
    assert [scan for part in parts for scan in scans(part)] == scans(whole)


def test_corrected_labels_are_named_and_not_counted(command, mixed, tmp_path):
    out = tmp_path / "out"
    given = ("predict", mixed / "0000_lower.stl", "--out", out, "--json")
    found = json.loads(command(*given).out)["scans"][0]["teeth"]
    assert command("renumber", out / "0000_lower.txt", f"{found[0]['fdi']}=-1").code == 0
    done = command(*given)
    (scan,) = json.loads(done.out)["scans"]
    assert done.code == 0 and scan["state"] == "corrected"
    assert [tooth["fdi"] for tooth in scan["teeth"]] == [tooth["fdi"] for tooth in found[1:]]
    assert str(out / "0000_lower.txt") in scan["files"]


def test_a_stop_prints_what_is_done(command, mixed, segmenter, tmp_path, monkeypatch):
    from toothgraph.cli.labelling import Labeller

    label = Labeller._label

    def stopped(self, job, pages):
        if job.name == "0000_upper":
            raise KeyboardInterrupt
        return label(self, job, pages)

    monkeypatch.setattr(Labeller, "_label", stopped)
    done = command("predict", mixed, "--model", segmenter, "--out", tmp_path, "--json")
    assert done.code == 130
    content = json.loads(done.out)
    assert [scan["scan"] for scan in content["scans"]] == ["0000_lower"] and content["given"] == 4


def test_nothing_on_stdout_where_nothing_was_done(command, mixed, tmp_path):
    done = command("predict", mixed, "--model", tmp_path / "none", "--out", tmp_path / "out", "--json")
    assert done.out == "" and "no such file or folder" in done.error


def test_evaluate_prints_what_it_writes(command, mixed, segmenter, tmp_path):
    out = tmp_path / "scores.json"
    given = ("evaluate", mixed, "--model", segmenter, "--out", out, "--json")
    failed = command(*given, "--shard", "2/3")
    content = json.loads(failed.out)
    assert failed.code == 1 and content["complete"] is False and len(content["failures"]) == 1
    part = command(*given, "--shard", "1/3")
    content = json.loads(part.out)
    assert part.code == 0 and content["complete"] is False and not out.exists()
    assert [row["scan_id"] for row in content["per_scan"]] == ["0000_lower", "0000_upper"]  # both jaws
    mean = sum(row["miou"] for row in content["per_scan"]) / 2
    assert content["scores"]["miou"] == pytest.approx(mean)

    whole = command(*given)
    assert whole.code == 1 and "Error: 1 of 4 scans could not be scored" in whole.err
    content = json.loads(whole.out)
    assert content.pop("complete") is True
    assert content == json.loads(out.read_text())
    assert [row["scan_id"] for row in content["per_scan"]] == NAMES
    assert "miou" in whole.err and f"3 scans scored -> {out}" in whole.err


def test_evaluate_tells_why_no_scan_was_scored(command, mixed, segmenter, tmp_path):
    bad = mixed / "0000_x.stl"
    done = command("evaluate", bad, "--model", segmenter, "--out", tmp_path / "scores.json", "--json")
    content = json.loads(done.out)
    assert done.code == 1 and content["scores"] is None and content["per_scan"] == []
    assert [failure["file"] for failure in content["failures"]] == [str(bad)]
    assert not (tmp_path / "scores.json").exists()


def test_the_block_of_the_how_to_runs(mixed, tmp_path, monkeypatch, capsys):
    text = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "program.md").read_text(encoding="utf-8")
    section = text[text.index("## … read results in a program") :]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    (tmp_path / "my-scans").mkdir()
    shutil.copy(mixed / "0000_lower.stl", tmp_path / "my-scans")
    exec(re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[0], {})
    assert re.match(r"0000_lower \w+ \[[34][1-8], ", capsys.readouterr().out)


def test_files_in_an_archive_have_their_names_in_it(command, mixed, segmenter, tmp_path):
    with zipfile.ZipFile(tmp_path / "case7.zip", "w") as archive:
        for name in (NAMES[0], "0000_x"):
            archive.write(mixed / f"{name}.stl", f"Scans/{name}.stl")
    done = command("predict", tmp_path / "case7.zip", "-o", tmp_path / "out", "--model", segmenter, "--json")
    content = json.loads(done.out)
    assert [scan["file"] for scan in content["scans"]] == [f"case7/Scans/{name}.stl" for name in (NAMES[0], "0000_x")]
    (error,) = (scan["error"] for scan in content["scans"] if scan["error"])
    assert error.startswith("case7/Scans/0000_x.stl: ")
    assert "toothgraph-unpacked" not in done.out + done.err + (tmp_path / "out" / "summary.csv").read_text()
