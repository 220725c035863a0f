"""The format of a file by its first bytes, as people rename files and programs name them wrongly."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from toothgraph.errors import MeshError

_HEAD = 4096  # bytes at the beginning that are searched
_SIGNS = {
    rb"ply[\r\n]": ".ply",
    rb"\s*(solid|facet)\b[^\0]*\bvertex\s": ".stl",
    rb"\s*(?:ST)?C?N?OFF\s[\s\d#]": ".off",
    rb"# vtk DataFile": ".vtk",
    rb"[^\0]*<VTKFile[^>]*PolyData": ".vtp",
    rb"[^\0]*<VTKFile[^>]*UnstructuredGrid": ".vtu",
    rb"glTF": ".glb",
    rb"[\0-\xff]{128}DICM": ".dcm",
    rb"(?:[^\0]*[\r\n])?v[ \t]+[-+]?[\d.]+(?:e[-+]?\d+)?[ \t]+[-+]?[\d.]": ".obj",  # has no header: found by a vertex
}
_HPS = rb"\s*(<[^\0]*)?<HPS\b"
_OTHERS = {
    rb"PK\x03\x04": "a ZIP archive; give it a name that ends in .zip",
    rb"\x1f\x8b": "packed with gzip; give it a name such as scan_upper.stl.gz",
    rb"\s*<(!doctype )?html": "a web page and no scan; download it again",
    _HPS: "3Shape's own format, which only its programs read; export STL or PLY from them",
}
_BINARY_STL, _FACE = 84, 50  # bytes of the header and of each face


def is_of_3shape(path: Path) -> bool:
    """Whether a file has 3Shape's own format, which only 3Shape's programs read; it is usually named ``.dcm``."""
    with path.open("rb") as file:
        return bool(re.match(_HPS, file.read(_HEAD).removeprefix(codecs.BOM_UTF8)))


def suffix_by_content(path: Path) -> str:
    """The suffix that a file should have, such as ``.ply``; empty if its first bytes do not tell.

    Raises:
        MeshError: for an archive, a web page, or a file in 3Shape's own format; not for a file named ``.3mf``.
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if len(head) >= _BINARY_STL:
        faces = int.from_bytes(head[80:84], "little")
        if path.stat().st_size == _BINARY_STL + _FACE * faces:
            return ".stl"
    text = head.removeprefix(codecs.BOM_UTF8)
    for sign, what in _OTHERS.items():
        if path.suffix.lower() != ".3mf" and re.match(sign, text, re.IGNORECASE):
            raise MeshError(f"{path}: by its content it is {what}")
    return next((suffix for sign, suffix in _SIGNS.items() if re.match(sign, text, re.IGNORECASE)), "")
