from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import toothgraph as tg
from toothgraph.anatomy.frame import area_vector
from toothgraph.errors import ConfigError, MeshError
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.predict import OtherReading
from toothgraph.io.formats.stl import write_stl
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import SegmentationNet
from toothgraph.report.page import page_data
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


def test_primary_teeth_have_their_own_numbers_if_asked_for(tmp_path: Path) -> None:
    mesh = synthetic_arch(3, jaw=0, faces=4000)
    found = tg.segment(mesh, options=ONCE)
    prediction = replace(found.prediction, labels=mesh.labels, milk_teeth=(15, 25),
                         other_reading=OtherReading(((15, 16),), 2.0))  # fmt: skip
    usual, numbered = (replace(found, prediction=prediction, primary=primary) for primary in (False, True))
    np.testing.assert_array_equal(usual.face_labels, mesh.labels)
    np.testing.assert_array_equal(numbered.face_labels == 55, mesh.labels == 15)
    assert [row.fdi for row in numbered.teeth if row.fdi > 50] == [55, 65]
    assert "15, 25 look like milk teeth" in " ".join(usual.doubts)
    assert "55, 65 are numbered as milk teeth" in " ".join(numbered.doubts) and "55 may be 16" in " ".join(
        numbered.doubts
    )
    assert [measure.value for measure in numbered.measures.measures] == [each.value for each in usual.measures.measures]
    ply, txt, content = numbered.write(tmp_path, "child_upper")
    assert {55, 65} <= set(np.loadtxt(txt, dtype=int)) and "55" in json.loads(content.read_text())["confidence"]
    np.testing.assert_array_equal(tg.read_scan(ply, primary=True).labels, numbered.face_labels)
    assert set(tg.read_scan(ply).labels[mesh.labels == 15]) == {-1}  # nothing to learn
    shown = page_data(numbered.page_scans())
    assert shown["names"][55] == "upper right second primary molar"
    assert {55, 65} <= {row["fdi"] for row in shown["scans"][0]["results"][0]["teeth"]}


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


def test_what_is_no_scan_no_net_or_no_jaw(net: SegmentationNet, arch: Mesh) -> None:
    for wrong in (np.zeros((3, 3)), None):
        with pytest.raises(tg.ShapeError, match=r"expected a Mesh, got \w+; toothgraph.read_scan\(file\)"):
            tg.segment(wrong, net)
    with pytest.raises(tg.ShapeError, match=r"got 'runs/fine'; toothgraph.load_model\(path\)"):
        tg.segment(arch, "runs/fine")
    with pytest.raises(tg.ShapeError, match=r"expected a SegmentationNet, got a Linear; toothgraph.load_model\(path\)"):
        tg.segment(arch, torch.nn.Linear(3, 3).eval())
    for wrong_type in (torch.float64, torch.float16):
        with pytest.raises(tg.ShapeError, match=rf"a net of torch.float32, got one of {wrong_type}; call net.float"):
            tg.segment(arch, deepcopy(net).to(wrong_type))
    with pytest.raises(tg.ShapeError, match="jaw of 0 upper, 1 lower or -1 unknown, got 'upper'"):
        tg.segment(arch, net, jaw="upper")


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "3", True])
def test_tessellations_are_a_count(wrong: object) -> None:
    with pytest.raises(ConfigError, match=f"expected tessellations of at least 1, a whole number, got {wrong!r}"):
        PredictOptions(tessellations=wrong)


def test_a_surface_that_is_no_surface_is_told() -> None:
    arch = synthetic_arch(1, jaw=0, faces=2000)
    loose = Mesh(arch.corners.reshape(-1, 3), np.arange(arch.faces.size).reshape(-1, 3))
    (told,) = tg.segment(loose, options=ONCE).strong_doubts
    assert "teeth found; 100% of the faces have no common edge with another one" in told and "millimetres" not in told


@pytest.mark.parametrize("label", [tg.segment, tg.segment_file])
def test_a_mesh_in_other_units_is_refused_as_a_file_is(label, net: SegmentationNet, arch: Mesh) -> None:
    for scale, advice in (
        (0.001, "multiply its vertices by 1000, for m$"),
        (30.0, "no unit gives the size of an arch"),
    ):
        with pytest.raises(MeshError, match=f"expected a scan of 15 to 150 mm, .*{advice}"):
            label(replace(arch, vertices=arch.vertices * scale), net)


def test_one_file_is_no_list(net: SegmentationNet) -> None:
    with pytest.raises(ConfigError, match=r"a list of one is \['scan.stl'\]"):
        next(tg.segment_all("scan.stl", net))


def test_a_scan_and_the_labels_beside_it_are_not_overwritten(tmp_path):
    arch = tg.synthetic_arch(1, jaw=0, faces=2000)
    scan = tg.write_labelled(tmp_path, "a_upper", arch, arch.labels, ("ply", "txt"))[0]
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    found = tg.segment(scan, options=tg.PredictOptions(tessellations=1))
    with pytest.raises(tg.ToothgraphError, match="would be overwritten"):
        found.write(tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert found.write(tmp_path, "a_upper_found", ("txt",))[0].exists()


def test_labels_of_another_scan_and_corrected_labels_are_not_replaced(tmp_path):
    """As in a loop over `anna/upper.stl` and `ben/upper.stl` that names the outputs by the stem."""
    options, found = tg.PredictOptions(tessellations=1), {}
    for seed, patient in enumerate(("anna", "ben")):
        arch = tg.synthetic_arch(seed, jaw=0, faces=2000)
        (file,) = tg.write_labelled(tmp_path / patient, "upper", arch, arch.labels, ("ply",))
        found[patient] = tg.segment(file, options=options)
    found["anna"].write(tmp_path / "out", "upper", ("ply", "txt"))
    with pytest.raises(ConfigError, match=r"upper.* belong to .*anna"):
        found["ben"].write(tmp_path / "out", "upper", ("ply", "txt"))
    found["anna"].write(tmp_path / "out", "upper", ("ply", "txt"))  # the same scan again
    numbers = (tmp_path / "out" / "upper.txt").read_text()
    (tmp_path / "out" / "upper.txt").write_text(numbers.replace("11", "12"))
    with pytest.raises(tg.ToothgraphError, match=r"upper\.txt: its corrected labels would be overwritten"):
        found["anna"].write(tmp_path / "out", "upper", ("ply", "txt"))
