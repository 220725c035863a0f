"""Reading a scan's surface."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toothgraph.choices import MM_PER_UNIT
from toothgraph.errors import ConfigError, MeshError
from toothgraph.mesh.clean import clean
from toothgraph.mesh.formats import SUFFIXES, read_stored
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import jaw_from_name
from toothgraph.mesh.stored import Stored
from toothgraph.mesh.tooth_folder import is_crown

__all__ = ["MM_PER_UNIT", "SUFFIXES", "mesh_from_stored", "read_mesh"]

_EXTENT = (15.0, 150.0)  # mm: a quadrant's stump to a full arch with its base


def read_mesh(path: str | Path, *, unit: str = "mm") -> Mesh:
    """Read a scan: STL, PLY, OBJ or OFF, any orientation, whole arch or part of one.

    Equal positions are welded, polygons cut into triangles, faces without area, repeated faces and unused
    vertices left out; ``mesh.original`` keeps the file's own vertices and faces and the way back to them.
    The vertices of an STL file, which stores none, are its distinct corners in order of first occurrence.

    Args:
        path: the file; its name may tell the jaw, see :func:`toothgraph.mesh.numbering.jaw_from_name`.
        unit: the file's unit of length, one of ``MM_PER_UNIT``.

    Returns:
        The surface in mm, without labels.

    Raises:
        MeshError: if the file cannot be read, holds no usable surface, or is not the size of a scan.
        ConfigError: if the unit is unknown.
    """
    path = Path(path)
    return mesh_from_stored(path, read_stored(path), unit=unit)


def mesh_from_stored(path: Path, stored: Stored, *, unit: str = "mm") -> Mesh:
    """The clean mesh of a file's content; see ``read_mesh``."""
    if unit not in MM_PER_UNIT:
        raise ConfigError(f"expected a unit of {', '.join(MM_PER_UNIT)}, got {unit!r}")
    vertices, faces, original = clean(stored, MM_PER_UNIT[unit], str(path))
    _check_extent(path, float(np.ptp(vertices, axis=0).max()), unit)
    return Mesh(vertices, faces, jaw=jaw_from_name(path), scan_id=path.stem, path=path, original=original)


def _check_extent(path: Path, extent: float, unit: str) -> None:
    low, high = _EXTENT
    if low <= extent <= high:
        return
    own = extent / MM_PER_UNIT[unit]
    fitting = [name for name, factor in MM_PER_UNIT.items() if low <= own * factor <= high]
    advice = f"try --unit {' or '.join(fitting)}" if fitting else "no unit makes it a dental arch: check the file"
    if low / 5 <= extent < low and is_crown(path):
        advice = (
            "by its name and size it may be one tooth: those are read together with a gingiva.stl, which may be empty, "
            f"beside them; else {advice}"
        )
    raise MeshError(
        f"{path}: expected a scan of {low:g} to {high:g} mm, found a largest extent of {extent:.4g} mm "
        f"when read in {unit}; {advice}"
    )
