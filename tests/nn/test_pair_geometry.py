from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from toothgraph.errors import ShapeError
from toothgraph.nn import PairGeometryConv, pair_features, use_backend
from toothgraph.nn.kernels.compiled import HAS_COMPILED

NEEDS_COMPILED = pytest.mark.skipif(not HAS_COMPILED, reason="needs the compiled reductions: pip install -e . with g++")


def cloud(n: int = 40, k: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    normal = torch.nn.functional.normalize(torch.randn(n, 3, dtype=torch.float64), dim=1)
    return 5 * torch.randn(n, 3, dtype=torch.float64), normal, torch.randint(n, (k, n))


def rotation() -> torch.Tensor:
    return torch.from_numpy(Rotation.from_rotvec([0.4, -1.5, 2]).as_matrix())


def test_a_pair_by_hand() -> None:
    pos = torch.tensor([[1.0, 1, 1], [4, 1, 5]])  # d = (3, 0, 4), |d| = 5
    normal = torch.tensor([[0.0, 0, 1], [0, 1, 0]])
    out = pair_features(pos, normal, torch.tensor([[1, 0]]), scale=10.0)
    # n0 × n1 = (-1, 0, 0); u = (0.6, 0, 0.8)
    torch.testing.assert_close(out[0, 0], torch.tensor([0.5, 0.4, 0.8, 0.0, 0.0, -0.6]))
    # seen from node 1: d = (-3, 0, -4), n1 × n0 = (1, 0, 0)
    torch.testing.assert_close(out[0, 1], torch.tensor([0.5, 0.0, 0.0, -0.8, 0.0, -0.6]))


def test_a_node_with_itself_is_finite_and_fixed() -> None:
    pos, normal, _ = cloud(4)
    pos.requires_grad_()
    out = pair_features(pos, normal, torch.arange(4)[None], 2.0)
    expected = torch.tensor([0, 0, 0, 0, 1, 0], dtype=torch.float64).expand(1, 4, 6)
    torch.testing.assert_close(out, expected)
    out.sum().backward()
    assert pos.grad is not None and pos.grad.isfinite().all()


def test_gradients_of_positions_are_right_where_nodes_are_at_one_place() -> None:
    """As where a neighbour is missing, and the node stands for it."""
    pos, normal, table = cloud(20)
    pos[7] = pos[3]
    table = torch.cat([table, torch.arange(20)[None]])
    table[0, 3], table[0, 7] = 7, 3
    weight = torch.randn(*table.shape, 6, dtype=torch.float64)
    found = []
    for dtype in (torch.float32, torch.float64):
        at = pos.detach().to(dtype).requires_grad_()
        (pair_features(at, normal.to(dtype), table, 2.0) * weight.to(dtype)).sum().backward()
        assert at.grad is not None
        found.append(at.grad.double())
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1].sum(dim=0), torch.zeros(3, dtype=torch.float64))  # a shift changes nothing


def test_pose_changes_nothing() -> None:
    pos, normal, table = cloud()
    turn = rotation()
    moved = pair_features(pos @ turn.T + torch.tensor([30.0, -2, 7]), normal @ turn.T, table, 3.0)
    torch.testing.assert_close(moved, pair_features(pos, normal, table, 3.0), atol=1e-11, rtol=0)


def test_a_mirror_image_flips_only_the_handedness() -> None:
    pos, normal, table = cloud()
    flip = torch.tensor([1.0, 1, -1], dtype=torch.float64)
    sign = torch.tensor([1.0, 1, 1, 1, 1, -1], dtype=torch.float64)
    plain = pair_features(pos, normal, table, 3.0)
    torch.testing.assert_close(pair_features(pos * flip, normal * flip, table, 3.0), plain * sign)
    assert plain[..., 5].abs().max() > 0.1


def test_distance_and_height_are_in_units_of_the_scale() -> None:
    pos, normal, table = cloud()
    ratio = pair_features(pos, normal, table, 1.0)[..., :2] / pair_features(pos, normal, table, 4.0)[..., :2]
    assert ratio[~ratio.isnan()].allclose(torch.tensor(4.0, dtype=torch.float64))


def test_conv_is_the_maximum_over_each_level_of_the_table() -> None:
    pos, normal, table = cloud(k=6)
    conv = PairGeometryConv(3, (2.0, 8.0), channels=4).double()
    out = conv(pos, normal, table)
    assert out.shape == (40, 8)
    for node in (0, 17):
        for level, scale in enumerate((2.0, 8.0)):
            rows = table[3 * level : 3 * level + 3, node]
            edges = [conv.mlps[level](pair_features(pos, normal, row.expand(1, 40), scale)[0, node]) for row in rows]
            torch.testing.assert_close(out[node, 4 * level : 4 * level + 4], torch.stack(edges).amax(dim=0))


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-4), (torch.float64, 1e-11)])
@pytest.mark.parametrize("block", [1, 100, 1 << 18])
def test_blocks_give_the_values_and_gradients_of_all_edges(
    block: int, dtype: torch.dtype, bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toothgraph.nn.kernels.pair_geometry._CPU_BLOCK", block)
    pos, normal, table = cloud(k=6)
    table[3:5, :20] = torch.arange(20)  # missing neighbours: equal edges, which share the gradient
    conv = PairGeometryConv(3, (2.0, 8.0), channels=4).to(dtype)
    weight = torch.randn(40, 8, dtype=dtype)
    results = []
    for moving in (False, True):  # where positions learn, all edges are built
        conv.zero_grad()
        place = pos.to(dtype).requires_grad_(moving)
        with use_backend("native"):
            out = conv(place, normal.to(dtype), table.int())
        (out * weight).sum().backward()
        results.append([out.detach(), *(p.grad.clone() for p in conv.parameters())])
        assert (place.grad is not None) == moving
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=bound, atol=bound)


@NEEDS_COMPILED
@pytest.mark.parametrize(("nodes", "k", "hidden", "channels"), [(1, 1, 16, 1), (40, 5, 16, 4), (501, 12, 32, 37)])
def test_compiled_gives_the_values_and_gradients_of_torch(nodes: int, k: int, hidden: int, channels: int) -> None:
    pos, normal, table = cloud(nodes, k)
    pos, normal = pos.float(), normal.float()
    conv = PairGeometryConv(k, (2.0,), channels, hidden)
    weight, results, before = torch.randn(nodes, channels), [], torch.get_num_threads()
    with torch.no_grad():
        conv.mlps[0][0].bias.normal_()
    try:
        for backend, threads in (("native", 1), ("compiled", 1), ("compiled", 3)):
            torch.set_num_threads(threads)
            conv.zero_grad()
            with use_backend(backend):
                out = conv(pos, normal, table)
            (out * weight).sum().backward()
            results.append([out.detach(), *(p.grad.clone() for p in conv.parameters())])
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(results[1], results[2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", ["native", pytest.param("compiled", marks=NEEDS_COMPILED)])
def test_nan_is_not_hidden(backend: str) -> None:
    pos, normal, table = cloud(9, 3)
    table[:, 2] = torch.tensor([0, 4, 5])
    pos[4, 1] = torch.nan
    conv = PairGeometryConv(3, (2.0,), 4)
    with use_backend(backend):
        out = conv(pos.float(), normal.float(), table)
    assert out[2].isnan().all() and out[4].isnan().all()
    assert out.isnan().any(dim=1).tolist() == ((table == 4).any(dim=0) | (torch.arange(9) == 4)).tolist()


def test_conv_stays_precise_under_autocast() -> None:
    pos, normal, table = (tensor.float() if tensor.is_floating_point() else tensor for tensor in cloud(k=6))
    conv = PairGeometryConv(3, (2.0, 8.0), channels=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = conv(pos, normal, table)
        half.sum().backward()  # within it too
    assert torch.equal(half, conv(pos, normal, table))


def test_right_angle_of_normals() -> None:
    pos = torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    angle = 0.3
    normal = torch.tensor([[0.0, 0, 1], [math.sin(angle), 0, math.cos(angle)]])
    out = pair_features(pos, normal, torch.tensor([[1, 0]]), 1.0)[0, 0]
    torch.testing.assert_close(out, torch.tensor([1, 0, 0, math.sin(angle), math.cos(angle), 0]))


def test_a_table_of_another_shape_is_refused() -> None:
    pos, normal = torch.randn(9, 3), torch.nn.functional.normalize(torch.randn(9, 3), dim=1)
    conv = PairGeometryConv(k=2, scales=(1.0, 3.0), channels=4)
    for rows, nodes in ((2, 9), (6, 9), (4, 5)):
        with pytest.raises(ShapeError, match=r"expected neighbor_index \[4, 9\], 2 neighbours for each of 2 scales"):
            conv(pos, normal, torch.zeros(rows, nodes, dtype=torch.long))


@pytest.mark.parametrize(
    ("backend", "dtype", "bound"),
    [("native", torch.float64, 1e-7), pytest.param("compiled", torch.float32, 1e-4, marks=NEEDS_COMPILED)],
)
def test_second_derivatives(backend: str, dtype: torch.dtype, bound: float) -> None:
    torch.manual_seed(0)
    conv = PairGeometryConv(4, (1.0,), 5, hidden=16).to(dtype)
    pos, normal, table = cloud(20, 4)
    pos, normal = pos.to(dtype), normal.to(dtype)
    with use_backend(backend):
        fast = conv(pos, normal, table)
    results = []
    for out in (fast, conv.mlps[0](pair_features(pos, normal, table, 1.0)).amax(dim=0)):
        grads = torch.autograd.grad(out.sin().sum(), list(conv.parameters()), create_graph=True)
        results.append(torch.autograd.grad(sum(g.square().sum() for g in grads), list(conv.parameters())))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=bound, atol=bound)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_missing_neighbour_is_no_fault_in_half_precision(dtype: torch.dtype) -> None:
    pos, normal = torch.randn(10, 3).to(dtype), torch.eye(3)[[0] * 10].to(dtype)
    table = torch.arange(10).expand(3, 10)
    assert pair_features(pos, normal, table, 1.0)[0, 0].tolist() == [0, 0, 0, 0, 1, 0]
    for layer in (PairGeometryConv(3, (1.0,), 8), PairGeometryConv(3, (1.0,), 8).to(dtype)):
        assert layer(pos, normal, table).isfinite().all()
