"""Scans with something wrong, made from labelled scans: cases in which a person should be warned.

Each kind is a function. It takes a labelled scan in the networks' frame and a random generator, and returns a scan.
Stumps, scan bodies, brackets and milk molars keep the labels of their teeth. Training changes teeth with different code
(:mod:`toothgraph.transforms.warp_teeth`) on purpose: otherwise a net would be scored on changes that it has learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import spsolve

from toothgraph.anatomy.frame import turned, upright_rotation
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import border_edges
from toothgraph.synthetic.model_base import outer_border
from toothgraph.transforms.augment import random_rotation

Kind = Callable[[Mesh, np.random.Generator], Mesh]
UP = np.array([0.0, 1.0, 0.0])  # towards the bite, in the networks' frame
SEED = 5


def upright(scan: Mesh) -> Mesh:
    """A labelled scan, turned into the networks' frame."""
    rotation = upright_rotation(scan)
    assert rotation is not None
    return turned(scan, rotation)


def turned_somehow(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The scan in a random pose, without labels."""
    return turned(mesh, random_rotation(rng, 180)).with_labels(None)


def model(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """A closed model: the scan with walls from its border down to a plane, and a flat bottom of small faces."""
    depth = mesh.vertices[:, 1].min() - rng.uniform(6, 14)
    border = outer_border(mesh)
    low, ends = np.unique(border, return_inverse=True)
    start, end = ends.reshape(-1, 2).T
    top = mesh.vertices[low]
    foot = top * [1, 0, 1] + depth * UP
    centre = foot.mean(axis=0)
    share = np.arange(1, 11)[:, None, None] / 10
    rings = np.concatenate([top + share * (foot - top), foot + share[:9] * (centre - foot)])  # walls, then the bottom
    first = len(mesh.vertices)
    faces, above = [mesh.faces], low
    for number in range(len(rings)):
        below = first + number * len(low) + np.arange(len(low))
        faces += [np.stack([above[end], above[start], below[start]], 1),
                  np.stack([above[end], below[start], below[end]], 1)]  # fmt: skip
        above = below
    faces.append(np.stack([above[end], above[start], np.full(len(start), first + rings[..., 0].size)], 1))
    vertices = np.concatenate([mesh.vertices, rings.reshape(-1, 3), centre[None]])
    return Mesh(vertices, np.concatenate(faces), scan_id=mesh.scan_id)


def shell(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The scan as a printed shell, with an inner wall and a rim between the two walls."""
    normals = np.zeros_like(mesh.vertices)
    np.add.at(normals, mesh.faces.ravel(), np.repeat(mesh.normals * mesh.areas[:, None], 3, axis=0))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    inner = mesh.vertices - rng.uniform(0.8, 1.8) * normals
    rim, count = border_edges(mesh.faces), len(mesh.vertices)
    start, end = rim.T
    faces = [mesh.faces, mesh.faces[:, ::-1] + count, np.stack([end, start, start + count], 1),
             np.stack([end, start + count, end + count], 1)]  # fmt: skip
    return Mesh(np.concatenate([mesh.vertices, inner]), np.concatenate(faces), scan_id=mesh.scan_id)


def part(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The part of a scan with the back teeth of one side, from the first or the second premolar on."""
    assert mesh.labels is not None
    side = mesh.centroids[:, 2] * rng.choice([-1, 1]) > 0
    forward = mesh.centroids[:, 0]
    teeth = sorted(np.unique(mesh.labels[side & (mesh.labels % 10 >= 4)]).tolist())
    ends = {fdi: float(np.quantile(forward[mesh.labels == fdi], 0.95)) for fdi in teeth}
    front = max(ends[fdi] for fdi in teeth[rng.integers(2) :])  # all of them, or without the first
    return mesh.part(side & (forward < front + 0.5))


def crown(mesh: Mesh, fdi: int) -> tuple[np.ndarray, np.ndarray]:
    """The vertices of a crown, and which of them lie on its border."""
    assert mesh.labels is not None
    own = np.unique(mesh.faces[mesh.labels == fdi])
    return own, np.isin(own, mesh.faces[mesh.labels != fdi])


def one_tooth(mesh: Mesh, rng: np.random.Generator, kinds: Sequence[int]) -> int:
    """The FDI number of a random tooth of a scan. ``kinds`` are the last digits to draw from, 1 to 8."""
    assert mesh.labels is not None
    there = [fdi for fdi in np.unique(mesh.labels[mesh.labels > 0]).tolist() if fdi % 10 in kinds]
    return int(rng.choice(there))


def stump(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The scan with a premolar or molar prepared for a crown: shorter, tapered, smooth, with a shoulder."""
    own, border = crown(mesh, one_tooth(mesh, rng, (4, 5, 6)))
    vertices = mesh.vertices.copy()
    points = vertices[own]
    rim = points[border] if border.any() else points
    base = np.quantile(rim[:, 1], 0.5)
    middle = points.mean(axis=0)
    height = np.clip((points[:, 1] - base) / max(np.ptp(points[:, 1]), 1e-6), 0, 1)
    radius = np.linalg.norm((points - middle)[:, [0, 2]], axis=1, keepdims=True)
    around = (points - middle)[:, [0, 2]] / np.maximum(radius, 1e-6)
    limit = np.quantile(radius, 0.85) * rng.uniform(0.62, 0.75) * (1 - 0.25 * height[:, None])
    free = ~border
    moved = points.copy()
    moved[:, [0, 2]] = middle[[0, 2]] + around * np.minimum(radius, limit)
    top = base + rng.uniform(2.5, 4.0)
    moved[:, 1] = np.minimum(points[:, 1], top)
    vertices[own[free]] = moved[free]
    return Mesh(vertices, mesh.faces, labels=mesh.labels, scan_id=mesh.scan_id)


def scan_body(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The scan with an implant's scan body, a cylinder, in place of a tooth."""
    assert mesh.labels is not None
    fdi = one_tooth(mesh, rng, (4, 5, 6))
    own, border = crown(mesh, fdi)
    rim = mesh.vertices[own[border]] if border.any() else mesh.vertices[own]
    middle, base = mesh.vertices[own].mean(axis=0), float(np.quantile(rim[:, 1], 0.5))
    without = flattened(mesh, [fdi])
    radius, tall, steps = rng.uniform(2.0, 2.8), rng.uniform(7.0, 10.0), 24
    angle = 2 * np.pi * np.arange(steps) / steps
    heights = np.linspace(-1.5, tall, 18)
    circle = radius * np.stack([np.cos(angle), 0 * angle, np.sin(angle)], 1)
    rings = [circle + height * UP for height in heights]
    rings.append(rings[-1] * [0.4, 1, 0.4])
    points = np.concatenate([*rings, tall * UP[None]]) + np.array([middle[0], base, middle[2]])
    step = np.arange(steps)
    faces = []
    for ring in range(len(rings) - 1):
        a, b = ring * steps + step, ring * steps + (step + 1) % steps
        faces += [np.stack([a, a + steps, b], 1), np.stack([b, a + steps, b + steps], 1)]
    last = (len(rings) - 1) * steps
    faces.append(np.stack([last + step, np.full(steps, len(points) - 1), last + (step + 1) % steps], 1))
    post = Mesh(points, np.concatenate(faces))
    return joined([without, post.with_labels(np.full(len(post.faces), fdi))])


def flattened(mesh: Mesh, teeth: Sequence[int]) -> Mesh:
    """The scan without some teeth: their surface shrinks to a membrane within their borders, labelled gingiva."""
    assert mesh.labels is not None
    tooth = np.isin(mesh.labels, teeth)
    inside = np.setdiff1d(mesh.faces[tooth], mesh.faces[~tooth])
    ends = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    ends = np.concatenate([ends, ends[:, ::-1]])
    count = len(mesh.vertices)
    near = csr_matrix((np.ones(len(ends)), ends.T), shape=(count, count)).sign()
    laplacian = diags(np.asarray(near.sum(axis=1)).ravel()) - near
    fixed = np.setdiff1d(np.arange(count), inside)
    vertices = mesh.vertices.copy()
    vertices[inside] = spsolve(laplacian[inside][:, inside].tocsc(), -laplacian[inside][:, fixed] @ vertices[fixed])
    labels = np.where(tooth, 0, mesh.labels)
    return Mesh(vertices, mesh.faces, labels=labels, scan_id=mesh.scan_id)


def no_teeth(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The scan without any teeth."""
    del rng
    assert mesh.labels is not None
    return flattened(mesh, np.unique(mesh.labels[mesh.labels > 0]).tolist())


def mixed(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The scan with second milk molars in place of second premolars, without second and third molars.

    The milk molars are the first molars of the scan, made smaller.
    """
    assert mesh.labels is not None
    quadrants = np.unique(mesh.labels[mesh.labels > 0] // 10)
    late = [fdi for fdi in np.unique(mesh.labels).tolist() if fdi % 10 in (7, 8)]
    jaw, pieces = flattened(mesh, [*late, *(10 * q + 5 for q in quadrants)]), []
    size = rng.uniform(0.84, 0.9)
    for q in quadrants:
        molar, premolar = mesh.labels == 10 * q + 6, mesh.labels == 10 * q + 5
        if molar.any() and premolar.any():
            crown = mesh.part(molar)
            middle = crown.vertices.mean(axis=0)
            room = mesh.centroids[premolar].mean(axis=0) - middle
            room[[0, 2]] *= 1.12  # a milk molar is wider than the premolar
            milk = replace(crown, vertices=(crown.vertices - middle) * size + middle + room)
            pieces.append(milk.with_labels(np.full(len(milk.faces), 10 * q + 5)))
    return joined([jaw, *pieces])


def brackets(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The scan with brackets on the outer side of the teeth up to the second premolars."""
    assert mesh.labels is not None
    vertices = mesh.vertices.copy()
    centre = mesh.vertices[np.unique(mesh.faces[mesh.labels > 0])].mean(axis=0)
    for fdi in np.unique(mesh.labels[mesh.labels > 0]).tolist():
        if fdi % 10 > 5:
            continue
        own, _ = crown(mesh, fdi)
        points = mesh.vertices[own]
        middle = points.mean(axis=0)
        out = middle - centre
        out = out - out[1] * UP + [0.3 * abs(out[0]), 0, 0]
        out /= np.linalg.norm(out)
        along = np.cross(UP, out)
        outer = (points - middle) @ out > np.quantile((points - middle) @ out, 0.6)
        high = np.quantile(points[outer, 1], 0.5) if outer.any() else middle[1]
        flat = np.maximum(np.abs((points - middle) @ along) / 1.7, np.abs(points[:, 1] - high) / 1.5)
        bump = outer & (flat < 1.15)
        vertices[own[bump]] += rng.uniform(1.4, 2.2) * np.clip((1.15 - flat[bump]) / 0.3, 0, 1)[:, None] * out
    return Mesh(vertices, mesh.faces, labels=mesh.labels, scan_id=mesh.scan_id)


def mirrored(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The mirror image of a scan, as programs with the other handedness write it."""
    del rng
    return Mesh(mesh.vertices * [1, 1, -1], mesh.faces, scan_id=mesh.scan_id)


def wrong_unit(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The scan with coordinates in centimetres, metres or inches."""
    return Mesh(mesh.vertices / rng.choice([10.0, 25.4, 1000.0]), mesh.faces, scan_id=mesh.scan_id)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several surfaces as one mesh, with labels if all of them have labels."""
    start = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = np.concatenate([mesh.faces + first for mesh, first in zip(meshes, start, strict=False)])
    labels = [mesh.labels for mesh in meshes if mesh.labels is not None]
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        faces,
        labels=np.concatenate(labels) if len(labels) == len(meshes) else None,
        scan_id=meshes[0].scan_id,
    )


def both_jaws(upper: Mesh, lower: Mesh, rng: np.random.Generator) -> Mesh:
    """Both jaws as one mesh: in the bite, slightly open, wide open, or side by side."""
    over = upper.vertices * [1, -1, -1]
    over[:, [0, 2]] -= (over.mean(axis=0) - lower.vertices.mean(axis=0))[[0, 2]]
    over[:, 1] += np.quantile(lower.vertices[:, 1], 0.98) - np.quantile(over[:, 1], 0.02)
    over[:, 1] += rng.choice([-1.0, 4.0, 25.0])
    if rng.uniform() < 0.34:
        over = upper.vertices + np.array([0, 0, np.ptp(lower.vertices[:, 2]) + rng.uniform(3, 20)])
    return joined([replace(upper, vertices=over), lower])


KINDS: dict[str, tuple[str, Kind]] = {
    "model": ("a closed model with a base", model),
    "shell": ("a shell, thickened for printing", shell),
    "part": ("three or four back teeth of one side", part),
    "mixed": ("second milk molars", mixed),
    "stump": ("a tooth prepared for a crown", stump),
    "scan body": ("an implant's scan body in place of a tooth", scan_body),
    "brackets": ("brackets", brackets),
    "unit": ("a file in cm, m or inches, read as mm", wrong_unit),
    "mirrored": ("the mirror image", mirrored),
    "no teeth": ("no teeth", no_teeth),
}
PAIR = ("both jaws", "both jaws in one file")
