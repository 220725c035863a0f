"""Files whose names say another format than their content."""

from __future__ import annotations

import gzip
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.formats.content import suffix_by_content
from toothgraph.io.formats.ply import write_ply
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.formats.stl import write_stl
from toothgraph.mesh.mesh import Mesh


def contents(mesh: Mesh, folder: Path) -> dict[str, bytes]:
    """A surface in each format that is read whatever its name says."""
    write_stl(folder / "own.stl", mesh.vertices, mesh.faces)
    write_ply(
        folder / "own.ply", mesh.vertices, mesh.faces, np.zeros(len(mesh.vertices), int), np.zeros(len(mesh.faces), int)
    )
    points = [" ".join(f"{number:.6f}" for number in point) for point in mesh.vertices]
    off = [f"{len(points)} {len(mesh.faces)} 0", *points, *(f"3 {a} {b} {c}" for a, b, c in mesh.faces)]
    facets = [
        " ".join(f"vertex {x:.6f} {y:.6f} {z:.6f}" for x, y, z in corners) for corners in mesh.vertices[mesh.faces]
    ]
    ascii_stl = "\n".join(f"facet normal 0 0 0 outer loop {facet} endloop endfacet" for facet in facets)
    obj = [*(f"v {point}" for point in points), *(f"f {a + 1} {b + 1} {c + 1}" for a, b, c in mesh.faces)]
    return {
        "binary STL": (folder / "own.stl").read_bytes(),
        "ASCII STL": f"solid scan\n{ascii_stl}\nendsolid\n".encode(),
        "PLY": (folder / "own.ply").read_bytes(),
        "OBJ": ("# by a scanner\nmtllib own.mtl\n" + "\n".join(obj)).encode(),
        "OFF": ("OFF\n" + "\n".join(off)).encode(),
    }


@pytest.mark.parametrize("kind", ["binary STL", "ASCII STL", "PLY", "OBJ", "OFF"])
@pytest.mark.parametrize("suffix", [".stl", ".ply", ".obj", ".off", ".vtp", ".glb"])
def test_content_wins_over_the_name(
    patch: Mesh, kind: str, suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = contents(patch, tmp_path)[kind]
    file = tmp_path / f"scan{suffix}"
    file.write_bytes(content)
    own = kind[-3:].lower()
    assert suffix_by_content(file) == f".{own}"
    with caplog.at_level(logging.INFO, "toothgraph"):
        stored = read_stored(file)
    assert len(stored.polygons) == len(patch.faces)
    assert np.isclose(np.ptp(stored.vertices, axis=0), np.ptp(patch.vertices, axis=0), atol=1e-4).all()
    said = f"mended on reading: {own.upper()} under a name that ends in {suffix}"
    assert (said in caplog.text) == (suffix != f".{own}")


def test_what_is_no_scan_is_named(patch: Mesh, tmp_path: Path) -> None:
    content = contents(patch, tmp_path)["binary STL"]
    (tmp_path / "packed.stl").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "archive.stl", "w") as archive:
        archive.writestr("scan.stl", content)
    (tmp_path / "page.stl").write_bytes(b"<!DOCTYPE html>\n<html><body>Sign in</body></html>")
    (tmp_path / "xml.ply").write_bytes(b'<?xml version="1.0"?>\n<VTKFile type="PolyData" version="0.1">')
    (tmp_path / "bare").write_bytes(content)
    (tmp_path / "own.dcm").write_bytes(b'<?xml version="1.0" encoding="UTF-8"?>\n<HPS version="1.1">\n')
    for name, said in {
        "packed.stl": "packed with gzip; give it a name such as scan_upper.stl.gz",
        "archive.stl": "a ZIP archive; give it a name that ends in .zip",
        "own.dcm": "3Shape's own format",
        "page.stl": "a web page and no scan; download it again",
        "xml.ply": "by its content it is VTP; give it a name that ends in .vtp",
        "bare": "by its content it is STL: give it a name that ends in .stl",
    }.items():
        with pytest.raises(MeshError, match=said):
            read_stored(tmp_path / name)


def test_a_file_of_letters_is_looked_at_once(tmp_path: Path) -> None:
    """Each of these lengths would be beyond waiting for, if the ways to read it were tried one by one."""
    (tmp_path / "a.stl").write_bytes(b"CN" * 90 + b"\nsome text\n")
    assert suffix_by_content(tmp_path / "a.stl") == ""
    (tmp_path / "b.stl").write_bytes(b"solid a" + b" " * 300_000 + b"b\nfacet normal 0 0 1\nvertex 0 0 0 0 1 2 3\n")
    with pytest.raises(MeshError):
        read_stored(tmp_path / "b.stl")


def test_what_tells_nothing_is_left_to_the_name(tmp_path: Path) -> None:
    for number, content in enumerate([b"", b"not a scan", bytes(200), "solid\n".encode("utf-16")]):
        file = tmp_path / f"{number}.stl"
        file.write_bytes(content)
        assert suffix_by_content(file) == ""
