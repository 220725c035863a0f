"""Numbers of vertices, faces and nodes that are not there: an error, before compiled code writes elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from toothgraph.errors import ShapeError
from toothgraph.graph import (
    crop_table,
    dilated_tables,
    face_adjacency,
    knn_table,
    label_pieces,
    ring_table,
    to_networkx,
)
from toothgraph.graph.neighbors import surface_distance, surface_table
from toothgraph.mesh.topology import border_edges
from toothgraph.transforms import crop

POS = np.random.default_rng(0).normal(size=(5, 3))
EDGES = np.array([[0, 1, 2, 3], [1, 2, 3, 4]])
TABLE = np.array([[1, 2, 3, 4, 0]])
GRAPH = Data(x=torch.zeros(5, 3), edge_index=torch.from_numpy(EDGES), neighbor_index=torch.from_numpy(TABLE))


def other(index: np.ndarray, value: float) -> np.ndarray:
    wrong = index.astype(type(value))
    wrong.flat[0] = value
    return wrong


def cropped(edge: int, near: int) -> Data:
    graph = GRAPH.clone()
    graph.edge_index[0, 0], graph.neighbor_index[0, 0] = edge, near
    return crop(graph, np.arange(4))


TAKES: dict[str, Callable[[float], Any]] = {
    "face_adjacency": lambda wrong: face_adjacency(other(np.array([[0, 1, 2], [0, 2, 3]]), wrong)),
    "border_edges": lambda wrong: border_edges(other(np.array([[0, 1, 2], [0, 2, 3]]), wrong)),
    "label_pieces": lambda wrong: label_pieces(np.zeros(5), other(EDGES, wrong)),
    "knn_table": lambda wrong: knn_table(POS, 2, other(np.array([0, 1, 2]), wrong)),
    "surface_distance": lambda wrong: surface_distance(POS, other(EDGES, wrong), 0),
    "surface_distance, start": lambda wrong: surface_distance(POS, EDGES, other(np.array([0, 1]), wrong)),
    "surface_table": lambda wrong: surface_table(POS, EDGES, 2, other(np.array([0, 1]), wrong)),
    "dilated_tables": lambda wrong: dilated_tables(POS, 2, (0.0,), other(EDGES, wrong)),
    "to_networkx": lambda wrong: to_networkx(Data(pos=torch.zeros(5, 3), edge_index=torch.tensor(other(EDGES, wrong)))),
    "ring_table": lambda wrong: ring_table(other(EDGES, wrong), 5, 2),
    "crop_table": lambda wrong: crop_table(other(TABLE, wrong), np.arange(3)),
    "crop_table, keep": lambda wrong: crop_table(TABLE, other(np.arange(3), wrong)),
}


@pytest.mark.parametrize("wrong", [-1, -(2**40), 1.5, float("nan")])
@pytest.mark.parametrize("name", TAKES)
def test_what_is_no_index(name: str, wrong: float) -> None:
    with pytest.raises(ShapeError, match=r"expected .*(whole numbers|from 0|of at least 0)"):
        TAKES[name](wrong)


@pytest.mark.parametrize("name", [name for name in TAKES if name not in ("face_adjacency", "border_edges")])
def test_what_is_not_there(name: str) -> None:
    with pytest.raises(ShapeError, match=r"from 0 to 4, of 5 .*, got \d+ to 5"):
        TAKES[name](5)


@pytest.mark.parametrize(("edge", "near"), [(-1, 0), (9, 0), (0, -1), (0, 9)])
def test_a_graph_with_fields_of_another(edge: int, near: int) -> None:
    """As ``Data.subgraph`` of torch_geometric leaves them: it cuts the edges, not the tables."""
    with pytest.raises(ShapeError, match=f"{'neighbor_index' if near else 'edge_index'}"):
        cropped(edge, near)


def test_shapes() -> None:
    for faces in (np.zeros((3, 4), int), np.zeros(3, int)):
        for function in (face_adjacency, border_edges):
            with pytest.raises(ShapeError, match=r"faces \[F, 3\]"):
                function(faces)
    with pytest.raises(ShapeError, match=r"edge_index \[2, E\], got \[4, 2\]"):
        label_pieces(np.zeros(5), EDGES.T)
    with pytest.raises(ShapeError, match="once"):
        crop_table(TABLE, np.array([0, 0, 1]))


def test_numbers_far_apart_need_no_memory() -> None:
    faces = np.array([[0, 1, 2**40], [1, 2**40, 5]])
    assert face_adjacency(faces).tolist() == [[0, 1], [1, 0]]
    assert sorted(border_edges(faces).tolist()) == [[0, 1], [5, 1], [2**40, 0], [2**40, 5]]
