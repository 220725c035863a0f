"""The examples run, with smaller sizes, and do what they show. As they stand, they run with the slow tests."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mesh_to_graph_prints_a_connected_graph(capsys: pytest.CaptureFixture[str]) -> None:
    load("01_mesh_to_graph").main(faces=2000)
    out = capsys.readouterr().out
    assert "upper jaw" in out and "pieces 1" in out and "edge_index=[2, " in out
    teeth = [line for line in out.splitlines() if line.startswith("tooth ")]
    assert len(teeth) >= 10 and all(line.endswith("in 1 piece") for line in teeth)


@pytest.mark.slow
def test_your_own_net_learns(capsys: pytest.CaptureFixture[str]) -> None:
    right = load("02_your_own_net").main(steps=40, arches=2)
    assert right > 0.8
    assert "step  40" in capsys.readouterr().out


@pytest.mark.slow
def test_pretrain_and_finetune_scores_a_scan(capsys: pytest.CaptureFixture[str]) -> None:
    scores = load("03_pretrain_and_finetune").main(pretrain_steps=2, finetune_steps=3, patients=3)
    assert set(scores) == {"accuracy", "dice", "miou", "miou_paper", "miou_matched", "boundary_iou"}
    assert all(value is not None and 0 <= value <= 1 for value in scores.values())
    assert "trained 3 steps" in capsys.readouterr().out


@pytest.mark.slow
def test_tooth_or_gum_is_learned_by_the_head(capsys: pytest.CaptureFixture[str]) -> None:
    assert load("04_tooth_or_gum").main(arches=4, epochs=3, faces=600) > 0.75
    assert "2 scans to learn from, 2 to look at" in capsys.readouterr().out


@pytest.mark.slow
def test_landmarks_are_stored_and_found(tmp_path: Path) -> None:
    landmarks = load("05_landmarks")
    assert landmarks.main(arches=4, epochs=1, faces=2000, out=tmp_path / "a.png") < 6.0
    assert yellow(tmp_path / "a.png") > 0.1


def test_embeddings_of_two_patients_are_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("06_embeddings").main(faces=3000, out=tmp_path / "a.png") > 0.6
    assert "tooth 36 is nearest to" in capsys.readouterr().out
    shown = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    assert all((shown.argmax(axis=1) == channel).sum() > 1000 for channel in range(3))


def test_segment_and_export_writes_what_it_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = load("07_segment_and_export").main(out=tmp_path, faces=3000)
    assert [file.suffix for file in files] == [".ply", ".txt", ".json", ".teeth", ".html"]
    assert all(file.exists() for file in files) and len(list(files[3].glob("*.stl"))) > 8
    assert "upper left first molar" in capsys.readouterr().out


def test_an_explanation_stays_near_its_face(tmp_path: Path) -> None:
    weight = load("08_explain").main(faces=1000, steps=10, epochs=5, out=tmp_path / "a.png")
    assert 5 < int((weight > 0).sum()) < 200 and torch.isfinite(weight).all()


@pytest.mark.slow
def test_upper_and_lower_are_measured_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = load("09_upper_and_lower").main(out=tmp_path, faces=3000)
    assert page.stat().st_size > 100_000
    out = capsys.readouterr().out
    assert "0000_upper: upper jaw" in out and "0000_lower: lower jaw" in out and "Bolton ratio, overall: " in out


def yellow(picture: Path) -> float:
    """The share of the pixels that are yellow to red, and not white."""
    red, _, blue = np.asarray(Image.open(picture).convert("RGB"), dtype=int).reshape(-1, 3).T
    return float((red > blue + 20).mean())


def cells() -> list[str]:
    content = json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))
    assert content["nbformat"] == 4 and not any(cell.get("outputs") for cell in content["cells"])
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_the_notebook_runs_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    shown = []
    for cell in cells():
        *body, last = ast.parse(cell).body
        ending = isinstance(last, ast.Expr)
        exec(compile(ast.Module(body if ending else [*body, last], []), "cell", "exec"), names)
        if ending:
            shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
    pictures = [each for each in shown if isinstance(each, Image.Image)]
    for picture in pictures:
        picture.close()
    assert len(pictures) == 2 and float(names["right"]) > 0.6
    assert (tmp_path / "tour" / "page.html").exists()


def test_the_notebook_is_python_and_its_lines_are_short() -> None:
    for cell in cells():
        ast.parse(cell)
        assert all(len(line) <= 120 for line in cell.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["04_tooth_or_gum", "05_landmarks", "06_embeddings", "08_explain"])
def test_as_they_stand(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(name).main()
    worst = {"04_tooth_or_gum": 0.9, "05_landmarks": -2.5, "06_embeddings": 0.7, "08_explain": 0.0}[name]
    assert (-found if name == "05_landmarks" else float(torch.as_tensor(found).max())) > worst


def test_each_example_fits_a_screen() -> None:
    for file in EXAMPLES.glob("0*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 60, file.name


def test_demo_removes_its_own_folder_only(tmp_path: Path) -> None:
    demo = load("demo")
    own, other = tmp_path / "demo", tmp_path / "other"
    demo.fresh_folder(own)
    (own / "scans").mkdir()
    demo.fresh_folder(own)
    assert [file.name for file in own.iterdir()] == [demo.MARKER]
    other.mkdir()
    (other / "thesis.txt").write_text("years")
    with pytest.raises(SystemExit, match="no demo made"):
        demo.fresh_folder(other)
    assert (other / "thesis.txt").read_text() == "years"
    link = tmp_path / "link"
    link.symlink_to(own)
    with pytest.raises(SystemExit, match="not a folder"):
        demo.fresh_folder(link)


def test_demo_stops_at_a_failing_command(capfd: pytest.CaptureFixture[str]) -> None:
    demo = load("demo")
    with pytest.raises(SystemExit, match="failed with exit code 1"):
        demo.toothgraph("synth", "/dev/null/x", "--scans", 1, "--faces", 2000)
    assert "$ toothgraph synth /dev/null/x" in capfd.readouterr().out


FORKS = """
import os, sys, torch_geometric.data, lightning.pytorch
for code in sys.argv[1:]:
    if os.fork() == 0:
        exec("import toothgraph as tg; " + code)
        os._exit(0)
    if os.wait()[1] != 0:
        sys.exit(code)
"""


@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_what_is_asked_for_first_does_not_matter() -> None:
    """Packages are there without an import of their own, and a name is the function, not the module of that name.
    Each is asked for in a process of its own; what the package imports is loaded once for all."""
    names = ["nn.FastEdgeConv", "transforms.RandomRotate", "datasets.ScanFolder", "model.NetConfig", "data.make_split",
             "graph.add_tables", "metrics.score_scan"]  # fmt: skip
    function = "tg.Segmentation; assert callable(tg.segment) and callable(tg.segment_all)"
    code = [*(f"tg.{name}" for name in names), function]
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS, *code], check=True)


def test_import_toothgraph_alone_is_light() -> None:
    code = (
        "import sys, toothgraph; assert 'torch' not in sys.modules; assert toothgraph.Mesh.__name__ == 'Mesh';"
        "assert len(toothgraph.__all__) > 20 and {*toothgraph.__all__} == {*dir(toothgraph)};"
        "[getattr(toothgraph, name) for name in toothgraph.__all__]; assert not hasattr(toothgraph, 'nonsense')"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
