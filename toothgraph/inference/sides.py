"""Find the side of a closed surface that shows the teeth: models with a base, printed shells, crowns with a bottom.

A scan is open where nothing was scanned, and its opening shows the direction of the bite. A model was closed later, by
a flat bottom or by a copy of its own surface below. The scanner did not see this added surface. It says nothing about
the orientation of the scan, the nets do not know it, and it is labelled as gingiva.
"""

from __future__ import annotations

import numpy as np

from toothgraph.anatomy.frame import bite_directions, open_direction
from toothgraph.inference.look import look, tessellate
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.pose import candidate_frames
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.visible import visible_faces
from toothgraph.model.nets import SegmentationNet
from toothgraph.rules import DEFAULT, SideRules


def side_with_teeth(net: SegmentationNet, mesh: Mesh, jaw: int, options: PredictOptions) -> np.ndarray | None:
    """The faces on the side of a closed surface that shows the teeth; None for an open surface.

    If several sides are possible, the one on which the net is most certain of its tooth numbers is taken.

    Args:
        net: in evaluation mode.
        mesh: F faces.
        jaw: 0 upper, 1 lower, -1 unknown.
        options: without ``find_pose``, the bite is taken to be in the direction of y.

    Returns:
        [F] bool, or None.
    """
    if open_direction(mesh) is not None:
        return None
    rules = options.rules
    outwards = mesh if volume(mesh) >= 0 else mesh.inside_out()
    ups = bite_sides(outwards, rules.sides) if options.find_pose else np.array([[0.0, 1.0, 0.0]])
    sides = [visible_faces(outwards, up, rules.sides) for up in ups]
    if len(sides) == 1:
        return sides[0]
    sure = []
    for side in sides:
        part = decimate(mesh.part(side), rules.base_share * net.config.graph.faces).mesh
        seen = tessellate(part, net.config.graph, 0)
        sure.append(look(net, seen, jaw, candidate_frames(part, rules=rules.pose), rules.pose).sure)
    return sides[int(np.argmax(sure))]


def bite_sides(mesh: Mesh, rules: SideRules = DEFAULT.sides) -> np.ndarray:
    """Directions in which the teeth of a closed surface may point.

    They point away from its flat bottoms. If it has none, they are near its principal axes.

    Args:
        mesh: F faces, the normals pointing outwards.
        rules: what counts as flat, and how large a bottom is.

    Returns:
        [K, 3] unit vectors.
    """
    away = -flat_sides(mesh, rules)
    if len(away):
        return away
    axes = bite_directions(mesh).reshape(2, 3, 3)  # both signs, thinnest first
    thin, wide = np.ptp(mesh.vertices @ axes[0, :2].T, axis=0)
    axes = axes[:, 0] if thin < rules.thin * wide else axes.reshape(-1, 3)
    # An axis is some degrees off. The opening of the side that is seen along the axis is nearer to the bite.
    opening = [open_direction(mesh.part(visible_faces(mesh, axis, rules))) for axis in axes]
    return np.stack([axis if up is None else up for axis, up in zip(axes, opening, strict=True)])


def flat_sides(mesh: Mesh, rules: SideRules = DEFAULT.sides) -> np.ndarray:
    """Outward unit normals of the flat bottoms on which a surface can stand, largest first. [K, 3]

    Args:
        mesh: F faces, the normals pointing outwards.
        rules: what counts as flat, and how large a bottom is.
    """
    found: list[np.ndarray] = []
    left = np.ones(len(mesh.faces), dtype=bool)
    level = np.cos(np.radians(rules.level))
    for _ in range(rules.planes):
        # 1. The normal, rounded to a grid, with the largest area among the faces left; then the mean of its faces.
        grid = np.round(mesh.normals / np.sin(np.radians(rules.level)))
        _, which = np.unique(grid, axis=0, return_inverse=True)
        area = np.bincount(which.reshape(-1), weights=mesh.areas * left)
        own = which.reshape(-1) == area.argmax()
        normal = (mesh.areas[own, None] * mesh.normals[own]).sum(axis=0)
        normal /= max(np.linalg.norm(normal), 1e-12)
        facing = mesh.normals @ normal > level
        left &= ~facing
        # 2. Whether enough area lies at the outer end in this direction, so that all the rest is on one side.
        height = mesh.centroids @ normal
        bottom = facing & (height > height.max() - rules.flat)
        if mesh.areas[bottom].sum() >= rules.bottom * mesh.areas.sum():
            found.append(normal)
    return np.array(found).reshape(-1, 3)


def volume(mesh: Mesh) -> float:
    """The volume of a closed surface, mm³; negative if its normals point inwards."""
    first, second, third = (mesh.corners - mesh.vertices.mean(axis=0)).swapaxes(0, 1)
    return float((first * np.cross(second, third)).sum() / 6)
