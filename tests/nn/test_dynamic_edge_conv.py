"""EdgeConv on neighbours in feature space: PyG's EdgeConv on edges found by brute force."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch_geometric.typing
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from torch_geometric.nn import MLP, DynamicEdgeConv, EdgeConv, MessagePassing

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn import FastDynamicEdgeConv

MLPS = {
    "one layer": lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU()),
    "norm": lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.LeakyReLU(0.2)),
    "two layers": lambda: MLP([6, 8, 4]),
}


def nearest(x: Tensor, to: Tensor, batch: Tensor, to_batch: Tensor, k: int) -> Tensor:
    """By all distances. [2, E]"""
    apart = torch.cdist(to.detach(), x.detach()).masked_fill(to_batch[:, None] != batch, torch.inf)
    links = [
        (int(source), node) for node, row in enumerate(apart) for source in row.argsort()[:k] if row[source] < torch.inf
    ]
    return torch.tensor(links).t()


def compare(fast: FastDynamicEdgeConv, slow: EdgeConv, given: tuple, x: Any, edges: Tensor) -> None:
    results = []
    for net, links in ((fast, given), (slow, (edges,))):
        own = [end.clone().requires_grad_() for end in (x if isinstance(x, tuple) else (x,))]
        out = net(tuple(own) if isinstance(x, tuple) else own[0], *links)
        net.zero_grad()
        (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
        results.append([out, *(end.grad for end in own), *(p.grad for p in net.parameters()), *net.buffers()])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("aggr", ["max", "mean"])
@pytest.mark.parametrize("name", MLPS)
@pytest.mark.parametrize("k", [3, 8])  # 8: more than the nodes of a scan
def test_equals_pyg_on_the_same_edges(name: str, aggr: str, k: int) -> None:
    torch.manual_seed(0)
    slow = EdgeConv(MLPS[name](), aggr=aggr).double()
    fast = FastDynamicEdgeConv(MLPS[name](), k, aggr).double()
    x, batch = torch.randn(20, 3, dtype=torch.float64), torch.tensor([0] * 9 + [1] * 5 + [3] * 6)
    fast.load_state_dict(slow.state_dict())
    compare(fast, slow, (batch,), x, nearest(x, x, batch, batch, k))
    one = torch.zeros(20, dtype=torch.long)
    fast.load_state_dict(slow.state_dict())
    compare(fast, slow, (), x, nearest(x, x, one, one, k))
    source, from_batch = torch.randn(11, 3, dtype=torch.float64), torch.tensor([0] * 6 + [2] * 2 + [3] * 3)
    fast.load_state_dict(slow.state_dict())
    compare(fast, slow, ((from_batch, batch),), (source, x), nearest(source, x, from_batch, batch, k))
    fast.load_state_dict(slow.state_dict())
    compare(fast, slow, (), (source, x), nearest(source, x, from_batch * 0, one, k))


def test_many_channels() -> None:
    torch.manual_seed(0)
    slow = EdgeConv(nn.Linear(20, 4)).double()
    fast = FastDynamicEdgeConv(nn.Linear(20, 4), 5).double()
    fast.load_state_dict(slow.state_dict())
    x, zeros = torch.randn(30, 10, dtype=torch.float64), torch.zeros(30, dtype=torch.long)
    compare(fast, slow, (), x, nearest(x, x, zeros, zeros, 5))
    pair = torch.randn(14, 10, dtype=torch.float64) + 3, x
    compare(fast, slow, (), pair, nearest(*pair, zeros[:14], zeros, 5))


def test_to_and_from_pyg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_geometric.typing, "WITH_KNN", True)  # to make PyG's layer, not to call it
    slow = DynamicEdgeConv(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4).eval()), 3, "mean")
    slow.nn[0].weight.requires_grad_(False)
    fast = FastDynamicEdgeConv.from_pyg(slow)
    again = fast.to_pyg()
    assert (fast.k, fast.aggr, again.k, again.aggr) == (3, "mean", 3, "mean")
    assert not fast.nn[0].weight.requires_grad and not fast.nn[1].training and fast.nn is not slow.nn
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in slow.state_dict().items())
    with pytest.raises(ConfigError, match="a DynamicEdgeConv of torch_geometric, got an EdgeConv"):
        FastDynamicEdgeConv.from_pyg(EdgeConv(nn.Linear(6, 4)))


def test_a_layer_of_pyg() -> None:
    conv = FastDynamicEdgeConv(nn.Linear(6, 4), 3)
    assert isinstance(conv, MessagePassing)
    assert repr(conv) == "FastDynamicEdgeConv(nn=Linear(in_features=6, out_features=4, bias=True), k=3, aggr=max)"
    conv.nn.register_forward_hook(lambda module, inputs, out: 2 * out)
    x = torch.randn(9, 3)
    plain = FastDynamicEdgeConv(nn.Linear(6, 4), 3)
    plain.load_state_dict(conv.state_dict())
    torch.testing.assert_close(conv(x), 2 * plain(x))
    assert conv(x[:0]).shape == (0, 4)


def test_what_does_not_fit() -> None:
    conv, x = FastDynamicEdgeConv(nn.Linear(6, 4), 3), torch.randn(9, 3)
    zeros = torch.zeros(9, dtype=torch.long)
    for call, message in (
        (lambda: conv(None), r"x \[N, C\], got none"),
        (lambda: conv(x, zeros[:8]), r"batch \[9\]"),
        (lambda: conv(x, (zeros, zeros)), "got a pair"),
        (lambda: conv(x, torch.zeros(2, 5, dtype=torch.long)), "finds its own edges, and takes no edge_index"),
        (lambda: conv((x, x, x)), "as pairs"),
        (lambda: conv((x, x), zeros), "as pairs"),
        (lambda: conv((x, x[:, :2])), r"targets \[N, 3\]"),
        (lambda: conv(x, torch.arange(9).flip(0)), "ascending order"),
        (lambda: conv((x, x), (zeros, torch.arange(9).flip(0))), "target_batch in ascending order"),
        (lambda: conv(torch.randn(9, 4)), r"x \[N, 3\]"),
        (lambda: conv(x, [0] * 9), r"batch \[9\].* got a list"),
        (lambda: conv(x.to("meta")), r"x on cpu, where the weights are, got one on meta"),
        (lambda: conv((x, x.to("meta"))), r"targets on cpu, where the weights are"),
        (lambda: FastDynamicEdgeConv(nn.Linear(6, 4), 3).to("meta")(x.to("meta")), "x with values"),
    ):
        with pytest.raises(ShapeError, match=message):
            call()
    for k in (0, 2.5):
        with pytest.raises(ConfigError, match="k of at least 1"):
            FastDynamicEdgeConv(nn.Linear(6, 4), k)


@pytest.mark.parametrize(
    ("given", "options", "found"),
    [
        ((3, 8), {"k": 10}, "multiple values for argument 'k'"),
        ((3, 8, 10), {}, "got an int"),
        ((), {"in_channels": 3, "out_channels": 8, "k": 10}, "missing a required argument: 'nn'"),
        ((nn.Linear(6, 4),), {}, "missing a required argument: 'k'"),
        ((nn.Linear(6, 4), 3), {"norm": "batch"}, "unexpected keyword argument 'norm'"),
    ],
)
def test_who_calls_it_as_its_sibling_is_told_how(given: tuple, options: dict, found: str) -> None:
    with pytest.raises(
        ConfigError, match=r"FastDynamicEdgeConv\(torch.nn.Linear\(2 \* C_in, C_out\), k=10\)"
    ) as caught:
        FastDynamicEdgeConv(*given, **options)
    assert found in str(caught.value)


def test_a_compiler_leaves_the_search_out() -> None:
    """It would compile a graph for each number of nodes of each scan."""
    torch._dynamo.reset()
    conv, counter = FastDynamicEdgeConv(nn.Sequential(nn.Linear(20, 4), nn.ReLU()), 5), CompileCounter()
    compiled = torch.compile(conv, backend=counter)
    for first, second in ((20, 30), (21, 28), (18, 40), (33, 17), (25, 26), (30, 31)):
        x, scan = torch.randn(first + second, 10), torch.tensor([0] * first + [1] * second)
        torch.testing.assert_close(compiled(x, scan), conv(x, scan))
    assert counter.frame_count <= 4  # before and after the search, once with the numbers as constants, once without
