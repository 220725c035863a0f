"""STL as programs write it, as text and binary."""

from __future__ import annotations

import logging
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.formats.stl import read_stl, write_stl
from toothgraph.mesh.mesh import Mesh

CORNERS = np.array([[[0, 0, 0], [40, 0, 0.5], [0, 40, 0.25]], [[40, 0, 0.5], [40, 40, 0], [0, 40, 0.25]]])


def facets(corners: np.ndarray = CORNERS) -> str:
    return "".join(
        "facet normal 0 0.0 1.0\n outer loop\n"
        + "".join(f"  vertex {x} {y} {z}\n" for x, y, z in face)
        + " endloop\nendfacet\n"
        for face in corners.tolist()
    )


TEXT = f"solid scan\n{facets()}endsolid scan\n"
SAME = {
    "capitals": TEXT.upper(),
    "mixed case": TEXT.title(),
    "end facet": re.sub("end(?=[lfs])", "end ", TEXT),
    "END  FACET": re.sub("end(?=[lfs])", "end  ", TEXT).upper(),
    "no name": TEXT.replace(" scan", ""),
    "a long name": TEXT.replace("scan", "scan " * 3000),
    "a name of keywords": TEXT.replace("scan", "facet normal vertex 1 2 3 endfacet"),
    "a name with zeros in it": TEXT.replace("solid scan", "solid s\0c\0a\0n\0", 1),
    "decimal commas": TEXT.replace(".", ","),
    "commas between": re.sub("(vertex .*) (.*) (.*)", r"\1, \2, \3", TEXT),
    "several solids": f"solid a\n{facets(CORNERS[:1])}endsolid a\n\nsolid b\n{facets(CORNERS[1:])}endsolid b\n",
    "tabs": TEXT.replace(" ", "\t"),
    "one line": " ".join(TEXT.split()),
    "a line per facet": re.sub(r"\n +|(?<=endloop)\n", " ", TEXT),
    "no endsolid": TEXT.replace("endsolid scan\n", ""),
    "no solid": facets(),
    "colours between": TEXT.replace("endfacet\n", "endfacet\ncolor 1 0 0\n"),
    "normals that are none": TEXT.replace("normal 0 0.0 1.0", "normal -nan(ind) 1.#QNAN x"),
}  # fmt: skip


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_texts(text: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "a.stl"
    path.write_bytes(text.replace("\n", end).encode())
    stored = read_stl(path)
    np.testing.assert_array_equal(stored.vertices[stored.polygons], CORNERS)
    assert len(stored.vertices) == 4


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "gbk"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    name = {"gbk": "上颌"}.get(encoding, "Müller Größe")
    (tmp_path / "a.stl").write_bytes(TEXT.replace("scan", name).encode(encoding))
    stored = read_stl(tmp_path / "a.stl")
    np.testing.assert_array_equal(stored.vertices[stored.polygons], CORNERS)


def test_what_was_mended_in_a_text_is_told_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "toothgraph")
    for number, name in enumerate(("END  FACET", "one line", "no endsolid", "capitals", "several solids")):
        (tmp_path / f"{number}.stl").write_text(SAME[name])
        read_stored(tmp_path / f"{number}.stl")
    assert caplog.messages == [
        "0.stl: mended on reading: `end facet` in two words",
        "1.stl: mended on reading: several keywords in one line",
        "2.stl: mended on reading: no `endsolid` at the end",
    ]


def test_facets_of_more_corners(tmp_path: Path) -> None:
    square = np.array([[0, 0, 0], [40, 0, 0], [40, 40, 0], [0, 40, 0]])
    (tmp_path / "a.stl").write_text("solid\n" + facets(CORNERS[:1]) + facets(square[None]) + "endsolid\n")
    polygons = read_stl(tmp_path / "a.stl").polygons
    assert (polygons >= 0).sum(axis=1).tolist() == [3, 4]


def test_text_over_many_pieces(patch: Mesh, tmp_path: Path) -> None:
    corners = np.tile(patch.corners, (5, 1, 1))
    (tmp_path / "a.stl").write_text(f"solid\n{facets(corners)}endsolid\n")
    stored = read_stl(tmp_path / "a.stl")
    assert (tmp_path / "a.stl").stat().st_size > 2 << 20
    np.testing.assert_array_equal(stored.vertices[stored.polygons], corners)


def test_a_text_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.stl"
    closed = [match.end() for match in re.finditer("endfacet", TEXT)]
    for length in range(len("solid scan\nfacet"), len(TEXT)):
        path.write_text(TEXT[:length])
        try:
            stored = read_stl(path)
        except MeshError as error:
            assert "a.stl" in str(error) and "\n" not in str(error)
        else:  # whole facets
            whole = sum(length >= end for end in closed)
            assert length < closed[0] + 6 or whole == 2
            np.testing.assert_array_equal(stored.vertices[stored.polygons], CORNERS[:whole])


def binary(patch: Mesh, path: Path, count: int | None = None, header: bytes = b"", behind: bytes = b"") -> Path:
    write_stl(path, patch.vertices, patch.faces)
    data = bytearray(path.read_bytes())
    data[:80] = header.ljust(80)
    if count is not None:
        data[80:84] = struct.pack("<I", count)
    path.write_bytes(bytes(data) + behind)
    return path


@pytest.mark.parametrize(
    ("count", "header", "behind", "said"),
    [
        (0, b"", b"", ["a header of 0 faces, where 3200 are in the file"]),
        (0xFFFFFFFF, b"", b"", ["a header of 4294967295 faces, where 3200 are in the file"]),
        (0x20202020, b"", b"", ["a header of 538976288 faces, where 3200 are in the file"]),
        (1, b"", b"", ["a header of 1 faces, where 3200 are in the file"]),
        (0, b"", b"tail", ["a header of 0 faces, where 3200 are in the file", "4 bytes behind the last face"]),
        (None, b"", b"made by a scanner", ["17 bytes behind the last face"]),
        (None, b"", b"made by a scanner".ljust(50), ["50 bytes behind the last face"]),
        (None, b"", bytes(100_000), ["100000 bytes behind the last face"]),
        (None, b"solid facet normal 0 0 1 outer loop vertex", b"", []),
        (None, b"solid facet normal", b"\0", ["1 bytes behind the last face"]),
        (0, b"solid x\nfacet normal 0 0 1\nouter loop\n", b"", ["a header of 0 faces, where 3200 are in the file"]),
    ],
)  # fmt: skip
def test_the_size_decides(
    count: int | None, header: bytes, behind: bytes, said: list[str], patch: Mesh, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO, "toothgraph")
    stored = read_stored(binary(patch, tmp_path / "a.stl", count, header, behind))
    np.testing.assert_array_equal(stored.vertices[stored.polygons], patch.corners.astype(np.float32))
    assert caplog.messages == ([f"a.stl: mended on reading: {', '.join(said)}"] if said else [])


@pytest.mark.parametrize("normal", [(0, 0, 7), (np.nan, np.inf, 1e30)])
def test_normals_do_not_matter(normal: tuple[float, ...], patch: Mesh, tmp_path: Path) -> None:
    path = binary(patch, tmp_path / "a.stl", count=0)
    data = np.fromfile(path, np.uint8)
    data[84:].reshape(-1, 50)[:, :12] = np.array(normal, "<f4").view(np.uint8)
    data.tofile(path)
    assert len(read_stl(path).polygons) == len(patch.faces)


def test_binary_refusals(patch: Mesh, tmp_path: Path) -> None:
    path = binary(patch, tmp_path / "a.stl")
    path.write_bytes(path.read_bytes()[: 84 + 50 * 3000])  # whole faces, and fewer than promised
    with pytest.raises(MeshError, match=r"promises 3200 faces .* cut short"):
        read_stl(path)
    path.write_bytes(bytes(80) + b"\xff" * 4 + np.random.default_rng(0).bytes(5000))  # no faces at all
    with pytest.raises(MeshError, match="promises 4294967295 faces"):
        read_stl(path)


def test_binary_files_that_were_joined(patch: Mesh, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As by `cat gingiva.stl teeth.stl`: half of the scan would be lost."""
    caplog.set_level(logging.INFO, "toothgraph")
    one = binary(patch, tmp_path / "a.stl").read_bytes()
    (tmp_path / "b.stl").write_bytes(one + one + b"tail")
    stored = read_stored(tmp_path / "b.stl")
    corners = patch.corners.astype(np.float32)
    np.testing.assert_array_equal(stored.vertices[stored.polygons], np.concatenate([corners, corners]))
    assert caplog.messages == [
        "b.stl: mended on reading: 2 binary files, one behind the other, 4 bytes behind the last face"
    ]
