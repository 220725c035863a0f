"""The benchmarks run, with tiny sizes, and their pages can be rendered from what they write."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
MODULES = sorted(file.stem for file in BENCHMARKS.glob("*.py"))
SCRIPTS = ("backbone", "edge_conv", "info_nce", "knn", "predict", "prepare", "pretrain_step")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


@pytest.fixture(scope="module")
def load() -> Iterator:
    """Imports a script as it imports its neighbours when it is run; takes their names away again."""
    sys.path.insert(0, str(BENCHMARKS))

    def load(name: str) -> ModuleType:
        module = importlib.import_module(name)
        assert module.__file__ == str(BENCHMARKS / f"{name}.py")
        return module

    yield load
    sys.path.remove(str(BENCHMARKS))
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_writes_its_measurements(script: str, load, results: Path, capsys) -> None:
    out = results / f"{script}.json"
    load(script).main(["--quick", "--out", str(out)])
    content = json.loads(out.read_text())
    assert content["quick"] and content["facts"].keys() == {"date", "versions", "hardware", "git"}
    assert min(content["machine"].values()) > 1e6
    ways = [way for part in content["sections"] for case in part["cases"] for way in case["ways"].values()]
    assert ways
    for way in ways:
        assert 0 < way["seconds"]["min"] <= way["seconds"]["median"] <= way["seconds"]["max"]
        assert way["peak_bytes"] >= 0
    assert all(part["note"] and part["title"] for part in content["sections"])
    assert " s (" in capsys.readouterr().out
    page = load("render_speed").speed_page(results)
    assert f"## `{script}`" in page and content["question"] in page
    assert all(part["title"] in page for part in content["sections"])


def test_page_says_what_is_missing(load, tmp_path: Path) -> None:
    page = load("render_speed").speed_page(tmp_path)
    assert page.count("**CPU.** Not yet measured.") == 7 and page.count("**CUDA.** Not yet measured.") == 6


def test_pages_are_up_to_date(load) -> None:
    for file, page in load("render").pages().items():
        assert file.read_text(encoding="utf-8") == page, f"{file} is out of date: run `python benchmarks/render.py`"


def test_limit_is_the_slower_of_bytes_and_operations(load) -> None:
    limit, machine = load("render_speed").limit_of, {"copy_bytes_per_s": 10.0, "matmul_flop_per_s": 100.0}
    assert limit({"bytes": 20, "flop": 100}, machine) == 2
    assert limit({"bytes": 20, "flop": 500}, machine) == 5
    assert limit({"bytes": 0, "flop": 0}, machine) is None


def test_quick_figures_never_replace_real_ones(load, capsys) -> None:
    with pytest.raises(SystemExit):
        load("knn").main(["--quick"])
    assert "--out" in capsys.readouterr().err


def test_peak_memory_of_a_call(load) -> None:
    import torch

    peak = load("common").peak_extra(lambda: torch.ones(25_000_000).sum(), "cpu")
    assert 95e6 < peak < 130e6  # 100 MB of float32; the kernel counts pages in batches


def test_plain_paper_net_is_the_same_net(load) -> None:
    import torch

    from toothgraph.graph import GraphSpec
    from toothgraph.nn import PaperBackbone

    backbone, data = load("backbone"), load("surfaces").graph(300, GraphSpec(k=0, spacings=()))
    torch.manual_seed(0)
    data.x = data.x.double()
    net = PaperBackbone(k=8).double()
    expected = net(data)
    torch.testing.assert_close(backbone.PlainPaper(net)(data), expected, rtol=1e-6, atol=1e-8)


def test_subdivided_surface_is_the_same_surface(load) -> None:
    surfaces = load("surfaces")
    coarse = surfaces.arch(500)
    fine = surfaces.subdivide(coarse)
    assert len(fine.faces) == 4 * len(coarse.faces)
    np.testing.assert_allclose(fine.areas.reshape(-1, 4).sum(axis=1), coarse.areas)
    np.testing.assert_allclose(fine.normals.reshape(-1, 4, 3), coarse.normals[:, None].repeat(4, axis=1), atol=1e-9)
    edges = len(np.unique(np.sort(coarse.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0))
    assert len(fine.vertices) == len(coarse.vertices) + edges


@pytest.fixture(scope="module")
def teeth3ds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients in the layout of a downloaded Teeth3DS; the upper jaw of C3 is listed for testing, its lower
    jaw for training."""
    from toothgraph.mesh.synthetic import MIN_FACES, synthetic_arch
    from toothgraph.mesh.write import write_teeth3ds_json

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


def test_official_lists_split_by_patient(load, teeth3ds: Path) -> None:
    found = load("datasets").teeth3ds(teeth3ds)
    assert found.split.train == ("A1", "B2") and found.split.val == ("C3", "D4")
    names = [file.stem for file in found.validation()]
    assert sorted(names) == ["C3_lower", "C3_upper", "D4_lower", "D4_upper"]
    from toothgraph.errors import DataError

    with pytest.raises(DataError, match=r"training_upper\.txt"):
        load("datasets").teeth3ds(teeth3ds / "data_part_1")


def test_label_efficiency_on_a_downloaded_folder(load, teeth3ds: Path, arches: Path, tmp_path: Path, capsys) -> None:
    study, out = load("label_efficiency"), tmp_path / "rows.jsonl"
    given = [str(teeth3ds), str(tmp_path / "runs"), "--dataset", "teeth3ds", "--fractions", "50", "--seeds", "0",
             "--steps", "2", "--pretrain-steps", "2", "--faces", "300", "--out", str(out)]  # fmt: skip
    study.main(given)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["init"], row["patients"]) for row in rows] == [("scratch", 1), ("pretrained", 1)]
    for row in rows:
        assert {scan["scan_id"] for scan in row["per_scan"]} == {"C3_lower", "C3_upper", "D4_lower", "D4_upper"}
        assert row["scores"]["miou"] == pytest.approx(np.mean([scan["miou"] for scan in row["per_scan"]]))
        assert len(row["sha256"]) == 64 and row["minutes"] > 0 and list(row["curve"]) == ["2"]
    assert "pretrain_sha256" in rows[1] and rows[0]["sha256"] != rows[1]["sha256"]
    study.main([*given, "--inits", "more", "--also", str(arches)])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["init"], row.get("also")) for row in rows] == [("scratch", None), ("pretrained", 0), ("more", 6)]
    seen = json.loads((tmp_path / "runs" / "pre-more-0" / "config.json").read_text())["train"]
    assert sum(name.startswith("also-") for name in seen) == 6
    with pytest.raises(SystemExit):
        study.main([*given, "--inits", "more"])
    before = out.read_text()
    capsys.readouterr()
    study.main(given)  # every cell has its row
    assert out.read_text() == before and capsys.readouterr().out == ""
    out.write_text("".join(json.dumps({**row, "scores": {}, "per_scan": []}) + "\n" for row in rows))
    study.main([*given, "--rescore"])
    assert out.read_text() == before
    out.write_text(json.dumps({**rows[0], "sha256": "other"}) + "\n")
    with pytest.raises(SystemExit, match="another net than the row's"):
        study.main([*given, "--rescore"])


def test_ablation_runs_its_variants(load, teeth3ds: Path, tmp_path: Path) -> None:
    ablation, out = load("ablation"), tmp_path / "rows.jsonl"
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
    text = load("render_study").ablation_table(rows)
    assert text.count("\n") == 4 and "| default | 0." in text and "| from scratch |" in text
    older = load("render_study").ablation_table([{**rows[0], "scored": "7e5952f"}, *rows[1:]])
    assert "| default ¹ | 0." in older and older.count("¹") == 1
    page = load("render").ablation(rows)
    assert page.count("###") == 1 and "### teeth3ds: 1 steps, graphs of 300 faces" in page and text in page


@pytest.mark.parametrize("faces", [None, 4000])
def test_every_variant_is_a_configuration(load, faces: int | None) -> None:
    from argparse import Namespace

    from toothgraph.training.config import check_net

    ablation, options = load("ablation"), Namespace(steps=None, faces=faces, device="cpu")
    default = ablation.configs("default", 0, options)
    slugs = set()
    for name in ablation.VARIANTS:
        pre_config, config = ablation.configs(name, 0, options)
        check_net(config.net)
        assert pre_config.net.widths == config.net.widths and pre_config.net.graph == config.net.graph
        assert (name in ("default", "from scratch")) == ((pre_config, config) == default)
        slugs.add(ablation.slug(name))
    assert len(slugs) == len(ablation.VARIANTS)


def study_rows() -> list[dict]:
    """Scratch at two rates and pre-trained at one, two seeds, two patients of one scan each."""
    rows = []
    for init, lr, base in (("scratch", 1e-3, 0.5), ("scratch", 3e-3, 0.6), ("pretrained", 3e-3, 0.7)):
        for seed in (0, 1):
            values = {"P_upper": base + 0.02 * seed, "Q_upper": base + 0.1}
            rows.append({
                "protocol": "CPU", "dataset": "d", "recipe": "r", "init": init, "fraction": 10, "seed": seed,
                "steps": 5, "lr": lr, "backbone_rate": 1.0, "faces": 300, "patients": 5,
                "curve": {"1": 0.2, "4": 0.4, "5": base},
                "scores": dict.fromkeys(("miou", "miou_matched"), np.mean(list(values.values()))),
                "per_scan": [{"scan_id": name, "miou": value, "miou_matched": value} for name, value in values.items()],
            })  # fmt: skip
    return rows


def test_study_compares_tuned_rates_patient_by_patient(load, tmp_path: Path) -> None:
    render, rows = load("render_study"), study_rows()
    ((key, own),) = render.studies(rows).items()
    assert key == ("CPU", "d", "r", 5, 300) and own == rows
    assert len(render.studies([*rows, rows[0] | {"recipe": "s"}])) == 2
    assert render.has_pair(rows)
    assert not render.has_pair([row | {"fraction": 100} if row["init"] == "scratch" else row for row in rows])
    found = render.cells(rows)
    mean, low, high = render.paired_interval(found["pretrained", 10], found["scratch", 10])
    # Patient P differs by 0.02 between the seeds, which the draws of either side's seeds show.
    assert mean == pytest.approx(0.1) and low == pytest.approx(0.09) and high == pytest.approx(0.11)
    assert "| 10 % | 5 | 0.655 (0.650 to 0.660) | 0.755 (0.750 to 0.760) | +10.0 (+9.0 to +11.0) | 2, 2 |" in (
        render.study_table(rows)
    )
    assert "| from scratch | 10 % | 0.200 | 0.200 | 0.400 | 0.600 |" in render.flatness_table(rows)
    assert [(row["lr"], row["seed"]) for row in found["scratch", 10]] == [(3e-3, 0), (3e-3, 1)]
    assert "from scratch with 10 % (+20.0)" in render.still_rising(rows)
    assert render.still_rising(rows, least=0.5).startswith("None")
    line = "| from scratch | 10 % | 0.001 | 1 | 0.555 (0.550 to 0.560) | 0.555 (0.550 to 0.560) | 2 |  |"
    assert line in render.rates_table(rows) and "0.660) | 2 | yes |" in render.rates_table(rows)
    assert render.better_rates(rows) == ""
    faster = rows[0] | {"lr": 0.1, "scores": dict.fromkeys(rows[0]["scores"], 0.9)}  # one seed does not unseat two
    assert render.better_rates([*rows, faster]).endswith(
        "did better: from scratch with 10 %, 0.900 at a rate of 0.1 (seeds: 1)."
    )
    assert render.verdict(rows).endswith("Reached at 10 % (+10.0). Not compared at 20 %.")
    assert "NOT reached at 10 % (+10.0)." in render.verdict(rows, least=0.2)
    assert render.share_that_suffices(rows) == ""
    all_labels = [row | {"fraction": 100} for row in rows if row["init"] == "scratch"]
    told = render.share_that_suffices([*rows, *all_labels])
    assert "mean: pre-trained, 10 %: +10.0 (+9.0 to +11.0) points of `miou`" in told
    assert "; from scratch, 10 %: +0.0 (-1.0 to +1.0) points" in told
    better = [row | {"fraction": 100} for row in rows if row["init"] == "pretrained"]
    better = [row | {"init": "scratch", "lr": 3e-3} for row in better]
    assert render.share_that_suffices([*rows[:4], *better]).endswith("pre-trained, none; from scratch, none.")
    files = [tmp_path / "curve.png", tmp_path / "curve.svg"]
    render.draw_curve(rows, "title", files)
    before = [file.read_bytes() for file in files]
    render.draw_curve(rows, "title", files)
    assert before == [file.read_bytes() for file in files] and min(map(len, before)) > 5000


def test_verdict_of_an_ablation(load) -> None:
    rows = [
        {"variant": name, "seed": 0, "per_scan": [
            {"scan_id": scan, "miou": base + spread * k, "miou_matched": base + spread * k}
            for k, scan in enumerate(("P_upper", "Q_upper"))
        ]}
        for name, base, spread in (("worse", 0.3, 0.0), ("default", 0.5, 0.0), ("same", 0.4, 0.2), ("better", 0.6, 0.0))
    ]  # fmt: skip
    assert list(load("render_study").by_variant(rows)) == ["default", "better", "same", "worse"]
    assert load("render_study").ablation_verdict(rows) == (
        "Worse: worse. Not told apart from the default: same. Better: better."
    )
    assert load("render_study").ablation_verdict(rows[:1]) == ""


def test_interval_covers_what_patients_vary(load) -> None:
    rows = study_rows()
    for row in rows:
        if row["init"] == "pretrained":
            row["per_scan"][0]["miou"] += 0.1  # 0.2 better for P, 0.1 for Q
        row["per_scan"][0]["miou"] -= 0.02 * row["seed"]  # no seed differs
    found = load("render_study").cells(rows)
    mean, low, high = load("render_study").paired_interval(found["pretrained", 10], found["scratch", 10])
    assert mean == pytest.approx(0.15) and low == pytest.approx(0.1) and high == pytest.approx(0.2)
    one = [row for row in rows if row["seed"] == 0]
    assert load("render_study").study_table(one).count("+15.0 (one seed)") == 1
    with pytest.raises(ValueError, match="different patients"):
        load("render_study").mean_interval([{**rows[0], "per_scan": rows[0]["per_scan"][:1]}], rows[1:2], "miou")
    page = load("render_study").patient_table(rows)
    assert "| P | +20.0 | +10.0 |" in page and "| Q | +10.0 | +10.0 |" in page


def test_scores_of_the_default_weights(load, arches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toothgraph import load_model
    from toothgraph.mesh.synthetic import synthetic_arch

    module, out = load("default_weights"), tmp_path / "steps.json"
    mesh = synthetic_arch(1, jaw=1, faces=2000)
    whole = module.duplicates(mesh, mesh.labels)
    assert whole == 0 == module.duplicates(mesh, np.zeros_like(mesh.labels))
    twice = np.where(mesh.labels == 45, 35, mesh.labels)
    assert module.duplicates(mesh, twice) == 1
    net, drawn = load_model(), []
    for condition in module.CONDITIONS:
        (found,) = module.scored(net, [mesh], condition, drawn, tessellations=1)
        assert found.row["miou"] > 0.3 and found.row["predicted_jaw"] == "lower"
    assert len(drawn) == 1 and drawn[0][1] is mesh
    module.draw_worst(drawn, tmp_path / "worst.png")
    assert (tmp_path / "worst.png").stat().st_size > 5000

    steps = load("prediction_steps")
    monkeypatch.setattr(steps, "STEPS", dict(list(steps.STEPS.items())[:2]))
    own = SimpleNamespace(palette=None, validation=lambda: [arches / "0000_upper.stl"])
    monkeypatch.setattr(module, "iosseg", lambda data: own)
    monkeypatch.setattr(module, "other_scanners", lambda data: {"some": [mesh]})
    monkeypatch.setattr(sys, "argv", ["prediction_steps", str(tmp_path), "--out", str(out)])
    steps.main()
    content = json.loads(out.read_text())
    page = load("render_weights").prediction_steps(content)
    assert "| 3d-iosseg | all steps |" in page and "| some | all steps |" in page and "one tessellation" in page
    assert list(content["sets"]["some"]) == list(steps.STEPS)


def test_tooth_sizes_find_labels_that_count(
    load, arches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toothgraph.mesh.synthetic import synthetic_arch

    module, out = load("tooth_sizes"), tmp_path / "sizes.json"
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
    page = load("render").tooth_sizes(content)
    assert f"In 1 of\n{content['scans']} labelled scans" in page and "| 6/7 |" in page
