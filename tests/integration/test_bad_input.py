"""Whatever a user gets wrong ends in one clear line and exit code 1, and leaves nothing half-written."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from toothgraph.data.prepared.folder import read_manifest, read_quarantine
from toothgraph.io.read import read_mesh


def obj(file: Path, vertices: np.ndarray, faces: np.ndarray) -> Path:
    lines = [f"v {x} {y} {z}" for x, y, z in vertices] + [f"f {a} {b} {c}" for a, b, c in faces + 1]
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture(scope="module")
def bad(tmp_path_factory, arches) -> Path:
    """A folder of scans, each wrong in its own way."""
    folder = tmp_path_factory.mktemp("bad")
    mesh = read_mesh(arches / "0000_upper.stl")
    (folder / "empty.stl").touch()
    (folder / "page.stl").write_text("<!DOCTYPE html><html><body>404 not found</body></html>" * 20)
    (folder / "cut.stl").write_bytes((arches / "0000_upper.stl").read_bytes()[:5000])
    (folder / "text.txt").write_text("hello")
    (folder / "words.ply").write_text("this is no mesh")
    nan = mesh.vertices.copy()
    nan[7] = np.nan
    obj(folder / "nan.obj", nan, mesh.faces)
    obj(folder / "metres.obj", mesh.vertices / 1000, mesh.faces)
    obj(folder / "points.obj", mesh.vertices, mesh.faces[:0])
    obj(folder / "outside.obj", mesh.vertices[:100], mesh.faces)
    shutil.copy(arches / "0000_upper.stl", folder / "short.stl")
    (folder / "short.txt").write_text("11\n" * 10)
    shutil.copy(arches / "0000_upper.stl", folder / "words.stl")
    (folder / "words.txt").write_text("eleven\n" * 2000)
    return folder


SURFACES = [
    ("missing.stl", "no such file"),
    ("empty.stl", "the file is empty"),
    ("page.stl", "by its content it is a web page and no scan"),
    ("cut.stl", "cut short"),
    ("text.txt", "expected a file named"),
    ("words.ply", "words.ply"),
    ("nan.obj", "1 vertices used by faces have coordinates that are not finite"),
    ("metres.obj", "try --unit m"),
    ("points.obj", "points"),
    ("outside.obj", "outside"),
]
LABELS = [("short.stl", "labels, one per face of"), ("words.stl", "expected one FDI number per face")]


BEGUN = ("labelling ", "scoring ", "showing ", "reading ")  # what a display says at first


def refused(done, said: str) -> None:
    """One line at the end, the reason in it or in a line before it, and no traceback."""
    assert done.code == 1, (done.out, done.err)
    assert done.err.splitlines()[-1].startswith("Error: "), done.err
    assert said in done.err and "Traceback" not in done.err, done.err
    said_first = ("Error: ", "Warning: ", "labels of ", *BEGUN)
    assert all(line.startswith(said_first) for line in done.err.splitlines()), done.err


@pytest.mark.parametrize(("name", "said"), SURFACES)
def test_predict_bad_scan(name, said, command, bad, segmenter, tmp_path):
    refused(command("predict", bad / name, "--model", segmenter, "--out", tmp_path / "out"), said)
    assert {file.name for file in (tmp_path / "out").glob("*")} <= {"summary.csv"}  # which tells why


@pytest.mark.parametrize(("name", "said"), SURFACES + LABELS)
def test_evaluate_bad_scan(name, said, command, bad, segmenter, tmp_path):
    refused(command("evaluate", bad / name, "--model", segmenter, "--out", tmp_path / "scores.json"), said)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "said"), SURFACES + LABELS)
def test_finetune_bad_scan(name, said, command, bad, tiny_toml, tmp_path):
    refused(command("finetune", bad / name, "--out", tmp_path / "run", "--config", tiny_toml), said)
    assert not (tmp_path / "run").exists()


def test_finetune_leaves_out_a_bad_scan_among_good_ones(command, arches, bad, tiny_toml, tmp_path):
    done = command("finetune", arches, bad / "short.stl", "--out", tmp_path, "--config", tiny_toml, "--steps", 1)
    assert done.code == 0
    assert "Warning: left out: " in done.err and "labels, one per face of" in done.err
    config = json.loads((tmp_path / "config.json").read_text())
    assert len(config["train"] + config["val"]) == 6


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
@pytest.mark.parametrize(("given", "said"), [
    (("--steps", 0), "steps of at least 1, got 0"),
    (("--epochs", 0), "epochs of at least 1, got 0"),
    (("--batch", -1), "batch of at least 1, got -1"),
    (("--lr", 0), "lr of above 0"),
    (("--lr", "nan"), "lr of above 0"),
    (("--seed", -1), "seed of at least 0"),
    (("--workers", -1), "workers of at least 0"),
    (("--faces", 3), "at least 50 faces"),
    (("--checkpoint-every", 0), "checkpoint_every of at least 1"),
    (("--device", "abacus"), "a device of auto, cpu, cuda or mps, got 'abacus'"),
    (("--config", "missing.toml"), "missing.toml: no such file or folder"),
    (("--split", "missing.json"), "missing.json: no such file or folder"),
])  # fmt: skip
def test_bad_option(name, given, said, command, arches, tmp_path):
    done = command(name, arches, "--out", tmp_path / "run", *given)
    assert said in done.error
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("text", "said"), [
    ("stepz = 3", "unknown option 'stepz'"),
    ("[net]\nwidth = [3]", "net: unknown option 'width'"),
    ("[net.graph]\nface = 3", "net: graph: unknown option 'face'"),
    ("[augmentation]\nspin = 3", "augmentation: unknown option 'spin'"),
    ("steps = 'many'", "steps: expected int, got 'many'"),
    ("steps = true", "steps: expected int, got True"),
    ("net = 3", "net: expected NetConfig, got 3"),
    ("faces = 300\nnet = 3", "expected tables [net] and [net.graph], got net = 3"),
    ("faces = 300\n[net.graph]\nfaces = 500", "faces once, got 300 and, in [net.graph], 500"),
    ("faces = 'all'", "faces: expected int, got 'all'"),
    ("preset = 'papyrus'", "preset: expected one of default, paper, got 'papyrus'"),
    ("preset = 3", "preset: expected a text"),
    ("unit = 'furlong'", "unit: expected one of mm, cm, m, inch"),
    ("split = 3", "split: expected a text"),
    ("init = 3", "expected a text"),
    ("palette = 3", "expected a text"),
    ("optimizer = 'lion'", "optimizer to be one of adamw, adam, sgd, got 'lion'"),
    ("schedule = 'never'", "schedule to be one of"),
    ("precision = '8'", "precision to be one of"),
    ("val_fraction = 2", "val_fraction of 0 to 1"),
    ("[net]\nkind = 'magic'", 'expected a net of kind "geometry" or "paper"'),
    ("[net]\nwidths = []", "net"),
    ("[net]\nwidths = [8, 8]", "net"),
    ("[net]\nembedding = 0", "net"),
    ("[net]\ndropout = 2.0", "dropout"),
    ("[net.graph]\nk = 0", "net"),
    ("[net.graph]\nspacings = []", "net"),
    ("[net.graph]\nspacings = [0.0, -1.0, 3.0, 4.0]", "spacings"),
    ("[net.graph]\nfaces = 20", "at least 50 faces"),
    ("[views]\nradius = 'wide'", "unknown option 'views'"),
    ("this is no toml", "not a TOML file"),
])  # fmt: skip
def test_bad_configuration_file(text, said, command, arches, tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    done = command("finetune", arches / "0000_upper.stl", arches / "0001_upper.stl", "--out", tmp_path / "run",
                   "--config", file, "--steps", 1, "--batch", 1)  # fmt: skip
    assert said in done.error
    assert not (tmp_path / "run").exists()


def test_options_of_the_other_command_are_unknown(command, arches, tmp_path):
    for name, text in (("pretrain", "init = 'x'"), ("pretrain", "label_fraction = 0.4"), ("finetune", "temperature=1")):
        (tmp_path / "other.toml").write_text(text)
        done = command(name, arches, "--out", tmp_path / "run", "--config", tmp_path / "other.toml")
        assert "unknown option" in done.error


@pytest.mark.parametrize("fraction", [0, 2, -1, "nan"])
def test_bad_label_fraction(fraction, command, arches, tmp_path):
    done = command("finetune", arches, "--out", tmp_path / "run", "--label-fraction", fraction)
    assert "label_fraction" in done.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
@pytest.mark.parametrize(("content", "said"), [
    ("no json", "expected a JSON split"),
    ("[]", "expected a JSON split"),
    ('{"train": ["0000"]}', "expected a JSON split"),
    ('{"train": ["0000"], "val": ["0000"]}', "expected each patient in one list of the split"),
    ('{"train": ["a"], "val": ["b"]}', "belongs to a patient of"),
    ('{"train": ["0000"], "val": ["b"]}', "of the patients to validate on, found none"),
    ('{"train": ["a"], "val": ["0001"]}', "of the patients to train on, found none"),
])  # fmt: skip
def test_bad_split(name, content, said, command, arches, tiny_toml, tmp_path):
    split = tmp_path / "split.json"
    split.write_text(content)
    done = command(name, arches, "--out", tmp_path / "run", "--config", tiny_toml, "--split", split)
    assert said in done.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
def test_too_few_scans(name, command, arches, tiny_toml, tmp_path):
    given = ("--out", tmp_path / "run", "--config", tiny_toml)
    (tmp_path / "none").mkdir()
    assert "found no scans" in command(name, tmp_path / "none", *given).error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
def test_half_precision_needs_a_gpu(name, command, arches, tiny_toml, tmp_path):
    run = (name, arches, "--out", tmp_path / "run", "--config", tiny_toml, "--device", "cpu", "--precision")
    assert "precision 16 needs a GPU" in command(*run, "16").error
    assert not (tmp_path / "run").exists()
    assert command(*run, "bf16", "--steps", 1).code == 0


def test_loss_that_is_not_finite(command, arches, tiny_toml, tmp_path):
    run = ("finetune", arches, "--out", tmp_path, "--config", tiny_toml)
    done = command(*run, "--lr", 1e30)
    assert "the loss became" in done.error and "try a lower --lr" in done.error
    batch = json.loads((tmp_path / "bad_batch.json").read_text())
    assert len(batch["scans"]) == 1 and batch["scans"][0] in done.error and batch["step"] >= 0
    assert not (tmp_path / "model.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # given back
    assert "holds a run already" in command(*run).error


def test_no_labels(command, arches, tiny_toml, tmp_path):
    for file in arches.glob("*.stl"):
        shutil.copy(file, tmp_path)
    done = command("finetune", tmp_path, "--out", tmp_path / "run", "--config", tiny_toml)
    assert "none of 6 scans has labels" in done.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("palettes.json", "a palette as FILE:SET"),
        ("missing.json:set", "missing.json: no such file"),
        (":", "a palette as"),
    ],
)
def test_bad_palette(spec, said, command, arches, segmenter, tmp_path):
    done = command("finetune", arches, "--out", tmp_path / "run", "--palette", spec)
    assert said in done.error
    done = command("evaluate", arches, "--out", tmp_path / "x.json", "--model", segmenter, "--palette", spec)
    assert said in done.error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("inside", ["", "run"])
def test_output_folder_is_a_file(inside, command, arches, tiny_toml, segmenter, tmp_path):
    file = tmp_path / "file"
    file.write_text("precious")
    for name in ("pretrain", "finetune"):
        refused(command(name, arches, "--out", file / inside, "--config", tiny_toml), "file")
    refused(command("predict", arches, "--out", file / inside, "--model", segmenter), "file")
    refused(command("evaluate", arches, "--out", file / inside / "x.json", "--model", segmenter), "file")
    assert file.read_text() == "precious"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that even root may not write to")
def test_output_folder_may_not_be_written_to(command, arches, tiny_toml, segmenter):
    for name in ("pretrain", "finetune"):
        refused(command(name, arches, "--out", "/proc/run", "--config", tiny_toml), "/proc/run")
    refused(command("predict", arches, "--out", "/proc/run", "--model", segmenter), "/proc/run")


def test_evaluate_does_not_overwrite_labels(command, arches, segmenter, tmp_path):
    shutil.copy(arches / "0000_upper.stl", tmp_path)
    shutil.copy(arches / "0000_upper.txt", tmp_path)
    for suffix in ("json", "txt", "stl"):
        out = tmp_path / f"0000_upper.{suffix}"
        assert "choose another" in command("evaluate", tmp_path, "--model", segmenter, "--out", out).error
    assert len(list(tmp_path.iterdir())) == 2


def test_subset_needs_a_split(command, arches, segmenter, tmp_path):
    done = command("evaluate", arches, "--model", segmenter, "--out", tmp_path / "x.json", "--subset", "val")
    assert "--subset needs --split" in done.error


@pytest.mark.parametrize("device", ["abacus", "meta", "cuda:99", "cpu:x"])
def test_bad_device(device, command, arches, segmenter, tmp_path):
    done = command("predict", arches, "--model", segmenter, "--out", tmp_path / "out", "--device", device)
    assert "device" in done.error


class Dangerous:
    def __reduce__(self):
        return os.mkdir, (os.environ["TOOTHGRAPH_TEST_TRAP"],)


@pytest.fixture(params=["missing", "empty", "truncated", "pickle", "no header", "pretrained"])
def bad_model(request, segmenter, pretrained, tmp_path, monkeypatch) -> Path:
    """A folder whose model.safetensors is none."""
    monkeypatch.setenv("TOOTHGRAPH_TEST_TRAP", str(tmp_path / "trap"))
    folder = tmp_path / "model"
    folder.mkdir()
    file, whole = folder / "model.safetensors", (segmenter / "model.safetensors").read_bytes()
    if request.param == "empty":
        file.touch()
    elif request.param == "truncated":
        file.write_bytes(whole[: len(whole) // 2])
    elif request.param == "pickle":
        file.write_bytes(pickle.dumps(Dangerous()))
    elif request.param == "no header":
        from safetensors.numpy import save_file

        save_file({"x": np.zeros(3)}, file)
    elif request.param == "pretrained":
        shutil.copy(pretrained / "model.safetensors", file)
    return folder


def test_bad_model(bad_model, command, arches, tmp_path):
    for name, out in (("predict", "out"), ("evaluate", "x.json")):
        done = command(name, arches, "--model", bad_model, "--out", tmp_path / out)
        assert "model.safetensors" in done.error and len(done.err.splitlines()) == 1
        assert not (tmp_path / out).exists()
    assert not (tmp_path / "trap").exists()


def test_bad_init(bad_model, command, arches, tiny_toml, pretrained, tmp_path):
    file = bad_model / "model.safetensors"
    if file.exists() and file.read_bytes() == (pretrained / "model.safetensors").read_bytes():
        pytest.skip("pretrained is what --init is for")
    done = command("finetune", arches, "--init", bad_model, "--out", tmp_path / "run", "--config", tiny_toml)
    assert "model.safetensors" in done.error
    assert not (tmp_path / "run").exists() and not (tmp_path / "trap").exists()


@pytest.mark.parametrize("kind", ["truncated", "empty", "pickle", "config.json"])
def test_bad_checkpoint(kind, command, arches, tiny_toml, pretrained, tmp_path, monkeypatch):
    monkeypatch.setenv("TOOTHGRAPH_TEST_TRAP", str(tmp_path / "trap"))
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    (run / "model.safetensors").unlink()
    (run / "previous.ckpt").unlink()
    whole = (run / "last.ckpt").read_bytes()
    name = "config.json" if kind == "config.json" else "last.ckpt"
    damaged = {"truncated": whole[:-1000], "pickle": pickle.dumps(Dangerous())}.get(kind, b"")
    (run / name).write_bytes(damaged)
    done = command("pretrain", arches, "--out", run, "--config", tiny_toml, "--resume")
    assert name in done.error and [line for line in done.err.splitlines() if not line.startswith(BEGUN)] == [done.error]
    assert (run / name).read_bytes() == damaged and not (tmp_path / "trap").exists()


@pytest.mark.parametrize("args", [
    ("pretrain",), ("finetune", "."), ("predict", "."), ("evaluate", "."), ("synth",),
    ("predict", ".", "--out", "y", "--jaw", "both"),
    ("pretrain", "x", "--out", "y", "--steps", "z"),
    ("segment",), ("info", "--fast"),
])  # fmt: skip
def test_usage_errors(args, command):
    done = command(*args)
    assert done.code == 2 and done.err.startswith("Usage: toothgraph") and "Error: " in done.err


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
def test_a_run_gets_a_folder_of_its_own(name, command, arches):
    before = sorted(arches.iterdir())
    for scans in (arches, arches / "0000_upper.stl"):
        assert "--out contains the scans" in command(name, scans, "--out", arches).error
    assert sorted(arches.iterdir()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize(("odd", "shown", "wanted"), [
    (os.fsdecode(b"M\xfcller_U.stl"), "M%FCller_U", "in UTF-8, found other bytes"),
    ("M\rller_U.stl", "M%0Dller_U", "in UTF-8, found control characters"),
])  # fmt: skip
def test_an_odd_name_stops_that_scan_alone(odd, shown, wanted, command, arches, segmenter, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    shutil.copy(arches / "0000_upper.stl", scans)
    for kind in ("stl", "txt"):
        shutil.copy(arches / f"0000_upper.{kind}", scans / f"0000_upper.{kind}")
        shutil.copy(arches / f"0000_upper.{kind}", scans / odd.replace("stl", kind))
    said = f"{scans}/{shown}.stl: expected a file name {wanted}"
    for given in (
        ("predict", scans, "--model", segmenter, "--out", tmp_path / "labelled", "--report", "--json"),
        ("view", scans, "--out", tmp_path / "pages"),
        ("convert", scans, "--out", tmp_path / "converted", "--report"),
        ("evaluate", scans, "--model", segmenter, "--out", tmp_path / "scores.json"),
        ("prepare", scans, tmp_path / "prepared", "--faces", 300, "--tessellations", 1, "--workers", 1),
    ):
        done = command(*given)
        assert done.code != 0 or given[0] == "prepare", given
        assert "1 of 2 scans" in done.err + done.out or "2 scans: 1 prepared" in done.out, (done.out, done.err)
        assert said in done.err or given[0] == "prepare", done.err
        (done.out + done.err).encode()
    assert read_quarantine(tmp_path / "prepared") == [shown] and len(read_manifest(tmp_path / "prepared")) == 1
    for page in ("labelled", "pages", "converted"):
        assert "0000_upper.html" in (tmp_path / page / "index.html").read_text()
    steps = tmp_path / "steps.jsonl"
    steps.write_text("".join(f'{{"scan": "{name}", "kind": "approve"}}\n' for name in ("0000_upper", shown)))
    done = command("review", scans, "--labels", tmp_path / "reviewed", "--apply", steps)
    assert said in done.error and (tmp_path / "reviewed" / "0000_upper.json").is_file()
