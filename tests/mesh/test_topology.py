from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from toothgraph.graph import face_adjacency, label_pieces
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import MAX_FACES_PER_EDGE, border_edges


def pairs(faces: list[list[int]] | np.ndarray) -> set[tuple[int, int]]:
    edge_index = face_adjacency(np.array(faces))
    assert edge_index.dtype == np.int64
    found = list(map(tuple, edge_index.T.tolist()))
    assert found == sorted(set(found))  # each pair once, by source, then target
    return set(found)


def both_ways(*links: tuple[int, int]) -> set[tuple[int, int]]:
    return set(links) | {(b, a) for a, b in links}


def fan(count: int) -> list[list[int]]:
    """Faces that all share the edge 0-1."""
    return [[0, 1, 2 + i] if i % 2 else [1, 0, 2 + i] for i in range(count)]


def test_two_triangles_are_linked_both_ways() -> None:
    assert face_adjacency(np.array([[0, 1, 2], [2, 1, 3]])).tolist() == [[0, 1], [1, 0]]


def test_orientation_plays_no_part() -> None:
    assert pairs([[0, 1, 2], [1, 2, 3]]) == pairs([[0, 1, 2], [2, 1, 3]]) == {(0, 1), (1, 0)}


def test_a_shared_vertex_is_no_link() -> None:
    assert pairs([[0, 1, 2], [2, 3, 4]]) == set()


def test_all_faces_of_a_tetrahedron_touch() -> None:
    faces = [[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]]
    assert pairs(faces) == both_ways(*combinations(range(4), 2))


def test_a_strip_is_a_chain() -> None:
    assert pairs([[i, i + 1, i + 2] for i in range(5)]) == both_ways((0, 1), (1, 2), (2, 3), (3, 4))


@pytest.mark.parametrize("count", [3, 4, MAX_FACES_PER_EDGE])
def test_faces_around_a_non_manifold_edge_are_all_linked(count: int) -> None:
    assert pairs(fan(count)) == both_ways(*combinations(range(count), 2))


def test_an_edge_of_too_many_faces_links_none_but_other_edges_still_do() -> None:
    broken = fan(MAX_FACES_PER_EDGE + 1)
    assert pairs(broken) == set()
    last = len(broken)
    assert pairs([*broken, [1, 2, 99]]) == both_ways((0, last))


def test_components_stay_apart() -> None:
    strip = np.array([[0, 1, 2], [1, 2, 3]])
    assert pairs(np.concatenate([strip, strip + 10])) == both_ways((0, 1), (2, 3))


def test_a_degenerate_face_is_no_neighbour_of_itself() -> None:
    assert pairs([[0, 0, 1]]) == set()
    assert pairs([[0, 0, 1], [0, 1, 2]]) == both_ways((0, 1))


def test_faces_that_share_two_edges_are_linked_once() -> None:
    assert pairs([[0, 1, 2], [0, 2, 1]]) == both_ways((0, 1))


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint32, np.uint64, np.int32])
def test_faces_of_any_whole_numbers(kind: type) -> None:
    faces = np.array([[0, 1, 2], [1, 3, 2]], dtype=kind)
    np.testing.assert_array_equal(face_adjacency(faces), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(border_edges(faces), [[0, 1], [2, 0], [1, 3], [3, 2]])


def test_one_face_and_none() -> None:
    assert face_adjacency(np.array([[0, 1, 2]])).shape == (2, 0)
    empty = face_adjacency(np.zeros((0, 3), dtype=np.int64))
    assert empty.shape == (2, 0)
    assert empty.dtype == np.int64


def test_against_a_written_out_search(arch: Mesh) -> None:
    faces = arch.faces[:400]
    sides = [{frozenset(side) for side in combinations(face, 2)} for face in faces.tolist()]
    expected = {(a, b) for a, b in combinations(range(len(faces)), 2) if sides[a] & sides[b]}
    assert pairs(faces) == both_ways(*expected)


def test_permuting_faces_permutes_links(arch: Mesh) -> None:
    order = np.random.default_rng(0).permutation(len(arch.faces))
    new = np.argsort(order)  # old face f stands at new[f]
    renamed = {(int(new[a]), int(new[b])) for a, b in pairs(arch.faces)}
    assert pairs(arch.faces[order]) == renamed


def test_an_arch_is_one_piece_with_at_most_three_neighbours(arch: Mesh) -> None:
    source, target = face_adjacency(arch.faces)
    assert np.bincount(source).max() == 3
    n = len(arch.faces)
    graph = np.zeros((n, n), dtype=bool)
    graph[source, target] = True
    assert (graph == graph.T).all()
    assert connected_components(graph)[0] == 1


def test_rigid_motion_changes_no_link(arch: Mesh) -> None:
    turned = Mesh(Rotation.from_rotvec([1, 2, 3]).apply(arch.vertices) + np.array([100, -20, 3]), arch.faces)
    assert np.array_equal(face_adjacency(turned.faces), face_adjacency(arch.faces))


def test_pieces_of_equal_labels() -> None:
    edges = np.array([[0, 1, 1, 2, 2, 3, 4, 5], [1, 0, 2, 1, 3, 2, 5, 4]])
    piece = label_pieces(np.array([7, 7, 0, 7, 0, 0]), edges)
    assert [len(set(piece[part])) for part in ([0, 1], [4, 5])] == [1, 1]
    assert len(set(piece)) == 4  # the 7 behind the gap is another one, as is the second 0
    assert label_pieces(np.zeros(0, dtype=int), edges[:, :0]).shape == (0,)
