"""OBJ as programs write it; only vertices and faces count."""

from __future__ import annotations

import logging
from pathlib import Path

import meshio
import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.formats.obj import read_obj
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.read import read_mesh
from toothgraph.mesh.mesh import Mesh

POINTS = ["v 0 0 0", "v 40 0 0", "v 40 40 0.25", "v 0 40 0.5"]
PLAIN = [*POINTS, "f 1 2 3", "f 1 3 4"]


def read(path: Path, lines: list[str] | bytes, end: str = "\n") -> tuple[list, list]:
    path.write_bytes(lines if isinstance(lines, bytes) else (end.join(lines) + end).encode("latin-1"))
    stored = read_obj(path)
    return stored.vertices.tolist(), stored.polygons.tolist()


SAME = {
    "texture of another count": [*POINTS, "vt 0 0", "f 1/1 2/1 3/1", "f 1/1 3/1 4/1"],
    "normals of another count": [*POINTS, "vn 0 0 1", "vn 0 1 0", "f 1//1 2//1 3//1", "f 1//2 3//2 4//2"],
    "all three": [*POINTS, "vt 0 0 0", "vt 1 0", "vn 0 0 1", "f 1/1/1 2/2/1 3/1/1", "f 1/2 3//1 4"],
    "relative": [*POINTS[:3], "vt 1 1", "f -3/-1 -2/-1 -1/-1", POINTS[3], "f -4 -2 -1"],
    "relative and not": [*POINTS[:3], "f 1 -2 3", POINTS[3], "f 1 3 -1"],
    "ahead": ["f 1 2 3", *POINTS, "f 1 3 4"],
    "continued": [*POINTS[:3], "v 0 \\", "40 0.5", "f 1 \\", "  2\\", " 3", "f\\", "1 3 4"],
    "continued behind blanks": [*POINTS, "f 1 2 \\  ", "3", "f 1 3 4"],
    "names": ["mtllib M\xfcller.mtl", "o \xc9\xcf\xb2\xa2", "g a", *POINTS, "usemtl v", "s 1", "f 1 2 3", "f 1 3 4"],
    "names that end in a backslash": ["# C:\\scans\\", "mtllib \xcf\\", *POINTS, "usemtl \\", "f 1 2 3", "f 1 3 4"],
    "comments": ["# v 1 2 3", *(f"{line} # v 7 / 8" for line in PLAIN[:5]), "f 1 3 4#", "#f 1 2 3"],
    "capitals": [line.upper() for line in [*POINTS, "vt 0 0", "f 1/1 2/1 \\", "3/1", "f 1 3 4"]],
    "indented": [f"  \t{line}".replace(" ", "\t ") for line in PLAIN],
    "with a weight": [f"{line} 1.0" for line in POINTS] + PLAIN[4:],
    "other elements": [*POINTS, "vp 0 1", "p 1", "l 1 2", "curv 0 1 1 2", "f 1 2 3", "f 1 3 4", "end", "\x1a"],
    "decimal commas": [line.replace(".", ",") for line in PLAIN],
    "commas between": [*POINTS[:2], "v 40, 40, 0.25", "v 0,40,0.5", *PLAIN[4:]],
    "not finite in C": [*POINTS, "v 1.#QNAN -1.#IND nan(ind)", *PLAIN[4:]],
}  # fmt: skip


@pytest.mark.parametrize("lines", SAME.values(), ids=SAME)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_only_vertices_and_faces_count(lines: list[str], end: str, tmp_path: Path) -> None:
    vertices, polygons = read(tmp_path / "a.obj", lines, end)
    assert vertices[:4] == [[0, 0, 0], [40, 0, 0], [40, 40, 0.25], [0, 40, 0.5]]
    assert polygons == [[0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings_with_a_mark(encoding: str, tmp_path: Path) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    text = "\r\n".join(["# Müller", *PLAIN])
    assert read(tmp_path / "a.obj", mark + text.encode(encoding)) == read(tmp_path / "b.obj", PLAIN)


def test_polygons_keep_their_order(tmp_path: Path) -> None:
    _, polygons = read(tmp_path / "a.obj", [*POINTS, "f 1 2 3", "f 1 2 3 4", "f 1 2", "f 4/1 3/2 2/3"])
    assert polygons == [[0, 1, 2, -1], [0, 1, 2, 3], [0, 1, -1, -1], [3, 2, 1, -1]]


def test_colours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.obj"
    read(path, ["v 0 0 0 1 0 0.5", "v 1 0 0 0 0 0", "v 0 1 0 0 0.2 0", "f 1 2 3"])
    data = read_obj(path).vertex_data
    assert [data[name].tolist() for name in ("red", "green", "blue")] == [[255, 0, 0], [0, 0, 51], [128, 0, 0]]
    read(path, ["v 0 0 0 200 9 7", "v 1 0 0", "v 0 1 0 1 2 3", "f 1 2 3"])
    caplog.set_level(logging.INFO, "toothgraph")
    data = read_stored(path).vertex_data
    assert [data[name].tolist() for name in ("red", "green", "blue")] == [[200, 255, 1], [9, 255, 2], [7, 255, 3]]
    assert caplog.messages == ["a.obj: mended on reading: 1 vertices without a colour count as white"]


def test_what_was_mended_is_told_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "toothgraph")
    path = tmp_path / "a.obj"
    path.write_bytes(b"\xef\xbb\xbf" + "\r".join(SAME["decimal commas"]).encode())
    read_stored(path)
    path.write_text("\n".join(SAME["relative"]) + "\n")  # as the format has it
    read_stored(path)
    assert caplog.messages == ["a.obj: mended on reading: a byte order mark, lines that end in CR, decimal commas"]


def test_many_lines_and_long_ones(patch: Mesh, tmp_path: Path) -> None:
    """More than one piece of text, and a line longer than one; relative corners count over all of them."""
    path, copies = tmp_path / "a.obj", 20
    lines = [f"# {'x' * 2_100_000}"]
    for _ in range(copies):
        lines += [f"v {x} {y} {z}" for x, y, z in patch.vertices]
        lines += [f"f {a} {b} {c}" for a, b, c in patch.faces - len(patch.vertices)]
    vertices, polygons = read(path, lines)
    np.testing.assert_array_equal(vertices, np.tile(patch.vertices, (copies, 1)))
    shift = np.repeat(np.arange(copies), len(patch.faces))[:, None] * len(patch.vertices)
    np.testing.assert_array_equal(polygons, np.tile(patch.faces, (copies, 1)) + shift)


def test_it_agrees_with_meshio(patch: Mesh, tmp_path: Path) -> None:
    meshio.Mesh(patch.vertices, [("triangle", patch.faces)]).write(tmp_path / "a.obj")
    theirs, ours = meshio.read(tmp_path / "a.obj"), read_obj(tmp_path / "a.obj")
    np.testing.assert_array_equal(ours.vertices, theirs.points)
    np.testing.assert_array_equal(ours.polygons, theirs.cells[0].data)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([*POINTS, "f 1 2 9"], "1 faces point outside its 4 vertices"),
        ([*POINTS, "f 0 1 2"], "count vertices from 1, or from the last one as -1, found 0"),
        ([*POINTS, "f 1 2 2.5"], "count vertices from 1.* found 2.5"),
        ([*POINTS, "f -5 -2 -1"], "counts back beyond the first vertex"),
        ([*POINTS, "f 1 2 three"], "faces: expected numbers, found `three`"),
        ([*POINTS, "v 1 2 x", "f 1 2 3"], "vertices: expected numbers, found `x`"),
        ([*POINTS, "v 1 2\0 3", "f 1 2 3"], "vertices: expected numbers"),
        ([*POINTS, "v 1 2\x01\x01", "f 1 2 3"], "vertices: expected numbers"),
        ([*POINTS, "v 1 2", "f 1 2 3"], "three coordinates per vertex, found 2"),
        ([*POINTS, "f 1 2 3", "f"], "three vertices or more, found one of none"),
        ([*POINTS, *["f 1 2 3"] * 2000, "f" + " 1" * 1000], "has 1000 corners, which is too many"),
        (POINTS, "4 points without faces"),
        ([*POINTS, "f 1 2 99999999999999999999"], "point outside its 4 vertices"),
    ],
)  # fmt: skip
def test_refusals(lines: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("\n".join(lines) + "\n")
    with pytest.raises(MeshError, match=said) as caught:
        read_mesh(tmp_path / "a.obj")
    assert "\n" not in str(caught.value)
