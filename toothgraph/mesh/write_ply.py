"""Writing PLY with a colour and an FDI number on every vertex and face."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toothgraph.errors import LabelError, MeshError
from toothgraph.files import atomic_path
from toothgraph.mesh.colours import colours

_COLOUR_AND_FDI = [("red", "u1"), ("green", "u1"), ("blue", "u1"), ("fdi", "<i4")]
_HEADER_OF_COLUMNS = ["property uchar red", "property uchar green", "property uchar blue", "property int fdi"]


def write_ply(
    path: str | Path, vertices: np.ndarray, polygons: np.ndarray, vertex_fdi: np.ndarray, face_fdi: np.ndarray
) -> None:
    """Write a binary little-endian PLY with a colour and the number ``fdi`` on each vertex and face.

    Args:
        path: the file.
        vertices: [V, 3]; stored as float if that loses nothing, else as double.
        polygons: [F, m], short rows filled with -1.
        vertex_fdi: [V] FDI numbers.
        face_fdi: [F] FDI numbers.

    Raises:
        LabelError: if there is not one number per vertex and per face.
    """
    if len(vertex_fdi) != len(vertices) or len(face_fdi) != len(polygons):
        raise LabelError(
            f"{path}: expected {len(vertices)} vertex and {len(polygons)} face labels, "
            f"got {len(vertex_fdi)} and {len(face_fdi)}"
        )
    # a comparison that takes NaN for equal to itself
    exact = np.array_equal(vertices, vertices.astype(np.float32), equal_nan=True)
    kind, word = ("<f4", "float") if exact else ("<f8", "double")
    points = np.empty(len(vertices), [*((axis, kind) for axis in "xyz"), *_COLOUR_AND_FDI])
    for k, axis in enumerate("xyz"):
        points[axis] = vertices[:, k]
    _fill(points, vertex_fdi)
    header = [
        *("ply", "format binary_little_endian 1.0", "comment labels: FDI numbers, 0 gingiva, -1 unknown"),
        f"element vertex {len(vertices)}",
        *(f"property {word} {axis}" for axis in "xyz"),
        *_HEADER_OF_COLUMNS,
        f"element face {len(polygons)}",
        "property list uchar int vertex_indices",
        *_HEADER_OF_COLUMNS,
        "end_header\n",
    ]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write("\n".join(header).encode("ascii"))
        file.write(points.tobytes())
        file.write(_face_bytes(polygons, face_fdi))


def _fill(rows: np.ndarray, fdi: np.ndarray) -> None:
    for name, channel in zip(("red", "green", "blue"), colours(fdi).T, strict=True):
        rows[name] = channel
    rows["fdi"] = fdi


def _face_bytes(polygons: np.ndarray, fdi: np.ndarray) -> bytes:
    """The rows of the face element, which differ in length where polygons do."""
    sizes = (polygons >= 0).sum(axis=1)
    if sizes.max(initial=0) > 255:
        raise MeshError(f"a PLY face has at most 255 corners, found one of {sizes.max()}")
    tables, starts = [], np.zeros(len(polygons), dtype=np.int64)
    for size in np.unique(sizes):
        member = sizes == size
        layout = np.dtype([("n", "u1"), ("corners", "<i4", (int(size),)), *_COLOUR_AND_FDI])
        rows = np.empty(int(member.sum()), layout)
        rows["n"], rows["corners"] = size, polygons[member, :size]
        _fill(rows, fdi[member])
        tables.append((member, rows))
        starts[member] = layout.itemsize
    if len(tables) == 1:
        return tables[0][1].tobytes()
    ends = np.cumsum(starts)
    starts = ends - starts
    content = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    for member, rows in tables:
        spans = starts[member][:, None] + np.arange(rows.dtype.itemsize)
        content[spans] = rows.view(np.uint8).reshape(len(rows), -1)
    return content.tobytes()
