from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import EdgeConv

from toothgraph.nn import FastEdgeConv, gather_max
from toothgraph.nn.edge_conv import CrossEdgeConv

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def random_table(k: int, n: int, size: int | None = None, seed: int = 0) -> torch.Tensor:
    return torch.randint(size or n, (k, n), generator=torch.Generator().manual_seed(seed))


def edges_of(table: torch.Tensor) -> torch.Tensor:
    node = torch.arange(table.shape[1]).expand_as(table)
    return torch.stack([table.flatten(), node.flatten()])  # neighbour to node


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fast_edge_conv_equals_pyg_in_value_and_gradient(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    fast = FastEdgeConv(5, 7).to(dtype)
    slow = EdgeConv(torch.nn.Linear(10, 7), aggr="max").to(dtype)
    slow.nn.load_state_dict(fast.lin.state_dict())
    table = random_table(4, 30)
    x = torch.randn(30, 5, dtype=dtype)
    out_gradient = torch.randn(30, 7, dtype=dtype)
    results = []
    for net, links in ((fast, table), (slow, edges_of(table))):
        own = x.clone().requires_grad_()
        out = net(own, links)
        out.backward(out_gradient)
        results.append([out, own.grad, *(parameter.grad for parameter in net.parameters())])
    tolerance = TOLERANCE[dtype]
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=10 * tolerance, rtol=10 * tolerance)


def test_fast_edge_conv_takes_small_indices_and_no_nodes() -> None:
    conv = FastEdgeConv(3, 4)
    table, x = random_table(2, 9), torch.randn(9, 3)
    assert torch.equal(conv(x, table.int()), conv(x, table))
    assert conv(x[:0], table[:, :0]).shape == (0, 4)


def test_fast_edge_conv_stays_precise_under_autocast() -> None:
    conv, x, table = FastEdgeConv(3, 4), torch.randn(9, 3) + 50, random_table(2, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = conv(x, table)
    assert out.dtype == torch.float32
    assert torch.equal(out, conv(x, table))


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
