from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.formats.registry import read_stored

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]])
FACES = "3 0 1 2\n3 0 2 3\n"


def written(path: Path, head: str, vertices: str, faces: str = FACES) -> Path:
    (path / "a.off").write_text(head + vertices + faces)
    return path / "a.off"


def rows(*columns: np.ndarray) -> str:
    return "".join(" ".join(f"{value:g}" for value in row) + "\n" for row in np.hstack([SQUARE, *columns]))


@pytest.mark.parametrize("head", ["OFF\n4 2 0\n", "OFF 4 2 5\n", "4 2 0\n", "# by hand\nOFF # so\n\n4 2 0\n"])
def test_plain(head: str, tmp_path: Path) -> None:
    stored = read_stored(written(tmp_path, head, rows()))
    np.testing.assert_array_equal(stored.vertices, SQUARE)
    np.testing.assert_array_equal(stored.polygons, [[0, 1, 2], [0, 2, 3]])
    assert not stored.vertex_data and not stored.face_data


COLOURS = np.array([[0, 128, 255], [1, 2, 3], [255, 255, 0], [7, 8, 9]])


@pytest.mark.parametrize("kind", ["COFF", "CNOFF", "STCNOFF", "STCOFF", "NOFF", "STOFF"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("shares", [False, True])
def test_what_stands_behind_the_coordinates(kind: str, alpha: bool, shares: bool, tmp_path: Path) -> None:
    colour = COLOURS / 255 if shares else COLOURS
    parts = {"N": np.tile([0, 0, 1], (4, 1)), "C": np.hstack([colour, np.ones((4, 1))]) if alpha else colour}
    columns = [parts[letter] for letter in "NC" if letter in kind.replace("OFF", "")]
    if kind.startswith("ST"):
        columns.append(np.full((4, 2), 0.5))
    vertices = "".join(" ".join(repr(float(v)) for v in row) + "\n" for row in np.hstack([SQUARE, *columns]))
    stored = read_stored(written(tmp_path, f"{kind}\n4 2 0\n", vertices))
    np.testing.assert_array_equal(stored.vertices, SQUARE)
    if "C" in kind:
        found = np.stack([stored.vertex_data[name] for name in ("red", "green", "blue")], axis=1)
        np.testing.assert_array_equal(found, COLOURS)
    else:
        assert not stored.vertex_data


def test_polygons_of_any_size_and_face_colours(tmp_path: Path) -> None:
    faces = "4 0 1 2 3 255 0 0\n3 0 1 2 0 0 10\n"
    stored = read_stored(written(tmp_path, "OFF\n4 2 0\n", rows(), faces))
    np.testing.assert_array_equal(stored.polygons, [[0, 1, 2, 3], [0, 1, 2, -1]])
    assert stored.face_data["red"].tolist() == [255, 0] and stored.face_data["blue"].tolist() == [0, 10]
    index_into_a_map = read_stored(written(tmp_path, "OFF\n4 2 0\n", rows(), "3 0 1 2 5\n3 0 2 3 7\n"))
    assert not index_into_a_map.face_data


@pytest.mark.parametrize(("text", "said"), [
    ("OFF BINARY\n4 2 0\n", "as text"),
    ("4OFF\n4 2 0\n", "three dimensions, found 4OFF"),
    ("nOFF\n3\n4 2 0\n", "three dimensions, found nOFF"),
    ("OFF\nmany\n", "counts"),
    ("OFF\n-4 2 0\n" + rows() + FACES, "counts"),
    ("OFF\n4000000000 2 0\n" + rows() + FACES, "promises 4000000000 vertices"),
    ("OFF\n4 9 0\n" + rows() + FACES, "cut short"),
    ("OFF\n4 2 0\n0 0 0\n1 0\n1 1 0\n0 1 0\n" + FACES, "vertices"),
    ("NOFF\n4 2 0\n" + rows() + FACES, "expected 6 numbers"),
    ("OFF\n4 2 0\n" + rows() + "3 0 1 2\n3 0 2\n", "a line of another length"),
    ("OFF\n4 2 0\n" + rows() + "3 0 1 2\n3 0 2 9\n", "found 9 in a face"),
    ("OFF\n4 2 0\n" + rows() + "3 0 1 2\n3 0 -2 3\n", "found -2 in a face"),
    ("OFF\n4 2 0\n" + rows() + "3 0 1 2\n3 a b c\n", "expected faces"),
])  # fmt: skip
def test_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.off").write_text(text)
    with pytest.raises(MeshError, match=said):
        read_stored(tmp_path / "a.off")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_as_programs_write_it(encoding: str, end: str, tmp_path: Path) -> None:
    lines = ["OFF", "# Müller, 1,5 mm", "3 1 0", "0 0 0,5", "40,25 0 0", "0 40 0 # é", "3 0 1 2", ""]
    (tmp_path / "a.off").write_bytes(end.join(lines).encode(encoding))
    stored = read_stored(tmp_path / "a.off")
    assert stored.vertices.tolist() == [[0, 0, 0.5], [40.25, 0, 0], [0, 40, 0]]
    assert stored.polygons.tolist() == [[0, 1, 2]] and "decimal commas" in stored.mended


def test_one_endless_polygon_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    faces = "3 0 1 2\n" * 3000 + "3000" + " 0" * 3000
    (tmp_path / "a.off").write_text(f"OFF\n3 3001 0\n0 0 0\n40 0 0\n0 40 0\n{faces}\n")
    with pytest.raises(MeshError, match="a polygon has 3000 corners, which is too many; export the scan again"):
        read_stored(tmp_path / "a.off")
