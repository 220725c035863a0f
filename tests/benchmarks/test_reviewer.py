"""The simulated reviewer: what it finds wrong, and that it puts it right with few steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pages.review import review_times as times_section
from benchmarks.pages.review import reviewer as section
from benchmarks.studies import review_times, reviewer
from benchmarks.studies.simulated_reviewer import SECONDS, overlap, painting, review, wrong_teeth
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import SegmentationNet
from toothgraph.model.file import save_model
from toothgraph.review.surface import Surface
from toothgraph.synthetic import Variation, synthetic_arch


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return synthetic_arch(3, jaw=1, faces=6000, variation=Variation.none())


def test_what_is_wrong(mesh: Mesh) -> None:
    truth = mesh.labels
    assert wrong_teeth(mesh, truth, truth) == []
    labels = np.where(truth == 36, 38, truth)
    assert wrong_teeth(mesh, truth, labels) == [36, 38]
    unknown = np.where(truth == 36, -1, truth)
    assert wrong_teeth(mesh, unknown, labels) == []  # of what nobody knows, nothing is wrong
    assert overlap(mesh, truth == 36, truth == 37) == 0 and overlap(mesh, truth == 99, truth == 99) == 1


@pytest.mark.parametrize(
    ("before", "kinds"),
    [
        ({36: 38}, ["renumber"]),
        ({36: 37, 37: 36}, ["swap"]),
        ({35: 36, 36: 37, 37: 38}, ["shift"]),
        ({37: 36}, ["split"]),
        ({37: 0}, ["new"]),
        ({36: 38, 45: 0}, ["renumber", "new"]),
    ],
)
def test_the_cheapest_steps_are_taken(mesh: Mesh, before: dict[int, int], kinds: list[str]) -> None:
    labels = mesh.labels.copy()
    for tooth, number in before.items():
        labels[mesh.labels == tooth] = number
    after, done = review(Surface(mesh), mesh.labels, labels)
    assert wrong_teeth(mesh, mesh.labels, after) == []
    taken = [each.kind for each in done]
    assert sorted(kind for kind in taken if kind not in ("paint", "border")) == sorted(kinds)
    assert sum(each.seconds for each in done) >= sum(SECONDS[kind] for kind in kinds)


def test_gum_that_is_labelled_and_ragged_borders(mesh: Mesh) -> None:
    labels = mesh.labels.copy()
    gum = np.flatnonzero(labels == 0)
    labels[gum[np.linalg.norm(mesh.centroids[gum] - mesh.centroids[gum[0]], axis=1) < 6]] = 38
    after, done = review(Surface(mesh), mesh.labels, labels)
    assert [each.kind for each in done] == ["gingiva"] and wrong_teeth(mesh, mesh.labels, after) == []
    half = (labels == 46) & (mesh.centroids[:, 0] > np.median(mesh.centroids[labels == 46, 0]))
    after, done = review(Surface(mesh), mesh.labels, np.where(half, 0, mesh.labels))
    assert wrong_teeth(mesh, mesh.labels, after) == [] and {each.kind for each in done} <= {"paint", "border"}
    assert len(painting(mesh, mesh.labels)) == 14


@pytest.mark.slow
def test_the_study_runs_and_is_rendered(tmp_path: Path) -> None:
    reviewer.main(["--quick", "--out", str(tmp_path / "reviewer.json")])
    content = json.loads((tmp_path / "reviewer.json").read_text())
    assert {row["start"] for row in content["rows"]} == set(reviewer.STARTS)
    page = section(content)
    assert "| labels of the net in the package |" in page and "renumber 3.6" in page
    assert "| one click a tooth, and the net in the package |" in page and "| the brush alone |" in page


def test_a_net_of_few_patients_is_named_by_them(net: SegmentationNet, tmp_path: Path) -> None:
    for train, name in (
        (["001_L", "001_U"], "of 1 labelled patient (001)"),
        (["2_L", "1_U"], "of 2 labelled patients (1, 2)"),
    ):
        save_model(tmp_path / "model.safetensors", net, {"train": train})
        assert list(reviewer.nets_of(tmp_path)) == [reviewer.PACKAGE, name]


def test_times_are_measured_and_rendered(tmp_path: Path) -> None:
    review_times.main(["--quick", "--out", str(tmp_path / "times.json")])
    content = json.loads((tmp_path / "times.json").read_text())
    (row,) = content["rows"]
    assert set(row["answers"]) == {"renumber", "paint", "split", "new", "border", "clicks"}
    assert all(min(seconds.values()) > 0 for seconds in row["answers"].values()) and row["prepare"] > 0
    page = times_section(content)
    assert "| renumber |" in page and "faces |" in page and ", then 0" in page
