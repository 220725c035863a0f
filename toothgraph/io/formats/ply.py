"""PLY files: all elements with their scalar properties are read; colours and FDI numbers are written.

Format: Turk, "The PLY Polygon File Format", 1994.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.anatomy.colours import colours
from toothgraph.errors import LabelError, MeshError
from toothgraph.io.formats.text import numbers, plain_text, without_commas
from toothgraph.mesh.stored import Stored, stack_polygons, triangles_of_strips
from toothgraph.system.files import atomic_path

_DTYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8", "int64": "i8", "uint64": "u8"},
}
_BYTE_ORDERS = {"ascii": "<", "binary_little_endian": "<", "binary_big_endian": ">"}
_FACE_LISTS = ("vertex_indices", "vertex_index", "vertex_indexes", "vertices", "indices")
_END_OF_HEADER = re.compile(rb"[\r\n][ \t]*end_header[ \t]*(\r\n|\r|\n)", re.IGNORECASE)
_UNSIGNED_MINUS_ONE = (2**8 - 1, 2**16 - 1, 2**32 - 1)
_COLOUR_AND_FDI = [("red", "u1"), ("green", "u1"), ("blue", "u1"), ("fdi", "<i4")]
_HEADER_OF_COLUMNS = ["property uchar red", "property uchar green", "property uchar blue", "property int fdi"]


@dataclass
class _Property:
    name: str
    dtype: str
    length_dtype: str | None = None  # lists only


@dataclass
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)

    def row_dtype(self, order: str, lengths: list[int]) -> np.dtype:
        """The layout of one row whose lists have these lengths; field ``pk`` is property k, ``#k`` its length."""
        fields: list[tuple[Any, ...]] = []
        remaining = iter(lengths)
        for k, prop in enumerate(self.properties):
            if prop.length_dtype is None:
                fields.append((f"p{k}", order + prop.dtype))
            else:
                fields.append((f"#{k}", order + prop.length_dtype))
                fields.append((f"p{k}", order + prop.dtype, (next(remaining),)))
        return np.dtype(fields)

    @property
    def lists(self) -> list[int]:
        return [k for k, prop in enumerate(self.properties) if prop.length_dtype is not None]


def read_ply(path: Path) -> Stored:
    """Read the vertices and faces of a PLY file.

    Raises:
        MeshError: if the header is not a PLY header, or the file is shorter than the header says.
    """
    # 1. The header; an ASCII body becomes a binary one.
    data, mended = path.read_bytes(), list[str]()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data, mended = plain_text(data)
    format_name, elements, start, of_header = _parse_header(path, data)
    mended += of_header
    order = _BYTE_ORDERS[format_name]
    body = memoryview(data)[start:]
    if format_name == "ascii":
        body, of_numbers = _ascii_as_binary(path, data[start:], elements)
        mended += of_numbers
    # 2. All elements, in the order of the file.
    tables, offset = {}, 0
    for element in elements:
        try:
            tables[element.name], offset = _read_element(path, body, offset, element, order)
        except ValueError as error:
            raise MeshError(f"{path}: {error}; export the scan again, as triangles") from None
    # 3. Vertices and faces, with their other columns.
    vertices, faces = tables.get("vertex", {}), tables.get("face", {})
    axes = {key.lower(): key for key in vertices if key.lower() in ("x", "y", "z")}
    if len(axes) < 3:
        raise MeshError(
            f"{path}: expected an `element vertex` with x, y and z in the PLY header, found none; export again"
        )
    points = np.column_stack([vertices[axes[axis]] for axis in "xyz"]).astype(np.float64)
    polygons = _corner_lists(faces)
    face_data = {key: column for key, column in faces.items() if column.ndim == 1}
    if len(strips := _corner_lists(tables.get("tristrips", {}))):
        try:
            polygons = stack_polygons([polygons, _unrolled(strips, len(points))])
        except ValueError as error:
            raise MeshError(f"{path}: {error}; export the scan again, as triangles") from None
        face_data = {}  # strips have no columns of faces
    vertex_data = {key: column for key, column in vertices.items() if key not in axes.values()}
    return Stored(points, polygons, vertex_data, face_data, tuple(mended))


def _corner_lists(columns: dict[str, np.ndarray]) -> np.ndarray:
    """The list of vertices of each row [n, m]: the list with a usual name, or else the only list of the element."""
    lists = {key.lower(): column for key, column in columns.items() if column.ndim == 2}
    named = [lists[name] for name in _FACE_LISTS if name in lists]
    if not named and len(lists) == 1:
        named = list(lists.values())
    return named[0] if named else np.empty((0, 3), dtype=np.int64)


def _unrolled(strips: np.ndarray, num_vertices: int) -> np.ndarray:
    """The triangles [T, 3] of rows of strips [n, m]. A strip ends with -1, also if written as an unsigned number."""
    rows = np.column_stack([strips, np.full(len(strips), -1)]).ravel()
    rows = np.where((rows >= num_vertices) & np.isin(rows, _UNSIGNED_MINUS_ONE), -1, rows)
    ends = np.flatnonzero(rows == -1)
    sizes = np.diff(ends, prepend=-1) - 1
    return triangles_of_strips(sizes, rows[rows != -1])[0]


def _parse_header(path: Path, data: bytes) -> tuple[str, list[_Element], int, list[str]]:
    """The format, the elements, the offset of the body, and what was mended, in words.

    Lines of the header may end in LF, CR or both. The body begins after the line end of ``end_header``, which is of the
    same kind as the first line end of the header.
    """
    begin = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    end = _END_OF_HEADER.search(data) if data[begin : begin + 3].lower() == b"ply" else None
    if end is None:
        raise MeshError(f"{path}: expected a PLY header from `ply` to `end_header`, found none; export again")
    lines = re.split(rb"[\r\n]+", data[begin : end.start()])
    line_end = re.search(rb"\r\n|\r|\n", data)
    start = end.end()
    if end[1] == b"\r\n" and line_end and line_end[0] == b"\r":
        start -= 1  # lines end in CR: the LF is the first byte of the body
    mended = ["a byte order mark"] * (begin > 0) + ["lines that end in CR"] * (end[1] == b"\r")
    format_name, elements = "", []
    for line in lines[1:]:
        words = line.decode("latin-1").split()
        kind = words[0].lower() if words else ""
        try:
            if kind == "format":
                format_name = words[1].lower()
            elif kind == "element":
                elements.append(_Element(words[1].lower(), int(words[2])))
            elif kind == "property" and words[1].lower() == "list":
                lengths, entries = (_DTYPES[word.lower()] for word in words[2:4])
                elements[-1].properties.append(_Property(words[4], entries, lengths))
            elif kind == "property":
                elements[-1].properties.append(_Property(words[2], _DTYPES[words[1].lower()]))
        except (IndexError, KeyError, ValueError):
            raise MeshError(
                f"{path}: expected a `format`, `element` or `property` line in the PLY header, found "
                f"`{' '.join(words)}`; export again"
            ) from None
    if format_name not in _BYTE_ORDERS:
        raise MeshError(f"{path}: expected one of {', '.join(_BYTE_ORDERS)} in the PLY header, found `{format_name}`")
    return format_name, elements, start, mended


def _ascii_as_binary(path: Path, text: bytes, elements: list[_Element]) -> tuple[memoryview, list[str]]:
    """The numbers of an ASCII body as float64 bytes, and what was mended, in words.

    The types in ``elements`` are changed to float64, too.
    """
    try:
        plain, mended = without_commas(plain_text(text)[0])
        values = numbers(plain)
    except ValueError as error:
        raise MeshError(f"{path}: behind the PLY header: {error}; export again") from None
    for element in elements:
        for prop in element.properties:
            prop.dtype = "f8"
            prop.length_dtype = "f8" if prop.length_dtype else None
    return memoryview(values.tobytes()), mended


def _read_element(
    path: Path, body: memoryview, offset: int, element: _Element, order: str
) -> tuple[dict[str, np.ndarray], int]:
    """The columns of one element (lists as [n, longest], filled with -1), and the offset of the next element."""
    short = MeshError(
        f"{path}: the header promises {element.count} rows of `{element.name}`, but the file ends earlier; "
        "it is damaged or cut short: copy or export it again"
    )
    smallest = element.row_dtype(order, [0] * len(element.lists)).itemsize
    if element.count < 0 or offset + element.count * smallest > len(body):
        raise short
    if element.count == 0 or not element.properties:
        return {prop.name: np.empty((0, 3) if prop.length_dtype else 0) for prop in element.properties}, offset
    # 1. Usual case: all rows have the same layout and are read as one array.
    lengths = _list_lengths(body, offset, element, order)
    layout = element.row_dtype(order, lengths) if lengths is not None else None
    if layout is not None and offset + element.count * layout.itemsize <= len(body):
        rows = np.frombuffer(body, layout, element.count, offset)
        if all((rows[f"#{k}"] == rows[f"p{k}"].shape[1]).all() for k in element.lists):
            return _columns(element, [np.arange(element.count)], [rows]), offset + rows.nbytes
    # 2. Otherwise: group the rows by the lengths of their lists, then read each group as one array.
    groups: dict[tuple[int, ...], tuple[list[int], list[int]]] = {}
    for row in range(element.count):
        lengths = _list_lengths(body, offset, element, order)
        size = element.row_dtype(order, lengths).itemsize if lengths is not None else 0
        if lengths is None or offset + size > len(body):
            raise short
        numbers, offsets = groups.setdefault(tuple(lengths), ([], []))
        numbers.append(row)
        offsets.append(offset)
        offset += size
    content = np.frombuffer(body, np.uint8)
    tables = []
    for key, (_, offsets) in groups.items():
        layout = element.row_dtype(order, list(key))
        spans = np.array(offsets)[:, None] + np.arange(layout.itemsize)
        tables.append(content[spans].reshape(-1).view(layout))
    return _columns(element, [np.array(numbers) for numbers, _ in groups.values()], tables), offset


def _list_lengths(body: memoryview, offset: int, element: _Element, order: str) -> list[int] | None:
    """The lengths of the lists in the row at ``offset``; None if the row does not end inside the file."""
    lengths: list[int] = []
    for prop in element.properties:
        if prop.length_dtype is None:
            offset += np.dtype(prop.dtype).itemsize
            continue
        dtype = np.dtype(order + prop.length_dtype)
        if offset + dtype.itemsize > len(body):
            return None
        number = np.frombuffer(body, dtype, 1, offset)[0]
        length = int(number) if np.isfinite(number) else -1
        offset += dtype.itemsize + length * np.dtype(prop.dtype).itemsize
        if length < 0 or offset > len(body):
            return None
        lengths.append(length)
    return lengths


def _columns(element: _Element, numbers: list[np.ndarray], tables: list[np.ndarray]) -> dict[str, np.ndarray]:
    """One array per property, in file order; ``numbers[i]`` are the row numbers of ``tables[i]``."""
    columns = {}
    known = any(prop.length_dtype is not None and prop.name.lower() in _FACE_LISTS for prop in element.properties)
    for k, prop in enumerate(element.properties):
        key = f"p{k}"
        if known and prop.length_dtype is not None and prop.name.lower() not in _FACE_LISTS:
            continue  # other lists, such as texture coordinates of corners, are not used
        if prop.length_dtype is None:
            column = np.empty(element.count, dtype=tables[0][key].dtype.newbyteorder("="))
        else:
            width = max(3, *(table[key].shape[1] for table in tables))
            if element.count * width > 100 * sum(table[key].size for table in tables) + 1000:
                raise ValueError(f"a row of `{element.name}` has {width} entries, which is too many beside the others")
            column = np.full((element.count, width), -1, dtype=np.int64)
        for rows, table in zip(numbers, tables, strict=True):
            if prop.length_dtype is None:
                column[rows] = table[key]
            else:
                # NaN or infinity is not a valid index: -2 is rejected later
                column[rows, : table[key].shape[1]] = np.where(np.isfinite(table[key]), table[key], -2)
        columns[prop.name] = column
    return columns


def write_ply(
    path: str | Path, vertices: np.ndarray, polygons: np.ndarray, vertex_fdi: np.ndarray, face_fdi: np.ndarray
) -> None:
    """Write a binary little-endian PLY file with a colour and the property ``fdi`` on each vertex and face.

    Args:
        path: the file.
        vertices: [V, 3]; stored as float if this is exact, else as double.
        polygons: [F, m]; short rows are filled with -1.
        vertex_fdi: [V] FDI numbers.
        face_fdi: [F] FDI numbers.

    Raises:
        LabelError: if there is not one number per vertex and per face.
        MeshError: if a face has more than 255 corners.
    """
    if len(vertex_fdi) != len(vertices) or len(face_fdi) != len(polygons):
        raise LabelError(
            f"{path}: expected {len(vertices)} vertex and {len(polygons)} face labels, "
            f"got {len(vertex_fdi)} and {len(face_fdi)}"
        )
    # NaN counts as equal to NaN here
    exact = np.array_equal(vertices, vertices.astype(np.float32), equal_nan=True)
    kind, word = ("<f4", "float") if exact else ("<f8", "double")
    points = np.empty(len(vertices), [*((axis, kind) for axis in "xyz"), *_COLOUR_AND_FDI])
    for k, axis in enumerate("xyz"):
        points[axis] = vertices[:, k]
    _fill(points, vertex_fdi)
    header = [
        *("ply", "format binary_little_endian 1.0", "comment labels: FDI numbers, 0 gingiva, -1 unknown"),
        f"element vertex {len(vertices)}",
        *(f"property {word} {axis}" for axis in "xyz"),
        *_HEADER_OF_COLUMNS,
        f"element face {len(polygons)}",
        "property list uchar int vertex_indices",
        *_HEADER_OF_COLUMNS,
        "end_header\n",
    ]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write("\n".join(header).encode("ascii"))
        file.write(points.tobytes())
        file.write(_face_bytes(polygons, face_fdi))


def _fill(rows: np.ndarray, fdi: np.ndarray) -> None:
    for name, channel in zip(("red", "green", "blue"), colours(fdi).T, strict=True):
        rows[name] = channel
    rows["fdi"] = fdi


def _face_bytes(polygons: np.ndarray, fdi: np.ndarray) -> bytes:
    """The bytes of the rows of the face element; the length of a row depends on the number of corners."""
    sizes = (polygons >= 0).sum(axis=1)
    if sizes.max(initial=0) > 255:
        raise MeshError(f"expected faces of at most 255 corners for PLY, found one of {sizes.max()}; write VTP instead")
    tables, starts = [], np.zeros(len(polygons), dtype=np.int64)
    for size in np.unique(sizes):
        member = sizes == size
        layout = np.dtype([("n", "u1"), ("corners", "<i4", (int(size),)), *_COLOUR_AND_FDI])
        rows = np.empty(int(member.sum()), layout)
        rows["n"], rows["corners"] = size, polygons[member, :size]
        _fill(rows, fdi[member])
        tables.append((member, rows))
        starts[member] = layout.itemsize
    if len(tables) == 1:
        return tables[0][1].tobytes()
    ends = np.cumsum(starts)
    starts = ends - starts
    content = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    for member, rows in tables:
        spans = starts[member][:, None] + np.arange(rows.dtype.itemsize)
        content[spans] = rows.view(np.uint8).reshape(len(rows), -1)
    return content.tobytes()
