from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from toothgraph.anatomy.frame import turned, upright_rotation
from toothgraph.data import Scan, prepare_scan, read_scans
from toothgraph.data.scan import without_labels
from toothgraph.errors import DataError
from toothgraph.graph import GraphSpec, scan_graph
from toothgraph.mesh.mesh import Mesh
from toothgraph.scan_names import patient_of, scan_names
from toothgraph.synthetic.write import write_synthetic
from toothgraph.transforms.crop import plain


def test_names_are_stems_made_unique_by_their_folder() -> None:
    files = [Path("a/1_U.ply"), Path("b/scan.ply"), Path("c/scan.stl")]
    assert scan_names(files) == ["1_U", "b_scan", "c_scan"]
    assert scan_names([]) == []


def test_both_jaws_of_a_patient_keep_one_patient() -> None:
    files = [Path("a/007_U.ply"), Path("a/007_L.ply"), Path("b/007_U.ply"), Path("b/008_U.ply")]
    assert scan_names(files) == ["a_007_U", "a_007_L", "b_007_U", "008_U"]
    assert [patient_of(name) for name in scan_names(files)] == ["a_007", "a_007", "b_007", "008"]
    files = [Path("upper/007_U.stl"), Path("lower/007_L.stl"), Path("backup/007_U.stl")]
    assert [patient_of(name) for name in scan_names(files)] == ["007", "007", "backup_007"]


def test_a_labelled_scan_wound_inside_out_is_turned_round(
    arch: Mesh, small_spec: GraphSpec, caplog: pytest.LogCaptureFixture
) -> None:
    right = prepare_scan(arch, small_spec, variants=2, seed=7, bases=1)
    assert not caplog.records
    found = prepare_scan(arch.inside_out(), small_spec, variants=2, seed=7, bases=1)
    assert "its surface is inside out; all faces are turned round" in caplog.text
    for one, other in zip(right.variants, found.variants, strict=True):
        assert torch.equal(one.x, other.x) and torch.equal(one.y, other.y)


def test_names_that_stay_the_same_are_refused() -> None:
    with pytest.raises(DataError, match=r"b_scan: b/scan\.ply, b/scan\.stl; rename"):
        scan_names([Path("b/scan.ply"), Path("b/scan.stl")])


def test_the_first_variant_is_the_plain_one(arch: Mesh, scan: Scan, small_spec: GraphSpec) -> None:
    assert len(scan.variants) == 3 and scan.scan_id == arch.scan_id
    upright = turned(arch, upright_rotation(arch))
    assert torch.equal(scan.variants[0].x, scan_graph(upright, small_spec)[0].x)
    unlabelled = prepare_scan(arch.with_labels(None), small_spec, variants=1, seed=7)
    assert torch.equal(unlabelled.variants[0].x, scan_graph(arch, small_spec)[0].x)  # nothing says what is up
    again = prepare_scan(arch, small_spec, variants=2, seed=7)
    assert torch.equal(again.variants[1].x, scan.variants[1].x)
    other = prepare_scan(arch, small_spec, variants=2, seed=8)
    assert other.variants[1].x.shape != again.variants[1].x.shape
    assert scan.variants[1].num_nodes != scan.variants[2].num_nodes


def test_the_last_variants_stand_on_a_base_in_the_same_frame(arch: Mesh, scan: Scan, small_spec: GraphSpec) -> None:
    based = prepare_scan(arch, small_spec, variants=3, seed=7, bases=1)
    for number in (0, 1):
        assert torch.equal(based.variants[number].x, scan.variants[number].x)
    plain_one, standing = scan.variants[2], based.variants[2]
    assert standing.area.sum() > 1.2 * plain_one.area.sum()
    teeth = [graph.pos[graph.y == 3].mean(dim=0) for graph in (plain_one, standing)]
    assert torch.allclose(teeth[0], teeth[1], atol=1.0)
    every = prepare_scan(arch, small_spec, variants=1, seed=7, bases=1)  # the plain one never does
    assert torch.equal(every.variants[0].x, scan.variants[0].x)


def test_labels_can_be_taken_away(scan: Scan) -> None:
    assert scan.labelled
    bare = without_labels(scan)
    assert not bare.labelled
    for stripped, graph in zip(bare.variants, scan.variants, strict=True):
        assert "y" not in stripped and stripped.jaw.tolist() == [-1]
        assert "y" in graph and graph.jaw.tolist() == [0]  # the given one stays
    unknown = plain(scan.variants[0])
    unknown.y = torch.full_like(unknown.y, -1)
    assert not Scan("u", [unknown]).labelled


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scans")
    write_synthetic(path, scans=2, faces=2000, seed=0)
    (path / "0001_upper.stl").write_bytes(b"solid broken, and nothing more")
    return path


def test_a_broken_file_is_named_and_left_out(
    folder: Path, small_spec: GraphSpec, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="toothgraph"):
        scans = read_scans([folder], small_spec, variants=1, seed=0)
    assert [scan.scan_id for scan in scans] == ["0000_lower", "0000_upper"]
    assert [scan.variants[0].jaw.tolist() for scan in scans] == [[1], [0]]
    assert all(scan.labelled for scan in scans)
    assert [scan.variants[0].scan_id for scan in scans] == ["0000_lower", "0000_upper"]
    warned = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert len(warned) == 1 and "0001_upper" in warned[0]


def test_only_wanted_scans_are_read(folder: Path, small_spec: GraphSpec) -> None:
    seen: list[Path] = []

    def watch(files):
        for path in files:
            seen.append(path)
            yield path

    scans = read_scans([folder], small_spec, variants=1, seed=0, keep=lambda name: name == "0000_lower", progress=watch)
    assert [scan.scan_id for scan in scans] == ["0000_lower"]
    assert [path.stem for path in seen] == ["0000_lower"]


def test_no_usable_scan_is_an_error(folder: Path, small_spec: GraphSpec) -> None:
    with pytest.raises(DataError, match=r"none of the 3 scans found .*\(0 of them are of the wanted patients\)"):
        read_scans([folder], small_spec, variants=1, seed=0, keep=lambda name: False)
