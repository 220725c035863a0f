"""glTF and 3MF, read through the package trimesh (extra ``toothgraph[scene]``)."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from toothgraph.errors import MeshError, needs_extra
from toothgraph.mesh.stored import Stored, stack_polygons

_EXTENSIONS = ("KHR_mesh_quantization", "KHR_materials_", "KHR_texture_", "KHR_lights_", "EXT_texture_")
_TRIANGLES, _FAN = 4, 6  # modes of a primitive
_GLB_JSON = 20  # bytes before the content of the first chunk, which is the JSON description
UNPACKED = 1_000_000_000  # bytes, limit of the unpacked size of a 3MF file or an archive


def read_scene(path: Path) -> Stored:
    """Read all surfaces of a ``.glb``, ``.gltf`` or ``.3mf`` file as one, at their positions in the scene.

    Raises:
        MeshError: if trimesh is not installed, or the file cannot be read.
    """
    try:
        import trimesh
    except ImportError as error:
        raise MeshError(needs_extra(f"{path}: reading {path.suffix[1:].upper()}", "scene")) from error
    try:
        _check_unpacked(path)
        _check_chunks(path)
        _check_features(path)
        scene = trimesh.load_scene(path, process=False)
        parts = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh)]
    except (MeshError, MemoryError):
        raise
    except Exception as error:  # a parser of untrusted bytes may raise anything: report the cause
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise MeshError(f"{path}: cannot be read as {path.suffix[1:].upper()}: {cause}") from error
    for part in parts:
        if np.shape(part.vertices)[1:] != (3,) or np.shape(part.faces)[1:] != (3,):
            raise MeshError(
                f"{path}: expected positions [n, 3] and triangles [m, 3], found {np.shape(part.vertices)} and "
                f"{np.shape(part.faces)}; export it again"
            )
    first = np.cumsum([0, *(len(part.vertices) for part in parts)])
    vertices = np.concatenate([np.zeros((0, 3)), *(np.asarray(part.vertices, dtype=float) for part in parts)])
    faces = [np.asarray(part.faces) + start for part, start in zip(parts, first, strict=False)]
    return Stored(vertices, stack_polygons(faces), _colours(parts))


def buffers_of(path: Path) -> list[Path]:
    """The files beside a ``.gltf`` that contain its surface; none for other formats, or if it cannot be read."""
    if path.suffix.lower() != ".gltf":
        return []
    try:
        buffers = _json_of(path)["buffers"]
        names = [str(one["uri"]) for one in buffers if "uri" in one]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [path.parent / unquote(name) for name in names if not name.startswith("data:")]


def _check_unpacked(path: Path) -> None:
    """Refuse a 3MF file that unpacks to too many bytes: it is a zip archive, and a small one can unpack to any size."""
    if path.suffix.lower() != ".3mf":
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > UNPACKED:
        raise MeshError(
            f"{path}: unpacks to {size / 1e9:.3g} GB, more than the limit of {UNPACKED / 1e9:g} GB; export it as PLY"
        )


def _check_features(path: Path) -> None:
    """Refuse a file with features that trimesh does not read, or reads wrongly without a warning."""
    content = _json_of(path)
    if unknown := [name for name in content.get("extensionsRequired", []) if not name.startswith(_EXTENSIONS)]:
        raise MeshError(f"{path}: needs the extension {unknown[0]}, which is not read; export without compression")
    primitives = [one for mesh in content.get("meshes", []) for one in mesh["primitives"]]
    if any(one.get("mode", _TRIANGLES) == _FAN for one in primitives):
        raise MeshError(f"{path}: has triangle fans, which are not read; export triangles")
    for one in primitives:
        where = content["accessors"][one["attributes"]["POSITION"]] if "POSITION" in one["attributes"] else {}
        if strange := [key for key in ("sparse", "normalized") if where.get(key)]:
            raise MeshError(f"{path}: has {strange[0]} positions, which are not read; export without compression")


def _json_of(path: Path) -> dict[str, Any]:
    """The JSON description in a GLB or glTF file; empty for 3MF."""
    if path.suffix.lower() == ".3mf":
        return {}
    with path.open("rb") as file:
        head = file.read(_GLB_JSON) if path.suffix.lower() == ".glb" else b""
        content = json.loads(file.read(int.from_bytes(head[12:16], "little")) if head else file.read())
    return content if isinstance(content, dict) else {}


def _check_chunks(path: Path) -> None:
    """Refuse a GLB file with chunks that end behind the file: memory is taken for the length that a chunk states."""
    if path.suffix.lower() != ".glb":
        return
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = 12  # after the header of the file
        while start + 8 <= size:
            file.seek(start)
            length = int.from_bytes(file.read(4), "little")
            start += 8 + length  # the header of the chunk and its content
            if start > size:
                raise MeshError(
                    f"{path}: expected a chunk of {length} bytes, found {size - start + length}; was the file cut off? "
                    "Export it again"
                )


def _colours(parts: list[Any]) -> dict[str, np.ndarray]:
    """The columns ``red``, ``green`` and ``blue`` of vertex colours; none unless all parts have colours."""
    if not parts or any(part.visual.kind != "vertex" for part in parts):
        return {}
    rgb = np.concatenate([np.asarray(part.visual.vertex_colors)[:, :3] for part in parts])
    return dict(zip(("red", "green", "blue"), rgb.T, strict=True))
