"""OFF text files, with or without normals, colours and texture coordinates (OFF, COFF, NOFF, STOFF, CNOFF …)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from toothgraph.errors import MeshError
from toothgraph.io.formats.text import plain_text, without_commas
from toothgraph.mesh.stored import Stored, polygons_from

_KIND = re.compile(r"(ST)?(C)?(N)?OFF\b")
_COLOUR_NAMES = ("red", "green", "blue")
_FACE_COLOURS = (3, 4)  # counts of numbers after the corners that are a colour; a single number is a colour index


def read_off(path: Path) -> Stored:
    """Read the vertices and faces of an OFF file.

    Colours of vertices or faces become columns ``red``, ``green`` and ``blue``, 0 to 255. The word OFF may be missing,
    or the counts may follow it on the same line.

    Raises:
        MeshError: if the file is binary, does not have three dimensions, or does not match its header.
    """
    lines, mended = _content(path)
    kind = _KIND.match(lines[0]) if lines else None
    if lines and kind is None and re.match(r"[A-Za-z0-9]*OFF", lines[0]):
        raise MeshError(
            f"{path}: expected OFF in three dimensions, found {lines[0].split()[0]}; export it as PLY or STL"
        )
    rest = lines if kind is None else [line for line in (lines[0][kind.end() :].strip(), *lines[1:]) if line]
    counts = _numbers(path, rest[:1], "counts of vertices, faces and edges").ravel()
    if len(counts) < 2 or not (np.isfinite(counts) & (counts >= 0)).all():
        raise MeshError(
            f"{path}: expected the counts of vertices and faces, found `{' '.join(rest[:1])[:40]}`; export again"
        )
    num_vertices, num_faces = (int(count) for count in counts[:2])
    if len(rest) < 1 + num_vertices + num_faces:
        raise MeshError(
            f"{path}: the header promises {num_vertices} vertices and {num_faces} faces, found only "
            f"{len(rest) - 1} lines; the file is cut short: copy or export it again"
        )
    table = _numbers(path, rest[1 : 1 + num_vertices], "vertices, all with as many numbers")
    normals, texture = (3 if kind and kind[3] else 0), (2 if kind and kind[1] else 0)
    if num_vertices and table.shape[1] < 3 + normals + texture:
        raise MeshError(
            f"{path}: expected {3 + normals + texture} numbers per vertex, found {table.shape[1]}; export again"
        )
    vertex_data = {}
    if kind and kind[2] and table.shape[1] >= 6 + normals + texture:
        vertex_data = _colours(table[:, 3 + normals : 6 + normals])
    polygons, face_data = _faces(path, rest[1 + num_vertices : 1 + num_vertices + num_faces], num_vertices)
    return Stored(np.ascontiguousarray(table[:, :3]), polygons, vertex_data, face_data, tuple(mended))


def _content(path: Path) -> tuple[list[str], list[str]]:
    """The lines of a file without comments and blank lines, and what was mended, in words."""
    text, mended = plain_text(path.read_bytes())
    if b"\0" in text[:4096] or text[:200].split(b"\n")[0].strip().endswith(b"BINARY"):
        raise MeshError(f"{path}: expected OFF as text, found a binary file; export it as text, or as PLY or STL")
    text, of_numbers = without_commas(re.sub(rb"#[^\n]*", b"", text))
    stripped = (line.strip() for line in text.decode("ascii", "replace").split("\n"))
    return [line for line in stripped if line], mended + of_numbers


def _numbers(path: Path, lines: list[str], what: str) -> np.ndarray:
    """Lines of numbers as a table [lines, numbers]."""
    if not lines:
        return np.zeros((0, 3))
    try:
        values = np.array(" ".join(lines).split(), dtype=np.float64)
    except ValueError as error:
        raise MeshError(f"{path}: expected {what}, found something else ({error})") from error
    if len(values) % len(lines):
        raise MeshError(f"{path}: expected {what}, found lines of different lengths; export again")
    return values.reshape(len(lines), -1)


def _colours(values: np.ndarray) -> dict[str, np.ndarray]:
    """Colours as columns ``red``, ``green`` and ``blue``, 0 to 255; in the file, they may be from 0 to 1."""
    scale = 255.0 if len(values) and values.max() <= 1.0 else 1.0
    return dict(zip(_COLOUR_NAMES, np.rint(values * scale).T, strict=True))


def _faces(path: Path, lines: list[str], num_vertices: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The polygons [F, m], and the columns of their colours if every face has a colour."""
    rows = [line.split() for line in lines]
    try:
        sizes = [int(row[0]) for row in rows]
        polygons = [[int(token) for token in row[1 : 1 + size]] for row, size in zip(rows, sizes, strict=True)]
        behind = [row[1 + size :] for row, size in zip(rows, sizes, strict=True)]
        coloured = bool(rows) and all(len(row) in _FACE_COLOURS for row in behind)
        colours = np.array([row[:3] for row in behind], dtype=np.float64) if coloured else None
    except ValueError as error:
        raise MeshError(f"{path}: expected faces as a count and that many vertices, found {error}") from error
    if any(len(polygon) != size or size < 1 for polygon, size in zip(polygons, sizes, strict=True)):
        raise MeshError(f"{path}: expected faces as a count and that many vertices, found a line of another length")
    named = np.concatenate([np.array(polygon) for polygon in polygons]) if polygons else np.zeros(0, dtype=int)
    wrong = named[(named < 0) | (named >= num_vertices)]
    if len(wrong):
        raise MeshError(
            f"{path}: expected vertex indices from 0 to {num_vertices - 1}, found {wrong[0]} in a face; export again"
        )
    try:
        table = polygons_from(np.array(sizes, dtype=np.int64), named)
    except ValueError as error:
        raise MeshError(f"{path}: {error}; export the scan again, as triangles") from None
    return table, {} if colours is None else _colours(colours)
