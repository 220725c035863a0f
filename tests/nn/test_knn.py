from __future__ import annotations

import pytest
import torch

from toothgraph.nn import knn_edges


def neighbours(edge_index: torch.Tensor, nodes: int) -> list[set[int]]:
    source, target = edge_index
    return [set(source[target == node].tolist()) for node in range(nodes)]


@pytest.mark.parametrize("channels", [3, 6])  # by a k-d tree; by products
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_against_brute_force(block: int, channels: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(50, channels) + 20  # far from the origin
    edge_index = knn_edges(x, 5, torch.zeros(50, dtype=torch.long), block=block)
    assert edge_index.shape == (2, 250)
    nearest = torch.cdist(x.double(), x.double()).topk(5, largest=False).indices
    found = neighbours(edge_index, 50)
    assert found == [set(row) for row in nearest.tolist()]
    assert all(node in near for node, near in enumerate(found))


@pytest.mark.parametrize("channels", [3, 6])
def test_scans_stay_apart_and_small_ones_use_all_their_nodes(channels: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(14, channels)
    batch = torch.tensor([0] * 10 + [2] * 3 + [3])  # scan 1 has no nodes
    found = neighbours(knn_edges(x, 4, batch), 14)
    alone = neighbours(knn_edges(x[:10], 4, batch[:10]), 10)
    assert found == [*alone, *[{10, 11, 12}] * 3, {13}]


def test_no_nodes() -> None:
    assert knn_edges(torch.zeros(0, 6), 4, torch.zeros(0, dtype=torch.long)).shape == (2, 0)
    assert knn_edges(torch.zeros(0, 3), 4, torch.zeros(0, dtype=torch.long)).shape == (2, 0)


def test_autocast_does_not_coarsen_distances() -> None:
    torch.manual_seed(0)
    x, batch = torch.randn(200, 15), torch.zeros(200, dtype=torch.long)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = knn_edges(x, 8, batch)
    assert torch.equal(found, knn_edges(x, 8, batch))


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("channels", [3, 6])
def test_a_row_that_is_not_finite_leaves_the_others_their_neighbours(channels: int, wrong: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(40, channels)
    x[17, 1] = wrong
    others = torch.arange(40) != 17
    found = neighbours(knn_edges(x, 5, torch.zeros(40, dtype=torch.long), block=16), 40)
    nearest = torch.cdist(x[others], x[others]).topk(5, largest=False).indices
    assert [found[node] for node in others.nonzero().flatten()] == [
        set(others.nonzero().flatten()[row].tolist()) for row in nearest
    ]
    assert len(found[17]) == 5
    assert knn_edges(x, 0, torch.zeros(40, dtype=torch.long)).shape == (2, 0)
    asked = knn_edges(x[others], 3, torch.zeros(39, dtype=torch.long), 16, x, torch.zeros(40, dtype=torch.long))
    assert asked.shape == (2, 120) and int(asked[0].max()) < 39


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("apart", [1e4, 1e6])
def test_clusters_far_apart(apart: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(300, 16, dtype=dtype)
    x[150:] += apart
    found = neighbours(knn_edges(x, 6, torch.zeros(300, dtype=torch.long), block=64), 300)
    exact = torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist")
    nearest = exact.topk(6, largest=False).indices.tolist()
    assert sum(len(ours & set(theirs)) for ours, theirs in zip(found, nearest, strict=True)) == 6 * 300


def test_equal_features_are_found() -> None:
    x = torch.ones(40, 5)
    assert knn_edges(x, 3, torch.zeros(40, dtype=torch.long)).shape == (2, 120)
