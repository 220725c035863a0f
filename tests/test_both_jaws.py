from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

import toothgraph as tg
from benchmarks.studies import odd_mouths
from toothgraph import both_jaws
from toothgraph.evaluation import score_file, score_other
from toothgraph.inference.options import PredictOptions
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.label_record import read_record
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.io.predictions import Predictions
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import synthetic_arch

ONCE = PredictOptions(tessellations=1)


@pytest.fixture(scope="module")
def jaws() -> tuple[Mesh, Mesh]:
    """A lower and an upper jaw; the net knows these well."""
    return synthetic_arch(7, jaw=1, faces=6000), synthetic_arch(6, jaw=0, faces=6000)


def in_bite(lower: Mesh, upper: Mesh) -> Mesh:
    """The upper jaw upside down on the lower one."""
    over = upper.vertices * [1, -1, -1]
    over[:, 1] += lower.vertices[:, 1].max() - over[:, 1].min()
    return replace(upper, vertices=over)


def beside(lower: Mesh, upper: Mesh) -> Mesh:
    """As if laid on a table side by side."""
    return replace(upper, vertices=upper.vertices + np.array([0, 0, np.ptp(lower.vertices[:, 2]) + 10]))


def joined(*meshes: Mesh, seed: int | None = None) -> Mesh:
    start = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = np.concatenate([mesh.faces + first for mesh, first in zip(meshes, start, strict=False)])
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    if seed is not None:
        vertices = vertices @ Rotation.random(random_state=seed).as_matrix().T
    labels = np.concatenate([mesh.labels for mesh in meshes])
    return Mesh(vertices, faces, labels=labels, scan_id="occlusion")


def bridged(mesh: Mesh, first: int, count: int) -> Mesh:
    """The first surface of a mesh, of ``first`` faces, joined to the other by faces where molars are nearest."""
    far, near = cKDTree(mesh.centroids[first:]).query(mesh.centroids[:first])
    best = np.argsort(np.where(mesh.labels[:first] % 10 >= 6, far, np.inf))[:count]
    (a, b, _), (x, y, _) = mesh.faces[best].T, mesh.faces[first + near[best]].T
    faces = np.concatenate([mesh.faces, np.stack([a, b, x], axis=1), np.stack([b, x, y], axis=1)])
    return Mesh(mesh.vertices, faces, scan_id=mesh.scan_id)


def right_share(labels: np.ndarray, truth: np.ndarray) -> float:
    teeth = (truth > 0) | (labels > 0)
    return float((labels == truth)[teeth].mean())


@pytest.fixture(scope="module")
def bite(jaws: tuple[Mesh, Mesh]) -> tuple[Mesh, tg.Segmentation | tg.JawPair]:
    """Both jaws in their bite, turned somehow, and what is found in them."""
    lower, upper = jaws
    both = joined(lower, in_bite(lower, upper), seed=3)
    return both, tg.segment_file(both, options=ONCE)


def test_both_jaws_in_one_file_are_labelled_each_for_itself(
    jaws: tuple[Mesh, Mesh], bite: tuple[Mesh, tg.Segmentation | tg.JawPair]
) -> None:
    lower, upper = jaws
    both, found = bite
    assert isinstance(found, tg.JawPair) and found.jaw_name == "both"
    assert right_share(found.labels, both.labels) > 0.6
    assert found.confidence.shape == found.labels.shape and set(found.face_instances) == set(
        range(len(set(found.labels) - {0}) + 1)
    )
    np.testing.assert_array_equal(found.jaw_of_face, np.repeat([1, 0], [len(lower.faces), len(upper.faces)]))
    assert found.doubts[0].startswith("both jaws are in this file") and found.strong_doubts == []
    assert not any("two surfaces" in doubt for doubt in found.doubts)


def test_jaws_that_lie_side_by_side(jaws: tuple[Mesh, Mesh]) -> None:
    lower, upper = jaws
    both = joined(lower, beside(lower, upper), seed=5)
    found = tg.segment_file(both, options=ONCE)
    assert isinstance(found, tg.JawPair) and right_share(found.labels, both.labels) > 0.6


def test_jaws_that_are_joined_where_they_touch_are_parted(jaws: tuple[Mesh, Mesh]) -> None:
    lower, upper = jaws
    both = joined(lower, in_bite(lower, upper), seed=3)
    found = tg.segment_file(bridged(both, len(lower.faces), 3), options=ONCE)
    assert isinstance(found, tg.JawPair) and right_share(found.labels[: len(both.faces)], both.labels) > 0.6
    assert found.doubts[1].startswith("both jaws were one surface; they were separated where they touch, along")
    assert found.strong_doubts == [] and str(found.page_scans()[0].doubts[1]) == found.doubts[1]


def test_jaws_that_are_joined_all_over_are_told(jaws: tuple[Mesh, Mesh]) -> None:
    lower, upper = jaws
    both = joined(lower, in_bite(lower, upper), seed=3)
    found = tg.segment_file(bridged(both, len(lower.faces), 600), options=ONCE)
    assert isinstance(found, tg.Segmentation)
    assert found.strong_doubts[0].startswith("this looks like both jaws in a bite, joined where they touch")
    assert found.doubts[0] == found.strong_doubts[0]
    assert not any("is closed" in doubt for doubt in found.doubts)


@pytest.mark.parametrize("patient", ["011", "024"])
def test_scans_of_a_patient_that_are_joined_in_their_bite(data_dir: Path, patient: str) -> None:
    palette = load_palette(f"{data_dir / 'palettes.json'}:3d-iosseg")
    upper, lower = (odd_mouths.upright(read_scan(data_dir / "3d-iosseg" / f"{patient}_{jaw}.ply", palette=palette))
                    for jaw in "UL")  # fmt: skip
    over = in_bite(lower, upper)
    over = replace(
        over, vertices=over.vertices + (lower.vertices.mean(axis=0) - over.vertices.mean(axis=0)) * [1, 0, 1]
    )
    both = joined(lower, over, seed=4)
    found = tg.segment_file(bridged(both, len(lower.faces), 5))
    assert isinstance(found, tg.JawPair) and right_share(found.labels[: len(both.faces)], both.labels) > 0.9


def test_each_jaw_is_a_scan_of_its_own(jaws: tuple[Mesh, Mesh], tmp_path: Path) -> None:
    lower, upper = jaws
    both = joined(lower, in_bite(lower, upper))
    write_stl(tmp_path / "occlusion.stl", both.vertices / 10, both.faces)  # in cm
    found = tg.segment_jaws(tg.read_mesh(tmp_path / "occlusion.stl", unit="cm"), options=ONCE)
    assert [(one.mesh.scan_id, one.mesh.jaw) for one in found] == [("occlusion_upper", 0), ("occlusion_lower", 1)]
    for one, jaw in zip(found, (in_bite(lower, upper), lower), strict=True):
        np.testing.assert_allclose(one.mesh.centroids, jaw.centroids, atol=1e-4)
        written = one.write(tmp_path / "out", formats=["ply"])[0]
        np.testing.assert_allclose(tg.read_mesh(written, unit="cm").centroids, jaw.centroids, atol=1e-4)


def test_both_jaws_are_written_into_the_one_file(
    jaws: tuple[Mesh, Mesh], bite: tuple[Mesh, tg.Segmentation | tg.JawPair], tmp_path: Path
) -> None:
    lower, _ = jaws
    both, found = bite
    ply, txt, content = found.write(tmp_path, "pair")
    np.testing.assert_array_equal(tg.read_scan(ply).labels, found.face_labels)
    np.testing.assert_array_equal(np.loadtxt(txt, dtype=int), found.face_labels)
    content = json.loads(content.read_text())
    assert content["jaw"] == "both" and content["doubts"] == found.doubts
    assert {"upper_arch_length", "lower_arch_length", "bolton_overall"} <= content["measures"].keys()
    assert set(map(int, content["confidence"])) == set(np.unique(found.labels[found.labels > 0]).tolist())
    faces = len(lower.faces)
    assert read_record(ply).jaws == {"upper": [(faces, len(both.faces))], "lower": [(0, faces)]}
    assert found.face_confidence.shape == (len(both.faces),) and found.face_confidence.max() <= 1.001


def test_the_probabilities_of_both_jaws_are_for_the_numbers_of_both(
    bite: tuple[Mesh, tg.Segmentation | tg.JawPair],
) -> None:
    both, found = bite
    assert isinstance(found, tg.JawPair)
    sure, numbers = found.face_probabilities, found.classes
    assert sure.shape == (len(both.faces), len(numbers)) and sure.dtype == np.float32
    np.testing.assert_allclose(sure.sum(axis=1), 1.0, atol=1e-5)
    for jaw, (one, part) in enumerate(zip(found.jaws, found.parts, strict=True)):
        for number, column in zip(one.classes, one.prediction.probabilities.T, strict=True):
            np.testing.assert_array_equal(sure[part, numbers.tolist().index(number)], column)
        others = (numbers // 10 > 2) if jaw == 0 else (numbers > 0) & (numbers // 10 < 3)
        assert not sure[np.ix_(part, np.flatnonzero(others))].any()


def test_a_scan_of_one_jaw_stays_one(jaws: tuple[Mesh, Mesh]) -> None:
    lower, _ = jaws
    found = tg.segment_file(lower, options=ONCE)
    assert found.mesh.scan_id == lower.scan_id
    np.testing.assert_array_equal(found.labels, tg.segment(lower, options=ONCE).prediction.labels)


def test_two_scans_of_one_jaw_are_told_and_not_taken_for_both(jaws: tuple[Mesh, Mesh]) -> None:
    lower, _ = jaws
    found = tg.segment_file(joined(lower, beside(lower, lower)), options=ONCE)
    assert isinstance(found, tg.Segmentation)
    assert found.strong_doubts[0].startswith("the same teeth are found on two surfaces")


def test_two_jaws_that_look_alike_are_told_apart_by_which_looks_more_so(
    jaws: tuple[Mesh, Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    lower, upper = jaws
    real, asked = both_jaws.segment, []

    def as_lower(scan: Mesh, net: Any = None, jaw: int | None = None, options: Any = None) -> tg.Segmentation:
        found = real(scan, net, jaw, options)
        asked.append(jaw)
        if jaw != -1 or found.mesh.jaw == 1:
            return found
        taken = replace(found.prediction, jaw=1, jaw_probability=0.6)  # an upper jaw that the net takes for a lower one
        return replace(found, mesh=replace(found.mesh, jaw=1), prediction=taken)

    monkeypatch.setattr(both_jaws, "segment", as_lower)
    found = both_jaws.segment_jaws(joined(lower, in_bite(lower, upper)), options=ONCE)
    assert [one.mesh.jaw for one in found] == [0, 1] and asked[-1] == 0


def test_one_jaw_twice_that_the_net_does_not_know_cannot_be_trusted(
    jaws: tuple[Mesh, Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    lower, _ = jaws
    real = both_jaws.segment

    def unsure(scan: Mesh, net: Any = None, jaw: int | None = None, options: Any = None) -> tg.Segmentation:
        found = real(scan, net, jaw, options)
        return replace(found, prediction=replace(found.prediction, jaw_probability=0.6))

    monkeypatch.setattr(both_jaws, "segment", unsure)
    found = both_jaws.segment_file(joined(lower, beside(lower, lower)), options=ONCE)
    assert isinstance(found, tg.JawPair)
    (told,) = found.strong_doubts
    assert told.startswith(
        "it is not certain which of the two jaws in this file is the upper one (the model is 50% sure)"
    )
    assert str(found.page_scans()[0].doubts[0]) == told == found.doubts[0]


def test_what_are_no_options() -> None:
    arch = synthetic_arch(7, jaw=1, faces=2000)
    for label in (tg.segment, tg.segment_file, tg.segment_jaws):
        with pytest.raises(tg.ShapeError, match="expected options: a PredictOptions, got dict"):
            label(arch, options={"tessellations": 1})


def test_a_file_with_both_jaws_is_scored_as_a_whole(jaws: tuple[Mesh, Mesh], tmp_path: Path) -> None:
    lower, upper = jaws
    both = joined(lower, in_bite(lower, upper))
    write_stl(tmp_path / "pair.stl", both.vertices, both.faces)
    (tmp_path / "pair.txt").write_text("\n".join(map(str, both.labels.tolist())))
    row = score_file(tg.load_model(), tmp_path / "pair.stl", options=ONCE).row
    assert row["jaw"] == row["predicted_jaw"] == "both" and row["faces"] == len(both.faces)
    assert row["scan_id"] == "pair" and row["miou"] > 0.5


def test_labels_of_another_program_are_scored_jaw_by_jaw_as_well(
    bite: tuple[Mesh, tg.Segmentation | tg.JawPair], tmp_path: Path
) -> None:
    both, _ = bite
    write_stl(tmp_path / "pair.stl", both.vertices, both.faces)  # rounds: another reading may be as likely
    (tmp_path / "pair.txt").write_text("\n".join(map(str, both.labels.tolist())))
    ours = score_file(tg.load_model(), tmp_path / "pair.stl", options=ONCE)
    tg.segment_file(tmp_path / "pair.stl", options=ONCE).write(tmp_path / "found", "pair", formats=["txt"])
    other = score_other(Predictions(tmp_path / "found"), tmp_path / "pair.stl")
    assert {**other.row, "seconds": ours.row["seconds"]} == ours.row
    np.testing.assert_array_equal(other.confusion, ours.confusion)
