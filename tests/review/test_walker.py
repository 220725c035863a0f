"""Walks over a surface, against what is known of them."""

from __future__ import annotations

import numpy as np

from toothgraph.mesh.mesh import Mesh
from toothgraph.review.walker import walk


def strip(heights: list[float]) -> Mesh:
    """A strip of squares, each of two triangles, with a corner at each of the heights."""
    x = np.arange(len(heights), dtype=float)
    low = np.stack([x, np.zeros_like(x), heights], axis=1)
    vertices = np.concatenate([low, low + np.array([0, 1, 0])])
    n, k = len(heights), np.arange(len(heights) - 1)
    faces = np.concatenate([np.stack([k, k + 1, k + n], axis=1), np.stack([k + 1, k + n + 1, k + n], axis=1)])
    return Mesh(vertices, faces)


def test_on_a_flat_strip_the_walk_ends_at_the_nearer_seed() -> None:
    mesh = strip([0.0] * 9)
    seed = np.full(16, -1)
    seed[0], seed[15] = 0, 1  # the first and the last triangle
    prob = walk(mesh, seed, 2)
    np.testing.assert_allclose(prob.sum(axis=1), 1, atol=1e-6)
    along = prob[np.argsort(mesh.centroids[:, 0]), 1]
    assert (np.diff(along) > 0).all() and along[0] == 0 and along[-1] == 1
    np.testing.assert_allclose(along + along[::-1], 1, atol=1e-3)  # it is the same from both ends


def test_a_walk_hardly_crosses_a_fold_but_does_cross_a_ridge() -> None:
    valley, ridge = [2.0, 1.0, 0.0, 0.5, 1.0, 1.5, 2.0], [-2.0, -1.0, 0.0, -0.5, -1.0, -1.5, -2.0]
    found = []
    for heights in (valley, ridge):
        mesh = strip(heights)
        seed = np.full(12, -1)
        seed[0], seed[11] = 0, 1
        found.append(walk(mesh, seed, 2)[:, 1])
    right = np.argsort(strip(valley).centroids[:, 0]) >= 6  # all beyond the fold but for rounding
    beyond = strip(valley).centroids[:, 0] > 2.5
    assert found[0][beyond].min() > 0.99 > found[1][beyond].min() + 0.1
    assert right.sum() == 6


def test_a_piece_without_seeds_knows_nothing() -> None:
    first = strip([0.0] * 3)
    mesh = Mesh(
        np.concatenate([first.vertices, first.vertices + np.array([0, 0, 9])]),
        np.concatenate([first.faces, first.faces + 6]),
    )
    prob = walk(mesh, np.array([0, -1, -1, 1, -1, -1, -1, -1]), 2)
    np.testing.assert_allclose(prob[4:], 0.5)
