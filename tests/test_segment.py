from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toothgraph as tg
from toothgraph import segmentation
from toothgraph.anatomy.frame import area_vector
from toothgraph.errors import MeshError
from toothgraph.inference.options import PredictOptions
from toothgraph.io.formats.stl import write_stl
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import SegmentationNet
from toothgraph.synthetic import synthetic_arch

ONCE = PredictOptions(tessellations=1)


def test_segment_a_file_and_its_mesh(net: SegmentationNet, arches: Path, tmp_path: Path) -> None:
    file = arches / "0001_lower.stl"
    found = tg.segment(file, net)
    assert found.mesh.jaw == found.prediction.jaw == 1
    assert found.face_labels.shape == found.face_confidence.shape == (len(found.mesh.original.polygons),)
    assert found.vertex_labels.shape == (len(found.mesh.original.vertices),)
    assert {row.fdi for row in found.teeth} == set(np.unique(found.prediction.labels).tolist())
    assert found.face_probabilities.shape == (len(found.face_labels), 17)
    np.testing.assert_allclose(found.face_probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert found.classes.tolist() == [0, *range(31, 39), *range(41, 49)]
    assert ((found.face_confidence >= 0) & (found.face_confidence <= 1)).all()
    plain = tg.segment(file, net, options=PredictOptions(assign_numbers=False))
    column = np.searchsorted(plain.classes, plain.face_labels)
    np.testing.assert_array_equal(
        np.take_along_axis(plain.face_probabilities, column[:, None], axis=1)[:, 0], plain.face_confidence
    )
    gingiva = found.face_labels == 0
    np.testing.assert_array_equal(found.face_confidence[gingiva], found.face_probabilities[gingiva, 0])
    teeth = np.unique(found.face_labels[found.face_labels > 0])
    for number, fdi in enumerate(teeth, start=1):
        np.testing.assert_array_equal(found.face_instances == number, found.face_labels == fdi)
    written = found.write(tmp_path)
    sure = json.loads(written[2].read_text()).get("confidence", {})
    assert {int(fdi): share for fdi, share in sure.items()} == {
        row.fdi: pytest.approx(row.confidence, abs=1e-4) for row in found.teeth if row.fdi > 0
    }
    assert [path.name for path in written] == ["0001_lower.ply", "0001_lower.txt", "0001_lower.json"]
    np.testing.assert_array_equal(np.loadtxt(written[1], dtype=int), found.face_labels)
    again = tg.segment(tg.read_mesh(file), net)
    np.testing.assert_array_equal(again.face_labels, found.face_labels)
    upper = tg.segment(file, net, jaw=0, options=ONCE)
    assert upper.mesh.jaw == 0 and not (upper.face_labels > 30).any()


def test_an_inside_out_scan_is_shown_as_it_should_be_and_written_as_it_is(tmp_path: Path) -> None:
    scan = synthetic_arch(3, jaw=0, faces=5000)
    file = tmp_path / "scan_upper.stl"
    write_stl(file, scan.vertices, scan.faces[:, ::-1])
    found = tg.segment(file, options=ONCE)
    assert "the surface was inside out in the file; it was turned for labelling" in found.doubts
    assert area_vector(found.mesh) @ area_vector(scan) > 0  # both open below
    written = tg.read_mesh(found.write(tmp_path / "out", formats=["ply"])[0])
    np.testing.assert_array_equal(written.faces, tg.read_mesh(file).faces)


def test_an_impossible_order_of_what_was_found_is_a_doubt() -> None:
    mesh = synthetic_arch(3, jaw=0, faces=4000)
    found = tg.segment(mesh, options=ONCE)
    labels = mesh.labels.copy()
    labels[mesh.labels == 14], labels[mesh.labels == 15] = 15, 14
    for numbers, told in ((mesh.labels, False), (labels, True)):
        changed = replace(found, prediction=replace(found.prediction, labels=numbers))
        assert any("14 and 15 are in the wrong order" in doubt for doubt in changed.doubts) == told


@pytest.fixture(scope="module")
def occlusion() -> tuple[Mesh, Mesh, Mesh]:
    """A lower jaw, an upper one upside down on it, and both as one mesh, as scanners save an occlusion."""
    lower, upper = (
        synthetic_arch(7, jaw=1, faces=6000),
        synthetic_arch(2, jaw=0, faces=6000),
    )  # the net knows these well
    over = upper.vertices * [1, -1, -1]
    over[:, 1] += lower.vertices[:, 1].max() - over[:, 1].min()
    upper = replace(upper, vertices=over)
    faces = np.concatenate([lower.faces, upper.faces + len(lower.vertices)])
    return lower, upper, Mesh(np.concatenate([lower.vertices, over]), faces, scan_id="occlusion")


def test_both_jaws_in_one_file_are_told(occlusion: tuple[Mesh, Mesh, Mesh]) -> None:
    lower, _, both = occlusion
    told = "the same teeth are found on two surfaces; are both jaws in one file? Use one file per jaw"
    assert told in tg.segment(both, options=ONCE).doubts
    assert told not in tg.segment(lower, options=ONCE).doubts


def test_both_jaws_in_one_file_are_labelled_each_for_itself(occlusion: tuple[Mesh, Mesh, Mesh], tmp_path: Path) -> None:
    lower, upper, both = occlusion
    write_stl(tmp_path / "occlusion.stl", both.vertices / 10, both.faces)  # in cm
    found = tg.segment_jaws(tg.read_mesh(tmp_path / "occlusion.stl", unit="cm"), options=ONCE)
    assert [(one.mesh.scan_id, one.mesh.jaw) for one in found] == [("occlusion_upper", 0), ("occlusion_lower", 1)]
    assert not any("both jaws" in doubt for one in found for doubt in one.doubts)
    for one, jaw in zip(found, (upper, lower), strict=True):
        np.testing.assert_allclose(one.mesh.centroids, jaw.centroids, atol=1e-4)
        teeth = (jaw.labels > 0) | (one.prediction.labels > 0)
        assert (one.prediction.labels == jaw.labels)[teeth].mean() > 0.6
        written = one.write(tmp_path / "out", formats=["ply"])[0]
        np.testing.assert_allclose(tg.read_mesh(written, unit="cm").centroids, jaw.centroids, atol=1e-4)


def test_a_scan_of_one_jaw_stays_one(occlusion: tuple[Mesh, Mesh, Mesh]) -> None:
    lower, _, _ = occlusion
    (found,) = tg.segment_jaws(lower, options=ONCE)
    assert found.mesh.scan_id == lower.scan_id
    np.testing.assert_array_equal(found.prediction.labels, tg.segment(lower, options=ONCE).prediction.labels)


def test_two_jaws_that_look_alike_are_told_apart_by_which_looks_more_so(
    occlusion: tuple[Mesh, Mesh, Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, both = occlusion
    real, asked = segmentation.segment, []

    def as_lower(scan: Mesh, net: Any = None, jaw: int | None = None, options: Any = None) -> tg.Segmentation:
        found = real(scan, net, jaw, options)
        asked.append(jaw)
        if jaw != -1 or found.mesh.jaw == 1:
            return found
        taken = replace(found.prediction, jaw=1, jaw_probability=0.6)  # an upper jaw that the net takes for a lower one
        return replace(found, mesh=replace(found.mesh, jaw=1), prediction=taken)

    monkeypatch.setattr(segmentation, "segment", as_lower)
    found = segmentation.segment_jaws(both, options=ONCE)
    assert [one.mesh.jaw for one in found] == [0, 1] and asked[-1] == 0


def test_segment_all_in_order(net: SegmentationNet, arches: Path, tmp_path: Path) -> None:
    files = sorted(arches.glob("*.stl"))[:3]
    found = list(tg.segment_all(files, net, options=ONCE))
    assert [one.mesh.scan_id for one in found] == [file.stem for file in files]
    alone = tg.segment(files[1], net, options=ONCE)
    np.testing.assert_array_equal(found[1].face_labels, alone.face_labels)
    assert list(tg.segment_all([], net)) == []
    (tmp_path / "bad.stl").write_bytes(b"no scan")
    several = tg.segment_all([files[0], tmp_path / "bad.stl", files[1]], net, options=ONCE)
    assert next(several).mesh.scan_id == files[0].stem
    with pytest.raises(MeshError, match=r"bad\.stl"):
        next(several)


def test_the_name_is_the_function_whatever_is_asked_for_first() -> None:
    import subprocess
    import sys

    code = "import toothgraph as tg; tg.Segmentation; assert callable(tg.segment) and callable(tg.segment_all)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_no_scan_no_net_or_no_jaw(net: SegmentationNet, arch: Mesh) -> None:
    for wrong in (np.zeros((3, 3)), None):
        with pytest.raises(tg.ShapeError, match=r"expected a Mesh, got \w+; toothgraph.read_scan\(file\)"):
            tg.segment(wrong, net)
    with pytest.raises(tg.ShapeError, match=r"got 'runs/fine'; toothgraph.load_model\(path\)"):
        tg.segment(arch, "runs/fine")
    with pytest.raises(tg.ShapeError, match="jaw of 0 upper, 1 lower or -1 unknown, got 'upper'"):
        tg.segment(arch, net, jaw="upper")
