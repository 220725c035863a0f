"""The coordinate frame of the networks, and the rotation of a scan into it.

x points forward, y towards the bite (occlusal), z to the patient's left in an upper jaw and to the right in a lower
jaw. So the positions 1 … 16 run in the same direction in both jaws, seen from the occlusal side.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import cKDTree

from toothgraph.fdi import UNKNOWN_JAW, UPPER, class_to_position, fdi_to_class, jaw_of_teeth, successors_of
from toothgraph.mesh.mesh import Mesh

# Positions of teeth 1 … 8 of a quadrant from the middle of the arch: forward and sideways, mm. Mean of both jaws.
PLACES = np.array([[24.0, 4.0], [21.5, 10.0], [17.5, 15.0], [11.5, 18.5], [4.5, 21.0], [-4.0, 23.5], [-13.5, 26.0],
                   [-22.5, 28.0]])  # fmt: skip
ALONG = np.array([*range(8, 0, -1), *range(9, 17)])  # positions 1 … 16 in order along the arch
TEETH_NEEDED = 4  # fewer teeth do not define a frame
THIN = 5.0  # mm; if all tooth centres are this near to one line, the rotation about the line is not defined
TIP = 0.02  # the tip of a crown is the middle of this share of its area, the highest
STANDS_OUT = 0.5  # mm from the plane of the tips; a tooth that is farther away pulls at the plane no harder
OPEN = 0.1  # share of the area; a surface with a shorter area vector counts as closed


def upright_rotation(mesh: Mesh) -> np.ndarray | None:
    """The rotation [3, 3] of a labelled scan into the networks' frame: ``vertices @ rotation.T``.

    None if fewer than four teeth are labelled; see :func:`rotation_to_places`.
    """
    if mesh.labels is None:
        return None
    return arch_rotation(mesh, class_to_position(fdi_to_class(successors_of(mesh.labels))))


def arch_rotation(mesh: Mesh, place: np.ndarray) -> np.ndarray | None:
    """The rotation [3, 3] of a surface into the networks' frame, see :func:`rotation_to_places`.

    ``place`` [F] is the position of each face, 0 for gingiva. None with fewer than four teeth.
    """
    return rotation_to_places(mesh.centroids, place, bite_of(mesh, place))


def rotation_to_places(points: np.ndarray, place: np.ndarray, bite: np.ndarray | None = None) -> np.ndarray | None:
    """The rotation that best maps the tooth centres onto those of a mean arch (least squares).

    Source: Kabsch, Acta Cryst. A32 (1976), https://doi.org/10.1107/S0567739476001873

    Args:
        points: [N, 3] on the surface, mm.
        place: [N] position of the tooth of each point, 1 … 16; 0 for none.
        bite: [3], the unit direction from the gingiva to the bite, if known. It is used if the teeth are nearly on a
            line (premolars and molars of one side), because they do not define the rotation about that line.

    Returns:
        [3, 3] for ``points @ rotation.T``, or None with fewer than four teeth.
    """
    teeth = [number for number in np.unique(place) if number > 0]
    if len(teeth) < TEETH_NEEDED:
        return None
    # The median, because a few faces far away may have the tooth's number by mistake.
    middles = np.stack([np.median(points[place == number], axis=0) for number in teeth])
    middles -= middles.mean(axis=0)
    wanted = place_of(np.array(teeth) - 1)
    wanted -= wanted.mean(axis=0)
    if bite is not None and np.linalg.svd(middles, compute_uv=False)[1] < THIN:
        middles = np.concatenate([middles, 10 * np.outer([1, -1], bite)])  # about as long as the line
        wanted = np.concatenate([wanted, 10 * np.outer([1, -1], [0, 1, 0])])
    left, _, right = np.linalg.svd(wanted.T @ middles)
    left[:, 2] *= np.sign(np.linalg.det(left @ right))  # a rotation, not a mirror image
    rotation: np.ndarray = left @ right
    return rotation


def bite_of(mesh: Mesh, place: np.ndarray) -> np.ndarray | None:
    """The opening direction of a surface, from gingiva to teeth, independent of the winding of its faces. [3]

    None if the surface is closed, or does not have both teeth and gingiva.
    """
    up, tooth = open_direction(mesh), place > 0
    if up is None or tooth.all() or not tooth.any():
        return None
    towards = mesh.centroids[tooth].mean(axis=0) - mesh.centroids[~tooth].mean(axis=0)
    return up * np.sign(up @ towards)


def place_of(position: np.ndarray) -> np.ndarray:
    """Tooth centres of a mean arch: positions, counted from 0, [T] to [T, 3], mm."""
    forward, sideways = PLACES[position % 8].T
    return np.stack([forward, np.zeros(len(position)), np.where(position < 8, -1.0, 1.0) * sideways], axis=1)


def area_vector(mesh: Mesh) -> np.ndarray:
    """The area-weighted mean of the normals: [3], of length 0 (closed surface) to 1 (flat surface).

    It points to the bite in every scan that is open at the base.
    """
    total: np.ndarray = (mesh.areas[:, None] * mesh.normals).sum(axis=0) / max(mesh.areas.sum(), 1e-300)
    return total


def open_direction(mesh: Mesh) -> np.ndarray | None:
    """The unit direction of the area vector, [3]; None for a closed surface."""
    vector = area_vector(mesh)
    share = np.linalg.norm(vector)
    return vector / share if share >= OPEN else None


def bite_directions(mesh: Mesh) -> np.ndarray:
    """Candidate unit directions of the bite.

    For an open surface, it is the direction of the area vector. For a closed surface, they are the principal axes,
    thinnest first, with both signs.

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
    """Rotations [count, 3, 3] that map the direction ``up`` [3] to y, at equal angles about it."""
    start = np.eye(3)[np.abs(up).argmin()]
    first = np.cross(up, start) / np.linalg.norm(np.cross(up, start))
    second = np.cross(first, up)
    angle = 2 * np.pi * np.arange(count)[:, None] / count
    forward = np.cos(angle) * first + np.sin(angle) * second
    return np.stack([forward, np.broadcast_to(up, forward.shape), np.cross(forward, up)], axis=1)


def turned(mesh: Mesh, rotation: np.ndarray) -> Mesh:
    """The mesh rotated by ``rotation`` [3, 3]; ``original`` is not changed."""
    return replace(mesh, vertices=mesh.vertices @ np.asarray(rotation).T)


def outside_out(mesh: Mesh, rotation: np.ndarray | None) -> Mesh:
    """The mesh with its faces wound the other way round if they are inside out, that is, if normals point inwards.

    Args:
        mesh: any mesh.
        rotation: its :func:`upright_rotation`; with None, nothing is changed.
    """
    if rotation is None or (rotation @ area_vector(mesh))[1] >= -OPEN:
        return mesh
    return mesh.inside_out()


_PLACES = 800  # sample points for the search of the symmetry plane


def viewing_frame(mesh: Mesh, labels: np.ndarray | None = None) -> np.ndarray:
    """Forward, right (seen from the bite) and occlusal directions of an arch. [3, 3], rows orthonormal.

    They come from the teeth if the mesh's own labels, or the given ones, have four or more: occlusal is then at right
    angles to the plane through the tips of the crowns, from the incisors to the second molars. Otherwise they come from
    the shape: occlusal is the area-weighted mean normal (the thinnest axis of a closed surface); forward is the
    direction perpendicular to it, in the best symmetry plane, that points to the narrow (incisor) end. This is good
    enough for pictures. An arch with only one side is shown slightly rotated.
    """
    for known in (mesh.labels, labels):  # its own labels first: truth and prediction get the same view
        rotation = None if known is None else upright_rotation(mesh.with_labels(known))
        if rotation is not None:
            assert known is not None
            return (_level(mesh.centroids @ rotation.T, mesh.areas, known) @ rotation)[[0, 2, 1]]
    return _frame_of_shape(mesh)


def _level(points: np.ndarray, areas: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The rotation that lays the plane of the tips of the crowns level. One tooth that stands out hardly turns it.

    Args:
        points: [F, 3] middles of the faces in the networks' frame, mm.
        areas: [F].
        labels: [F] FDI numbers. Third molars do not count: they often stand out.

    Returns:
        [3, 3]; the identity if the tips are nearly on a line.
    """
    teeth = [fdi for fdi in np.unique(labels[labels > 0]).tolist() if fdi % 10 != 8]
    tips = np.array([_tip(points[labels == fdi], areas[labels == fdi]) for fdi in teeth]).reshape(-1, 3)
    forward, height, left = (tips - tips.mean(axis=0) if len(tips) else tips).T
    flat = np.stack([forward, left], axis=1)
    if len(tips) < TEETH_NEEDED or np.linalg.svd(flat, compute_uv=False)[1] < THIN:
        return np.eye(3)
    plane = np.c_[flat, np.ones(len(tips))]
    slope = least_squares(lambda slopes: plane @ slopes - height, np.zeros(3), loss="soft_l1", f_scale=STANDS_OUT).x
    normal = np.array([-slope[0], 1.0, -slope[1]]) / np.hypot(1.0, np.hypot(*slope[:2]))
    ahead = np.array([1.0, 0.0, 0.0]) - normal[0] * normal
    ahead /= np.linalg.norm(ahead)
    return np.stack([ahead, normal, np.cross(ahead, normal)])


def _tip(points: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The middle of the highest ``TIP`` of the area of a crown. [3]"""
    order = np.argsort(-points[:, 1])
    top = np.cumsum(areas[order]) <= TIP * areas.sum()
    top[0] = True
    tip: np.ndarray = points[order[top]].mean(axis=0)
    return tip


# Views of a jaw: the directions, in patient axes, to the right of the picture, to its top and to the viewer. The bite
# is drawn as in a dental chart: the incisors of an upper jaw at the top, those of a lower jaw at the bottom.
CAMERAS = {
    "front": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "left": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "right": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    "upper bite": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "lower bite": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}


def jaw_shown(mesh: Mesh, labels: np.ndarray | None = None) -> int:
    """The jaw of the given labels, else of the mesh's labels, else ``mesh.jaw``, which may be ``UNKNOWN_JAW``."""
    for known in (labels, mesh.labels):
        if known is not None and (jaw := jaw_of_teeth(known)) != UNKNOWN_JAW:
            return jaw
    return mesh.jaw


def patient_axes(mesh: Mesh, labels: np.ndarray | None = None) -> np.ndarray:
    """The patient's left, up and front, for a patient who sits upright: crowns of an upper jaw point down.

    A jaw that is not known is taken for a lower one. See :func:`viewing_frame`.

    Returns:
        [3, 3], rows orthonormal, right-handed: ``vertices @ axes.T`` has x to the left, y up, z to the front.
    """
    forward, right, bite = viewing_frame(mesh, labels)
    return np.stack([right, -bite, forward] if jaw_shown(mesh, labels) == UPPER else [-right, bite, forward])


def _frame_of_shape(mesh: Mesh) -> np.ndarray:
    weights = mesh.areas / max(mesh.areas.sum(), 1e-300)
    centred = mesh.centroids - weights @ mesh.centroids
    up = bite_directions(mesh)[0]
    flat = centred - np.outer(centred @ up, up)
    first = np.linalg.eigh(flat.T @ (flat * weights[:, None]))[1][:, -1]
    angles = np.radians(np.arange(0.0, 180.0, 2.0))
    axes = np.cos(angles)[:, None] * first + np.sin(angles)[:, None] * np.cross(up, first)
    # Sample points at equal area, so that densely meshed crowns do not count more than gingiva.
    even = np.searchsorted(np.cumsum(weights), (np.arange(_PLACES) + 0.5) / _PLACES)
    places = centred[np.minimum(even, len(centred) - 1)]
    across = np.cross(up, axes)
    # all points mirrored by each axis: [axes, points, 3]
    mirrored = places[None] - 2.0 * (across @ places.T)[:, :, None] * across[:, None, :]
    misfit = cKDTree(places).query(mirrored)[0].mean(axis=1)
    forward = _towards_narrow_end(flat, axes[misfit.argmin()], weights)
    return np.stack([forward, np.cross(forward, up), up])


def _towards_narrow_end(flat: np.ndarray, axis: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``axis`` with the sign that points to the closed (incisor) end of the arch."""
    along = flat @ axis
    width = np.linalg.norm(flat - np.outer(along, axis), axis=1)
    return -axis if weights @ (along * width**2) > 0 else axis
