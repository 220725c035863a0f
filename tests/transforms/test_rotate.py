from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data
from torch_geometric.transforms import Compose

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.graph import GraphSpec, add_tables
from toothgraph.nn import pair_features
from toothgraph.transforms import Augmentation, RandomRotate, augment, crop, trimmed, without_teeth


def test_positions_normals_and_features_turn_together(arch_graph: Data) -> None:
    before = arch_graph.clone()
    out = RandomRotate()(arch_graph)
    assert torch.equal(arch_graph.pos, before.pos) and torch.equal(arch_graph.x, before.x)  # a copy is turned
    assert not torch.allclose(out.pos, before.pos, atol=1.0)
    table = before.neighbor_index[:6]
    ours, theirs = (pair_features(each.pos, each.normal, table, 1.4) for each in (out, before))
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)
    torch.testing.assert_close(out.x[:, :3], out.pos)
    torch.testing.assert_close(out.x[:, 12:], out.normal)
    a, b, c = out.x[:, 3:12].view(-1, 3, 3).unbind(dim=1)
    winding = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1)
    assert (winding * out.normal).sum(dim=1).median() > 0.999


def test_other_features_stay(arch_graph: Data) -> None:
    graph = arch_graph.clone()
    graph.x = torch.randn(graph.num_nodes, 15)
    assert RandomRotate()(graph).x is graph.x
    graph.x = graph.pos.long()  # voxels, say
    assert RandomRotate()(graph).x is graph.x
    del graph.x
    assert "x" not in RandomRotate()(graph)


def test_the_draw_follows_torch_and_its_limit(arch_graph: Data) -> None:
    def turned(degrees: float, seed: int) -> Data:
        torch.manual_seed(seed)
        return Compose([RandomRotate(degrees)])(arch_graph)

    assert torch.equal(turned(180, 0).pos, turned(180, 0).pos)
    assert not torch.equal(turned(180, 0).pos, turned(180, 1).pos)
    for seed in range(5):
        cosine = (turned(10, seed).normal * arch_graph.normal).sum(dim=1).clamp(-1, 1)
        assert torch.rad2deg(torch.acos(cosine)).max() < 10.1


def test_repr_and_what_is_refused(arch_graph: Data) -> None:
    assert repr(RandomRotate(30)) == "RandomRotate(rng=None, degrees=30)"
    for wrong in (0, -5, 181):
        with pytest.raises(ConfigError, match="above 0 and at most 180"):
            RandomRotate(wrong)
    with pytest.raises(ShapeError, match="a graph with normal"):
        RandomRotate()(Data(pos=torch.zeros(4, 3)))


def test_what_x_holds_of_positions_and_normals_turns_too(arch_graph: Data) -> None:
    graph = arch_graph.clone()
    own = torch.randn(graph.num_nodes, 2)
    graph.x = torch.cat([own, graph.pos, graph.normal], dim=1)
    out = RandomRotate()(graph)
    assert torch.equal(out.x[:, :2], own)
    torch.testing.assert_close(out.x[:, 2:5], out.pos)
    torch.testing.assert_close(out.x[:, 5:], out.normal)
    moved = arch_graph.clone()
    moved.pos = moved.pos - 5.0  # as T.Center does: x keeps its own origin
    out = RandomRotate()(moved)
    torch.testing.assert_close(out.x[:, 12:], out.normal)
    assert not torch.allclose(out.x[:, :3], moved.x[:, :3], atol=1.0)


def test_fifteen_columns_of_a_user_are_no_face_graph(arch_graph: Data) -> None:
    graph, own = arch_graph.clone(), torch.rand(arch_graph.num_nodes, 12)
    for known in ([graph.pos], [graph.pos, graph.normal]):
        width = 3 * len(known)
        graph.x = torch.cat([*known, own[:, width - 3 :]], dim=1)
        out = RandomRotate()(graph)
        assert torch.equal(out.x[:, width:], graph.x[:, width:])
        torch.testing.assert_close(out.x[:, :width], torch.cat([out.pos, out.normal], dim=1)[:, :width])


@pytest.mark.parametrize(("given", "features"), [(torch.float64, torch.float32), (torch.float32, torch.float64),
                                                 (torch.float32, torch.float16)])  # fmt: skip
@pytest.mark.parametrize("columns", [slice(0, 15), [0, 1, 2, 12, 13, 14]])
def test_x_turns_in_its_own_precision(
    arch_graph: Data, given: torch.dtype, features: torch.dtype, columns: slice | list[int]
) -> None:
    graph = arch_graph.clone()
    graph.x = graph.x[:, columns].to(features)
    more = 1 + 1e-9  # a digit that doubles have, and single precision has not
    graph.pos, graph.normal = graph.pos.to(given) * more, graph.normal.to(given) * more
    out = RandomRotate()(graph)
    assert out.x.dtype == features and out.pos.dtype == given
    torch.testing.assert_close(out.x[:, :3].to(given), out.pos, atol=0.1, rtol=0)
    torch.testing.assert_close(out.x[:, -3:].to(given), out.normal, atol=0.01, rtol=0)
    assert not torch.allclose(out.x[:, 3:6], graph.x[:, 3:6], atol=0.1)


def test_each_graph_of_a_batch_turns_on_its_own(arch_graph: Data) -> None:
    batch = Batch.from_data_list([arch_graph, arch_graph])
    out = RandomRotate()(batch)
    assert isinstance(out, Batch) and out.num_graphs == 2
    first, second = out.to_data_list()
    assert not torch.allclose(first.pos, second.pos, atol=1.0)
    torch.testing.assert_close(first.neighbor_index, arch_graph.neighbor_index)
    torch.testing.assert_close(first.pos.norm(dim=1), second.pos.norm(dim=1))


def test_transforms_of_one_graph_refuse_a_batch(arch_graph: Data) -> None:
    batch, rng = Batch.from_data_list([arch_graph, arch_graph]), np.random.default_rng(0)
    for call in (
        lambda: crop(batch, np.arange(5)),
        lambda: augment(batch, rng, Augmentation()),
        lambda: without_teeth(batch, rng),
        lambda: trimmed(batch, 2.0),
        lambda: add_tables(batch, GraphSpec()),
    ):
        with pytest.raises(ShapeError, match=r"one graph, got a Batch of 2; take each of batch\.to_data_list\(\)"):
            call()
