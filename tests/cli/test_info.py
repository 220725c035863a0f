from __future__ import annotations

import json
from pathlib import Path

from toothgraph.cli.info import describe


def test_a_run_too_short_for_a_row_of_metrics_ended_at_its_last_step(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"options": {"steps": 2}}))
    (tmp_path / "state.json").write_text(json.dumps({"state": "finished", "step": 2, "reason": ""}))
    (tmp_path / "model.safetensors").touch()
    assert dict(describe(tmp_path))["state"] == "finished, at step 2 of 2"
