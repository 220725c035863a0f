from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from torch_geometric.data import Data

from toothgraph.data import Scan
from toothgraph.errors import ShapeError
from toothgraph.fdi import class_to_position
from toothgraph.graph.spec import GraphSpec, add_tables
from toothgraph.transforms import Augmentation, CentreSurface, augment
from toothgraph.transforms.close_gap import close_gap, from_midline
from toothgraph.transforms.removal import Removal, centred, remove_parts, trimmed, without_teeth


def test_teeth_are_taken_out_whole(scans: list[Scan]) -> None:
    graph = scans[0].variants[0]
    teeth = set(graph.y[graph.y > 0].tolist())
    gone = set()
    for seed in range(30):
        part = without_teeth(graph, np.random.default_rng(seed))
        missing = teeth - set(part.y.tolist())
        gone |= missing
        assert 1 <= len(missing) <= 4
        assert part.num_nodes == sum(int((graph.y == c).sum()) for c in [-1, 0, *(teeth - missing)])
        assert part.neighbor_index.max() < part.num_nodes
    assert gone == teeth
    few = part.clone()
    few.y = torch.where(few.y > 4, 0, few.y)
    assert without_teeth(few, np.random.default_rng(0)) is few


def test_gum_far_from_the_teeth_is_trimmed(scans: list[Scan]) -> None:
    graph = scans[0].variants[0]
    part = trimmed(graph, 3.0)
    teeth = graph.pos[graph.y > 0]
    near = torch.cdist(graph.pos, teeth).amin(dim=1) <= 3.0
    assert torch.equal(part.pos, graph.pos[near]) and torch.equal(part.y, graph.y[near])
    assert part.num_nodes < graph.num_nodes and part.neighbor_index.max() < part.num_nodes
    bare = graph.clone()
    bare.y = torch.zeros_like(graph.y)
    assert trimmed(bare, 3.0) is bare


def order(graph: Data) -> np.ndarray:
    return from_midline(class_to_position(graph.y.numpy()))


def middle(graph: Data, tooth: int) -> np.ndarray:
    return graph.pos.numpy()[order(graph) == tooth].mean(axis=0)


@pytest.mark.parametrize("which", [0, 1])
def test_a_gap_closes(scans: list[Scan], small_spec: GraphSpec, which: int) -> None:
    graph = scans[which].variants[1]
    teeth = set(order(graph).tolist())
    gone = set()
    for seed in range(40):
        part = close_gap(graph, np.random.default_rng(seed), small_spec)
        lost = teeth - set(order(part).tolist())
        gone |= lost
        assert len({abs(tooth) for tooth in lost}) == 1
        for tooth in lost:
            side = np.sign(tooth)
            front, behind = tooth - side, tooth + side
            wide = np.linalg.norm(middle(graph, behind) - middle(graph, front))
            narrow = np.linalg.norm(middle(part, behind) - middle(part, front))
            alone = np.linalg.norm(middle(graph, tooth) - middle(graph, front))
            assert wide - 0.7 * alone > narrow > 0.6 * alone  # side by side now, not one in the other
            assert np.allclose(middle(part, front), middle(graph, front), atol=1e-5)
    assert {abs(tooth) for tooth in gone} == {2, 3, 4, 5, 6} and {-4, 4} <= gone
    assert torch.equal(graph.x, scans[which].variants[1].x)


def test_teeth_keep_their_shape_when_a_gap_closes(scans: list[Scan], small_spec: GraphSpec) -> None:
    graph = scans[0].variants[0]
    part = close_gap(graph, np.random.default_rng(1), small_spec)
    for tooth in set(order(part).tolist()) - {0}:
        before, after = (torch.pdist(each.pos[torch.from_numpy(order(each) == tooth)]) for each in (graph, part))
        assert torch.allclose(before, after, atol=1e-3)
    vectors = part.x.view(-1, 5, 3)
    assert torch.equal(vectors[:, 0], part.pos) and torch.equal(vectors[:, 4], part.normal)
    cross = torch.linalg.cross(vectors[:, 2] - vectors[:, 1], vectors[:, 3] - vectors[:, 1])
    wide = part.area > 1e-3
    assert torch.allclose(normalize(cross[wide], dim=1), part.normal[wide], atol=1e-2)
    assert torch.allclose(cross.norm(dim=1) / 2, part.area, rtol=1e-2, atol=1e-4)


def test_tables_follow_when_a_gap_closes(scans: list[Scan], small_spec: GraphSpec) -> None:
    part = close_gap(scans[0].variants[0], np.random.default_rng(1), small_spec)
    fresh = add_tables(part.clone(), small_spec)
    assert torch.equal(part.neighbor_index, fresh.neighbor_index) and torch.equal(part.level, fresh.level)
    assert len(part.area) == len(part.y) == part.num_nodes
    assert part.edge_index.max() < part.num_nodes


def test_what_is_not_there_is_not_taken_out(scans: list[Scan], small_spec: GraphSpec) -> None:
    graph = scans[0].variants[0].clone()
    graph.y = torch.where(torch.from_numpy(np.isin(abs(order(graph)), (2, 3, 4, 5, 6))), 0, graph.y)
    assert close_gap(graph, np.random.default_rng(0), small_spec) is graph
    front = np.abs(order(scans[0].variants[0])) < 6
    graph.y = torch.where(torch.from_numpy(front), scans[0].variants[0].y, 0)
    for seed in range(40):  # none is behind the second premolar
        teeth = set(order(close_gap(graph, np.random.default_rng(seed), small_spec)).tolist())
        assert {-5, 5} <= teeth


@pytest.mark.parametrize("side", [-1, 1])
def test_the_foremost_tooth_of_one_side_stays(scans: list[Scan], small_spec: GraphSpec, side: int) -> None:
    graph = scans[0].variants[0].clone()
    row = {side * tooth for tooth in (3, 4, 5, 6, 7)}
    graph.y = torch.where(torch.from_numpy(np.isin(order(graph), list(row))), graph.y, 0)
    gone = [row - set(order(close_gap(graph, np.random.default_rng(seed), small_spec)).tolist()) for seed in range(40)]
    assert set().union(*gone) == {side * tooth for tooth in (4, 5, 6)}


def test_labels_and_a_generator_are_needed(arch_graph: Data, small_spec: GraphSpec) -> None:
    rng, bare = np.random.default_rng(0), arch_graph.clone()
    del bare["y"]
    calls = [
        lambda: close_gap(bare, rng, small_spec),
        lambda: trimmed(bare, 2.0),
        lambda: without_teeth(bare, rng),
        lambda: remove_parts(bare, rng, Removal(), small_spec),
    ]
    for call in calls:
        with pytest.raises(ShapeError, match=r"y .* class indices, got one without; .*read_scan"):
            call()
    for wrong in (lambda: without_teeth(arch_graph, 0), lambda: augment(arch_graph, 0, Augmentation())):
        with pytest.raises(ShapeError, match=r"random generator, got 0; numpy.random.default_rng"):
            wrong()
    with pytest.raises(ShapeError, match=r"x \[N, 15\]"):
        augment(Data(x=arch_graph.pos, pos=arch_graph.pos), rng, Augmentation())


def test_teeth_stay_without_any_margin(scans: list[Scan]) -> None:
    graph = scans[0].variants[0]
    assert torch.equal(trimmed(graph, 0).pos, graph.pos[graph.y > 0])


@pytest.mark.parametrize("lacks", ["x", "pos", "area"])
def test_what_a_centred_graph_needs_is_told(scans: list[Scan], lacks: str) -> None:
    graph = scans[0].variants[0].clone()
    nodes = graph.num_nodes
    del graph[lacks]
    graph.num_nodes = nodes
    for centre in (centred, CentreSurface()):
        with pytest.raises(ShapeError, match=f"a graph with {lacks} "):
            centre(graph)
