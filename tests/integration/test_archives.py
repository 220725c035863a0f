"""Archives, given to every command that reads scans."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from toothgraph.io.formats.stl import write_stl
from toothgraph.synthetic import synthetic_arch


@pytest.fixture(scope="module")
def case(arches, tmp_path_factory) -> Path:
    """A zip of both jaws of a patient, with labels."""
    path = tmp_path_factory.mktemp("sent") / "case 0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for jaw in ("upper", "lower"):
            for suffix in (".stl", ".txt"):
                archive.write(arches / f"0000_{jaw}{suffix}", f"scans/0000_{jaw}{suffix}")
    return path


def test_every_command_reads_a_case(case, command, segmenter, tiny_toml, tmp_path):
    done = command("predict", case, "--model", segmenter, "--out", tmp_path / "out", "--report")
    assert done.labelled, done.err
    assert {file.name for file in (tmp_path / "out").glob("*.ply")} == {"0000_upper.ply", "0000_lower.ply"}
    assert (tmp_path / "out" / "0000.both.html").is_file()
    done = command("evaluate", case, "--model", segmenter, "--out", tmp_path / "scores.json")
    assert done.code == 0 and len(json.loads((tmp_path / "scores.json").read_text())["per_scan"]) == 2, done.err
    done = command("finetune", case, "--out", tmp_path / "run", "--config", tiny_toml, "--steps", 1)
    assert done.code == 0 and "2 scans of 1 patient (0000)" in done.err, done.err
    done = command("view", case, "--out", tmp_path / "pages")
    assert done.code == 0 and (tmp_path / "pages" / "0000_lower.html").is_file(), done.err
    prepare = ("prepare", case, tmp_path / "prepared", "--faces", 300, "--tessellations", 1, "--workers", 1)
    for said in ("2 of 2 scans: 2 prepared", "2 of 2 scans: 0 prepared"):  # the second time, they are there
        done = command(*prepare)
        assert done.code == 0 and said in done.out, (done.out, done.err)


def test_a_case_whose_names_hardly_tell_it(arches, command, segmenter, tmp_path):
    """One name says its jaw; so the other scan is of the other jaw, and both are on one page."""
    case = tmp_path / "anna"
    case.mkdir()
    for jaw, name in (("upper", "antagonist"), ("lower", "lower")):
        (case / f"{name}.stl").write_bytes((arches / f"0000_{jaw}.stl").read_bytes())
    out = tmp_path / "out"
    assert command("predict", case, "--model", segmenter, "--out", out, "--report").labelled
    jaws = {name: json.loads((out / f"{name}.json").read_text())["jaw"] for name in ("antagonist", "lower")}
    assert jaws == {"antagonist": "upper", "lower": "lower"}
    assert (out / "anna.both.html").is_file() and '"page": "anna.both.html"' in (out / "index.html").read_text()


def test_the_name_of_another_scan_gives_way_to_what_a_scan_looks_like(command, tmp_path):
    """Both show the lower jaw, as a scan and its preparation do."""
    arch = synthetic_arch(10, jaw=1, faces=6000)  # the net is sure of its jaw
    for name in ("LowerJawScan", "PreparationScan"):
        write_stl(tmp_path / "anna" / f"{name}.stl", arch.vertices, arch.faces)
    done = command("predict", tmp_path / "anna", "--out", tmp_path / "out", "--format", "json")
    assert done.labelled and "check the name" not in done.err, done.err
    for name in ("LowerJawScan", "PreparationScan"):
        assert json.loads((tmp_path / "out" / f"{name}.json").read_text())["jaw"] == "lower"


def test_one_scan_packed(arches, command, segmenter, tmp_path):
    packed = tmp_path / "0000_upper.stl.gz"
    packed.write_bytes(gzip.compress((arches / "0000_upper.stl").read_bytes()))
    done = command("predict", packed, "--model", segmenter, "--out", tmp_path / "out")
    assert done.labelled and (tmp_path / "out" / "0000_upper.txt").is_file(), done.err
    done = command("view", packed, "--predict", "--model", segmenter, "--out", tmp_path / "page.html")
    assert done.code == 0 and (tmp_path / "page.html").is_file(), done.err


def test_an_archive_that_cannot_be_read_is_told_in_one_line(case, command, segmenter, tmp_path):
    broken = tmp_path / "case.zip"
    broken.write_bytes(case.read_bytes()[:9000])
    for name, out in (("predict", "out"), ("evaluate", "scores.json"), ("view", "page.html")):
        done = command(name, broken, "--model", segmenter, "--out", tmp_path / out)
        assert f"{broken}: cannot be unpacked" in done.error
    for changes in ((), ("11=12",)):
        assert "found an archive, which is only read; unpack it" in command("renumber", case, *changes).error
    assert {file.name for file in tmp_path.iterdir()} == {"case.zip"}
