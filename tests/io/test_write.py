from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toothgraph.anatomy.colours import colours
from toothgraph.anatomy.measures import measure_arch
from toothgraph.errors import ConfigError, LabelError
from toothgraph.fdi import fdi_to_class
from toothgraph.io import write
from toothgraph.io.formats.ply import read_ply, write_ply
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.label_record import origin_of, read_record, was_changed
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.io.read import read_mesh
from toothgraph.io.write import write_labelled
from toothgraph.mesh.label_origin import FOUND, LabelOrigin
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import faces_to_original, vertices_to_original


@pytest.mark.parametrize("scale", [1.0, 1 / 3])  # exact in single precision, and not
def test_ply_reads_back_equal(scale: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vertices = rng.integers(0, 99, (50, 3)) * scale
    polygons = rng.integers(0, 50, (40, 5))
    polygons[rng.random(40) < 0.5, 3:] = -1
    polygons[:10, 4] = -1
    vertex_fdi, face_fdi = rng.choice([-1, 0, 11, 48], 50), rng.choice([-1, 0, 21, 38], 40)
    path = tmp_path / "new" / "a.ply"
    write_ply(path, vertices, polygons, vertex_fdi, face_fdi)
    stored = read_ply(path)
    np.testing.assert_array_equal(stored.vertices, vertices)
    np.testing.assert_array_equal(stored.polygons, polygons)
    for data, fdi in ((stored.vertex_data, vertex_fdi), (stored.face_data, face_fdi)):
        np.testing.assert_array_equal(data["fdi"], fdi)
        np.testing.assert_array_equal(np.stack([data[c] for c in ("red", "green", "blue")], 1), colours(fdi))
    assert [file.name for file in path.parent.iterdir()] == ["a.ply"]


def test_milk_teeth_alone_tell_the_jaw_in_the_json(arch: Mesh, tmp_path: Path) -> None:
    milk = np.where((arch.labels > 0) & (arch.labels % 10 < 6), arch.labels + 40, 0)
    written = write_labelled(tmp_path, "child", replace(arch, jaw=-1), milk, formats=("json",))[0]
    assert json.loads(written.read_text())["jaw"] == "upper"


def test_measures_are_in_the_json(arch: Mesh, tmp_path: Path) -> None:
    labels = np.where(arch.labels == 13, 0, arch.labels)
    measures = measure_arch(arch, labels).measures
    (path,) = write_labelled(tmp_path, "a", arch, labels, ("json",), measures=measures)
    written = json.loads(path.read_text())["measures"]
    assert list(written) == [measure.key for measure in measures]
    assert written["intercanine_width"] == {"value": None, "unit": "mm", "reason": "no permanent 13 found"}
    depth = next(measure.value for measure in measures if measure.key == "arch_depth")
    assert written["arch_depth"] == {"value": round(depth, 2), "unit": "mm"} and depth > 10


def test_written_scan_stands_on_the_files_own_faces(tmp_path: Path) -> None:
    source = tmp_path / "scan_lower.obj"
    lines = ["v 0 0 0", "v 4 0 0", "v 4 4 0.1", "v 0 4 0", "v 9 0 0", "v 50 50 50", "v 0 0 0"]
    source.write_text("\n".join([*lines, "f 1 2 3 4", "f 2 2 5", "f 2 5 3", "f 7 2 3"]))
    mesh = read_mesh(source, unit="cm")
    labels = np.array([0, 36, 37])
    paths = write_labelled(tmp_path / "out", "scan", mesh, labels)
    assert [path.name for path in paths] == ["scan.ply", "scan.txt", "scan.json"]
    stored = read_ply(paths[0])
    np.testing.assert_array_equal(stored.vertices, mesh.original.vertices)  # centimetres, as in the file
    np.testing.assert_array_equal(stored.polygons, mesh.original.polygons)
    np.testing.assert_array_equal(stored.face_data["fdi"], faces_to_original(mesh, labels))
    np.testing.assert_array_equal(np.loadtxt(paths[1], dtype=int), faces_to_original(mesh, labels))
    content = json.loads(paths[2].read_text())
    assert list(content) == ["id_patient", "jaw", "labels", "instances"]
    assert content["jaw"] == "lower" and content["id_patient"] == "scan"
    np.testing.assert_array_equal(content["labels"], vertices_to_original(mesh, labels))
    instance_of = {0: 0, 36: 1, 37: 2}
    assert content["instances"] == [instance_of[label] for label in content["labels"]]


def test_written_scan_reads_back_labelled(patch: Mesh, tmp_path: Path) -> None:
    ply, txt, sidecar = write_labelled(tmp_path, "a", patch, patch.labels)
    mesh = read_scan(ply)
    np.testing.assert_array_equal(mesh.labels, patch.labels)
    np.testing.assert_allclose(mesh.corners, patch.corners)
    txt.unlink()
    sidecar.unlink()
    np.testing.assert_array_equal(read_scan(ply).labels, patch.labels)
    assert read_scan(ply).jaw == 0


@pytest.mark.parametrize("kind", ["ply", "vtp", "vtk", "stl"])
def test_every_format_that_carries_a_surface_reads_back(kind: str, patch: Mesh, tmp_path: Path) -> None:
    if kind in ("vtp", "vtk"):
        pytest.importorskip("vtkmodules")
    (path,) = write_labelled(tmp_path, "a", patch, patch.labels, formats=[kind])
    mesh = read_scan(path)
    assert len(mesh.faces) == len(patch.faces) and len(mesh.vertices) == len(patch.vertices)
    for fdi in np.unique(patch.labels):
        ours, theirs = (np.sort(each.centroids[each.labels == fdi], axis=0) for each in (patch, mesh))
        np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_unknown_format_is_refused(patch: Mesh, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="formats of ply, txt, json, vtp, vtk, stl, got 'obj'"):
        write_labelled(tmp_path, "a", patch, patch.labels, formats=["ply", "obj"])
    assert not list(tmp_path.iterdir())


def test_wrong_counts_are_refused_and_nothing_is_written(patch: Mesh, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="expected 3200"):
        write_labelled(tmp_path, "a", patch, np.zeros(5, int))
    with pytest.raises(LabelError, match="1681 vertex and 3200 face labels, got 2 and 3"):
        write_ply(tmp_path / "a.ply", patch.vertices, patch.faces, np.zeros(2), np.zeros(3))
    assert not list(tmp_path.iterdir())


def test_stl_reads_back(patch: Mesh, tmp_path: Path) -> None:
    write_stl(tmp_path / "a.stl", patch.vertices, patch.faces)
    assert (tmp_path / "a.stl").stat().st_size == 84 + 50 * 3200
    np.testing.assert_array_equal(
        read_mesh(tmp_path / "a.stl").corners, patch.corners.astype(np.float32).astype(np.float64)
    )


def test_writing_a_full_resolution_scan_is_quick(tmp_path: Path) -> None:
    n = 330
    x, y = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    vertices = np.stack([x, y, 0 * x], axis=-1).reshape(-1, 3) / 4.0
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    faces = np.concatenate(
        [np.stack([corner, corner + n, corner + 1], 1), np.stack([corner + 1, corner + n, corner + n + 1], 1)]
    )
    start = time.perf_counter()
    write_labelled(tmp_path, "big", Mesh(vertices, faces), np.full(len(faces), 11))
    assert time.perf_counter() - start < 5.0  # 0.4 s on an idle core


def test_real_scan_written_and_read_back(data_dir: Path, tmp_path: Path) -> None:
    palette = load_palette(f"{data_dir / 'palettes.json'}:3d-iosseg")
    mesh = read_scan(data_dir / "3d-iosseg" / "045_U.ply", palette=palette)
    again = read_scan(write_labelled(tmp_path, "a", mesh, mesh.labels)[0])
    np.testing.assert_array_equal(again.labels, mesh.labels)
    np.testing.assert_array_equal(again.vertices, mesh.vertices)


def test_labels_written_over_are_found_even_after_a_stop(
    arch: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two files of the second run, the new one differs from what the record said, and nobody has
    corrected it."""
    write_labelled(tmp_path, "a_upper", arch, arch.labels, ("ply", "txt"), model="first")

    def stop(path: Path, labelled: write.Labelled) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(write._WRITERS, "txt", stop)
    with pytest.raises(KeyboardInterrupt):
        write_labelled(tmp_path, "a_upper", arch, np.zeros_like(arch.labels), ("ply", "txt"), model="second")
    for name in ("a_upper.ply", "a_upper.txt"):
        record = read_record(tmp_path / name)
        assert not was_changed(tmp_path / name, record)
        assert origin_of(tmp_path / name, record, arch.labels) == LabelOrigin(FOUND, "second")


def test_labels_that_are_no_fdi_numbers_are_refused(arch: Mesh, tmp_path: Path) -> None:
    classes = fdi_to_class(arch.labels)
    with pytest.raises(
        LabelError, match=r"^a: expected labels as FDI numbers.* toothgraph\.fdi\.class_to_fdi makes them"
    ):
        write_labelled(tmp_path, "a", arch, classes)
    with pytest.raises(LabelError, match="as FDI numbers"):
        write.write_teeth3ds_json(tmp_path / "a.json", classes, jaw=0)
    assert not list(tmp_path.iterdir())
    write_labelled(tmp_path, "a", arch, np.where(arch.labels == 11, 51, np.where(arch.labels == 12, -1, arch.labels)))
