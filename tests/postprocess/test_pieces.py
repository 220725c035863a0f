from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.frame import turned
from toothgraph.anatomy.sizes import usual_areas
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import face_adjacency, label_pieces
from toothgraph.postprocess.borders import Borders
from toothgraph.postprocess.pieces import (
    across_gaps,
    narrowest_cut,
    separate,
    sweep,
    widest_cut,
)
from toothgraph.rules import DEFAULT
from toothgraph.synthetic import synthetic_arch

ORDER = [*range(17, 10, -1), *range(21, 28)]


@pytest.fixture(scope="module")
def fine() -> Mesh:
    return synthetic_arch(5, jaw=0, faces=16_000)


def pieces(mesh: Mesh, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    piece = label_pieces(labels, face_adjacency(mesh.faces))
    return piece, np.unique(piece[labels > 0])


def parted(mesh: Mesh, labels: np.ndarray, log_prob: np.ndarray | None = None) -> np.ndarray:
    """What the folds alone say, if there are no probabilities."""
    piece, teeth = pieces(mesh, labels)
    nothing = np.zeros((len(piece), 16))
    return separate(mesh, piece, teeth, usual(mesh, labels, teeth, piece), nothing if log_prob is None else log_prob)


def usual(mesh: Mesh, labels: np.ndarray, teeth: np.ndarray, piece: np.ndarray) -> np.ndarray:
    number = labels[[np.argmax(piece == one) for one in teeth]]
    area = np.bincount(piece, weights=mesh.areas)[teeth]
    return usual_areas(number % 10, area, int(labels.max() // 30))


def same_parts(a: np.ndarray, b: np.ndarray) -> float:
    """Share of faces in the largest common part, of each part of ``b``."""
    return sum(np.bincount(a[b == part]).max() for part in np.unique(b)) / len(b)


def test_right_teeth_stay(fine: Mesh) -> None:
    np.testing.assert_array_equal(parted(fine, fine.labels), pieces(fine, fine.labels)[0])


@pytest.mark.parametrize("first", [17, 15, 13, 11, 22, 25])
def test_neighbours_under_one_number_are_parted(fine: Mesh, first: int) -> None:
    second = ORDER[ORDER.index(first) + 1]
    found = parted(fine, np.where(fine.labels == second, first, fine.labels))
    truth = pieces(fine, fine.labels)[0]
    assert len(np.unique(found)) == len(np.unique(truth))
    assert same_parts(found, truth) > 0.998


def test_a_new_tooth_gets_no_number_that_the_gingiva_has(fine: Mesh) -> None:
    labels = np.where(fine.labels == 15, 16, fine.labels)
    piece, teeth = pieces(fine, labels)
    last = int(piece.max())  # counted the other way round, so that the gingiva comes after the teeth
    nothing = np.zeros((len(piece), 16))
    found = separate(fine, last - piece, last - teeth, usual(fine, labels, teeth, piece), nothing)
    gum = fine.labels == 0
    assert len(np.unique(found)) == len(np.unique(piece)) + 1
    assert not set(found[gum]) & set(found[~gum])


def test_three_in_a_row_however_they_lie(fine: Mesh) -> None:
    turn = turned(fine, Rotation.random(random_state=1).as_matrix())
    labels = np.where(np.isin(fine.labels, (25, 26, 27)), 26, fine.labels)
    found = parted(turn, labels)
    assert same_parts(found, pieces(fine, fine.labels)[0]) > 0.998


@pytest.mark.parametrize("tooth", [16, 14, 11, 23, 26])
def test_a_tooth_under_two_numbers_is_joined(fine: Mesh, tooth: int) -> None:
    own = fine.labels == tooth
    middle = np.median(fine.centroids[own], axis=0)
    neighbour = fine.centroids[fine.labels == ORDER[ORDER.index(tooth) + 1]].mean(axis=0)
    half = own & ((fine.centroids - middle) @ (neighbour - middle) > 0)
    two = np.where(half, 38, fine.labels)
    assert len(pieces(fine, two)[1]) > len(ORDER)
    torn = np.full((len(two), 16), np.log(0.01))
    torn[own, :2] = np.log(0.3)
    torn[own, half[own].astype(int)] = np.log(0.55)
    for log_prob in (None, torn):
        found = parted(fine, two, log_prob)
        assert same_parts(found, pieces(fine, fine.labels)[0]) > 0.998
        assert len(np.unique(found[own])) == 1


def test_two_teeth_without_a_fold_stay_two_where_the_net_tells_them_apart() -> None:
    close = synthetic_arch(4, jaw=1, faces=8000)
    truth = pieces(close, close.labels)[0]
    assert len(np.unique(parted(close, close.labels))) < len(np.unique(truth))
    number = np.unique(close.labels, return_inverse=True)[1] - 1
    likely = np.where(np.arange(16) == number[:, None], np.log(0.6), np.log(0.1))
    np.testing.assert_array_equal(parted(close, close.labels, likely), truth)


def test_a_shift_by_half_a_tooth_is_put_right(fine: Mesh) -> None:
    """Each label covers the back half of one tooth and the front half of the next: no label is a tooth."""
    labels = fine.labels.copy()
    for one, after in pairwise((24, 25, 26, 27)):
        own = fine.labels == one
        middle = np.median(fine.centroids[own], axis=0)
        onwards = fine.centroids[fine.labels == after].mean(axis=0) - middle
        labels[own & ((fine.centroids - middle) @ onwards > 0)] = after
    found = parted(fine, labels)
    assert same_parts(found, pieces(fine, fine.labels)[0]) > 0.99


def test_a_finer_mesh_gives_the_same(fine: Mesh) -> None:
    corners = fine.corners
    middles = (corners + np.roll(corners, -1, axis=1)) / 2
    (a, b, c), (ab, bc, ca) = (np.moveaxis(points, 1, 0) for points in (corners, middles))
    quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    points = np.concatenate([np.stack(quarter, axis=1) for quarter in quarters]).reshape(-1, 3)
    vertices, faces = np.unique(points.round(6), axis=0, return_inverse=True)
    finer = Mesh(vertices, faces.reshape(-1, 3))
    truth = np.tile(fine.labels, 4)
    labels = np.where(truth == 16, 15, truth)
    found = parted(finer, labels)
    assert same_parts(found, pieces(finer, truth)[0]) > 0.995


def test_sweep_by_hand() -> None:
    """Two squares of four faces in a chain, the link between them weak."""
    weight = np.array([1.0, 1.0, 1.0, 0.1, 1.0, 1.0, 1.0])
    area = np.array([1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 3.0, 1.0])
    order, cost, smaller = sweep(area, Borders(np.stack([np.arange(7), np.arange(1, 8)], axis=1), weight))
    forwards = order[0] == 0
    assert order.tolist() == (list(range(8)) if forwards else list(range(7, -1, -1)))
    np.testing.assert_allclose(cost, weight if forwards else weight[::-1])
    before = np.cumsum(area if forwards else area[::-1])[:-1]
    np.testing.assert_allclose(smaller, np.minimum(before, area.sum() - before))


def test_a_tooth_of_one_or_two_faces_is_not_cut() -> None:
    square = np.array([[0, 0, 0], [30, 0, 0], [30, 30, 0], [0, 30, 0]], dtype=float)
    two = Mesh(square, np.array([[0, 1, 2], [0, 2, 3]]))
    for mesh in (two, two.part(np.array([0]))):
        width, side = narrowest_cut(mesh)
        assert width == np.inf and not side.any()
    np.testing.assert_array_equal(
        separate(two, np.arange(2), np.arange(2), np.full(2, 100.0), np.zeros((2, 16))), [0, 0]
    )


def test_the_larger_a_piece_the_wider_a_cut_may_be() -> None:
    assert widest_cut(DEFAULT.pieces.large - 0.01) == 0.0
    assert (
        widest_cut(DEFAULT.pieces.large + 0.01)
        == DEFAULT.pieces.narrow
        < widest_cut(DEFAULT.pieces.bulky + 0.01)
        == DEFAULT.pieces.solid
    )


def plate(height: Callable[[np.ndarray], np.ndarray]) -> Mesh:
    """34 × 8 mm in steps of 0.4 mm, bent along x."""
    x, z = np.meshgrid(np.linspace(-17, 17, 86), np.linspace(-4, 4, 21), indexing="ij")
    corner = (np.arange(85)[:, None] * 21 + np.arange(20)).reshape(-1, 1)
    faces = np.concatenate([corner + np.array([0, 1, 21]), corner + np.array([1, 22, 21])])
    return Mesh(np.stack([x.ravel(), height(x).ravel(), z.ravel()], axis=1), faces)


def test_a_tooth_of_the_usual_size_is_not_cut_however_narrow_its_waist() -> None:
    """Two plates that meet in a groove, as deep as between two teeth."""
    mesh = plate(lambda x: 6 * np.minimum(np.abs(x), 1))
    piece, nothing = np.zeros(len(mesh.faces), dtype=np.int64), np.zeros((len(mesh.faces), 16))
    for bulk, parts in ((1.0, 1), (2.0, 2)):
        usual = np.array([mesh.areas.sum() / bulk])
        assert len(np.unique(separate(mesh, piece, np.array([0]), usual, nothing))) == parts


def test_crumbs_at_a_corner_do_not_hide_the_cut(fine: Mesh) -> None:
    """A second part that shares no edge takes the second eigenvector for itself."""
    two = fine.part(np.isin(fine.labels, (15, 16)))
    width, side = narrowest_cut(two)
    crumb = two.vertices[two.faces[0, 0]] + np.array([[0.1, 0, 0], [0, 0, 0.1]])
    vertices = np.concatenate([two.vertices, crumb])
    faces = np.concatenate([two.faces, [[two.faces[0, 0], len(two.vertices), len(two.vertices) + 1]]])
    with_crumb = narrowest_cut(Mesh(vertices, faces))
    assert with_crumb[0] == pytest.approx(width)
    np.testing.assert_array_equal(with_crumb[1][:-1], side)


def test_two_large_parts_without_a_common_edge_are_two_sides(fine: Mesh) -> None:
    apart = fine.part(np.isin(fine.labels, (14, 16)))
    width, side = narrowest_cut(apart)
    assert width == 0.0
    assert {tuple(np.unique(apart.labels[side])), tuple(np.unique(apart.labels[~side]))} == {(14,), (16,)}


@pytest.mark.parametrize(
    ("ends", "parts"),
    [
        ((-10, 0, 1, 11), 1),  # two halves of a molar
        ((-10, 0, 3, 13), 2),  # too far apart
        ((-12, 8, 9, 13), 2),  # a whole molar, and as much of a wisdom tooth as is out: together not too large for one
        ((-16, -1, 0, 15), 2),  # too large for one
    ],
)
def test_parts_of_one_tooth_share_no_edge(ends: tuple[int, int, int, int], parts: int) -> None:
    mesh = plate(np.zeros_like)
    x = mesh.centroids[:, 0]
    place = np.where(((x > ends[0]) & (x < ends[1])) | ((x > ends[2]) & (x < ends[3])), 7, 0)
    piece, teeth = pieces(mesh, place)
    assert len(teeth) == 2
    found = across_gaps(mesh, piece, place, jaw=0)
    assert len(np.unique(found[place > 0])) == parts
    np.testing.assert_array_equal(found[place == 0], piece[place == 0])
