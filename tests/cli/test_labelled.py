from __future__ import annotations

import json
from pathlib import Path

import pytest

from toothgraph.cli.labelled import renew_measures, shown_of
from toothgraph.io.write import measures_content
from toothgraph.mesh.mesh import Mesh
from toothgraph.report import page
from toothgraph.report.folder import PageFolder


def test_an_arch_is_measured_once_for_its_json_and_its_page(
    arch: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, measure_arch = [], page.measure_arch
    monkeypatch.setattr(page, "measure_arch", lambda *given: measured.append(given) or measure_arch(*given))
    (tmp_path / "a_upper.json").write_text('{"labels": [], "measures": {}}')
    shown = shown_of([arch], tmp_path / "a_upper.ply")
    renew_measures(tmp_path / "a_upper.json", shown)
    pages = PageFolder(tmp_path)
    pages.add("a_upper", *shown)
    assert len(measured) == 1
    (entry,) = pages.entries
    assert json.loads((tmp_path / "a_upper.json").read_text())["measures"] == measures_content(entry.measures)
