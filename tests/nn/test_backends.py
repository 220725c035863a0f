"""Every backend computes what a loop over nodes computes, and its gradients.

Triton runs on CUDA devices, or in its interpreter, which has to be chosen before Triton is imported: on a machine
without a GPU, the tests of Triton run in a process of their own, which ``test_triton_in_its_interpreter`` starts.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn import FastEdgeConv, choose_backend, gather_max, reduce_neighbors, use_backend
from toothgraph.nn.cross_edge_conv import CrossEdgeConv
from toothgraph.nn.kernels import backend, neighborhoods
from toothgraph.nn.kernels.backend import BACKENDS, triton_runs
from toothgraph.nn.kernels.compiled import HAS_COMPILED, LIBRARY, _opened
from toothgraph.nn.kernels.gather import repeatable_max
from toothgraph.nn.kernels.neighborhoods import Neighborhoods, from_edges, from_table
from toothgraph.nn.kernels.triton_ops import _bags, triton_reduce

HAS_SCATTER = importlib.util.find_spec("torch_scatter") is not None
HAS_TRITON = importlib.util.find_spec("triton") is not None
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
needs_compiled = pytest.mark.skipif(not HAS_COMPILED, reason="needs the compiled reductions: pip install -e . with g++")
needs_scatter = pytest.mark.skipif(not HAS_SCATTER, reason="needs torch-scatter: make test-scatter")
needs_triton = pytest.mark.skipif(not HAS_TRITON, reason="needs triton, which is there for Linux: pip install triton")
only_interpreted = pytest.mark.skipif(not INTERPRETED, reason="runs within test_triton_in_its_interpreter")

NATIVE = [pytest.param("native", "cpu"), pytest.param("native", "cuda", marks=needs_cuda)]
COMPILED = [pytest.param("compiled", "cpu", marks=needs_compiled)]
SCATTER = [
    pytest.param("scatter", "cpu", marks=needs_scatter),
    pytest.param("scatter", "cuda", marks=[needs_cuda, needs_scatter]),
]
TRITON = [
    pytest.param("triton", "cpu", marks=[needs_triton, only_interpreted]),
    pytest.param("triton", "cuda", marks=[needs_triton, needs_cuda]),
]
WHERE = [*NATIVE, *COMPILED, *SCATTER, *TRITON]
# Half precision holds sums in float32 and rounds once; the reference sums in float64.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def distinct(rows: int, channels: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """[rows, channels] without ties in a channel, both signs, in every precision."""
    order = torch.stack([torch.randperm(rows) for _ in range(channels)], dim=1)
    return ((order - rows / 3) / 128).to(dtype)  # up to 256 multiples of 1/128: exact in bfloat16


def ragged(nodes: int, rows: int, edges: int) -> Neighborhoods:
    """Nodes 0, 3 and the last one have no neighbours, node 5 has many."""
    target = torch.randint(4, nodes - 1, (edges,))
    target[:20] = 5
    pairs = torch.unique(torch.stack([torch.randint(0, rows, (edges,)), target]), dim=1)
    return from_edges(pairs[:, torch.randperm(pairs.shape[1])], nodes)


def by_loop(x: Tensor, hood: Neighborhoods, reduce: str) -> Tensor:
    """The same by a loop over nodes; rows beyond the last one stand for no neighbour."""
    out = []
    for begin, end in zip(hood.ends[:-1].tolist(), hood.ends[1:].tolist(), strict=True):
        near = x[[j for j in hood.source.reshape(-1)[begin:end].tolist() if j < len(x)]]
        if len(near) == 0:
            out.append(x.new_zeros(x.shape[1]))
        else:
            out.append(near.amax(0) if reduce == "max" else near.sum(0) if reduce == "sum" else near.mean(0))
    return torch.stack(out)


def check(ours: Tensor, leaf: Tensor, reference: Tensor, exact: Tensor) -> None:
    """Values and gradients of a sum over random weights."""
    weight = torch.randint(-8, 9, reference.shape) / 8.0
    (ours * weight.to(ours)).sum().backward()
    (reference * weight.to(reference)).sum().backward()
    bound = TOLERANCE[leaf.dtype]
    assert ours.dtype == leaf.dtype and leaf.grad is not None
    torch.testing.assert_close(ours.cpu().double(), reference, atol=bound, rtol=bound)
    torch.testing.assert_close(leaf.grad.cpu().double(), exact.grad, atol=bound, rtol=bound)


def moved(hood: Neighborhoods, device: str) -> Neighborhoods:
    return Neighborhoods(hood.source.to(device), hood.ends.to(device), hood.fixed)


def compare(backend: str, device: str, dtype: torch.dtype, x: Tensor, hood: Neighborhoods, reduce: str) -> None:
    leaf = x.to(device, dtype, copy=True).requires_grad_()
    exact = x.to(dtype).to(torch.float64, copy=True).requires_grad_()
    ours = reduce_neighbors(leaf, moved(hood, device), reduce, backend)
    check(ours, leaf, by_loop(exact, hood, reduce), exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reduce", ["max", "sum", "mean"])
@pytest.mark.parametrize(("backend", "device"), WHERE)
@pytest.mark.parametrize("channels", [1, 7, 150])  # 150: two blocks of channels in Triton
def test_agrees_with_a_loop(backend: str, device: str, reduce: str, dtype: torch.dtype, channels: int) -> None:
    torch.manual_seed(0)
    x = distinct(40, channels)
    compare(backend, device, dtype, x, from_table(torch.rand(40, 50).argsort(0)[:6]), reduce)
    compare(backend, device, dtype, x, ragged(50, 40, 150), reduce)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_repeatable_maximum_agrees_with_a_loop(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = distinct(40, 7) - 10
    for hood in (from_table(torch.rand(40, 50).argsort(0)[:6]), ragged(50, 40, 150)):
        leaf = x.to(dtype, copy=True).requires_grad_()
        exact = x.to(dtype).to(torch.float64, copy=True).requires_grad_()
        check(repeatable_max(leaf, hood), leaf, by_loop(exact, hood, "max"), exact)


def test_the_repeatable_maximum_hides_no_nan() -> None:
    x = torch.tensor([[1.0], [float("nan")], [2.0]])
    table = torch.tensor([[0, 1, 2], [1, 0, 0]])
    assert repeatable_max(x, from_table(table)).isnan().flatten().tolist() == [True, True, False]


@needs_cuda
def test_gradients_on_cuda_where_they_must_be_repeatable() -> None:
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    try:
        compare("auto", "cuda", torch.float32, distinct(40, 7), from_table(torch.rand(40, 50).argsort(0)[:6]), "max")
        compare("auto", "cuda", torch.float32, distinct(40, 7), ragged(50, 40, 150), "max")
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduce", ["max", "sum", "mean"])
@pytest.mark.parametrize(("backend", "device"), TRITON)
def test_half_precision(backend: str, device: str, reduce: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = distinct(40, 7)
    compare(backend, device, dtype, x, from_table(torch.rand(40, 50).argsort(0)[:6]), reduce)
    compare(backend, device, dtype, x, ragged(50, 40, 150), reduce)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("backend", "device"), WHERE)
def test_padding_never_wins(backend: str, device: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, table = distinct(30, 7) - 10, torch.rand(31, 40).argsort(0)[:6]  # all negative; row 30 stands for none
    table[:, 3] = 30
    table[1:, 4] = 30
    leaf = x.to(device, dtype, copy=True).requires_grad_()
    exact = x.to(dtype).to(torch.float64, copy=True).requires_grad_()
    out = gather_max(leaf, table.to(device), padded=True, backend=backend)
    assert (out[3] == 0).all()
    check(out, leaf, by_loop(exact, from_table(table), "max"), exact)


@pytest.mark.parametrize(("backend", "device"), WHERE)
def test_nothing_to_reduce(backend: str, device: str) -> None:
    none = torch.zeros(0, dtype=torch.long, device=device)
    for reduce in ("max", "sum", "mean"):
        for nodes, channels in ((5, 3), (0, 3), (0, 0)):
            x = torch.ones(4, channels, device=device, requires_grad=True)
            out = reduce_neighbors(x, Neighborhoods(none, none.new_zeros(nodes + 1), 0), reduce, backend)
            assert torch.equal(out, x.new_zeros(nodes, channels))
            out.sum().backward()
            assert x.grad is not None and torch.equal(x.grad, torch.zeros_like(x))
    for rows, k, nodes in ((0, 3, 5), (4, 3, 0), (4, 0, 5)):
        x = torch.ones(rows, 2, device=device, requires_grad=True)
        out = gather_max(x, none.new_zeros(k, nodes), padded=True, backend=backend)
        assert torch.equal(out, x.new_zeros(nodes, 2))
        out.sum().backward()
        assert x.grad is not None and torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("backend", "device"), WHERE)
def test_nan_wins_and_keeps_its_gradient(backend: str, device: str, dtype: torch.dtype) -> None:
    nan = torch.nan
    columns = [[1, nan, 2, 0], [nan, torch.inf, 5, -1], [-torch.inf, -2, nan, nan], [3, -0.0, torch.inf, 0.0]]
    x = torch.tensor(columns, dtype=dtype).t()  # [4 nodes, 4 channels]
    tables = [torch.tensor([list(p)] * 3).t() for p in itertools.permutations(range(4))]
    one = torch.tensor([[0, 1, 2, 3, 2, 0], [0, 0, 0, 0, 1, 1]])
    many = torch.tensor([[1, 2], [2, 2]]).repeat(1, 40)  # far more neighbours than the others
    edges = torch.cat([one, many], dim=1)
    lists = [from_edges(edges[:, torch.randperm(edges.shape[1])], 5) for _ in range(5)]
    for hood in [*map(from_table, tables), *lists]:
        leaf = x.to(device, copy=True).requires_grad_()
        out = reduce_neighbors(leaf, moved(hood, device), "max", backend)
        out.sum().backward()
        expected = by_loop(x.double(), hood, "max")
        torch.testing.assert_close(out.detach().cpu().double(), expected, equal_nan=True)
        assert leaf.grad is not None
        grad = leaf.grad.cpu()
        assert torch.equal(grad.sum(0), (hood.degree > 0).sum().expand(4).to(dtype))  # one winner for each node
        assert torch.equal(torch.where(x.isnan(), grad, 0.0).sum(0), expected.isnan().sum(0).to(dtype))


@pytest.mark.parametrize("reduce", ["max", "sum", "mean"])
@pytest.mark.parametrize(("backend", "device"), TRITON)
def test_neighbours_that_are_not_there_do_not_pass_unseen(backend: str, device: str, reduce: str) -> None:
    """No check waits for a GPU, so what it cannot compute is NaN; in a padded table M means none."""
    x = torch.tensor([[1.0], [2.0], [3.0]], device=device)
    table = torch.tensor([[0, 1, 3], [2, -1, 1]], device=device)
    out = reduce_neighbors(x, from_table(table), reduce, backend)
    assert out.isnan().flatten().tolist() == [False, True, True]
    if reduce == "max":
        table = torch.tensor([[0, 3, 4], [3, 3, 1]], device=device)
        out = triton_reduce(x, *from_table(table), "max", padded=True).flatten()
        assert out[:2].tolist() == [1, 0] and out[2].isnan()


@pytest.mark.parametrize(("backend", "device"), [*NATIVE, *COMPILED, *TRITON])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_second_derivatives_of_the_maximum(backend: str, device: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    for hood in (from_table(torch.rand(12, 15).argsort(0)[:3]), ragged(15, 12, 40)):
        values, results = distinct(12, 4), []
        for loop in (False, True):
            x = values.to("cpu" if loop else device, torch.float64 if loop else dtype, copy=True).requires_grad_()
            out = by_loop(x, hood, "max") if loop else reduce_neighbors(x, moved(hood, device), "max", backend)
            (first,) = torch.autograd.grad(out.sin().sum(), x, create_graph=True)
            (second,) = torch.autograd.grad(first.square().sum(), x)
            results.append(second.double().cpu())
        assert results[1].abs().sum() > 0.1
        torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("backend", "device"), [*NATIVE, *COMPILED, *TRITON])
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_second_derivatives_of_sums(backend: str, device: str, reduce: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 2, dtype=torch.float64, device=device, requires_grad=True)
    for hood in (ragged(8, 6, 20), from_table(torch.randint(0, 6, (2, 8)))):
        hood = moved(hood, device)

        def total(y: Tensor, hood: Neighborhoods = hood) -> Tensor:
            return reduce_neighbors(y, hood, reduce, backend).pow(3)

        assert torch.autograd.gradcheck(total, (x,)) and torch.autograd.gradgradcheck(total, (x,))


@pytest.mark.parametrize("reduce", ["max", "sum", "mean"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["auto", "native", pytest.param("compiled", marks=needs_compiled), "triton"])
def test_derivatives_that_go_forward(name: str, dtype: torch.dtype, reduce: str) -> None:
    """As on the CPU, or refused: never a derivative that is lost."""
    torch.manual_seed(0)
    x, along = distinct(12, 4).to(dtype), torch.randn(12, 4, dtype=dtype)

    def dual(maximum: Callable[[Tensor], Tensor]) -> Tensor:
        with torch.autograd.forward_ad.dual_level():
            both = torch.autograd.forward_ad.make_dual(x, along)
            return torch.autograd.forward_ad.unpack_dual(maximum(both)).tangent

    for hood in (from_table(torch.rand(12, 15).argsort(0)[:3]), ragged(15, 12, 40)):

        def ours(y: Tensor, hood: Neighborhoods = hood) -> Tensor:
            return reduce_neighbors(y, hood, reduce, name)

        ways = (lambda f: torch.func.jvp(f, (x,), (along,))[1], dual, lambda f: torch.func.jacrev(f)(x))
        for way in ways:
            if name in ("auto", "native"):
                torch.testing.assert_close(way(ours), way(lambda y, hood=hood: by_loop(y, hood, reduce)))
            elif name == "compiled" or (HAS_TRITON and INTERPRETED):
                with pytest.raises(ConfigError, match="native"):
                    way(ours)


@pytest.mark.parametrize(("backend", "device"), WHERE)
def test_ties_have_one_winner(backend: str, device: str) -> None:
    x = torch.tensor([[1.0], [1.0], [0.0]], device=device, requires_grad=True)
    gather_max(x, torch.tensor([[0, 2], [1, 2], [0, 2]], device=device), backend=backend).sum().backward()
    assert x.grad is not None
    assert x.grad[:2].sum() == 1 and x.grad[2] == 1
    if backend in ("compiled", "triton"):
        assert x.grad[0] == 1  # the first one


@pytest.mark.parametrize(
    ("backend", "device"), [*NATIVE, *COMPILED, *TRITON]
)  # torch-scatter makes -inf the lowest float
def test_infinities(backend: str, device: str) -> None:
    x = torch.tensor([[-torch.inf], [torch.inf], [2.0]], device=device)
    table = torch.tensor([[0, 0, 2], [0, 2, 1]], device=device)
    assert gather_max(x, table, backend=backend).flatten().tolist() == [-torch.inf, 2, torch.inf]


@pytest.mark.parametrize("rows", [1, 3, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_block_after_block(dtype: torch.dtype, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, table = distinct(40, 7), torch.rand(40, 50).argsort(0)[:6].int()
    monkeypatch.setattr("toothgraph.nn.kernels.cpu_max._BLOCK", rows * 7 * 8)
    compare("native", "cpu", dtype, x, from_table(table), "max")
    plain = x.to(dtype)
    assert torch.equal(gather_max(plain, table, backend="native"), plain[table].amax(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("in_order", [True, False])
def test_edges_of_nearly_equal_degrees(in_order: bool, dtype: torch.dtype) -> None:
    """As in a face graph, where some faces lie at the border; on a CPU they are padded to a table."""
    torch.manual_seed(0)
    x, target = distinct(40, 7) - 10, torch.arange(50).repeat_interleave(3)  # all negative: padding must not win
    keep = (target != 20) & (torch.rand(150) < 0.9)  # node 20 has no neighbours
    edges = torch.stack([torch.randint(0, 40, (150,)), target])[:, keep]
    edges = edges if in_order else edges[:, torch.randperm(edges.shape[1])]
    hood = from_edges(edges, 50)
    assert 2 * len(hood.source) >= 3 * 50
    compare("native", "cpu", dtype, x, hood, "max")
    assert (reduce_neighbors(x.to(dtype), hood, "max", "native")[20] == 0).all()


@pytest.mark.parametrize("rows", [1, 5, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_few_nodes_with_far_more_neighbours(dtype: torch.dtype, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr("toothgraph.nn.kernels.cpu_max._BLOCK", rows * 7 * 8)
    degree = torch.randint(0, 4, (50,))
    degree[[7, 20]] = torch.tensor([60, 37])
    target = torch.arange(50).repeat_interleave(degree)
    hood = from_edges(torch.stack([torch.randint(0, 40, target.shape), target])[:, torch.randperm(len(target))], 50)
    x = distinct(40, 7) - 10
    compare("native", "cpu", dtype, x, hood, "max")
    assert torch.equal(reduce_neighbors(x.to(dtype), hood, "max", "native"), by_loop(x.to(dtype), hood, "max"))


def test_a_winner_travels_with_every_float32() -> None:
    values = [0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38, torch.inf, -torch.inf, 1.0, 1.0000001]
    x = torch.tensor(values)[:, None].requires_grad_()
    for j in range(len(values)):
        for i in range(len(values)):
            out = gather_max(x, torch.tensor([[i], [j]]), backend="native")
            assert out.item() == max(x[i].item(), x[j].item())
            (grad,) = torch.autograd.grad(out.sum(), x)
            assert grad.sum() == 1 and x[grad.argmax()] == out
    x = torch.tensor([[torch.nan], [1.0]], requires_grad=True)
    out = gather_max(x, torch.tensor([[0], [1]]), backend="native")
    assert out.isnan().all()
    out.nan_to_num().sum().backward()


def test_a_winner_travels_with_zeros_where_small_numbers_are_flushed() -> None:
    x, table = torch.zeros(6, 2, requires_grad=True), torch.tensor([[3, 4], [5, 4]])
    torch.set_flush_denormal(True)
    try:
        gather_max(x, table, backend="native").sum().backward()
    finally:
        torch.set_flush_denormal(False)
    assert x.grad is not None and x.grad[:3].sum() == 0 and x.grad.sum() == 4


def test_no_neighbours_and_functional_gradients() -> None:
    x = torch.randn(5, 2)
    for reduce in ("max", "sum", "mean"):
        hood = from_table(torch.zeros(0, 3, dtype=torch.long))
        assert torch.equal(reduce_neighbors(x, hood, reduce), torch.zeros(3, 2))
    grad = torch.func.grad(lambda y: gather_max(y, torch.tensor([[0, 1], [2, 3]])).sum())(x)
    assert grad.sum() == 4


@pytest.mark.parametrize(("backend", "device"), WHERE)
def test_strided_and_small_inputs(backend: str, device: str) -> None:
    torch.manual_seed(0)
    x, table = distinct(20, 6).float().to(device), torch.randint(0, 20, (4, 9), dtype=torch.int32, device=device)
    for near in (table, torch.randint(0, 20, (8, 18), device=device)[::2, ::2], table.t().contiguous().t()):
        out = gather_max(x.t().contiguous().t()[:, ::2], near, backend=backend)
        assert torch.equal(out, gather_max(x[:, ::2].contiguous(), near.long().contiguous(), backend="native"))


LAYERS = [(norm, act, aggr) for norm in (None, "batch") for act, aggr in (("relu", "max"), (None, "mean"))]


@pytest.mark.parametrize(("norm", "act", "aggr"), [*LAYERS, ("batch", None, "sum")])
@pytest.mark.parametrize(("backend", "device"), WHERE)
def test_edge_conv(backend: str, device: str, norm: str | None, act: str | None, aggr: str) -> None:
    torch.manual_seed(0)
    conv = FastEdgeConv(3, 5, norm, act, aggr).double().to(device)
    edges = torch.stack([torch.randint(0, 20, (60,)), torch.randint(0, 18, (60,))]).to(device)
    x = torch.randn(20, 3, dtype=torch.float64, device=device)
    results = []
    for name in ("native", backend):
        conv.zero_grad()
        leaf = x.clone().requires_grad_()
        with use_backend(name):
            ours = conv(leaf, edges)
            ours.square().sum().backward()
        results.append([ours.detach(), leaf.grad, *(p.grad.clone() for p in conv.parameters())])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize(("backend", "device"), WHERE)
def test_cross_edge_conv(backend: str, device: str) -> None:
    torch.manual_seed(0)
    conv = CrossEdgeConv(3, 2, 5).to(device)
    source, target = torch.randn(6, 3, device=device), torch.randn(8, 2, device=device)
    table = torch.randint(0, 7, (3, 8), device=device)  # 6 stands for none
    with use_backend(backend):
        ours = conv(source, target, table)
    with use_backend("native"):
        torch.testing.assert_close(ours, conv(source, target, table))


@pytest.mark.parametrize(("backend", "device"), TRITON)
def test_operators_keep_what_they_declare(backend: str, device: str) -> None:
    """Schema, shapes under tracing for any size, and how gradients are registered."""
    from toothgraph.nn.kernels.triton_ops import _maximum, _total

    hood = moved(ragged(30, 20, 60), device)
    x = torch.randn(20, 5, device=device, requires_grad=True)
    fixed = from_table(torch.randint(0, 20, (4, 30), device=device))
    for source, ends, k in (hood, fixed):
        torch.library.opcheck(_maximum, (x, source, ends, k, False))
        torch.library.opcheck(_total, (x, source, ends, k, True))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # inside torch.compile
@pytest.mark.parametrize("norm", [None, "batch"])
@pytest.mark.parametrize(("backend", "device"), TRITON)
def test_triton_compiles_whole_for_any_size(backend: str, device: str, norm: str | None) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    conv = FastEdgeConv(3, 4, norm, "relu").to(device).eval()
    compiled = torch.compile(
        conv, fullgraph=True, dynamic=True, backend="inductor" if device == "cuda" else "aot_eager"
    )
    with use_backend(backend):
        for nodes in (9, 14, 30):
            x = torch.randn(nodes, 3, device=device)
            table = torch.randint(0, nodes, (2, nodes), device=device)
            edges = torch.randint(0, nodes, (2, 4 * nodes), device=device)
            torch.testing.assert_close(compiled(x, neighbor_index=table), conv(x, neighbor_index=table))
            for links in ({"neighbor_index": table}, {"edge_index": edges}):
                results = []
                for net in (conv, compiled):
                    leaf = x.clone().requires_grad_()
                    net(leaf, **links).square().sum().backward()
                    results.append(leaf.grad)
                torch.testing.assert_close(*results)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # inside torch.compile
@pytest.mark.parametrize("aggr", ["max", "min"])
def test_what_is_traced_by_torch_alone_learns(aggr: str) -> None:
    torch._dynamo.reset()
    conv = FastEdgeConv(3, 4, aggr=aggr)
    compiled = torch.compile(conv, backend="eager")
    table = torch.randint(0, 9, (3, 9))
    with use_backend("native"):
        results = []
        for net in (conv, compiled):
            x = torch.arange(27.0).reshape(9, 3).sin().requires_grad_()
            net(x, neighbor_index=table).square().sum().backward()
            results.append(x.grad)
    torch.testing.assert_close(*results)


@pytest.mark.skipif(INTERPRETED, reason="this is the interpreter")
@needs_triton
@pytest.mark.slow
def test_triton_in_its_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "triton-cpu", str(Path(__file__))],
        cwd=Path(__file__).resolve().parents[2], env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout


KERNELS = ["maximum", "maximum_backward", "total", "total_backward"]


@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@needs_triton
@pytest.mark.parametrize("degree", [0, 16])
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp64"])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_compile_for_cuda(
    name: str, dtype: str, degree: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To machine code, which takes no GPU; an A100 is the target."""
    import triton
    from triton import language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from toothgraph.nn.kernels import triton_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = getattr(triton_kernels, name)
    acc = "fp64" if dtype == "fp64" else "fp32"
    constant = {"ACC": getattr(tl, acc.replace("fp", "float")), "BLOCK_N": 8, "BLOCK_C": 128, "DEGREE": degree}
    constant = {
        key: value for key, value in {**constant, "MEAN": True, "NONE": True}.items() if key in kernel.arg_names
    }
    types = dict.fromkeys(("x", "out", "grad"), f"*{dtype}") | {"grad_x": f"*{acc}", "winner": "*i32"}
    types |= {"source": "*i64", "ends": "*i64"}
    types |= dict.fromkeys(("rows", "nodes", "channels", "across", "along"), "i64")
    signature = {key: "constexpr" if key in constant else types[key] for key in kernel.arg_names}
    made = triton.compile(ASTSource(kernel, signature, constant), target=GPUTarget("cuda", 80, 32))
    assert len(made.asm["cubin"]) > 0


def test_the_choice() -> None:
    x = torch.zeros(2, 1, dtype=torch.bfloat16)
    assert choose_backend(x.float()) == ("compiled" if HAS_COMPILED else "native")
    assert choose_backend(x) == "native"
    assert choose_backend(x, "native") == "native"
    with use_backend("triton"):
        assert choose_backend(x, "native") == "native"  # an argument comes first
        with use_backend("auto"):
            assert choose_backend(x) == "native"
    assert choose_backend(x) == "native"


def test_an_unknown_backend_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = "of auto, compiled, native, scatter, triton, got 'tritn'"
    with pytest.raises(ConfigError, match=unknown):
        use_backend("tritn")
    monkeypatch.setattr(backend, "_process_wide", "tritn")  # of the environment
    with pytest.raises(ConfigError, match=unknown):
        choose_backend(torch.zeros(2, 1))


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Exception | None]]:
    """What the next probes of Triton end with; on a machine without a GPU, the meta device stands for it."""
    outcomes: list[Exception | None] = []

    def probe(*args: object) -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(backend, "_HAS_TRITON", True)
    monkeypatch.setattr(backend, "triton_reduce", probe)
    monkeypatch.setattr(backend, "_triton", backend._Triton())
    yield outcomes
    assert not outcomes


def like(channels: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(2, channels, dtype=dtype, device="cuda" if torch.cuda.is_available() else "meta")


def test_where_triton_does_not_run_torch_does(
    probed: list[Exception | None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    probed.append(RuntimeError("Failed to find C compiler\nand more"))
    monkeypatch.setattr(backend, "triton_runs", lambda x: triton_runs(like(1)))
    on_cuda = SimpleNamespace(device=torch.device("cuda"))
    assert [choose_backend(on_cuda) for _ in range(2)] == ["native", "native"]
    (record,) = caplog.records
    begins = f"triton does not run on {like(1).device} (Failed to find C compiler)"
    assert record.message == f"{begins}; the layers use torch only, which is slower"


def test_triton_is_tried_again_for_other_shapes(
    probed: list[Exception | None], caplog: pytest.LogCaptureFixture
) -> None:
    too_wide = RuntimeError("out of resource: shared memory")
    probed += [too_wide, too_wide, None]
    assert not triton_runs(like(4096)) and not triton_runs(like(4096))  # not asked twice
    assert not triton_runs(like(2048, torch.float64))
    assert [record.levelname for record in caplog.records] == ["WARNING"]  # nor told twice
    assert triton_runs(like(64)) and triton_runs(like(4096))  # what runs on a device is not probed any more


def test_triton_is_tried_again_when_there_is_memory(probed: list[Exception | None]) -> None:
    probed += [torch.OutOfMemoryError("CUDA out of memory"), None]
    assert [triton_runs(like(64)) for _ in range(2)] == [False, True]


def test_triton_reads_a_table_where_it_lies() -> None:
    table = torch.randint(0, 9, (4, 9))
    source, _, across, along = _bags(*from_table(table))
    assert source.data_ptr() == table.data_ptr() and (across, along) == (1, 9)


@needs_cuda
@needs_triton
def test_the_choice_on_cuda() -> None:
    x = torch.zeros(2, 1, device="cuda")
    assert choose_backend(x) == "triton"
    torch.use_deterministic_algorithms(True)
    try:
        assert choose_backend(x) == "native"
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_environment_chooses() -> None:
    code = (
        "import torch; from toothgraph.nn import choose_backend, gather_max\n"
        "print(choose_backend(torch.zeros(2, 1), 'native'))\n"
        "gather_max(torch.zeros(2, 1), torch.zeros(1, 2, dtype=torch.long))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TOOTHGRAPH_BACKEND": "magic"}, capture_output=True, text=True
    )
    assert done.stdout == "native\n"
    assert "ConfigError" in done.stderr and "got 'magic'" in done.stderr


@needs_compiled
def test_one_pool_of_threads() -> None:
    code = (
        "import re, torch; from toothgraph.nn import gather_max\n"
        "gather_max(torch.randn(4000, 64), torch.randint(4000, (12, 4000)), backend='compiled')\n"
        "print(len({line.split()[-1] for line in open('/proc/self/maps') if re.search('lib[gi]?omp', line)}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr


@needs_compiled
def test_threads_change_nothing() -> None:
    """Neither values nor gradients, to the last digit."""
    torch.manual_seed(0)
    x, found, before = torch.randn(3000, 70), [], torch.get_num_threads()
    for hood in (from_table(torch.randint(3000, (12, 3000))), from_edges(torch.randint(3000, (2, 40_000)), 3000)):
        for reduce in ("max", "mean"):
            try:
                for threads in (1, 3):
                    torch.set_num_threads(threads)
                    leaf = x.clone().requires_grad_()
                    out = reduce_neighbors(leaf, hood, reduce, "compiled")
                    out.square().sum().backward()
                    found.append((out.detach(), leaf.grad))
            finally:
                torch.set_num_threads(before)
            one, three = found[-2:]
            assert torch.equal(one[0], three[0]) and torch.equal(one[1], three[1])


@needs_compiled
@pytest.mark.parametrize("reduce", ["max", "sum"])
def test_compiled_reads_only_what_is_there(reduce: str) -> None:
    x = torch.randn(3, 2)
    for table in (torch.tensor([[0, 3]]), torch.tensor([[0, -1]]), torch.tensor([[2**40, 0]])):
        with pytest.raises(ShapeError, match="neighbours from 0 to 2"):
            reduce_neighbors(x, from_table(table), reduce, "compiled")
    for ends in ([0, 5], [2, 1], [-3, 2]):
        hood = Neighborhoods(torch.tensor([0, 1]), torch.tensor(ends), 0)
        with pytest.raises(ShapeError, match="neighbours from 0 to 2"):
            reduce_neighbors(x, hood, reduce, "compiled")


def test_edges_to_bags_with_and_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    edges = torch.randint(20, (2, 70))
    for given in (edges, edges[:, edges[1].sort(stable=True).indices], edges[:, :0]):
        ours = from_edges(given, 20)
        with monkeypatch.context() as without:
            without.setattr(neighborhoods, "HAS_COMPILED", False)
            theirs = from_edges(given, 20)
        assert torch.equal(ours.source, theirs.source) and torch.equal(ours.ends, theirs.ends)


def test_a_library_that_does_not_fit_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert _opened(tmp_path / "none.lib") is None and not caplog.records
    (tmp_path / "broken.lib").write_bytes(b"no library")
    assert _opened(tmp_path / "broken.lib") is None
    assert "cannot be used" in caplog.text


@pytest.mark.skipif(sys.platform != "linux" or not which("g++"), reason="it is built on Linux, with g++")
def test_the_library_is_built(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "setup.py", "build", "--build-base", str(tmp_path), "build_ext"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = tmp_path.rglob("lib*/**/" + LIBRARY.name)
    assert _opened(built) is not None
    assert "compiled.cpp" not in done.stderr  # no warning of the compiler


@pytest.mark.skipif(HAS_COMPILED, reason="it was built here")
def test_a_missing_library_is_named() -> None:
    with pytest.raises(ConfigError, match="install the package again"):
        choose_backend(torch.zeros(2, 1), "compiled")


@needs_compiled
def test_what_compiled_does_not_serve_is_named() -> None:
    with pytest.raises(ConfigError, match=r"got \[2, 1\] of bfloat16 on cpu"):
        choose_backend(torch.zeros(2, 1, dtype=torch.bfloat16), "compiled")


@pytest.mark.skipif(HAS_SCATTER, reason="torch-scatter is installed here")
def test_missing_scatter_is_named() -> None:
    with pytest.raises(ConfigError, match=r"toothgraph\[scatter\]"):
        gather_max(torch.zeros(2, 1), torch.zeros(1, 2, dtype=torch.long), backend="scatter")


def test_missing_triton_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toothgraph.nn.kernels.backend._HAS_TRITON", False)
    with pytest.raises(ConfigError, match="pip install triton"):
        choose_backend(torch.zeros(2, 1), "triton")


@pytest.mark.skipif(INTERPRETED, reason="the interpreter takes any device")
@needs_triton
def test_triton_is_refused_off_cuda() -> None:
    with pytest.raises(ConfigError, match="CUDA device, got one on cpu"):
        gather_max(torch.zeros(2, 1), torch.zeros(1, 2, dtype=torch.long), backend="triton")


def test_unknown_names_are_refused() -> None:
    x, hood = torch.zeros(2, 1), from_table(torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(ConfigError, match=", ".join(BACKENDS)):
        reduce_neighbors(x, hood, "max", backend="magic")
    with pytest.raises(ConfigError, match="max, sum or mean"):
        reduce_neighbors(x, hood, "median")
