"""Values on edges as a third input of the edge MLP, against a message-passing layer that concatenates all three."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.nn import MLP, MessagePassing, to_hetero

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn import FastEdgeConv, pair_features
from toothgraph.nn.kernels.compiled import HAS_COMPILED

D = 2


class Plain(MessagePassing):
    """The edge MLP of [x_i, x_j − x_i, e_ij], on edges."""

    def __init__(self, mlp: nn.Module, aggr: str = "max", flow: str = "source_to_target") -> None:
        super().__init__(aggr, flow=flow)
        self.nn = mlp

    def forward(self, x: Any, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        return self.propagate(edge_index, x=(x, x) if isinstance(x, Tensor) else x, edge_attr=edge_attr)

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor) -> Tensor:
        return self.nn(torch.cat([x_i, x_j - x_i, edge_attr], dim=1))


def linear() -> nn.Module:
    return nn.Linear(6 + D, 4)


MLPS: dict[str, Callable[[], nn.Module]] = {
    "linear": linear,
    "no bias": lambda: nn.Linear(6 + D, 4, bias=False),
    "monotone": lambda: nn.Sequential(linear(), nn.LeakyReLU(0.2)),
    "norm": lambda: nn.Sequential(linear(), nn.BatchNorm1d(4), nn.ReLU()),
    "norm alone": lambda: nn.Sequential(linear(), nn.BatchNorm1d(4)),
    "two layers": lambda: nn.Sequential(linear(), nn.Mish(), nn.Linear(4, 5)),
    "MLP of PyG": lambda: MLP([6 + D, 8, 4]),
    "not linear first": lambda: nn.Sequential(nn.Tanh(), linear()),
}
AGGREGATIONS = ["max", "min", "mean", "sum", "add", "std"]


def ragged(sources: int, targets: int, count: int) -> Tensor:
    """Distinct edges in random order, of unequal degrees; the last two targets have none."""
    pairs = torch.stack([torch.randint(0, sources, (count,)), torch.randint(0, targets - 2, (count,))])
    pairs = torch.unique(pairs, dim=1)
    return pairs[:, torch.randperm(pairs.shape[1])]


def pair_of_layers(name: str, aggr: str, **options: Any) -> tuple[FastEdgeConv, Plain]:
    torch.manual_seed(0)
    mlp = MLPS[name]().double()
    for part in mlp.modules():
        if isinstance(part, nn.BatchNorm1d):
            for tensor in (part.weight, part.bias, part.running_mean):
                nn.init.normal_(tensor)  # scales of both signs
            part.running_var.uniform_(0.5, 2)
    return FastEdgeConv(nn=copy.deepcopy(mlp), aggr=aggr, edge_dim=D, **options), Plain(mlp, aggr, **options)


def table_and_edges(k: int, nodes: int, sources: int | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A table with values [N, k, D], and the same as edges."""
    table, values = torch.randint(sources or nodes, (k, nodes)), torch.randn(nodes, k, D, dtype=torch.float64)
    node = torch.arange(nodes).repeat_interleave(k)
    return table, values, torch.stack([table.t().flatten(), node]), values.flatten(0, 1)


def compare(fast: nn.Module, slow: nn.Module, x: Any, given: dict[str, Tensor], edges: Tensor, values: Tensor) -> None:
    """Values, gradients of nodes, edge values and parameters, running statistics."""
    results = []
    before = [copy.deepcopy(net.state_dict()) for net in (fast, slow)]
    for net, links in ((fast, given), (slow, {"edge_index": edges, "edge_attr": values})):
        ends = [end.clone().requires_grad_() for end in ([x] if isinstance(x, Tensor) else x)]
        links = {**links, "edge_attr": links["edge_attr"].clone().requires_grad_()}
        out = net(ends[0] if isinstance(x, Tensor) else tuple(ends), **links)
        net.zero_grad()
        (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
        grads = [end.grad for end in ends] + [links["edge_attr"].grad.reshape(-1, D)]
        results.append([out, *grads, *(p.grad for p in net.parameters()), *net.buffers()])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)
    for net, state in zip((fast, slow), before, strict=True):
        net.load_state_dict(state)


@pytest.mark.parametrize("block", [1 << 22, 8 * 30])  # one, and several
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("aggr", AGGREGATIONS)
@pytest.mark.parametrize("name", MLPS)
def test_equals_plain_messages(
    name: str, aggr: str, training: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toothgraph.nn.edge_blocks._CPU_BLOCK", block)
    fast, slow = (net.train(training) for net in pair_of_layers(name, aggr))
    x, edges = torch.randn(30, 3, dtype=torch.float64), ragged(30, 30, 150)
    values = torch.randn(edges.shape[1], D, dtype=torch.float64) + 1
    compare(fast, slow, x, {"edge_index": edges, "edge_attr": values}, edges, values)
    table, there, rows, flat = table_and_edges(4, 30)
    compare(fast, slow, x, {"neighbor_index": table, "edge_attr": there}, rows, flat)
    pair, edges = (torch.randn(12, 3, dtype=torch.float64), x), ragged(12, 30, 100)
    values = torch.randn(edges.shape[1], D, dtype=torch.float64)
    compare(fast, slow, pair, {"edge_index": edges, "edge_attr": values}, edges, values)
    table, there, rows, flat = table_and_edges(4, 30, sources=12)
    compare(fast, slow, pair, {"neighbor_index": table, "edge_attr": there}, rows, flat)


@pytest.mark.parametrize("backend", ["native", "compiled"])
@pytest.mark.parametrize("aggr", ["max", "mean"])
def test_with_options_in_place_of_an_mlp(aggr: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "compiled" and not HAS_COMPILED:
        pytest.skip("not built here")
    monkeypatch.setattr("toothgraph.nn.kernels.backend._process_wide", backend)
    torch.manual_seed(0)
    fast = FastEdgeConv(3, 4, "batch", "relu" if aggr == "max" else None, aggr, edge_dim=D)
    slow = Plain(nn.Sequential(fast.lin, fast.norm, fast.act), aggr)
    x, edges = torch.randn(30, 3), ragged(30, 30, 150)
    values = torch.randn(edges.shape[1], D) + 100  # far from 0: their squares must not cancel
    ours = fast(x, edges, edge_attr=values)
    torch.testing.assert_close(ours, slow(x, edges, values), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("links", ["edges", "table"])
@pytest.mark.parametrize("name", ["linear", "norm", "two layers"])
def test_second_derivatives(name: str, links: str) -> None:
    fast, slow = pair_of_layers(name, "max")
    x, (table, there, edges, values) = torch.randn(12, 3, dtype=torch.float64), table_and_edges(3, 12)
    order = torch.randperm(len(values))
    given = (
        {"neighbor_index": table, "edge_attr": there}
        if links == "table"
        else {"edge_index": edges[:, order], "edge_attr": values[order]}
    )
    results = []
    for net, args in ((fast, given), (slow, {"edge_index": edges, "edge_attr": values})):
        leaf, e = x.clone().requires_grad_(), args["edge_attr"].clone().requires_grad_()
        out = net(leaf, **{**args, "edge_attr": e})
        firsts = torch.autograd.grad(out.square().sum(), (leaf, e), create_graph=True)
        second = torch.autograd.grad(sum(first.square().sum() for first in firsts), (leaf, e))
        at = torch.arange(len(values)) if links == "table" else order.argsort()
        results.append([second[0], second[1].reshape(-1, D)[at] if net is fast else second[1]])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("links", ["edges", "table"])
@pytest.mark.parametrize("name", ["linear", "two layers"])
def test_nan_wins_and_gets_the_gradient(name: str, links: str) -> None:
    fast, slow = pair_of_layers(name, "max")
    x, (table, there, edges, values) = torch.randn(12, 3, dtype=torch.float64), table_and_edges(3, 12)
    values = values.clone()
    values[13] = there[4, 1] = torch.nan
    given = {"neighbor_index": table} if links == "table" else {"edge_index": edges}
    values.requires_grad_()
    out = fast(x, **given, edge_attr=values.view(12, 3, D) if links == "table" else values)
    torch.testing.assert_close(out, slow(x, edges, values), equal_nan=True)
    assert out.isnan().any(dim=1).tolist() == [node == 4 for node in range(12)]
    out[4].sum().backward()
    assert values.grad is not None
    assert (values.grad[13] != 0).any() and (values.grad[[12, 14]] == 0).all()


@pytest.mark.parametrize("name", ["norm", "two layers", "not linear first"])
def test_the_other_flow(name: str) -> None:
    fast, slow = pair_of_layers(name, "max", flow="target_to_source")
    x, edges = torch.randn(30, 3, dtype=torch.float64), ragged(30, 30, 150).flip(0)
    values = torch.randn(edges.shape[1], D, dtype=torch.float64)
    compare(fast, slow, x, {"edge_index": edges, "edge_attr": values}, edges, values)


def test_a_batch_is_its_scans() -> None:
    conv = FastEdgeConv(3, 4, act="relu", edge_dim=D).double()
    scans = []
    for nodes in (7, 9):
        table, there, edges, values = table_and_edges(3, nodes)
        order = torch.randperm(edges.shape[1])
        scans.append(
            Data(
                x=torch.randn(nodes, 3).double(), edge_index=edges[:, order], edge_attr=values[order],
                neighbor_index=table, neighbor_attr=there,
            )
        )  # fmt: skip
    batch = Batch.from_data_list(scans)
    apart = torch.cat([conv(scan.x, scan.edge_index, edge_attr=scan.edge_attr) for scan in scans])
    torch.testing.assert_close(conv(batch.x, batch.edge_index, edge_attr=batch.edge_attr), apart)
    torch.testing.assert_close(conv(batch.x, neighbor_index=batch.neighbor_index, edge_attr=batch.neighbor_attr), apart)


def test_geometry_of_pairs_as_edge_values() -> None:
    pos, table = torch.randn(9, 3), torch.randint(9, (4, 9))
    pairs = pair_features(pos, nn.functional.normalize(pos, dim=1), table, 1.0)  # [k, N, 6]
    conv = FastEdgeConv(3, 4, edge_dim=6)
    ours = conv(pos, neighbor_index=table, edge_attr=pairs.transpose(0, 1))
    edges = torch.stack([table.flatten(), torch.arange(9).expand_as(table).flatten()])
    torch.testing.assert_close(ours, conv(pos, edges, edge_attr=pairs.flatten(0, 1)))


class Net(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        hidden = self.first(x, edge_index, edge_attr=edge_attr).relu()
        return self.second(hidden, edge_index, edge_attr=edge_attr)


def twins() -> tuple[Net, Net]:
    torch.manual_seed(0)
    mlps = nn.Linear(6 + D, 8), nn.Sequential(nn.Linear(16 + D, 8), nn.Mish(), nn.Linear(8, 4))
    ours = Net(*(FastEdgeConv(nn=copy.deepcopy(mlp), edge_dim=D) for mlp in mlps))
    return ours, Net(*(Plain(mlp) for mlp in mlps))


def test_to_hetero() -> None:
    kinds = ["a", "b"], [("a", "to", "b"), ("b", "to", "a"), ("a", "in", "a")]
    results = []
    for net in twins():
        hetero = to_hetero(net, kinds)
        torch.manual_seed(1)
        for parameter in hetero.parameters():
            nn.init.normal_(parameter)
        torch.manual_seed(2)
        x, sizes = {"a": torch.randn(5, 3), "b": torch.randn(6, 3)}, {"a": 5, "b": 6}
        edges = {kind: torch.stack([torch.randint(0, sizes[kind[i]], (12,)) for i in (0, 2)]) for kind in kinds[1]}
        results.append(hetero(x, edges, {kind: torch.randn(12, D) for kind in kinds[1]}))
    for kind in "ab":
        torch.testing.assert_close(results[0][kind], results[1][kind])


def test_explainers_see_edges() -> None:
    torch.manual_seed(0)
    x, edges, masks = torch.randn(9, 3), ragged(9, 9, 30), []
    values = torch.randn(edges.shape[1], D)
    for net in twins():
        explainer = Explainer(
            net, GNNExplainer(epochs=5), explanation_type="model", edge_mask_type="object", node_mask_type="object",
            model_config={"mode": "regression", "task_level": "node", "return_type": "raw"},
        )  # fmt: skip
        torch.manual_seed(1)
        masks.append(explainer(x, edges, edge_attr=values).edge_mask)
    assert masks[0].max() > 0
    torch.testing.assert_close(*masks)


@pytest.mark.parametrize("links", ["edges", "table"])
def test_watched_layers_get_the_values(links: str) -> None:
    conv = FastEdgeConv(3, 4, edge_dim=D).double()
    slow = Plain(copy.deepcopy(conv.lin))
    conv.lin.register_forward_hook(lambda module, inputs, out: 2 * out)
    x, (table, there, edges, values) = torch.randn(12, 3).double(), table_and_edges(3, 12)
    given = {"neighbor_index": table, "edge_attr": there} if links == "table" else {"edge_index": edges}
    torch.testing.assert_close(conv(x, **{"edge_attr": values, **given}), 2 * slow(x, edges, values))


def test_empty_graphs() -> None:
    none, x = torch.zeros(2, 0, dtype=torch.long), torch.randn(5, 3, requires_grad=True)
    for conv in (FastEdgeConv(3, 4, "batch", "relu", edge_dim=D), FastEdgeConv(nn=MLPS["two layers"](), edge_dim=D)):
        out = conv(x, none, edge_attr=torch.zeros(0, D))
        assert (out == 0).all()
        out.sum().backward()
        assert len(conv(x[:0], none, edge_attr=torch.zeros(0, D))) == 0


def test_stays_precise_under_autocast() -> None:
    conv, x, (table, there, *_) = FastEdgeConv(3, 4, edge_dim=D), torch.randn(9, 3) + 50, table_and_edges(2, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = conv(x, neighbor_index=table, edge_attr=there)  # of float64, as x may be
    assert torch.equal(out, conv(x, neighbor_index=table, edge_attr=there.float()))


@pytest.mark.parametrize("name", ["linear", "two layers"])
def test_memory_of_a_block_not_of_all_edges(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toothgraph.nn.edge_blocks._CPU_BLOCK", 4 * 60)
    fast, _ = pair_of_layers(name, "max")
    table, there, *_ = table_and_edges(5, 300)
    kept: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = fast(torch.randn(300, 3).double().requires_grad_(), neighbor_index=table, edge_attr=there)
    wide = [list(tensor.shape) for tensor in kept if tensor.is_floating_point() and tensor.numel() > 300 * 8]
    assert not wide  # of 1500 edges no channels are kept
    out.sum().backward()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # inside inductor
@pytest.mark.parametrize("name", ["norm", "two layers"])
def test_compiles_whole(name: str) -> None:
    torch._dynamo.reset()
    conv = FastEdgeConv(nn=MLPS[name](), edge_dim=D).eval()
    compiled = torch.compile(conv, fullgraph=True, dynamic=True)
    for nodes in (9, 14, 30):
        x, (table, there, edges, values) = torch.randn(nodes, 3), table_and_edges(3, nodes)
        there, values = there.float(), values.float()
        expected = conv(x, edges, edge_attr=values)
        torch.testing.assert_close(compiled(x, neighbor_index=table, edge_attr=there), expected)
        torch.testing.assert_close(compiled(x, edges, edge_attr=values), expected)


def test_what_does_not_fit() -> None:
    conv, plain, x = FastEdgeConv(3, 4, edge_dim=D), FastEdgeConv(3, 4), torch.randn(9, 3)
    table, there, edges, values = table_and_edges(4, 9)
    adjacency = torch.eye(9).to_sparse()
    for call, message in (
        (lambda: plain(x, edges, edge_attr=values), r"no edge_attr, because .* edge_dim 0, got \[36, 2\].*edge_dim=2"),
        (lambda: FastEdgeConv(nn=linear())(x, edges, edge_attr=values), r"edge_dim 0, got \[36, 2\].*edge_dim=2"),
        (lambda: FastEdgeConv(nn=linear())(x, edges), r"edge MLP of 6 inputs.*of 2 columns, give the layer edge_dim=2"),
        (lambda: conv(x, edges), r"edge_attr \[36, 2\] \(\[E, D\], a row for each edge, edge_dim is 2\), got none"),
        (lambda: conv(x, edges, edge_attr=values[:9]), r"edge_attr \[36, 2\] .* got \[9, 2\]"),
        (lambda: conv(x, edges, edge_attr=values[:, :1]), r"edge_attr \[36, 2\] .* got \[36, 1\]"),
        (lambda: conv(x, edges, edge_attr=there), r"edge_attr \[36, 2\] .* got \[9, 4, 2\]"),
        (lambda: conv(x, adjacency, edge_attr=values), "beside edge_attr, got a sparse adjacency.*to_edge_index"),
        (lambda: conv(x, neighbor_index=table), r"edge_attr \[9, 4, 2\] \(\[N, k, D\] beside .* got none"),
        (lambda: conv(x, neighbor_index=table, edge_attr=values), r"edge_attr \[9, 4, 2\] .* got \[36, 2\]"),
        (lambda: conv(x, neighbor_index=table, edge_attr=there.transpose(0, 1)), r"transpose it: edge_attr\.transpose"),
        (lambda: FastEdgeConv(3, 4, edge_dim=1)(x, edges, edge_attr=values[:, 0]), r"is missing: edge_attr\[\.\.\., N"),
        (lambda: FastEdgeConv(nn=nn.Linear(6 + D, 4), edge_dim=D)(x[:, :2], edges, edge_attr=values), r"x \[N, 3\]"),
    ):
        with pytest.raises(ShapeError, match=message):
            call()
    with pytest.raises(ConfigError, match="expected edge_dim of at least 0"):
        FastEdgeConv(3, 4, edge_dim=-1)
    with pytest.raises(ConfigError, match="without edge values, got edge_dim 2"):
        conv.to_pyg()
    assert "edge_dim=2, aggr=max" in repr(conv)
