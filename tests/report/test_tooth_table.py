"""The table of the teeth found in a scan."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from toothgraph.mesh.mesh import Mesh
from toothgraph.report.tooth_table import tooth_table, write_table


def test_table_of_teeth(arch: Mesh, tmp_path: Path) -> None:
    confidence = np.where(arch.labels > 0, 0.8, 0.5)
    rows = tooth_table(arch, arch.labels, confidence)
    assert rows[0].fdi == 0 and rows[0].width is None and rows[0].confidence == pytest.approx(0.5)
    teeth = [row.fdi for row in rows[1:]]
    assert set(teeth) == set(np.unique(arch.labels[arch.labels > 0]).tolist())
    assert teeth.index(12) < teeth.index(11) < teeth.index(21) < teeth.index(22)
    assert sum(row.area for row in rows) == pytest.approx(arch.areas.sum())
    assert sum(row.faces for row in rows) == len(arch.faces)
    widths = {row.fdi: row.width for row in rows[1:]}
    assert all(4 < width < 13 for width in widths.values())  # what real teeth measure
    assert widths[16] > widths[15] and widths[11] > widths[12]
    write_table(tmp_path / "a.csv", rows)
    with (tmp_path / "a.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [int(row["fdi"]) for row in written] == [row.fdi for row in rows]
    assert written[0]["width_mm"] == "" and float(written[1]["area_mm2"]) == pytest.approx(rows[1].area, abs=0.01)


def test_table_of_one_tooth_and_of_none(arch: Mesh) -> None:
    one = np.where(arch.labels == 11, 11, 0)
    assert [(row.fdi, row.width) for row in tooth_table(arch, one)] == [(0, None), (11, None)]
    assert [row.fdi for row in tooth_table(arch, np.zeros_like(one))] == [0]


def test_a_confidence_that_is_not_known_everywhere_is_none(arch):
    sure = np.where(arch.labels > 0, 0.5, np.nan)
    sure[np.flatnonzero(arch.labels == 0)[:5]] = 1.0  # a person has said so
    assert {row.fdi: row.confidence for row in tooth_table(arch, arch.labels, sure) if row.fdi in (0, 16)} == {
        0: None, 16: pytest.approx(0.5),
    }  # fmt: skip
