from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.utils.prune
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import set_masks
from torch_geometric.nn import MLP, EdgeConv, MessagePassing, summary, to_hetero

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn import FastEdgeConv, gather_max
from toothgraph.nn.cross_edge_conv import CrossEdgeConv

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def random_table(k: int, n: int, size: int | None = None, seed: int = 0) -> torch.Tensor:
    return torch.randint(size or n, (k, n), generator=torch.Generator().manual_seed(seed))


def edges_of(table: torch.Tensor) -> torch.Tensor:
    node = torch.arange(table.shape[1]).expand_as(table)
    return torch.stack([table.flatten(), node.flatten()])  # neighbour to node


FORMS = [
    (norm, act, aggr)
    for norm in (None, "batch")
    for act in (None, "relu", "leaky_relu", "elu")
    for aggr in ("max", "min", "mean", "sum", "add", "std")
    if aggr in ("max", "min") or act is None
]


def ragged_edges(nodes: int, edges: int) -> torch.Tensor:
    """Distinct edges in random order; the last two nodes have none."""
    pairs = torch.unique(torch.randint(0, nodes - 2, (2, edges)), dim=1)
    return pairs[:, torch.randperm(pairs.shape[1])]


def compare(fast: FastEdgeConv, slow: EdgeConv, x: torch.Tensor, links: dict, edges: torch.Tensor) -> None:
    """Values, all gradients and running statistics of one forward and backward pass."""
    weight = torch.randn(len(x), fast.out_channels, dtype=x.dtype)
    results = []
    for net, given in ((fast, links), (slow, {"edge_index": edges})):
        own = x.clone().requires_grad_()
        out = net(own, **given)
        (out * weight).sum().backward()
        results.append([out, own.grad, *(p.grad for p in net.parameters()), *net.buffers()])
    # Sums over some hundred edges: float32 keeps about four digits of the gradients.
    # PyG's standard deviation, which does not subtract the mean before it squares, about three.
    bound = {torch.float32: 5e-3 if fast.aggr == "std" else 2e-4, torch.float64: 1e-10}[x.dtype]
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=bound, rtol=bound)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("norm", "act", "aggr"), FORMS)
def test_equals_pyg(norm: str | None, act: str | None, aggr: str, training: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    fast = FastEdgeConv(5, 7, norm, act, aggr).to(dtype)
    if fast.norm is not None:
        for tensor in (fast.norm.weight, fast.norm.bias, fast.norm.running_mean):
            torch.nn.init.normal_(tensor)  # scales of both signs
        fast.norm.running_var.uniform_(0.5, 2)
    fast.train(training)
    x, edges = torch.randn(30, 5, dtype=dtype), ragged_edges(30, 90)
    compare(fast, fast.to_pyg(), x, {"edge_index": edges}, edges)
    table = random_table(4, 30)
    compare(fast.zero_grad() or fast, fast.to_pyg(), x, {"neighbor_index": table}, edges_of(table))


@pytest.mark.parametrize(("norm", "act", "aggr"), FORMS)
def test_weights_go_both_ways(norm: str | None, act: str | None, aggr: str) -> None:
    fast = FastEdgeConv(3, 4, norm, act, aggr).double()
    again = FastEdgeConv.from_pyg(fast.to_pyg())
    assert again.state_dict().keys() == fast.state_dict().keys()
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in fast.state_dict().items())
    assert (type(again.act), again.aggr) == (type(fast.act), fast.aggr)


def test_from_a_bare_linear() -> None:
    slow = EdgeConv(torch.nn.Linear(6, 4, bias=False), aggr="max")
    x, edges = torch.randn(9, 3), ragged_edges(9, 20)
    torch.testing.assert_close(FastEdgeConv.from_pyg(slow)(x, edges), slow(x, edges))


@pytest.mark.parametrize("norm", [None, "batch"])
def test_bipartite(norm: str | None) -> None:
    fast = FastEdgeConv(3, 4, norm, "relu").double()
    source, target = torch.randn(6, 3).double(), torch.randn(8, 3).double()
    edges = torch.stack([torch.randint(0, 6, (25,)), torch.randint(0, 8, (25,))])
    torch.testing.assert_close(fast((source, target), edges), fast.to_pyg()((source, target), edges))


def test_zero_scale_still_learns() -> None:
    fast = FastEdgeConv(3, 2, "batch").double()
    torch.nn.init.zeros_(fast.norm.weight)
    fast(torch.randn(9, 3).double(), ragged_edges(9, 30)).square().sum().backward()  # norm.bias is 0 as well
    fast.zero_grad()
    torch.nn.init.ones_(fast.norm.bias)
    fast(torch.randn(9, 3).double(), ragged_edges(9, 30)).square().sum().backward()
    assert (fast.norm.weight.grad != 0).all()


def test_running_statistics_as_a_plain_average() -> None:
    mlp = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4, momentum=None))
    slow = EdgeConv(mlp).double()
    fast = FastEdgeConv.from_pyg(slow)
    for _ in range(3):
        x, edges = torch.randn(9, 3).double(), ragged_edges(9, 30)
        torch.testing.assert_close(fast(x, edges), slow(x, edges))
    for ours, theirs in zip(fast.buffers(), slow.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_edge_statistics_do_not_cancel() -> None:
    torch.manual_seed(0)
    x, edges = torch.randn(40, 3) + 1000, ragged_edges(40, 200)
    fast = FastEdgeConv(3, 4, "batch")
    fast(x, edges)
    exact = FastEdgeConv(3, 4, "batch").double()
    exact.load_state_dict(fast.state_dict())
    exact.norm.reset_running_stats()
    exact(x.double(), edges)
    torch.testing.assert_close(fast.norm.running_var.double(), exact.norm.running_var, rtol=1e-3, atol=0)


@pytest.mark.parametrize("norm", [None, "batch"])
def test_empty_graphs(norm: str | None) -> None:
    conv = FastEdgeConv(3, 4, norm, "relu")
    no_edges = torch.zeros(2, 0, dtype=torch.long)
    x = torch.randn(5, 3, requires_grad=True)
    out = conv(x, no_edges)
    assert torch.equal(out, torch.zeros(5, 4))
    out.sum().backward()
    assert conv(x[:0], no_edges).shape == (0, 4)
    assert conv(x[:0], neighbor_index=torch.zeros(2, 0, dtype=torch.long)).shape == (0, 4)


def test_small_indices() -> None:
    conv, table, x = FastEdgeConv(3, 4), random_table(2, 9), torch.randn(9, 3)
    assert torch.equal(conv(x, neighbor_index=table.int()), conv(x, neighbor_index=table))


def test_a_batch_is_its_scans() -> None:
    conv = FastEdgeConv(3, 4, "batch", "relu").eval()
    first, second = torch.randn(7, 3), torch.randn(9, 3)
    one, two = ragged_edges(7, 20), ragged_edges(9, 20)
    together = conv(torch.cat([first, second]), torch.cat([one, two + 7], dim=1))
    torch.testing.assert_close(together, torch.cat([conv(first, one), conv(second, two)]))


@pytest.mark.parametrize("norm", [None, "batch"])
def test_stays_precise_under_autocast(norm: str | None) -> None:
    conv, x, table = FastEdgeConv(3, 4, norm), torch.randn(9, 3) + 50, random_table(2, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = conv(x, neighbor_index=table)
    assert out.dtype == torch.float32
    assert torch.equal(out, conv(x, neighbor_index=table))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"act": torch.nn.GELU()}, "monotone"),
        ({"act": torch.nn.SiLU()}, "monotone"),
        ({"act": torch.nn.Mish()}, "monotone"),
        ({"act": torch.nn.LeakyReLU(-0.1)}, "monotone"),
        ({"act": "gelu"}, "expected an activation"),
        ({"act": "relu", "aggr": "mean"}, "expected no activation with aggr"),
        ({"act": "relu", "aggr": "sum"}, "expected no activation with aggr"),
        ({"norm": "layer"}, "does not commute"),
        ({"aggr": "median"}, "expected aggr"),
        ({"act": torch.nn.ELU(-1.0)}, "monotone activation.* got ELU with alpha -1.0"),
        ({"act": type("Mine", (torch.nn.ReLU,), {"forward": lambda self, x: -x})()}, "got Mine, which is not known to"),
        ({"act": 3}, "or a module, got an int"),
        ({"flow": "up"}, "expected flow"),
        ({"nn": torch.nn.Linear(6, 4)}, "in place of in_channels"),
    ],
)
def test_what_does_not_commute_is_refused(options: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        FastEdgeConv(3, 4, **options)


def test_one_kind_of_links() -> None:
    conv, x, table = FastEdgeConv(3, 4), torch.randn(9, 3), random_table(2, 9)
    for links, found in (({}, "none"), ({"edge_index": edges_of(table), "neighbor_index": table}, "both")):
        with pytest.raises(ShapeError, match=f"edge_index .* or neighbor_index.*, got {found}; "):
            conv(x, **links)


@pytest.mark.parametrize("norm", [None, "batch"])
def test_export(norm: str | None) -> None:
    conv = FastEdgeConv(3, 4, norm, "relu").eval()
    program = torch.export.export(
        conv,
        (torch.randn(9, 3),),
        {"neighbor_index": random_table(2, 9)},
        dynamic_shapes={"x": {0: torch.export.Dim.AUTO}, "neighbor_index": {1: torch.export.Dim.AUTO}},
    )
    x, table = torch.randn(20, 3), random_table(2, 20)
    torch.testing.assert_close(program.module()(x, neighbor_index=table), conv(x, neighbor_index=table))


@pytest.mark.filterwarnings("ignore:`isinstance.treespec:FutureWarning")  # inside the exporter
@pytest.mark.parametrize(
    ("norm", "act", "aggr"), [(None, "relu", "max"), ("batch", "elu", "max"), (None, None, "mean")]
)
def test_onnx_of_tables(norm: str | None, act: str | None, aggr: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    conv = FastEdgeConv(3, 4, norm, act, aggr).eval()
    anything = torch.export.Dim.AUTO
    with torch.no_grad():
        program = torch.onnx.export(
            conv, (torch.randn(9, 3), None, random_table(2, 9)), dynamo=True, verbose=False,
            dynamic_shapes={"x": {0: anything}, "edge_index": None, "neighbor_index": {1: anything}},
        )  # fmt: skip
    program.save(tmp_path / "layer.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "layer.onnx")
    x, table = torch.randn(20, 3), random_table(2, 20)
    (out,) = session.run(None, {"x": x.numpy(), "neighbor_index": table.numpy()})
    torch.testing.assert_close(torch.from_numpy(out), conv(x, neighbor_index=table).detach())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_trace_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"torch\.export and torch\.compile can"):
        torch.jit.trace(FastEdgeConv(3, 4), (torch.randn(20, 3), ragged_edges(20, 50)))


@pytest.mark.parametrize("act", [None, "relu"])
def test_a_weight_that_is_computed_stays_so(act: str | None) -> None:
    linear = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(6, 4))
    slow = EdgeConv(torch.nn.Sequential(linear, *([torch.nn.ReLU()] if act else [])))
    x, edges = torch.randn(20, 3), ragged_edges(20, 50)
    for fast in (FastEdgeConv.from_pyg(slow), FastEdgeConv.from_pyg(FastEdgeConv.from_pyg(slow).to_pyg())):
        torch.testing.assert_close(fast(x, edges), slow(x, edges))
        assert {name for name, _ in fast.named_parameters()} >= {"lin.parametrizations.weight.original0"}


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # inside torch.compile
def test_nothing_parts_the_graph_of_a_compiler() -> None:
    torch._dynamo.reset()
    conv, x = FastEdgeConv(3, 4, "batch", "relu"), torch.randn(9, 3)
    compiled = torch.compile(conv, fullgraph=True, backend="eager")
    for given in ({"neighbor_index": random_table(2, 9)}, {"edge_index": ragged_edges(9, 36)}):
        torch.testing.assert_close(compiled(x, **given), conv(x, **given))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # inside inductor
@pytest.mark.parametrize("norm", [None, "batch"])
def test_compiles_whole_for_any_size(norm: str | None) -> None:
    torch._dynamo.reset()
    conv = FastEdgeConv(3, 4, norm, "relu")
    compiled = torch.compile(conv, fullgraph=True, dynamic=True)
    for nodes in (9, 14, 30):
        x, table = torch.randn(nodes, 3), random_table(2, nodes)
        edges = ragged_edges(nodes, 4 * nodes)
        conv.eval()
        torch.testing.assert_close(compiled(x, neighbor_index=table), conv(x, neighbor_index=table))
        torch.testing.assert_close(compiled(x, edges), conv(x, edges))
        conv.train()
        compiled(x, neighbor_index=table).sum().backward()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # inside inductor
def test_an_edge_mlp_compiles_whole() -> None:
    torch._dynamo.reset()
    conv = FastEdgeConv(nn=torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Mish(), torch.nn.Linear(8, 4)))
    compiled = torch.compile(conv, fullgraph=True, dynamic=True)
    for nodes in (9, 14, 30):
        x, table, edges = torch.randn(nodes, 3), random_table(2, nodes), ragged_edges(nodes, 4 * nodes)
        torch.testing.assert_close(compiled(x, neighbor_index=table), conv(x, neighbor_index=table))
        torch.testing.assert_close(compiled(x, edges), conv(x, edges))
        compiled(x, neighbor_index=table).sum().backward()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # inside inductor
def test_compiled_it_hides_no_nan() -> None:
    torch._dynamo.reset()
    conv = FastEdgeConv(3, 4)
    x, table = torch.randn(9, 3), random_table(3, 9)
    x[4] = torch.nan
    table[0, 2] = 4
    edges = torch.cat([edges_of(table), torch.tensor([[4, 2], [0, 0]])], dim=1)
    compiled = torch.compile(conv, fullgraph=True)
    for given in ({"neighbor_index": table}, {"edge_index": edges}):
        ours, theirs = compiled(x, **given), conv(x, **given)
        assert theirs.isnan().any(dim=1).sum() > 1
        torch.testing.assert_close(ours, theirs, equal_nan=True)


def test_gather_max_by_hand() -> None:
    x = torch.tensor([[1.0, -5], [2, -6], [-3, -4]], requires_grad=True)
    table = torch.tensor([[1, 0, 2], [2, 2, 2]])
    out = gather_max(x, table)
    assert out.tolist() == [[2, -4], [1, -4], [-3, -4]]
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 0], [1, 0], [1, 3]]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gather_max_with_missing_neighbours(dtype: torch.dtype) -> None:
    x = torch.tensor([[-1.0], [-2], [-3]], dtype=dtype, requires_grad=True)
    none = 3
    table = torch.tensor([[none, 2, none, 1, none], [none, none, 0, 2, none]])
    out = gather_max(x, table, padded=True)
    assert out.flatten().tolist() == [0, -3, -1, -2, 0]  # a missing one never wins, even above negatives
    (out * torch.tensor([[7.0], [10], [100], [1000], [7]], dtype=dtype)).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [100, 1000, 10]


def test_gather_max_where_nothing_can_be_a_neighbour() -> None:
    x = torch.zeros(0, 4, requires_grad=True)
    out = gather_max(x, torch.zeros(3, 5, dtype=torch.long), padded=True)
    assert torch.equal(out, torch.zeros(5, 4))
    out.sum().backward()
    assert x.grad is not None and x.grad.shape == (0, 4)
    assert gather_max(torch.ones(2, 4), torch.zeros(3, 0, dtype=torch.long), padded=True).shape == (0, 4)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_cross_edge_conv_against_a_loop(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    conv = CrossEdgeConv(3, 2, 5).to(dtype)
    source, target = torch.randn(6, 3, dtype=dtype), torch.randn(8, 2, dtype=dtype)
    table = random_table(3, 8, size=7)  # 6 stands for none
    table[:, 4] = 6
    expected = []
    for node, x in enumerate(target):
        near = [j for j in table[:, node].tolist() if j < 6]
        values = [conv.source.weight @ source[j] for j in near]
        most = torch.stack(values).amax(dim=0) if values else torch.zeros(5, dtype=dtype)
        expected.append(conv.target.weight @ x + conv.target.bias + most)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(conv(source, target, table), torch.stack(expected), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("padded", [False, True])
def test_gather_max_is_the_same_without_gradients(padded: bool) -> None:
    x = torch.randn(20, 5, requires_grad=True)
    table = random_table(4, 15, size=21 if padded else 20)
    if padded:
        table[:, 2] = 20  # a node without neighbours
    with torch.no_grad():
        without = gather_max(x, table, padded=padded)
    assert torch.equal(without, gather_max(x, table, padded=padded))
    assert not padded or (without[2] == 0).all()


def test_a_table_of_another_shape_is_refused() -> None:
    conv, x, table = FastEdgeConv(3, 4), torch.randn(9, 3), random_table(2, 9)
    for wrong in (table.t(), table[:, :5], table[0]):
        with pytest.raises(ShapeError, match=r"expected neighbor_index \[k, 9\], a column per node, got"):
            conv(x, neighbor_index=wrong)


# Beside torch_geometric


class Net(torch.nn.Module):
    """Two layers, as users build them; the layer is the one to be tried."""

    def __init__(self, layer: type = FastEdgeConv) -> None:
        super().__init__()
        made = FastEdgeConv(3, 8, act="relu"), FastEdgeConv(8, 4)
        self.first, self.second = made if layer is FastEdgeConv else (conv.to_pyg() for conv in made)

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x, edge_index), edge_index)


def twins() -> tuple[Net, Net]:
    torch.manual_seed(0)
    ours, theirs = Net(), Net(EdgeConv)
    for name in ("first", "second"):
        setattr(theirs, name, getattr(ours, name).to_pyg())
    return ours, theirs


def test_modes_and_what_is_frozen_go_both_ways() -> None:
    act = torch.nn.LeakyReLU(0.3)
    slow = EdgeConv(torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4, eps=0.1, momentum=0.3), act))
    slow.nn[0].weight.requires_grad_(False)
    slow.nn[1].eval()
    slow.nn[1].bias.requires_grad_(False)
    fast = FastEdgeConv.from_pyg(slow)
    for conv in (fast, FastEdgeConv.from_pyg(fast.to_pyg())):
        frozen = [name for name, parameter in conv.named_parameters() if not parameter.requires_grad]
        assert frozen == ["lin.weight", "norm.bias"]
        assert conv.training and conv.lin.training and not conv.norm.training
        assert (conv.norm.eps, conv.norm.momentum) == (0.1, 0.3)
        assert conv.act is not act and conv.act.negative_slope == 0.3
    assert not fast.to_pyg().nn[1].training and not fast.to_pyg().nn[0].weight.requires_grad
    slow.flow = "target_to_source"
    assert FastEdgeConv.from_pyg(slow).to_pyg().flow == "target_to_source"


def test_subclasses_that_compute_something_else() -> None:
    class Mine(EdgeConv):
        def message(self, x_i: torch.Tensor, x_j: torch.Tensor) -> torch.Tensor:
            return self.nn(torch.cat([x_i, x_j], dim=-1))

    with pytest.raises(ConfigError, match="a subclass with its own message"):
        FastEdgeConv.from_pyg(Mine(torch.nn.Linear(6, 4)))

    class Scaled(FastEdgeConv):
        def message(self, x_i: torch.Tensor, x_j: torch.Tensor) -> torch.Tensor:
            return 2 * super().message(x_i, x_j)

    conv, x, edges = Scaled(3, 4), torch.randn(9, 3), ragged_edges(9, 20)
    plain = FastEdgeConv(3, 4)
    plain.load_state_dict(conv.state_dict())
    torch.testing.assert_close(conv(x, edges), 2 * plain(x, edges))
    with pytest.raises(ConfigError, match="a subclass with its own message"):
        conv.to_pyg()


class Wrapped(torch.nn.Module):
    """A low-rank change of a linear layer, as LoRA wraps it."""

    def __init__(self, base: torch.nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down, self.up = torch.nn.Linear(base.in_features, 2, bias=False), torch.nn.Linear(2, base.out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.up(self.down(x))


def watched(conv: FastEdgeConv, how: str) -> None:
    if how == "wrapped":
        conv.lin = Wrapped(conv.lin)
    elif how == "pruned":
        torch.nn.utils.prune.l1_unstructured(conv.lin, "weight", amount=0.5)
    elif how == "hook":
        conv.lin.register_forward_hook(lambda module, inputs, out: 2 * out)
    elif how == "norm":
        conv.norm.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    elif how == "message":
        conv.register_message_forward_hook(lambda module, inputs, out: 3 * out)
    elif how == "parametrized":
        torch.nn.utils.parametrizations.weight_norm(conv.lin)
    elif how == "replaced":
        conv.act = torch.nn.Mish()


@pytest.mark.parametrize("links", ["edge_index", "neighbor_index"])
@pytest.mark.parametrize("how", ["wrapped", "pruned", "hook", "norm", "message", "parametrized", "replaced"])
def test_what_users_hang_on_a_layer_works(how: str, links: str) -> None:
    torch.manual_seed(0)
    conv = FastEdgeConv(3, 4, "batch", "relu").double()
    watched(conv, how)
    conv.double()
    x, table = torch.randn(9, 3).double(), random_table(3, 9)
    given = {links: table if links == "neighbor_index" else edges_of(table)}

    def by_hand(x: torch.Tensor) -> torch.Tensor:
        source, node = edges_of(table)
        edges = conv.act(conv.norm(conv.lin(torch.cat([x[node], x[source] - x[node]], dim=1))))
        return (3 if how == "message" else 1) * edges.view(3, 9, 4).amax(dim=0)

    for _ in range(2):  # also after a step: no stale weights
        torch.testing.assert_close(conv(x, **given), by_hand(x))
        conv(x, **given).square().sum().backward()
        with torch.no_grad():
            for parameter in conv.parameters():
                parameter -= 0.1 * parameter.grad
        conv.zero_grad()


def test_state_dicts_of_edge_conv_load() -> None:
    x, edges = torch.randn(9, 3), ragged_edges(9, 30)
    linear, norm = torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4)
    for mlp, options in (
        (linear, {}),
        (torch.nn.Sequential(linear, torch.nn.ReLU()), {"act": "relu"}),
        (torch.nn.Sequential(linear, norm, torch.nn.ReLU()), {"norm": "batch", "act": "relu"}),
        (MLP([6, 4], plain_last=False), {"norm": "batch", "act": "relu"}),
    ):
        slow = EdgeConv(mlp)
        fast = torch.nn.Sequential(FastEdgeConv(3, 4, **options))
        fast.load_state_dict({f"0.{name}": tensor for name, tensor in slow.state_dict().items()})
        torch.testing.assert_close(fast[0](x, edges), slow(x, edges))


def test_to_hetero() -> None:
    ours, theirs = twins()
    kinds = ["a", "b"], [("a", "to", "b"), ("b", "to", "a"), ("a", "in", "a")]
    results = []
    for net in (ours, theirs):
        hetero = to_hetero(net, kinds)
        torch.manual_seed(1)
        for parameter in hetero.parameters():
            torch.nn.init.normal_(parameter)
        torch.manual_seed(2)
        x = {"a": torch.randn(5, 3), "b": torch.randn(6, 3)}
        sizes = {"a": 5, "b": 6}
        edges = {kind: torch.stack([torch.randint(0, sizes[kind[i]], (12,)) for i in (0, 2)]) for kind in kinds[1]}
        results.append(hetero(x, edges))
    assert set(results[0]) == {"a", "b"} == set(results[1])
    assert results[0]["b"].shape == (6, 4)
    for kind in "ab":
        torch.testing.assert_close(results[0][kind], results[1][kind])


def test_explainers_see_edges() -> None:
    torch.manual_seed(0)
    x, edges = torch.randn(9, 3), ragged_edges(9, 30)
    ours, theirs = twins()
    masks = []
    for net in (ours, theirs):
        explainer = Explainer(
            net, GNNExplainer(epochs=5), explanation_type="model", edge_mask_type="object", node_mask_type="object",
            model_config={"mode": "regression", "task_level": "node", "return_type": "raw"},
        )  # fmt: skip
        torch.manual_seed(1)
        masks.append(explainer(x, edges).edge_mask)
    assert masks[0].max() > 0
    torch.testing.assert_close(*masks)
    torch.testing.assert_close(ours(x, edges), theirs(x, edges))  # and not after it
    set_masks(ours, torch.ones(2), edges)
    with pytest.raises(ShapeError, match=r"edge_index .* where a mask of edges is explained, got neighbor_index"):
        ours.first(x, neighbor_index=random_table(2, 9))


def test_decomposed_layers_change_nothing() -> None:
    conv, x, edges = FastEdgeConv(3, 4), torch.randn(9, 3), ragged_edges(9, 30)
    wanted = conv(x, edges)
    conv.decomposed_layers = 2  # torch_geometric's way to save memory; this layer needs none
    torch.testing.assert_close(conv(x, edges), wanted)


def test_summary() -> None:
    pytest.importorskip("tabulate")
    x, edges = torch.randn(9, 3), ragged_edges(9, 30)
    assert "FastEdgeConv" in summary(Net(), x, edges) and "[9, 4]" in summary(Net(), x, edges)


def test_no_files_are_left_in_the_temporary_folder(tmp_path: Path) -> None:
    """As torch_geometric's own layers leave them, one per class and process."""
    code = (
        "from torch.nn import ReLU; from toothgraph.nn import FastDynamicEdgeConv, FastEdgeConv; FastEdgeConv(3, 4)\n"
    )
    code += "FastEdgeConv(nn=ReLU()); FastDynamicEdgeConv(ReLU(), 3)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert not list(tmp_path.iterdir())


def test_repr() -> None:
    assert repr(FastEdgeConv(3, 4)) == "FastEdgeConv(3, 4, aggr=max)"
    normed = FastEdgeConv(3, 4, "batch", "relu", flow="target_to_source")
    assert repr(normed).startswith("FastEdgeConv(3, 4, norm=BatchNorm1d(4,") and "act=ReLU(), aggr=max, flow=t" in repr(
        normed
    )
    assert "nn=Linear(in_features=6" in repr(FastEdgeConv(nn=torch.nn.Linear(6, 4)))


@pytest.mark.parametrize("options", [{"in_channels": 3, "out_channels": 4, "norm": "batch"}, {"nn": MLP([6, 8, 4])}])
def test_copies_and_weights_drawn_anew(options: dict) -> None:
    conv, x, edges = FastEdgeConv(**options), torch.randn(9, 3), ragged_edges(9, 30)
    assert isinstance(conv, MessagePassing)
    for other in (copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))):
        torch.testing.assert_close(other.eval()(x, edges), conv.eval()(x, edges))
    before = [parameter.clone() for parameter in conv.parameters()]
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.fill_(7)
    conv.reset_parameters()
    after = list(conv.parameters())
    assert not any((parameter == 7).any() for parameter in after)
    assert [p.shape for p in before] == [p.shape for p in after]
    torch.manual_seed(3)
    conv.reset_parameters()
    again = [parameter.clone() for parameter in conv.parameters()]
    torch.manual_seed(3)
    conv.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(again, conv.parameters(), strict=True))


@pytest.mark.parametrize("norm", [None, "batch"])
def test_second_derivatives_as_in_pyg(norm: str | None) -> None:
    torch.manual_seed(0)
    conv = FastEdgeConv(3, 4, norm, "tanh").double()
    table, x = random_table(3, 12), torch.randn(12, 3).double()
    edges = ragged_edges(12, 40)
    for given, links in (({"neighbor_index": table}, edges_of(table)), ({"edge_index": edges}, edges)):
        results = []
        for net, where in ((conv, given), (conv.to_pyg(), {"edge_index": links})):
            leaf = x.clone().requires_grad_()
            (first,) = torch.autograd.grad(net(leaf, **where).square().sum(), leaf, create_graph=True)
            results.append(torch.autograd.grad(first.square().sum(), leaf)[0])
        torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)
