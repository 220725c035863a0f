"""A random labelled dental arch from a seed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from toothgraph.choices import MAX_FACES, MIN_FACES
from toothgraph.errors import ConfigError, check_kind, check_number
from toothgraph.fdi import JAW_NAMES, LOWER, UPPER, named_teeth
from toothgraph.mesh.clean import drop_unused_vertices
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import face_adjacency, label_pieces
from toothgraph.synthetic.layout import Variation, lay_out
from toothgraph.synthetic.surface import Gum, SmoothNoise, arch_surface, label_points

_AREA = {UPPER: 5500.0, LOWER: 4300.0}  # mm², typical surface area of an arch


def synthetic_arch(
    seed: int | Sequence[int],
    *,
    jaw: int | None = None,
    faces: int = 16_000,
    variation: Variation | None = None,
    without: Collection[int] = (),
) -> Mesh:
    """Make a random dental arch like a file of an intraoral scanner: one open surface with FDI labels.

    Frame: x forward, y towards the bite, z to the patient's left in an upper jaw and to the right in a lower jaw, see
    :mod:`toothgraph.anatomy.frame`. Sizes, positions and inclinations of the teeth follow the medians of real arches.

    Args:
        seed: one integer or a sequence of integers; the same seed gives the same arch.
        jaw: 0 upper, 1 lower; random if None.
        faces: target number of faces, 2,000 to 300,000; the result may differ by a few.
        variation: differences from the mean arch; the defaults of ``Variation`` if None.
        without: FDI numbers of missing teeth.

    Returns:
        The mesh, mm, with ``labels``, ``jaw`` and ``scan_id``. The faces of each tooth are one connected component.

    Raises:
        ConfigError: if a seed is no whole number of at least 0, the number of faces is out of range, ``jaw`` is not 0
            or 1, ``without`` has numbers that are no permanent teeth, or fewer than two teeth remain.
        ShapeError: for a ``variation`` of another class.

    Example:
        >>> arch = synthetic_arch(1, jaw=0, faces=2000, without=(12, 18))
        >>> {12, 18}.isdisjoint(arch.labels.tolist()), {0, 11, 13} <= set(arch.labels.tolist())
        (True, True)
    """
    for part in np.ravel(np.asarray(seed, dtype=object)):
        check_number("seed of a synthetic arch", part, least=0, whole=True)
    check_number("faces of a synthetic arch", faces, least=MIN_FACES, most=MAX_FACES, whole=True)
    if jaw not in (None, UPPER, LOWER):
        raise ConfigError(f"expected jaw 0 (upper) or 1 (lower) for a synthetic arch, got {jaw}")
    without = named_teeth("without", without)
    variation = Variation() if variation is None else variation
    check_kind("variation", variation, Variation)
    rng = np.random.default_rng(seed)
    drawn = int(rng.integers(2))
    jaw = drawn if jaw is None else jaw
    gum = _gum(rng, jaw, variation, without)
    vertices, triangles = _dense_surface(rng, gum, faces)
    vertices, triangles = _punch_holes(rng, vertices, triangles, variation.holes)
    vertices, triangles = _largest_piece(vertices, triangles)
    labels = label_points(gum, vertices[triangles].mean(axis=1))
    vertices = _scan(rng, vertices, triangles, variation.noise)
    name = "-".join(str(part) for part in np.atleast_1d(np.asarray(seed)))
    dense = Mesh(vertices, triangles, labels, jaw=jaw, scan_id=f"synthetic-{name}-{JAW_NAMES[jaw]}")
    spare = int(0.25 * np.sqrt(faces))  # about this number is removed as fins
    coarse = _without_fins(decimate(dense, faces + spare).mesh)
    # Files store single precision: the returned surface is rounded to be the same as the written one.
    return replace(coarse, vertices=coarse.vertices.astype(np.float32), labels=_one_patch_each(coarse))


def _gum(rng: np.random.Generator, jaw: int, variation: Variation, without: Collection[int]) -> Gum:
    """Draw the layout of the teeth, and the gum around them."""
    curve, teeth = lay_out(rng, jaw, variation, without)
    if len(teeth) < 2:
        raise ConfigError(f"a synthetic arch needs at least two teeth, got {len(teeth)}; give fewer in `without`")
    spread = 4.0 * variation.size * rng.normal(size=2)
    return Gum(
        jaw,
        curve,
        teeth,
        vault=(13.0 if jaw == UPPER else 10.0) * (1.0 + np.clip(spread[0], -0.3, 0.3)),
        reach=6.5 + np.clip(4.0 * spread[1], -1.5, 1.5),
        texture=SmoothNoise(rng, 2, 9.0),
        border=(SmoothNoise(rng, 2, 15.0), SmoothNoise(rng, 2, 4.0)),
        ragged=variation.ragged,
    )


def _dense_surface(rng: np.random.Generator, gum: Gum, faces: int) -> tuple[np.ndarray, np.ndarray]:
    """A surface with more than ``faces`` faces, for decimation."""
    shift = rng.uniform(-0.5, 0.5, size=3)
    # Crowns keep their fissures only if the grid is finer than the mesh after decimation.
    dense = max(30_000.0, min(4.0 * faces, 60_000.0), 1.3 * faces)
    # A surface net has about three triangles per square step.
    step = float(np.sqrt(3.0 * _AREA[gum.jaw] / dense))
    while True:
        vertices, triangles = arch_surface(gum, step, shift)
        if len(triangles) > 1.1 * faces:
            return vertices, triangles
        step *= 0.85


def _punch_holes(
    rng: np.random.Generator, vertices: np.ndarray, faces: np.ndarray, chance: float
) -> tuple[np.ndarray, np.ndarray]:
    """With probability ``chance``, cut one to three small round holes, like parts that a scanner did not see."""
    wanted, number = rng.uniform(), rng.integers(1, 4)
    radii, picks = rng.uniform(0.6, 1.8, size=3), rng.uniform(size=3)
    if wanted >= chance:
        return vertices, faces
    centroids = vertices[faces].mean(axis=1)
    gone = np.zeros(len(faces), dtype=bool)
    for radius, pick in zip(radii[:number], picks[:number], strict=True):
        gone |= np.linalg.norm(centroids - centroids[int(pick * len(faces))], axis=1) < radius
    return vertices, faces[~gone]


def _scan(rng: np.random.Generator, vertices: np.ndarray, faces: np.ndarray, noise: float) -> np.ndarray:
    """Add scanner noise to vertices, along their normals: slow waves (stitching of images) and fine sensor noise."""
    corners = vertices[faces]
    area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], area_normals)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    # Fine noise is proportional to the edge length; otherwise it would tilt the faces of a fine mesh more.
    edge = np.sqrt(np.linalg.norm(area_normals, axis=1).mean())
    amount = 1.5 * SmoothNoise(rng, 3, 5.0)(vertices) + edge / 0.4 * rng.normal(size=len(vertices))
    return vertices + noise * amount[:, None] * normals


def _largest_piece(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest connected component of the surface, without unused vertices."""
    vertices, faces, _ = drop_unused_vertices(vertices, faces[_of_largest_piece(faces)])
    return vertices, faces


def _of_largest_piece(faces: np.ndarray) -> np.ndarray:
    """Which faces belong to the largest connected component. [F] bool"""
    piece = label_pieces(np.zeros(len(faces), dtype=np.int64), face_adjacency(faces))
    return piece == np.bincount(piece).argmax()


def _without_fins(mesh: Mesh) -> Mesh:
    """The largest component of the mesh, without faces that share an edge and its direction with another face.

    If neighbouring crowns touch, the surface net may have an edge with more than two faces; two of them then have the
    edge in the same direction. Without such faces the surface is an oriented manifold.
    """
    edges = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    key = edges[:, 0] * len(mesh.vertices) + edges[:, 1]
    _, edge, count = np.unique(key, return_inverse=True, return_counts=True)
    sound = np.flatnonzero((count[edge.reshape(-1, 3)] == 1).all(axis=1))
    kept = sound[_of_largest_piece(mesh.faces[sound])]
    vertices, faces, _ = drop_unused_vertices(mesh.vertices, mesh.faces[kept])
    assert mesh.labels is not None
    return replace(mesh, vertices=vertices, faces=faces, labels=mesh.labels[kept])


def _without_jags(labels: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Labels [F] without single jags: a face takes the label of two equal neighbours, in two passes.

    After decimation, thin triangles cross the margin; a line drawn by a person does not follow them.
    """
    labels = labels.copy()
    for _ in range(2):
        vote, count = np.unique(source * 100 + labels[target], return_counts=True)
        face, label = np.divmod(vote[count >= 2], 100)
        labels[face] = label
    return labels


def _links_by_edge(mesh: Mesh) -> np.ndarray:
    """The links of the face graph [2, E], sorted by the mesh edges that they cross.

    With this fixed order, a seed always gives the same labels, even if two neighbours could give a face their label.
    """
    ends = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]], axis=2)
    edge = ends[..., 0] * (mesh.faces.max() + 1) + ends[..., 1]  # [F, 3 sides]
    shared = edge[mesh.adjacency[0], :, None] == edge[mesh.adjacency[1], None, :]  # [E, 3, 3]
    side = np.stack([shared.any(axis=2).argmax(axis=1), shared.any(axis=1).argmax(axis=1)])
    first, second = side * len(mesh.faces) + mesh.adjacency
    crossed = edge[mesh.adjacency[0], side[0]]
    return mesh.adjacency[:, np.lexsort((crossed, first > second))]


def _one_patch_each(mesh: Mesh) -> np.ndarray:
    """Labels [F] with one connected component per tooth, the largest; other components take the label around them.

    Gingiva may have several components, since a ragged boundary may split it; only very small ones are filled.
    """
    assert mesh.labels is not None
    source, target = _links_by_edge(mesh)
    labels = _without_jags(mesh.labels, source, target)
    piece = label_pieces(labels, mesh.adjacency)
    size = np.bincount(piece)
    open_ = np.ones(len(labels), dtype=bool)
    for label in np.unique(labels):
        of_label = piece[labels == label]
        open_ &= piece != of_label[size[of_label].argmax()]
    open_ &= (labels != 0) | (size[piece] < 0.002 * len(labels))
    while True:
        border = np.flatnonzero(open_[source] & ~open_[target])
        if not len(border):
            return labels
        labels[source[border]] = labels[target[border]]
        open_[source[border]] = False
