"""The studies run, with tiny sizes, on data sets laid out as the real ones."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from benchmarks.pages import ablation_tables, results, weights
from benchmarks.studies import (
    ablation,
    datasets,
    default_weights,
    few_patients,
    label_efficiency,
    objectives,
    prediction_steps,
    real_scans,
    rows,
    tooth_sizes,
)
from toothgraph import load_model
from toothgraph.data.split import Split
from toothgraph.errors import ConfigError, DataError
from toothgraph.fdi import LOWER, UPPER
from toothgraph.inference import PredictOptions
from toothgraph.io.write import write_teeth3ds_json
from toothgraph.model.config import check_net
from toothgraph.synthetic import MIN_FACES, synthetic_arch
from toothgraph.system.files import write_text
from toothgraph.training.run import device_of


@pytest.fixture(scope="module")
def teeth3ds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients in the layout of a downloaded Teeth3DS; the upper jaw of C3 is listed for testing, its lower
    jaw for training."""
    root = tmp_path_factory.mktemp("teeth3ds")
    lists = {"training_upper": "A1 B2", "training_lower": "A1 B2 C3", "testing_upper": "C3 D4", "testing_lower": "D4"}
    for name, patients in lists.items():
        jaw = name.split("_")[1]
        file = root / "Teeth3DS_train_test_split" / f"{name}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text("".join(f"{patient}_{jaw}\n" for patient in patients.split()))
        for number, patient in enumerate(patients.split()):
            mesh = synthetic_arch(number, jaw=int(jaw == "lower"), faces=MIN_FACES)
            corner_of = np.zeros(len(mesh.vertices), dtype=int)
            corner_of[mesh.faces.ravel()] = mesh.labels.repeat(3)
            folder = root / "data_part_1" / jaw / patient
            folder.mkdir(parents=True)
            rows = [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in mesh.vertices]
            rows += [f"f {a} {b} {c}" for a, b, c in mesh.faces + 1]
            (folder / f"{patient}_{jaw}.obj").write_text("\n".join(rows) + "\n")
            write_teeth3ds_json(folder / f"{patient}_{jaw}.json", corner_of, jaw=mesh.jaw, id_patient=patient)
    return root


def test_official_lists_split_by_patient(teeth3ds: Path) -> None:
    found = datasets.teeth3ds(teeth3ds)
    assert found.split.train == ("A1", "B2") and found.split.val == ("C3", "D4")
    names = [file.stem for file in found.validation()]
    assert sorted(names) == ["C3_lower", "C3_upper", "D4_lower", "D4_upper"]
    with pytest.raises(DataError, match=r"training_upper\.txt"):
        datasets.teeth3ds(teeth3ds / "data_part_1")


def test_a_jaw_of_a_patient_is_found_by_any_name(teeth3ds: Path) -> None:
    found = datasets.teeth3ds(teeth3ds)
    assert [found.jaw("C3", jaw).name for jaw in (UPPER, LOWER)] == ["C3_upper.obj", "C3_lower.obj"]
    with pytest.raises(DataError, match="expected a scan of the lower jaw of E5, found none"):
        found.jaw("E5", LOWER)


@pytest.mark.usefixtures("one_look")
def test_label_efficiency_on_a_downloaded_folder(
    teeth3ds: Path, arches: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "rows.jsonl"
    given = [str(teeth3ds), str(tmp_path / "runs"), "--dataset", "teeth3ds", "--fractions", "50", "--seeds", "0",
             "--steps", "2", "--pretrain-steps", "2", "--faces", "300", "--out", str(out)]  # fmt: skip
    label_efficiency.main(given)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["init"], row["patients"]) for row in rows] == [("scratch", 1), ("pretrained", 1)]
    for row in rows:
        assert {scan["scan_id"] for scan in row["per_scan"]} == {"C3_lower", "C3_upper", "D4_lower", "D4_upper"}
        assert row["scores"]["miou"] == pytest.approx(np.mean([scan["miou"] for scan in row["per_scan"]]))
        assert len(row["sha256"]) == 64 and row["minutes"] > 0 and list(row["curve"]) == ["2"]
        assert row["device"] == device_of("auto") and row["protocol"] == row["device"].upper()
    assert "pretrain_sha256" in rows[1] and rows[0]["sha256"] != rows[1]["sha256"]
    label_efficiency.main([*given, "--inits", "more", "--also", str(arches)])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["init"], row.get("also")) for row in rows] == [("scratch", None), ("pretrained", 0), ("more", 6)]
    seen = json.loads((tmp_path / "runs" / "pre-more-0" / "config.json").read_text())["train"]
    assert sum(name.startswith("also-") for name in seen) == 6
    with pytest.raises(SystemExit):
        label_efficiency.main([*given, "--inits", "more"])
    before = out.read_text()
    capsys.readouterr()
    label_efficiency.main(given)  # every cell has its row
    said = capsys.readouterr().out
    assert out.read_text() == before and "0 of 2 runs to do" in said and "pre-trained on more" in said
    out.write_text("".join(json.dumps({**row, "scores": {}, "per_scan": []}) + "\n" for row in rows))
    label_efficiency.main([*given, "--rescore"])
    assert out.read_text() == before
    out.write_text(json.dumps({**rows[0], "sha256": "other"}) + "\n")
    with pytest.raises(SystemExit, match="another net than the row's"):
        label_efficiency.main([*given, "--rescore"])


@pytest.mark.usefixtures("one_look")
def test_an_ablation_of_ones_own(teeth3ds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, own = tmp_path / "rows.jsonl", tmp_path / "warm.toml"
    own.write_text("[finetune]\nlr = 1e-3\n")
    given = [str(teeth3ds), str(tmp_path / "runs"), "--dataset", "teeth3ds", "--seeds", "0", "--steps", "1",
             "--faces", "300", "--out", str(out), "--config", str(own)]  # fmt: skip
    ablation.main(given)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["variant"] for row in rows] == ["default", "own: warm"]
    assert rows[1]["change"] == {"finetune": {"lr": 1e-3}}
    said = capsys.readouterr().out
    assert "own: warm, seed 0: miou" in said and "change     `miou`" in said
    own.write_text("lr = 1e-3\n")
    with pytest.raises(ConfigError, match=r"warm\.toml: expected options under \[finetune\] or \[pretrain\], found lr"):
        ablation.main(given)
    own.write_text("[finetune]\nlearning = 1e-3\n")
    with pytest.raises(ConfigError, match="own: warm: unknown option 'learning'"):
        ablation.main(given)


@pytest.mark.usefixtures("one_look")
def test_another_content_of_ones_own_file_is_another_change(
    teeth3ds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is trained in a folder of its own, and the table has the one that the file describes now."""
    out, own = tmp_path / "rows.jsonl", tmp_path / "warm.toml"
    given = [str(teeth3ds), str(tmp_path / "runs"), "--dataset", "teeth3ds", "--steps", "1", "--faces", "300",
             "--out", str(out), "--only", "from scratch", "--config", str(own)]  # fmt: skip
    for rate, seeds in (("1e-3", "0"), ("2e-3", "1")):
        own.write_text(f"[finetune]\nlr = {rate}\n")
        capsys.readouterr()
        ablation.main([*given, "--seeds", seeds])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["variant"] for row in rows] == ["default", "from scratch", "own: warm"] * 2  # compared with the default
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("own: warm  "))
    assert line.split()[-1] == "1"  # seed
    assert len(list((tmp_path / "runs").glob("own--warm-*"))) == 2
    (tmp_path / "more").mkdir()
    with pytest.raises(ConfigError, match=r"expected files of different names, got .*warm\.toml and .*more"):
        ablation.own_changes([own, tmp_path / "more" / "warm.toml"])


@pytest.mark.parametrize("study", [few_patients, objectives])
def test_a_row_of_a_quick_try_is_no_row_of_the_study(study: ModuleType, tmp_path: Path) -> None:
    """Older rows do not say steps and faces; they are those of the protocol."""
    (known, *_), out = rows.read_rows(study.RESULT), tmp_path / "rows.jsonl"
    cell = study.Cell(*(known[name] for name in study.Cell._fields))
    quick, real = ({"options": Namespace(quick=quick)} for quick in (True, False))

    def run(file: Path, given: dict) -> int:
        return len([*rows.new_rows(file, [cell], lambda cell: cell._asdict(), partial(study.sizes, **given))])

    assert run(study.RESULT, real) == 0
    assert [run(out, given) for given in (quick, quick, real, real)] == [1, 0, 1, 0]
    out.write_text(json.dumps(cell._asdict()) + "\n")  # an older row
    assert [run(out, given) for given in (real, quick)] == [0, 1]


def test_half_a_row_is_told_with_its_line(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    rows.append_row(out, {"seed": 0})
    with out.open("a") as stream:
        stream.write('{"seed": 1, "sco')
    with pytest.raises(
        DataError, match=r"rows\.jsonl, line 2: expected a row in JSON, found '\{\"seed\": 1, .*delete that"
    ):
        rows.read_rows(out)


def test_rows_of_a_gpu_have_a_protocol_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = datasets.Dataset("d", tmp_path, None, Split(("a", "b"), ("c",), {}))
    cell = label_efficiency.Cell("scratch", 100, 0)

    def protocol(*given: str) -> str:
        options = label_efficiency.study_arguments().parse_args(given)
        return str(label_efficiency.identity(cell, data, options)["protocol"])

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert [protocol(), protocol("--device", "cpu"), protocol("--protocol", "own")] == ["CUDA", "CPU", "own"]


def test_the_time_of_a_stopped_stage_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, command = tmp_path / "pre" / "model.safetensors", ["pretrain", "scans"]

    def stopped(line: list[str], log: Path) -> None:
        time.sleep(0.02)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(real_scans, "run_stage", stopped)
        with pytest.raises(KeyboardInterrupt):
            real_scans.timed_stage("pretrain", command, result, tmp_path)
        patched.setattr(real_scans, "run_stage", lambda line, log: write_text(result, "net"))
        first = json.loads((tmp_path / "seconds.json").read_text())["pretrain"]
        assert real_scans.timed_stage("pretrain", command, result, tmp_path) > first >= 0.02
    (tmp_path / "seconds.json").unlink()
    with pytest.raises(ConfigError, match=r"seconds\.json: expected the seconds of pretrain.*delete .*pre$"):
        real_scans.timed_stage("pretrain", command, result, tmp_path)


def test_a_stage_that_fails_says_why(tmp_path: Path) -> None:
    """The last line of its log."""
    with pytest.raises(ConfigError, match=r"toothgraph strange: exit code 2: .*No such command 'strange'.*stage\.log"):
        real_scans.run_stage(["strange"], tmp_path / "stage.log")


def test_every_protocol_has_a_quick_try() -> None:
    for protocol in few_patients.PROTOCOLS:
        own, _ = few_patients.sizes(few_patients.Cell("scratch", 1, 0, 0, protocol), Namespace(quick=True))
        assert own == {"steps": 2, "faces": 300}


def test_rows_of_another_split_are_other_rows(tmp_path: Path) -> None:
    data = datasets.Dataset("d", tmp_path, None, Split(("a", "b"), ("c",), {}))
    others = [
        replace(data, split=Split(*sides)) for sides in ((("a", "c"), ("b",), {}), (("a", "b"), ("c",), {50: ("b",)}))
    ]
    options = label_efficiency.study_arguments().parse_args([])
    options.out, options.changes = tmp_path / "rows.jsonl", ablation.VARIANTS
    cell = label_efficiency.Cell("scratch", 100, 0)
    for identity in (partial(label_efficiency.identity, cell), partial(ablation.identity, "default", 0)):
        rows.append_row(options.out, identity(data, options))
        found = [rows.has_row(options.out, identity(each, options)) for each in (data, *others)]
        assert found == [True, False, False]
    assert [len(label_efficiency.of_this_study(options, each)) for each in (data, *others)] == [1, 0, 0]
    published = rows.read_rows(ablation.RESULT)[0]  # from before the split was written
    assert rows.is_of(published, {"split": rows.OLDER["split"]}) and not rows.is_of(published, {"split": "other"})


@pytest.mark.usefixtures("one_look")
def test_ablation_runs_its_variants(teeth3ds: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    names = ["default", "from scratch", "pre-training: one direction"]
    given = [str(teeth3ds), str(tmp_path / "runs"), "--dataset", "teeth3ds", "--seeds", "0", "--steps", "1",
             "--faces", "300", "--out", str(out), "--only"]  # fmt: skip
    ablation.main([*given, *names])
    ablation.main([*given, *names])  # every run has its row
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["variant"] for row in rows] == names
    assert (tmp_path / "runs" / "backbone-default-0").is_dir() and len(
        list((tmp_path / "runs").glob("backbone-*"))
    ) == 2
    text = ablation_tables.ablation_table(rows)
    assert text.count("\n") == 4 and "| default | 0." in text and "| from scratch |" in text
    older = ablation_tables.ablation_table([{**rows[0], "scored": "7e5952f"}, *rows[1:]])
    assert "| default ¹ | 0." in older and older.count("¹") == 1
    page = results.ablation(rows)
    assert page.count("###") == 1 and "### teeth3ds: 1 steps, graphs of 300 faces" in page and text in page


@pytest.mark.parametrize("faces", [None, 4000])
def test_every_variant_is_a_configuration(faces: int | None) -> None:
    options = Namespace(steps=None, faces=faces, device="cpu", changes=ablation.VARIANTS)
    default = ablation.configs("default", 0, options)
    slugs = set()
    for name in ablation.VARIANTS:
        pre_config, config = ablation.configs(name, 0, options)
        check_net(config.net)
        assert pre_config.net.widths == config.net.widths and pre_config.net.graph == config.net.graph
        assert (name in ("default", "from scratch")) == ((pre_config, config) == default)
        slugs.add(ablation.slug(name))
    assert len(slugs) == len(ablation.VARIANTS)


def test_scores_of_the_default_weights(arches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, out = default_weights, tmp_path / "steps.json"
    mesh = synthetic_arch(1, jaw=1, faces=2000)
    whole = module.duplicates(mesh, mesh.labels)
    assert whole == 0 == module.duplicates(mesh, np.zeros_like(mesh.labels))
    twice = np.where(mesh.labels == 45, 35, mesh.labels)
    assert module.duplicates(mesh, twice) == 1
    net, drawn = load_model(), []
    for condition in module.CONDITIONS:
        (found,) = module.scored(net, [mesh], condition, drawn, PredictOptions(1))
        assert found.row["miou"] > 0.3 and found.row["predicted_jaw"] == "lower"
    assert len(drawn) == 1 and drawn[0][1] is mesh
    module.draw_worst(drawn, tmp_path / "worst.png")
    assert (tmp_path / "worst.png").stat().st_size > 5000

    steps = prediction_steps
    monkeypatch.setattr(steps, "STEPS", dict(list(steps.STEPS.items())[:2]))
    own = SimpleNamespace(palette=None, validation=lambda: [arches / "0000_upper.stl"])
    monkeypatch.setattr(module, "iosseg", lambda data: own)
    monkeypatch.setattr(module, "other_scanners", lambda data: {"some": [mesh]})
    monkeypatch.setattr(sys, "argv", ["prediction_steps", str(tmp_path), "--out", str(out)])
    steps.main()
    content = json.loads(out.read_text())
    page = weights.prediction_steps(content)
    assert "| 3d-iosseg | all steps |" in page and "| some | all steps |" in page and "one tessellation" in page
    assert list(content["sets"]["some"]) == list(steps.STEPS)


def test_tooth_sizes_find_labels_that_count(arches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, out = tooth_sizes, tmp_path / "sizes.json"
    mesh = synthetic_arch(3, jaw=0, faces=4000, without=[14, 18])
    count = {15: 14, 16: 15, 17: 16}
    wrong = mesh.with_labels(np.array([count.get(fdi, fdi) for fdi in mesh.labels.tolist()]))
    split = SimpleNamespace(train=("0000", "0001"))
    monkeypatch.setattr(module, "iosseg", lambda data: SimpleNamespace(scans=arches, palette=None, split=split))
    monkeypatch.setattr(module, "other_scanners", lambda data: {"right": [mesh], "wrong": [wrong]})
    monkeypatch.setattr(sys, "argv", ["tooth_sizes", str(tmp_path), "--out", str(out)])
    module.main()
    content = json.loads(out.read_text())
    assert [(row["set"], len(row["odds"])) for row in content["counted"]] == [("wrong", 1)]
    assert content["ratios"]["5/6"]["pairs"] > 3 and content["ratios"]["5/6"]["median"][0] < -0.25
    page = results.tooth_sizes(content)
    assert f"In 1 of {content['scans']} labelled scans" in " ".join(page.split()) and "| 6/7 |" in page


def test_sweep_goes_on_and_shows_what_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prediction_steps.values_about(2) == [1, 3] and prediction_steps.values_about(1) == [2]
    assert prediction_steps.values_about(0.9) == pytest.approx([0.6, 1.35])
    swept = list(prediction_steps.swept_rules())
    assert {section for section, *_ in swept} == set(prediction_steps.SWEPT)
    assert ("borders", "cycles", 2, 1) in swept and ("row", "end", 0.6, 0.9) in swept

    out, mesh = tmp_path / "sweep.json", synthetic_arch(1, jaw=1, faces=2000)
    monkeypatch.setattr(prediction_steps, "labelled_sets", lambda data, quick: {"3d-iosseg": [mesh]})
    given = [str(tmp_path), "--sweep", "--quick", "--out", str(out)]
    prediction_steps.main(given)
    content = json.loads(out.read_text())
    assert content["scans"] == [mesh.scan_id] and content["default"]["miou"] > 0.3
    assert [row["value"] for row in content["rows"]] == pytest.approx([1.333333, 3.0, 0.333333, 0.75])
    for row in content["rows"]:
        assert row["miou_change"] == pytest.approx(row["miou"] - content["default"]["miou"])
    page = weights.rules_sweep(content)
    assert "| `borders.strength` | 2 | 3 | " in page and "labels 1 scans" not in page
    done = [{**row, "miou": 0.0} for row in content["rows"][:3]]
    out.write_text(json.dumps({**content, "rows": done}))
    prediction_steps.main(given)  # what has its row is not done again
    assert json.loads(out.read_text())["rows"] == [*done, content["rows"][3]]
