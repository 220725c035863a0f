"""Label teeth from one click on each, without any trained net, or better with the output of one."""

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

NEAR = 2.5  # mm; faces this near to a click surely belong to its tooth
FAR = 13.0  # mm; faces farther from all clicks belong to none of their teeth; the farthest of a crown is 11 mm away
RULES = replace(
    DEFAULT.borders, band=4.0, plausible=1e-2
)  # borders by folds alone may move farther than those of a net


def label_from_clicks(
    surface: Surface, faces: Sequence[int], numbers: Sequence[int], tooth: np.ndarray | None = None
) -> np.ndarray:
    """Label a whole arch from one click on each tooth, anywhere near the middle of its crown.

    Random walks over the surface tell which click a face belongs to, or that it is gingiva. Then borders move into the
    folds.

    Args:
        surface: the surface of the scan, F faces.
        faces: the T faces that were clicked.
        numbers: T FDI numbers of these teeth.
        tooth: [F] the probability that a face is of any tooth, by a net, if there is one.

    Returns:
        [F] FDI numbers.

    Raises:
        ConfigError: without clicks, or if there are not as many different numbers as clicks.
    """
    if not len(faces) or len(set(numbers)) != len(faces) or len(numbers) != len(faces):
        raise ConfigError(f"expected one click a tooth, each with a number of its own, got {list(numbers)}")
    coarse, clicked = surface.coarse, surface.mesh.centroids[np.asarray(faces)]
    # 1. Faces that are surely of a tooth, and faces that surely are not.
    far, nearest = cKDTree(clicked).query(coarse.centroids)
    seed = np.where(far < NEAR, nearest + 1, np.where(far > FAR, 0, -1))
    seed[surface.coarse_face[np.asarray(faces)]] = np.arange(1, len(faces) + 1)
    # 2. All other faces, by folds and embeddings, and by the net.
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
    """Combine what walks and a net say of each face.

    Args:
        prob: [F, 1 + T] the probabilities of gingiva and of each click, by walks.
        tooth: [F] the probability that a face is of any tooth, by a net.

    Returns:
        [F, 1 + T] probabilities of both together.
    """
    both = np.sqrt(prob) * np.c_[1 - tooth, np.repeat(tooth[:, None], prob.shape[1] - 1, axis=1)]
    together: np.ndarray = both / np.maximum(both.sum(axis=1, keepdims=True), 1e-12)
    return together
