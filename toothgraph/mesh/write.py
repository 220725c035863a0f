"""Writing labelled scans on the file's own vertices and faces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from toothgraph.errors import LabelError, MeshError
from toothgraph.files import atomic_path, write_text
from toothgraph.mesh.colours import colours
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import JAW_NAMES, UNKNOWN_JAW, jaw_of_labels
from toothgraph.mesh.original import faces_to_original, original_of, vertices_to_original

_COLOUR_AND_FDI = [("red", "u1"), ("green", "u1"), ("blue", "u1"), ("fdi", "<i4")]
_HEADER_OF_COLUMNS = ["property uchar red", "property uchar green", "property uchar blue", "property int fdi"]


def write_labelled(out_dir: str | Path, name: str, mesh: Mesh, face_fdi: np.ndarray) -> list[Path]:
    """Write ``name.ply``, ``name.txt`` and ``name.json`` into ``out_dir``.

    They hold the vertices and faces of the file the mesh was read from: same order, count and unit. Faces
    the clean mesh left out take their neighbours' labels (``faces_to_original``).

    Args:
        out_dir: the folder, made if needed.
        name: the files' stem.
        mesh: the clean mesh.
        face_fdi: [F] FDI numbers of its faces, 0 gingiva, -1 unknown.

    Returns:
        The three paths.

    Raises:
        LabelError: if there are not F labels.
    """
    original = original_of(mesh)
    polygon_fdi = faces_to_original(mesh, face_fdi)
    vertex_fdi = vertices_to_original(mesh, face_fdi)
    jaw = mesh.jaw if mesh.jaw != UNKNOWN_JAW else jaw_of_labels(face_fdi)
    ply, txt, js = (Path(out_dir) / f"{name}.{suffix}" for suffix in ("ply", "txt", "json"))
    write_ply(ply, original.vertices, original.polygons, vertex_fdi, polygon_fdi)
    write_txt(txt, polygon_fdi)
    write_teeth3ds_json(js, vertex_fdi, jaw=jaw, id_patient=name)
    return [ply, txt, js]


def write_ply(
    path: str | Path, vertices: np.ndarray, polygons: np.ndarray, vertex_fdi: np.ndarray, face_fdi: np.ndarray
) -> None:
    """Write a binary little-endian PLY with a colour and the number ``fdi`` on each vertex and face.

    Args:
        path: the file.
        vertices: [V, 3]; stored as float if that loses nothing, else as double.
        polygons: [F, m], short rows filled with -1.
        vertex_fdi: [V] FDI numbers.
        face_fdi: [F] FDI numbers.

    Raises:
        LabelError: if there is not one number per vertex and per face.
    """
    if len(vertex_fdi) != len(vertices) or len(face_fdi) != len(polygons):
        raise LabelError(
            f"{path}: expected {len(vertices)} vertex and {len(polygons)} face labels, "
            f"got {len(vertex_fdi)} and {len(face_fdi)}"
        )
    # a comparison that takes NaN for equal to itself
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
    """The rows of the face element, which differ in length where polygons do."""
    sizes = (polygons >= 0).sum(axis=1)
    if sizes.max(initial=0) > 255:
        raise MeshError(f"a PLY face has at most 255 corners, found one of {sizes.max()}")
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


def write_txt(path: str | Path, face_fdi: np.ndarray) -> None:
    """Write one FDI number per line, one line per face."""
    write_text(path, "\n".join(map(str, np.asarray(face_fdi).tolist())) + "\n")


def write_teeth3ds_json(path: str | Path, vertex_fdi: np.ndarray, *, jaw: int, id_patient: str = "") -> None:
    """Write labels per vertex in the layout of Teeth3DS: ``id_patient``, ``jaw``, ``labels``, ``instances``.

    Args:
        path: the file.
        vertex_fdi: [V] FDI numbers.
        jaw: 0 upper, 1 lower, -1 unknown.
        id_patient: the scan's name.
    """
    vertex_fdi = np.asarray(vertex_fdi)
    teeth = np.unique(vertex_fdi[vertex_fdi > 0])
    instances = np.where(vertex_fdi > 0, np.searchsorted(teeth, vertex_fdi) + 1, 0)  # 1, 2, … per tooth
    content = {
        "id_patient": id_patient,
        "jaw": JAW_NAMES[jaw],
        "labels": vertex_fdi.tolist(),
        "instances": instances.tolist(),
    }
    write_text(path, json.dumps(content))


def write_stl(path: str | Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write triangles as binary STL.

    Args:
        path: the file.
        vertices: [V, 3], stored as float32.
        faces: [F, 3].
    """
    corners = np.asarray(vertices, dtype=np.float64)[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facets = np.zeros(len(faces), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    facets["normal"] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    facets["corners"] = corners
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(b"binary STL".ljust(80))
        file.write(np.uint32(len(faces)).astype("<u4").tobytes())
        file.write(facets.tobytes())
