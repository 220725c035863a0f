"""Approved labels in files of other programs, and back.

Each file has its labels in one place only, so that a change there is what is read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toothgraph.errors import MeshError
from toothgraph.io.formats.vtk import EXCHANGED, read_vtk, write_polydata
from toothgraph.io.label_systems import to_universal
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import faces_to_original, original_of, vertices_to_original

FORMATS = ("vtp", "vtk")


def write_exchange(path: Path, mesh: Mesh, labels: np.ndarray) -> None:
    """Write a labelled scan with the vertices and faces of its file.

    Args:
        path: ``.vtp`` has an array ``Label`` of FDI numbers on faces; ``.vtk`` an array ``Universal_ID`` of Universal
            numbers on vertices, as the dental tools of 3D Slicer name it.
        mesh: F faces.
        labels: [F] FDI numbers.

    Raises:
        MeshError: if vtk is not installed, or cannot write the file.
    """
    original, numbers = original_of(mesh), {EXCHANGED[path.suffix]: _numbers(path, mesh, labels)}
    of_vertices, of_faces = ({}, numbers) if path.suffix == ".vtp" else (numbers, {})
    write_polydata(path, original.vertices, original.polygons, of_vertices, of_faces)


def has_labels(path: Path, mesh: Mesh, labels: np.ndarray) -> bool:
    """Whether a file has what :func:`write_exchange` writes for these labels [F]; False if it cannot be read."""
    try:
        stored = read_vtk(path)
    except MeshError:
        return False
    data = stored.face_data if path.suffix == ".vtp" else stored.vertex_data
    return np.array_equal(data.get(EXCHANGED[path.suffix], ()), _numbers(path, mesh, labels))


def _numbers(path: Path, mesh: Mesh, labels: np.ndarray) -> np.ndarray:
    if path.suffix == ".vtp":
        return faces_to_original(mesh, labels)
    return to_universal(vertices_to_original(mesh, labels))
