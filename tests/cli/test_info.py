from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from toothgraph.cli.info import describe, info
from toothgraph.cli.terminal import fitting
from toothgraph.errors import ConfigError


def test_a_run_too_short_for_a_row_of_metrics_ended_at_its_last_step(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"options": {"steps": 2}}))
    (tmp_path / "state.json").write_text(json.dumps({"state": "finished", "step": 2, "reason": ""}))
    (tmp_path / "model.safetensors").touch()
    assert dict(describe(tmp_path))["state"] == "finished, at step 2 of 2"


def test_a_run_that_ended_is_described_without_torch(tmp_path: Path) -> None:
    """Loading torch takes seconds, which who watches a training would wait each time."""
    (tmp_path / "config.json").write_text(json.dumps({"options": {"steps": 2}}))
    (tmp_path / "metrics.csv").write_text("step,seconds,train_loss\n2,3.0,0.5\n")
    (tmp_path / "model.safetensors").touch()
    script = (
        "import sys; from pathlib import Path; from toothgraph.cli.info import describer; run = Path(sys.argv[1])\n"
        "print(dict(describer(run)(run))['train_loss'], [name for name in ('torch', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "0.5 (step 2) []\n"


def test_a_folder_of_predict_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "summary.csv").write_text("scan\n")
    monkeypatch.setattr("toothgraph.cli.info.starting", None)  # before libraries are loaded
    done = CliRunner().invoke(info, [str(tmp_path)])
    assert isinstance(done.exception, ConfigError)
    assert "found labels of `toothgraph predict`" in str(done.exception)
    assert f"{tmp_path / 'summary.csv'}" in str(done.exception)


def test_a_model_is_described_wherever_it_stands(command, segmenter: Path, tmp_path: Path) -> None:
    done, whole = command("info", "default"), command("info", "default", "--json")
    digest = json.loads(whole.out)["sha256"]
    assert done.code == whole.code == 0 and "Not a medical device" in done.out and "trained on" in done.out
    assert len(digest) == 64 and digest in done.out
    assert fitting(f"sha256 {digest}", 80) == f"sha256 {digest[:12]}"  # 64 digits do not fit a line
    assert fitting(f"sha256 {digest}", 120) == fitting(f"sha256 {digest}", None) == f"sha256 {digest}"
    file = segmenter / "model.safetensors"
    done = command("info", file)
    assert done.code == 0 and f"{file}\n" in done.out and "segmentation" in done.out
    (tmp_path / "default").mkdir()
    done = command("info", tmp_path / "default")
    assert done.code == 1 and "config.json" in done.err
    assert "found another file" in command("info", Path(__file__)).err
