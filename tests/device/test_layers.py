"""Layers and losses on the pretended device: nothing is mixed, the same values and gradients, no wait without need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from toothgraph.errors import ShapeError
from toothgraph.nn import (
    FastDynamicEdgeConv,
    FastEdgeConv,
    PairGeometryConv,
    info_nce,
    knn_edges,
    match_top1,
    segmentation_loss,
)
from toothgraph.nn.cross_edge_conv import CrossEdgeConv
from toothgraph.nn.dgcnn import MLPEdgeConv, TransformNet
from toothgraph.nn.segmentation import boundary_weights

N = 40
torch.manual_seed(0)
X = torch.randn(N, 3)
BATCH = torch.arange(N) // 20
TABLE = torch.randint(0, N, (4, N))
EDGES = torch.stack([torch.randint(0, N, (150,)), torch.randint(0, N, (150,))])
VALUES = torch.randn(4 * N, 2)


def mlp(edge_dim: int = 0) -> nn.Module:
    return nn.Sequential(nn.Linear(6 + edge_dim, 8), nn.ReLU(), nn.Linear(8, 5))


# name: how to make a layer, what it is given
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...]]] = {
    "table": (lambda: FastEdgeConv(3, 5), (X, None, TABLE)),
    "edges": (lambda: FastEdgeConv(3, 5), (X, EDGES)),
    "norm, table": (lambda: FastEdgeConv(3, 5, "batch", "relu"), (X, None, TABLE)),
    "norm, edges": (lambda: FastEdgeConv(3, 5, "batch", "relu"), (X, EDGES)),
    "minimum": (lambda: FastEdgeConv(3, 5, aggr="min"), (X, EDGES)),
    "mean": (lambda: FastEdgeConv(3, 5, aggr="mean"), (X, EDGES)),
    "sum": (lambda: FastEdgeConv(3, 5, aggr="sum"), (X, None, TABLE)),
    "edge MLP, table": (lambda: FastEdgeConv(nn=mlp()), (X, None, TABLE)),
    "edge MLP, edges": (lambda: FastEdgeConv(nn=mlp()), (X, EDGES)),
    "edge values, table": (
        lambda: FastEdgeConv(3, 5, "batch", "relu", edge_dim=2), (X, None, TABLE, VALUES.view(N, 4, 2))
    ),
    "edge values, edges": (lambda: FastEdgeConv(3, 5, edge_dim=2), (X, EDGES, None, VALUES[:150])),
    "edge values, edge MLP": (lambda: FastEdgeConv(nn=mlp(2), edge_dim=2), (X, EDGES, None, VALUES[:150])),
    "dynamic": (lambda: FastDynamicEdgeConv(mlp(), k=4), (X, BATCH)),
    "two sets": (lambda: CrossEdgeConv(3, 3, 5), (X, X, torch.cat([TABLE, torch.full((1, N), N)]))),
    "pair geometry": (
        lambda: PairGeometryConv(2, (1.0, 2.0), 5), (X, nn.functional.normalize(X + 1, dim=1), TABLE)
    ),
    "MLP of the paper": (lambda: MLPEdgeConv(3, 6, 5, k=4), (X, knn_edges(X, 4, BATCH))),
    "MLP of the paper, again": (lambda: MLPEdgeConv(3, 6, 5, k=4, recompute=True), (X, knn_edges(X, 4, BATCH))),
    "transform net": (lambda: TransformNet(3, k=4), (X, knn_edges(X, 4, BATCH), BATCH, 2)),
}  # fmt: skip


def moved(given: Any, device: torch.device) -> Any:
    return given.to(device, non_blocking=True) if isinstance(given, Tensor) else given


@pytest.mark.parametrize("name", LAYERS)
def test_layer(pretended: Any, name: str) -> None:
    make, given = LAYERS[name]
    results = []
    for device in (torch.device("cpu"), pretended.device):
        torch.manual_seed(1)
        layer, args = make().to(device), [moved(one, device) for one in given]
        x = args[0].clone().requires_grad_(name != "pair geometry")
        pretended.waits.clear()
        out = layer(x, *args[1:])
        out.square().sum().backward()
        asked = dict(pretended.waits)
        results.append(
            [out.detach().cpu(), *(leaf.grad.cpu() for leaf in (x, *layer.parameters()) if leaf.requires_grad)]
        )
    assert name == "dynamic" or not asked, asked  # that one asks how many nodes each scan has
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def labelled(unknown: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities, labels and scans; if wanted, with unknown nodes, and a scan without any label."""
    torch.manual_seed(2)
    log_prob, target = torch.randn(60, 33).log_softmax(dim=1), torch.randint(0, 33, (60,))
    if unknown:
        target[torch.rand(60) < 0.3] = -1
        target[20:40] = -1
        log_prob[25] = float("-inf")  # nobody looks at it
    return log_prob, target, torch.arange(60) // 20


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("options", [{}, {"dice_weight": 0.0, "label_smoothing": 0.1}], ids=["dice", "smoothed"])
def test_segmentation_loss(pretended: Any, unknown: bool, options: dict[str, float]) -> None:
    results = []
    for device in (torch.device("cpu"), pretended.device):
        log_prob, target, batch = (part.to(device, non_blocking=True) for part in labelled(unknown))
        log_prob.requires_grad_()
        weight = 1 + torch.arange(60, device=device) / 60
        pretended.waits.clear()
        loss = segmentation_loss(log_prob, target, batch, weight=weight, num_scans=3, **options)
        loss.backward()
        asked = dict(pretended.waits)
        results.append([loss.detach().cpu(), log_prob.grad.cpu()])
    assert not asked
    torch.testing.assert_close(*results)
    log_prob, target, batch = (part.to(pretended.device) for part in labelled(unknown))
    counted = segmentation_loss(
        log_prob, target, batch * 7, weight=weight, **options
    )  # numbers of scans that are asked
    torch.testing.assert_close(counted.cpu(), results[0][0])


def test_loss_without_any_label(pretended: Any) -> None:
    log_prob = torch.zeros(4, 33, device=pretended.device, requires_grad=True)
    target = torch.full((4,), -1, device=pretended.device)
    for batch in (None, torch.zeros_like(target)):
        loss = segmentation_loss(log_prob, target, batch, num_scans=1)
        loss.backward()
        assert float(loss.detach()) == 0 and not log_prob.grad.any()


def test_boundary_weights(pretended: Any) -> None:
    target = torch.randint(-1, 3, (N,))
    expected = boundary_weights(target, EDGES, 2.0)
    there = target.to(pretended.device), EDGES.to(pretended.device)
    pretended.waits.clear()
    found = boundary_weights(*there, 2.0)
    assert not pretended.waits
    assert torch.equal(found.cpu(), expected) and set(expected.tolist()) == {1.0, 3.0}


@pytest.mark.parametrize("negatives", ["scan", "batch"])
@pytest.mark.parametrize("radius", [0.0, 0.5])
def test_info_nce(pretended: Any, negatives: str, radius: float) -> None:
    torch.manual_seed(3)
    a, b, pos, batch = torch.randn(30, 6), torch.randn(30, 6), torch.randn(30, 3), torch.tensor([0] * 10 + [2] * 20)
    expected = info_nce(a, b, batch=batch, pos=pos, negatives=negatives, exclude_radius=radius)
    sized = info_nce(a, b, sizes=[10, 0, 20], pos=pos, negatives=negatives, exclude_radius=radius)
    assert torch.equal(sized, expected)
    there = [part.to(pretended.device) for part in (a, b, pos)]
    pretended.waits.clear()
    x = there[0].requires_grad_()
    found = info_nce(x, there[1], sizes=[10, 0, 20], pos=there[2], negatives=negatives, exclude_radius=radius)
    found.backward()
    assert sum(pretended.waits.values()) == (0 if radius == 0 else 2 if negatives == "scan" else 1), pretended.waits
    torch.testing.assert_close(found.detach().cpu(), expected)


def test_matching(pretended: Any) -> None:
    a, targets = torch.randn(9, 4), torch.arange(9)
    there = a.to(pretended.device), a.to(pretended.device), targets.to(pretended.device)
    pretended.waits.clear()
    share = match_top1(*there)
    assert not pretended.waits and float(share) == 1.0


def test_a_graph_on_another_device_is_refused_in_words(pretended: Any) -> None:
    graph = Data(pos=X).to(pretended.device)
    with pytest.raises(ShapeError, match=r"neighbor_index on pretended:0.*got one on cpu"):
        FastEdgeConv(3, 5).to(pretended.device)(graph.pos, neighbor_index=TABLE)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_left_on_the_cpu_is_told(pretended: Any, name: str) -> None:
    make, given = LAYERS[name]
    words = r"expected \w+ on cpu, where the weights are, got one on pretended:0; .* on the layer or the net"
    with pytest.raises(ShapeError, match=words):
        make()(*(moved(one, pretended.device) for one in given))
