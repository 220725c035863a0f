"""STL, binary and ASCII."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toothgraph.errors import MeshError
from toothgraph.io.formats.obj import read_with_meshio
from toothgraph.mesh.clean import unique_rows
from toothgraph.mesh.stored import Stored
from toothgraph.system.files import atomic_path

_HEADER = 84
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_stl(path: Path) -> Stored:
    """Read an STL file. STL repeats every corner; the vertices are the distinct corners in order of first occurrence.

    Raises:
        MeshError: if it is not an STL file, or is cut short.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1024)
    count = int.from_bytes(head[80:84], "little") if len(head) >= _HEADER else 0
    is_text = head.lstrip()[:5].lower() == b"solid" and b"facet" in head.lower()
    # some programs begin binary files with `solid`, so check the size first
    if len(head) >= _HEADER and size == _HEADER + 50 * count:
        return _read_binary_stl(path, count)
    if is_text:
        return read_with_meshio(path, "stl")
    if len(head) < _HEADER or head.lstrip()[:1] == b"<":
        start = head[:20].decode("ascii", "replace").replace("\n", " ").strip()
        raise MeshError(f"{path}: expected an STL file, found content that begins with `{start}`; export again")
    if size < _HEADER + 50 * count:
        raise MeshError(
            f"{path}: the header promises {count} faces ({_HEADER + 50 * count} bytes), found "
            f"{size} bytes; the file is not STL or is cut short: copy or export it again"
        )
    return _read_binary_stl(path, count)


def _read_binary_stl(path: Path, count: int) -> Stored:
    facets = np.fromfile(path, _FACET, count, offset=_HEADER)
    corners = facets["corners"].reshape(-1, 3).astype(np.float64)
    first, inverse = unique_rows(corners)
    return Stored(corners[first], inverse.reshape(-1, 3))


def write_stl(path: str | Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write triangles as binary STL.

    Args:
        path: the file.
        vertices: [V, 3], stored as float32.
        faces: [F, 3].
    """
    corners = np.asarray(vertices, dtype=np.float64)[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facets = np.zeros(len(faces), _FACET)
    facets["normal"] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    facets["corners"] = corners
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(b"binary STL".ljust(80))
        file.write(np.uint32(len(faces)).astype("<u4").tobytes())
        file.write(facets.tobytes())
