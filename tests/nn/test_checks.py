"""Misuse of layers and losses: each error says what was expected, what was found, and what to do."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.data import Data
from torch_geometric.transforms import RandomRotate as TurnsPositionsOnly
from torch_geometric.utils import dense_to_sparse, to_torch_csr_tensor

from toothgraph.data.scan import prepare_scan
from toothgraph.errors import ConfigError, ShapeError
from toothgraph.graph import GraphSpec, knn_table, scan_graph
from toothgraph.io.find import find_scans
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.model.backbone import as_batch
from toothgraph.model.nets import check_jaw
from toothgraph.nn import (
    FastDynamicEdgeConv,
    FastEdgeConv,
    InfoNCE,
    MLPEdgeConv,
    PairGeometryConv,
    Pyramid,
    TransformNet,
    boundary_weights,
    gather_max,
    info_nce,
    knn_edges,
    match_top1,
    pair_features,
    reduce_neighbors,
    segmentation_loss,
)
from toothgraph.nn.checks import warn_of_other_normals
from toothgraph.nn.cross_edge_conv import CrossEdgeConv
from toothgraph.nn.kernels.neighborhoods import from_table
from toothgraph.nn.pyramid import find_levels
from toothgraph.synthetic import synthetic_arch
from toothgraph.transforms import Augmentation, RandomRotate, augment

N = 9
X = torch.randn(N, 3, generator=torch.Generator().manual_seed(0))
TABLE = torch.arange(2 * N).view(2, N) % N
EDGES = torch.stack([torch.arange(N), torch.arange(N).roll(1)])
ZEROS = torch.zeros(N, dtype=torch.long)
GRAPH = Data(x=X, pos=X, edge_index=EDGES)
LOG_PROB = X.log_softmax(dim=1)
conv = FastEdgeConv(3, 4)
mlp = MLPEdgeConv(3, 4, k=2)
pair = PairGeometryConv(2, (1.0,), 4)


def sparse(edge_index: torch.Tensor) -> torch.Tensor:
    """The transposed adjacency, as torch_geometric's ToSparseTensor makes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch: its sparse tensors are in beta
        return to_torch_csr_tensor(edge_index.flip(0), size=(N, N))


IN_CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "columns": (lambda: FastEdgeConv(4, 4)(X, EDGES), r"x \[N, 4\], got \[9, 3\] of float32"),
    "a vector": (lambda: conv(X[0], EDGES), r"x \[N, 3\], got \[3\]"),
    "a graph": (lambda: conv(GRAPH), r"got a Data; a layer takes the tensors of a graph, such as data\.x"),
    "an array": (lambda: conv(X.numpy(), EDGES), r"got an ndarray; torch\.from_numpy\(x\)"),
    "array of edges": (lambda: conv(X, EDGES.numpy()), r"got an ndarray; torch\.from_numpy\(edge_index\)"),
    "array as a table": (lambda: conv(X, neighbor_index=TABLE.numpy()), r"got an ndarray; torch\.from_numpy\(table\)"),
    "no edges": (lambda: conv(X), r"edge_index \[2, E\] or neighbor_index= \[k, N\], got none; toothgraph\.scan_graph"),
    "edge_attr by place": (lambda: conv(X, EDGES, X), "got both; the third argument is .* by name: edge_attr="),
    "edge MLP": (
        lambda: FastDynamicEdgeConv(torch.nn.Linear(4, 2), 3)(X),
        "an edge MLP of 6 inputs, .* of 3 columns each, got one of 4 inputs for x with 3 columns, which takes x",
    ),
    "edge MLP with edge_dim": (
        lambda: FastEdgeConv(nn=torch.nn.Linear(6, 2), edge_dim=2)(X, EDGES, edge_attr=X[:, :2]),
        "an edge MLP of 8 inputs, .* and 2 of edge_attr, got one of 6",
    ),
    "three ends": (lambda: conv((X, X, X), EDGES), "a pair of sources and targets, got 3"),
    "one end": (lambda: conv((X, None), EDGES), r"targets \[N, 3\], got none"),
    "adj_t": (lambda: conv((X[:5], X), sparse(EDGES)), r"sparse adjacency \[9, 5\], .* got \[9, 9\]"),
    "dense": (lambda: conv(X, torch.ones(N, N)), "dense_to_sparse"),
    "transposed": (lambda: conv(X, EDGES.t()), r"got \[9, 2\] of int64; transpose it: edge_index\.t\(\)"),
    "table for edges": (lambda: conv(X, TABLE.repeat(2, 1)), "neighbor_index="),
    "int16 edges": (lambda: conv(X, EDGES.short()), r"edge_index of int64 or int32.*call \.long\(\)"),
    "a list": (lambda: conv(X, [[0], [1]]), r"edge_index \[2, E\], got a list"),
    "source": (lambda: conv(X, torch.tensor([[9], [0]])), "edge_index from 0 to 8, of 9 nodes, got 0 to 9"),
    "target": (lambda: conv(X, torch.tensor([[0], [-1]])), "got -1 to 0"),
    "far source": (lambda: conv((X[:5], X), torch.tensor([[5], [8]])), r"edge_index\[0\] from 0 to 4, of 5 nodes"),
    "table": (lambda: conv(X, neighbor_index=TABLE + 1), "got 1 to 9; for a missing neighbour, give the node itself"),
    "cut graph": (
        lambda: conv(X[:4], neighbor_index=TABLE[:, 5:]),
        "neighbor_index from 0 to 3.*transforms.crop cuts both",
    ),
    "float table": (lambda: conv(X, neighbor_index=TABLE.float()), r"int64 or int32.*\.long\(\)"),
    "mlp columns": (lambda: mlp(X[:, :2], EDGES), r"x \[N, 3\]"),
    "mlp adj_t": (lambda: mlp(X[:5], sparse(EDGES)), "sparse adjacency"),
    "mlp edges": (lambda: mlp(X, EDGES + 1), "got 1 to 9"),
    "mlp order": (lambda: mlp(X, EDGES.repeat(1, 2)), "2 edges to each node, sorted by node.*sort_edge_index"),
    "transform": (lambda: TransformNet(3, 2)(X, EDGES, ZEROS[:8], 1), r"batch \[9\], one value per node, got \[8\]"),
    "positions": (lambda: pair(X[:, :2], X, TABLE), r"pos \[N, 3\], got \[9, 2\]"),
    "whole numbers": (lambda: pair(X.long(), X, TABLE), r"pos of floating-point numbers.*\.float\(\)"),
    "normals": (lambda: pair(X, X[:5], TABLE), r"one shape and type.*\[5, 3\]"),
    "no normals": (lambda: pair(X, None, TABLE), r"normal \[N, 3\], got none"),
    "no table": (lambda: pair(X, X, None), r"neighbor_index \[2, 9\].*got none; toothgraph\.scan_graph"),
    "-1 for none": (lambda: pair(X, X, TABLE - 1), "got -1 to 7; for a missing neighbour, give the node itself"),
    "pairs": (lambda: pair_features(X, X, TABLE - 9, 1.0), "got -9 to -1"),
    "gather": (lambda: gather_max(X, TABLE + 1), "of 9 nodes, got 1 to 9"),
    "padded": (lambda: gather_max(X, TABLE + 2, padded=True), "of 10 nodes, got 2 to 10"),
    "a row": (lambda: gather_max(X, TABLE[0]), r"neighbor_index \[k, N\]"),
    "no bags": (lambda: reduce_neighbors(X, TABLE, "max"), r"Neighborhoods, got \[2, 9\] of int64; .*gather_max"),
    "no batch": (lambda: knn_edges(X, 2, None), r"batch \[9\].*zeros"),
    "short batch": (lambda: knn_edges(X, 2, ZEROS[:8]), r"batch \[9\].*got \[8\]"),
    "unsorted": (lambda: knn_edges(X, 2, torch.arange(N).flip(0)), "ascending"),
    "views": (lambda: info_nce(X.long(), X.long()), r"a \[P, D\] of floating-point numbers, got \[9, 3\] of int64"),
    "points": (lambda: info_nce(X, X, pos=X[:, :2], exclude_radius=1.0), r"pos \[N, 3\], got \[9, 2\]"),
    "scans": (lambda: info_nce(X, X, batch=ZEROS[:, None]), r"batch \[9\], one value per pair"),
    "candidates": (lambda: match_top1(X, X[:, :2], ZEROS), r"b \[N, 3\], got \[9, 2\]"),
    "partners": (lambda: match_top1(X, X, ZEROS[:8]), r"targets \[9\], one value per anchor"),
    "no anchors": (lambda: match_top1(X[:0], X, ZEROS[:0]), "needs anchors, got none"),
    "labels": (lambda: segmentation_loss(LOG_PROB, ZEROS[:8]), r"target \[9\], one value per node, got \[8\]"),
    "float labels": (lambda: segmentation_loss(LOG_PROB, ZEROS.float()), r"target of int64.*\.long\(\)"),
    "FDI": (lambda: segmentation_loss(LOG_PROB, ZEROS + 47), "0 to 2, .* got 47 to 47; .*fdi_to_class"),
    "mirrored labels": (lambda: segmentation_loss(LOG_PROB, ZEROS + 9), r"got 9 to 9; .* MirrorArch\(exchange=False\)"),
    "FDI of an upper jaw": (
        lambda: segmentation_loss(
            torch.zeros(17, 33).log_softmax(1), torch.tensor([0, *range(11, 19), *range(21, 29)])
        ),
        "got only 11 to 18 and 21 to 28, as FDI numbers of an upper jaw.*fdi_to_class",
    ),
    "logits": (lambda: segmentation_loss(X, ZEROS), r"log-probabilities.*log_softmax\(dim=1\)"),
    "weights": (lambda: segmentation_loss(LOG_PROB, ZEROS, weight=X[:, 0][:3]), r"weight \[9\]"),
    "border": (lambda: boundary_weights(ZEROS[:5], sparse(EDGES), 1.0), "sparse adjacency"),
    "no border": (lambda: boundary_weights(None, EDGES, 1.0), r"target \[N\], .* got none"),
    "list of labels": (lambda: boundary_weights([0] * N, EDGES, 1.0), r"target \[N\], .* got a list"),
    "list of scans": (lambda: info_nce(X, X, batch=[0] * N), "batch as a tensor.*got a list"),
    "no graph": (lambda: find_levels(None, 12, 4), "got none"),
    "no values": (lambda: reduce_neighbors(None, from_table(TABLE), "max"), r"x \[N, C\], got none"),
    "no candidates": (lambda: match_top1(X, X[:0], ZEROS), "needs candidates, got none"),
    "no such partner": (lambda: match_top1(X, X, ZEROS + 9), "targets from 0 to 8, of 9 candidates, got 9 to 9"),
    "negative weights": (lambda: segmentation_loss(LOG_PROB, ZEROS, weight=-X[:, 0].abs()), "weight of finite numbers"),
    "no weights": (lambda: segmentation_loss(LOG_PROB, ZEROS, weight=X[:, 0] * torch.nan), "weight of finite numbers"),
    "tables of another spec": (
        lambda: find_levels(Data(pos=X, neighbor_index=TABLE, level=ZEROS), 12, 4),
        r"12 neighbours at each of 4 levels, and level \[N\] \(N = 9\), got .*\[2, 9\].*GraphSpec with k=12",
    ),
    "levels of another net": (
        lambda: Pyramid([3, 4, 5])(X, find_levels(Data(pos=X, neighbor_index=TABLE, level=ZEROS + 1), 1, 2), ZEROS, 1),
        "expected 3 levels, one per width, got 2",
    ),
    "scans from -1": (lambda: knn_edges(X, 2, ZEROS - 1), "expected batch from 0, got -1"),
    "no tables": (lambda: find_levels(GRAPH, 12, 4), r"neighbor_index \[48, N\].*without neighbor_index and level;"),
}
OF_OPTIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "lazy": (lambda: FastEdgeConv(-1, 32), "in_channels of at least 1.*got -1; the first input does not set it"),
    "none": (lambda: FastEdgeConv(3, 0), "out_channels of at least 1, a whole number, got 0"),
    "half": (lambda: FastEdgeConv(3.0, 4), "got 3.0"),
    "no edge conv": (lambda: FastEdgeConv.from_pyg(torch.nn.Linear(2, 2)), "EdgeConv of torch_geometric, got a Linear"),
    "k": (lambda: MLPEdgeConv(3, 4, k=0), "k of at least 1"),
    "no layer": (lambda: MLPEdgeConv(3, k=2), r"one or more layers, got \[3\]"),
    "channels": (lambda: TransformNet(0, 2), "channels of at least 1"),
    "scales": (lambda: PairGeometryConv(2, 1.0, 4), "scales .* as a sequence.* got a float"),
    "scale 0": (lambda: PairGeometryConv(2, (0.0,), 4), r"above 0, got \[0.0\]"),
    "hidden": (lambda: PairGeometryConv(2, (1.0,), 4, 0), "hidden of at least 1"),
    "widths": (lambda: Pyramid(()), "widths as a sequence"),
    "norm": (lambda: Pyramid((8, 8), norm="group"), "norm batch or layer, got 'group'"),
    "temperature": (lambda: InfoNCE(temperature=0.0), "temperature above 0"),
    "radius": (lambda: InfoNCE(exclude_radius=-1.0), "exclude_radius"),
    "no temperature": (lambda: info_nce(X, X, temperature=torch.nan), "temperature above 0, got nan"),
    "no radius": (lambda: InfoNCE(exclude_radius=torch.inf), "exclude_radius .* got inf"),
    "scale nan": (lambda: pair_features(X, X, TABLE, torch.nan), "scale .* above 0, got nan"),
    "half a neighbour": (lambda: knn_edges(X, 1.5, ZEROS), "k of at least 0, a whole number, got 1.5"),
    "smoothing": (lambda: segmentation_loss(LOG_PROB, ZEROS, label_smoothing=2.0), "label_smoothing"),
    "neighbours": (lambda: knn_edges(X, -1, ZEROS), "k of at least 0"),
}


@pytest.mark.parametrize("case", IN_CALLS)
def test_tensors_that_do_not_fit(case: str) -> None:
    call, message = IN_CALLS[case]
    with pytest.raises(ShapeError, match=message):
        call()


@pytest.mark.parametrize("case", OF_OPTIONS)
def test_options_that_cannot_be(case: str) -> None:
    call, message = OF_OPTIONS[case]
    with pytest.raises(ConfigError, match=message):
        call()


GRAPH_OF_LEVELS = Data(pos=X, neighbor_index=TABLE, level=ZEROS)
META = {name: tensor.to("meta") for name, tensor in {"x": X, "table": TABLE, "edges": EDGES, "zeros": ZEROS}.items()}


def on_meta(graph: Data) -> Data:
    return graph.clone().to("meta")


ELSEWHERE: dict[str, Callable[[], Any]] = {
    "a table": lambda: conv(X, neighbor_index=META["table"]),
    "edges": lambda: conv(X, META["edges"]),
    "values": lambda: gather_max(META["x"], TABLE),
    "bags": lambda: reduce_neighbors(META["x"], from_table(TABLE), "max"),
    "sources": lambda: conv((META["x"], X), EDGES),
    "mlp": lambda: mlp(X, META["edges"]),
    "points": lambda: pair(X, META["x"], TABLE),
    "pairs": lambda: pair_features(X, X, META["table"], 1.0),
    "scans": lambda: knn_edges(X, 2, META["zeros"]),
    "views": lambda: info_nce(X, META["x"]),
    "of pairs": lambda: info_nce(X, X, batch=META["zeros"]),
    "candidates": lambda: match_top1(X, META["x"], ZEROS),
    "labels": lambda: segmentation_loss(LOG_PROB, META["zeros"]),
    "border": lambda: boundary_weights(ZEROS, META["edges"], 1.0),
    "transform": lambda: TransformNet(3, 2)(X, EDGES, META["zeros"], 1),
    "ends": lambda: reduce_neighbors(X, from_table(TABLE)._replace(ends=META["zeros"]), "max"),
    "targets": lambda: knn_edges(X, 2, ZEROS, targets=META["x"], target_batch=META["zeros"]),
    "of targets": lambda: knn_edges(X, 2, ZEROS, targets=X, target_batch=META["zeros"]),
    "dynamic": lambda: FastDynamicEdgeConv(torch.nn.Linear(6, 4), 2)(X, META["zeros"]),
    "edge values": lambda: FastEdgeConv(3, 4, edge_dim=3)(X, EDGES, edge_attr=META["x"]),
    "levels": lambda: Pyramid([3])(X, find_levels(on_meta(GRAPH_OF_LEVELS), 2, 1), ZEROS, 1),
    "scans of levels": lambda: Pyramid([3])(X, find_levels(GRAPH_OF_LEVELS, 2, 1), META["zeros"], 1),
    "next level": lambda: CrossEdgeConv(3, 3, 4)(X, META["x"], TABLE),
    "jaw": lambda: check_jaw(META["zeros"][:1], as_batch(GRAPH)),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_tensors_on_different_devices(case: str) -> None:
    with pytest.raises(ShapeError, match=r"on (cpu|meta), where [\w ]+ is, got one on (cpu|meta); call \.to\("):
        ELSEWHERE[case]()


edge_mlp = torch.nn.Sequential(torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 4))
LAYERS: dict[str, tuple[torch.nn.Module, tuple[torch.Tensor | None, ...], str]] = {
    "conv": (conv, (X, EDGES), "x"),
    "conv of a table": (conv, (X, None, TABLE), "x"),
    "edge MLP": (FastEdgeConv(nn=torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.GELU())), (X, EDGES), "x"),
    "edge MLP on edges": (FastEdgeConv(nn=edge_mlp), (X, EDGES), "x"),
    "mlp": (mlp, (X, EDGES), "x"),
    "pair": (pair, (X, X, TABLE), "pos"),
    "next level": (CrossEdgeConv(3, 3, 4), (X, X, TABLE), "source"),
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_on_another_device_than_its_graph(case: str) -> None:
    layer, given, name = LAYERS[case]
    there = [None if each is None else each.to("meta") for each in given]
    with pytest.raises(ShapeError, match=rf"expected {name} on cpu, where the weights are, got one on meta; call \.to"):
        layer(*there)
    with pytest.raises(ShapeError, match=rf"{name} on meta, .* got one on cpu; .*layer\.to_empty\(device='cpu'\)"):
        copy.deepcopy(layer).to("meta")(*given)


def test_weights_that_hooks_fetch_may_lie_elsewhere() -> None:
    """As where a part is kept on another device, and its hook fetches the weights in each call."""
    layer, wanted = copy.deepcopy(conv), conv(X, EDGES)
    held = {name: weight.detach().clone() for name, weight in layer.lin.named_parameters()}
    layer.lin.to("meta")

    def fetch(lin: torch.nn.Module, _: Any) -> None:
        lin.to_empty(device="cpu").load_state_dict(held)

    layer.lin.register_forward_pre_hook(fetch)
    torch.testing.assert_close(layer(X, EDGES), wanted)


def test_shapes_without_values() -> None:
    """Meta tensors: what a layer would give, without computing it."""
    x, table, edges = META["x"], META["table"], META["edges"]
    with torch.device("meta"):
        layer = FastEdgeConv(3, 4, "batch", "relu")
        several = MLPEdgeConv(3, 4, 5, k=2)
        normals = PairGeometryConv(2, (1.0,), 4)
    assert layer(x, neighbor_index=table).shape == layer(x, edges).shape == (N, 4)
    assert layer.eval()(x, edges).shape == (N, 4)
    assert several(x, edges).shape == (N, 5)
    assert normals(x, x, table).shape == (N, 4)
    assert gather_max(x, table, padded=True).shape == (N, 3)


@pytest.mark.parametrize("layer", [conv, mlp], ids=["conv", "mlp"])
def test_edges_in_other_forms(layer: Callable) -> None:
    wanted = layer(X, EDGES)
    assert torch.equal(layer(X, EDGES.int()), wanted)
    assert torch.equal(layer(X, EdgeIndex(EDGES, sparse_size=(N, N))), wanted)
    torch.testing.assert_close(layer(X, sparse(EDGES)), wanted)  # in another order
    border = boundary_weights(torch.arange(N), EDGES, 1.0)
    assert torch.equal(boundary_weights(torch.arange(N), sparse(EDGES), 1.0), border)


def test_what_the_errors_advise_works() -> None:
    wanted = conv(X, EDGES)
    dense = torch.zeros(N, N)
    dense[EDGES[0], EDGES[1]] = 1  # from, to
    assert torch.equal(conv(X, dense_to_sparse(dense)[0]), wanted)


@pytest.fixture(scope="module")
def surface() -> Data:
    return scan_graph(synthetic_arch(3, jaw=0, faces=6000), GraphSpec(faces=4000))[0]


def look(graph: Data) -> None:
    warn_of_other_normals(graph.pos, graph.normal, graph.neighbor_index[:12])


def test_normals_left_behind_are_told(surface: Data) -> None:
    turned = TurnsPositionsOnly((90, 90), axis=0)(surface.clone())
    with pytest.warns(UserWarning, match=r"° off: .*toothgraph\.transforms\.RandomRotate turns both"):
        look(turned)
    with pytest.warns(UserWarning, match="stand on the surface"):
        PairGeometryConv(12, (1.4,), 4)(turned.pos, turned.normal, turned.neighbor_index[:12])


def test_normals_of_two_walls_near_each_other_fit(data_dir: Path) -> None:
    """With its base, this scan is a shell: of a third of the nodes the nearest others are on the other wall."""
    (file,) = (file for file in find_scans([data_dir / "3d-iosseg"]) if file.stem == "070_L")
    mesh = read_scan(file, palette=load_palette(f"{data_dir / 'palettes.json'}:3d-iosseg"))
    for seed in range(4):
        for graph in prepare_scan(mesh, GraphSpec(faces=4000), 5, seed, 2).variants:
            look(graph)


@pytest.mark.parametrize("seed", range(4))
def test_normals_that_fit_are_not(surface: Data, seed: int) -> None:
    """Warnings are errors here: on a surface as it is, augmented, turned, or inside out, none is given."""
    look(surface)
    look(augment(surface, np.random.default_rng(seed), Augmentation(mirror=0.5, elastic=1.0)))
    look(RandomRotate()(surface))
    inside_out = surface.clone()
    inside_out.normal = -inside_out.normal
    look(inside_out)
    # no surface: a random cloud, neighbours at random, and levels too coarse to lie on one
    rng = np.random.default_rng(seed)
    cloud = torch.from_numpy(rng.normal(size=(500, 3)))
    normal = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(500, 3))), dim=1)
    warn_of_other_normals(cloud, normal, torch.from_numpy(knn_table(cloud.numpy(), 8)))
    warn_of_other_normals(cloud, normal, torch.from_numpy(rng.integers(500, size=(8, 500))))
    warn_of_other_normals(surface.pos, surface.normal.roll(1, 0), surface.neighbor_index[-12:])


def test_positions_that_are_not_finite_end_in_no_other_error(surface: Data) -> None:
    broken = surface.clone()
    broken.pos[:] = torch.nan
    look(broken)
