"""Edge MLPs of several layers: their derivatives, and what users hang on them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.utils.prune
from torch import nn

from toothgraph.nn import MLPEdgeConv, PairGeometryConv, TransformNet, knn_edges, pair_features
from toothgraph.nn.cross_edge_conv import CrossEdgeConv
from toothgraph.nn.kernels.norm_mish import norm_mish_linear


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_second_derivatives(training: bool, last: bool) -> None:
    torch.manual_seed(0)
    norm, linear = nn.BatchNorm1d(3).double(), nn.Linear(3, 4, bias=False).double()
    nn.init.normal_(norm.weight)
    norm.train(training)
    z = torch.randn(9, 3, dtype=torch.float64, requires_grad=True)
    inputs = [z, norm.weight, norm.bias, *([linear.weight] if last else [])]

    def second(out: torch.Tensor) -> tuple[torch.Tensor, ...]:
        grads = torch.autograd.grad(out.sin().sum(), inputs, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in grads), inputs)

    ours = second(norm_mish_linear(z, norm, linear if last else None))
    plain = torch.nn.functional.mish(norm(z))
    for mine, theirs in zip(ours, second(linear(plain) if last else plain), strict=True):
        torch.testing.assert_close(mine, theirs)


def changed(layer: nn.Module, how: str) -> nn.Module:
    """A parent of a linear layer, after what users do with one."""
    if how == "hook":
        layer[0].register_forward_hook(lambda module, inputs, out: 2 * out)
    elif how == "pruned":
        torch.nn.utils.prune.l1_unstructured(layer[0], "weight", amount=0.5)
    elif how == "around":
        layer.register_forward_hook(lambda module, inputs, out: 2 * out)
    else:
        layer[0] = nn.Sequential(layer[0], nn.Tanh())
    return layer


HOW = ["hook", "pruned", "around", "replaced"]


@pytest.mark.parametrize(
    "part",
    [(0, lambda: nn.Linear(6, 6)), (0, lambda: nn.Linear(6, 5)), (1, lambda: nn.BatchNorm1d(5, affine=False)),
     (1, lambda: nn.BatchNorm1d(5, track_running_stats=False))],
)  # fmt: skip
def test_other_parts_of_the_same_kind_work(part: tuple[int, Callable[[], nn.Module]]) -> None:
    torch.manual_seed(0)
    conv, x = MLPEdgeConv(3, 6, 5, k=4), torch.randn(20, 3)
    place, make = part
    other = make()
    layer = conv.nn[0 if getattr(other, "out_features", 5) == 6 else 1]
    layer[place] = other
    conv.eval()
    source, node = knn_edges(x, 4, torch.zeros(20, dtype=torch.long))
    by_hand = conv.nn(torch.cat([x[node], x[source] - x[node]], dim=1)).view(20, 4, -1).amax(dim=1)
    torch.testing.assert_close(conv(x, torch.stack([source, node])), by_hand)


def test_pair_geometry_without_a_bias() -> None:
    torch.manual_seed(0)
    conv, pos = PairGeometryConv(4, (1.0,), 5), torch.randn(20, 3)
    normal, table = nn.functional.normalize(pos.flip(1), dim=1), torch.randint(0, 20, (4, 20))
    for number in (0, 2):
        linear = conv.mlps[0][number]
        conv.mlps[0][number] = nn.Linear(linear.in_features, linear.out_features, bias=False)
        by_hand = conv.mlps[0](pair_features(pos, normal, table, 1.0)).amax(dim=0)
        torch.testing.assert_close(conv(pos, normal, table), by_hand)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # inside dynamo
@pytest.mark.parametrize("recompute", [False, True])
def test_compiled_it_takes_edges_in_any_order(recompute: bool) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    conv, x = MLPEdgeConv(3, 8, 4, k=3, recompute=recompute).eval(), torch.randn(20, 3)
    edges = knn_edges(x, 3, torch.zeros(20, dtype=torch.long))
    compiled = torch.compile(conv, backend="eager")
    expected = conv(x, edges)
    torch.testing.assert_close(compiled(x, edges), expected)
    torch.testing.assert_close(compiled(x, edges[:, torch.randperm(60)]), expected)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("number", [0, 1])
def test_what_users_hang_on_an_edge_mlp_works(how: str, number: int) -> None:
    torch.manual_seed(0)
    conv, x = MLPEdgeConv(3, 6, 5, k=4).double(), torch.randn(20, 3).double()
    changed(conv.nn[number], how)
    source, node = knn_edges(x, 4, torch.zeros(20, dtype=torch.long))
    for _ in range(2):
        by_hand = conv.nn(torch.cat([x[node], x[source] - x[node]], dim=1)).view(20, 4, -1).amax(dim=1)
        torch.testing.assert_close(conv(x, torch.stack([source, node])), by_hand)
        by_hand.square().sum().backward()
        with torch.no_grad():
            for parameter in conv.parameters():
                parameter -= 0.1 * parameter.grad


@pytest.mark.parametrize("how", HOW)
def test_what_users_hang_on_pair_geometry_works(how: str) -> None:
    torch.manual_seed(0)
    conv, pos = PairGeometryConv(4, (1.0,), 5).double(), torch.randn(20, 3).double()
    changed(conv.mlps[0], how)
    normal, table = nn.functional.normalize(pos.flip(1), dim=1), torch.randint(0, 20, (4, 20))
    by_hand = conv.mlps[0](pair_features(pos, normal, table, 1.0)).amax(dim=0)
    torch.testing.assert_close(conv(pos, normal, table), by_hand)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MLPEdgeConv(3, 6, 5, k=4),
        lambda: TransformNet(3, 4),
        lambda: PairGeometryConv(4, (1.0, 2.0), 5),
        lambda: CrossEdgeConv(3, 4, 5),
    ],
)
def test_weights_drawn_anew(make: Callable[[], nn.Module]) -> None:
    """As a new layer has them: none of the old ones is left, and what starts as the identity does so again."""
    torch.manual_seed(0)
    layer, new = make(), make()
    for tensor in [*layer.parameters(), *layer.buffers()]:
        tensor.data.fill_(7)
    layer.reset_parameters()
    for (name, tensor), expected in zip(layer.state_dict().items(), new.state_dict().values(), strict=True):
        assert not (tensor == 7).any(), name
        if (expected == expected.flatten()[0]).all() or name == "out.bias":
            assert torch.equal(tensor, expected), name


@pytest.mark.parametrize("nodes", [10, 0])
def test_a_graph_without_edges_leaves_no_trace(nodes: int) -> None:
    layer, x = MLPEdgeConv(3, 8, 8, k=4), torch.randn(nodes, 3, requires_grad=True)
    out = layer(x, torch.zeros(2, 0, dtype=torch.long))
    assert out.shape == (nodes, 8) and not out.any()
    out.sum().backward()
    given = [parameter.grad for parameter in layer.parameters() if parameter.grad is not None]
    assert all(grad.isfinite().all() for grad in given)
    statistics = [value for name, value in layer.state_dict().items() if "running" in name]
    assert statistics and all(value.isfinite().all() for value in statistics)
