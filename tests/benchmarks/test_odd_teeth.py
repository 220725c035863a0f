"""The study of teeth that are changed in training: its cases, how they are counted, and the page."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.pages.odd_teeth import odd_teeth as section
from benchmarks.pages.odd_teeth import told
from benchmarks.studies import odd_mouths, odd_teeth
from benchmarks.studies.odd_teeth import RESULT
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import Variation, synthetic_arch
from toothgraph.transforms.warp_teeth import NO_WARPS


@pytest.fixture(scope="module")
def arch() -> Mesh:
    return odd_mouths.upright(synthetic_arch(3, jaw=0, faces=6000, variation=Variation.none()))


@pytest.mark.parametrize("kind", odd_teeth.KINDS)
def test_the_changed_teeth_keep_their_labels_and_are_known(arch: Mesh, kind: str) -> None:
    made = odd_mouths.KINDS[kind][1](arch, np.random.default_rng(1))
    changed = odd_teeth.changed_teeth(arch, made)
    assert made.labels is not None and len(made.labels) == len(made.faces)
    wanted: dict[str, Any] = {"mixed": [15, 25], "brackets": [10 * q + n for q in (1, 2) for n in range(1, 6)]}
    if kind in wanted:
        assert changed == wanted[kind]
    else:
        assert len(changed) == 1 and changed[0] % 10 in (4, 5, 6)
    assert odd_teeth.changed_teeth(arch, arch) == []
    own, before = made.areas[made.labels == changed[0]].sum(), arch.areas[arch.labels == changed[0]].sum()
    assert 0.3 < own / before < 3


def test_found_and_right_are_those_of_the_changed_teeth(arch: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    assert arch.labels is not None
    said = np.where(arch.labels == 15, 14, arch.labels)
    said = np.where(arch.labels == 26, 0, said)
    prediction = SimpleNamespace(labels=np.where(arch.labels == 14, 15, said), jaw=0)
    monkeypatch.setattr(odd_teeth, "segment", lambda *given: SimpleNamespace(prediction=prediction))
    row = odd_teeth.labelled(None, "stump", replace(arch, original=None), [11, 15, 26])
    assert (row["changed"], row["found"], row["right"]) == (3, 2, 1) and row["miou"] < row["miou_matched"] < 1


def test_only_the_changes_of_teeth_differ_between_the_nets() -> None:
    options = SimpleNamespace(quick=False)
    plain, changed = (odd_teeth.config_of(name, 1, options) for name in (odd_teeth.WITHOUT, odd_teeth.WITH))
    assert plain.warps == NO_WARPS != changed.warps and replace(changed, warps=NO_WARPS) == plain


def page_rows() -> list[dict[str, Any]]:
    """Two seeds each; the odd scans of patient P gain 0.2, of Q 0.1, the ordinary ones lose 0.01."""
    facts = json.loads(RESULT.read_text(encoding="utf-8").splitlines()[0])["facts"]
    rows = []
    for seed, (name, gain) in product((0, 1), ((odd_teeth.WITHOUT, 0.0), (odd_teeth.WITH, 1.0))):

        def scan(name: str, miou: float) -> dict[str, Any]:
            return {"scan_id": name, **dict.fromkeys(odd_teeth.SCORES, miou)}

        odd = [{"kind": kind, **scan(f"{who}_U", 0.5 + gain * more), "changed": 2, "found": 1 + int(gain), "right": 1}
               for kind in odd_teeth.KINDS for who, more in (("P", 0.2), ("Q", 0.1))]  # fmt: skip
        rows.append({
            "training": name, "seed": seed, "steps": 5, "faces": 300, "facts": facts, "odd": odd,
            "warps": vars(odd_teeth.WARPS[name]),
            "per_scan": [scan("P_U", 0.9 - 0.01 * gain), scan("Q_L", 0.8 - 0.01 * gain)],
            "field": [{"kind": "file", **scan("stump_lower", 0.25 + 0.5 * gain), "numbers_right": None}],
        })  # fmt: skip
    return rows


def test_the_page_says_what_the_rows_say() -> None:
    page = " ".join(section(page_rows()).split())
    assert "On ordinary scans `miou` changes by -1.0 (-1.0 to -1.0) points, which is a loss" in page
    assert "on odd teeth by +15.0 (+10.0 to +20.0) points, which is a gain" in page
    assert "| all four kinds of odd teeth | 8 | 0.500 | 0.650 | +15.0 (+10.0 to +20.0) |" in page
    assert "| 16 and 16 of 32 | 32 and 16 of 32 |" in page and "20 % of the scans" in page
    assert "| `stump_lower` | 0.250 | 0.750 |" in page and "| 0.000 | 0.000 |" in page
    assert "one seed" not in page and "one seed does not tell" in " ".join(section(page_rows()[:2]).split())
    assert told((0.1, -0.1, 0.3)) == "cannot be told from zero"
