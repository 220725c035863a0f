from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toothgraph.anatomy.doubt import IMPOSSIBLE
from toothgraph.anatomy.number_order import number_faults
from toothgraph.cli.labelled import renew_measures, shown_of, teeth_shown
from toothgraph.io.labels import read_scan
from toothgraph.io.renumber import renumber
from toothgraph.io.write import measures_content, write_labelled
from toothgraph.mesh.mesh import Mesh
from toothgraph.report import page
from toothgraph.report.doubts import doubts_now
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


def test_labels_that_a_person_has_changed_by_hand_are_shown_as_they_are(arch: Mesh, tmp_path: Path) -> None:
    """Whatever file was changed: no confidence of a model for these teeth, and a warning of an impossible order."""
    order = number_faults(arch)
    assert not order
    sure = dict.fromkeys(np.unique(arch.labels[arch.labels > 0]).tolist(), 0.9)
    write_labelled(tmp_path, "a_upper", arch, arch.labels, ("ply", "txt", "json"), confidence=sure, model="net")
    (text,) = tmp_path.glob("*.txt")
    labels = np.loadtxt(text, dtype=int)
    np.savetxt(text, np.select([labels == 14, labels == 15], [15, 14], labels), fmt="%d")
    mesh = read_scan(tmp_path / "a_upper.ply")
    (shown,) = shown_of([mesh], tmp_path / "a_upper.ply")
    known = {row.fdi: row.confidence for row in teeth_shown([shown])}
    assert known[14] is None and known[15] is None and known[13] == pytest.approx(0.9)
    assert [doubt.kind for doubt in shown.doubts] == [IMPOSSIBLE]
    assert "15 and 14 are in the wrong order" in str(shown.doubts[0]) or "14 and 15" in str(shown.doubts[0])
    (tmp_path / "a_upper.txt").unlink()
    (again,) = shown_of([read_scan(tmp_path / "a_upper.ply")], tmp_path / "a_upper.ply")
    assert not again.doubts and again.confidence is not None


def test_a_warning_of_an_order_that_was_put_right_is_gone(arch: Mesh, tmp_path: Path) -> None:
    wrong = arch.with_labels(np.select([arch.labels == 14, arch.labels == 15], [15, 14], arch.labels))
    doubts = doubts_now(wrong, [])
    write_labelled(tmp_path, "a_upper", wrong, wrong.labels, ("ply", "json"), doubts=doubts, model="net")
    (shown,) = shown_of([read_scan(tmp_path / "a_upper.ply")], tmp_path / "a_upper.ply")
    assert list(map(str, shown.doubts)) == list(map(str, doubts)) and len(doubts) == 1  # not twice
    renumber(tmp_path / "a_upper.ply", {14: 15, 15: 14})
    (shown,) = shown_of([read_scan(tmp_path / "a_upper.ply")], tmp_path / "a_upper.ply")
    assert not shown.doubts
