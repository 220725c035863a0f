from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from toothgraph.anatomy.frame import TEETH_NEEDED
from toothgraph.errors import ShapeError
from toothgraph.evaluation import report, score_prediction
from toothgraph.fdi import class_to_position, fdi_to_class
from toothgraph.inference.look import decide_jaw
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.predict import Prediction, Seen, label_faces, predict_mesh
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.interpolate import interpolate
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import original_of, vertices_to_original
from toothgraph.model.file import default_crowns, load_model
from toothgraph.synthetic import synthetic_arch


def test_interpolate_keeps_what_it_carries(arch):
    coarse = decimate(arch, 500).mesh
    constant = np.full((len(coarse.faces), 3), 0.25, dtype=np.float32)
    interpolated = interpolate(coarse, arch, constant)
    assert interpolated.shape == (len(arch.faces), 3) and interpolated.dtype == np.float32
    assert np.allclose(interpolated, 0.25)
    values = np.random.default_rng(0).uniform(size=(len(arch.faces), 2))
    assert np.array_equal(interpolate(arch, arch, values), values)
    # A linear field comes back to within the size of a coarse face.
    linear = interpolate(coarse, arch, coarse.centroids)
    assert np.median(np.linalg.norm(linear - arch.centroids, axis=1)) < np.sqrt(coarse.areas.mean())


def test_interpolate_from_a_single_face(arch):
    one = Mesh(arch.vertices[arch.faces[0]], np.array([[0, 1, 2]]))
    assert (interpolate(one, arch, np.array([[3.0]])) == 3).all()


@pytest.mark.parametrize("wrong", ["tensor", "one value each", "whole numbers", "too few", "a list"])
def test_interpolate_says_what_it_takes(arch, wrong):
    values = np.zeros((len(arch.faces), 2))
    given = {
        "tensor": torch.from_numpy(values), "one value each": values[:, 0], "whole numbers": values.astype(int),
        "too few": values[1:], "a list": values.tolist(),
    }[wrong]  # fmt: skip
    advice = r"values\.detach\(\)\.cpu\(\)\.numpy\(\)" if wrong == "tensor" else ""
    with pytest.raises(ShapeError, match=rf"expected values as an array \[{len(arch.faces)}, C\].*{advice}"):
        interpolate(arch, arch, given)


def test_interpolate_tells_the_walls_of_a_gap_apart():
    """Two parallel walls 0.3 mm apart that face each other, with different values."""

    def wall(n: int, x: float, flip: bool) -> tuple[np.ndarray, np.ndarray]:
        y, z = np.meshgrid(np.linspace(0, 10, n), np.linspace(0, 10, n), indexing="ij")
        corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1, 1)
        faces = np.concatenate([corner + np.array([0, n, 1]), corner + np.array([n, n + 1, 1])])
        return np.stack([np.full(n * n, x), y.ravel(), z.ravel()], axis=1), faces[:, ::-1] if flip else faces

    def gap(n: int) -> Mesh:
        (a, f), (b, g) = wall(n, 0.0, False), wall(n, 0.3, True)
        return Mesh(np.concatenate([a, b]), np.concatenate([f, g + len(a)]))

    coarse, fine = gap(6), gap(21)
    side = (coarse.centroids[:, :1] > 0.15).astype(np.float32)
    assert np.array_equal(interpolate(coarse, fine, side).round()[:, 0], fine.centroids[:, 0] > 0.15)


def test_decide_jaw():
    prob = torch.full((10, 33), 1e-6)
    prob[:, 0], prob[:, 3], prob[:, 20] = 0.5, 0.1, 0.4
    jaw, share = decide_jaw(prob.log())
    assert jaw == 1 and share == pytest.approx(0.8, abs=1e-3)
    prob[:, 3] = 0.6
    assert decide_jaw(prob.log())[0] == 0
    assert decide_jaw(torch.full((4, 33), -100.0).index_fill(1, torch.tensor([0]), 0.0))[0] in (0, 1)  # gingiva only


@pytest.mark.parametrize("jaw", [0, 1, -1])
def test_predict_mesh(jaw, net, arch):
    result = predict_mesh(net, arch, jaw)
    assert result.labels.shape == result.confidence.shape == (len(arch.faces),)
    assert jaw in (-1, result.jaw) and result.jaw in (0, 1)
    assert result.jaw_probability > 0.5 or jaw >= 0
    teeth = result.labels[result.labels > 0]
    assert ((teeth > 30) == (result.jaw == 1)).all()
    assert (result.confidence > 0).all() and (result.confidence <= 1 + 1e-5).all()


def test_a_given_jaw_is_believed_and_its_probability_told():
    scan, net = synthetic_arch(3, jaw=0, faces=5000), load_model()
    free = predict_mesh(net, scan, -1, PredictOptions(1))
    assert free.jaw_probability > 0.5
    same, other = (predict_mesh(net, scan, jaw, PredictOptions(1)).jaw_probability for jaw in (free.jaw, 1 - free.jaw))
    assert same == pytest.approx(free.jaw_probability, abs=0.05)
    assert other == pytest.approx(1 - free.jaw_probability, abs=0.05)


def test_prediction_is_repeatable_and_blind(net, arch):
    first = predict_mesh(net, arch)
    blind = predict_mesh(net, arch.with_labels(np.zeros(len(arch.faces), dtype=int)))
    assert np.array_equal(first.labels, blind.labels) and np.array_equal(first.confidence, blind.confidence)
    assert not torch.is_grad_enabled() or all(p.grad is None for p in net.parameters())


def test_small_scan_is_used_as_it_is(net, arch):
    coarse = decimate(arch, 300).mesh
    once, thrice = predict_mesh(net, coarse, 0, PredictOptions(1)), predict_mesh(net, coarse, 0, PredictOptions(3))
    assert np.array_equal(once.confidence, thrice.confidence)


def test_faces_wound_inside_out_are_told_and_labelled_all_the_same():
    scan, net = synthetic_arch(3, jaw=0, faces=5000), load_model()
    right, found = (
        predict_mesh(net, scan, 0, PredictOptions(1)),
        predict_mesh(net, scan.inside_out(), 0, PredictOptions(1)),
    )
    assert len(np.unique(right.labels)) > 10 and not right.inside_out
    assert np.array_equal(found.labels, right.labels) and found.inside_out


def test_a_surface_without_teeth_either_way_stays_as_it_is(arch):
    gum = arch.part(arch.labels == 0)
    found = predict_mesh(load_model(), gum, 0, PredictOptions(1))
    assert not found.inside_out and len(np.unique(found.labels)) <= TEETH_NEEDED


def test_the_challenge_counts_the_files_own_vertex_labels(arch):
    sure = np.ones((len(arch.faces), 17), dtype=np.float32)
    vertices = vertices_to_original(arch, arch.labels)
    tooth = np.flatnonzero(vertices == 11)
    stored = vertices.copy()
    stored[tooth[: len(tooth) // 2]] = 0
    scan = replace(arch, original=replace(original_of(arch), vertex_labels=stored))
    row = score_prediction(scan, Prediction(arch.labels, sure, 0, 1.0), 0.5).row
    assert row["miou"] == 1
    assert row["challenge_code"]["tsa"] == pytest.approx(1 - (len(tooth) // 2) / len(vertices))


def test_a_vertex_that_stands_nowhere_has_no_say(arch):
    vertices = np.concatenate([arch.vertices, [[np.nan] * 3]])
    stored = np.append(vertices_to_original(arch, arch.labels), 11)
    original = replace(original_of(arch), vertices=vertices, vertex_labels=stored)
    scan = replace(arch, original=replace(original, vertex_map=np.append(original.vertex_map, -1)))
    sure = np.ones((len(arch.faces), 17), dtype=np.float32)
    row = score_prediction(scan, Prediction(arch.labels, sure, 0, 1.0), 0.5).row
    assert row["challenge_code"]["tsa"] == 1
    assert scan.with_labels(arch.labels).original.vertex_labels is None


def test_scores_of_the_truth_are_perfect(arch):
    sure = np.ones((len(arch.faces), 17), dtype=np.float32)
    truth, wrong = Prediction(arch.labels, sure, 0, 1.0), Prediction(np.zeros_like(arch.labels), sure, 0, 1.0)
    scored = [score_prediction(replace(arch, jaw=-1), which, 0.5) for which in (truth, wrong)]
    best, worst = (item.row for item in scored)
    assert best["accuracy"] == best["miou"] == best["boundary_iou"] == 1
    assert (best["jaw"], best["predicted_jaw"], best["faces"]) == ("upper", "upper", len(arch.faces))
    assert worst["accuracy"] == pytest.approx((arch.labels == 0).mean()) and worst["miou"] < 0.1
    content = report(scored)
    assert content["per_scan"] == [best, worst]
    assert content["scores"]["miou"] == pytest.approx((1 + worst["miou"]) / 2)
    teeth = {row["fdi"] for row in content["per_tooth"]}
    assert set(np.unique(arch.labels[arch.labels > 0])) <= teeth


def test_a_net_that_is_left_in_training_is_refused(arch):
    net = load_model()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net.train()
    with pytest.raises(ShapeError, match=r"in evaluation mode, got one in training mode.*net.eval\(\)"):
        predict_mesh(net, arch)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_options_are_no_dictionary(arch, net):
    with pytest.raises(ShapeError, match="options: a PredictOptions, got dict"):
        predict_mesh(net, arch, options={"tessellations": 1})


@pytest.mark.parametrize("sure", [-50.0, 50.0])
def test_what_a_net_says_of_the_jaw_takes_no_tooth_away(arch, sure):
    """A net of one labelled jaw knows no other, and finds teeth on it all the same."""
    net, once = load_model(), PredictOptions(tessellations=1)
    before = predict_mesh(net, arch, arch.jaw, once)
    with torch.no_grad():
        net.head.jaw[-1].bias += torch.tensor([sure, -sure])
    after = predict_mesh(net, arch, arch.jaw, once)
    assert np.array_equal(np.unique(after.labels), np.unique(before.labels)) and (before.labels > 0).any()
    assert (after.labels == before.labels).mean() > 0.99


def test_a_piece_of_the_size_of_a_crown_that_is_none_is_as_sure_as_the_row(arch):
    crowns = [arch.part(arch.labels == fdi) for fdi in np.unique(arch.labels[arch.labels > 0])]
    crowns.append(replace(crowns[4], vertices=crowns[4].vertices - crowns[4].centroids.mean(axis=0)))  # in the palate
    start = np.cumsum([0, *(len(crown.vertices) for crown in crowns)])
    faces = np.concatenate([crown.faces + first for crown, first in zip(crowns, start, strict=False)])
    mesh = Mesh(np.concatenate([crown.vertices for crown in crowns]), faces)
    place = class_to_position(fdi_to_class(np.concatenate([crown.labels for crown in crowns])))
    own = mesh.pieces == mesh.pieces[-1]
    seen = Seen(np.eye(17, dtype=np.float32)[place], 0, 1.0, np.array([0.0, 1, 0]))
    found = label_faces(mesh, seen, default_crowns(), PredictOptions())
    assert set(found.labels[own]) == {0}
    assert 0.5 < found.confidence[own].min() == found.confidence[own].max() <= 1
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert not found.probabilities[~own, 0].any()
