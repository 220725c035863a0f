"""Which faces of a surface are seen from one side, as by a scanner."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import label_pieces
from toothgraph.rules import DEFAULT, SideRules

_STEP = np.array([0.7548776662466927, 0.5698402909980532])  # of the R2 sequence (Roberts 2018): even in a triangle


def visible_faces(mesh: Mesh, up: np.ndarray, rules: SideRules = DEFAULT.sides) -> np.ndarray:
    """Faces that are seen, at least partly, from a direction near ``up``, and small patches between them.

    The surface is drawn as points into a depth image for each direction. A face is seen if it faces the eye and one of
    its points is not far below the highest point in its pixel. So the bottom of a model, the inside of a shell and
    roots within the gum are not seen. Afterwards, small patches, large surfaces within sharp edges, and narrow rims are
    corrected as a whole.

    Args:
        mesh: F faces, the normals pointing outwards.
        up: [3] unit direction from the surface to the middle of the places of the eye.
        rules: the cone of directions, the resolution of the image, and which patches are small.

    Returns:
        [F] bool.
    """
    face, points = _points(mesh, rules.spacing)
    seen = np.zeros(len(mesh.faces), dtype=bool)
    for eye in _cone(up, rules.tilt):
        across = _plane(eye)
        cell = np.floor(points @ across.T / rules.cell).astype(np.int64)
        cell -= cell.min(axis=0)
        pixel = cell[:, 0] * (cell[:, 1].max() + 1) + cell[:, 1]
        height = points @ eye
        highest = np.full(pixel.max() + 1, -np.inf)
        np.maximum.at(highest, pixel, height)
        cosine = mesh.normals @ eye
        slope = np.sqrt(np.maximum(1 - cosine**2, 0)) / np.maximum(cosine, rules.facing)
        below = rules.below + rules.cell * slope  # depth of a steep surface within a pixel
        seen[face[(cosine > rules.facing)[face] & (height > highest[pixel] - below[face])]] = True
    for of in (False, True):
        seen = _without_patches(seen, of, mesh, rules.patch)
    return _without_rims(_whole_sides(seen, mesh, up, rules), mesh, rules)


def _without_patches(seen: np.ndarray, of: bool, mesh: Mesh, patch: float) -> np.ndarray:
    """``seen`` [F] with small patches of the value ``of`` changed to the value around them.

    A patch is connected, has less than ``patch`` mm², and has a face of the other value beside it.
    """
    piece = label_pieces(seen, mesh.adjacency)
    small = np.bincount(piece, weights=mesh.areas) < patch
    source, target = mesh.adjacency
    beside = np.zeros(len(small), dtype=bool)
    beside[piece[source[seen[source] != seen[target]]]] = True
    return np.where((seen == of) & (small & beside)[piece], not of, seen)


def _whole_sides(seen: np.ndarray, mesh: Mesh, up: np.ndarray, rules: SideRules) -> np.ndarray:
    """``seen`` [F] with each large surface within sharp edges decided as a whole.

    If little of such a surface is seen, as of the inside of a shell, none of its faces counts as seen. If nearly all of
    it is seen, as of the outside of a shell, all its faces count that do not face down, also where it overhangs.
    """
    piece = label_pieces(np.zeros(len(seen), dtype=np.int64), mesh.adjacency[:, ~_sharp(mesh, rules)])
    area, shown = (np.bincount(piece, weights=weight) for weight in (mesh.areas, mesh.areas * seen))
    large = area > rules.large * area.sum()
    inside, outside = large & (shown < rules.inside * area), large & (shown > rules.outside * area)
    return (seen & ~inside[piece]) | (outside[piece] & (mesh.normals @ up > -rules.overhang))


def _without_rims(seen: np.ndarray, mesh: Mesh, rules: SideRules) -> np.ndarray:
    """``seen`` [F] without narrow strips between a sharp edge and unseen faces, such as the rim of a shell."""
    hidden = np.flatnonzero(~seen)
    if not len(hidden):
        return seen
    piece = label_pieces(seen, mesh.adjacency[:, ~_sharp(mesh, rules)])
    # distance along the surface to the nearest unseen face
    source, target = mesh.adjacency
    length = np.linalg.norm(mesh.centroids[target] - mesh.centroids[source], axis=1)
    links = csr_matrix((np.maximum(length, 1e-9), (source, target)), shape=(len(seen), len(seen)))
    away = dijkstra(links, indices=hidden, min_only=True, limit=rules.rim)
    wide = np.zeros(piece.max() + 1, dtype=bool)
    wide[piece[~np.isfinite(away)]] = True
    return seen & wide[piece]


def _sharp(mesh: Mesh, rules: SideRules) -> np.ndarray:
    """Which of the links between faces [E] cross a sharp convex edge."""
    source, target = mesh.adjacency
    step = mesh.centroids[target] - mesh.centroids[source]
    bend = (mesh.normals[source] * mesh.normals[target]).sum(axis=1)
    convex: np.ndarray = (mesh.normals[source] * step).sum(axis=1) < 0
    return convex & (bend < np.cos(np.radians(rules.sharp)))


def _points(mesh: Mesh, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Points about ``spacing`` mm apart on the surface, at least one per face: their faces [P] and positions [P, 3]."""
    count = np.maximum(np.ceil(mesh.areas / spacing**2).astype(np.int64), 1)
    face = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    share = np.where((count == 1)[face, None], 1 / 3, (0.5 + number[:, None] * _STEP) % 1)
    share = np.where(share.sum(axis=1, keepdims=True) > 1, 1 - share, share)
    first, second, third = mesh.corners[face].swapaxes(0, 1)
    return face, first + share[:, :1] * (second - first) + share[:, 1:] * (third - first)


def _plane(direction: np.ndarray) -> np.ndarray:
    """Two unit vectors [2, 3] across a unit direction [3]."""
    first = np.cross(np.eye(3)[np.abs(direction).argmin()], direction)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(direction, first)])


def _cone(up: np.ndarray, tilt: float) -> np.ndarray:
    """Unit directions within ``tilt`` degrees of ``up``. [17, 3]

    They are ``up`` itself, eight directions at half of this angle and eight at the whole angle.
    """
    turn = 2 * np.pi * np.arange(8) / 8
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1) @ _plane(up)
    rings = [np.cos(angle) * up + np.sin(angle) * around for angle in np.radians([tilt / 2, tilt])]
    return np.concatenate([up[None], *rings])
