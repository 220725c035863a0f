from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch_geometric.data import Data

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.fdi import class_to_fdi
from toothgraph.transforms import Augmentation, augment
from toothgraph.transforms.augment import random_rotation

STILL = Augmentation(rotation=0, scale=0, translation=0, jitter=0, normal_jitter=0, mirror=0)


def draw(data: Data, how: Augmentation, seed: int = 0) -> Data:
    return augment(data, np.random.default_rng(seed), how)


def winding_normal(data: Data) -> torch.Tensor:
    """The normal that the order of the corners gives."""
    a, b, c = data.x[:, 3:12].view(-1, 3, 3).unbind(dim=1)
    return torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1)


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_all_fields_tell_of_the_same_motion(arch_graph: Data, mirror: float) -> None:
    out = draw(arch_graph, Augmentation(mirror=mirror))
    assert torch.equal(out.x[:, :3], out.pos)
    assert torch.equal(out.x[:, 12:], out.normal)
    assert torch.allclose(out.normal.norm(dim=1), torch.ones(out.num_nodes), atol=1e-5)
    assert torch.allclose(out.x[:, 3:12].view(-1, 3, 3).sum(dim=1), torch.zeros(1), atol=1e-4)
    assert {out[key].dtype for key in ("x", "pos", "normal", "area")} == {torch.float32}
    # the area by the corners
    a, b, c = out.x[:, 3:12].view(-1, 3, 3).unbind(dim=1)
    assert torch.allclose(torch.linalg.cross(b - a, c - a).norm(dim=1) / 2, out.area, rtol=1e-3, atol=1e-3)


def test_the_given_graph_is_left_alone(arch_graph: Data) -> None:
    before = {key: value.clone() for key, value in arch_graph.items() if isinstance(value, torch.Tensor)}
    out = draw(arch_graph, Augmentation(mirror=1.0))
    assert all(torch.equal(arch_graph[key], value) for key, value in before.items())
    assert torch.equal(out.edge_index, arch_graph.edge_index)
    assert torch.equal(out.neighbor_index, arch_graph.neighbor_index)
    assert out.scan_id == arch_graph.scan_id


def test_nothing_asked_nothing_moved(arch_graph: Data) -> None:
    out = draw(arch_graph, STILL)
    assert torch.allclose(out.x, arch_graph.x, atol=1e-5)
    assert torch.equal(out.y, arch_graph.y)


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_rigid_motion_keeps_distances(arch_graph: Data, mirror: float) -> None:
    out = draw(arch_graph, replace(STILL, rotation=180, translation=10, mirror=mirror))
    assert torch.allclose(torch.pdist(out.pos), torch.pdist(arch_graph.pos), atol=1e-3)
    assert not torch.allclose(out.pos, arch_graph.pos, atol=1.0)
    along = torch.einsum("nc,mc->nm", arch_graph.normal, arch_graph.normal)
    assert torch.allclose(torch.einsum("nc,mc->nm", out.normal, out.normal), along, atol=1e-4)


def test_scale_is_one_factor_within_its_bounds(arch_graph: Data) -> None:
    factors = []
    for seed in range(10):
        out = draw(arch_graph, replace(STILL, rotation=180, scale=0.1), seed)
        ratio = torch.pdist(out.pos) / torch.pdist(arch_graph.pos)
        assert torch.allclose(ratio, ratio.median(), rtol=1e-3)
        assert torch.allclose(out.area, arch_graph.area * ratio.median() ** 2, rtol=1e-3)
        factors.append(float(ratio.median()))
    assert 0.9 <= min(factors) < 0.97 and 1.03 < max(factors) <= 1.1


def test_a_mirror_image_changes_sides_and_keeps_the_winding(arch_graph: Data) -> None:
    graph = arch_graph.clone()
    graph.y[:5] = -1
    out = draw(graph, replace(STILL, mirror=1.0))
    flip = torch.tensor([1.0, 1, -1])
    assert torch.allclose(out.pos, graph.pos * flip, atol=1e-5)
    assert torch.allclose(out.normal, graph.normal * flip, atol=1e-5)
    old, new = class_to_fdi(graph.y.numpy()), class_to_fdi(out.y.numpy())
    assert np.array_equal(new, np.where(old > 0, np.where(old < 20, old + 10, old - 10), old))
    assert (new[:5] == -1).all() and {11, 21} <= set(new.tolist())
    for data in (graph, out):
        assert torch.allclose(winding_normal(data), data.normal, atol=1e-3)


SMALL = [torch.uint8, torch.int8, torch.int16, torch.int32]


@pytest.mark.parametrize("dtype", SMALL)
def test_labels_change_sides_in_the_integers_that_they_are(arch_graph: Data, dtype: torch.dtype) -> None:
    graph = arch_graph.clone()
    graph.y = graph.y.to(dtype)
    for mirror in (0.0, 1.0):
        out, expected = (draw(each, replace(STILL, mirror=mirror)).y for each in (graph, arch_graph))
        assert out.dtype == dtype and torch.equal(out.long(), expected)


@pytest.mark.parametrize("mirror", [0.0, 1.0])
@pytest.mark.parametrize("corners", [[0.0] * 9, [1.3, 0.7, 0.1, -0.9, 0.4, 0.2, -0.4, -1.1, -0.3]])
def test_a_face_without_area_keeps_its_normal(arch_graph: Data, corners: list[float], mirror: float) -> None:
    graph, how = arch_graph.clone(), Augmentation(jitter=0, normal_jitter=0, mirror=mirror)
    a, b, _ = torch.tensor(corners).view(3, 3)
    graph.x[5, 3:12] = torch.cat([a, b, (a + b) / 2])  # on one line, or in one point
    out, whole = draw(graph, how), draw(arch_graph, how)
    torch.testing.assert_close(out.normal[5], whole.normal[5], atol=2e-3, rtol=0)


def test_winding_survives_rotation_and_scale(arch_graph: Data) -> None:
    for seed in range(4):
        out = draw(arch_graph, Augmentation(normal_jitter=0, mirror=0.5), seed)
        assert torch.allclose(winding_normal(out), out.normal, atol=1e-3)


def test_a_mirrored_graph_without_labels(arch_graph: Data) -> None:
    graph = arch_graph.clone()
    del graph.y
    assert "y" not in draw(graph, replace(STILL, mirror=1.0))


def test_jitter_is_bounded_and_of_the_asked_size(arch_graph: Data) -> None:
    out = draw(arch_graph, replace(STILL, jitter=0.05))
    step = out.pos - arch_graph.pos
    assert step.abs().max() <= 0.15 + 1e-5
    assert 0.045 < step.std() < 0.055
    normal = draw(arch_graph, replace(STILL, normal_jitter=0.03)).normal
    assert 0.95 < (normal * arch_graph.normal).sum(dim=1).min() < 0.9999


def test_the_generator_decides(arch_graph: Data) -> None:
    how = Augmentation(mirror=0.5)
    assert torch.equal(draw(arch_graph, how, 3).x, draw(arch_graph, how, 3).x)
    assert not torch.allclose(draw(arch_graph, how, 3).x, draw(arch_graph, how, 4).x)


def test_rotations_are_proper_and_limited() -> None:
    rng = np.random.default_rng(0)
    for degrees in (0, 30, 180):
        matrices = np.stack([random_rotation(rng, degrees) for _ in range(300)])
        assert np.allclose(matrices @ matrices.transpose(0, 2, 1), np.eye(3))
        assert np.allclose(np.linalg.det(matrices), 1)
        angles = np.rad2deg(Rotation.from_matrix(matrices).magnitude())
        assert angles.max() <= degrees + 1e-5
        assert degrees == 0 or angles.max() > 0.9 * degrees


def test_full_rotations_are_uniform() -> None:
    rng = np.random.default_rng(1)
    matrices = np.stack([random_rotation(rng, 180) for _ in range(2000)])
    # every column is uniform on the sphere: mean 0, each coordinate uniform on [-1, 1]
    assert np.abs(matrices.mean(axis=0)).max() < 0.06
    assert np.abs((matrices**2).mean(axis=0) - 1 / 3).max() < 0.03
    # the angle of a uniform rotation has density (1 - cos)/π: mean π/2 + 2/π
    assert Rotation.from_matrix(matrices).magnitude().mean() == pytest.approx(np.pi / 2 + 2 / np.pi, abs=0.05)


def test_stretch_acts_along_the_axes_of_the_scan(arch_graph: Data) -> None:
    for seed in range(5):
        out = draw(arch_graph, replace(STILL, stretch=0.2), seed)
        factors = (out.pos / arch_graph.pos).median(dim=0).values
        assert torch.allclose(out.pos, arch_graph.pos * factors, atol=1e-4)
        assert ((factors - 1).abs() <= 0.2).all() and factors.std() > 0.001
        assert torch.allclose(winding_normal(out), out.normal, atol=1e-3)


def test_bending_is_smooth_and_of_the_asked_size(arch_graph: Data) -> None:
    source, target = arch_graph.edge_index
    steps, strains = [], []
    for seed in range(20):
        out = draw(arch_graph, replace(STILL, elastic=1.0), seed)
        steps.append(out.pos - arch_graph.pos)
        before = (arch_graph.pos[source] - arch_graph.pos[target]).norm(dim=1)
        strains.append((out.pos[source] - out.pos[target]).norm(dim=1) / before)
        assert torch.allclose(winding_normal(out), out.normal, atol=1e-3)
    assert 0.7 < torch.cat(steps).std() < 1.3
    assert 0.03 < torch.cat(strains).std() < 0.25  # neighbours move together
    # corners that two faces share stay together: the surface does not tear
    corners = arch_graph.x[:, None, :3] + arch_graph.x[:, 3:12].view(-1, 3, 3)
    moved = (out.x[:, None, :3] + out.x[:, 3:12].view(-1, 3, 3)).flatten(0, 1)
    _, same = torch.unique((corners * 1e3).round().flatten(0, 1), dim=0, return_inverse=True)
    sums = torch.zeros(int(same.max()) + 1, 3).index_add_(0, same, moved)
    mean = sums / torch.bincount(same)[:, None]
    assert torch.allclose(moved, mean[same], atol=2e-3)
    # and it stays a bent copy, not a scaled one
    assert not torch.allclose(steps[0], steps[1], atol=0.1)


def test_labels_of_yes_and_no_are_no_teeth(arch_graph: Data) -> None:
    graph = arch_graph.clone()
    graph.y = graph.y > 0
    with pytest.raises(ShapeError, match=r"classes of teeth .*bool; give exchange=False"):
        draw(graph, Augmentation(mirror=1.0))
    assert torch.equal(augment(graph, np.random.default_rng(0), Augmentation(mirror=1.0), exchange=False).y, graph.y)


@pytest.mark.parametrize(
    "wrong", [{"scale": -0.1}, {"scale": 1.9}, {"stretch": 1.0}, {"mirror": 1.5}, {"jitter": None}]
)
def test_a_strength_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"{name} of an augmentation"):
        Augmentation(**wrong)
