"""Read the surface of a scan."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from toothgraph.choices import MM_PER_UNIT
from toothgraph.errors import ConfigError, MeshError
from toothgraph.io.archive import one_scan
from toothgraph.io.formats.registry import SUFFIXES, read_stored
from toothgraph.mesh.clean import clean
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.stored import Stored
from toothgraph.mesh.topology import face_adjacency, label_pieces
from toothgraph.scan_names import jaw_from_name, stem_of
from toothgraph.stages import stage

__all__ = ["MM_PER_UNIT", "SUFFIXES", "mesh_from_stored", "read_mesh"]

EXTENT = (15.0, 150.0)  # mm: from part of a quadrant to a full arch with its base
_APART = 600.0  # mm: two jaws of one file may lie apart
_ONE_TOOTH = re.compile(  # a word that names a tooth: 31, tooth31, fdi 55, T31, LL1, crown
    r"(?<![a-z0-9])(?:tooth|crown|[ul][lr][1-8]|(?:tooth|fdi|t)?(?:[1-4][1-8]|[5-8][1-5]))(?![a-z0-9])", re.IGNORECASE
)


def read_mesh(path: str | Path, *, unit: str = "mm") -> Mesh:
    """Read a scan in any orientation, a whole arch or part of one: STL, PLY, OBJ, OFF, VTK polydata, glTF or 3MF.

    The mesh is cleaned: vertices at the same position are merged, polygons are cut into triangles, and faces without
    area, repeated faces and unused vertices are removed. ``mesh.original`` keeps the vertices and faces of the file
    and the mapping to them. STL files store no vertices: there, the vertices are the distinct corners in order of first
    occurrence.

    Args:
        path: the file, or an archive that contains only this scan; the name of the file may contain the jaw, see
            :func:`toothgraph.scan_names.jaw_from_name`.
        unit: the unit of length in the file, one of ``MM_PER_UNIT``.

    Returns:
        The surface in mm, without labels.

    Raises:
        MeshError: if the file cannot be read, has no usable surface, or does not have the size of a scan.
        ConfigError: if the unit is unknown.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> from toothgraph.io.formats.stl import write_stl
        >>> write_stl(Path("007_U.stl"), arch.vertices, arch.faces)
        >>> mesh = read_mesh("007_U.stl")
        >>> mesh.scan_id, mesh.jaw, len(mesh.faces) == len(arch.faces), mesh.labels
        ('007_U', 0, True, None)
    """
    path = one_scan(Path(path))
    return mesh_from_stored(path, read_stored(path), unit=unit)


def mesh_from_stored(path: Path, stored: Stored, *, unit: str = "mm") -> Mesh:
    """The clean mesh from the stored content of a file; arguments, result and errors are those of ``read_mesh``."""
    if unit not in MM_PER_UNIT:
        raise ConfigError(f"expected a unit of {', '.join(MM_PER_UNIT)}, got {unit!r}")
    stage("cleaning")
    vertices, faces, original = clean(stored, MM_PER_UNIT[unit], str(path))
    extent = float(np.ptp(vertices, axis=0).max())
    if EXTENT[1] < extent <= _APART:
        extent = _largest_piece(vertices, faces)
    _check_extent(path, extent, unit)
    return Mesh(vertices, faces, jaw=jaw_from_name(path), scan_id=stem_of(path), path=path, original=original)


def check_extent(mesh: Mesh) -> None:
    """Refuse a mesh in memory that does not have the size of a scan in mm.

    Up to 600 mm are accepted, since the two jaws of a scene may lie apart.

    Raises:
        MeshError: if the mesh is too small or too large.
    """
    low, high = EXTENT
    extent = float(np.ptp(mesh.vertices, axis=0).max())
    if low <= extent <= _APART:
        return
    units = " or ".join(f"{MM_PER_UNIT[unit]:g}, for {unit}" for unit in _units_of(extent))
    advice = f"multiply its vertices by {units}" if units else "no unit gives the size of an arch: check its vertices"
    raise MeshError(
        f"{mesh.scan_id or 'mesh'}: expected a scan of {low:g} to {high:g} mm, found a largest extent of {extent:.4g}; "
        f"{advice}"
    )


def _largest_piece(vertices: np.ndarray, faces: np.ndarray) -> float:
    """The largest extent of a connected piece of a surface, mm."""
    piece = label_pieces(np.zeros(len(faces)), face_adjacency(faces))
    order = np.argsort(piece, kind="stable")
    ends = np.flatnonzero(np.diff(piece[order], prepend=-1))
    corners = vertices[faces[order]]
    low, high = (np.minimum.reduceat(corners.min(axis=1), ends), np.maximum.reduceat(corners.max(axis=1), ends))
    return float((high - low).max())


def _units_of(extent: float) -> list[str]:
    """The units in which this largest extent fits a scan."""
    low, high = EXTENT
    return [name for name, factor in MM_PER_UNIT.items() if low <= extent * factor <= high]


def _check_extent(path: Path, extent: float, unit: str) -> None:
    low, high = EXTENT
    if low <= extent <= high:
        return
    fitting = _units_of(extent / MM_PER_UNIT[unit])
    advice = f"try --unit {' or '.join(fitting)}" if fitting else "no unit gives the size of an arch: check the file"
    if low / 5 <= extent < low:
        tooth = (
            "if it is one tooth, give a folder with a file per tooth (11.stl, 12.stl …) and a gingiva.stl, which may "
            "be empty"
        )
        advice = f"{tooth}; else {advice}" if _ONE_TOOTH.search(path.stem) else f"{advice}; {tooth}"
    raise MeshError(
        f"{path}: expected a scan of {low:g} to {high:g} mm, found a largest extent of {extent:.4g} mm "
        f"when read in {unit}; {advice}"
    )
