"""Any edge MLP with its first layer on nodes: what PyG's EdgeConv computes, and its gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import MLP, BatchNorm, EdgeConv, Linear, MaxAggregation

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn import FastEdgeConv
from toothgraph.nn.edge_mlp import factorised, flattened


class Odd(nn.Linear):
    """A linear layer that is none."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).sin()


def frozen(norm: nn.Module) -> nn.Module:
    for parameter in norm.parameters():
        parameter.requires_grad_(False)
    return norm.eval()


MLPS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(6, 4, bias=False),
    "linear of PyG": lambda: Linear(6, 4),
    "two layers": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)),
    "in place": lambda: nn.Sequential(nn.Linear(6, 8), nn.LeakyReLU(0.2, inplace=True), nn.Linear(8, 4)),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Linear(6, 8), nn.Mish()), nn.Identity(), nn.Linear(8, 4)),
    "norms": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4), nn.LayerNorm(4)),
    "norm of PyG": lambda: nn.Sequential(nn.Linear(6, 4), BatchNorm(4), nn.ELU()),
    "frozen norm": lambda: nn.Sequential(nn.Linear(6, 4), frozen(nn.BatchNorm1d(4)), nn.ReLU()),
    "norm without weights": lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, affine=False), nn.ReLU()),
    "norm without statistics": lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, track_running_stats=False)),
    "PReLU": lambda: nn.Sequential(nn.Linear(6, 4), nn.PReLU(4, -0.5)),
    "ELU that falls": lambda: nn.Sequential(nn.Linear(6, 4), nn.ELU(-1.0)),
    "GELU": lambda: nn.Sequential(nn.Linear(6, 4), nn.GELU()),
    "MLP of PyG": lambda: MLP([6, 8, 4]),
    "MLP, plain": lambda: MLP([6, 8, 8, 4], norm=None, act="elu", act_first=True, plain_last=False),
    "MLP, one layer": lambda: MLP([6, 4]),
    "MLP, graph norm": lambda: MLP([6, 8, 4], norm="graph_norm"),
    "not linear first": lambda: nn.Sequential(nn.ReLU(), nn.Linear(6, 4)),
    "no linear layer": lambda: Odd(6, 4),
}


def edges(nodes: int, sources: int, count: int) -> Tensor:
    """In random order, of unequal degrees; the last two nodes have none."""
    return torch.stack([torch.randint(0, sources, (count,)), torch.randint(0, nodes - 2, (count,)) ** 2 // (nodes - 2)])


def compare(fast: FastEdgeConv, slow: EdgeConv, x: Any, links: dict, edge_index: Tensor) -> None:
    ends = [x, x] if isinstance(x, Tensor) else list(x)
    results = []
    for net, given in ((fast, links), (slow, {"edge_index": edge_index})):
        own = [end.clone().requires_grad_() for end in ends]
        out = net(own[0] if isinstance(x, Tensor) else tuple(own), **given)
        net.zero_grad()
        (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
        grads = {tuple(p.shape): p.grad for p in net.parameters() if p.grad is not None}
        results.append([out, own[0].grad, *(g for _, g in sorted(grads.items())), *(b for b in net.buffers())])
        assert all(p.grad is None for p in net.parameters() if not p.requires_grad)
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("given", ["nn", "from_pyg"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("aggr", ["max", "min", "mean", "sum"])
@pytest.mark.parametrize("name", MLPS)
def test_equals_pyg(name: str, aggr: str, training: bool, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toothgraph.nn.edge_blocks._CPU_BLOCK", 8 * 30)  # several blocks
    torch.manual_seed(0)
    slow = EdgeConv(MLPS[name](), aggr=aggr).double()
    if training and name != "frozen norm":
        slow.train()
    elif not training:
        slow.eval()
    before = copy.deepcopy(slow.state_dict())
    fast = FastEdgeConv.from_pyg(slow) if given == "from_pyg" else FastEdgeConv(nn=copy.deepcopy(slow.nn), aggr=aggr)
    if given == "nn":
        assert fast.state_dict().keys() == slow.state_dict().keys()
        fast.training = slow.training
    x, links = torch.randn(30, 3, dtype=torch.float64), edges(30, 30, 150)
    compare(fast, slow, x, {"edge_index": links}, links)
    table = torch.randint(0, 30, (4, 30))
    rows = torch.stack([table.flatten(), torch.arange(30).expand_as(table).flatten()])
    slow.load_state_dict(before)
    fast.load_state_dict(before)
    compare(fast, slow, x, {"neighbor_index": table}, rows)
    pair = torch.randn(12, 3, dtype=torch.float64), x
    links = edges(30, 12, 100)
    slow.load_state_dict(before)
    fast.load_state_dict(before)
    compare(fast, slow, pair, {"edge_index": links}, links)


@pytest.mark.parametrize("aggr", ["std", "median", ["max", "mean"], MaxAggregation()])
def test_other_aggregations(aggr: Any) -> None:
    torch.manual_seed(0)
    slow = EdgeConv(MLPS["two layers"](), aggr=aggr).double()
    fast = FastEdgeConv.from_pyg(slow)
    x, links = torch.randn(30, 3, dtype=torch.float64), edges(30, 30, 150)
    compare(fast, slow, x, {"edge_index": links}, links)


@pytest.mark.parametrize("name", ["two layers", "linear"])
def test_the_other_flow(name: str) -> None:
    torch.manual_seed(0)
    slow = EdgeConv(MLPS[name](), flow="target_to_source").double()
    fast = FastEdgeConv.from_pyg(slow)
    x, links = torch.randn(30, 3, dtype=torch.float64), edges(30, 30, 150)
    compare(fast, slow, x, {"edge_index": links}, links)
    with pytest.raises(ShapeError, match=r"got a pair; turn the edges round, by edge_index\.flip\(0\)"):
        fast((x, x), links)
    with pytest.raises(ShapeError, match="got a sparse adjacency; transpose it"):
        fast(x, torch.eye(30).to_sparse())


def test_which_are_factorised() -> None:
    whole = {name for name, make in MLPS.items() if (f := factorised(flattened(make()), "max")) and f.rest is None}
    edgeless = {"linear", "linear of PyG", "norm of PyG", "frozen norm", "MLP, one layer"}
    assert whole == edgeless
    none = {name for name, make in MLPS.items() if factorised(flattened(make()), "max") is None}
    assert none == {"MLP, graph norm", "not linear first", "no linear layer"}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", [
    lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 4)),
    lambda: MLP([6, 8, 8, 4], dropout=[0.5, 0.0, 0.3]),
    lambda: MLP([6, 8, 4], act=torch.sin, norm=None),  # no module
], ids=["dropout", "MLP with dropout", "MLP with a function"])  # fmt: skip
def test_random_parts_draw_as_in_pyg(make: Callable[[], nn.Module], training: bool) -> None:
    slow = EdgeConv(make()).double().train(training)
    fast = FastEdgeConv.from_pyg(slow)
    x, table = torch.randn(9, 3).double(), torch.randint(0, 9, (2, 9))
    links = torch.stack([table.t().flatten(), torch.arange(9).repeat_interleave(2)])
    torch.manual_seed(1)
    ours = fast(x, links)
    torch.manual_seed(1)
    torch.testing.assert_close(ours, slow(x, links))


def test_memory_of_a_block_not_of_all_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toothgraph.nn.edge_blocks._CPU_BLOCK", 16 * 60)
    conv = FastEdgeConv(nn=nn.Sequential(nn.Linear(6, 16), nn.Mish(), nn.Linear(16, 4)))
    table, kept = torch.randint(0, 300, (5, 300)), []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.shape[0])
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = conv(torch.randn(300, 3, requires_grad=True), neighbor_index=table)
    assert max(kept, default=0) <= 300  # of 1500 edges none is kept
    out.sum().backward()


def test_what_is_no_module() -> None:
    for aggr in ("mdian", 3):
        with pytest.raises(ConfigError, match="expected an aggr of torch_geometric, got"):
            FastEdgeConv(nn=nn.Linear(6, 4), aggr=aggr)
    for mlp in (nn.Linear(6, 4), nn.Sequential(nn.Linear(6, 4))):
        with pytest.raises(ConfigError, match=r"in_channels.*FastEdgeConv\(nn=mlp\).*from_pyg\(EdgeConv\(mlp\)\)"):
            FastEdgeConv(mlp)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="nn, a module for"):
        FastEdgeConv(nn=torch.relu)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"of a module, got one of a"):
        FastEdgeConv.from_pyg(EdgeConv(torch.relu))
