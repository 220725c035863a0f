"""One file per tooth: a folder with ``gingiva.stl`` and files named by tooth numbers (STL, PLY or OBJ) is one scan."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from toothgraph.errors import MeshError
from toothgraph.fdi import UNKNOWN
from toothgraph.io.formats.obj import read_obj
from toothgraph.io.formats.ply import read_ply
from toothgraph.io.formats.stl import read_stl, write_stl
from toothgraph.mesh.stored import Stored, stack_polygons

_GINGIVA = re.compile(r"gingiva|gums?", re.IGNORECASE)
_TOOTH = re.compile(r"(?:(?:tooth|fdi)[ _-]?)?([1-4][1-8]|[5-8][1-5])", re.IGNORECASE)
_READERS = {".stl": read_stl, ".ply": read_ply, ".obj": read_obj}
_UNKNOWN = "unknown"  # name of the file with the faces of unknown teeth


def number_of(file: Path) -> int | None:
    """The FDI number in a file name, or None: 11 for ``11.stl`` or ``tooth_11.ply``, 0 for ``gingiva.stl``.

    ``unknown.stl`` has the number -1.
    """
    if file.suffix.lower() not in _READERS:
        return None
    if _GINGIVA.fullmatch(file.stem):
        return 0
    if file.stem == _UNKNOWN:
        return UNKNOWN
    tooth = _TOOTH.fullmatch(file.stem)
    return int(tooth.group(1)) if tooth else None


def is_tooth_folder(path: Path) -> bool:
    """Whether a folder is one scan: it has a gingiva file and a tooth file.

    If its name ends in ``.teeth``, the gingiva file is enough.
    """
    if not path.is_dir():
        return False
    numbers = {number_of(file) for file in path.iterdir()}
    return 0 in numbers and (path.suffix == ".teeth" or any(number is not None and number > 0 for number in numbers))


def read_tooth_folder(path: Path) -> Stored:
    """Read all parts of a folder as one surface, with the FDI number of each face as ``fdi``.

    Files that are no parts are ignored.

    Raises:
        MeshError: if a part cannot be read, or two files have the same number.
    """
    parts, mended = {}, []
    for file in sorted(path.iterdir()):
        number = number_of(file)
        if number in parts:
            raise MeshError(f"{file}: the second file for {number or 'gingiva'} in its folder; remove one of them")
        if number == 0 and file.stat().st_size == 0:  # an empty gingiva file only marks the folder as one scan
            parts[number] = Stored(np.empty((0, 3)), np.empty((0, 3), dtype=np.int64))
        elif number is not None:
            parts[number] = _READERS[file.suffix.lower()](file)
            mended += [f"{file.name}: {', '.join(parts[number].mended)}"] * bool(parts[number].mended)
    first = np.cumsum([0, *(len(part.vertices) for part in parts.values())])
    try:
        polygons = stack_polygons([
            np.where(part.polygons < 0, part.polygons, part.polygons + start)
            for part, start in zip(parts.values(), first, strict=False)
        ])  # fmt: skip
    except ValueError as error:
        raise MeshError(f"{path}: {error}; export its parts again, as triangles") from None
    return Stored(
        np.concatenate([part.vertices for part in parts.values()]),
        polygons,
        face_data={"fdi": np.repeat(list(parts), [len(part.polygons) for part in parts.values()])},
        mended=tuple(mended),
    )  # fmt: skip


def write_tooth_folder(path: Path, vertices: np.ndarray, faces: np.ndarray, fdi: np.ndarray) -> None:
    """Write ``gingiva.stl`` and one STL per tooth. Older STL files of teeth that no longer exist are deleted.

    Args:
        path: the folder.
        vertices: [V, 3], stored as float32.
        faces: [F, 3] triangles.
        fdi: [F] FDI numbers, 0 gingiva, -1 unknown.
    """
    path.mkdir(parents=True, exist_ok=True)
    names = {0: "gingiva", UNKNOWN: _UNKNOWN}
    # gingiva.stl is always written, even if empty: it marks the folder as one scan
    written = {path / f"{names.get(number, number)}.stl": faces[fdi == number] for number in {0, *fdi.tolist()}}
    for file, part in written.items():
        write_stl(file, vertices, part)
    for file in path.iterdir():
        if file.suffix.lower() == ".stl" and number_of(file) is not None and file not in written:
            file.unlink()
