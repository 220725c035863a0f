from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from toothgraph.cli.info import describe, info
from toothgraph.errors import ConfigError


def test_a_run_too_short_for_a_row_of_metrics_ended_at_its_last_step(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"options": {"steps": 2}}))
    (tmp_path / "state.json").write_text(json.dumps({"state": "finished", "step": 2, "reason": ""}))
    (tmp_path / "model.safetensors").touch()
    assert dict(describe(tmp_path))["state"] == "finished, at step 2 of 2"


def test_a_folder_of_predict_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "summary.csv").write_text("scan\n")
    monkeypatch.setattr("toothgraph.cli.info.starting", None)  # before libraries are loaded
    done = CliRunner().invoke(info, [str(tmp_path)])
    assert isinstance(done.exception, ConfigError)
    assert "found labels of `toothgraph predict`" in str(done.exception)
    assert f"{tmp_path / 'summary.csv'}" in str(done.exception)
