"""Reads one VTK file in a process of its own: ``python -m toothgraph.mesh.vtk_child FILE OUT.npz``.

The package vtk is a large program written in C++ that was not made for hostile files: what it does to its process, it
does here. The result is an archive of plain arrays; a refusal is exit code 3 with the reason on standard output.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

MEMORY = 8_000_000_000  # bytes it may take
SECONDS = 300  # of computing
REFUSED = 3  # exit code
_COLOUR_NAMES = ("color", "colors", "colour", "colours", "rgb", "rgba")


def main(file: str, out: str) -> int:
    """Read, and write ``vertices`` [V, 3], ``polygons`` [F, m] and columns ``vertex:name`` and ``face:name``."""
    limit()
    try:
        arrays = read(Path(file))
    except (ValueError, MemoryError) as error:
        print(str(error) or "it needs too much memory")
        return REFUSED
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return 0


def limit() -> None:
    """Take no more than a scan's share of memory and time; only POSIX systems can be asked for that."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read(path: Path) -> dict[str, np.ndarray]:
    """The surface of a ``.vtp`` or legacy ``.vtk`` file: its polygons and strips; lines and points are left out.

    Raises:
        ValueError: with the reason, if it is damaged or holds no polydata.
    """
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow, vtkStringOutputWindow
    from vtkmodules.vtkIOLegacy import vtkPolyDataReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    reader = vtkXMLPolyDataReader() if path.suffix.lower() == ".vtp" else vtkPolyDataReader()
    said = vtkStringOutputWindow()  # vtk prints its errors and goes on: they are collected instead
    vtkOutputWindow.SetInstance(said)
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    reader.SetFileName(str(path))
    reader.Update()
    surface = reader.GetOutput()
    complaint = _first_complaint(said.GetOutput())
    if complaint or surface is None:
        raise ValueError(complaint or "nothing was found in it")
    points = surface.GetPoints()
    if points is None:
        return {"vertices": np.zeros((0, 3)), "polygons": np.zeros((0, 3), dtype=np.int64)}
    (sizes, corners), strips = (_cells(part, vtk_to_numpy) for part in (surface.GetPolys(), surface.GetStrips()))
    triangles, strip_of = _unrolled(*strips)
    polygons = _rows(np.concatenate([sizes, np.full(len(triangles), 3)]), np.concatenate([corners, triangles.ravel()]))
    # Cells are counted through: points, lines, polygons, strips.
    first = surface.GetNumberOfVerts() + surface.GetNumberOfLines()
    cells = first + np.concatenate([np.arange(len(sizes)), len(sizes) + strip_of])
    on_faces = {f"face:{name}": column[cells] for name, column in _columns(surface.GetCellData(), vtk_to_numpy)}
    on_vertices = {f"vertex:{name}": column for name, column in _columns(surface.GetPointData(), vtk_to_numpy)}
    vertices = vtk_to_numpy(points.GetData()).astype(np.float64)
    return {"vertices": vertices, "polygons": polygons, **on_vertices, **on_faces}


def _cells(cells: Any, to_numpy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Corners per cell [n], and the corners of all of them one after another."""
    if cells is None or cells.GetNumberOfCells() == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    ends, corners = to_numpy(cells.GetOffsetsArray()), to_numpy(cells.GetConnectivityArray())
    return np.diff(ends).astype(np.int64), corners.astype(np.int64)


def _rows(sizes: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Polygons [F, m], short ones filled with -1."""
    if sizes.min(initial=0) < 0 or sizes.sum() != len(corners):
        raise ValueError("its polygons ask for other corners than there are")
    if len(sizes) * int(sizes.max(initial=3)) > 100 * len(corners) + 1000:
        raise ValueError(f"a polygon has {sizes.max()} corners")
    polygons = np.full((len(sizes), max(int(sizes.max(initial=3)), 3)), -1, dtype=np.int64)
    polygons[np.arange(polygons.shape[1]) < sizes[:, None]] = corners
    return polygons


def _unrolled(sizes: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The triangles [T, 3] of triangle strips, and the strip each is of [T]: every second one turns the other way."""
    if sizes.min(initial=0) < 0 or sizes.sum() != len(corners):
        raise ValueError("its strips ask for other corners than there are")
    counts = np.maximum(sizes - 2, 0)
    strip_of = np.repeat(np.arange(len(sizes)), counts)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)  # within its strip
    start = (np.cumsum(sizes) - sizes)[strip_of] + place
    triangles = corners[start[:, None] + np.arange(3)]
    triangles[place % 2 == 1] = triangles[place % 2 == 1][:, [1, 0, 2]]
    return triangles, strip_of


def _columns(data: Any, to_numpy: Any) -> list[tuple[str, np.ndarray]]:
    """The arrays of one number each, and colours as ``red``, ``green`` and ``blue``."""
    columns = []
    for place in range(data.GetNumberOfArrays()):
        array, name = data.GetArray(place), data.GetArrayName(place)
        if array is None or name is None:  # text
            continue
        values = to_numpy(array)
        if values.ndim == 1:
            columns.append((name, values))
        elif name.lower() in _COLOUR_NAMES and values.shape[1] in (3, 4):
            columns += zip(("red", "green", "blue"), values.T[:3], strict=True)
    return columns


def _first_complaint(text: str | bytes) -> str:
    """What vtk says first of its errors, without where in its sources it stands; its warnings are no reason."""
    if isinstance(text, bytes):  # it quotes the file, which may hold any bytes
        text = text.decode("utf-8", "replace")
    errors = [part for part in text.split("\n\n") if part.lstrip().startswith("ERROR")]
    if not errors:
        return ""
    lines = [line.strip() for line in errors[0].splitlines() if line.strip()]
    return lines[-1].split("): ")[-1]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
