"""What a review begins with: labels of a file, of `predict`, or of the net."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from toothgraph.anatomy.doubt import IMPOSSIBLE, UNSURE, Doubt
from toothgraph.anatomy.jaw_parts import shows_both_jaws
from toothgraph.io.renumber import renumber
from toothgraph.io.write import write_labelled
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import SegmentationNet, load_model
from toothgraph.review.begin import begin, read_for_review
from toothgraph.synthetic import synthetic_arch

REVIEW = Doubt.of(UNSURE, "review ", [16], ": below 70% confidence")
READING = {"unit": "mm", "palette": None, "jaw": None, "label_system": "auto"}


def no_net() -> SegmentationNet:
    raise AssertionError("no net is needed")


def test_labels_of_the_scan_itself(arch: Mesh, tmp_path: Path) -> None:
    (scan,) = write_labelled(tmp_path, "one_U", arch, arch.labels, ("vtp",))
    mesh = read_for_review(scan, "other", READING)
    start = begin(mesh, no_net, False)
    assert mesh.scan_id == "other" and start.confidence is None and start.sure is None and start.model == ""
    np.testing.assert_array_equal(start.labels, arch.labels)
    assert (start.jaw, start.inside_out, start.doubts) == (0, False, [])
    assert base64.b64decode(start.picture)[8:12] == b"WEBP"


def test_labels_that_predict_has_written(arch: Mesh, tmp_path: Path) -> None:
    sure = {16: 0.6, 11: 0.9}
    write_labelled(tmp_path, "one_U", arch, arch.labels, ("ply", "json"), sure, [REVIEW], model="a model")
    start = begin(read_for_review(tmp_path / "one_U.ply", "one_U", READING), no_net, False)
    assert start.doubts == [REVIEW] and start.model == "a model" and start.teeth == sure
    assert start.confidence is not None and start.sure is not None and 0.6 < start.sure < 1
    assert set(start.confidence[start.labels == 16]) == {0.6}


@pytest.mark.parametrize("labelled", [True, False])
def test_labels_of_the_net(arch: Mesh, net: SegmentationNet, labelled: bool) -> None:
    start = begin(arch if labelled else arch.with_labels(None), lambda: net, labelled)
    assert start.confidence is not None and len(start.labels) == len(arch.faces)
    assert start.jaw in (0, 1, -1)


@pytest.mark.parametrize("inside_out", [False, True])
def test_a_file_with_both_jaws_is_labelled_jaw_by_jaw(inside_out: bool) -> None:
    """As `predict` does it, also where all faces are wound inside out."""
    lower, upper = synthetic_arch(7, jaw=1, faces=6000), synthetic_arch(6, jaw=0, faces=6000)
    beside = upper.vertices + np.array([0, 0, np.ptp(lower.vertices[:, 2]) + 10])
    faces = np.concatenate([lower.faces, upper.faces + len(lower.vertices)])
    both = Mesh(np.concatenate([lower.vertices, beside]), faces, scan_id="occlusion")
    start = begin(both.inside_out() if inside_out else both, load_model, False)
    truth = np.concatenate([lower.labels, upper.labels])
    assert start.inside_out is inside_out and shows_both_jaws(start.labels)
    assert (start.labels == truth)[truth > 0].mean() > 0.75  # the borders of synthetic teeth are not those of real ones
    assert {tooth // 10 for tooth in start.teeth} == {1, 2, 3, 4}


def test_a_scan_that_is_inside_out_is_shown_the_right_way(arch: Mesh) -> None:
    start = begin(arch.inside_out(), no_net, False)
    assert start.inside_out


def test_labels_that_are_in_the_folder_of_the_review(arch: Mesh, tmp_path: Path) -> None:
    """`predict` has written them there, and `renumber` has corrected them: the scan itself has others, or none."""
    scan = write_labelled(tmp_path / "scans", "one_U", arch, np.zeros_like(arch.labels), ("vtp",))[0]
    folder, sure = tmp_path / "labels", {16: 0.6, 11: 0.9}
    write_labelled(
        folder,
        "one_U",
        arch,
        arch.labels,
        ("ply", "txt", "json"),
        sure,
        [REVIEW],
        model="a model",
    )
    found = begin(read_for_review(scan, "one_U", READING), no_net, True, folder)
    assert found.source == f"found by a model, in {folder}" and found.doubts == [REVIEW]
    np.testing.assert_array_equal(found.labels, arch.labels)
    renumber(folder / "one_U.ply", {16: 15, 15: 16})
    start = begin(read_for_review(scan, "one_U", READING), no_net, True, folder)
    assert start.source == f"corrected, in {folder}" and start.model == "a model"
    assert [doubt.kind for doubt in start.doubts] == [IMPOSSIBLE]  # of the two that were exchanged
    np.testing.assert_array_equal(start.labels == 15, arch.labels == 16)
    assert 16 not in start.teeth and start.teeth[11] == 0.9
    other = begin(read_for_review(scan, "two_U", READING), no_net, False, folder)
    assert other.source == "given, in the folder of the scan" and not other.labels.any()
    (folder / "one_U.ply").unlink()
    np.testing.assert_array_equal(begin(read_for_review(scan, "one_U", READING), no_net, True, folder).labels,
                                  start.labels)  # fmt: skip
