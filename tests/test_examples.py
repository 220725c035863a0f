"""The examples run, with smaller sizes, and do what they show."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

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


def test_import_toothgraph_alone_is_light() -> None:
    code = (
        "import sys, toothgraph; assert 'torch' not in sys.modules; assert toothgraph.Mesh.__name__ == 'Mesh';"
        "assert len(toothgraph.__all__) > 20 and {*toothgraph.__all__} == {*dir(toothgraph)};"
        "[getattr(toothgraph, name) for name in toothgraph.__all__]; assert not hasattr(toothgraph, 'nonsense')"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
