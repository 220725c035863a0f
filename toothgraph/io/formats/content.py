"""Which format a file has by its first bytes: people rename files, and programs name them wrongly."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from toothgraph.errors import MeshError

_HEAD = 4096  # bytes that are looked at
_SIGNS = {
    rb"ply[\r\n]": ".ply",
    rb"\s*(solid|facet)\b[^\0]*\bvertex\s": ".stl",
    rb"\s*(?:ST)?C?N?OFF\s[\s\d#]": ".off",
    rb"# vtk DataFile": ".vtk",
    rb"[^\0]*<VTKFile[^>]*PolyData": ".vtp",
    rb"[^\0]*<VTKFile[^>]*UnstructuredGrid": ".vtu",
    rb"glTF": ".glb",
    rb"[\0-\xff]{128}DICM": ".dcm",
    rb"(?:[^\0]*[\r\n])?v[ \t]+[-+]?[\d.]+(?:e[-+]?\d+)?[ \t]+[-+]?[\d.]": ".obj",  # the only one without a heading
}
_HPS = rb"\s*(<[^\0]*)?<HPS\b"
_OTHERS = {
    rb"PK\x03\x04": "a ZIP archive; give it a name that ends in .zip",
    rb"\x1f\x8b": "packed with gzip; give it a name such as scan_upper.stl.gz",
    rb"\s*<(!doctype )?html": "a web page and no scan; download it again",
    _HPS: "3Shape's own format, which only its programs read; export STL or PLY from them",
}
_BINARY_STL, _FACE = 84, 50  # bytes of the heading, and of each face


def is_of_3shape(path: Path) -> bool:
    """Whether a file, named ``.dcm`` as a rule, has 3Shape's own format, which only its programs read."""
    with path.open("rb") as file:
        return bool(re.match(_HPS, file.read(_HEAD).removeprefix(codecs.BOM_UTF8)))


def suffix_by_content(path: Path) -> str:
    """The suffix that a file ought to have, such as ``.ply``; empty where its first bytes do not tell.

    Raises:
        MeshError: for an archive (but 3MF is one), a web page, or what only the program that wrote it can read.
        OSError: for a file that cannot be read.
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
