from __future__ import annotations

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch_geometric.data import Batch, Data

from toothgraph.errors import ConfigError, LabelError, ShapeError
from toothgraph.fdi import fdi_to_class
from toothgraph.graph import GraphSpec, face_features, face_graph, scan_graph, surface_centre, to_networkx
from toothgraph.graph.build import face_corners, with_corners
from toothgraph.mesh.mesh import Mesh
from toothgraph.transforms import FaceGraph

TRIANGLE = Mesh(np.array([[0.0, 0, 0], [3, 0, 0], [0, 6, 0]]), np.array([[0, 1, 2]]), labels=np.array([21]), jaw=0)


def moved(mesh: Mesh, rotation: Rotation, shift: np.ndarray) -> Mesh:
    return Mesh(rotation.apply(mesh.vertices) + shift, mesh.faces, labels=mesh.labels)


def test_features_of_one_triangle_by_hand() -> None:
    expected = [1, 2, 0, -1, -2, 0, 2, -2, 0, -1, 4, 0, 0, 0, 1]
    assert np.allclose(face_features(TRIANGLE), [expected])


def test_rotation_acts_on_each_vector_and_translation_on_the_barycentre_only(arch: Mesh) -> None:
    rotation, shift = Rotation.from_rotvec([0.3, -2, 1]), np.array([5.0, -70, 11])
    vectors = face_features(arch).reshape(-1, 5, 3)
    expected = rotation.apply(vectors.reshape(-1, 3)).reshape(-1, 5, 3)
    expected[:, 0] += shift
    assert np.allclose(face_features(moved(arch, rotation, shift)).reshape(-1, 5, 3), expected, atol=1e-9)


def test_corner_offsets_cancel_and_normals_are_unit(arch: Mesh) -> None:
    vectors = face_features(arch).reshape(-1, 5, 3)
    assert np.allclose(vectors[:, 1:4].sum(axis=1), 0, atol=1e-9)
    assert np.allclose(np.linalg.norm(vectors[:, 4], axis=1), 1)


def test_surface_centre_weighs_by_area() -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [10, 0, 0], [12, 0, 0], [10, 3, 0]])
    mesh = Mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    a, b = np.array([1 / 3, 1 / 3, 0]), np.array([32 / 3, 1, 0])
    assert np.allclose(surface_centre(mesh), (0.5 * a + 3.0 * b) / 3.5)


def test_graph_of_one_triangle() -> None:
    graph = face_graph(TRIANGLE)
    assert graph.pos.tolist() == [[0, 0, 0]]
    assert graph.normal.tolist() == [[0, 0, 1]]
    assert graph.area.tolist() == [9]
    assert graph.y.tolist() == [9]  # FDI 21
    assert graph.jaw.tolist() == [0]
    assert graph.edge_index.shape == (2, 0)


def test_fields_of_a_graph(arch: Mesh) -> None:
    graph = face_graph(arch)
    n = len(arch.faces)
    assert graph.num_nodes == n
    assert graph.x.shape == (n, 15)
    assert {graph[key].dtype for key in ("x", "pos", "normal", "area")} == {torch.float32}
    assert torch.equal(graph.pos, graph.x[:, :3])
    assert torch.equal(graph.normal, graph.x[:, 12:])
    assert torch.equal(graph.y, torch.from_numpy(fdi_to_class(arch.labels)))
    assert graph.scan_id == arch.scan_id
    assert "face" not in graph  # PyG would add the number of faces to it in every batch
    assert "y" not in face_graph(arch.with_labels(None))
    graph.validate()


def test_a_graph_changed_in_place_leaves_its_mesh_as_it_was(arch: Mesh) -> None:
    before = arch.adjacency.copy()
    face_graph(arch).edge_index.add_(7)
    np.testing.assert_array_equal(arch.adjacency, before)
    with pytest.raises(ValueError, match="read-only"):
        arch.adjacency[0, 0] = 1


def test_where_the_origin_lies_carries_no_meaning(arch: Mesh) -> None:
    far = moved(arch, Rotation.identity(), np.array([1000.0, -2000, 500]))
    assert torch.allclose(face_graph(far).x, face_graph(arch).x, atol=1e-4)
    shifted = face_graph(arch, origin=np.zeros(3))
    assert np.allclose(shifted.pos.numpy(), arch.centroids, atol=1e-4)


def test_a_graph_with_other_corners_is_that_of_the_moved_mesh(arch: Mesh) -> None:
    turn = Rotation.from_euler("xyz", [20, 30, 40], degrees=True)
    mesh = moved(arch, turn, np.array([1.0, 2, 3]))
    found = with_corners(face_graph(arch, origin=np.zeros(3)), mesh.corners)
    wanted = face_graph(mesh, origin=np.zeros(3))
    for name in ("x", "pos", "normal", "area"):
        torch.testing.assert_close(found[name], wanted[name], atol=1e-4, rtol=1e-4)
    assert np.allclose(face_corners(found), mesh.corners, atol=1e-4)
    flat = with_corners(wanted, np.zeros((wanted.num_nodes, 3, 3)))
    assert torch.equal(flat.normal, wanted.normal) and not flat.area.any()


def test_permuting_faces_permutes_nodes(arch: Mesh) -> None:
    order = np.random.default_rng(0).permutation(len(arch.faces))
    permuted = face_graph(Mesh(arch.vertices, arch.faces[order], labels=arch.labels[order]))
    graph = face_graph(arch)
    assert torch.allclose(permuted.x, graph.x[order], atol=1e-5)
    assert torch.equal(permuted.y, graph.y[order])


def test_networkx_graph(arch_graph: Data) -> None:
    graph = to_networkx(arch_graph)
    assert type(graph) is nx.Graph
    assert list(graph.nodes) == list(range(arch_graph.num_nodes))
    assert 2 * graph.number_of_edges() == arch_graph.num_edges
    links = {frozenset(edge) for edge in arch_graph.edge_index.t().tolist()}
    assert {frozenset(edge) for edge in graph.edges} == links
    assert graph.nodes[7]["y"] == int(arch_graph.y[7])
    assert graph.nodes[7]["pos"] == arch_graph.pos[7].tolist()


def test_networkx_graph_of_nodes_with_other_labels(arch_graph: Data) -> None:
    for y in (torch.tensor([1]), torch.tensor(1), 3):
        graph = arch_graph.clone()
        graph.y = y
        with pytest.raises(ShapeError, match=rf"expected y \[{graph.num_nodes}\], one value per node, got \["):
            to_networkx(graph)
    graph.y = None
    assert "y" not in to_networkx(graph).nodes[0]


def test_networkx_graph_without_labels_and_with_lonely_nodes() -> None:
    graph = to_networkx(face_graph(TRIANGLE.with_labels(None)))
    assert dict(graph.nodes(data=True)) == {0: {"pos": [0.0, 0.0, 0.0]}}
    assert graph.number_of_edges() == 0


@pytest.fixture(scope="module")
def two_graphs(arch: Mesh) -> list[Data]:
    return [scan_graph(arch, GraphSpec(faces=faces, k=4))[0] for faces in (300, 200)]


def test_batching_offsets_tables_and_edges(two_graphs: list[Data]) -> None:
    batch = Batch.from_data_list(two_graphs)
    n = two_graphs[0].num_nodes
    a, b = (graph.neighbor_index for graph in two_graphs)
    assert batch.neighbor_index.dtype == torch.int32
    assert torch.equal(batch.neighbor_index, torch.cat([a, b + n], dim=1))
    edges = [two_graphs[0].edge_index, two_graphs[1].edge_index + n]
    assert torch.equal(batch.edge_index, torch.cat(edges, dim=1))
    assert batch.jaw.tolist() == [0, 0]
    assert batch.scan_id == [graph.scan_id for graph in two_graphs]


def test_no_neighbour_belongs_to_another_scan(two_graphs: list[Data]) -> None:
    batch = Batch.from_data_list(two_graphs)
    own = batch.batch.expand_as(batch.neighbor_index)
    assert torch.equal(batch.batch[batch.neighbor_index.long()], own)
    source, target = batch.edge_index
    assert torch.equal(batch.batch[source], batch.batch[target])


def test_a_batch_comes_apart_again(two_graphs: list[Data]) -> None:
    for graph, again in zip(two_graphs, Batch.from_data_list(two_graphs).to_data_list(), strict=True):
        assert torch.equal(graph.neighbor_index, again.neighbor_index)
        assert torch.equal(graph.edge_index, again.edge_index)
        assert torch.equal(graph.x, again.x)


def test_scan_graph_sizes(arch: Mesh, arch_graph: Data, small_spec: GraphSpec) -> None:
    assert abs(arch_graph.num_nodes - small_spec.faces) <= 5
    rows = small_spec.k * len(small_spec.spacings)
    assert arch_graph.neighbor_index.shape == (rows, arch_graph.num_nodes)
    assert arch_graph.level.shape == (arch_graph.num_nodes,)
    assert set(arch_graph.level.tolist()) == {0, 1, 2, 3}
    graph, coarse = scan_graph(arch, GraphSpec(faces=10_000, spacings=()))
    assert graph.num_nodes == len(arch.faces) == len(coarse.mesh.faces)  # small enough already
    assert "neighbor_index" not in graph


def test_scan_graph_is_deterministic(arch: Mesh, arch_graph: Data, small_spec: GraphSpec) -> None:
    again = scan_graph(arch, small_spec)[0]
    assert torch.equal(again.x, arch_graph.x)
    assert torch.equal(again.neighbor_index, arch_graph.neighbor_index)


def test_a_drawn_tessellation_differs_but_shows_the_same_surface(
    arch: Mesh, arch_graph: Data, small_spec: GraphSpec
) -> None:
    drawn, coarse = scan_graph(arch, small_spec, np.random.default_rng(0))
    same = scan_graph(arch, small_spec, np.random.default_rng(0))[0]
    assert torch.equal(drawn.x, same.x)
    assert drawn.num_nodes != arch_graph.num_nodes
    assert 0.84 * small_spec.faces <= drawn.num_nodes <= 1.16 * small_spec.faces
    distance = torch.cdist(drawn.pos, arch_graph.pos).amin(dim=1)
    assert distance.mean() < 2.0  # faces of some 4 mm, one frame for both
    centres = torch.from_numpy(coarse.mesh.centroids - surface_centre(arch)).float()
    assert torch.allclose(drawn.pos, centres, atol=1e-4)


def test_neighbours_along_the_surface_or_through_space(arch: Mesh) -> None:
    through, along = (scan_graph(arch, GraphSpec(faces=400, k=6, along_surface=which))[0] for which in (False, True))
    assert along.neighbor_index.shape == through.neighbor_index.shape and along.neighbor_index.dtype == torch.int32
    assert torch.equal(along.level, through.level) and torch.equal(along.pos, through.pos)
    assert not torch.equal(along.neighbor_index, through.neighbor_index)
    adjacent = set(map(tuple, along.edge_index.t().tolist()))
    assert all((int(n), i) in adjacent for i, n in enumerate(along.neighbor_index[0]) if n != i)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"faces": -1}, "expected faces of at least 1, a whole number, got -1"),
        ({"faces": 300.5}, "got 300.5"),
        ({"k": 0}, "expected k of at least 1"),
        ({"k": -1, "spacings": ()}, "expected k of at least 0"),
        ({"spacings": 3.0}, r"expected spacings \(mm\) .* one per level, got 3.0"),
        ({"spacings": (6.0, 3.0)}, "in increasing order"),
        ({"spacings": (0.0, float("nan"))}, "as finite numbers"),
        ({"spacings": (0.0, float("inf"))}, "as finite numbers"),
    ],
)
def test_what_is_no_specification_is_refused_where_it_is_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GraphSpec(**options)


@pytest.mark.parametrize("own", ["classes", "tooth or gum"])
def test_labels_that_are_no_fdi_numbers_are_refused(own: str, arch: Mesh) -> None:
    labels = fdi_to_class(arch.labels) if own == "classes" else (arch.labels > 0).astype(int)
    for make in (face_graph, lambda mesh: scan_graph(mesh, GraphSpec(faces=300, k=4)), FaceGraph(300)):
        with pytest.raises(LabelError, match=r"FDI numbers.*class_to_fdi makes .* your own.*with_labels\(None"):
            make(replace(arch, labels=labels))
    graph = face_graph(arch.with_labels(None))  # the way for classes of one's own
    graph.y = torch.from_numpy(labels)
    assert graph.validate()


@pytest.mark.parametrize("origin", [3000, [1.0, 2.0], "centre", [0.0, np.nan, 0.0], np.zeros((1, 3))])
def test_an_origin_is_three_numbers(origin: Any, arch: Mesh) -> None:
    advice = "decimate" if isinstance(origin, int) else ""
    with pytest.raises(ShapeError, match=rf"expected origin \[3\] mm, three finite numbers, got .*{advice}"):
        face_graph(arch, origin)
    assert torch.equal(face_graph(arch, [1, 2, 3]).x, face_graph(arch, torch.tensor([1.0, 2.0, 3.0])).x)
