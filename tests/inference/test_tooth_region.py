from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from toothgraph.fdi import fdi_to_class
from toothgraph.inference.look import Look, Tessellation
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.predict import predict_mesh
from toothgraph.inference.tooth_region import arch_faces, tooth_faces
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import SegmentationNet
from toothgraph.rules import DEFAULT, PoseRules
from toothgraph.synthetic.model_base import with_base


@pytest.fixture(scope="module")
def model(arch: Mesh) -> Mesh:
    """The arch on a wide plate."""
    based = with_base(arch, np.random.default_rng(1))
    x, z = np.meshgrid(np.linspace(-80, 80, 41), np.linspace(-80, 80, 41), indexing="ij")
    corner = (np.arange(40)[:, None] * 41 + np.arange(40)).ravel()[:, None]
    faces = np.concatenate([np.add(corner, [0, 1, 41]), np.add(corner, [1, 42, 41])])
    plate = np.stack([x.ravel(), np.full(41 * 41, based.vertices[:, 1].min()), z.ravel()], axis=1)
    labels = np.r_[based.labels, np.zeros(len(faces), dtype=int)]
    return Mesh(np.r_[based.vertices, plate], np.r_[based.faces, faces + len(based.vertices)], labels=labels)


def test_what_lies_near_teeth_stays(model: Mesh) -> None:
    gum = (model.labels == 0).astype(float)
    near = arch_faces(model, gum, model)
    assert near is not None and near[model.labels > 0].all() and near.mean() < 0.8
    teeth = model.centroids[model.labels > 0]
    distance = np.array([np.linalg.norm(teeth - point, axis=1).min() for point in model.centroids])
    assert np.array_equal(near, distance < DEFAULT.region.margin)


def test_nothing_is_cut_from_a_scan_of_teeth_alone_or_of_none(arch: Mesh, model: Mesh) -> None:
    tight = arch.part(arch.labels > 0)
    assert arch_faces(tight, np.zeros(len(tight.faces)), tight) is None
    assert arch_faces(model, np.ones(len(model.faces)), model) is None


def test_specks_are_no_teeth(model: Mesh) -> None:
    gum = (model.labels == 0).astype(float)
    far = int(np.linalg.norm(model.centroids - [80, 0, 80], axis=1).argmin())
    speckled = gum.copy()
    speckled[far] = 0
    assert model.areas[far] < 10
    assert np.array_equal(tooth_faces(model, speckled), model.labels > 0)


def test_predict_looks_again_at_the_part_with_teeth(
    model: Mesh, net: SegmentationNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[float] = []
    teeth = model.part(model.labels > 0)

    def look(net: SegmentationNet, seen: Tessellation, jaw: int, frames: np.ndarray, rules: PoseRules) -> Look:
        """What a net would say that knows the truth."""
        coarse = seen.coarse
        shown.append(coarse.areas.sum())
        distance, nearest = cKDTree(teeth.centroids).query(coarse.centroids)
        prob = torch.full((len(coarse.faces), 33), 1e-4)
        classes = np.where(distance < 0.7, fdi_to_class(teeth.labels)[nearest], 0)
        prob[torch.arange(len(prob)), torch.from_numpy(classes)] = 1.0
        return Look(seen, prob.log(), frames[0], 1.0)

    monkeypatch.setattr("toothgraph.inference.predict.look", look)
    focused = predict_mesh(net, model, 0, PredictOptions(assign_numbers=False))
    assert len(shown) == 4  # the whole once, the part three times
    assert max(shown[1:]) < 0.8 * shown[0]
    whole = predict_mesh(net, model, 0, PredictOptions(crop_to_teeth=False, assign_numbers=False))
    assert len(shown) == 7 and min(shown[4:]) > 0.9 * shown[0]
    right = [(found.labels == model.labels)[model.labels > 0].mean() for found in (focused, whole)]
    assert right[0] > right[1] + 0.02  # more faces on the teeth
    assert (focused.labels == model.labels).mean() > 0.9
    assert focused.confidence.shape == (len(model.faces),) and (focused.confidence > 0).all()
