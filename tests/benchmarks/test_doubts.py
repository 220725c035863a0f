"""The study of warnings: its cases, how they are counted, and the page; on real files where they are at hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.pages.doubts import doubts_section, said, shares
from benchmarks.studies import odd_mouths
from benchmarks.studies.doubts import COUNTED, ORDINARY, RESULT, Case, flagged, is_right, refusal
from toothgraph import segment
from toothgraph.io.formats.stl import write_stl
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import Variation, synthetic_arch


@pytest.fixture(scope="module")
def arch() -> Mesh:
    return odd_mouths.upright(synthetic_arch(3, jaw=0, faces=6000, variation=Variation.none()))


@pytest.mark.parametrize("kind", odd_mouths.KINDS)
def test_every_kind_changes_the_scan(arch: Mesh, kind: str) -> None:
    make = odd_mouths.KINDS[kind][1]
    first, again = (make(arch, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first.vertices, again.vertices)
    same = first.vertices.shape == arch.vertices.shape and np.allclose(first.vertices, arch.vertices)
    assert np.isfinite(first.vertices).all() and not same
    posed = odd_mouths.turned_somehow(first, np.random.default_rng(2))
    assert posed.labels is None and len(posed.faces) == len(first.faces)


def test_a_file_in_another_unit_is_refused(arch: Mesh) -> None:
    def case(make: Any) -> Case:
        return Case("set-unit-1", COUNTED, "unit", False, make)

    refused = refusal(case(lambda: odd_mouths.wrong_unit(arch, np.random.default_rng(0))))
    assert refused.startswith("scan.stl: ") and "try --unit" in refused
    assert refusal(case(lambda: arch)) == ""
    row = flagged(case(lambda: odd_mouths.wrong_unit(arch, np.random.default_rng(0))), None)
    assert row["kind"] == "unit" and len(row["doubts"]) == 1


def test_the_page_says_what_the_rows_say() -> None:
    rows = [
        {"name": f"told-stump-{n}", "side": COUNTED, "kind": "stump", "real": False, "doubts": doubts}
        for n, doubts in enumerate([["26: low, narrow, prepared for a crown"], ["36: low, narrow", "review 36"], []])
    ] + [{"name": f"told-ordinary-{n}", "side": COUNTED, "kind": ORDINARY, "real": True, "doubts": doubts}
         for n, doubts in enumerate([[], ["review 18"]])]  # fmt: skip
    for right, doubts in ((True, []), (True, ["is closed"]), (False, ["is closed"])):
        rows.append({**rows[0], "name": "told-shell", "kind": "shell", "right": right, "doubts": doubts})
    assert shares(rows, "stump", COUNTED, False) == "2 of 3" and shares(rows, "stump", COUNTED, True) == "–"
    assert said(rows, "stump") == "26: low, narrow, prepared for a crown"
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    kinds = {"stump": "a prepared tooth", "shell": "a shell"}
    page = " ".join(doubts_section({"rows": rows, "kinds": kinds, "facts": content["facts"]}).split())
    assert "Of 4 scans with something wrong, 3 get a warning" in page and "Of 2 ordinary scans, 1 gets one" in page
    assert "of 2 closed models and shells with every tooth right, 1." in page and "| a shell | – | 1 of 1 |" in page
    assert (
        "| a prepared tooth | – | 2 of 3 | – | 1 of 3 | 26: low, narrow, prepared for a crown |" in page
        and "- `1`: review 18" in page
    )


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("mixed-dentition_upper.ply", "15, 13, 23, 25 look like milk teeth"),
        ("scan-body-for-46_lower.stl", "46: a smooth post"),
        ("prepared-molar_lower.stl", "review"),
    ],
)
def test_real_files_are_flagged(data_dir: Path, file: str, wanted: str) -> None:
    path = data_dir / "field" / "shapes" / file
    if not path.is_file():
        pytest.skip("needs the set `field`")
    found = segment(path)
    assert any(wanted in doubt for doubt in found.doubts), found.doubts
    if "scan-body" in file:
        assert next(row.confidence for row in found.teeth if row.fdi == 46) <= 0.401


def test_a_real_model_with_every_tooth_right_is_not_flagged(data_dir: Path) -> None:
    path = data_dir / "field" / "shapes" / "closed-u-model_lower.stl"
    if not path.is_file():
        pytest.skip("needs the set `field`")
    assert segment(path).doubts == []


def test_labels_are_right_if_the_teeth_are_those_of_the_scan(arch: Mesh, tmp_path: Path) -> None:
    scan = tmp_path / "scan.stl"
    write_stl(scan, arch.vertices, arch.faces)
    scan.with_suffix(".txt").write_text("\n".join(map(str, arch.labels.tolist())))
    found = segment(scan)
    named = replace(found, prediction=replace(found.prediction, labels=arch.labels))
    assert is_right(named, scan, None)
    wrong = np.where(arch.labels == 14, 15, arch.labels)
    assert not is_right(replace(found, prediction=replace(found.prediction, labels=wrong)), scan, None)
