"""The shapes that a study makes of a scan are what they are called."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.pages.field import field_section
from benchmarks.studies import field, shapes
from benchmarks.studies.field import RESULT
from toothgraph.anatomy.frame import open_direction
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import border_edges, label_pieces
from toothgraph.synthetic import synthetic_arch


@pytest.fixture(scope="module")
def scan() -> Mesh:
    return synthetic_arch(2, jaw=1, faces=4000)


@pytest.mark.parametrize("kind", [name for name in field.MADE if "solid model" in name or "shell" in name])
def test_models_and_shells_are_closed_and_keep_their_teeth(scan: Mesh, kind: str) -> None:
    made = field.MADE[kind](scan)
    holes = 10 if kind.startswith("solid model") and "U" not in kind else 0  # the lid closes the outer border only
    assert len(border_edges(made.faces)) <= holes and open_direction(made) is None
    assert shapes.teeth_of(made) == shapes.teeth_of(scan)


def test_parts_have_the_teeth_that_they_are_called_after(scan: Mesh) -> None:
    assert shapes.teeth_of(field.MADE["quadrant"](scan)) == field.side_of(scan, True, 1, 8)
    assert shapes.teeth_of(field.MADE["back teeth of the other side"](scan)) == [34, 35, 36, 37]
    assert shapes.teeth_of(field.MADE["front teeth"](scan)) == [31, 32, 33, 41, 42, 43]


def test_half_of_the_last_molar_is_left(scan: Mesh) -> None:
    last = field.side_of(scan, True, 1, 8)[-1]
    made = field.MADE["last molar cut off"](scan)
    left = made.areas[made.labels == last].sum() / scan.areas[scan.labels == last].sum()
    assert left == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("closed", [False, True])
def test_crowns_alone_are_a_piece_each(scan: Mesh, closed: bool) -> None:
    made = shapes.crowns_alone(scan, closed)
    piece = label_pieces(np.zeros(len(made.faces), dtype=int), made.adjacency)
    assert piece.max() + 1 == len(shapes.teeth_of(scan))
    assert (len(border_edges(made.faces)) == 0) == closed


def test_page_counts_what_was_right_and_names_what_was_not() -> None:
    row = {
        "kind": "front teeth", "name": "a_lower", "made": True, "jaw": "lower", "found_jaw": "lower", "doubts": [],
        "seconds": 1.0, "teeth": [41, 42], "found": [41, 42], "miou": 0.9, "miou_matched": 0.9,
    }  # fmt: skip
    wrong = row | {"name": "b_lower", "found": [41, 43], "found_jaw": "upper", "miou": 0.5}
    facts = json.loads(RESULT.with_name("doubts.json").read_text())["facts"]
    page = field_section({"rows": [row, wrong], "facts": facts})
    assert "| front teeth | made | 2 | 1 of 2 | 1 of 2 | 0.700 | 0.900 | 0 of 2 | 1.0 |" in page
    assert "`b_lower`: missing 42; not there 43. It says: no warning about numbers." in page and "`a_lower`" not in page
