"""VTP and legacy VTK polydata, read and written through the package vtk (extra ``toothgraph[vtk]``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.errors import MeshError
from toothgraph.files import atomic_path
from toothgraph.mesh.stored import Stored, stack_polygons

_COLOUR_NAMES = ("color", "colors", "colour", "colours", "rgb", "rgba")


def read_vtk(path: Path) -> Stored:
    """Read the surface of a ``.vtp`` or legacy ``.vtk`` file: its polygons and strips; lines and points are left out.

    Raises:
        MeshError: if vtk is not installed, or the file is damaged or holds no polydata.
    """
    try:
        from vtkmodules.util.numpy_support import vtk_to_numpy
        from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow, vtkStringOutputWindow
        from vtkmodules.vtkIOLegacy import vtkPolyDataReader
        from vtkmodules.vtkIOXML import vtkXMLPolyDataReader
    except ImportError as error:
        raise _needs_vtk(path, "reading") from error

    reader = vtkXMLPolyDataReader() if path.suffix.lower() == ".vtp" else vtkPolyDataReader()
    # vtk prints its errors and goes on: they are collected instead.
    before, loud, said = vtkOutputWindow.GetInstance(), vtkLogger.GetCurrentVerbosityCutoff(), vtkStringOutputWindow()
    vtkOutputWindow.SetInstance(said)
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    try:
        reader.SetFileName(str(path))
        reader.Update()
        surface = reader.GetOutput()
    finally:
        vtkOutputWindow.SetInstance(before)
        vtkLogger.SetStderrVerbosity(loud)
    complaint = _first_complaint(said.GetOutput())
    if complaint or surface is None:
        raise MeshError(f"{path}: cannot be read as VTK polydata: {complaint or 'nothing was found in it'}")
    points = surface.GetPoints()
    if points is None:
        return Stored(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
    polygons, strips = (_cells(part, vtk_to_numpy) for part in (surface.GetPolys(), surface.GetStrips()))
    triangles, strip_of = _unrolled(*strips)
    # Cells are counted through: points, lines, polygons, strips.
    first = surface.GetNumberOfVerts() + surface.GetNumberOfLines()
    cells = first + np.concatenate([np.arange(len(polygons[0])), len(polygons[0]) + strip_of])
    face_data = {name: column[cells] for name, column in _columns(surface.GetCellData(), vtk_to_numpy).items()}
    vertices = vtk_to_numpy(points.GetData()).astype(np.float64)
    faces = stack_polygons([_rows(*polygons), triangles])
    return Stored(vertices, faces, _columns(surface.GetPointData(), vtk_to_numpy), face_data)


def write_vtk(
    path: Path, vertices: np.ndarray, polygons: np.ndarray, vertex_fdi: np.ndarray, face_fdi: np.ndarray
) -> None:
    """Write a binary ``.vtp`` or legacy ``.vtk`` file with the array ``fdi`` on its points and cells.

    Args:
        path: the file.
        vertices: [V, 3], stored as double.
        polygons: [F, m], short rows filled with -1.
        vertex_fdi: [V] FDI numbers.
        face_fdi: [F] FDI numbers.

    Raises:
        MeshError: if vtk is not installed, or cannot write the file.
    """
    try:
        from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
        from vtkmodules.vtkCommonCore import vtkPoints
        from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
        from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
        from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter
    except ImportError as error:
        raise _needs_vtk(path, "writing") from error

    surface, points, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    points.SetData(numpy_to_vtk(vertices, deep=True))
    corner = polygons >= 0
    ends = np.concatenate([[0], np.cumsum(corner.sum(axis=1))])
    cells.SetData(numpy_to_vtkIdTypeArray(ends, deep=True), numpy_to_vtkIdTypeArray(polygons[corner], deep=True))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    for data, fdi in ((surface.GetPointData(), vertex_fdi), (surface.GetCellData(), face_fdi)):
        array = numpy_to_vtk(np.asarray(fdi, dtype=np.int32), deep=True)
        array.SetName("fdi")
        data.SetScalars(array)
    with atomic_path(path) as temporary:
        if path.suffix == ".vtp":
            writer = vtkXMLPolyDataWriter()
            writer.SetDataModeToAppended()
            writer.EncodeAppendedDataOff()
        else:
            writer = vtkPolyDataWriter()
            writer.SetFileTypeToBinary()
        writer.SetFileName(str(temporary))
        writer.SetInputData(surface)
        if not writer.Write():
            raise MeshError(f"{path}: vtk could not write the file; is the disk full?")


def _needs_vtk(path: Path, doing: str) -> MeshError:
    return MeshError(f"{path}: {doing} VTK files needs the extra vtk: pip install 'toothgraph[vtk]'")


def _cells(cells: Any, to_numpy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Corners per cell [n], and the corners of all of them one after another."""
    if cells is None or cells.GetNumberOfCells() == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    ends, corners = to_numpy(cells.GetOffsetsArray()), to_numpy(cells.GetConnectivityArray())
    return np.diff(ends).astype(np.int64), corners.astype(np.int64)


def _rows(sizes: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Polygons [F, m], short ones filled with -1."""
    polygons = np.full((len(sizes), max(int(sizes.max(initial=3)), 3)), -1, dtype=np.int64)
    polygons[np.arange(polygons.shape[1]) < sizes[:, None]] = corners
    return polygons


def _unrolled(sizes: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The triangles [T, 3] of triangle strips, and the strip each is of [T]: every second one turns the other way."""
    counts = np.maximum(sizes - 2, 0)
    strip_of = np.repeat(np.arange(len(sizes)), counts)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)  # within its strip
    start = (np.cumsum(sizes) - sizes)[strip_of] + place
    triangles = corners[start[:, None] + np.arange(3)]
    triangles[place % 2 == 1] = triangles[place % 2 == 1][:, [1, 0, 2]]
    return triangles, strip_of


def _columns(data: Any, to_numpy: Any) -> dict[str, np.ndarray]:
    """The arrays of one number each, and colours as ``red``, ``green`` and ``blue``."""
    columns = {}
    for place in range(data.GetNumberOfArrays()):
        array, name = data.GetArray(place), data.GetArrayName(place)
        if array is None or name is None:  # text
            continue
        values = to_numpy(array)
        if values.ndim == 1:
            columns[name] = values
        elif name.lower() in _COLOUR_NAMES and values.shape[1] in (3, 4):
            columns |= dict(zip(("red", "green", "blue"), values.T[:3], strict=True))
    return columns


def _first_complaint(text: str) -> str:
    """What vtk says first of its errors, without where in its sources it stands; its warnings are no reason."""
    errors = [part for part in text.split("\n\n") if part.lstrip().startswith("ERROR")]
    if not errors:
        return ""
    lines = [line.strip() for line in errors[0].splitlines() if line.strip()]
    return lines[-1].split("): ")[-1]
