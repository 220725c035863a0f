"""From a file to its vertices and polygons: STL, PLY, OBJ, OFF, and VTK polydata."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import meshio
import numpy as np

from toothgraph.errors import MeshError
from toothgraph.mesh.clean import unique_rows
from toothgraph.mesh.off import read_off
from toothgraph.mesh.ply import read_ply
from toothgraph.mesh.stored import Stored, stack_polygons
from toothgraph.mesh.vtk_files import read_vtk

SUFFIXES = (".stl", ".ply", ".obj", ".off", ".vtp", ".vtk")
_STL_HEADER = 84
_STL_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_stored(path: Path) -> Stored:
    """Read a surface file as it stands.

    Raises:
        MeshError: if the file is missing, of an unknown format, damaged, or holds no faces.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MeshError(f"{path}: expected a file named {' '.join(SUFFIXES)}, found `{suffix or path.name}`")
    if not path.exists():
        raise MeshError(f"{path}: no such file")
    if not path.is_file():
        raise MeshError(f"{path}: expected a file, found a folder")
    if path.stat().st_size == 0:
        raise MeshError(f"{path}: the file is empty (0 bytes); export the scan again")
    try:
        stored = _READERS[suffix](path)
    except OSError as error:
        raise MeshError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(stored.vertices) == 0:
        raise MeshError(f"{path}: holds no vertices; export the scan again")
    if len(stored.polygons) == 0:
        raise MeshError(
            f"{path}: expected a surface, found {len(stored.vertices)} points without faces; "
            "export the scan as a mesh, not as a point cloud"
        )
    return stored


def _read_stl(path: Path) -> Stored:
    """STL repeats every corner: its vertices are the distinct corners, in order of first occurrence."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1024)
    count = int.from_bytes(head[80:84], "little") if len(head) >= _STL_HEADER else 0
    is_text = head.lstrip()[:5].lower() == b"solid" and b"facet" in head.lower()
    # some programs begin binary files with `solid`, so the size decides first
    if len(head) >= _STL_HEADER and size == _STL_HEADER + 50 * count:
        return _read_binary_stl(path, count)
    if is_text:
        return _read_with_meshio(path, "stl")
    if len(head) < _STL_HEADER or head.lstrip()[:1] == b"<":
        start = head[:20].decode("ascii", "replace").replace("\n", " ").strip()
        raise MeshError(f"{path}: expected an STL file, found content that begins with `{start}`")
    if size < _STL_HEADER + 50 * count:
        raise MeshError(
            f"{path}: the header promises {count} faces ({_STL_HEADER + 50 * count} bytes), the file has "
            f"{size} bytes; it is no STL file or cut short: copy or export it again"
        )
    return _read_binary_stl(path, count)


def _read_binary_stl(path: Path, count: int) -> Stored:
    facets = np.fromfile(path, _STL_FACET, count, offset=_STL_HEADER)
    corners = facets["corners"].reshape(-1, 3).astype(np.float64)
    first, inverse = unique_rows(corners)
    return Stored(corners[first], inverse.reshape(-1, 3))


def _read_with_meshio(path: Path, file_format: str) -> Stored:
    mesh = _call_meshio(path, file_format)
    points = np.asarray(mesh.points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 3:
        points = points.reshape(-1, 3) if points.size == 0 else points
        if points.shape[1] < 3:
            raise MeshError(f"{path}: expected three coordinates per vertex, found {points.shape[1]}")
    blocks = [np.asarray(block.data) for block in mesh.cells if _is_surface(block)]
    if any((block < 0).any() for block in blocks):
        raise MeshError(f"{path}: expected faces that count vertices from 1, found relative or zero indices")
    vertex_data = {}
    if points.shape[1] >= 6:  # OBJ as ZBrush and MeshLab write it: x y z r g b
        scale = 255.0 if points[:, 3:6].max() <= 1.0 else 1.0
        for name, column in zip(("red", "green", "blue"), points[:, 3:6].T, strict=True):
            vertex_data[name] = np.rint(column * scale)
    return Stored(np.ascontiguousarray(points[:, :3]), stack_polygons(blocks), vertex_data)


def _is_surface(block: meshio.CellBlock) -> bool:
    return block.type in ("triangle", "quad", "polygon") and block.data.ndim == 2


def _call_meshio(path: Path, file_format: str) -> meshio.Mesh:
    """meshio prints, warns and calls ``sys.exit`` on bad input; all of it becomes one MeshError."""
    printed = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            warnings.catch_warnings(),
        ):
            # its look at an ASCII STL as if it were binary overflows, harmlessly
            warnings.simplefilter("ignore")
            return meshio.read(path, file_format=file_format)
    except (Exception, SystemExit) as error:
        # before it exits it prints the cause, then a line that only repeats the file's name
        said = printed.getvalue().split("Error:")[0] if isinstance(error, SystemExit) else str(error)
        cause = " ".join(said.split()) or "the content does not have this form; export the scan again"
        raise MeshError(f"{path}: cannot be read as {file_format.upper()}: {cause}") from error


def _read_obj(path: Path) -> Stored:
    return _read_with_meshio(path, "obj")


_READERS = {
    ".stl": _read_stl,
    ".ply": read_ply,
    ".obj": _read_obj,
    ".off": read_off,
    ".vtp": read_vtk,
    ".vtk": read_vtk,
}
