from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from toothgraph.data import LabelledGraphs, Scan
from toothgraph.fdi import class_to_position
from toothgraph.graph import GraphSpec, add_tables, face_graph
from toothgraph.graph.build import face_corners, with_corners
from toothgraph.synthetic import synthetic_arch
from toothgraph.transforms import Augmentation, Warps, warp_teeth
from toothgraph.transforms.augment import random_rotation
from toothgraph.transforms.close_gap import from_midline
from toothgraph.transforms.warp_teeth import bracket, find_crown, prepared, resized, scan_body, warped

PLAIN = GraphSpec(spacings=())
ALL = Warps(1.0, 1.0, 1.0, 1.0)
MOLAR = 6


@pytest.fixture(scope="module")
def graph() -> Data:
    """An upper arch without tables, fine enough to see the shapes."""
    return face_graph(synthetic_arch(3, jaw=0, faces=12_000))


def places(graph: Data) -> np.ndarray:
    return from_midline(class_to_position(graph.y.numpy()))


def in_crown(graph: Data, corners: np.ndarray, tooth: int = MOLAR) -> np.ndarray:
    """Corners of a tooth in the frame that it has in ``graph``."""
    crown = find_crown(face_corners(graph), places(graph), tooth)
    return (corners[crown.rows] - crown.foot) @ crown.axes.T


def test_a_crown_knows_where_out_and_up_are(graph: Data) -> None:
    corners, place = face_corners(graph), places(graph)
    for tooth in sorted({*place.tolist()} - {0}):
        crown = find_crown(corners, place, tooth)
        assert np.allclose(crown.axes @ crown.axes.T, np.eye(3), atol=1e-6)
        assert crown.axes[1] @ [0, 1, 0] > 0.7  # y is towards the bite; front teeth lean
        outwards = corners[crown.rows].mean(axis=(0, 1)) * [1, 0, 1] - corners[place != 0].mean(axis=(0, 1)) * [1, 0, 1]
        assert crown.axes[0] @ outwards > 0


@pytest.mark.parametrize("kept", [(4, 5, 6, 7), (6, 7), (-7, -6)])
def test_out_is_the_same_on_a_scan_of_a_part(graph: Data, kept: tuple[int, ...]) -> None:
    corners, place = face_corners(graph), places(graph)
    part = np.where(np.isin(place, kept), place, 0)
    for tooth in kept:
        whole, alone = (find_crown(corners, seen, tooth).axes[0] for seen in (place, part))
        assert whole @ alone > 0.7  # the last tooth of a row has one neighbour, not two


def test_a_prepared_tooth_is_lower_narrower_and_in_its_place(graph: Data) -> None:
    corners, place = face_corners(graph), places(graph)
    before = in_crown(graph, corners)
    for seed in range(8):
        after, _ = warped(corners, place, [MOLAR], prepared, np.random.default_rng(seed))
        stump = in_crown(graph, after)
        assert 0.25 < stump[..., 1].max() / before[..., 1].max() < 0.9
        top = before[..., 1] > 0.7 * before[..., 1].max()
        for across in (0, 2):
            assert 0.4 < np.ptp(stump[top][:, across]) / np.ptp(before[top][:, across]) < 0.92
        far = ~np.isin(place, (MOLAR - 1, MOLAR, MOLAR + 1))
        assert np.allclose(after[far], corners[far], atol=1e-4)


def test_a_scan_body_is_a_cylinder_among_gingiva(graph: Data) -> None:
    corners, place = face_corners(graph), places(graph)
    for seed in range(8):
        after, stretched = warped(corners, place, [MOLAR], scan_body, np.random.default_rng(seed))
        own = in_crown(graph, after)[~stretched[place == MOLAR]]
        away = np.hypot(own[..., 0], own[..., 2])
        radius, tall = away.max(), own[..., 1].max()
        assert 1.5 < radius < 3.05 and 4.9 < tall < 11.1
        at_wall, at_top = np.isclose(away, radius, atol=0.05), np.isclose(own[..., 1], tall, atol=0.05)
        assert (at_wall | at_top).all() and at_wall.any() and at_top.any()
    found = warp_teeth(graph, np.random.default_rng(0), Warps(scan_bodies=1.0), PLAIN)
    changed = found.y != graph.y
    assert changed.any() and (found.y[changed] == 0).all()
    assert set(found.y.tolist()) == set(graph.y.tolist())  # the tooth is still there


def test_a_resized_tooth_has_the_same_shape(graph: Data) -> None:
    corners, place = face_corners(graph), places(graph)
    before = in_crown(graph, corners)
    inside = before[..., 1] > 2.0  # above the margin
    factors = []
    for seed in range(12):
        after, _ = warped(corners, place, [MOLAR], resized, np.random.default_rng(seed))
        out, up, along = (np.median((in_crown(graph, after)[inside] / before[inside])[:, axis]) for axis in range(3))
        assert out == pytest.approx(along, abs=1e-6)
        factors.append((out, up))
    low, high = np.min(factors, axis=0), np.max(factors, axis=0)
    assert (low > [0.74, 0.59]).all() and (high < [1.26, 1.11]).all()
    assert low[0] < 0.9 and high[0] > 1.1 and low[1] < 0.8


def test_a_bracket_is_a_block_on_the_outer_face(graph: Data) -> None:
    corners, place = face_corners(graph), places(graph)
    before = in_crown(graph, corners)

    def block(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return bracket(points, rng, np.array([1.5, 3.0, 3.5]))

    after, _ = warped(corners, place, [MOLAR], block, np.random.default_rng(1))
    rise = in_crown(graph, after) - before
    assert np.allclose(rise[..., 1:], 0, atol=1e-6)
    thick = rise[..., 0]
    assert 1.0 < thick.max() <= 1.5 + 1e-6 and thick.min() > -1e-6
    moved = before[thick > 0.2]
    assert moved[:, 0].min() > 0 > before[..., 0].min()
    assert np.ptp(moved[:, 1]) < 5 and np.ptp(moved[:, 2]) < 5.5


def test_the_surface_stays_whole(graph: Data) -> None:
    corners = face_corners(graph)
    _, vertex = np.unique(np.round(corners.reshape(-1, 3), 3), axis=0, return_inverse=True)
    after = face_corners(warp_teeth(graph, np.random.default_rng(5), ALL, PLAIN)).reshape(-1, 3)
    count = np.bincount(vertex)
    middle = np.stack([np.bincount(vertex, weights=axis) / count for axis in after.T], axis=1)
    torn = np.linalg.norm(after - middle[vertex], axis=1) > 0.01
    assert torn.mean() < 1e-3  # rounding parts a few


def test_fields_and_tables_follow(scans: list[Scan], small_spec: GraphSpec) -> None:
    graph = scans[0].variants[0]
    found = warp_teeth(graph, np.random.default_rng(2), ALL, small_spec)
    vectors = found.x.view(-1, 5, 3)
    assert torch.equal(vectors[:, 0], found.pos) and torch.equal(vectors[:, 4], found.normal)
    assert torch.allclose(found.normal.norm(dim=1), torch.ones(found.num_nodes), atol=1e-4)
    cross = torch.linalg.cross(vectors[:, 2] - vectors[:, 1], vectors[:, 3] - vectors[:, 1])
    assert torch.allclose(cross.norm(dim=1) / 2, found.area, rtol=1e-3, atol=1e-4)
    fresh = add_tables(found.clone(), small_spec)
    assert torch.equal(found.neighbor_index, fresh.neighbor_index) and torch.equal(found.level, fresh.level)
    assert not torch.equal(found.neighbor_index, graph.neighbor_index)
    assert torch.equal(found.edge_index, graph.edge_index)


def test_the_pose_does_not_count(graph: Data) -> None:
    turn = random_rotation(np.random.default_rng(9), 180)
    posed = with_corners(graph, face_corners(graph) @ turn.T)
    found = warp_teeth(graph, np.random.default_rng(4), ALL, PLAIN)
    turned = warp_teeth(posed, np.random.default_rng(4), ALL, PLAIN)
    apart = np.abs(face_corners(found) @ turn.T - face_corners(turned))
    assert (apart > 0.01).mean() < 1e-3  # rounding tells on which side of a bracket's edge a few lie


def test_prepared_teeth_are_neighbours_across_the_midline_too(graph: Data) -> None:
    place = places(graph)
    row = sorted({*place.tolist()} - {0})
    seen = set()
    for seed in range(60):
        found = warp_teeth(graph, np.random.default_rng(seed), Warps(prepared=1.0), PLAIN)
        lower = [t for t in row if found.area[place == t].sum() < 0.95 * graph.area[place == t].sum()]
        assert 1 <= len(lower) <= 3
        first = row.index(lower[0])
        assert lower == row[first : first + len(lower)]
        seen.add(tuple(lower))
    assert any({-1, 1} <= {*teeth} for teeth in seen) and {len(teeth) for teeth in seen} == {1, 2, 3}


def test_nothing_is_drawn_where_nothing_is_changed(scans: list[Scan], small_spec: GraphSpec) -> None:
    graph, rng = scans[0].variants[0], np.random.default_rng(7)
    assert warp_teeth(graph, rng, Warps(), small_spec) is graph
    assert rng.uniform() == np.random.default_rng(7).uniform()
    bare = graph.clone()
    bare.y = torch.zeros_like(graph.y)
    assert warp_teeth(bare, rng, ALL, small_spec) is bare


def test_training_sees_them(scans: list[Scan], small_spec: GraphSpec) -> None:
    plain = LabelledGraphs(scans, small_spec, 3, Augmentation())
    changed = LabelledGraphs(scans, small_spec, 3, Augmentation(), warps=ALL)
    assert any(not torch.equal(plain[epoch, 0].area, changed[epoch, 0].area) for epoch in range(2))
    assert torch.equal(changed[1, 0].x, changed[1, 0].x)
