"""Faults in how the faces of a surface are connected and wound, which may be why no teeth are found on it."""

from __future__ import annotations

import numpy as np

from toothgraph.mesh.mesh import Mesh

ALONE = 0.5  # share of the faces without a neighbour; loose specks of a scan are far fewer
TURNED = 0.05  # share of the edges between faces with opposite winding; ordinary scans have fewer


def broken_surface(mesh: Mesh) -> str:
    """What is wrong with how faces are connected and wound, and what to do, in words; empty if nothing is wrong.

    Example:
        >>> corners = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0], [10, 10, 0]])
        >>> broken_surface(Mesh(corners, np.array([[0, 1, 2], [1, 3, 2]])))
        ''
        >>> broken_surface(Mesh(corners, np.array([[0, 1, 2], [1, 2, 3]])))[:43]
        'neighbouring faces are wound in opposite di'
    """
    alone = 1 - len(np.unique(mesh.adjacency[0])) / len(mesh.faces)
    if alone > ALONE:
        return (
            f"{alone:.0%} of the faces have no common edge with another one: neighbouring faces must have common "
            "vertices (toothgraph.read_mesh joins equal ones); let a program for meshes merge close vertices"
        )
    if (share := _turned(mesh)) > TURNED:
        return (
            f"neighbouring faces are wound in opposite directions at {share:.0%} of the edges: let a program for "
            "meshes turn them the same way round"
        )
    return ""


def _turned(mesh: Mesh) -> float:
    """The share of the edges between two faces that both faces have in the same direction."""
    start, end = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()
    _, edge = np.unique(np.minimum(start, end) * len(mesh.vertices) + np.maximum(start, end), return_inverse=True)
    faces, forward = np.bincount(edge), np.bincount(edge, weights=start < end)
    common = faces == 2
    return float((forward[common] != 1).mean()) if common.any() else 0.0
