"""OBJ files: only vertices (``v``, with colours) and faces (``f``) are read.

Format: Wavefront, "Object Files (.obj)", appendix B1 of the Advanced Visualizer manual; colours after the coordinates
of a vertex, as many scanners write them.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from toothgraph.errors import MeshError
from toothgraph.io.formats.text import Lines, blocks, lines_of, numbers_of_lines, plain_text
from toothgraph.mesh.stored import Stored, polygons_from

# Lines of vertices and faces that continue on the next line after a backslash. Lines of names are left alone: in some
# encodings, the last byte of a letter is a backslash.
_CONTINUED = re.compile(rb"^ *[vVfF](?=[ \\])(?:[^\n\\#]*\\ *\n)+", re.MULTILINE)
_COMMENT = re.compile(rb"(?<!\.)#[^\n]*")  # except in a number like 1.#QNAN
_WHITE = 255.0  # colour of vertices without a colour if other vertices have one


def read_obj(path: Path) -> Stored:
    """Read the vertices and faces of an OBJ file, see :func:`obj_from_bytes`."""
    return obj_from_bytes(path, path.read_bytes())


def obj_from_bytes(path: Path, data: bytes) -> Stored:
    """The vertices and faces of an OBJ file.

    Colours of vertices become columns ``red``, ``green`` and ``blue``, 0 to 255.

    Args:
        path: the file, for messages.
        data: the content of the file.

    Raises:
        MeshError: if a vertex has fewer than three coordinates, or a face names no vertex.
    """
    # 1. The numbers in lines of vertices and of faces, and for each face how many vertices stand before it in the file.
    text, mended = plain_text(data)
    if b"\\" in text:
        text = _CONTINUED.sub(lambda line: re.sub(rb"\\ *\n", b" ", line[0]), text)
    vertices, faces, before = _Rows(path, "vertices"), _Rows(path, "faces"), [np.zeros(0, dtype=np.int64)]
    so_far = 0
    for block in blocks(text):
        lines = lines_of(block)
        is_vertex, is_face = (_named(lines, name) for name in (b"v", b"f"))
        vertices.add(lines.pick(is_vertex, skip=1))
        faces.add(_first_indices(lines.pick(is_face, skip=1)))
        before.append(so_far + np.cumsum(is_vertex)[is_face])
        so_far += np.count_nonzero(is_vertex)
    # 2. Coordinates, colours and polygons from these numbers.
    points, vertex_data, said = _vertices(path, *vertices.all())
    polygons = _faces(path, *faces.all(), np.concatenate(before))
    mended += [*vertices.mended, *faces.mended, *said]
    return Stored(points, polygons, vertex_data, mended=tuple(dict.fromkeys(mended)))


class _Rows:
    """Rows of numbers, collected from pieces of text."""

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what, self.mended = path, what, list[str]()
        self._values, self._counts = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]

    def add(self, text: bytes) -> None:
        """Add the numbers of some lines; comments at the end of a line are ignored."""
        try:
            values, counts, mended = numbers_of_lines(_COMMENT.sub(b"", text) if b"#" in text else text)
        except ValueError as error:
            raise MeshError(f"{self.path}: cannot be read as OBJ: {self.what}: {error}; export it again") from None
        self._values.append(values)
        self._counts.append(counts)
        self.mended += mended

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of all rows in one array, and the count of numbers in each row."""
        return np.concatenate(self._values), np.concatenate(self._counts)


def _named(lines: Lines, name: bytes) -> np.ndarray:
    """Whether the first word of each line [L] is the single letter ``name``."""
    behind = np.minimum(lines.first + 1, len(lines.content) - 1)
    return lines.begin_with(name) & (lines.content[behind] <= 0x20)


def _first_indices(text: bytes) -> bytes:
    """Lines of faces without the indices after a slash, which are of texture and normals."""
    if b"/" not in text:
        return text
    content = np.frombuffer(text, np.uint8)
    place = np.arange(len(content))
    slash, blank = (np.maximum.accumulate(np.where(found, place, -1)) for found in (content == 0x2F, content <= 0x20))
    return np.where(slash > blank, np.uint8(0x20), content).tobytes()


def _vertices(
    path: Path, values: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray], list[str]]:
    """The coordinates [V, 3], the columns of colours, and what was mended, in words."""
    if (counts < 3).any():
        raise MeshError(f"{path}: expected three coordinates per vertex, found {counts.min()}; export again")
    start = (np.cumsum(counts) - counts)[:, None]
    points = values[start + np.arange(3)]
    coloured = counts >= 6
    if not coloured.any():
        return points, {}, []
    rgb = values[start[coloured] + np.arange(3, 6)]
    colours = np.full(points.shape, _WHITE)
    colours[coloured] = np.rint(rgb * (255.0 if rgb.max() <= 1.0 else 1.0))
    bare = int(np.count_nonzero(~coloured))
    said = [f"{bare} vertices without a colour count as white"] * (bare > 0)
    return points, dict(zip(("red", "green", "blue"), colours.T, strict=True)), said


def _faces(path: Path, values: np.ndarray, counts: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The polygons [F, m]; ``before`` [F] is the count of vertices that stand before each face in the file."""
    whole = np.isfinite(values) & (values == np.rint(values)) & (values != 0)
    if not whole.all():
        raise MeshError(
            f"{path}: expected faces that count vertices from 1, or from the last one as -1, found "
            f"{values[~whole][0]:g}; export again"
        )
    if len(counts) and counts.min() < 1:
        raise MeshError(f"{path}: expected faces of three vertices or more, found one of none; export again")
    corners = np.clip(values, -(2.0**62), 2.0**62).astype(np.int64)
    relative = corners < 0
    corners = np.where(relative, corners + np.repeat(before, counts), corners - 1)
    if (corners < 0).any():
        raise MeshError(f"{path}: a face counts back beyond the first vertex; the file is damaged: export again")
    try:
        return polygons_from(counts, corners)
    except ValueError as error:
        raise MeshError(f"{path}: {error}; export the scan again, as triangles") from None
