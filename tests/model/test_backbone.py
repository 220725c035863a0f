from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import nn
from torch_geometric.data import Batch, Data

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.graph import GraphSpec, face_graph, scan_graph
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import ContrastiveNet, GeometryBackbone, NetConfig, SegmentationHead, SegmentationNet
from toothgraph.model.backbone import face_shape
from toothgraph.model.nets import build_backbone
from toothgraph.nn.pyramid import find_levels, node_norm
from toothgraph.transforms.augment import Augmentation, augment
from toothgraph.transforms.crop import crop

Settle = Callable[[nn.Module], nn.Module]


def single(graph: Data) -> Batch:
    return Batch.from_data_list([graph])


@pytest.fixture
def backbone(tiny: NetConfig, settle: Settle) -> nn.Module:
    return settle(build_backbone(tiny))


def test_levels_name_nodes_of_their_own_level(graphs: list[Data], tiny: NetConfig) -> None:
    batch, k = Batch.from_data_list(graphs), tiny.graph.k
    levels = find_levels(batch, k, 4)
    sizes = [len(nodes) for nodes in levels.nodes]
    assert sizes[0] == batch.num_nodes and sizes == sorted(sizes, reverse=True) and sizes[-1] > 0
    tables = batch.neighbor_index.long().split(k)
    for number, (nodes, within) in enumerate(zip(levels.nodes, levels.within, strict=True)):
        assert torch.equal(nodes[within], tables[number][:, nodes])
    for fine in range(3):
        below, above = levels.nodes[fine], levels.nodes[fine + 1]
        assert torch.equal(below[levels.own[fine]], above)
        assert torch.equal(below[levels.down[fine]], tables[fine][:, above])
        up, wanted = levels.up[fine], tables[fine + 1][:, below]
        found = up < len(above)
        assert torch.equal(above[up[found]], wanted[found])
        assert torch.equal(wanted[~found], below.expand_as(wanted)[~found])  # missing: the node itself


def test_pose_does_not_change_embeddings(graphs: list[Data], backbone: nn.Module) -> None:
    graph, net = graphs[0].clone(), backbone.double()
    graph.pos, graph.normal = graph.pos.double(), graph.normal.double()
    expected = net(single(graph))
    turn = torch.from_numpy(Rotation.from_rotvec([1, -2, 0.5]).as_matrix())
    graph.pos = graph.pos @ turn.T + torch.tensor([100.0, -40, 3])
    graph.normal = graph.normal @ turn.T
    torch.testing.assert_close(net(single(graph)), expected, atol=1e-9, rtol=1e-9)
    assert expected.std(dim=0).min() > 1e-4  # it does say something


def test_pose_in_float32(graphs: list[Data], backbone: nn.Module) -> None:
    how = Augmentation(scale=0, jitter=0, normal_jitter=0, translation=30)
    turned = augment(graphs[0], np.random.default_rng(0), how)
    torch.testing.assert_close(backbone(single(turned)), backbone(single(graphs[0])), atol=2e-3, rtol=2e-3)


def test_permuting_nodes_permutes_embeddings(graphs: list[Data], backbone: nn.Module) -> None:
    order = np.random.default_rng(0).permutation(graphs[0].num_nodes)
    permuted = crop(graphs[0], order)
    expected = backbone(single(graphs[0]))[order]
    torch.testing.assert_close(backbone(single(permuted)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["geometry", "paper"])
@pytest.mark.parametrize("net_class", [ContrastiveNet, SegmentationNet])
def test_a_batch_of_two_equals_each_alone(
    graphs: list[Data], tiny: NetConfig, settle: Settle, kind: str, net_class: type[nn.Module]
) -> None:
    config = NetConfig(**{**vars(tiny), "kind": kind})
    net = settle(net_class(config))
    with torch.no_grad():
        together = net(Batch.from_data_list(graphs))
        alone = torch.cat([net(single(graph)) for graph in graphs])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("last_level, size", [(0, 1), (0, 2), (0, 30), (1, 100), (2, 400)])
def test_a_cut_without_coarse_nodes(
    graphs: list[Data], tiny: NetConfig, training: bool, last_level: int, size: int
) -> None:
    fine = np.flatnonzero(graphs[0].level.numpy() <= last_level)[:size]
    batch = single(crop(graphs[0], fine))
    assert int(batch.level.max()) == last_level
    net = SegmentationNet(tiny).train(training)
    out = net(batch, batch.jaw)
    assert out.shape == (size, 33)
    assert out.isfinite().all()
    out.sum().backward()
    gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    state = net.state_dict().values()
    assert all(value.isfinite().all() for value in state)  # running statistics are not poisoned


def test_a_cut_beside_a_whole_scan(graphs: list[Data], tiny: NetConfig, settle: Settle) -> None:
    fine = crop(graphs[1], np.flatnonzero(graphs[1].level.numpy() == 0)[:25])
    net = settle(SegmentationNet(tiny))
    together = net(Batch.from_data_list([fine, graphs[0]]))
    alone = torch.cat([net(single(fine)), net(single(graphs[0]))])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_every_parameter_learns(graphs: list[Data], tiny: NetConfig) -> None:
    torch.manual_seed(0)
    batch = Batch.from_data_list(graphs)
    for net in (ContrastiveNet(tiny), SegmentationNet(tiny)):
        net(batch).square().sum().backward()
        silent = [name for name, parameter in net.named_parameters() if parameter.grad is None]
        assert silent == []


def test_node_norm_of_one_node_uses_running_statistics_and_leaves_them() -> None:
    norm = node_norm(3)
    norm.running_mean.copy_(torch.tensor([1.0, 2, 3]))
    norm.running_var.fill_(4)
    out = norm.train()(torch.tensor([[3.0, 2, 1]]))
    torch.testing.assert_close(out, torch.tensor([[1.0, 0, -1]]), atol=1e-5, rtol=1e-5)
    assert norm.running_mean.tolist() == [1, 2, 3]
    assert norm(torch.zeros(0, 3)).shape == (0, 3)


def test_kinds(tiny: NetConfig) -> None:
    backbone = build_backbone(tiny)
    assert isinstance(backbone, GeometryBackbone) and backbone.out_channels == 10
    assert build_backbone(NetConfig(kind="paper")).out_channels == 1216
    with pytest.raises(ConfigError, match="'transformer'"):
        ContrastiveNet(NetConfig(kind="transformer"))
    assert ContrastiveNet(tiny).projector[-1].out_features == 6


def changed(config: NetConfig, **values: object) -> NetConfig:
    return NetConfig(**{**vars(config), **values})


@pytest.mark.parametrize("change", [{"features": "shape"}, {"norm": "layer"}])
def test_these_options_keep_the_invariance(
    graphs: list[Data], tiny: NetConfig, settle: Settle, change: dict[str, str]
) -> None:
    net = settle(build_backbone(changed(tiny, **change))).double()
    graph = graphs[0].clone()
    graph.pos, graph.normal = graph.pos.double(), graph.normal.double()
    expected = net(single(graph))
    assert not torch.allclose(expected, settle(build_backbone(tiny)).double()(single(graph)))
    turn = torch.from_numpy(Rotation.from_rotvec([1, -2, 0.5]).as_matrix())
    graph.pos, graph.normal = graph.pos @ turn.T + 7, graph.normal @ turn.T
    torch.testing.assert_close(net(single(graph)), expected, atol=1e-8, rtol=1e-8)


def test_coordinates_alone_do_change_with_the_pose(graphs: list[Data], tiny: NetConfig, settle: Settle) -> None:
    net = settle(build_backbone(changed(tiny, features="coordinates")))
    assert net.pair is None
    graph = graphs[0].clone()
    expected = net(single(graph))
    graph.pos = graph.pos.flip(1)
    assert not torch.allclose(net(single(graph)), expected, atol=1e-3)


def test_face_shape_of_a_roof() -> None:
    """Two squares that meet in a right angle, ridge up: convex from above, concave seen from below."""
    half = 0.5**0.5
    roof = Data(
        pos=torch.tensor([[-half, 0.0, -half], [half, 0.0, -half], [9.0, 9.0, 9.0]]) / 2,
        normal=torch.tensor([[-half, 0.0, half], [half, 0.0, half], [0.0, 0.0, 1.0]]),
        area=torch.tensor([1.0, 2.0, 0.5]),
        edge_index=torch.tensor([[0, 1], [1, 0]]),
    )
    right = torch.pi / 2
    expected = torch.tensor([[0.0, right, right], [2.0, right, right], [0.5, 0.0, 0.0]])
    expected[:, 0] = roof.area.log()
    torch.testing.assert_close(face_shape(roof), expected)
    roof.normal = -roof.normal
    expected[:2, 1] = -right
    torch.testing.assert_close(face_shape(roof), expected)


@pytest.mark.parametrize("kind", ["geometry", "paper"])
def test_one_graph_alone_is_a_batch_of_one(kind: str, tiny: NetConfig, arch_graph: Data) -> None:
    config = NetConfig(**{**vars(tiny), "kind": kind})
    for net in (ContrastiveNet(config).eval(), SegmentationNet(config).eval()):
        assert torch.equal(net(arch_graph), net(Batch.from_data_list([arch_graph])))


def without(graph: Data, *names: str) -> Data:
    out = graph.clone()
    for name in names:
        del out[name]
    return out


def with_values(graph: Data, **values: object) -> Data:
    out = graph.clone()
    out.update(values)
    return out


def test_graphs_that_do_not_fit(arch_graph: Data, tiny: NetConfig, arch: Mesh) -> None:
    net, table = SegmentationNet(tiny).eval(), arch_graph.neighbor_index
    nodes, double = arch_graph.num_nodes, {name: arch_graph[name].double() for name in ("pos", "normal")}
    cases: list[tuple[object, str]] = [
        (face_graph(arch), r"neighbor_index \[24, N\], 6 neighbours at each of 4.*without neighbor_index and level"),
        (without(arch_graph, "level"), r"one without level; toothgraph\.scan_graph.*add_tables.*net\.config\.graph"),
        (without(arch_graph, "normal"), "a graph with normal"),
        (with_values(arch_graph, neighbor_index=table[:12]), rf"\(N = {nodes}\), got \[12, {nodes}\] of int32"),
        (with_values(arch_graph, neighbor_index=table + 1), f"from 0 to {nodes - 1}.*the node itself"),
        (with_values(arch_graph, level=arch_graph.level + 1), "level from 0 to 3"),
        (with_values(arch_graph, **double), "pos and normal of float32, as the net"),
        (arch, r"got a Mesh; .*toothgraph\.segment labels a mesh"),
        ([arch_graph, arch_graph], r"got a list; torch_geometric\.data\.Batch\.from_data_list"),
        (arch_graph.x, r"got \[\d+, 15\] of float32"),
        (crop(arch_graph, np.arange(0)), "a graph with nodes, got one without"),
    ]
    for given, message in cases:
        with pytest.raises(ShapeError, match=message):
            net(given)
    for jaw, message in ((torch.tensor([0, 1]), r"jaw \[1\]"), (0, "got an int"), (torch.tensor([2]), r"got \[2\]")):
        with pytest.raises(ShapeError, match=message):
            net(arch_graph, jaw)
    paper = SegmentationNet(changed(tiny, kind="paper")).eval()
    with pytest.raises(ShapeError, match=r"x \[N, 15\]"):
        paper(with_values(arch_graph, x=arch_graph.pos))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"expected 2 widths, one per spacing.*\[64, 128, 192, 256\]; give widths=\(64, 128\)"),
        ({"widths": (8, 0)}, "each at least 1"),
        ({"widths": (8, 8), "k": 0}, "k of at least 1"),
        ({"widths": (8, 8), "spacings": 3.0}, "one or more spacings .* 3.0"),
        ({"widths": (8, 8), "spacings": (3.0, 0.0)}, "increasing order"),
        ({"widths": (8, 8), "features": "pairs"}, "features of pair, shape, coordinates"),
        ({"widths": (8, 8), "norm": "group"}, "norm batch or layer"),
    ],
)
def test_options_no_backbone_can_have(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GeometryBackbone(**{"k": 8, "spacings": (0.0, 3.0), **options})


def test_options_no_net_can_have(tiny: NetConfig) -> None:
    with pytest.raises(ConfigError, match="2 widths, one per spacing"):
        SegmentationNet(changed(tiny, graph=GraphSpec(spacings=(0.0, 3.0))))
    with pytest.raises(ConfigError, match="a NetConfig, got a dict"):
        ContrastiveNet({})
    with pytest.raises(ConfigError, match="2 widths, one per level"):
        SegmentationHead(16, 6, 2, (8, 8, 8))
    with pytest.raises(ConfigError, match="classes of places, all"):
        SegmentationHead(16, 6, 2, (8, 8), classes="some")


def test_a_backbone_takes_one_graph(arch_graph: Data, backbone: nn.Module) -> None:
    assert torch.equal(backbone(arch_graph), backbone(single(arch_graph)))
    by_hand = Data(**dict(arch_graph.items()), batch=torch.zeros(arch_graph.num_nodes, dtype=torch.long))
    assert torch.equal(backbone(by_hand), backbone(arch_graph))


def test_a_table_of_other_levels_with_as_many_rows_is_told(arch: Mesh, tiny: NetConfig, settle: Settle) -> None:
    k, spacings = tiny.graph.k, tiny.graph.spacings
    other = GraphSpec(faces=tiny.graph.faces, k=k * len(spacings), spacings=spacings[:1])
    graph, _ = scan_graph(arch, other)
    with pytest.raises(ShapeError, match="a table of another k or number of levels, with as many rows"):
        settle(build_backbone(tiny))(single(graph))


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32])
def test_levels_of_another_type_are_told(dtype: torch.dtype, arch_graph: Data, backbone: nn.Module) -> None:
    graph = single(arch_graph)
    graph.level = graph.level.to(dtype)
    with pytest.raises(ShapeError, match=r"expected level of int64, got .*; call .long\(\) on it"):
        backbone(graph)
