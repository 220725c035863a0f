"""Formats that are read with meshio: OBJ and ASCII STL."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import meshio
import numpy as np

from toothgraph.errors import MeshError
from toothgraph.mesh.stored import Stored, stack_polygons


def read_with_meshio(path: Path, file_format: str) -> Stored:
    """Read triangles, polygons and colours (after the coordinates) with meshio.

    Raises:
        MeshError: if meshio cannot read the file, or a vertex has fewer than three coordinates.
    """
    mesh = _call_meshio(path, file_format)
    points = np.asarray(mesh.points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 3:
        points = points.reshape(-1, 3) if points.size == 0 else points
        if points.shape[1] < 3:
            raise MeshError(f"{path}: expected three coordinates per vertex, found {points.shape[1]}; export again")
    blocks = [np.asarray(block.data) for block in mesh.cells if _is_surface(block)]
    if any(block.dtype.kind != "i" for block in blocks):  # numbers too large for 64 bits
        raise MeshError(f"{path}: a face points outside its {len(points)} vertices; the file is damaged: export again")
    if any((block < 0).any() for block in blocks):
        raise MeshError(
            f"{path}: expected faces that count vertices from 1, found relative or zero indices; export again"
        )
    vertex_data = {}
    if points.shape[1] >= 6:  # OBJ from ZBrush or MeshLab: x y z r g b
        scale = 255.0 if points[:, 3:6].max() <= 1.0 else 1.0
        for name, column in zip(("red", "green", "blue"), points[:, 3:6].T, strict=True):
            vertex_data[name] = np.rint(column * scale)
    return Stored(np.ascontiguousarray(points[:, :3]), stack_polygons(blocks), vertex_data)


def _is_surface(block: meshio.CellBlock) -> bool:
    return block.type in ("triangle", "quad", "polygon") and block.data.ndim == 2


def _call_meshio(path: Path, file_format: str) -> meshio.Mesh:
    """On bad input meshio prints, warns and calls ``sys.exit``; this turns all of it into one MeshError."""
    printed = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            warnings.catch_warnings(),
        ):
            # meshio first tries an ASCII STL as binary: a harmless overflow
            warnings.simplefilter("ignore")
            return meshio.read(path, file_format=file_format)
    except (Exception, SystemExit) as error:
        # before the exit it prints the cause, then a line with the file's name only
        said = printed.getvalue().split("Error:")[0] if isinstance(error, SystemExit) else str(error)
        cause = " ".join(said.split()) or "the content does not have this format; export the scan again"
        raise MeshError(f"{path}: cannot be read as {file_format.upper()}: {cause}") from error
