"""Teeth from clicks on them: one click a tooth, without any trained net, or better with what one says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.errors import ConfigError
from toothgraph.mesh.interpolate import interpolate
from toothgraph.postprocess.borders import refine
from toothgraph.review.surface import Surface
from toothgraph.review.walker import walk
from toothgraph.rules import DEFAULT

NEAR = 2.5  # mm around a click that are surely of its tooth
FAR = 13.0  # mm from all clicks, where there is surely no tooth of theirs; the farthest of a crown is 11 mm away
RULES = replace(
    DEFAULT.borders, band=4.0, plausible=1e-2
)  # borders by folds alone may move farther than those of a net


def label_from_clicks(
    surface: Surface, faces: Sequence[int], numbers: Sequence[int], tooth: np.ndarray | None = None
) -> np.ndarray:
    """Label a whole arch from one click on each tooth, anywhere near the middle of its crown.

    Walks over the surface tell which click a face belongs to, or that it is gingiva; then borders move into the folds.

    Args:
        surface: of the scan, F faces.
        faces: of the clicks, T.
        numbers: T FDI numbers of these teeth.
        tooth: [F] the probability that a face is of any tooth, as a net says it, if there is one.

    Returns:
        [F] FDI numbers.

    Raises:
        ConfigError: without clicks, or if there are not as many different numbers as clicks.
    """
    if not len(faces) or len(set(numbers)) != len(faces) or len(numbers) != len(faces):
        raise ConfigError(f"expected one click a tooth, each with a number of its own, got {list(numbers)}")
    coarse, clicked = surface.coarse, surface.mesh.centroids[np.asarray(faces)]
    # 1. What is surely of a tooth, and what surely is not.
    far, nearest = cKDTree(clicked).query(coarse.centroids)
    seed = np.where(far < NEAR, nearest + 1, np.where(far > FAR, 0, -1))
    seed[surface.coarse_face[np.asarray(faces)]] = np.arange(1, len(faces) + 1)
    # 2. All between, by folds and embeddings, and by the net.
    prob = walk(coarse, seed, len(faces) + 1, embedding=surface.embedding(coarse))
    if tooth is not None:
        said = interpolate(surface.mesh, coarse, np.asarray(tooth, dtype=np.float64)[:, None])[:, 0].clip(
            1e-3, 1 - 1e-3
        )
        prob = with_net(prob, said)
    place = refine(coarse, prob, RULES)
    share = np.eye(prob.shape[1], dtype=np.float32)[place]
    return np.r_[0, np.asarray(numbers)][surface.carry(share).argmax(axis=1)]


def with_net(prob: np.ndarray, tooth: np.ndarray) -> np.ndarray:
    """Which click a face belongs to [F, 1 + T], by walks and by a net that says whether it is a tooth at all [F]."""
    both = np.sqrt(prob) * np.c_[1 - tooth, np.repeat(tooth[:, None], prob.shape[1] - 1, axis=1)]
    together: np.ndarray = both / np.maximum(both.sum(axis=1, keepdims=True), 1e-12)
    return together
