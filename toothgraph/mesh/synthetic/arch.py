"""A labelled dental arch from a seed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from toothgraph.errors import ConfigError
from toothgraph.mesh.clean import drop_unused_vertices
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import JAW_NAMES, LOWER, UPPER
from toothgraph.mesh.synthetic.layout import Variation, lay_out
from toothgraph.mesh.synthetic.surface import Gum, Waves, arch_surface, label_points

MIN_FACES, MAX_FACES = 2_000, 300_000
_AREA = {UPPER: 5500.0, LOWER: 4300.0}  # mm², what an arch's surface measures


def synthetic_arch(
    seed: int | Sequence[int],
    *,
    jaw: int | None = None,
    faces: int = 16_000,
    variation: Variation | None = None,
    without: Collection[int] = (),
) -> Mesh:
    """A dental arch as an intraoral scanner would store it: one open surface, teeth labelled by FDI number.

    Frame: x forward, y towards the bite, z to the patient's left in an upper and to the right in a lower jaw,
    so that both jaws, seen from the bite, run in the same sense. Sizes, places and inclinations of the teeth
    follow the medians of real arches.

    Args:
        seed: the same seed gives the same arch; a sequence of integers serves as well as one.
        jaw: 0 upper, 1 lower; drawn if None.
        faces: faces wanted, 2,000 to 300,000; the result may be a few off.
        variation: how much arches differ from the mean one; the defaults of ``Variation`` if None.
        without: FDI numbers of teeth that must be missing.

    Returns:
        The mesh, mm, with ``labels``, ``jaw`` and a ``scan_id``; each tooth's faces form one patch.

    Raises:
        ConfigError: for a face count out of range or another jaw than 0 and 1.
    """
    if not MIN_FACES <= faces <= MAX_FACES:
        raise ConfigError(
            f"expected {MIN_FACES} to {MAX_FACES} faces for a synthetic arch, got {faces}: choose in between"
        )
    if jaw not in (None, UPPER, LOWER):
        raise ConfigError(f"expected jaw 0 (upper) or 1 (lower) for a synthetic arch, got {jaw}")
    rng = np.random.default_rng(seed)
    drawn = int(rng.integers(2))
    jaw = drawn if jaw is None else jaw
    variation = variation or Variation()
    gum = _gum(rng, jaw, variation, without)
    vertices, triangles = _dense_surface(rng, gum, faces)
    vertices, triangles = _punch_holes(rng, vertices, triangles, variation.holes)
    vertices, triangles = _largest_piece(vertices, triangles)
    labels = label_points(gum, vertices[triangles].mean(axis=1))
    vertices = _scan(rng, vertices, triangles, variation.noise)
    name = "-".join(str(part) for part in np.atleast_1d(np.asarray(seed)))
    dense = Mesh(vertices, triangles, labels, jaw=jaw, scan_id=f"synthetic-{name}-{JAW_NAMES[jaw]}")
    spare = int(0.25 * np.sqrt(faces))  # about as many are lost as fins
    coarse = _without_fins(decimate(dense, faces + spare).mesh)
    # Files store single precision: what is written and what is returned shall be the same surface.
    return replace(coarse, vertices=coarse.vertices.astype(np.float32), labels=_one_patch_each(coarse))


def _gum(rng: np.random.Generator, jaw: int, variation: Variation, without: Collection[int]) -> Gum:
    """Draw the layout of the teeth and the gum they stand in."""
    curve, teeth = lay_out(rng, jaw, variation, without)
    if len(teeth) < 2:
        raise ConfigError(f"a synthetic arch needs at least two teeth, {len(teeth)} are left: name fewer in `without`")
    spread = 4.0 * variation.size * rng.normal(size=2)
    return Gum(
        jaw,
        curve,
        teeth,
        vault=(13.0 if jaw == UPPER else 10.0) * (1.0 + np.clip(spread[0], -0.3, 0.3)),
        reach=6.5 + np.clip(4.0 * spread[1], -1.5, 1.5),
        texture=Waves(rng, 2, 9.0),
        border=(Waves(rng, 2, 15.0), Waves(rng, 2, 4.0)),
        ragged=variation.ragged,
    )


def _dense_surface(rng: np.random.Generator, gum: Gum, faces: int) -> tuple[np.ndarray, np.ndarray]:
    """A surface with more faces than wanted."""
    shift = rng.uniform(-0.5, 0.5, size=3)
    # Crowns keep their fissures only if the grid is finer than what is left after decimation.
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
    """Now and then leave out what the scanner did not see: up to three small round holes."""
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
    """Move vertices along their normals: slow waves of the stitching and the sensor's fine grain, mm."""
    corners = vertices[faces]
    area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], area_normals)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    # The grain goes with the edge length, else it would tilt the faces of a fine surface more.
    edge = np.sqrt(np.linalg.norm(area_normals, axis=1).mean())
    amount = 1.5 * Waves(rng, 3, 5.0)(vertices) + edge / 0.4 * rng.normal(size=len(vertices))
    return vertices + noise * amount[:, None] * normals


def _adjacent(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of faces that share an edge: two arrays [E]."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    key = edges[:, 0] * (faces.max() + 1) + edges[:, 1]
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order][1:] == key[order][:-1])
    owner = order % len(faces)
    return owner[same], owner[same + 1]


def _pieces(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """Number of the connected piece each face belongs to. [count]."""
    graph = coo_matrix((np.ones(len(first), dtype=np.int8), (first, second)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _largest_piece(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest connected piece of the surface, without unused vertices."""
    piece = _pieces(*_adjacent(faces), len(faces))
    vertices, faces, _ = drop_unused_vertices(vertices, faces[piece == np.bincount(piece).argmax()])
    return vertices, faces


def _without_fins(mesh: Mesh) -> Mesh:
    """The largest piece of the mesh without faces that run along an edge in the same sense as another.

    Where neighbouring crowns touch, the net may pinch: such an edge has more than two faces, so that two of
    them agree in sense. Without them the surface is a manifold with one orientation.
    """
    edges = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    key = edges[:, 0] * len(mesh.vertices) + edges[:, 1]
    _, edge, count = np.unique(key, return_inverse=True, return_counts=True)
    sound = np.flatnonzero((count[edge.reshape(-1, 3)] == 1).all(axis=1))
    piece = _pieces(*_adjacent(mesh.faces[sound]), len(sound))
    kept = sound[piece == np.bincount(piece).argmax()]
    vertices, faces, _ = drop_unused_vertices(mesh.vertices, mesh.faces[kept])
    assert mesh.labels is not None
    return replace(mesh, vertices=vertices, faces=faces, labels=mesh.labels[kept])


def _without_jags(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Labels in which a face gives way to two neighbours of one other label, twice over. [F].

    Decimation leaves slivers across the margin; an annotator's line does not follow them.
    """
    labels = labels.copy()
    first, second = np.concatenate([first, second]), np.concatenate([second, first])
    for _ in range(2):
        vote, count = np.unique(first * 100 + labels[second], return_counts=True)
        face, label = np.divmod(vote[count >= 2], 100)
        labels[face] = label
    return labels


def _one_patch_each(mesh: Mesh) -> np.ndarray:
    """Labels of which each tooth keeps its largest patch; splinters take what stands around them. [F].

    Gum may lie in several patches, because a ragged border may part it; only specks of it are filled.
    """
    assert mesh.labels is not None
    first, second = _adjacent(mesh.faces)
    labels = _without_jags(mesh.labels, first, second)
    same = labels[first] == labels[second]
    piece = _pieces(first[same], second[same], len(labels))
    size = np.bincount(piece)
    open_ = np.ones(len(labels), dtype=bool)
    for label in np.unique(labels):
        of_label = piece[labels == label]
        open_ &= piece != of_label[size[of_label].argmax()]
    open_ &= (labels != 0) | (size[piece] < 0.002 * len(labels))
    first, second = np.concatenate([first, second]), np.concatenate([second, first])
    while True:
        border = np.flatnonzero(open_[first] & ~open_[second])
        if not len(border):
            return labels
        labels[first[border]] = labels[second[border]]
        open_[first[border]] = False
