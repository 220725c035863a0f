"""Read one VTK file in a separate process: ``python -m toothgraph.io.formats._vtk_process FILE OUT.npz``.

The package vtk is a large C++ library that is not protected against harmful files. If it crashes, only this process
ends. The result is an archive of plain arrays. For a file that cannot be used, the exit code is 3 and the reason is on
standard output.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.mesh.stored import polygons_from, triangles_of_strips

MEMORY = 8_000_000_000  # bytes, limit of the process, unless the system sets a lower limit
SECONDS = 300  # limit of CPU time
REFUSED = 3  # exit code for a file that cannot be used
_COLOUR_NAMES = ("color", "colors", "colour", "colours", "rgb", "rgba")


def main(file: str, out: str) -> int:
    """Read a file; write ``vertices`` [V, 3], ``polygons`` [F, m] and the columns ``vertex:name``, ``face:name``."""
    limit()
    try:
        arrays = read(Path(file))
    except (ValueError, MemoryError) as error:
        print(str(error) or "it needs too much memory")  # the text of a MemoryError is empty
        return REFUSED
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return 0


def limit() -> None:
    """Limit the memory and CPU time of this process (on POSIX systems only)."""
    try:
        import resource
    except ImportError:
        return
    allowed = resource.getrlimit(resource.RLIMIT_DATA)[0]  # inherited from the process that started this one
    memory = MEMORY if allowed == resource.RLIM_INFINITY else min(MEMORY, allowed)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read(path: Path) -> dict[str, np.ndarray]:
    """The surface of a ``.vtp`` or legacy ``.vtk`` file: polygons and strips, without lines and points.

    Returns:
        ``vertices`` [V, 3], ``polygons`` [F, m] and the columns ``vertex:name`` [V] and ``face:name`` [F].

    Raises:
        ValueError: if the file is damaged or contains no polydata; the text is the reason.
    """
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow, vtkStringOutputWindow
    from vtkmodules.vtkIOLegacy import vtkPolyDataReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    reader = vtkXMLPolyDataReader() if path.suffix.lower() == ".vtp" else vtkPolyDataReader()
    said = vtkStringOutputWindow()  # vtk prints errors and continues: collect them instead
    vtkOutputWindow.SetInstance(said)
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    reader.SetFileName(str(path))
    reader.Update()
    surface = reader.GetOutput()
    complaint = _first_complaint(said.GetOutput())
    if complaint or surface is None:
        raise ValueError(complaint or "it contains no polydata")
    points = surface.GetPoints()
    if points is None:
        return {"vertices": np.zeros((0, 3)), "polygons": np.zeros((0, 3), dtype=np.int64)}
    (sizes, corners), strips = (_cells(part, vtk_to_numpy) for part in (surface.GetPolys(), surface.GetStrips()))
    triangles, strip_of = triangles_of_strips(*strips)
    sizes_of_all = np.concatenate([sizes, np.full(len(triangles), 3)])
    polygons = polygons_from(sizes_of_all, np.concatenate([corners, triangles.ravel()]))
    # Cell data is in the order: points, lines, polygons, strips.
    first = surface.GetNumberOfVerts() + surface.GetNumberOfLines()
    cells = first + np.concatenate([np.arange(len(sizes)), len(sizes) + strip_of])
    on_faces = {f"face:{name}": column[cells] for name, column in _columns(surface.GetCellData(), vtk_to_numpy)}
    on_vertices = {f"vertex:{name}": column for name, column in _columns(surface.GetPointData(), vtk_to_numpy)}
    vertices = vtk_to_numpy(points.GetData()).astype(np.float64)
    return {"vertices": vertices, "polygons": polygons, **on_vertices, **on_faces}


def _cells(cells: Any, to_numpy: Any) -> tuple[np.ndarray, np.ndarray]:
    """The count of corners of each cell [n], and the corners of all cells in one array."""
    if cells is None or cells.GetNumberOfCells() == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    ends, corners = to_numpy(cells.GetOffsetsArray()), to_numpy(cells.GetConnectivityArray())
    return np.diff(ends).astype(np.int64), corners.astype(np.int64)


def _columns(data: Any, to_numpy: Any) -> list[tuple[str, np.ndarray]]:
    """The arrays with one number per row by name, and colours as the arrays ``red``, ``green`` and ``blue``."""
    columns = []
    for place in range(data.GetNumberOfArrays()):
        array, name = data.GetArray(place), data.GetArrayName(place)
        if array is None or name is None:  # a text array
            continue
        values = to_numpy(array)
        if values.ndim == 1:
            columns.append((name, values))
        elif name.lower() in _COLOUR_NAMES and values.shape[1] in (3, 4):
            columns += zip(("red", "green", "blue"), values.T[:3], strict=True)
    return columns


def _first_complaint(text: str | bytes) -> str:
    """The first error message of vtk, without the position in its source code. Warnings are ignored."""
    if isinstance(text, bytes):  # the message quotes the file, which may contain any bytes
        text = text.decode("utf-8", "replace")
    errors = [part for part in text.split("\n\n") if part.lstrip().startswith("ERROR")]
    if not errors:
        return ""
    lines = [line.strip() for line in errors[0].splitlines() if line.strip()]
    return lines[-1].split("): ")[-1]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
