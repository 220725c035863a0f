"""glTF and 3MF; files are written by trimesh itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.io.read import read_mesh
from toothgraph.mesh.mesh import Mesh

trimesh = pytest.importorskip("trimesh")


def write(path: Path, mesh: Mesh, colours: np.ndarray | None = None, shift: float = 0.0) -> Path:
    part = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=colours, process=False)
    scene = trimesh.Scene()
    scene.add_geometry(part, transform=trimesh.transformations.translation_matrix([shift, 0, 0]))
    scene.export(path)
    return path


@pytest.mark.parametrize("suffix", [".glb", ".3mf"])
def test_surface_where_the_scene_places_it(suffix: str, arch: Mesh, tmp_path: Path) -> None:
    mesh = read_mesh(write(tmp_path / f"x_lower{suffix}", arch, shift=5.0))
    assert mesh.jaw == 1 and len(mesh.faces) == len(arch.faces)
    np.testing.assert_allclose(mesh.corners, arch.corners + np.array([5.0, 0, 0]), atol=1e-4)


def test_colours_are_labels_with_a_palette(arch: Mesh, tmp_path: Path) -> None:
    tooth = np.zeros(len(arch.vertices), dtype=bool)
    tooth[arch.faces[arch.labels == 11]] = True
    file = write(tmp_path / "x_upper.glb", arch, np.where(tooth[:, None], [255, 0, 0, 255], [255, 255, 255, 255]))
    palette = tmp_path / "p.json"
    palette.write_text('{"p": {"background": [255, 255, 255], "upper": {"11": [255, 0, 0]}, "lower": {}}}')
    labels = read_scan(file, palette=load_palette(f"{palette}:p")).labels
    assert (labels[arch.labels == 11] == 11).all() and set(labels) == {0, 11}


@pytest.mark.parametrize("name", ["x.glb", "x.gltf", "x.3mf"])
@pytest.mark.parametrize("content", [b"no scene", b"glTF\x02\x00\x00\x00\xff\xff\xff\x7f", b"PK\x03\x04", b"{}"])
def test_what_is_no_scene_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MeshError, match=name):
        read_mesh(tmp_path / name)


def test_a_chunk_that_is_longer_than_the_file_is_refused(arch: Mesh, tmp_path: Path) -> None:
    file = write(tmp_path / "x_lower.glb", arch)
    content = bytearray(file.read_bytes())
    second = 20 + int.from_bytes(content[12:16], "little")  # behind the first chunk
    content[second : second + 4] = (4_000_000_000).to_bytes(4, "little")
    file.write_bytes(content)
    with pytest.raises(MeshError, match=r"expected a chunk of 4000000000 bytes, found \d+; was the file cut off"):
        read_mesh(file)


def test_without_trimesh_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.glb").write_bytes(b"glTF")
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(MeshError, match=r"toothgraph\[scene\]"):
        read_mesh(tmp_path / "x.glb")


def test_a_3mf_that_unpacks_to_too_much_is_refused(arch: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "x_lower.3mf", arch)
    monkeypatch.setattr("toothgraph.io.formats.gltf.UNPACKED", 1000)
    with pytest.raises(MeshError, match=r"unpacks to .* GB, more than the limit"):
        read_mesh(file)


def test_positions_that_are_no_points_are_refused(arch: Mesh, tmp_path: Path) -> None:
    file = write(tmp_path / "x_lower.glb", arch)
    file.write_bytes(file.read_bytes().replace(b"VEC3", b"VEC2"))
    with pytest.raises(MeshError, match=r"expected positions \[n, 3\] and triangles \[m, 3\], found \(\d+, 2\)"):
        read_mesh(file)


def changed(file: Path, change: Callable[[dict], None]) -> Path:
    """A GLB with another description."""
    data = file.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    content = json.loads(data[20 : 20 + length])
    change(content)
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    body = len(text).to_bytes(4, "little") + data[16:20] + text + data[20 + length :]
    file.write_bytes(data[:8] + (12 + len(body)).to_bytes(4, "little") + body)
    return file


def positions(content: dict) -> dict:
    return content["accessors"][content["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.update(extensionsRequired=["KHR_draco_mesh_compression"]), "KHR_draco_mesh_compres"),
        (lambda content: positions(content).update(sparse={"count": 1}), "sparse positions"),
        (lambda content: positions(content).update(normalized=True), "normalized positions"),
        (lambda content: content["meshes"][0]["primitives"][0].update(mode=6), "triangle fans"),
    ],
    ids=["Draco", "sparse", "normalized", "fan"],
)
def test_what_is_not_read_is_named(change: Callable[[dict], None], said: str, arch: Mesh, tmp_path: Path) -> None:
    file = write(tmp_path / "x_lower.glb", arch)
    read_mesh(changed(file, lambda content: content.update(extensionsRequired=["KHR_materials_unlit"])))
    with pytest.raises(MeshError, match=said):
        read_mesh(changed(file, change))
