from __future__ import annotations

from dataclasses import replace

import pytest

from toothgraph.data import Scan, Split
from toothgraph.data.scan import without_labels
from toothgraph.errors import DataError
from toothgraph.mesh.label_origin import LabelOrigin
from toothgraph.training.sides import labelled_sides, unlabelled_sides

FOUND = LabelOrigin("found", "net")


@pytest.fixture
def four(scan: Scan) -> list[Scan]:
    """Scans of four patients: labels given, corrected, found, and none."""
    kinds = {"a": LabelOrigin("given"), "b": LabelOrigin("corrected", "net"), "c": FOUND}
    labelled = [Scan(f"{name}_upper", scan.variants, label_origin=origin) for name, origin in kinds.items()]
    return [*labelled, without_labels(Scan("d_upper", scan.variants))]


def said(caplog, sides) -> list[str]:
    caplog.set_level("INFO", "toothgraph")
    caplog.clear()
    sides.say()
    return [record.getMessage() for record in caplog.records]


def test_how_many_of_each_kind_is_said(four, caplog):
    sides = labelled_sides(four, Split(("b", "c", "d"), ("a",), {}), 1.0)
    assert said(caplog, sides) == [
        "trains on 2 scans of 2 patients (b, c); labels: 1 corrected, 1 found by net",
        "validates on 1 scan of 1 patient (a); labels: 1 given",
    ]
    assert sides.facts() == {
        "train": ["b_upper", "c_upper"], "val": ["a_upper"],
        "content": {"b_upper": "", "c_upper": "", "a_upper": ""},  # made by hand: nothing is known of their files
        "labels": {"b_upper": "corrected", "c_upper": "found by net", "a_upper": "given"},
    }  # fmt: skip


def test_nobody_validates(four, caplog):
    lines = said(caplog, labelled_sides(four, Split(("b",), (), {}), 1.0))
    assert lines[0].startswith("trains on 1 scan of 1 patient (b); labels: 1 corrected")
    assert lines[1].startswith("validates on no patient") and "--split" in lines[1] and len(lines) == 2


def test_only_found_labels_are_warned_about(four, caplog):
    lines = said(caplog, labelled_sides(four, Split(("c",), (), {}), 1.0))
    assert lines[-1].startswith("a model found all the labels to train on")
    lines = said(caplog, labelled_sides(four, Split(("a",), ("b", "c"), {}), 1.0))
    assert lines[-1].startswith("a model found the labels of 1 of the 2 scans to validate on")


def test_pre_training_says_nothing_of_labels(four, caplog):
    sides = unlabelled_sides(four, Split(("a", "b", "c"), ("d",), {}))
    assert said(caplog, sides) == ["trains on 3 scans of 3 patients (a, b, c)", "validates on 1 scan of 1 patient (d)"]
    assert "labels" not in sides.facts()


def test_a_side_that_is_named_has_scans(four):
    with pytest.raises(DataError, match="labelled scans of the patients to train on, found none"):
        labelled_sides(four, Split(("d",), ("a",), {}), 1.0)
    with pytest.raises(DataError, match="labelled scans of the patients to validate on, found none"):
        labelled_sides(four, Split(("a",), ("d",), {}), 1.0)
    with pytest.raises(DataError, match="scans of the patients to validate on, found none"):
        unlabelled_sides(four, Split(("a",), ("e",), {}))
    with pytest.raises(DataError, match="none of 1 scan has labels"):
        labelled_sides(four[3:], Split(("d",), (), {}), 1.0)


def test_a_scan_is_given_once(four):
    again = [*four, replace(four[0], patient="b")]  # under another patient, it would train and validate
    for sides in (lambda: labelled_sides(again, Split(("b",), ("a",), {}), 1.0),
                  lambda: unlabelled_sides(again, Split(("b",), ("a",), {}))):  # fmt: skip
        with pytest.raises(DataError, match="expected each scan once, found several named a_upper"):
            sides()


def test_many_patients_are_not_all_named(four, caplog):
    scans = [replace(four[0], scan_id=f"p{n}", patient=f"p{n}") for n in range(7)]
    lines = said(caplog, labelled_sides(scans, Split(tuple(scan.patient for scan in scans), (), {}), 1.0))
    assert lines[0] == "trains on 7 scans of 7 patients (p0, p1, p2, p3, p4 and 2 more); labels: 7 given"
