"""The study of teeth that are changed in training: its cases, how they are counted, and the page."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.studies import odd_mouths, odd_teeth
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
