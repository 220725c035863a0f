"""VTP and legacy VTK polydata; files are written by vtk itself."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.formats import vtk
from toothgraph.io.formats.vtk import read_vtk, write_vtk
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.io.read import read_mesh
from toothgraph.mesh.mesh import Mesh

pytest.importorskip("vtkmodules")


def polydata(mesh: Mesh, arrays: dict[str, np.ndarray], lines: bool = False):
    """A vtkPolyData with arrays on its faces; with lines, whose cells come before them."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    points, cells, data = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(mesh.vertices, deep=True))
    ends = np.arange(0, 3 * len(mesh.faces) + 1, 3)
    cells.SetData(numpy_to_vtkIdTypeArray(ends, deep=True), numpy_to_vtkIdTypeArray(mesh.faces.ravel(), deep=True))
    data.SetPoints(points)
    data.SetPolys(cells)
    if lines:
        line = vtkCellArray()
        line.InsertNextCell(2, [0, 1])
        data.SetLines(line)
    for name, values in arrays.items():
        values = np.concatenate([np.full((1, *values.shape[1:]), -1), values]) if lines else values
        array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
        array.SetName(name)
        data.GetCellData().AddArray(array)
    return data


def write(path: Path, data, mode: str) -> Path:
    from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    writer = vtkXMLPolyDataWriter() if path.suffix == ".vtp" else vtkPolyDataWriter()
    if path.suffix == ".vtp":
        {"ascii": writer.SetDataModeToAscii, "binary": writer.SetDataModeToAppended}[mode]()
    else:
        {"ascii": writer.SetFileTypeToASCII, "binary": writer.SetFileTypeToBinary}[mode]()
    writer.SetFileName(str(path))
    writer.SetInputData(data)
    assert writer.Write()
    return path


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("mode", ["ascii", "binary"])
@pytest.mark.parametrize("suffix", [".vtp", ".vtk"])
def test_surface_and_labels(suffix: str, mode: str, lines: bool, arch: Mesh, tmp_path: Path) -> None:
    file = write(tmp_path / f"x_upper{suffix}", polydata(arch, {"Label": arch.labels}, lines), mode)
    mesh = read_scan(file)
    np.testing.assert_allclose(mesh.vertices[mesh.faces], arch.vertices[arch.faces], atol=1e-4)
    assert np.array_equal(mesh.labels, arch.labels)
    assert len(mesh.original.polygons) == len(arch.faces)


def test_polygons_and_strips(tmp_path: Path) -> None:
    head = "# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\nPOINTS 5 float\n"
    points = "0 0 0\n30 0 0\n30 30 0\n0 30 0\n15 45 0\n"
    file = tmp_path / "x.vtk"
    file.write_text(head + points + "POLYGONS 2 9\n4 0 1 2 3\n3 3 2 4\n")
    mesh = read_mesh(file)
    assert mesh.original.polygons.tolist() == [[0, 1, 2, 3], [3, 2, 4, -1]] and len(mesh.faces) == 3
    file.write_text(head + points + "TRIANGLE_STRIPS 1 6\n5 0 1 3 2 4\n")
    mesh = read_mesh(file)
    assert len(mesh.faces) == 3 and (mesh.normals[:, 2] > 0.99).all()
    cells = "VERTICES 1 2\n1 0\nPOLYGONS 1 4\n3 0 1 2\nTRIANGLE_STRIPS 1 5\n4 0 2 3 4\n"
    labels = "CELL_DATA 3\nSCALARS fdi int 1\nLOOKUP_TABLE default\n48 11 12\n"
    file.write_text(head + points + cells + labels)
    assert read_scan(file).labels.tolist() == [11, 12, 12]


def test_colours_are_labels_with_a_palette(arch: Mesh, tmp_path: Path) -> None:
    red = np.where(arch.labels[:, None] == 11, [255.0, 0, 0], [255.0, 255, 255])
    file = write(tmp_path / "x_upper.vtp", polydata(arch, {"Color": red}), "binary")
    palette = tmp_path / "p.json"
    palette.write_text('{"p": {"background": [255, 255, 255], "upper": {"11": [255, 0, 0]}, "lower": {}}}')
    labels = read_scan(file, palette=load_palette(f"{palette}:p")).labels
    assert np.array_equal(labels == 11, arch.labels == 11) and set(labels) == {0, 11}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.vtp", "no xml", "VTK polydata"),
        ("x.vtp", '<?xml version="1.0"?><VTKFile type="ImageData"></VTKFile>', "VTK polydata"),
        ("x.vtk", "# vtk DataFile Version 3.0\nx\nASCII\nDATASET UNSTRUCTURED_GRID\n", "VTK polydata"),
        ("x.vtk", "# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\nPOINTS 9 float\n0 0", "x.vtk"),
        ("x.vtk", "# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\n", "no vertices"),
    ],
)
def test_refusals(name: str, content: str, said: str, tmp_path: Path, capfd) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(MeshError, match=said) as refused:
        read_mesh(file)
    assert str(file) in str(refused.value) and "\n" not in str(refused.value)
    out = capfd.readouterr()
    assert out.out == out.err == ""  # vtk's own messages stay away


def test_a_warning_of_vtk_is_no_refusal(tmp_path: Path) -> None:
    file = tmp_path / "x.vtk"
    head = "# vtk DataFile Version 9.9\nx\nASCII\nDATASET POLYDATA\nPOINTS 3 float\n"
    file.write_text(head + "0 0 0\n30 0 0\n30 30 0\nPOLYGONS 2 3\nOFFSETS vtktypeint64\n0 3\n"
                    "CONNECTIVITY vtktypeint64\n0 1 2\n")  # fmt: skip
    assert len(read_mesh(file).faces) == 1


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.vtp").write_text("x")
    monkeypatch.setattr("toothgraph.errors.find_spec", lambda name: None)
    with pytest.raises(MeshError, match=r"pip install 'toothgraph\[vtk\]'"):
        read_mesh(tmp_path / "x.vtp")


EXPECTED = {  # file: faces, teeth
    "labelled-upper.vtp": (10_000, 14),
    "labelled-lower.vtp": (10_000, 14),
    "labelled-missing-12-26-upper.vtp": (10_001, 11),
    "labelled-universal-non-manifold.vtp": (99_999, 14),
    "full-resolution-lower.vtp": (213_309, 13),
    "legacy-ascii-polydata-crowns.vtk": (87_356, 16),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_real_files(name: str, data_dir: Path) -> None:
    mesh = read_scan(data_dir / "odd-scans" / name)
    faces, teeth = EXPECTED[name]
    assert len(mesh.original.polygons) == faces
    seen = Counter(mesh.labels.tolist())
    assert len([fdi for fdi in seen if fdi > 0]) == teeth, seen
    if "12-26" in name:
        assert seen[12] == seen[26] == 0


def test_real_clusters_are_no_teeth(data_dir: Path, caplog) -> None:
    assert read_scan(data_dir / "odd-scans" / "unwelded-upper.vtp").labels is None
    assert "clusters, not teeth" in caplog.text


@pytest.mark.parametrize("suffix", [".vtp", ".vtk"])
def test_written_files_read_back_equal(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    polygons = rng.integers(0, 50, (40, 5))
    polygons[rng.random(40) < 0.5, 3:] = -1
    vertex_fdi, face_fdi = rng.choice([-1, 0, 11, 48], 50), rng.choice([-1, 0, 21, 38], 40)
    vertices = rng.normal(size=(50, 3))
    write_vtk(tmp_path / f"a{suffix}", vertices, polygons, vertex_fdi, face_fdi)
    stored = read_vtk(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(stored.vertices, vertices)
    np.testing.assert_array_equal(stored.polygons, polygons)
    np.testing.assert_array_equal(stored.vertex_data["fdi"], vertex_fdi)
    np.testing.assert_array_equal(stored.face_data["fdi"], face_fdi)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_writing_without_vtk_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vtkmodules.vtkIOXML", None)
    with pytest.raises(MeshError, match=r"writing VTK files needs the extra vtk: pip install 'toothgraph\[vtk\]'"):
        write_vtk(tmp_path / "a.vtp", np.zeros((3, 3)), np.array([[0, 1, 2]]), np.zeros(3), np.zeros(1))
    assert not list(tmp_path.iterdir())


def test_what_brings_vtk_down_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.vtp").write_text("x")
    crash = tmp_path / "crash.py"
    crash.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(vtk._vtk_process, "__name__", "crash")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MeshError, match=r"x\.vtp: vtk failed on it \(exit code -11"):
        read_mesh(tmp_path / "x.vtp")
    crash.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(vtk, "TIMEOUT", 0.5)
    with pytest.raises(MeshError, match=r"was not read within 0\.5 seconds"):
        read_mesh(tmp_path / "x.vtp")


def test_memory_a_file_may_ask_for_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that claims four billion points."""
    file = tmp_path / "x.vtk"
    file.write_bytes(
        b"# vtk DataFile Version 3.0\nx\nBINARY\nDATASET POLYDATA\nPOINTS 4000000000 float\n" + b"\0" * 100
    )
    with pytest.raises(MeshError, match=r"x\.vtk"):
        read_mesh(file)


@pytest.mark.parametrize(
    "content",
    [  # found by tests/fuzz/fuzz.py: a complaint that quotes bytes of the file, and a polygon larger than the file
        b"# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\nPOINTS 3 float\n\xff\xfe 0 0\n",
        b"# vtk DataFile Version 3.0\nx\nBINARY\nDATASET POLYDATA\nPOINTS 1 float\n" + bytes(12)
        + b"\nPOLYGONS 2 5\n\x7f\xff\xff\xff" + bytes(16),
    ],
)  # fmt: skip
def test_hostile_content(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.vtk").write_bytes(content)
    with pytest.raises(MeshError, match=r"x\.vtk"):
        read_mesh(tmp_path / "x.vtk")
