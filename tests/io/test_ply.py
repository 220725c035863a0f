from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.formats.ply import read_ply
from toothgraph.io.read import read_mesh

HEADER = """ply
format {format} 1.0
comment a camera, a list between scalars, polygons of two sizes
element camera 1
property float focal
element vertex 5
property double x
property double y
property double z
property uchar red
element face 3
property uchar flag
property list uchar int vertex_index
property list uchar float texcoord
property short fdi
end_header
"""
VERTICES = [(0, 0, 0, 200), (1, 0, 0, 1), (1, 1, 0, 2), (0, 1, 0, 3), (0.5, 2.25, 0, 255)]
FACES = [(7, (0, 1, 2), (0.5,), 11), (8, (0, 1, 2, 3), (), -1), (200, (2, 4, 3), (0.5,), 300)]


def write(path: Path, format_name: str) -> Path:
    body = b""
    order = ">" if "big" in format_name else "<"

    def number(value: float, kind: str) -> bytes:
        if format_name == "ascii":
            return f"{value} ".encode()
        return np.array(value, order + kind).tobytes()

    body += number(1.5, "f4")
    for x, y, z, red in VERTICES:
        body += number(x, "f8") + number(y, "f8") + number(z, "f8") + number(red, "u1")
    for flag, corners, texture, fdi in FACES:
        body += number(flag, "u1") + number(len(corners), "u1") + b"".join(number(i, "i4") for i in corners)
        body += number(len(texture), "u1") + b"".join(number(u, "f4") for u in texture) + number(fdi, "i2")
    path.write_bytes(HEADER.format(format=format_name).encode() + body)
    return path


@pytest.mark.parametrize("format_name", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_every_property_is_read_in_file_order(format_name: str, tmp_path: Path) -> None:
    stored = read_ply(write(tmp_path / "a.ply", format_name))
    np.testing.assert_array_equal(stored.vertices, [row[:3] for row in VERTICES])
    np.testing.assert_array_equal(stored.polygons, [[0, 1, 2, -1], [0, 1, 2, 3], [2, 4, 3, -1]])
    np.testing.assert_array_equal(stored.vertex_data["red"], [200, 1, 2, 3, 255])
    np.testing.assert_array_equal(stored.face_data["flag"], [7, 8, 200])
    np.testing.assert_array_equal(stored.face_data["fdi"], [11, -1, 300])


@pytest.mark.parametrize("format_name", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_a_file_cut_anywhere_is_refused(format_name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ply", format_name)
    whole = path.read_bytes()
    start = whole.index(b"end_header\n") + len(b"end_header\n")
    for length in [*range(start, len(whole) - 3, 5)]:
        path.write_bytes(whole[:length])
        with pytest.raises(MeshError, match=r"a\.ply.*cut short"):
            read_ply(path)
    path.write_bytes(whole[: start - 20])
    with pytest.raises(MeshError, match="expected a PLY header"):
        read_ply(path)


def test_header_refusals(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ply", "ascii")
    text = path.read_text()
    for old, new, cause in [
        ("vertex 5", "vertex 4000000000", "4000000000 rows of `vertex`"),
        ("vertex 5", "vertex many", "element vertex many"),
        ("vertex 5", "point 5", "element vertex"),
        ("double y", "quad y", "property quad y"),
        ("ascii", "utf8", "found `utf8`"),
        ("0.5", "half", "expected numbers"),
        ("ply\n", "plo\n", "expected a PLY header"),
    ]:
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(MeshError, match=cause):
            read_ply(path)
    path = write(path, "binary_little_endian")
    path.write_bytes(path.read_bytes().replace(b"face 3", b"face 4000000000"))
    with pytest.raises(MeshError, match="4000000000 rows of `face`"):
        read_ply(path)


def test_ascii_indices_that_are_no_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ply", "ascii")
    text = path.read_text()
    body = "200 3 2 4 3 "
    assert body in text
    path.write_text(text.replace(body, "200 3 2 nan 3 "))
    assert read_ply(path).polygons[2].tolist() == [2, -2, 3, -1]
    with pytest.raises(MeshError, match="1 faces point outside"):
        read_mesh(path)
    path.write_text(text.replace(body, "200 nan 2 4 3 "))
    with pytest.raises(MeshError, match="cut short"):
        read_ply(path)
