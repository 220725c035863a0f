from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_geometric.transforms as T
from torch_geometric.data import Data

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.graph import GraphSpec
from toothgraph.transforms import Removal, ViewOptions, crop, cut_region, remove_parts, two_views


def test_nodes_are_named_by_numbers_or_by_a_mask(arch_graph: Data) -> None:
    mask = np.zeros(arch_graph.num_nodes, dtype=bool)
    mask[[3, 5, 8, 40]] = True
    expected = crop(arch_graph, np.array([3, 5, 8, 40]))
    assert torch.equal(expected.pos, arch_graph.pos[[3, 5, 8, 40]])
    for keep in (mask, torch.from_numpy(mask), [3, 5, 8, 40], torch.tensor([3, 5, 8, 40])):
        out = crop(arch_graph, keep)
        assert torch.equal(out.pos, expected.pos) and torch.equal(out.neighbor_index, expected.neighbor_index)


@pytest.mark.parametrize("keep", [[-1], [10**6], [[0, 1]], [0.5], [True, False]])
def test_nodes_that_are_not_there(arch_graph: Data, keep: list) -> None:
    with pytest.raises(ShapeError, match=f"from 0 to {arch_graph.num_nodes - 1}, or one bool per node, got"):
        crop(arch_graph, np.array(keep))


def test_nodes_that_are_named_twice(arch_graph: Data) -> None:
    with pytest.raises(ShapeError, match="each node to keep once"):
        crop(arch_graph, np.array([0, 0, 1]))


def test_what_cannot_be_cut(arch_graph: Data) -> None:
    with pytest.raises(ConfigError, match=r"region \(nodes\) of at least 1, a whole number, got 0"):
        cut_region(arch_graph, np.zeros(3), 0)
    bare = Data(pos=arch_graph.pos)
    for cut in (lambda: crop(bare, np.array([0])), lambda: cut_region(bare, np.zeros(3), 5)):
        with pytest.raises(ShapeError, match=r"graph with edge_index \[2, E\], got one without"):
            cut()


def test_fields_of_a_user_are_cut_with_the_rest(arch_graph: Data) -> None:
    graph = arch_graph.clone()
    nodes, edges = graph.num_nodes, graph.num_edges
    graph.curvature, graph.names = torch.arange(nodes), [f"face {n}" for n in range(nodes)]
    graph.array, graph.edge_attr = np.arange(nodes), torch.arange(edges)
    graph.far_index = torch.arange(nodes).roll(1)
    graph.whole = torch.arange(7)
    keep = np.array([8, 3, 40, 5, 39])
    out = crop(graph, keep)
    assert out.curvature.tolist() == out.array.tolist() == keep.tolist()
    assert out.names == [f"face {n}" for n in keep]
    assert torch.equal(graph.edge_index[:, out.edge_attr], torch.from_numpy(keep)[out.edge_index])
    assert out.far_index.tolist() == [0, 1, 4, 3, 4]  # 39 is before 40; others point outside, so to themselves
    assert torch.equal(out.whole, graph.whole) and "curvature" in graph and len(graph.curvature) == nodes
    sized = Data(edge_index=torch.tensor([[0], [1]]), num_nodes=4)
    assert crop(sized, np.array([1, 2])).num_nodes == 2


def test_faces_follow_their_corners() -> None:
    square = Data(pos=torch.rand(4, 3), face=torch.tensor([[0, 1], [1, 3], [2, 2]]), y=torch.arange(4))
    out = crop(T.FaceToEdge(remove_faces=False)(square), np.array([3, 2, 1]))
    assert out.y.tolist() == [3, 2, 1] and out.face.tolist() == [[2], [0], [1]]
    stale = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), face=torch.tensor([[0], [1], [9]]), num_nodes=4)
    with pytest.raises(ShapeError, match="expected face from 0 to 3, of 4 nodes, got 0 to 9"):
        crop(stale, np.array([1]))


@pytest.mark.parametrize("centre", [[np.nan, 0, 0], [0, np.inf, 0], [0, 0], ["0", "0", "0"], 3.0])
def test_a_centre_is_a_point(arch_graph: Data, centre: object) -> None:
    with pytest.raises(ShapeError, match=r"expected centre \[3\] mm, three finite numbers, got"):
        cut_region(arch_graph, centre, 5)


def test_edges_that_are_there_twice_are_no_longer(arch_graph: Data) -> None:
    graph, half = arch_graph.clone(), arch_graph.edge_index[:, arch_graph.pos[arch_graph.edge_index[0], 2] > 0]
    graph.edge_index = torch.cat([graph.edge_index, half], dim=1)
    centre = np.zeros(3)
    assert np.array_equal(cut_region(graph, centre, 150), cut_region(arch_graph, centre, 150))


def test_a_graph_without_nodes(arch_graph: Data, small_spec: GraphSpec) -> None:
    empty, rng = crop(arch_graph, np.array([], dtype=int)), np.random.default_rng(0)
    for call in (
        lambda: cut_region(empty, np.zeros(3), 1),
        lambda: two_views([empty], 0, 0, "a", ViewOptions()),
        lambda: remove_parts(empty, rng, Removal(), small_spec),
    ):
        with pytest.raises(ShapeError, match="graph with nodes, got one with none"):
            call()


def test_a_region_has_a_node(arch_graph: Data, small_spec: GraphSpec) -> None:
    few = crop(arch_graph, np.arange(3))
    for seed in range(40):
        assert all(view.num_nodes >= 1 for view in two_views([few], seed, 0, "a", ViewOptions(min_share=0)))
    one = crop(arch_graph, np.arange(1))
    for seed in range(20):
        assert remove_parts(one, np.random.default_rng(seed), Removal(region=1.0), small_spec).num_nodes == 1


def test_lists_of_nodes_cannot_be_cut(arch_graph: Data) -> None:
    view = arch_graph.clone()
    view.match_index = torch.tensor([0, 5])
    with pytest.raises(ShapeError, match=r"match_index with a column for each .* got \[2\]: .* crop before it is made"):
        crop(view, np.array([5]))


def test_tables_that_torch_geometric_left_behind_are_named(arch_graph: Data) -> None:
    stale = arch_graph.subgraph(torch.arange(40, 60))
    with pytest.raises(ShapeError, match=r"neighbor_index: .* from 0 to 19, of 20 .*cut before, without its tables"):
        crop(stale, np.arange(10))
