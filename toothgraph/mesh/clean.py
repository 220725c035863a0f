"""From what a file stores to a clean triangle surface, keeping the way back."""

from __future__ import annotations

import numpy as np

from toothgraph.errors import MeshError
from toothgraph.mesh.mesh import Original
from toothgraph.mesh.stored import Stored

# a triangle this flat (height over longest edge) has no normal worth the name
_FLAT = 1e-6


def unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows by exact value, in order of first occurrence.

    Args:
        rows: [N, k] float64 or int64.

    Returns:
        ``first`` [U]: where each distinct row first stands; ``inverse`` [N]: the distinct row of each row.
    """
    bits = np.ascontiguousarray(rows + 0).view(np.uint64)  # + 0 turns -0.0 into 0.0
    key = np.zeros(len(bits), dtype=np.uint64)
    for column in bits.T:  # one 64-bit key per row sorts ten times faster than rows do
        key = (key ^ column) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    if not np.array_equal(bits[first[inverse]], bits):  # two rows met in one key
        _, first, inverse = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def drop_unused_vertices(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keep the vertices that faces use.

    Returns:
        vertices [V', 3], faces [F, 3] into them, and the new index of each old vertex [V], -1 if dropped.
    """
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    new_index = np.where(used, np.cumsum(used) - 1, -1)
    return vertices[used], new_index[faces], new_index


def flat_faces(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which triangles repeat a corner or have no area. [F] bool."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    doubled_area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    longest_squared = np.max([((p - q) ** 2).sum(axis=1) for p, q in ((a, b), (b, c), (c, a))], axis=0)
    return doubled_area <= _FLAT * longest_squared


def triangulate(polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut polygons into fans around their first corner.

    Args:
        polygons: [F0, m], short rows filled with -1.

    Returns:
        triangles [T, 3] in the order of their polygons, and the polygon of each [T].
    """
    if polygons.shape[1] == 3:
        complete = (polygons >= 0).all(axis=1)
        return polygons[complete], np.flatnonzero(complete)
    steps = range(1, polygons.shape[1] - 1)
    fans = np.stack([polygons[:, [0, k, k + 1]] for k in steps], axis=1)  # [F0, m - 2, 3]
    complete = (fans >= 0).all(axis=2)
    owner = np.broadcast_to(np.arange(len(polygons))[:, None], complete.shape)
    return fans[complete], owner[complete]


def clean(stored: Stored, scale: float, name: str) -> tuple[np.ndarray, np.ndarray, Original]:
    """Weld equal positions, cut polygons into triangles, drop flat and repeated faces and unused vertices.

    Args:
        stored: the file's content.
        scale: millimetres per unit of the file.
        name: the file, for messages.

    Returns:
        vertices [V, 3] in mm, faces [F, 3], and the way back to the file.

    Raises:
        MeshError: if a face points outside the vertices or uses a vertex that is not finite, or no face
            is left.
    """
    _check(stored, name)
    triangles, polygon = triangulate(stored.polygons)
    first, welded = unique_rows(stored.vertices)
    vertices = stored.vertices[first] * scale
    triangles = welded[triangles]
    solid = ~flat_faces(np.where(np.isfinite(vertices), vertices, 0.0), triangles)
    if not solid.any():
        raise MeshError(f"{name}: none of its {len(stored.polygons)} faces has an area; export the scan again")
    triangles, polygon = triangles[solid], polygon[solid]
    kept, twin = unique_rows(np.sort(triangles, axis=1))
    face_map = np.full(len(stored.polygons), -1, dtype=np.int64)
    face_map[polygon[::-1]] = twin[::-1]  # the first triangle of a polygon is written last
    vertices, faces, new_index = drop_unused_vertices(vertices, triangles[kept])
    original = Original(
        vertices=stored.vertices,
        polygons=stored.polygons,
        vertex_map=new_index[welded],
        face_map=face_map,
        polygon_of_face=polygon[kept],
        mm_per_unit=scale,
    )
    return vertices, faces, original


def _check(stored: Stored, name: str) -> None:
    polygons, count = stored.polygons, len(stored.vertices)
    # -1 after the last corner fills a short row; a -1 with a corner behind it is an index, and wrong
    hole = (polygons[:, :-1] < 0) & (polygons[:, 1:] >= 0)
    outside = int((polygons >= count).any(axis=1).sum() + (hole.any(axis=1) | (polygons < -1).any(axis=1)).sum())
    if outside:
        raise MeshError(
            f"{name}: {outside} faces point outside its {count} vertices; the file is damaged: export again"
        )
    used = np.zeros(count, dtype=bool)
    used[polygons[polygons >= 0]] = True
    bad = int((used & ~np.isfinite(stored.vertices).all(axis=1)).sum())
    if bad:
        raise MeshError(
            f"{name}: {bad} vertices used by faces have coordinates that are not finite (NaN or infinity); "
            "clean the scan in a mesh editor or export it again"
        )
