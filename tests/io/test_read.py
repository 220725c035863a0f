from __future__ import annotations

import struct
from pathlib import Path

import meshio
import numpy as np
import pytest

from toothgraph.errors import ConfigError, MeshError
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.read import read_mesh
from toothgraph.mesh.mesh import Mesh

SQUARE = [[0, 0, 0], [40, 0, 0], [40, 40, 0], [0, 40, 5]]
OBJ = "v 0 0 0\nv 40 0 0\nv 40 40 0\nv 0 40 5\n"


def refused(path: Path, *words: str, **options: str) -> str:
    """The one-line message of the refusal, which names the file and says each of ``words``."""
    with pytest.raises(MeshError) as caught:
        read_mesh(path, **options)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    for word in words:
        assert word in message
    return message


@pytest.mark.parametrize("name", ["a.stl", "ascii.stl", "a.obj", "a.off", "a.ply", "ascii.ply"])
def test_each_format_gives_the_same_surface(name: str, patch: Mesh, tmp_path: Path) -> None:
    path = tmp_path / name
    mesh = meshio.Mesh(patch.vertices, [("triangle", patch.faces)])
    options = {"binary": not name.startswith("ascii")} if name[-3:] in ("stl", "ply") else {}
    mesh.write(path, **options)
    read = read_mesh(path)
    np.testing.assert_allclose(read.corners, patch.corners, atol=1e-5)
    assert len(read.vertices) == len(patch.vertices)
    assert read.labels is None and read.path == path and read.scan_id == path.stem
    assert read.original is not None
    np.testing.assert_array_equal(read.original.face_map, np.arange(len(patch.faces)))


def test_binary_and_ascii_stl_agree_on_original_vertices(patch: Mesh, tmp_path: Path) -> None:
    write_stl(tmp_path / "binary.stl", patch.vertices, patch.faces)
    binary = read_mesh(tmp_path / "binary.stl")
    mesh = meshio.Mesh(binary.vertices, [("triangle", binary.faces)])
    mesh.write(tmp_path / "ascii.stl", binary=False)
    ascii_mesh = read_mesh(tmp_path / "ascii.stl")
    assert binary.original is not None and ascii_mesh.original is not None
    np.testing.assert_allclose(binary.original.vertices, ascii_mesh.original.vertices, atol=1e-6)
    np.testing.assert_array_equal(binary.faces, ascii_mesh.faces)


def test_stl_refusals(patch: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "a.stl"
    path.write_bytes(b"")
    refused(path, "empty")
    path.write_text("<!DOCTYPE html><html>" + "not found " * 50)
    refused(path, "a web page and no scan; download it again")
    path.write_text("short")
    refused(path, "expected an STL file")
    path.write_bytes(bytes(80) + struct.pack("<I", 4_000_000_000) + bytes(500))
    refused(path, "4000000000 faces", "584 bytes")
    write_stl(path, patch.vertices, patch.faces)
    path.write_bytes(path.read_bytes()[:-1000])
    refused(path, "promises 3200 faces", "cut short")
    path.write_bytes(bytes(80) + struct.pack("<I", 0))
    refused(path, "no vertices")
    path.write_text("solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\n")
    refused(path, "cannot be read as STL")
    path.write_text("solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 zero 0\n")
    refused(path, "cannot be read as STL", "zero")


def test_path_refusals(tmp_path: Path) -> None:
    refused(tmp_path / "missing.stl", "no such file")
    (tmp_path / "folder.stl").mkdir()
    refused(tmp_path / "folder.stl", "folder")
    for name in ("a.inp", "a.xyz", "a"):
        refused(tmp_path / name, ".stl .ply .obj .off")


def test_off_and_obj_refusals(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.off"
    path.write_text("NOT OFF\n1 2 3\n")
    refused(path, "expected counts of vertices", "NOT")
    path.write_text("COFF\n4 2 0\n0 0 0 1 1 1\n")
    refused(path, "promises 4 vertices and 2 faces", "cut short")
    path = tmp_path / "a.obj"
    path.write_text(OBJ)
    refused(path, "4 points without faces", "point cloud")
    path.write_text("# nothing\n")
    refused(path, "no vertices")
    path.write_text(OBJ + "f 1 2 9\n")
    refused(path, "1 faces point outside its 4 vertices")
    path.write_bytes(bytes(range(128, 256)) * 9)
    refused(path, "no vertices")
    assert capfd.readouterr() == ("", "")


def test_polygons_become_fans_and_keep_the_way_back(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_text(OBJ + "v 20 60 0\nv 9 9 9\nf 1 2 3\nf 1 2 3 4\nf 1 2 3 5 4\nf 3 5 4\n")
    mesh = read_mesh(path)
    # the first triangle of each fan repeats the first face, and is kept once
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3], [0, 2, 4], [0, 4, 3], [2, 4, 3]])
    assert mesh.original is not None
    np.testing.assert_array_equal(mesh.original.face_map, [0, 0, 0, 4])
    np.testing.assert_array_equal(mesh.original.polygon_of_face, [0, 1, 2, 2, 3])
    np.testing.assert_array_equal(mesh.original.vertex_map, [0, 1, 2, 3, 4, -1])
    np.testing.assert_array_equal(mesh.original.polygons[1], [0, 1, 2, 3, -1])


def test_seams_are_welded_and_bad_faces_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    seam = "v 0 -0.0 0\nv 40 40 0\nv 20 0 0\n"  # 5 and 6 stand on 1 and 3; 7 lies between 1 and 2
    path.write_text(OBJ + seam + "f 1 5 2\nf 1 7 2\nf 1 2 3\nf 5 6 4\nf 2 3 1\n")
    mesh = read_mesh(path)
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3]])
    np.testing.assert_array_equal(mesh.vertices, SQUARE)
    assert mesh.original is not None
    np.testing.assert_array_equal(mesh.original.face_map, [-1, -1, 0, 1, 0])
    np.testing.assert_array_equal(mesh.original.vertex_map, [0, 1, 2, 3, 0, 2, -1])
    assert len(mesh.original.vertices) == 7


def test_corners_a_rounding_error_apart_are_joined_and_stay_in_the_file(patch: Mesh, tmp_path: Path) -> None:
    corners = patch.corners + np.random.default_rng(0).uniform(-1e-4, 1e-4, patch.corners.shape)
    write_stl(tmp_path / "a.stl", corners.reshape(-1, 3), np.arange(corners.size // 3).reshape(-1, 3))
    mesh = read_mesh(tmp_path / "a.stl")
    np.testing.assert_array_equal(mesh.adjacency, patch.adjacency)
    np.testing.assert_array_equal(mesh.faces, mesh.original.vertex_map[mesh.original.polygons])
    assert len(mesh.original.vertices) == patch.faces.size and len(mesh.vertices) == len(patch.vertices)


def test_only_flat_faces_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 20 0 0\nv 40 0 0\nf 1 2 3\n")
    refused(path, "none of its 1 faces has an area")


def test_nan_matters_only_where_a_face_uses_it(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_text(OBJ + "v nan 0 0\nv inf 0 0\nf 1 2 3\n")
    assert len(read_mesh(path).vertices) == 3
    path.write_text(OBJ + "v nan 0 0\nv inf 0 0\nf 1 2 3\nf 1 2 5\nf 1 2 6\n")
    refused(path, "2 vertices", "not finite")


def test_units(patch: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "a_lower.stl"
    for unit, factor in {"mm": 1, "cm": 10, "m": 1000, "inch": 25.4}.items():
        write_stl(path, patch.vertices / factor, patch.faces)
        mesh = read_mesh(path, unit=unit)
        np.testing.assert_allclose(mesh.corners, patch.corners, atol=1e-4)
        assert mesh.original is not None and mesh.original.mm_per_unit == factor
        assert mesh.jaw == 1
    write_stl(path, patch.vertices / 1000, patch.faces)
    refused(path, "0.04 mm", "try --unit m")
    write_stl(path, patch.vertices / 25.4, patch.faces)
    refused(path, "try --unit cm or inch")
    refused(path, "1575 mm", "try --unit cm or inch", unit="m")
    write_stl(path, patch.vertices * 100, patch.faces)
    refused(path, "no unit")
    with pytest.raises(ConfigError, match="'km'"):
        read_mesh(path, unit="km")


def test_components_borders_and_non_manifold_edges_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    fan = "f 1 2 3\nf 1 2 4\nf 1 2 5\n"
    path.write_text(OBJ + "v 0 0 30\nv 0 0 50\nv 1 0 50\nv 0 1 50\n" + fan + "f 6 7 8\n")
    assert len(read_mesh(path).faces) == 4


def test_odd_scans(data_dir: Path) -> None:
    odd = data_dir / "odd-scans"
    assert len(read_mesh(odd / "gingiva-only-upper.stl").faces) == 40634
    assert len(read_mesh(odd / "interleaved-normals-lower.obj").faces) == 37469
    assert len(read_mesh(odd / "camera-element-lower.ply").faces) == 15997
    assert len(read_mesh(odd / "coff-instance-colours-lower.off").faces) == 37469


def test_files_of_the_field_are_one_surface(data_dir: Path) -> None:
    found = {}
    for path in sorted((data_dir / "field" / "readers").iterdir()):
        centres = read_mesh(path).corners.mean(axis=1).round(2)
        found[path.name] = {tuple(centre) for centre in centres.tolist()}
    plain = found["zerocount_upper.stl"]
    assert len(found) == 15 and len(plain) == 1922
    assert {name for name, centres in found.items() if len(centres ^ plain) > 20} == set()  # of rounding


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [  # found by tests/fuzz/fuzz.py
        ("x.off", "OFF\ninf 1 0\n0 0 0\n", "expected the counts of vertices and faces"),
        ("x.off", "OFF\n3 1 0\n0 0 0\n9 0 0\n9 9 0\n3 0 1 99999999999999999999\n", "indices from 0 to 2, found 99"),
        ("x.obj", "v 0 0 0\nv 9 0 0\nv 9 9 0\nf 1 2 99999999999999999999\n", "point outside its 3 vertices"),
    ],
)
def test_numbers_beyond_all_bounds(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(MeshError, match=said):
        read_mesh(tmp_path / name)


def test_two_jaws_may_lie_apart_in_a_file(patch: Mesh, tmp_path: Path) -> None:
    both = np.concatenate([patch.vertices, patch.vertices + np.array([200.0, 0, 0])])
    faces = np.concatenate([patch.faces, patch.faces + len(patch.vertices)])
    write_stl(tmp_path / "a.stl", both, faces)
    assert len(read_mesh(tmp_path / "a.stl").faces) == len(faces)
    write_stl(tmp_path / "a.stl", both + np.where(np.arange(len(both)) < len(patch.vertices), 0, 600.0)[:, None], faces)
    refused(tmp_path / "a.stl", "no unit")
    write_stl(tmp_path / "a.stl", patch.vertices * 5, patch.faces)  # one piece, too large
    refused(tmp_path / "a.stl", "no unit")


@pytest.mark.parametrize("name", ["anna_tooth_31", "LL1", "T31", "31", "crown", "anna_lower"])
def test_one_tooth_is_told_what_to_do(name: str, patch: Mesh, tmp_path: Path) -> None:
    write_stl(tmp_path / f"{name}.stl", patch.vertices / 4, patch.faces)
    said = refused(tmp_path / f"{name}.stl", "if it is one tooth, give a folder with a file per tooth", "try --unit cm")
    assert (said.index("one tooth") < said.index("--unit")) == (name != "anna_lower")
