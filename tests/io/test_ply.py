from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.formats.ply import read_ply, write_ply
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


SQUARE = [[0, 0, 0], [40, 0, 0.5], [40, 40, 0], [0, 40, 0.25]]
TWO = [[0, 1, 2], [0, 2, 3]]
END = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


def ply(format_name: str, elements: list[tuple[str, list[str], list[bytes]]], end: bytes = b"\n") -> bytes:
    """A file of elements: name, properties, and the bytes of each row."""
    lines = ["ply", f"format {format_name} 1.0", "comment \x85 M\xfcller end_header"]
    for name, properties, rows in elements:
        lines += [f"element {name} {len(rows)}", *(f"property {prop}" for prop in properties)]
    header = end.join(line.encode("latin-1") for line in [*lines, "end_header"]) + end
    return header + b"".join(row for _, _, rows in elements for row in rows)


def rows(values: list[list[float]], order: str, kind: str, length: str | None = None) -> list[bytes]:
    """Rows of numbers, with their count before them if ``length`` is its type; ``t`` as order for text."""
    if order == "t":
        return [(" ".join(map(str, ([len(row)] if length else []) + row)) + "\n").encode() for row in values]
    counts = [np.array(len(row), order + length).tobytes() if length else b"" for row in values]
    return [count + np.array(row, order + kind).tobytes() for count, row in zip(counts, values, strict=True)]


def square(order: str = "t", corner: str = "i4", length: str = "u1", end: bytes = b"\n", swap: bool = False) -> bytes:
    names = {"u1": "uchar", "i1": "int8", "i2": "short", "u2": "uint16", "i4": "int", "u4": "uint", "i8": "int64",
             "u8": "uint64"}  # fmt: skip
    format_name = {"t": "ascii", "<": "binary_little_endian", ">": "binary_big_endian"}[order]
    elements = [
        ("vertex", ["float x", "float y", "float z"], rows(SQUARE, order, "f4")),
        ("face", [f"list {names[length]} {names[corner]} vertex_indices"], rows(TWO, order, corner, length)),
    ]
    return ply(format_name, elements[::-1] if swap else elements, end)


def read_bytes(path: Path, data: bytes) -> tuple[list, list, tuple[str, ...]]:
    path.write_bytes(data)
    stored = read_ply(path)
    return stored.vertices.tolist(), stored.polygons.tolist(), stored.mended


@pytest.mark.parametrize("order", ["t", "<", ">"])
@pytest.mark.parametrize("end", END.values(), ids=END)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_marks_and_orders(order: str, end: bytes, swap: bool, mark: bytes, tmp_path: Path) -> None:
    said = ("a byte order mark",) * bool(mark) + ("lines that end in CR",) * (end == b"\r")
    assert read_bytes(tmp_path / "a.ply", mark + square(order, end=end, swap=swap)) == (SQUARE, TWO, said)


@pytest.mark.parametrize("end", END.values(), ids=END)
def test_a_body_may_begin_with_what_ends_a_line(end: bytes, tmp_path: Path) -> None:
    first = float(np.frombuffer(b"\n\n\r\n", "<f4")[0])
    body = [("vertex", ["float x", "float y", "float z"], rows([[first, 0, 0]], "<", "f4"))]
    assert read_bytes(tmp_path / "a.ply", ply("binary_little_endian", body, end))[0] == [[first, 0, 0]]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("length", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("corner", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_lists_of_any_width(order: str, length: str, corner: str, tmp_path: Path) -> None:
    assert read_bytes(tmp_path / "a.ply", square(order, corner, length)) == (SQUARE, TWO, ())


def test_text_of_many_kinds(tmp_path: Path) -> None:
    path, text = tmp_path / "a.ply", square()
    header, body = text[: text.index(b"end_header\n") + 11], text[text.index(b"end_header\n") + 11 :]
    assert read_bytes(path, header + body.replace(b".", b",")) == (SQUARE, TWO, ("decimal commas",))
    assert read_bytes(path, header.upper().replace(b"PLY", b"ply") + body)[:2] == (SQUARE, TWO)
    assert read_bytes(path, header.replace(b"vertex_indices", b"Vertex_Index") + body)[:2] == (SQUARE, TWO)
    assert read_bytes(path, header.replace(b"vertex_indices", b"corners") + body)[:2] == (SQUARE, TWO)
    assert read_bytes(path, text.replace(b"0.5", b"0.5\t\r") + b"\x1a") == (SQUARE, TWO, ())
    utf16 = text.decode("latin-1").encode("utf-16")
    assert read_bytes(path, utf16) == (SQUARE, TWO, ("UTF-16 text",))


@pytest.mark.parametrize("order", ["t", "<", ">"])
@pytest.mark.parametrize("kind", ["i4", "u4"])
def test_strips(order: str, kind: str, tmp_path: Path) -> None:
    points = [[x, y, 0.0] for x in range(10) for y in (0, 1)] + [[0, 9, 0], [1, 9, 0], [0, 8, 0]]
    stop = -1 if kind == "i4" or order == "t" else 2**32 - 1
    strips = [[0, 1, 2, 3, 4, stop, 20, 21, 22], [10, 11, 12, 13]]
    format_name = {"t": "ascii", "<": "binary_little_endian", ">": "binary_big_endian"}[order]
    word = {"i4": "int", "u4": "uint"}[kind]
    elements = [
        ("vertex", ["float x", "float y", "float z"], rows(points, order, "f4")),
        ("tristrips", [f"list int {word} vertex_indices"], rows(strips, order, kind, "i4")),
    ]
    vertices, polygons, _ = read_bytes(tmp_path / "a.ply", ply(format_name, elements))
    assert polygons == [[0, 1, 2], [2, 1, 3], [2, 3, 4], [20, 21, 22], [10, 11, 12], [12, 11, 13]]
    corners = np.array(vertices)[polygons[:3]]
    assert len(np.unique(np.sign(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]))) == 1
    elements.insert(1, ("face", ["list uchar int vertex_indices", "uchar flag"], rows([[5, 6, 7]], order, "i4", "u1")))
    elements[1][2][0] += b"1 " if order == "t" else b"\1"
    path = tmp_path / "both.ply"
    path.write_bytes(ply(format_name, elements))
    stored = read_ply(path)
    assert stored.polygons.tolist() == [[5, 6, 7], *polygons] and stored.face_data == {}


def test_a_face_of_more_corners_than_the_format_counts_is_refused(tmp_path: Path) -> None:
    corners = np.random.default_rng(0).normal(size=(300, 3))
    for count in (255, 256):
        faces, path = np.arange(count)[None], tmp_path / f"{count}.ply"
        if count == 255:
            write_ply(path, corners, faces, np.zeros(300, dtype=int), np.array([11]))
            assert read_ply(path).polygons.tolist() == faces.tolist()
        else:
            with pytest.raises(MeshError, match=r"at most 255 corners for PLY, found one of 256; write VTP instead"):
                write_ply(path, corners, faces, np.zeros(300, dtype=int), np.array([11]))
            assert not path.exists()


def test_one_endless_polygon_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    faces = rows([[0, 1, 2]] * 3000 + [[0] * 3000], "<", "i4", "u2")
    elements = [
        ("vertex", ["float x", "float y", "float z"], rows(SQUARE, "<", "f4")),
        ("face", ["list ushort int vertex_indices"], faces),
    ]
    with pytest.raises(MeshError, match="a row of `face` has 3000 entries, which is too many"):
        read_bytes(tmp_path / "a.ply", ply("binary_little_endian", elements))


@pytest.mark.parametrize("textured", [0, 1, 2000])
def test_lists_beside_the_corners_are_not_looked_at(textured: int, tmp_path: Path) -> None:
    corners, own = b"\x03" + np.array([0, 1, 2], "<i4").tobytes(), b"\x06" + np.full(6, 0.5, "<f4").tobytes()
    faces = [corners + own] * textured + [corners + b"\0"] * (2000 - textured)
    elements = [
        ("vertex", ["float x", "float y", "float z"], rows(SQUARE, "<", "f4")),
        ("face", ["list uchar int vertex_indices", "list uchar float texcoord"], faces),
    ]
    (tmp_path / "a.ply").write_bytes(ply("binary_little_endian", elements))
    assert read_ply(tmp_path / "a.ply").polygons.tolist() == [[0, 1, 2]] * 2000
