"""VTP and legacy VTK polydata, read and written through the package vtk (extra ``toothgraph[vtk]``)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from toothgraph.errors import ConfigError, MeshError, has_extra, needs_extra
from toothgraph.io.formats import _vtk_process
from toothgraph.mesh.stored import Stored
from toothgraph.system.files import atomic_path

# The array of an approved scan in a file for other programs: FDI numbers on faces in a .vtp, Universal numbers on
# vertices in a .vtk.
EXCHANGED = {".vtp": "Label", ".vtk": "Universal_ID"}
TIMEOUT = 600  # seconds (wall time) to read one file


def read_vtk(path: Path) -> Stored:
    """Read the surface of a ``.vtp`` or legacy ``.vtk`` file: polygons and strips, without lines and points.

    A separate process reads the file (:mod:`toothgraph.io.formats._vtk_process`): if a bad file crashes vtk, only that
    process ends.

    Raises:
        MeshError: if vtk is not installed, or the file is damaged or contains no polydata.
    """
    if not has_extra("vtk"):
        raise _needs_vtk(path, "reading")
    here = os.pathsep.join(place for place in sys.path if place)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "surface.npz"
        try:
            done = subprocess.run(
                [sys.executable, "-m", _vtk_process.__name__, str(path.absolute()), str(out)],
                capture_output=True, text=True, errors="replace", timeout=TIMEOUT,
                env={**os.environ, "PYTHONPATH": here},
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise MeshError(
                f"{path}: was not read within {TIMEOUT} seconds; the file is damaged: export it again"
            ) from error
        if done.returncode == _vtk_process.REFUSED:
            raise MeshError(f"{path}: cannot be read as VTK polydata: {' '.join(done.stdout.split())}")
        if done.returncode != 0 or not out.exists():
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise MeshError(
                f"{path}: vtk failed on it (exit code {done.returncode}: {last}); the file is damaged: export it again"
            )
        with np.load(out, allow_pickle=False) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
    vertices, polygons = columns.pop("vertices"), columns.pop("polygons")
    on_vertices, on_faces = (
        {name.removeprefix(where): column for name, column in columns.items() if name.startswith(where)}
        for where in ("vertex:", "face:")
    )
    return Stored(vertices, polygons, on_vertices, on_faces)


def write_vtk(
    path: Path, vertices: np.ndarray, polygons: np.ndarray, vertex_fdi: np.ndarray, face_fdi: np.ndarray
) -> None:
    """Write a binary ``.vtp`` or legacy ``.vtk`` file with the array ``fdi`` on points and cells.

    Args:
        path: the file.
        vertices: [V, 3], stored as double.
        polygons: [F, m]; short rows are filled with -1.
        vertex_fdi: [V] FDI numbers.
        face_fdi: [F] FDI numbers.

    Raises:
        MeshError: if vtk is not installed, or cannot write the file.
    """
    write_polydata(path, vertices, polygons, {"fdi": vertex_fdi}, {"fdi": face_fdi})


def write_polydata(
    path: Path,
    vertices: np.ndarray,
    polygons: np.ndarray,
    of_vertices: Mapping[str, np.ndarray],
    of_faces: Mapping[str, np.ndarray],
) -> None:
    """Write a binary ``.vtp`` or legacy ``.vtk`` file with arrays of whole numbers.

    Args:
        path: the file.
        vertices: [V, 3], stored as double.
        polygons: [F, m]; short rows are filled with -1.
        of_vertices: arrays [V] on points, by name.
        of_faces: arrays [F] on cells, by name.

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
    for data, columns in ((surface.GetPointData(), of_vertices), (surface.GetCellData(), of_faces)):
        for name, numbers in columns.items():
            array = numpy_to_vtk(np.asarray(numbers, dtype=np.int32), deep=True)
            array.SetName(name)
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


def check_vtk(formats: Iterable[str]) -> None:
    """Check, before any work, that labels can be written in these formats.

    Raises:
        ConfigError: if vtk is needed and not installed.
    """
    if {"vtp", "vtk"} & {*formats} and not has_extra("vtk"):
        raise ConfigError(needs_extra("--format vtp or vtk", "vtk"))


def _needs_vtk(path: Path, doing: str) -> MeshError:
    return MeshError(needs_extra(f"{path}: {doing} VTK files", "vtk"))
