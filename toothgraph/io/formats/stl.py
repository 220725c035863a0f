"""STL, binary and ASCII."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toothgraph.errors import MeshError
from toothgraph.io.formats.text import Lines, blocks, lines_of, numbers_of_lines, plain_text
from toothgraph.mesh.clean import unique_rows
from toothgraph.mesh.stored import Stored, polygons_from
from toothgraph.system.files import atomic_path

_HEADER = 84
_UNSET = (0, 0xFFFFFFFF)  # counts of faces in the header that were never filled in
_MOST = 50_000_000  # faces, of a file of 2.5 GB: a larger number in the header is no count of faces
_FAR = 1e6  # no coordinate of a scan is that large, in any unit
_HEAD = 4096  # bytes that tell whether a file is text
_TEXT = bytes({*range(0x20, 0x100), *b"\t\n\v\f\r\x1a"})
_FACET_LINE, _VERTEX_LINE, _END_LINE, _LAST_LINE = 1, 2, 3, 4
_LINES = {b"facet": _FACET_LINE, b"vertex": _VERTEX_LINE, b"endfacet": _END_LINE, b"endsolid": _LAST_LINE}
_END = re.compile(rb"end +(?=loop|facet|solid)", re.IGNORECASE)
_KEYWORD = re.compile(rb"(?<! ) +((?:outer|end *(?:loop|facet|solid)|facet +normal|vertex)(?= |\n))", re.IGNORECASE)
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_stl(path: Path) -> Stored:
    """Read an STL file, see :func:`stl_from_bytes`."""
    return stl_from_bytes(path, path.read_bytes())


def stl_from_bytes(path: Path, data: bytes) -> Stored:
    """The vertices and faces of an STL file.

    STL repeats every corner; the vertices are the distinct corners in order of first occurrence.

    Args:
        path: the file, for messages.
        data: the content of the file.

    Raises:
        MeshError: if it is not an STL file, or is cut short.
    """
    # Some programs begin binary files with `solid`, so the size is checked first.
    if len(data) >= _HEADER and len(data) == _HEADER + 50 * _promised(data):
        return _welded(_facets(data, _promised(data))["corners"], ())
    if _is_text(data):
        return _from_text(path, data)
    start = data[:20].decode("ascii", "replace").replace("\n", " ").strip()
    if len(data) < _HEADER or start[:1] == "<":
        raise MeshError(f"{path}: expected an STL file, found content that begins with `{start}`; export again")
    return _from_binary(path, data)


def _welded(corners: np.ndarray, mended: Sequence[str], sizes: np.ndarray | None = None) -> Stored:
    """The surface of triangles with corners [F, 3, 3], or of polygons with ``sizes`` [F]; equal corners are merged."""
    corners = corners.reshape(-1, 3).astype(np.float64)
    first, inverse = unique_rows(corners)
    polygons = inverse.reshape(-1, 3) if sizes is None else polygons_from(sizes, inverse)
    return Stored(corners[first], polygons, mended=tuple(mended))


def _promised(data: bytes) -> int:
    """The count of faces in the header of a binary file."""
    return int.from_bytes(data[80:84], "little")


def _facets(data: bytes, count: int) -> np.ndarray:
    return np.frombuffer(data, _FACET, count, offset=_HEADER)


def _from_binary(path: Path, data: bytes) -> Stored:
    """The surface of a binary file whose size does not match the count of faces in its header.

    The faces in the file count, if they look like those of a surface; else the count in the header.
    """
    promised, (there, behind) = _promised(data), divmod(len(data) - _HEADER, 50)
    unset = promised in _UNSET or promised > _MOST
    more = _facets(data, there)[0 if unset else promised :]
    if len(more) and _near(more) and (unset or (not behind and _have_normals(more))):
        said = [f"a header of {promised} faces, where {there} are in the file"]
        return _welded(_facets(data, there)["corners"], said + [f"{behind} bytes behind the last face"] * (behind > 0))
    if promised > there:
        raise MeshError(
            f"{path}: the header promises {promised} faces ({_HEADER + 50 * promised} bytes), found {len(data)} bytes; "
            "the file is not STL or is cut short: copy or export it again"
        )
    solids = [_facets(data, promised)]
    end = _HEADER + 50 * promised
    while _is_solid(data[end:]):  # binary files that were joined
        solids.append(_facets(data[end:], _promised(data[end:])))
        end += _HEADER + 50 * len(solids[-1])
    said = [f"{len(solids)} binary files, one behind the other"] * (len(solids) > 1)
    said += [f"{len(data) - end} bytes behind the last face"] * (len(data) > end)
    return _welded(np.concatenate(solids)["corners"], said)


def _is_solid(data: bytes) -> bool:
    """Whether bytes begin with a whole binary file: a header, and the faces that it promises."""
    if len(data) <= _HEADER:
        return False
    promised = _promised(data)
    return 0 < promised <= (len(data) - _HEADER) // 50 and _near(_facets(data, promised))


def _near(facets: np.ndarray) -> bool:
    """Whether the corners of facets are finite, not all zero and not far away; corners from random bytes are not."""
    farthest = np.abs(facets["corners"]).max()  # NaN if any corner is NaN
    return bool(0 < farthest < _FAR)


def _have_normals(facets: np.ndarray) -> bool:
    """Whether nearly all normals of facets have length 1, or 0 if the program wrote none."""
    with np.errstate(invalid="ignore", over="ignore"):
        length = np.linalg.norm(facets["normal"].astype(np.float64), axis=1)
    return bool(((np.abs(length - 1) < 0.1) | (length == 0)).mean() > 0.99)


def _is_text(data: bytes) -> bool:
    """Whether a file is an ASCII STL by its first bytes; it may be in UTF-16."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    if data[:_HEAD].removeprefix(codecs.BOM_UTF8).lstrip()[:5].lower() not in (b"solid", b"facet"):
        return False
    # The name may be in any encoding. After it, binary numbers soon contain a byte that no text has.
    name = re.search(rb"[\r\n]", data)
    head = data[name.end() :][:_HEAD] if name else data[:_HEAD]
    return b"facet" in head.lower() and not head.translate(None, delete=_TEXT)


def _from_text(path: Path, data: bytes) -> Stored:
    text, mended = plain_text(data)
    try:
        kinds, values, said = _read_lines(text)
    except ValueError as error:
        raise MeshError(f"{path}: cannot be read as STL: {error}; export the scan again") from None
    num_facets, num_ends = (np.count_nonzero(kinds == kind) for kind in (_FACET_LINE, _END_LINE))
    # Count of vertices between the beginning of a facet and the beginning of the next facet.
    vertices = np.cumsum(kinds == _VERTEX_LINE)
    sizes = np.diff(np.append(vertices[kinds == _FACET_LINE], len(values) // 3))
    if num_ends != num_facets or (sizes < 3).any() or sizes.sum() != len(values) // 3:
        raise MeshError(
            f"{path}: cannot be read as STL: expected facets of three vertices, each closed by `endfacet`, found "
            f"{num_facets} facets, {len(values) // 3} vertices and {num_ends} `endfacet`; the file is damaged or cut "
            "short: copy or export it again"
        )
    if kinds[kinds > 0][-1:].tolist() != [_LAST_LINE]:
        said.append("no `endsolid` at the end")
    return _welded(values, list(dict.fromkeys([*mended, *said])), None if (sizes == 3).all() else sizes)


def _read_lines(text: bytes) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The kind of each line of a text, the numbers of all vertices in one array, and what was mended, in words.

    Raises:
        ValueError: if a vertex is not three numbers.
    """
    kinds, values, mended = [], [np.zeros(0)], []
    for block in blocks(text):
        lines, said = _lines_of_one_thing(block)
        kind = np.zeros(len(lines.words), dtype=np.uint8)
        for word, number in _LINES.items():
            kind[lines.begin_with(word)] = number
        kinds.append(kind)
        of_block, counts, of_numbers = numbers_of_lines(lines.pick(kind == _VERTEX_LINE, skip=len(b"vertex")))
        if (counts != 3).any():
            raise ValueError(f"expected three numbers per vertex, found {counts[counts != 3][0]}")
        values.append(of_block)
        mended += said + of_numbers
    return np.concatenate(kinds), np.concatenate(values), mended


def _lines_of_one_thing(text: bytes) -> tuple[Lines, list[str]]:
    """The lines of a text with one keyword in each line, written as one word; and what was mended, in words."""
    lines, mended = lines_of(text), []
    if lines.begin_with(b"end ").any():
        text = _END.sub(b"end", text)
        lines = lines_of(text)
        mended.append("`end facet` in two words")
    named = lines.begin_with(b"solid") | lines.begin_with(b"endsolid")
    long = (lines.words > 5) & ~named | (lines.words > 4) & lines.begin_with(b"vertex")
    if (long.any() or (named | (lines.words == 0)).all()) and (split := _KEYWORD.sub(rb"\n\1", text)) != text:
        lines = lines_of(split)
        mended.append("several keywords in one line")
    return lines, mended


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
