from __future__ import annotations

from pathlib import Path

import meshio
import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.find import find_scans
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.formats.stl import read_stl, write_stl
from toothgraph.io.formats.tooth_folder import is_tooth_folder, number_of, write_tooth_folder
from toothgraph.io.labels import read_scan
from toothgraph.mesh.mesh import Mesh


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("11.stl", 11), ("48.STL", 48), ("tooth_36.stl", 36), ("Tooth 21.stl", 21), ("FDI-17.stl", 17),
        ("gingiva.stl", 0), ("Gum.stl", 0), ("gums.stl", 0), ("unknown.stl", -1),
        ("51.stl", 51), ("Tooth_85.stl", 85), ("56.stl", None), ("91.stl", None),
        ("19.stl", None), ("110.stl", None), ("patient_11.stl", None), ("base.stl", None),
        ("11.ply", 11), ("Tooth_36.OBJ", 36), ("gingiva.ply", 0), ("11.off", None), ("11.txt", None),
    ],
)  # fmt: skip
def test_names(name: str, number: int | None) -> None:
    assert number_of(Path(name)) == number


def by_number(mesh: Mesh) -> dict[int, set[bytes]]:
    """The triangles of each number."""
    assert mesh.labels is not None
    corners = mesh.corners.astype(np.float32)
    return {fdi: {face.tobytes() for face in corners[mesh.labels == fdi]} for fdi in np.unique(mesh.labels).tolist()}


def test_it_reads_back_equal(arch: Mesh, tmp_path: Path) -> None:
    labels = arch.labels.copy()
    labels[:7] = -1
    folder = tmp_path / "x_upper.teeth"
    write_tooth_folder(folder, arch.vertices, arch.faces, labels)
    mesh = read_scan(folder)
    assert by_number(mesh) == by_number(arch.with_labels(labels))
    assert (mesh.jaw, mesh.scan_id, len(mesh.faces)) == (0, "x_upper", len(arch.faces))
    # parts touch at shared corners: the surface is one again
    assert len(mesh.vertices) == len(np.unique(arch.vertices.astype(np.float32), axis=0))


def test_it_is_one_scan_among_others(arch: Mesh, tmp_path: Path) -> None:
    write_tooth_folder(tmp_path / "a" / "case", arch.vertices, arch.faces, arch.labels)
    write_stl(tmp_path / "a" / "11.stl", arch.vertices, arch.faces)  # patient 11, no tooth
    write_stl(tmp_path / "b.stl", arch.vertices, arch.faces)
    assert find_scans([tmp_path]) == [tmp_path / "a" / "11.stl", tmp_path / "a" / "case", tmp_path / "b.stl"]
    assert find_scans([tmp_path / "a" / "case"]) == [tmp_path / "a" / "case"]
    assert not is_tooth_folder(tmp_path / "a") and not is_tooth_folder(tmp_path / "b.stl")


def test_files_beside_it_say_nothing(arch: Mesh, tmp_path: Path) -> None:
    write_tooth_folder(tmp_path / "x.teeth", arch.vertices, arch.faces, arch.labels)
    (tmp_path / "x.txt").write_text("0\n" * len(arch.faces))
    assert set(read_scan(tmp_path / "x.teeth").labels) == set(arch.labels)


def test_what_is_gone_is_removed(arch: Mesh, tmp_path: Path) -> None:
    write_tooth_folder(tmp_path, arch.vertices, arch.faces, arch.labels)
    (tmp_path / "notes.txt").write_text("mine")
    write_tooth_folder(tmp_path, arch.vertices, arch.faces, np.where(arch.labels == 11, 21, 0))
    assert {path.name for path in tmp_path.iterdir()} == {"gingiva.stl", "21.stl", "notes.txt"}
    write_tooth_folder(tmp_path, arch.vertices, arch.faces, np.full(len(arch.faces), 21))
    assert set(read_scan(tmp_path).labels) == {21}  # with a gingiva of no faces


@pytest.mark.parametrize("suffix", ["ply", "obj"])
@pytest.mark.parametrize("mixed", [False, True])
def test_parts_of_other_formats(suffix: str, mixed: bool, arch: Mesh, tmp_path: Path) -> None:
    write_tooth_folder(tmp_path, arch.vertices, arch.faces, arch.labels)
    for file in list(tmp_path.iterdir()):
        if not mixed or file.stem != "gingiva":
            part = read_stl(file)
            meshio.Mesh(part.vertices, [("triangle", part.polygons)]).write(file.with_suffix(f".{suffix}"))
            file.unlink()
    assert find_scans([tmp_path]) == [tmp_path]
    assert by_number(read_scan(tmp_path)) == by_number(arch)
    write_tooth_folder(tmp_path, arch.vertices, arch.faces, np.full(len(arch.faces), 21))
    assert (tmp_path / f"11.{suffix}").exists()  # not ours: nothing that is not an STL is removed


def test_polygons_of_many_sizes_and_what_was_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    points = "v 0 0 0\nv 40 0 0\nv 40 40 0\nv 0 40 0\n"
    (tmp_path / "gingiva.obj").write_bytes(points.replace("\n", "\r").encode() + b"f 1 2 3 4\r")
    (tmp_path / "11.obj").write_text(points + "f 1 2 3\n")
    caplog.set_level("INFO", "toothgraph")
    stored = read_stored(tmp_path)
    assert stored.polygons.tolist() == [[0, 1, 2, -1], [4, 5, 6, 7]]
    assert caplog.messages == [f"{tmp_path.name}: mended on reading: gingiva.obj: lines that end in CR"]


@pytest.mark.parametrize("name", ["gingiva.stl", "gum.ply"])
def test_a_gingiva_file_of_no_bytes_marks_a_folder(name: str, arch: Mesh, tmp_path: Path) -> None:
    write_tooth_folder(tmp_path, arch.vertices, arch.faces, arch.labels)
    (tmp_path / "gingiva.stl").unlink()
    (tmp_path / name).touch()
    assert set(read_scan(tmp_path).labels.tolist()) == set(arch.labels.tolist()) - {0}


def test_no_tooth_at_all(arch: Mesh, tmp_path: Path) -> None:
    for folder in (tmp_path / "x.teeth", tmp_path / "x"):
        write_tooth_folder(folder, arch.vertices, arch.faces, np.zeros(len(arch.faces), dtype=int))
    assert find_scans([tmp_path]) == [tmp_path / "x" / "gingiva.stl", tmp_path / "x.teeth"]
    assert set(read_scan(tmp_path / "x.teeth").labels) == {0}


def test_bad_folders(arch: Mesh, tmp_path: Path) -> None:
    write_tooth_folder(tmp_path / "x", arch.vertices, arch.faces, arch.labels)
    write_stl(tmp_path / "x" / "tooth_11.stl", arch.vertices, arch.faces)
    with pytest.raises(MeshError, match="second file for 11"):
        read_scan(tmp_path / "x")
    (tmp_path / "x" / "tooth_11.stl").unlink()
    (tmp_path / "x" / "11.stl").write_bytes(b"")
    with pytest.raises(MeshError, match=r"11\.stl"):
        read_scan(tmp_path / "x")


def test_a_crown_without_its_gingiva_is_told_what_it_lacks(tmp_path: Path) -> None:
    corners = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0], [0, 0, 8]], dtype=float)
    write_stl(tmp_path / "31.stl", corners, np.array([[0, 1, 2], [0, 1, 3]]))
    with pytest.raises(MeshError, match=r"if it is one tooth, give a folder .* a gingiva\.stl.*; else try"):
        read_scan(tmp_path / "31.stl")
    meshio.Mesh(corners, [("triangle", np.array([[0, 1, 2], [0, 1, 3]]))]).write(tmp_path / "32.ply")
    with pytest.raises(MeshError, match=r"if it is one tooth, give a folder .*; else try"):
        read_scan(tmp_path / "32.ply")
    (tmp_path / "31.stl").rename(tmp_path / "scan.stl")
    with pytest.raises(MeshError, match="expected a scan of 15 to 150 mm"):
        read_scan(tmp_path / "scan.stl")


def test_milk_teeth_read_back_and_leave_no_file_behind(arch: Mesh, tmp_path: Path) -> None:
    assert arch.labels is not None
    milk = np.where(arch.labels == 15, 55, np.where(arch.labels == 24, 64, arch.labels))
    folder = tmp_path / "child_upper.teeth"
    write_tooth_folder(folder, arch.vertices, arch.faces, milk)
    assert by_number(read_scan(folder, primary=True)) == by_number(arch.with_labels(milk))
    write_tooth_folder(folder, arch.vertices, arch.faces, arch.labels)
    assert by_number(read_scan(folder)) == by_number(arch)


def test_scans_beside_the_parts_are_told(arch: Mesh, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert arch.labels is not None
    write_tooth_folder(tmp_path / "case", arch.vertices, arch.faces, arch.labels)
    write_stl(tmp_path / "case" / "lower.stl", arch.vertices, arch.faces)
    assert find_scans([tmp_path]) == [tmp_path / "case"]
    assert "is read as one scan" in caplog.text and "not read: lower.stl" in caplog.text


def test_the_name_of_a_folder_may_have_full_stops(arch: Mesh, tmp_path: Path) -> None:
    assert arch.labels is not None
    write_tooth_folder(tmp_path / "2023.05.01_upper", arch.vertices, arch.faces, arch.labels)
    scan = read_scan(tmp_path / "2023.05.01_upper")
    assert (scan.scan_id, scan.jaw) == ("2023.05.01_upper", 0)
