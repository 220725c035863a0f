"""Read the vertices and polygons of a file with the reader of its format."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from toothgraph.errors import MeshError
from toothgraph.io.formats.content import suffix_by_content
from toothgraph.io.formats.dicom import has_surface, read_dicom
from toothgraph.io.formats.finite_elements import read_with_meshio
from toothgraph.io.formats.gltf import read_scene
from toothgraph.io.formats.obj import read_obj
from toothgraph.io.formats.off import read_off
from toothgraph.io.formats.ply import read_ply
from toothgraph.io.formats.stl import read_stl
from toothgraph.io.formats.tooth_folder import is_tooth_folder, read_tooth_folder
from toothgraph.io.formats.vtk import read_vtk
from toothgraph.mesh.stored import Stored
from toothgraph.scan_names import check_file_name
from toothgraph.stages import stage
from toothgraph.system.files import check_there

_log = logging.getLogger("toothgraph")
_READERS = {
    ".stl": read_stl,
    ".ply": read_ply,
    ".obj": read_obj,
    ".off": read_off,
    ".vtp": read_vtk,
    ".vtk": read_vtk,
    ".glb": read_scene,
    ".gltf": read_scene,
    ".3mf": read_scene,
    ".dcm": read_dicom,
    ".vtu": read_with_meshio,
    ".msh": read_with_meshio,
    ".mesh": read_with_meshio,
}
SUFFIXES = tuple(_READERS)
_RENAMED = (".stl", ".ply", ".obj", ".off")  # formats that are read even if the file has the suffix of another format


def read_stored(path: Path) -> Stored:
    """Read a surface file, or a folder with one file per tooth, without any cleaning.

    Raises:
        MeshError: if the file is missing or damaged, its format is unknown, it has no faces, or its name is not UTF-8.
    """
    stage("reading")
    check_file_name(path)
    try:
        stored = read_tooth_folder(path) if is_tooth_folder(path) else _read_file(path)
    except OSError as error:
        raise MeshError(f"{path}: cannot be read: {error.strerror or error}") from error
    if stored.mended:
        _log.info("%s: mended on reading: %s", path.name, ", ".join(stored.mended))
    if len(stored.vertices) == 0:
        raise MeshError(f"{path}: contains no vertices; export the scan again")
    if len(stored.polygons) == 0:
        raise MeshError(
            f"{path}: expected a surface, found {len(stored.vertices)} points without faces; "
            "export the scan as a mesh, not as a point cloud"
        )
    return stored


def _read_file(path: Path) -> Stored:
    """Read a file in the format that its content shows, even if its name has the suffix of another format."""
    named = _checked_suffix(path)
    shown = suffix_by_content(path) or named
    if shown == named:
        return _READERS[named](path)
    if shown not in _RENAMED:
        raise MeshError(f"{path}: by its content it is {_kind(shown)}; give it a name that ends in {shown}")
    stored = _READERS[shown](path)
    return replace(stored, mended=(f"{_kind(shown)} under a name that ends in {named}", *stored.mended))


def _kind(suffix: str) -> str:
    return suffix[1:].upper()


def may_be_scan(path: Path) -> bool:
    """Whether a file may be a scan, by its suffix; for a DICOM file also by its content, since most are images."""
    suffix = path.suffix.lower()
    return suffix in SUFFIXES and path.is_file() and (suffix != ".dcm" or has_surface(path))


def _checked_suffix(path: Path) -> str:
    """The suffix of a file in lower case, after checks of its name, existence and size.

    Raises:
        MeshError: for a folder, an unknown suffix, or a missing or empty file.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        raise MeshError(
            f"{path}: expected one scan, found a folder; give a file in it (a folder is only one scan if it has a "
            "gingiva.stl and one file per tooth)"
        )
    if suffix not in SUFFIXES:
        shown = suffix_by_content(path) if path.is_file() else ""
        hint = f"; by its content it is {_kind(shown)}: give it a name that ends in {shown}" if shown else ""
        raise MeshError(f"{path}: expected a file named {' '.join(SUFFIXES)}, found `{suffix or path.name}`{hint}")
    check_there(path, MeshError)
    if path.stat().st_size == 0:
        raise MeshError(f"{path}: the file is empty (0 bytes); export the scan again")
    return suffix
