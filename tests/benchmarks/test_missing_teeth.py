"""Teeth taken out of labelled scans, and what is said of the numbers of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toothgraph.anatomy.mouth import CLOSED, OPEN, kind_of_mouth
from toothgraph.data import Split
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import synthetic_arch


@pytest.fixture(scope="module")
def arch() -> Mesh:
    return synthetic_arch(3, jaw=0, faces=8000, without=[18, 28])


@pytest.mark.parametrize(
    ("teeth", "gone"), [((-4, 4), {14, 24}), ((6,), {26}), ((-2,), {12}), ((-4, 4, 5), {14, 24, 25})]
)
def test_teeth_taken_out(arch: Mesh, teeth: tuple[int, ...], gone: set[int]) -> None:
    from benchmarks.studies.missing_teeth import without_teeth

    opened, closed = (without_teeth(arch, teeth, shut) for shut in (False, True))
    assert opened is not None and closed is not None
    expected = {*np.unique(arch.labels).tolist()} - gone
    assert {*np.unique(opened.labels).tolist()} == {*np.unique(closed.labels).tolist()} == expected
    assert kind_of_mouth(opened) == OPEN and kind_of_mouth(closed) == CLOSED
    kept = ~np.isin(arch.labels, [*gone])
    np.testing.assert_array_equal(opened.centroids, arch.centroids[kept])
    moved = np.linalg.norm(closed.centroids - arch.centroids[kept], axis=1)
    assert moved[np.isin(closed.labels, [11, 21])].max() < 0.5
    behind = 27 if max(teeth) > 0 else 17
    assert moved[closed.labels == behind].min() > 2
    shape = closed.part(closed.labels == behind), arch.part(arch.labels == behind)
    assert shape[0].areas.sum() == pytest.approx(
        shape[1].areas.sum(), rel=0.2
    )  # a tooth moves as a whole, but for its border


def test_what_is_not_there_cannot_be_taken_out(arch: Mesh) -> None:
    from benchmarks.studies.missing_teeth import without_teeth

    assert without_teeth(arch, (8,), closed=False) is None
    assert without_teeth(arch, (7,), closed=True) is None  # nothing behind it


def test_folds_hold_every_patient_out_once() -> None:
    from benchmarks.studies.cross_validation import folds
    from benchmarks.studies.datasets import Dataset

    split = Split(tuple(f"{n:03d}" for n in range(48)), tuple(f"{n:03d}" for n in range(48, 60)), {})
    found = folds(Dataset("some", Path(), None, split))
    held = [name for fold in found for name in fold.val]
    assert len(found) == 5 and sorted(held) == sorted({*split.train, *split.val}) and len(held) == 60
    assert all(not {*fold.val} & {*fold.train} and len(fold.train) == 48 for fold in found)


def test_scores_and_their_summary(tmp_path: Path) -> None:
    from benchmarks.studies.missing_teeth import reliability, scored, summary

    truth = np.repeat([0, 11, 12, 14], 10)
    np.save(tmp_path / "truth.npy", truth)
    np.save(tmp_path / "x_upper.npy", np.repeat([0, 11, 12, 15], 10))
    scan = {"scan": "x", "patient": "p", "kind": "complete", "teeth": [], "jaw": 0, "file": "x_upper.stl",
            "labels": str(tmp_path / "truth.npy")}  # fmt: skip
    sure = {"11": 0.995, "12": 0.97, "15": 0.6}
    rows = [
        scored(scan, {"doubts": ["a"], "changes": [[15, 14]], "odds": 2.0, "sure": sure}, tmp_path),
        scored(scan | {"patient": "q"}, {"doubts": [], "changes": [[15, 14]], "odds": 100.0, "sure": sure}, tmp_path),
    ]
    assert [(row["found"], row["wrong"], row["unsaid"]) for row in rows] == [(3, [(14, 15)], 0), (3, [(14, 15)], 1)]
    (found,) = summary(rows).values()
    assert found["numbers_right"][0] == pytest.approx(2 / 3, abs=1e-4) and found["teeth"] == 6
    assert found["right_or_said"][0] == pytest.approx(5 / 6, abs=1e-4)
    assert found["scans_wrong"] == 2 and found["miou"] < found["miou_matched"] == 1
    assert found["wrong_with"] == {"doubts": 1, "numbers_doubted": 1} and found["right_with"]["doubts"] == 0
    assert [(row["from"], row["teeth"], row["right"]) for row in reliability(rows)] == [
        (0.5, 2, 0.0),
        (0.95, 2, 1.0),
        (0.99, 2, 1.0),
    ]


def test_where_labels_count_past_a_gap_the_reading_of_the_picture_is_the_truth(tmp_path: Path) -> None:
    from benchmarks.studies.missing_teeth import COUNTED, scored

    np.save(tmp_path / "truth.npy", np.repeat([0, 24, 25, 26], 10))
    np.save(tmp_path / "y_upper.npy", np.repeat([0, 25, 26, 28], 10))
    scan = {"scan": "051_U", "patient": "051", "kind": COUNTED, "teeth": [], "jaw": 0, "file": "y_upper.stl",
            "labels": str(tmp_path / "truth.npy")}  # fmt: skip
    said = {"doubts": [], "changes": [], "odds": None, "sure": {"25": 0.9, "26": 0.9, "28": 0.9}}
    row = scored(scan, said, tmp_path)
    assert row["wrong"] == row["unfit"] == [(26, 28)] and [right for _, right in row["sure"]] == [True, True, False]
    row = scored({**scan, "kind": "complete", "scan": "007_U"}, said, tmp_path)
    assert row["wrong"] == [(24, 25), (25, 26), (26, 28)] == row["unfit"]


def test_readings_are_of_teeth_and_say_why() -> None:
    import json

    from benchmarks.studies import readings

    content = json.loads(Path(readings.__file__).with_suffix(".json").read_text(encoding="utf-8"))["scans"]
    assert all(scan["why"] for scan in content.values())
    for label, fitting in ((int(label), fits) for scan in content.values() for label, fits in scan["numbers"].items()):
        assert fitting == sorted(set(fitting)) and fitting != [label]
        assert {number // 10 for number in fitting} <= {label // 10, {3: 4, 4: 3, 1: 2, 2: 1}[label // 10]}
    assert readings.that_fit_none("051_U", [(24, 25), (24, 24), (11, 11), (11, 12)]) == [(24, 24), (11, 12)]


def test_a_mouth_that_was_stored_twice_is_not_scored_by_a_net_that_saw_it() -> None:
    from benchmarks.studies.missing_teeth import seen_as_twin

    assert seen_as_twin("036_L", ["045", "007"]) and seen_as_twin("045_L", ["036"])
    assert not seen_as_twin("036_U", ["045"]) and not seen_as_twin("071_L", ["045"])


def test_picture_of_wrong_numbers(arch: Mesh, tmp_path: Path) -> None:
    from benchmarks.studies.datasets import Dataset
    from benchmarks.studies.wrong_numbers import panels
    from toothgraph.io.formats.stl import write_stl

    scans, labels = tmp_path / "scans", tmp_path / "labels"
    scans.mkdir()
    labels.mkdir()
    write_stl(scans / "007_U.stl", arch.vertices, arch.faces)
    np.savetxt(scans / "007_U.txt", arch.labels, fmt="%d")
    np.save(labels / "007_U_upper.npy", arch.labels)
    row = {"scan": "007_U", "wrong": [[14, 15], [15, 16], [16, 17], [17, 18]]}
    (before, mesh, _), (after, _, found) = panels(
        row, Dataset("some", scans, None, Split(("1",), ("007",), {})), labels
    )
    assert before == "007_U: labels" and after == "14 → 15, 15 → 16, 16 → 17 …"
    assert found is not None and len(found) == len(mesh.faces)
