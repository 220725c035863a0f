"""Surfaces of finite-element programs, read with meshio: VTK unstructured grids, Gmsh and Medit."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import meshio
import numpy as np

from toothgraph.errors import MeshError
from toothgraph.mesh.stored import Stored, stack_polygons

SURFACE = ("triangle", "quad", "polygon")
BESIDE = ("vertex", "line")  # cells that a file with a surface may also have; they are ignored


def read_with_meshio(path: Path) -> Stored:
    """Read the triangles, quads and polygons of a file.

    Raises:
        MeshError: if meshio cannot read the file, or it has volumes, or points without three coordinates.
    """
    mesh = _call_meshio(path)
    points = np.asarray(mesh.points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise MeshError(f"{path}: expected three coordinates per vertex, found points {points.shape}; export again")
    if solid := sorted({block.type for block in mesh.cells} - {*SURFACE, *BESIDE}):
        raise MeshError(f"{path}: expected a surface, found {', '.join(solid)}; export the surface of the model alone")
    blocks = [np.asarray(block.data) for block in mesh.cells if block.type in SURFACE and len(block.data)]
    if any(block.ndim != 2 or block.dtype.kind not in "iu" for block in blocks):
        raise MeshError(f"{path}: expected faces of whole numbers; the file is damaged: export again")
    try:
        return Stored(points, stack_polygons(blocks))
    except ValueError as error:
        raise MeshError(f"{path}: {error}; export the scan again, as triangles") from None


def _call_meshio(path: Path) -> meshio.Mesh:
    """Read a file with meshio. On bad input, meshio prints, warns and calls ``sys.exit``: all become one MeshError."""
    printed = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            return meshio.read(path)
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:
        # before the exit, meshio prints the cause, then a line with only the name of the file
        said = printed.getvalue().split("Error:")[0] if isinstance(error, SystemExit) else str(error)
        cause = " ".join(said.split()) or "the content does not have this format; export the scan again"
        raise MeshError(f"{path}: cannot be read: {cause}") from error
