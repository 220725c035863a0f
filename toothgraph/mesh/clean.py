"""Turn the content of a file into a clean triangle mesh, with the mapping back to the file."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from toothgraph.errors import MeshError
from toothgraph.mesh.mesh import Original
from toothgraph.mesh.stored import Stored

# height over longest edge; the normal of a flatter triangle is not reliable
_FLAT = 1e-6
_NEAR = 0.01  # of a median edge: two corners so near are one, in a surface whose corners are not joined
_AROUND = 8  # nearest corners that are compared; at a vertex of a scan, six faces meet


def unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows by exact value, in order of first occurrence.

    Args:
        rows: [N, k] float64 or int64.

    Returns:
        ``first`` [U]: first occurrence of each distinct row; ``inverse`` [N]: the distinct row of each row.
    """
    bits = np.ascontiguousarray(rows + 0).view(np.uint64)  # + 0 turns -0.0 into 0.0
    key = np.zeros(len(bits), dtype=np.uint64)
    for column in bits.T:  # sorting one 64-bit hash per row is ten times faster than sorting rows
        key = (key ^ column) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    if not np.array_equal(bits[first[inverse]], bits):  # hash collision
        _, first, inverse = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def joined_corners(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct vertices: by exact value, or by distance if exact values leave most corners apart.

    A program that turns each triangle by itself leaves corners of neighbouring triangles some rounding errors apart.

    Args:
        vertices: [V, 3] float64, in any unit.
        triangles: [T, 3] indices of vertices.

    Returns:
        ``first`` [U]: first occurrence of each distinct vertex; ``inverse`` [V]: the distinct vertex of each vertex.
    """
    first, inverse = unique_rows(vertices)
    is_used = np.zeros(len(first), dtype=bool)
    is_used[inverse[triangles]] = True
    # A joined surface has half as many corners as triangles, a loose one three times.
    if is_used.sum() <= len(triangles):
        return first, inverse
    from scipy.spatial import KDTree  # imported here, because few files need it, and commands begin sooner without

    points = vertices[first]
    used = np.flatnonzero(is_used & np.isfinite(points).all(axis=1))
    corners = points[inverse[triangles]]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    edges = edges[np.isfinite(edges)]
    if not edges.any():
        return first, inverse
    _, near = KDTree(points[used]).query(points[used], k=_AROUND, distance_upper_bound=_NEAR * np.median(edges))
    row, place = np.nonzero(near < len(used))  # where there is no other corner, the index is len(used)
    ends = used[row], used[near[row, place]]
    links = coo_array((np.ones(len(row), dtype=bool), ends), shape=(len(first), len(first)))
    _, group = connected_components(links, directed=False)
    kept, joined = unique_rows(group[:, None].astype(np.int64))
    return first[kept], joined[inverse]


def drop_unused_vertices(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Remove the vertices [V, 3] that no face [F, 3] uses.

    Returns:
        vertices [V', 3], faces [F, 3] with new indices, and the new index of each old vertex [V], -1 if removed.
    """
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    new_index = np.where(used, np.cumsum(used) - 1, -1)
    return vertices[used], new_index[faces], new_index


def flat_faces(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which triangles have a repeated corner or no area. Vertices [V, 3] and faces [F, 3] to [F] bool."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    doubled_area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    longest_squared = np.max([((p - q) ** 2).sum(axis=1) for p, q in ((a, b), (b, c), (c, a))], axis=0)
    return doubled_area <= _FLAT * longest_squared


def triangulate(polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut polygons into triangle fans around their first corner.

    Args:
        polygons: [F0, m]; short rows are filled with -1, which must not occur elsewhere.

    Returns:
        triangles [T, 3] in the order of their polygons, and the polygon of each [T].
    """
    if polygons.shape[1] == 3:
        complete = (polygons >= 0).all(axis=1)
        return polygons[complete], np.flatnonzero(complete)
    counts = np.maximum((polygons >= 0).sum(axis=1) - 2, 0)  # triangles of each
    owner = np.repeat(np.arange(len(polygons)), counts)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)  # within its polygon
    return polygons[owner[:, None], np.stack([np.zeros_like(step), step + 1, step + 2], axis=1)], owner


def clean(stored: Stored, scale: float, name: str) -> tuple[np.ndarray, np.ndarray, Original]:
    """Join vertices at the same place, cut polygons into triangles, remove flat and repeated faces and unused vertices.

    Args:
        stored: the content of the file.
        scale: millimetres per unit of the file.
        name: the file, for messages.

    Returns:
        vertices [V, 3] in mm, faces [F, 3], and the mapping to the file.

    Raises:
        MeshError: if a face index is outside the vertices, a used vertex is not finite, or no face remains.
    """
    # 1. Check indices and coordinates.
    _check(stored, name)
    # 2. Triangles on merged vertices.
    triangles, polygon = triangulate(stored.polygons)
    first, welded = joined_corners(stored.vertices, triangles)
    vertices = stored.vertices[first] * scale
    triangles = welded[triangles]
    # 3. Without flat faces.
    solid = ~flat_faces(np.where(np.isfinite(vertices), vertices, 0.0), triangles)
    if not solid.any():
        raise MeshError(f"{name}: none of its {len(stored.polygons)} faces has an area; export the scan again")
    triangles, polygon = triangles[solid], polygon[solid]
    # 4. Without repeated faces: each polygon maps to its first clean face.
    kept, twin = unique_rows(np.sort(triangles, axis=1))
    face_map = np.full(len(stored.polygons), -1, dtype=np.int64)
    face_map[polygon[::-1]] = twin[::-1]  # the first triangle of a polygon is written last
    # 5. Without unused vertices.
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
    # -1 after the last corner only fills a short row; -1 before a corner is a wrong index
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
