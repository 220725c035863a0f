"""Approved labels in files of other programs, and back: each has its labels in one place only, so that what is changed
there is what is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toothgraph.io.formats.vtk import write_polydata
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
    original = original_of(mesh)
    of_faces, of_vertices = {}, {}
    if path.suffix == ".vtp":
        of_faces["Label"] = faces_to_original(mesh, labels)
    else:
        of_vertices["Universal_ID"] = to_universal(vertices_to_original(mesh, labels))
    write_polydata(path, original.vertices, original.polygons, of_vertices, of_faces)
