"""From a file to its vertices and polygons: STL, PLY, OBJ, OFF, VTK polydata, glTF and 3MF."""

from __future__ import annotations

from pathlib import Path

from toothgraph.errors import MeshError
from toothgraph.mesh.meshio_files import read_with_meshio
from toothgraph.mesh.off import read_off
from toothgraph.mesh.ply import read_ply
from toothgraph.mesh.scene_files import read_scene
from toothgraph.mesh.stl import read_stl
from toothgraph.mesh.stored import Stored
from toothgraph.mesh.tooth_folder import is_tooth_folder, read_tooth_folder
from toothgraph.mesh.vtk_files import read_vtk

_READERS = {
    ".stl": read_stl,
    ".ply": read_ply,
    ".obj": lambda path: read_with_meshio(path, "obj"),
    ".off": read_off,
    ".vtp": read_vtk,
    ".vtk": read_vtk,
    ".glb": read_scene,
    ".gltf": read_scene,
    ".3mf": read_scene,
}
SUFFIXES = tuple(_READERS)


def read_stored(path: Path) -> Stored:
    """Read a surface file, or a folder with one STL per tooth, as it stands.

    Raises:
        MeshError: if the file is missing, of an unknown format, damaged, or holds no faces.
    """
    try:
        stored = read_tooth_folder(path) if is_tooth_folder(path) else _READERS[_checked_suffix(path)](path)
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


def _checked_suffix(path: Path) -> str:
    """The suffix of a file that may be read, in small letters."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MeshError(f"{path}: expected a file named {' '.join(SUFFIXES)}, found `{suffix or path.name}`")
    if not path.exists():
        raise MeshError(f"{path}: no such file")
    if not path.is_file():
        raise MeshError(f"{path}: expected a file, found a folder")
    if path.stat().st_size == 0:
        raise MeshError(f"{path}: the file is empty (0 bytes); export the scan again")
    return suffix
