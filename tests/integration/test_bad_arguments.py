"""None, a list or a word in the place of each argument of a public function: an error that says what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import toothgraph.nn as layers
from toothgraph import graph, transforms
from toothgraph.errors import ConfigError, ShapeError, check_number
from toothgraph.graph import GraphSpec
from toothgraph.mesh.mesh import Mesh

X = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
TABLE = torch.arange(18).view(2, 9) % 9
EDGES = torch.stack([torch.arange(9), torch.arange(9).roll(1)])
ZEROS = torch.zeros(9, dtype=torch.long)
WRONG = (None, [1], "a")
AS_WELL = {  # what may be given there
    ("crop", 1): [1], ("crop_table", 1): [1], ("dilated_tables", 2): [1], ("PairGeometryConv", 1): [1],
    ("Pyramid", 0): [1], ("two_views", 3): "a",
}  # fmt: skip


def calls(mesh: Mesh, data: Data, spec: GraphSpec) -> dict[str, tuple[Callable, list]]:
    rng = np.random.default_rng(0)
    pos, edges = data.pos.numpy(), data.edge_index.numpy()
    view = transforms.two_views([data], 0, 0, "a", transforms.ViewOptions())[0]
    return {
        "gather_max": (layers.gather_max, [X, TABLE]),
        "pair_features": (layers.pair_features, [X, X, TABLE, 1.0]),
        "knn_edges": (layers.knn_edges, [X, 2, ZEROS]),
        "info_nce": (layers.info_nce, [X, X]),
        "match_top1": (layers.match_top1, [X, X, ZEROS]),
        "segmentation_loss": (layers.segmentation_loss, [X.log_softmax(1), ZEROS]),
        "boundary_weights": (layers.boundary_weights, [ZEROS, EDGES, 1.0]),
        "calling FastEdgeConv": (layers.FastEdgeConv(3, 4), [X, EDGES]),
        "calling FastDynamicEdgeConv": (layers.FastDynamicEdgeConv(torch.nn.Linear(6, 4), 2), [X]),
        "calling MLPEdgeConv": (layers.MLPEdgeConv(3, 4, k=2), [X, EDGES]),
        "calling TransformNet": (layers.TransformNet(3, 2), [X, EDGES, ZEROS, 1]),
        "calling PairGeometryConv": (layers.PairGeometryConv(2, (1.0,), 4), [X, X, TABLE]),
        "FastEdgeConv": (layers.FastEdgeConv, [3, 4]),
        "FastDynamicEdgeConv": (layers.FastDynamicEdgeConv, [torch.nn.Linear(6, 4), 3]),
        "PairGeometryConv": (layers.PairGeometryConv, [2, (1.0,), 4]),
        "Pyramid": (layers.Pyramid, [(8, 8), 2]),
        "face_features": (graph.face_features, [mesh]),
        "face_graph": (graph.face_graph, [mesh]),
        "surface_centre": (graph.surface_centre, [mesh]),
        "to_networkx": (graph.to_networkx, [data]),
        "crop_table": (graph.crop_table, [data.neighbor_index.numpy(), np.arange(3)]),
        "dilated_tables": (graph.dilated_tables, [pos, 2, (0.0,)]),
        "knn_table": (graph.knn_table, [pos, 2]),
        "ring_table": (graph.ring_table, [edges, len(pos), 1]),
        "thin": (graph.thin, [pos, 1.0]),
        "add_tables": (graph.add_tables, [data.clone(), spec]),
        "scan_graph": (graph.scan_graph, [mesh, spec]),
        "face_adjacency": (graph.face_adjacency, [mesh.faces]),
        "label_pieces": (graph.label_pieces, [data.y.numpy(), edges]),
        "augment": (transforms.augment, [data, rng, transforms.Augmentation()]),
        "close_gap": (transforms.close_gap, [data, rng, spec]),
        "crop": (transforms.crop, [data, np.arange(5)]),
        "cut_region": (transforms.cut_region, [data, np.zeros(3), 5]),
        "remove_parts": (transforms.remove_parts, [data, rng, transforms.Removal(), spec]),
        "trimmed": (transforms.trimmed, [data, 2.0]),
        "without_teeth": (transforms.without_teeth, [data, rng]),
        "RandomRotate": (transforms.RandomRotate, [30.0]),
        "calling RandomRotate": (transforms.RandomRotate(), [data]),
        "match": (transforms.match, [data, data, 0.4]),
        "spread_candidates": (transforms.spread_candidates, [view, 1.0]),
        "two_views": (transforms.two_views, [[data], 0, 0, "a", transforms.ViewOptions()]),
    }


def test_each_argument(arch: Mesh, arch_graph: Data, small_spec: GraphSpec) -> None:
    let_through = []
    for name, (function, arguments) in calls(arch, arch_graph, small_spec).items():
        function(*arguments)
        for place in range(len(arguments)):
            for wrong in WRONG:
                if wrong == AS_WELL.get((name, place)):
                    continue
                given: list[Any] = [*arguments]
                given[place] = wrong
                try:
                    function(*given)
                except (ShapeError, ConfigError) as error:
                    if "expected" not in str(error) and "needs" not in str(error):
                        let_through.append((name, place, wrong, str(error)))
                except Exception as error:
                    let_through.append((name, place, wrong, repr(error)))
                else:
                    let_through.append((name, place, wrong, "taken"))
    assert not let_through


@pytest.mark.parametrize(
    ("limits", "fits", "wrong", "message"),
    [
        ({"least": 1, "whole": True}, 1, [0, 1.5, True, None, "1"], "of at least 1, a whole number"),
        ({"above": 0}, 0.1, [0, -1, float("nan"), float("inf")], "above 0"),
        ({"above": 0, "most": 180}, 180, [181, [1]], "above 0 and at most 180"),
        ({}, -3.0, [float("inf"), 1j], "as a finite number"),
    ],
)
def test_numbers(limits: dict, fits: float, wrong: list, message: str) -> None:
    check_number("it", fits, **limits)
    for value in wrong:
        with pytest.raises(ConfigError, match=f"expected it {message}, got "):
            check_number("it", value, **limits)
