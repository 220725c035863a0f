"""Misuse of what makes and takes graphs: each error says what was expected, what was found, and what makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.graph import (
    GraphSpec,
    add_tables,
    crop_table,
    dilated_tables,
    face_graph,
    knn_table,
    ring_table,
    scan_graph,
    thin,
    to_networkx,
)
from toothgraph.graph.fields import check_fields
from toothgraph.mesh.mesh import Mesh

POS = np.random.default_rng(0).normal(size=(9, 3))
EDGES = np.stack([np.arange(9), np.roll(np.arange(9), 1)])


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (Data(pos=torch.zeros(4, 3)), "normal", r"a graph with normal \[N, 3\].*one without; toothgraph.face_graph"),
        (Data(pos=torch.zeros(4, 3)), "y", "class indices, got one without; .*toothgraph.read_scan"),
        (Data(pos=torch.zeros(4, 3)), "neighbor_index", "toothgraph.graph.add_tables"),
        (Data(pos=torch.zeros(4, 2)), "pos", r"\(N = 4\), got \[4, 2\]"),
        (Data(pos=torch.zeros(4, 3), y=torch.zeros(5)), "y", r"y \[N\] class indices \(N = 4\), got \[5\]"),
        (Data(pos=np.zeros((4, 3))), "pos", "as a tensor, got an ndarray"),
        (torch.zeros(4, 3), "pos", r"a graph \(torch_geometric.data.Data\), got a Tensor; .* makes one"),
    ],
)
def test_fields_that_are_missing_or_of_another_shape(data: Any, name: str, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        check_fields(data, name)


CASES: list[tuple[Callable[[], Any], type, str]] = [
    (lambda: face_graph("scan.ply"), ShapeError, "a Mesh, got str; toothgraph.read_scan"),
    (lambda: scan_graph(POS, GraphSpec()), ShapeError, r"a Mesh, got ndarray.*toothgraph\.Mesh\(vertices, faces\)"),
    (lambda: to_networkx(Data(edge_index=torch.from_numpy(EDGES), num_nodes=9)), ShapeError, "graph with pos"),
    (lambda: add_tables(Data(num_nodes=9), GraphSpec()), ShapeError, "graph with pos"),
    (lambda: knn_table(POS, -1), ConfigError, "k of at least 0, a whole number, got -1"),
    (lambda: knn_table(POS[0], 3), ShapeError, r"positions \[N, 3\], got \[3\]"),
    (lambda: dilated_tables(POS, 0, (0.0,)), ConfigError, "k of at least 1"),
    (lambda: dilated_tables(POS, 2, (3.0, 0.0)), ConfigError, "increasing order"),
    (lambda: dilated_tables(POS, 2, 3.0), ConfigError, "one per level, got 3.0"),  # type: ignore[arg-type]
    (lambda: thin(POS, 0.0), ConfigError, "above 0"),
    (lambda: ring_table(EDGES, 5, 1), ShapeError, "from 0 to 4, of 5 nodes, got 0 to 8"),
    (lambda: ring_table(EDGES.T, 9, 1), ShapeError, r"edge_index \[2, E\], got \[9, 2\]"),
    (lambda: ring_table(EDGES, 9, 0), ConfigError, "rings of at least 1"),
    (lambda: crop_table(EDGES, np.array([9])), ShapeError, "from 0 to 8, of 9 columns of the table, got 9 to 9"),
]


@pytest.mark.parametrize(("call", "error", "message"), CASES)
def test_what_does_not_fit_is_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_tables_are_added_to_a_face_graph(arch: Mesh, small_spec: GraphSpec) -> None:
    whole = GraphSpec(faces=len(arch.faces), k=small_spec.k)
    added, expected = add_tables(face_graph(arch), whole), scan_graph(arch, whole)[0]
    assert torch.equal(added.neighbor_index, expected.neighbor_index) and torch.equal(added.level, expected.level)
