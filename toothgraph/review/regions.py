"""Parts of a scan that follow from one or two clicks: the two halves of a tooth, or a tooth without a label."""

from __future__ import annotations

import numpy as np

from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.interpolate import interpolate
from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.borders import refine
from toothgraph.review.clicks import FAR, NEAR, RULES
from toothgraph.review.surface import FACE, LEAST_FACES, Surface
from toothgraph.review.walker import walk

SHARE = 0.3  # share of the distance between two clicks; this near to a click, faces surely belong to its half


def halves(surface: Surface, own: np.ndarray, first: int, second: int) -> np.ndarray:
    """Which faces of a tooth belong to the second of two clicked faces.

    Args:
        surface: the surface of the scan.
        own: [n] the faces of the tooth.
        first, second: the faces that were clicked.

    Returns:
        [n] bool.
    """
    part, clicks = surface.mesh.part(own), surface.mesh.centroids[[first, second]]
    sure = min(NEAR, SHARE * float(np.linalg.norm(clicks[1] - clicks[0])))
    return _placed(part, _seeds(_coarser(part), clicks, sure), 2) == 1


def grown(surface: Surface, labels: np.ndarray, face: int) -> np.ndarray:
    """The faces of a tooth without a label, from one click on it.

    The tooth is bounded by the folds around it, and by what a net tells apart. Faces of other teeth are left out.

    Args:
        surface: the surface of the scan, F faces.
        labels: [F] FDI numbers.
        face: the face that was clicked.

    Returns:
        [n] faces.
    """
    mesh, click = surface.mesh, surface.mesh.centroids[face]
    far = np.linalg.norm(mesh.centroids - click, axis=1)
    near = np.flatnonzero(far < FAR + 2.0)  # a little more than the tooth can reach, so that the walks end there
    part = mesh.part(near).with_labels(np.maximum(labels[near], 0))
    coarse = _coarser(part)
    assert coarse.labels is not None
    away = np.linalg.norm(coarse.centroids - click, axis=1)
    seed = np.where((away > FAR) | (coarse.labels > 0), 0, np.where(away < NEAR, 1, -1))
    seed[away.argmin()] = 1
    place = _placed(part, (coarse, seed), 2, surface.embedding(coarse))
    return near[(place == 1) & (labels[near] <= 0)]


def _coarser(part: Mesh) -> Mesh:
    return decimate(part, max(round(part.areas.sum() / FACE), LEAST_FACES)).mesh


def _seeds(coarse: Mesh, clicks: np.ndarray, sure: float) -> tuple[Mesh, np.ndarray]:
    far = np.linalg.norm(coarse.centroids[:, None] - clicks, axis=2)  # [C, 2]
    seed = np.where(far.min(axis=1) < sure, far.argmin(axis=1), -1)
    seed[far.argmin(axis=0)] = np.arange(len(clicks))
    return coarse, seed


def _placed(part: Mesh, seeds: tuple[Mesh, np.ndarray], count: int, embedding: np.ndarray | None = None) -> np.ndarray:
    """The label of each face of a part [n], from seeds on its coarse surface."""
    coarse, seed = seeds
    prob = walk(coarse, seed, count, embedding=embedding)
    share = np.eye(count, dtype=np.float32)[refine(coarse, prob, RULES)]
    placed: np.ndarray = interpolate(coarse, part, share).argmax(axis=1)
    return placed
