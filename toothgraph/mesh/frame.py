"""The frame the networks work in, and how a scan is brought into it.

x points forward, y towards the bite, z to the patient's left in an upper and to the right in a lower jaw, so that
seen from the bite both jaws run through the positions 1 … 16 in the same sense.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import class_to_position, fdi_to_class

# Where the teeth 1 … 8 of a quadrant stand from the middle of the arch: forward and sideways, mm. A mean of both jaws.
PLACES = np.array([[24.0, 4.0], [21.5, 10.0], [17.5, 15.0], [11.5, 18.5], [4.5, 21.0], [-4.0, 23.5], [-13.5, 26.0],
                   [-22.5, 28.0]])  # fmt: skip
ALONG = np.array([*range(8, 0, -1), *range(9, 17)])  # positions 1 … 16 in order along the arch
TEETH_NEEDED = 4  # fewer fix no frame, and are hardly an arch
THIN = 5.0  # mm; middles of teeth that lie nearer to one line than this do not say how they are turned about it
OPEN = 0.1  # a surface whose area vector is a smaller share of its area has no side that it is open to


def upright_rotation(mesh: Mesh) -> np.ndarray | None:
    """The rotation [3, 3] that brings a labelled scan into the networks' frame: ``vertices @ rotation.T``.

    None where fewer than four teeth are labelled; see :func:`rotation_to_places`.
    """
    if mesh.labels is None:
        return None
    return arch_rotation(mesh, class_to_position(fdi_to_class(mesh.labels)))


def arch_rotation(mesh: Mesh, place: np.ndarray) -> np.ndarray | None:
    """:func:`rotation_to_places` for a surface whose faces lie on the teeth ``place`` [F], 0 for gingiva."""
    return rotation_to_places(mesh.centroids, place, _bite(mesh, place))


def rotation_to_places(points: np.ndarray, place: np.ndarray, bite: np.ndarray | None = None) -> np.ndarray | None:
    """The rotation that best lays the middles of the teeth onto those of a mean arch (Kabsch, 1976).

    Args:
        points: [N, 3] on the surface, mm.
        place: [N] position of the tooth each lies on, 1 … 16; 0 for none.
        bite: [3], the unit direction from the gingiva to the bite, if it is known. It counts where the teeth stand in a
            line, as the premolars and molars of one side do, and would say little of the turn about it.

    Returns:
        [3, 3] for ``points @ rotation.T``, or None where there are fewer than four teeth.
    """
    teeth = [number for number in np.unique(place) if number > 0]
    if len(teeth) < TEETH_NEEDED:
        return None
    # The median, since stray faces far away may carry a tooth's number.
    middles = np.stack([np.median(points[place == number], axis=0) for number in teeth])
    middles -= middles.mean(axis=0)
    wanted = place_of(np.array(teeth) - 1)
    wanted -= wanted.mean(axis=0)
    if bite is not None and np.linalg.svd(middles, compute_uv=False)[1] < THIN:
        middles = np.concatenate([middles, 10 * np.outer([1, -1], bite)])  # as long as the line, about
        wanted = np.concatenate([wanted, 10 * np.outer([1, -1], [0, 1, 0])])
    left, _, right = np.linalg.svd(wanted.T @ middles)
    left[:, 2] *= np.sign(np.linalg.det(left @ right))  # a rotation, not a mirror image
    rotation: np.ndarray = left @ right
    return rotation


def _bite(mesh: Mesh, place: np.ndarray) -> np.ndarray | None:
    """The direction across the opening of a surface, from gingiva to teeth, however its faces are wound. [3]"""
    up, tooth = open_direction(mesh), place > 0
    if up is None or tooth.all() or not tooth.any():
        return None
    towards = mesh.centroids[tooth].mean(axis=0) - mesh.centroids[~tooth].mean(axis=0)
    return up * np.sign(up @ towards)


def place_of(position: np.ndarray) -> np.ndarray:
    """Where a mean arch has its teeth: positions counted from 0 to [..., 3], mm."""
    forward, sideways = PLACES[position % 8].T
    return np.stack([forward, np.zeros(len(position)), np.where(position < 8, -1.0, 1.0) * sideways], axis=1)


def area_vector(mesh: Mesh) -> np.ndarray:
    """The sum of the normals by area, as a share of the whole area: [3], of length 0 (closed) to 1 (flat).

    It points to the bite in every scan that is open below.
    """
    total: np.ndarray = (mesh.areas[:, None] * mesh.normals).sum(axis=0) / max(mesh.areas.sum(), 1e-300)
    return total


def open_direction(mesh: Mesh) -> np.ndarray | None:
    """The unit direction of the area vector, [3]; None for a closed surface, whose area vector says nothing."""
    vector = area_vector(mesh)
    share = np.linalg.norm(vector)
    return vector / share if share >= OPEN else None


def bite_directions(mesh: Mesh) -> np.ndarray:
    """Unit directions one of which points to the bite: the area vector, or for a closed surface its main axes, the
    thinnest first.

    Returns:
        [1, 3] or [6, 3].
    """
    if (up := open_direction(mesh)) is not None:
        return up[None]
    weights = mesh.areas / max(mesh.areas.sum(), 1e-300)
    centred = mesh.centroids - weights @ mesh.centroids
    axes = np.linalg.eigh(centred.T @ (centred * weights[:, None]))[1].T
    return np.concatenate([axes, -axes])


def frames_about(up: np.ndarray, count: int) -> np.ndarray:
    """Rotations [count, 3, 3] that bring direction ``up`` [3] to y, spread evenly about it."""
    start = np.eye(3)[np.abs(up).argmin()]
    first = np.cross(up, start) / np.linalg.norm(np.cross(up, start))
    second = np.cross(first, up)
    angle = 2 * np.pi * np.arange(count)[:, None] / count
    forward = np.cos(angle) * first + np.sin(angle) * second
    return np.stack([forward, np.broadcast_to(up, forward.shape), np.cross(forward, up)], axis=1)


def turned(mesh: Mesh, rotation: np.ndarray) -> Mesh:
    """The mesh in another frame; what its file stores stays as it is."""
    return replace(mesh, vertices=mesh.vertices @ np.asarray(rotation).T)


def outside_out(mesh: Mesh, rotation: np.ndarray | None) -> Mesh:
    """The mesh, its faces turned round where they are wound inside out: it then opens towards its own bite.

    Args:
        mesh: any.
        rotation: its :func:`upright_rotation`; without one nothing is turned.
    """
    if rotation is None or (rotation @ area_vector(mesh))[1] >= -OPEN:
        return mesh
    return mesh.inside_out()
