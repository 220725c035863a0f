"""``toothgraph review``: what it refuses, and steps from a file."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np

from toothgraph.anatomy.doubt import CUT, UNSURE, Doubt, two_in_one
from toothgraph.anatomy.measures import measure_arch
from toothgraph.io.labels import read_scan
from toothgraph.io.write import write_labelled
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import vertices_to_original


def test_steps_from_a_file(command, arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path / "scans", "one_U", arch, arch.labels, ("vtp",))
    before = (tmp_path / "scans" / "one_U.vtp").read_bytes()
    steps = tmp_path / "steps.jsonl"
    lines = [{"scan": "one_U", "kind": "swap", "tooth": 16, "to": 15}, {"scan": "one_U", "kind": "approve"}]
    steps.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    done = command("review", tmp_path / "scans", "--labels", tmp_path / "reviewed", "--apply", steps)
    assert done.code == 0 and "one_U: 2 steps, approved: 17 15 16 14 13 " in done.out, done.err  # 15 and 16 changed
    assert "Warning: one_U: 15 and 16 are in the wrong order" in done.err
    content = json.loads((tmp_path / "reviewed" / "one_U.json").read_text())
    assert content["review"]["state"] == "approved" and set(np.unique(content["labels"])) == set(np.unique(arch.labels))
    assert (tmp_path / "scans" / "one_U.vtp").read_bytes() == before
    assert [file.name for file in (tmp_path / "scans").iterdir()] == ["one_U.vtp"]
    # a step that cannot be done ends it; what was done before is saved
    steps.write_text('{"scan": "one_U", "kind": "undo"}\n{"scan": "one_U", "kind": "gingiva", "tooth": 48}\n')
    done = command("review", tmp_path / "scans", "--labels", tmp_path / "reviewed", "--apply", steps)
    assert f"{steps}: line 2: no tooth has the number 48" in done.error
    assert json.loads((tmp_path / "reviewed" / "one_U.json").read_text())["review"]["version"] == 3


def test_what_is_refused(command, arch: Mesh, tmp_path: Path) -> None:
    scans, steps = tmp_path / "scans", tmp_path / "steps.jsonl"
    write_labelled(scans, "one_U", arch, arch.labels, ("vtp",))
    assert "contains scans; choose a separate folder" in command("review", scans, "--labels", scans).error
    assert "found a file" in command("review", scans, "--labels", scans / "one_U.vtp").error
    for line, said in (
        ("{", '"tooth": 38}: '), ("[]", "it names no scan"), ('{"kind": "approve"}', "it names no scan"),
        ('{"scan": "two_U", "kind": "approve"}', "no scan has the name two_U; expected one of one_U"),
        ('{"scan": "one_U", "kind": "dance"}', "clicks, undo, redo, approve, got 'dance'"),
    ):  # fmt: skip
        steps.write_text(line)
        assert said in command("review", scans, "--labels", tmp_path / "reviewed", "--apply", steps).error
    assert "no such file" in command("review", tmp_path / "none").error


def test_a_port_that_another_program_has(command, arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path / "scans", "one_U", arch, arch.labels, ("vtp",))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = command("review", tmp_path / "scans", "--labels", tmp_path / "labels", "--no-browser", "--port", port)
    assert f"port {port}: the page cannot be served there (Address already in use); choose another" in done.error


def test_finetune_says_what_is_missing(command, arch: Mesh, tmp_path: Path, tiny_toml: Path) -> None:
    (scan,) = write_labelled(tmp_path / "scans", "one_U", arch, arch.labels, ("vtp",))
    given = ("finetune", scan, "--out", tmp_path / "run", "--config", tiny_toml, "--labels")
    assert "no such file or folder" in command(*given, tmp_path / "none").error
    (tmp_path / "reviewed").mkdir()
    done = command(*given, tmp_path / "reviewed")
    assert done.code == 1 and "one_U.vtp: not approved in" in done.err
    prepared = command("prepare", scan, tmp_path / "prepared", "--faces", 300)
    assert prepared.code == 0, prepared.err
    given = ("finetune", tmp_path / "prepared", "--out", tmp_path / "run", "--config", tiny_toml, "--labels")
    assert "found prepared scans, which have labels" in command(*given, tmp_path / "reviewed").error


def test_milk_teeth_stay_in_all_files(command, arch: Mesh, tmp_path: Path) -> None:
    """As `predict` has them, or `renumber`: in the folder of the review, and beside a scan."""
    labelled, scans, steps = tmp_path / "labelled", tmp_path / "scans", tmp_path / "steps.jsonl"
    write_labelled(labelled, "one_U", arch, arch.labels, ("ply", "txt", "json"), model="a model")
    done = command("renumber", labelled / "one_U.ply", "15=55", "25=65")
    assert done.code == 0 and "17 16 55 14 13 12 11 21 22 23 24 65 26 27" in done.out, done.err
    milk = read_scan(labelled / "one_U.ply", primary=True)
    write_labelled(scans, "one_U", milk, milk.labels, ("ply",))
    steps.write_text('{"scan": "one_U", "kind": "renumber", "tooth": 14, "to": 54}\n')
    expected = np.where(milk.labels == 14, 54, milk.labels)
    for folder in (labelled, tmp_path / "reviewed"):
        done = command("review", scans, "--labels", folder, "--apply", steps)
        assert done.code == 0 and "17 16 55 54 13 12 11 21 22 23 24 65 26 27" in done.out, done.err
        np.testing.assert_array_equal(
            json.loads((folder / "one_U.json").read_text())["labels"], vertices_to_original(milk, expected)
        )
    np.testing.assert_array_equal(np.loadtxt(labelled / "one_U.txt", dtype=int), expected)
    assert command("renumber", labelled / "one_U.json", "55=15").code == 0  # while no review is at work
    steps.write_text('{"scan": "one_U", "kind": "approve"}\n')
    done = command("review", scans, "--labels", labelled, "--apply", steps)
    assert done.code == 0 and "17 16 15 54 13 12 11 21 22 23 24 65 26 27" in done.out, done.err


def test_what_predict_has_said_stays_in_the_json_as_far_as_it_is_true(command, arch: Mesh, tmp_path: Path) -> None:
    folder, scans, steps = tmp_path / "labelled", tmp_path / "scans", tmp_path / "steps.jsonl"
    doubts = [Doubt.of(UNSURE, "review ", [16, 11], ": less than 70% sure"), two_in_one(17, 2.0), Doubt.of(CUT, "cut")]
    sure = dict.fromkeys(np.unique(arch.labels[arch.labels > 0]).tolist(), 0.75)
    measures = measure_arch(arch).measures
    write_labelled(scans, "one_U", arch, arch.labels, ("vtp",))
    write_labelled(folder, "one_U", arch, arch.labels, ("ply", "json"), sure, doubts, measures, model="a model")
    before = json.loads((folder / "one_U.json").read_text())
    (folder / "one_U.html").touch()
    (folder / "summary.csv").touch()

    def after(**step: object) -> dict:
        steps.write_text(json.dumps({"scan": "one_U", **step}))
        done = command("review", scans, "--labels", folder, "--apply", steps)
        assert done.code == 0, done.err
        assert (
            f"older than the labels: {folder / 'one_U.html'}, {folder / 'summary.csv'}; to write them again" in done.err
        )
        assert f"next: toothgraph predict {scans} --out {folder}" in done.err
        return json.loads((folder / "one_U.json").read_text())

    now = after(kind="approve")
    assert {key: value for key, value in now.items() if key != "review"} == before
    now = after(kind="swap", tooth=16, to=15)
    assert set(before["confidence"]) - set(now["confidence"]) == {"16", "15"}
    assert now["doubts"][:3] == ["review 11: less than 70% sure", before["doubts"][1], "cut"]
    assert "15 and 16 are in the wrong order" in now["doubts"][3] and len(now["doubts"]) == 4
    now = after(kind="renumber", tooth=17, to=18)
    assert "18 is wider than usual: are these two teeth?" in now["doubts"]  # of its shape
    now = after(kind="gingiva", tooth=23)
    assert now["measures"]["intercanine_width"]["value"] is None
    for _ in range(3):
        now = after(kind="undo")
    assert {key: value for key, value in now.items() if key != "review"} == before


def test_the_jaw_in_the_json_is_that_of_the_labels(command, arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path / "scans", "one_U", arch, arch.labels, ("vtp",))
    steps, labels = tmp_path / "steps.jsonl", tmp_path / "reviewed"
    right = [fdi for fdi in np.unique(arch.labels).tolist() if 10 < fdi < 20]
    left = [fdi for fdi in np.unique(arch.labels).tolist() if 20 < fdi < 30]
    for teeth, jaw in ((right, "both"), (left, "lower")):
        moves = [{"kind": "renumber", "tooth": fdi, "to": 50 - fdi // 10 * 10 + fdi % 10} for fdi in teeth]
        steps.write_text("\n".join(json.dumps({"scan": "one_U", **move}) for move in moves))
        assert command("review", tmp_path / "scans", "--labels", labels, "--apply", steps).code == 0
        assert json.loads((labels / "one_U.json").read_text())["jaw"] == jaw


def test_labels_that_stay_whatever_the_options_are_told(command, arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path / "scans", "one_U", arch, arch.labels, ("vtp",))
    steps = tmp_path / "steps.jsonl"
    steps.write_text('{"scan": "one_U", "kind": "approve"}\n')
    given = ("review", tmp_path / "scans", "--labels", tmp_path / "reviewed", "--apply", steps)
    for _ in range(2):
        assert "Notice" not in command(*given).err
    for other in (("--predict",), ("--jaw", "upper"), ("--label-system", "fdi")):
        assert "such as --model or --predict: one_U\n" in command(*given, *other).err


def test_steps_of_a_scan_whose_name_is_a_number(command, arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path / "scans", "4711", arch, arch.labels, ("vtp",))
    steps = tmp_path / "steps.jsonl"
    steps.write_text('\ufeff{"scan": 4711, "kind": "gingiva", "tooth": 16}\n{"scan": "4711", "kind": "approve"}\n',
                     encoding="utf-8")  # fmt: skip
    done = command("review", tmp_path / "scans", "--labels", tmp_path / "reviewed", "--apply", steps)
    assert done.code == 0 and "4711: 2 steps, approved: " in done.out, done.err


def test_steps_that_are_no_text_in_utf8(command, arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path / "scans", "one_U", arch, arch.labels, ("vtp",))
    steps = tmp_path / "steps.jsonl"
    given = ("review", tmp_path / "scans", "--labels", tmp_path / "reviewed", "--apply", steps)
    steps.write_bytes('{"scan": "M\u00fcller_U", "kind": "approve"}'.encode("latin-1"))
    assert f"{steps}: expected text in UTF-8, found other bytes; save it as UTF-8" in command(*given).error
    steps.write_text("[" * 100_000)
    assert f"{steps}: line 1: expected a step" in command(*given).error
