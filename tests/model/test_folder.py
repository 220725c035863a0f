"""A model as a folder: what is in it, and that it is the same model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from toothgraph.errors import CheckpointError, ConfigError
from toothgraph.fdi import FDI_OF_CLASS
from toothgraph.model.file import load_segmentation, read_model
from toothgraph.model.folder import export_folder

DOCS = Path(__file__).resolve().parents[2] / "docs"


def metadata(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])


@pytest.fixture(scope="module")
def scores(command: Callable[..., Any], arches: Path, segmenter: Path, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("scores") / "scores.json"
    done = command("evaluate", arches / "0002_upper.stl", "--model", segmenter, "--out", file)
    assert done.code == 0 and "has learned from" not in done.err, done.err
    return file


def test_a_folder_is_the_model(command, arches, segmenter, scores, tmp_path):
    folder = tmp_path / "tiny-teeth"
    done = command("export", segmenter, "-o", folder, "--licence", "cc-by-4.0", "--scores", scores)
    assert done.code == 0 and f"wrote {folder}" in done.out, done.err
    assert "names the scans it was trained on (4)" in done.err
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == (segmenter / "model.safetensors").read_bytes()
    one, same = (load_segmentation(path)[0].state_dict() for path in (segmenter, folder))
    assert list(one) == list(same) and all(torch.equal(one[name], same[name]) for name in one)

    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "toothgraph" and config["architectures"] == ["SegmentationNet"]
    assert config["net"]["embedding"] == 16 and config["id2label"]["0"] == "gingiva"
    assert [int(config["id2label"][str(column)]) for column in range(1, 33)] == FDI_OF_CLASS[1:].tolist()

    said = metadata(folder)
    assert said["license"] == "cc-by-4.0" and "mesh-segmentation" in said["tags"]
    (model,) = said["model-index"]
    assert model["name"] == "tiny-teeth" and model["results"][0]["dataset"]["name"] == "1 intraoral scan"
    found = {each["type"]: each["value"] for each in model["results"][0]["metrics"]}
    assert found["miou"] == json.loads(scores.read_text())["scores"]["miou"]
    card = (folder / "README.md").read_text()
    assert "| started from | pretrained |" in card and "4 scans" in card and "3D-IOSSeg" in card
    assert "0000_" not in card, "the names of scans may be those of patients"

    for name, model in (("run", segmenter), ("folder", folder)):
        words = ("predict", arches / "0000_upper.stl", "--model", model, "--out", tmp_path / name, "--format", "txt")
        assert command(*words).labelled
    assert (tmp_path / "run" / "0000_upper.txt").read_text() == (tmp_path / "folder" / "0000_upper.txt").read_text()
    told = command("info", folder).out
    assert "toothgraph export" in told and "segmentation" in told and "4 scans" in told
    assert command("info", folder, "-o", tmp_path / "curves.png").error.endswith("folder of pretrain or finetune")
    assert command("export", segmenter, "-o", folder).code == 0  # an earlier export is replaced
    assert metadata(folder)["license"] == "unknown" and "model-index" not in metadata(folder)


def test_scores_on_patients_that_a_model_learned_from_say_so(command, arches, segmenter, tmp_path):
    scores = tmp_path / "scores.json"
    scans = (arches / "0000_upper.stl", arches / "0002_upper.stl")
    assert "the patients of 1 of 2 scans" in command("evaluate", *scans, "--model", segmenter, "--out", scores).err
    folder = tmp_path / "known"
    export_folder(segmenter, folder, scores=json.loads(scores.read_text()))
    assert "learned from the patients of 1 of these scans" in (folder / "README.md").read_text()
    assert "model-index" not in metadata(folder)  # by which nets are compared


def test_a_folder_is_a_start_for_training(command, arches, tiny_toml, pretrained, tmp_path):
    export_folder(pretrained, tmp_path / "base")
    assert metadata(tmp_path / "base")["library_name"] == "toothgraph"
    assert "id2label" not in json.loads((tmp_path / "base" / "config.json").read_text())
    done = command("finetune", arches, "--out", tmp_path / "run", "--config", tiny_toml, "--init", tmp_path / "base")
    assert done.code == 0, done.err
    assert read_model(tmp_path / "run").header["init"] == str(tmp_path / "base")


def test_nothing_of_others_is_written_over(command, segmenter, tmp_path):
    shutil.copytree(segmenter, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"contains a config.json that no export wrote"):
        export_folder(segmenter, tmp_path / "run")
    assert (tmp_path / "run" / "config.json").read_bytes() == (segmenter / "config.json").read_bytes()
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "README.md").write_text("mine")
    with pytest.raises(ConfigError, match=r"contains a README.md that no export wrote"):
        export_folder(segmenter, tmp_path / "clone")


def test_scores_of_another_model_are_refused(command, segmenter, scores, tmp_path):
    with pytest.raises(CheckpointError, match="the scores are of another model"):
        export_folder("default", tmp_path / "a", scores=json.loads(scores.read_text()))
    (tmp_path / "list.json").write_text("[1]")
    done = command("export", segmenter, "-o", tmp_path / "a", "--scores", tmp_path / "list.json")
    assert "expected what `toothgraph evaluate` writes" in done.error
    with pytest.raises(ConfigError, match="expected the file that `toothgraph evaluate` writes of a model"):
        export_folder(segmenter, tmp_path / "a", scores={"scores": {}})
    assert "are for the card of a folder" in command("export", segmenter, "-o", tmp_path / "a.onnx", "--licence",
                                                     "mit").error  # fmt: skip
    assert not (tmp_path / "a").exists()


def test_plain_safetensors_reads_a_model(segmenter, tmp_path):
    """The block of the documentation as it stands, in a process that has no toothgraph and no torch."""
    shutil.copy(segmenter / "model.safetensors", tmp_path)
    text = (DOCS / "files.md").read_text(encoding="utf-8")
    section = text[text.index("## A model file") :]
    (block,) = re.findall(r"^```python\n(.*?)^```", section[: section.index("\n## ")], re.MULTILINE | re.DOTALL)
    ending = (
        "\nimport sys\nassert not {'torch', 'toothgraph'} & set(sys.modules)\nprint(json.dumps([header, shapes]))\n"
    )
    script = tmp_path / "read.py"
    script.write_text(block + ending)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    header, shapes = json.loads(done.stdout.splitlines()[-1])
    model = read_model(segmenter)
    assert shapes == {name: list(tensor.shape) for name, tensor in model.tensors.items()}
    assert {name.split(".")[0] for name in shapes} == {"backbone", "head", "crowns"}
    assert header["format"] == "toothgraph-model-1" and header["kind"] == "segmentation"
    assert header["net"]["graph"]["faces"] == 300 and header["train"] == model.header["train"]
    keys = {key for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert set(header) <= keys, "a key of the header that the table lacks"


def test_the_block_of_the_how_to_runs(command, arches, segmenter, tmp_path, monkeypatch):
    text = (DOCS / "how-to" / "train.md").read_text(encoding="utf-8")
    section = text[text.index("## … share a model") :]
    lines = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[0].splitlines()
    assert [line.split()[1] for line in lines] == ["evaluate", "export", "predict"]
    monkeypatch.chdir(tmp_path)
    shutil.copytree(segmenter, "runs/fine")
    Path("test-scans").mkdir()
    for suffix in ("stl", "txt"):
        shutil.copy(arches / f"0000_lower.{suffix}", "test-scans")
    shutil.copy(arches / "0000_upper.stl", "scan_upper.stl")
    evaluated, exported, predicted = [command(*line.split()[1:]) for line in lines]
    assert evaluated.code == exported.code == 0 and predicted.labelled
    assert metadata(Path("my-model"))["license"] == "cc-by-4.0" and "my-model" in exported.out
    assert "scan_upper: upper jaw" in predicted.out
