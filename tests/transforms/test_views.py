from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch_geometric.data import Data

from toothgraph.data import Scan, collate_pairs
from toothgraph.errors import ConfigError, ShapeError
from toothgraph.graph import face_graph, to_networkx
from toothgraph.graph.neighbors import surface_distance
from toothgraph.mesh.mesh import Mesh
from toothgraph.seeding import sample_rng
from toothgraph.transforms import Augmentation, ViewOptions, crop, match, spread_candidates, two_views
from toothgraph.transforms.crop import cut_region
from toothgraph.transforms.views import choose_variants

nx = pytest.importorskip("networkx")
STILL = Augmentation(rotation=0, scale=0, translation=0, jitter=0, normal_jitter=0)
OPTIONS = ViewOptions(radius=1.5)  # faces of the small graphs are some 4 mm wide


def dots(pos: list[list[float]], normal: list[list[float]] | None = None) -> Data:
    position = torch.tensor(pos)
    up = torch.tensor([[0.0, 0, 1]]).expand_as(position)
    return Data(pos=position, normal=up if normal is None else torch.tensor(normal))


def strip(length: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A ribbon of triangles along x."""
    x = np.arange(length + 2)
    vertices = np.stack([x * 1.0, x % 2 + 0.0, np.full(length + 2, shift)], axis=1)
    return vertices, np.stack([x[:-2], x[1:-1], x[2:]], axis=1)


def test_crop_keeps_rows_links_and_neighbours_together(arch_graph: Data) -> None:
    keep = np.random.default_rng(0).permutation(arch_graph.num_nodes)[:200]
    out = crop(arch_graph, keep)
    for key in ("x", "pos", "normal", "area", "level", "y"):
        assert torch.equal(out[key], arch_graph[key][keep])
    old = arch_graph.edge_index.t().tolist()
    place = {int(node): number for number, node in enumerate(keep)}
    expected = {(place[a], place[b]) for a, b in old if a in place and b in place}
    assert set(map(tuple, out.edge_index.t().tolist())) == expected
    table = arch_graph.neighbor_index.numpy()[:, keep]
    cropped = out.neighbor_index.numpy()
    kept = np.isin(table, keep)
    assert np.array_equal(keep[cropped[kept]], table[kept])
    assert np.array_equal(cropped[~kept], np.broadcast_to(np.arange(200), table.shape)[~kept])
    assert out.scan_id == arch_graph.scan_id and out.jaw.tolist() == arch_graph.jaw.tolist()
    out.validate()


def test_crop_of_everything_is_the_graph(arch_graph: Data) -> None:
    out = crop(arch_graph, np.arange(arch_graph.num_nodes))
    assert torch.equal(out.x, arch_graph.x)
    assert torch.equal(out.edge_index, arch_graph.edge_index)
    assert torch.equal(out.neighbor_index, arch_graph.neighbor_index.to(out.neighbor_index.dtype))


def test_surface_distance_of_a_strip() -> None:
    graph = face_graph(Mesh(*strip(4)))
    step = float((graph.pos[1] - graph.pos[0]).norm())
    assert surface_distance(graph.pos.double().numpy(), graph.edge_index.numpy(), 0) == pytest.approx(
        [0, step, 2 * step, 3 * step], abs=1e-5
    )


@pytest.mark.parametrize("size", [1, 60, 300])
def test_a_cut_region_hangs_together(arch_graph: Data, size: int) -> None:
    centre = arch_graph.pos[10].numpy()
    region = cut_region(arch_graph, centre, size)
    assert len(region) == size and 10 in region
    assert np.array_equal(region, np.unique(region))
    assert nx.is_connected(to_networkx(crop(arch_graph, region)))
    distance = surface_distance(arch_graph.pos.double().numpy(), arch_graph.edge_index.numpy(), 10)
    rest = np.setdiff1d(np.arange(arch_graph.num_nodes), region)
    assert distance[region].max() <= distance[rest].min()


def test_a_region_larger_than_the_surface_is_all_of_it(arch_graph: Data) -> None:
    everything = cut_region(arch_graph, np.zeros(3), 10**6)
    assert np.array_equal(everything, np.arange(arch_graph.num_nodes))


def test_other_components_come_last_the_nearer_first() -> None:
    parts = [strip(6), strip(6, shift=20.0), strip(6, shift=1.0)]
    vertices = np.concatenate([part[0] for part in parts])
    faces = np.concatenate([part[1] + 8 * number for number, part in enumerate(parts)])
    graph = face_graph(Mesh(vertices, faces))
    centre = graph.pos[0].numpy()
    assert cut_region(graph, centre, 6).tolist() == list(range(6))
    assert cut_region(graph, centre, 7).tolist() == [*range(6), 12]
    assert cut_region(graph, centre, 12).tolist() == [*range(6), *range(12, 18)]


def test_match_by_hand() -> None:
    a = dots([[0, 0, 0], [1, 0, 0], [2, 0, 0], [9, 0, 0], [20, 0, 0]])
    b = dots(
        [[0.1, 0, 0], [1.8, 0, 0], [1.7, 0, 0], [9.6, 0, 0], [20, 0, 0]],
        [[0, 0, 1], [0, 0.6, 0.8], [0, 0, 1], [0, 0, 1], [0, 0, -1]],
    )
    # 1 lies 0.7 from the nearest; of two candidates 2 takes the nearer; 3 is too far; 4 faces away
    assert match(a, b, 0.45).tolist() == [[0, 2], [0, 1]]
    assert match(a, b, 0.65).tolist() == [[0, 2, 3], [0, 1, 3]]
    assert match(a, dots([[100, 0, 0]]), 0.45).shape == (2, 0)


def test_match_is_mutual_and_one_to_one(scan: Scan) -> None:
    a, b = scan.variants[:2]
    pairs = match(a, b, 1.0)
    assert pairs.shape[1] > 30
    assert all(len(set(side)) == len(side) for side in pairs.tolist())
    assert np.array_equal(match(b, a, 1.0)[:, np.argsort(match(b, a, 1.0)[1])][::-1], pairs)
    distance = torch.cdist(a.pos, b.pos)
    assert distance[pairs[0], pairs[1]].max() < 1.0
    assert np.array_equal(distance[pairs[0]].argmin(dim=1).numpy(), pairs[1])
    assert np.array_equal(distance[:, pairs[1]].argmin(dim=0).numpy(), pairs[0])
    assert ((a.normal[pairs[0]] * b.normal[pairs[1]]).sum(dim=1) > 0).all()


def same(a: Data, b: Data) -> bool:
    keys = ("x", "edge_index", "neighbor_index", "level", "match_index", "match_pos")
    return all(torch.equal(a[key], b[key]) for key in keys)


def test_views_depend_on_seed_epoch_and_scan_alone(scan: Scan) -> None:
    first = two_views(scan.variants, 1, 2, "a", OPTIONS)
    np.random.seed(5)  # noqa: NPY002
    again = two_views(scan.variants, 1, 2, "a", OPTIONS)
    assert same(first[0], again[0]) and same(first[1], again[1])
    for seed, epoch, name in ((2, 2, "a"), (1, 3, "a"), (1, 2, "b")):
        other = two_views(scan.variants, seed, epoch, name, OPTIONS)
        assert other[0].x.shape != first[0].x.shape or not torch.equal(other[0].x, first[0].x)


def test_matched_rows_show_the_same_surface_point(scan: Scan) -> None:
    still = replace(OPTIONS, augmentation=STILL)
    for epoch in range(5):
        first, second = two_views(scan.variants, 0, epoch, "a", still)
        assert len(first.match_index) == len(second.match_index) == len(first.match_pos) > 5
        assert torch.equal(first.match_pos, second.match_pos)
        assert torch.allclose(first.pos[first.match_index], first.match_pos, atol=1e-4)
        step = (second.pos[second.match_index] - first.match_pos).norm(dim=1)
        assert step.max() < OPTIONS.radius + 1e-3


def test_match_pos_stays_in_the_scan_frame_when_the_views_move(scan: Scan) -> None:
    moved, still = (
        two_views(scan.variants, 0, 0, "a", replace(OPTIONS, augmentation=how)) for how in (Augmentation(), STILL)
    )
    for a, b in zip(moved, still, strict=True):
        assert torch.equal(a.match_index, b.match_index)
        assert torch.equal(a.match_pos, b.match_pos)


def test_each_view_is_turned_on_its_own(scan: Scan) -> None:
    rigid = replace(STILL, rotation=180)
    still = two_views(scan.variants, 0, 0, "a", replace(OPTIONS, augmentation=STILL))
    turned = two_views(scan.variants, 0, 0, "a", replace(OPTIONS, augmentation=rigid))
    turns = []
    for a, b in zip(turned, still, strict=True):
        turn, error = Rotation.align_vectors(a.pos.double().numpy(), b.pos.double().numpy())
        assert error < 0.01
        turns.append(turn)
    assert turns[0].magnitude() > 0.1 and turns[1].magnitude() > 0.1
    assert (turns[0] * turns[1].inv()).magnitude() > 0.1


def test_views_come_from_two_tessellations_and_keep_their_share(scan: Scan) -> None:
    sizes = [variant.num_nodes for variant in scan.variants]
    for epoch in range(5):
        views = two_views(scan.variants, 0, epoch, "a", OPTIONS)
        assert all(0.49 * min(sizes) <= view.num_nodes <= 0.91 * max(sizes) for view in views)
    small = two_views(scan.variants, 0, 0, "a", replace(OPTIONS, quota=100))
    assert [view.num_nodes for view in small] == [100, 100]
    rng = np.random.default_rng(0)
    drawn = {choose_variants(rng, 3) for _ in range(100)}
    assert drawn == {(a, b) for a in range(3) for b in range(3) if a != b}
    assert choose_variants(rng, 1) == (0, 0)


def test_small_views_still_overlap(scan: Scan) -> None:
    small = replace(OPTIONS, quota=25, augmentation=STILL)
    for epoch in range(15):
        first, second = two_views(scan.variants, 0, epoch, "a", small)
        assert torch.cdist(first.pos, second.pos).min() < 3.0  # mm, less than the width of a face


def test_one_tessellation_alone_still_gives_two_views(scan: Scan) -> None:
    whole = replace(OPTIONS, min_share=1.0, max_share=1.0, augmentation=STILL)
    first, second = two_views(scan.variants[:1], 0, 0, "a", whole)
    assert torch.equal(first.match_index, torch.arange(first.num_nodes))
    assert torch.equal(second.match_index, first.match_index)


def test_batched_pairs_keep_their_rows_together(scans: list[Scan]) -> None:
    pairs = [two_views(scan.variants, 0, 0, scan.scan_id, OPTIONS) for scan in scans]
    batch = collate_pairs(pairs)
    first, second = batch.match_index.chunk(2)
    assert len(first) == len(second) == sum(len(view.match_index) for view, _ in pairs)
    assert torch.equal(batch.batch[first] + 2, batch.batch[second])
    assert torch.equal(*batch.match_pos.chunk(2))
    expected = torch.cat([view.pos[view.match_index] for view, _ in pairs])
    assert torch.equal(batch.pos[first], expected)
    expected = torch.cat([view.pos[view.match_index] for _, view in pairs])
    assert torch.equal(batch.pos[second], expected)


@pytest.mark.parametrize("spacing", [0.5, 4.0])
def test_candidates_are_spread_and_matched_ones_stand_first(scan: Scan, spacing: float) -> None:
    _, view = two_views(scan.variants, 0, 0, "a", OPTIONS)
    chosen = spread_candidates(view, spacing)
    assert len(set(chosen.tolist())) == len(chosen)
    distance = torch.cdist(view.pos, view.pos[chosen])
    between = distance[chosen] + torch.diag(torch.full((len(chosen),), np.inf))
    assert between.min() > spacing - 1e-4
    assert distance.amin(dim=1).max() <= spacing + 1e-4  # nobody else would fit
    is_matched = np.isin(chosen, view.match_index.numpy())
    count = int(is_matched.sum())
    assert count > 0 and is_matched[:count].all() and not is_matched[count:].any()


def test_the_generator_of_a_sample_tells_all_its_arguments_apart() -> None:
    arguments = [(0, 0, "a", 0), (1, 0, "a", 0), (0, 1, "a", 0), (0, 0, "b", 0), (0, 0, "a", 1)]
    drawn = [float(sample_rng(*each).uniform()) for each in arguments]
    assert len(set(drawn)) == 5
    assert drawn == [float(sample_rng(*each).uniform()) for each in arguments]
    for wrong in (-1, None, 1.5):
        with pytest.raises(ConfigError, match="expected seed of at least 0, a whole number"):
            sample_rng(wrong, 0, "a")


def test_graphs_that_are_no_variants(arch_graph: Data) -> None:
    for wrong in ([], arch_graph):
        with pytest.raises(ShapeError, match=r"graphs of one scan, got \w+; of one graph, give \[graph\]"):
            two_views(wrong, 0, 0, "a", ViewOptions())
    bare = Data(pos=arch_graph.pos)
    with pytest.raises(ShapeError, match=r"graph with x \[N, 15\]"):
        two_views([bare], 0, 0, "a", ViewOptions())
    with pytest.raises(ShapeError, match="graph with normal"):
        match(arch_graph, bare, 1.0)
    with pytest.raises(ShapeError, match=r"match_index .*two_views"):
        spread_candidates(arch_graph, 1.0)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"min_share": 0.9, "max_share": 0.1}, "max_share of a view \\(min_share is 0.9\\)"),
     ({"max_share": 1.5}, "max_share of a view"), ({"quota": 0}, "quota of a view"), ({"radius": 0.0}, "radius")],
)  # fmt: skip
def test_views_that_cannot_be_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ViewOptions(**wrong)
