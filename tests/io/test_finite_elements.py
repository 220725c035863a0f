"""Surfaces of finite-element programs."""

from __future__ import annotations

from pathlib import Path

import meshio
import numpy as np
import pytest

import toothgraph as tg
from toothgraph.errors import MeshError
from toothgraph.mesh.mesh import Mesh

KINDS = {".vtu": {}, ".msh": {"file_format": "gmsh"}, ".mesh": {}}


@pytest.mark.parametrize("suffix", KINDS)
def test_the_surface_is_that_of_the_plain_file(arch: Mesh, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"arch_upper{suffix}"
    lines = [] if suffix == ".msh" else [("line", arch.faces[:5, :2])]  # meshio writes no two kinds there
    cells = [("triangle", arch.faces), *lines]
    meshio.write(path, meshio.Mesh(arch.vertices, cells), **KINDS[suffix])
    found = tg.read_mesh(path)
    np.testing.assert_allclose(found.corners, arch.corners, atol=1e-9)
    assert found.jaw == 0 and len(found.original.polygons) == len(arch.faces)


def test_quads_are_faces(tmp_path: Path) -> None:
    corners = np.array([[0, 0, 0], [40, 0, 0], [40, 30, 0], [0, 30, 0], [20, 15, 8]], dtype=float)
    cells = [("quad", np.array([[0, 1, 2, 3]])), ("triangle", np.array([[0, 1, 4]]))]
    meshio.write(tmp_path / "scan.vtu", meshio.Mesh(corners, cells))
    assert tg.read_mesh(tmp_path / "scan.vtu").original.polygons.tolist() == [[0, 1, 2, 3], [0, 1, 4, -1]]


def test_a_solid_is_refused(tmp_path: Path) -> None:
    corners = 30.0 * np.eye(4, 3)
    meshio.write(tmp_path / "scan.vtu", meshio.Mesh(corners, [("tetra", np.array([[0, 1, 2, 3]]))]))
    with pytest.raises(MeshError, match="expected a surface, found tetra"):
        tg.read_mesh(tmp_path / "scan.vtu")


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("content", [b"no mesh at all\n", b"\x00\xff" * 50, b"$MeshFormat\n2.2 0 8\n", b"<VTKFile>"])
def test_a_damaged_file_is_one_line(suffix: str, content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(content)
    with pytest.raises(MeshError) as error:
        tg.read_mesh(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    assert capfd.readouterr() == ("", "")
