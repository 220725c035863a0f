from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from toothgraph.errors import ShapeError
from toothgraph.graph import crop_table, dilated_tables, knn_table, ring_table, thin, to_networkx
from toothgraph.graph.neighbors import surface_table

CHAIN = np.array([[0, 1, 1, 2, 2, 3, 3, 4], [1, 0, 2, 1, 3, 2, 4, 3]])


def points(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=5, size=(n, 3))


def brute_force(pos: np.ndarray, k: int, pool: np.ndarray) -> np.ndarray:
    table = np.empty((k, len(pos)), dtype=np.int64)
    for n, p in enumerate(pos):
        others = pool[pool != n]
        near = others[np.argsort(np.linalg.norm(pos[others] - p, axis=1))][:k]
        table[:, n] = np.concatenate([near, np.full(k - len(near), n)])
    return table


@pytest.mark.parametrize("n, k", [(60, 5), (60, 1), (6, 5), (4, 9), (1, 3)])
def test_knn_against_brute_force(n: int, k: int) -> None:
    pos = points(n)
    table = knn_table(pos, k)
    assert table.shape == (k, n)
    assert table.dtype == np.int64
    assert np.array_equal(table, brute_force(pos, k, np.arange(n)))


@pytest.mark.parametrize("size", [1, 3, 20])
def test_knn_among_candidates(size: int) -> None:
    pos = points(60)
    pool = np.random.default_rng(1).permutation(60)[:size]
    assert np.array_equal(knn_table(pos, 5, pool), brute_force(pos, 5, pool))
    assert np.array_equal(knn_table(pos, 5, pool, workers=2), brute_force(pos, 5, pool))


def test_knn_without_candidates_or_points() -> None:
    nobody = np.zeros(0, dtype=np.int64)
    assert knn_table(points(3), 2, nobody).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert knn_table(np.zeros((0, 3)), 2).shape == (2, 0)


def test_knn_of_points_in_the_same_place() -> None:
    pos = np.repeat(points(4), 5, axis=0)  # five of each
    table = knn_table(pos, 4)
    assert np.array_equal(np.sort(table // 5, axis=0), np.tile(np.repeat(np.arange(4), 5), (4, 1)))
    assert (table != np.arange(20)).all()
    assert all(len(set(column)) == 4 for column in table.T.tolist())


def test_knn_with_more_twins_than_neighbours() -> None:
    table = knn_table(np.zeros((9, 3)), 3)
    assert (table != np.arange(9)).all()
    assert all(len(set(column)) == 3 for column in table.T.tolist())


def test_thin_keeps_one_point_per_cube_nearest_to_its_centre() -> None:
    pos = np.array([[0.1, 0.5, 0.5], [0.4, 0.5, 0.5], [1.2, 0.5, 0.5], [-0.2, 0.5, 0.5], [-0.4, 0.5, 0.5]])
    assert thin(pos, 1.0).tolist() == [1, 2, 4]
    assert thin(np.zeros((0, 3)), 1.0).tolist() == []


def test_thin_fills_every_cube_once_whatever_the_order() -> None:
    pos = points(300)
    chosen = thin(pos, 2.5)
    cells = set(map(tuple, np.floor(pos / 2.5).astype(int).tolist()))
    assert len(chosen) == len(cells)
    assert set(map(tuple, np.floor(pos[chosen] / 2.5).astype(int).tolist())) == cells
    order = np.random.default_rng(3).permutation(300)
    assert set(order[thin(pos[order], 2.5)]) == set(chosen)


def test_dilated_tables_are_nested() -> None:
    pos = points(400)
    spacings = (0.0, 2.0, 4.0, 8.0)
    table, level = dilated_tables(pos, 5, spacings)
    assert table.shape == (20, 400)
    nodes = np.arange(400)
    for number, rows in enumerate(np.split(table, 4)):
        if number:
            kept = nodes[thin(pos[nodes], spacings[number])]
            assert 0 < len(kept) < len(nodes)
            nodes = kept
        assert np.array_equal(np.flatnonzero(level >= number), nodes)
        missing = rows == np.arange(400)
        assert (level[rows][~missing] >= number).all()
        assert np.array_equal(rows, brute_force(pos, 5, nodes))


def test_no_level_no_table() -> None:
    table, level = dilated_tables(points(7), 5, ())
    assert table.shape == (0, 7)
    assert level.tolist() == [0] * 7


def test_rings_of_a_chain_by_hand() -> None:
    one = ring_table(CHAIN, 5, 1)
    assert one.tolist() == [[1, 0, 1, 2, 3], [0, 2, 3, 4, 4]]
    two = ring_table(CHAIN, 5, 2)
    assert two.tolist() == [[1, 0, 1, 2, 3], [2, 2, 3, 4, 2], [0, 3, 0, 1, 4], [0, 1, 4, 3, 4]]


def test_rings_are_cut_or_filled_to_k() -> None:
    full = ring_table(CHAIN, 5, 2)
    assert np.array_equal(ring_table(CHAIN, 5, 2, k=2), full[:2])
    longer = ring_table(CHAIN, 5, 2, k=6)
    assert np.array_equal(longer[:4], full)
    assert (longer[4:] == np.arange(5)).all()


def test_rings_without_edges() -> None:
    nothing = np.zeros((2, 0), dtype=np.int64)
    assert ring_table(nothing, 3, 2).shape == (0, 3)
    assert ring_table(nothing, 3, 2, k=2).tolist() == [[0, 1, 2]] * 2


@pytest.mark.parametrize("rings", [1, 3])
def test_rings_against_networkx(arch_graph: Data, rings: int) -> None:
    table = ring_table(arch_graph.edge_index.numpy(), arch_graph.num_nodes, rings)
    graph = to_networkx(arch_graph)
    largest = 0
    for node in graph:
        steps = nx.single_source_shortest_path_length(graph, node, cutoff=rings)
        expected = sorted((s, n) for n, s in steps.items() if n != node)
        largest = max(largest, len(expected))
        assert table[: len(expected), node].tolist() == [n for _, n in expected]
        assert (table[len(expected) :, node] == node).all()
    assert len(table) == largest


def test_crop_table_by_hand() -> None:
    table = np.array([[1, 2, 3, 2], [3, 3, 0, 1]])
    # kept in the order 3, 1: node 3 becomes 0 and node 1 becomes 1; 2 is cut away
    assert crop_table(table, np.array([3, 1])).tolist() == [[0, 1], [1, 0]]
    assert np.array_equal(crop_table(table, np.arange(4)), table)
    assert crop_table(table, np.zeros(0, dtype=np.int64)).shape == (2, 0)


def test_nearest_along_the_surface_against_networkx(arch_graph: Data) -> None:
    pos, edges = arch_graph.pos.numpy(), arch_graph.edge_index.numpy()
    pool = np.arange(0, len(pos), 7)
    table = surface_table(pos, edges, 4, pool)
    graph = nx.Graph()
    graph.add_weighted_edges_from((a, b, np.linalg.norm(pos[a] - pos[b])) for a, b in edges.T.tolist())
    for node in range(0, len(pos), 41):
        far = nx.single_source_dijkstra_path_length(graph, node)
        expected = sorted((far[other], other) for other in pool.tolist() if other != node and other in far)[:4]
        found = [(far[other], other) for other in table[:, node].tolist()]
        assert np.allclose([d for d, _ in expected], [d for d, _ in found], atol=1e-4)


def test_no_path_no_neighbour() -> None:
    pos = np.arange(5.0)[:, None] * [1, 0, 0]
    edges = np.array([[0, 1, 3, 4], [1, 0, 4, 3]])
    assert surface_table(pos, edges, 2, np.array([0, 3])).tolist() == [[0, 0, 2, 3, 3], [0, 1, 2, 3, 4]]


def test_tables_along_the_surface_keep_to_their_levels(arch_graph: Data) -> None:
    pos, edges = arch_graph.pos.numpy(), arch_graph.edge_index.numpy()
    table, level = dilated_tables(pos, 3, (0.0, 4.0), edges)
    plain, same = dilated_tables(pos, 3, (0.0, 4.0))
    assert table.shape == plain.shape and np.array_equal(level, same)
    assert np.array_equal(table[:3], ring_table(edges, len(pos), 3, 3))
    own = table[3:] == np.arange(len(pos))
    assert (level[table[3:]] >= np.where(own, 0, 1)).all()
    assert not np.array_equal(table[3:], plain[3:])


def test_the_positions_of_a_graph_are_taken_as_they_are() -> None:
    pos = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)) * 20
    of_tensor, of_array = (dilated_tables(each, 4, (0.0, 4.0)) for each in (pos, pos.numpy()))  # type: ignore[arg-type]
    assert all(np.array_equal(*pair) for pair in zip(of_tensor, of_array, strict=True))
    assert np.array_equal(thin(pos, 4.0), thin(pos.numpy(), 4.0))  # type: ignore[arg-type]


def test_positions_that_are_not_finite_are_named() -> None:
    pos = np.zeros((4, 3))
    pos[2, 1] = np.nan
    for call in (lambda: knn_table(pos, 2), lambda: thin(pos, 1.0), lambda: dilated_tables(pos, 2, [0.0])):
        with pytest.raises(ShapeError, match="finite numbers, got others at node 2"):
            call()
