from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.frame import ALONG, turned
from toothgraph.fdi import class_to_position, fdi_to_class
from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.assign_numbers import beginnings, number_teeth, settled_order
from toothgraph.postprocess.read_row import Row
from toothgraph.rules import DEFAULT
from toothgraph.synthetic import synthetic_arch


def places(mesh: Mesh) -> np.ndarray:
    """1 … 16 and 0 of an upper jaw's labels."""
    quadrant, tooth = np.divmod(mesh.labels, 10)
    return np.where(mesh.labels > 0, tooth + np.where(quadrant == 2, 8, 0), 0)


def sure_of(place: np.ndarray, sure: float = 0.9) -> np.ndarray:
    """Probabilities of a net that is this sure of some labels."""
    prob = np.full((len(place), 17), (1 - sure) / 16)
    prob[np.arange(len(place)), place] = sure
    return prob


def numbered(mesh: Mesh, place: np.ndarray, prob: np.ndarray, jaw: int) -> np.ndarray:
    """The places that teeth get, by the probabilities of a net alone."""
    return number_teeth(mesh, place, prob, jaw).place


def test_right_numbers_stay(arch: Mesh) -> None:
    place = places(arch)
    np.testing.assert_array_equal(numbered(arch, place, sure_of(place), jaw=0), place)
    turn = turned(arch, Rotation.random(random_state=0).as_matrix())
    np.testing.assert_array_equal(numbered(turn, place, sure_of(place), jaw=0), place)


@pytest.mark.parametrize("missing", [(), (5,), (12, 6), (1, 2)])
def test_a_number_given_twice_is_put_right(missing: tuple[int, ...]) -> None:
    mesh = synthetic_arch(3, jaw=0, faces=6000)
    truth = places(mesh)
    truth[np.isin(truth, missing)] = 0  # gaps stay gaps
    wrong = truth.copy()
    wrong[truth == 11] = 9
    prob = sure_of(truth, 0.6)
    prob[truth == 11] = sure_of(np.full((truth == 11).sum(), 9), 0.5)
    prob[truth == 11, 11] = 0.4
    found = numbered(mesh, wrong, prob, jaw=0)
    assert (found == truth).mean() > 0.99
    assert not set(found) & set(missing)


def test_wisdom_teeth_keep_their_numbers() -> None:
    mesh = synthetic_arch(5, jaw=0, faces=6000)
    truth = places(mesh)
    assert 8 in truth
    # Unsure whether it is the second molar, as which its neighbour is known.
    prob = sure_of(truth, 0.9)
    last = truth == 8
    prob[last] = sure_of(np.full(last.sum(), 7), 0.6)
    prob[last, 8] = 0.35
    assert (numbered(mesh, np.where(last, 7, truth), prob, jaw=0) == truth).mean() > 0.999


def test_crowded_teeth_may_stand_behind_each_other() -> None:
    """A lateral incisor pushed in behind the canine, so that seen from the bite it comes after it."""
    arch = synthetic_arch(3, jaw=0, faces=6000)
    truth = places(arch)
    parts = [arch.part(truth == place) for place in np.unique(truth)]
    lateral, canine = (arch.centroids[truth == place].mean(axis=0) for place in (2, 3))
    into = canine - lateral + np.array([-6.0, 0.0, 0.0])
    vertices, faces, place = [], [], []
    for number, part in zip(np.unique(truth), parts, strict=True):
        faces.append(part.faces + sum(map(len, vertices)))
        vertices.append(part.vertices + (into if number == 2 else 0.0))
        place.append(np.full(len(part.faces), number))
    crowded, truth = Mesh(np.concatenate(vertices), np.concatenate(faces)), np.concatenate(place)
    np.testing.assert_array_equal(numbered(crowded, truth, sure_of(truth), jaw=0), truth)


def test_specks_go_to_what_surrounds_them(arch: Mesh) -> None:
    truth = places(arch)
    wrong = truth.copy()
    inside = int(np.argmax(np.where(truth == 3, arch.centroids[:, 1], -np.inf)))
    gum = int(np.argmin(arch.centroids[:, 1]))
    wrong[inside], wrong[gum] = 14, 7
    np.testing.assert_array_equal(numbered(arch, wrong, sure_of(truth), jaw=0), truth)


def test_a_speck_within_a_speck_goes_to_what_surrounds_both() -> None:
    arch = synthetic_arch(3, jaw=0, faces=6000)
    truth = places(arch)
    own = np.flatnonzero(truth == 3)
    distance = np.linalg.norm(arch.centroids[own] - arch.centroids[own[arch.centroids[own, 1].argmax()]], axis=1)
    near = own[np.argsort(distance)[:12]]
    wrong = truth.copy()
    wrong[near], wrong[near[0]] = 0, 14
    assert arch.areas[near].sum() < DEFAULT.numbers.speck
    np.testing.assert_array_equal(numbered(arch, wrong, sure_of(truth), jaw=0), truth)


def test_scraps_that_float_beside_the_teeth_take_no_number() -> None:
    """Three faces behind the last tooth, taken for it: a whole side once moved up by one for their sake."""
    arch = synthetic_arch(3, jaw=0, faces=6000)
    behind = arch.centroids[arch.labels == 27].mean(axis=0) + np.array([4.0, 1.0, -6.0])
    scrap = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0, 0.5], [0.5, 0.2, 0.5], [0, 0.2, 1.0]]) + behind
    faces = np.array([[0, 1, 2], [1, 3, 2], [2, 3, 4]]) + len(arch.vertices)
    mesh = Mesh(np.concatenate([arch.vertices, scrap]), np.concatenate([arch.faces, faces]))
    truth = np.concatenate([places(arch), [0, 0, 0]])
    taken = np.concatenate([places(arch), [15, 15, 15]])
    prob = sure_of(taken)
    prob[-3:, 16] += 0.1
    np.testing.assert_array_equal(numbered(mesh, taken, prob, jaw=0), truth)


@pytest.mark.parametrize("tooth", [6, 7, 13, 9])
@pytest.mark.parametrize("there", [True, False])
def test_a_band_through_a_crown_makes_no_second_tooth(tooth: int, there: bool) -> None:
    """Labelled gingiva, or not scanned at all: the halves share no edge, and once the teeth behind moved up by one."""
    mesh = synthetic_arch(0, jaw=0, faces=16_000)
    place = places(mesh)
    own = place == tooth
    middle = mesh.centroids[own].mean(axis=0)
    along = mesh.centroids[place == tooth - 1].mean(axis=0) - middle if tooth > 9 else np.array([1.0, 0.0, 0.0])
    band = own & (np.abs((mesh.centroids - middle) @ (along / np.linalg.norm(along))) < 0.5)
    shown, taken = (mesh, np.where(band, 0, place)) if there else (mesh.part(~band), place[~band])
    found = numbered(shown, taken, sure_of(taken, 0.98), jaw=0)
    assert (found == taken).mean() > 0.999


def test_a_patch_of_gum_moves_no_tooth() -> None:
    arch = synthetic_arch(3, jaw=0, faces=16_000)
    truth = places(arch)
    assert set(truth) == set(range(16)) - {8}
    gum = np.flatnonzero(truth == 0)
    molar = arch.centroids[truth == 7].mean(axis=0)
    beside = gum[np.argmin(np.linalg.norm(arch.centroids[gum] - molar - np.array([5.0, -12.0, 0.0]), axis=1))]
    near = gum[np.argsort(np.linalg.norm(arch.centroids[gum] - arch.centroids[beside], axis=1))]
    patch = near[np.cumsum(arch.areas[near]) < 8.0]
    taken = truth.copy()
    taken[patch] = 7
    found = numbered(arch, taken, sure_of(taken, 0.98), jaw=0)
    whole = np.setdiff1d(np.arange(len(truth)), patch)
    np.testing.assert_array_equal(found[whole], truth[whole])


def test_what_fits_nowhere_is_gingiva(arch: Mesh) -> None:
    """A patch of gum behind a full side taken for a molar: not all molars change their numbers for it."""
    mesh = synthetic_arch(4, jaw=0, faces=6000)
    truth = places(mesh)
    side = np.isin(truth, range(1, 9))
    last = int(truth[side].max())
    behind = mesh.centroids[truth == last].mean(axis=0) + np.array([-12, 0, 0])
    distance = np.where(truth == 0, np.linalg.norm(mesh.centroids - behind, axis=1), np.inf)
    patch = distance < np.sort(distance)[40]
    assert mesh.areas[patch].sum() > 30
    wrong = np.where(patch, last, truth)
    prob = sure_of(truth, 0.95)
    prob[patch] = 0.01
    prob[patch, last], prob[patch, 0] = 0.5, 0.36
    found = numbered(mesh, wrong, prob, jaw=0)
    assert (found[truth > 0] == truth[truth > 0]).all()


def test_few_teeth_and_none(arch: Mesh) -> None:
    truth = places(arch)
    nothing = np.zeros_like(truth)
    np.testing.assert_array_equal(numbered(arch, nothing, sure_of(nothing), jaw=0), nothing)
    few = np.where(np.isin(truth, [2, 3]), truth, 0)
    np.testing.assert_array_equal(numbered(arch, few, sure_of(few), jaw=0), few)


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("jaw", [0, 1])
def test_molars_alone_are_a_row_through_the_front(jaw: int, turn: bool) -> None:
    """The gap in front may look wider than the open side of the arch."""
    mesh = synthetic_arch(0, jaw=jaw, faces=6000)
    truth = class_to_position(fdi_to_class(mesh.labels))
    truth[~np.isin(truth, [6, 7, 14, 15])] = 0
    shown = turned(mesh, Rotation.random(random_state=1).as_matrix()) if turn else mesh

    def classify(points: np.ndarray, of: int) -> np.ndarray:
        return np.log(sure_of(np.array([7, 6, 14, 15]) - 1, 0.9)[:, :16])

    found = number_teeth(shown, truth, sure_of(truth), jaw, classify=classify)
    assert found.reading is not None and found.reading.odds > 10
    assert (found.place == truth).mean() > 0.98


def test_a_row_may_begin_behind_either_of_two_wide_gaps() -> None:
    orders = beginnings(np.array([0.0, 20, 150, 170]))  # 130 degrees in front, 190 behind
    assert [order.tolist() for order in orders] == [[0, 1, 2, 3]]
    orders = beginnings(np.array([0.0, 20, 170, 190]))  # 150 and 170
    assert [order.tolist() for order in orders] == [[0, 1, 2, 3], [2, 3, 0, 1]]
    for few in (np.zeros(1), np.array([0.0, 170.0])):
        assert [order.tolist() for order in beginnings(few)] == [list(range(len(few)))]


WISDOM = (18, 28, 38, 48)


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize(("jaw", "missing"), [(0, [14]), (0, [14, 24]), (0, [12, 25]), (1, [34, 44]), (1, [46])])
def test_crowns_that_are_known_get_their_numbers_whatever_the_net_counts(
    jaw: int, missing: list[int], turn: bool
) -> None:
    mesh = synthetic_arch(0, jaw=jaw, faces=6000, without=[*missing, *WISDOM])
    truth = class_to_position(fdi_to_class(mesh.labels))
    there = [number for number in ALONG if (truth == number).any()]
    full = [number for number in ALONG if number not in (8, 16)]
    start = full.index(1) + 1 - sum(number <= 8 for number in there)  # the net counts from the front
    counted = np.zeros_like(truth)
    for number, place in zip(there, full[start : start + len(there)], strict=True):
        counted[truth == number] = place

    def classify(points: np.ndarray, of: int) -> np.ndarray:
        assert of == jaw and points.shape == (len(there), 1024, 3)
        return np.log(sure_of(np.array(there) - 1, 0.8)[:, :16])

    shown = turned(mesh, Rotation.random(random_state=1).as_matrix()) if turn else mesh
    found = number_teeth(shown, counted, sure_of(counted), jaw, classify=classify)
    assert (found.place == truth).mean() > 0.98
    assert found.reading is not None and found.reading.odds > 1
    assert (found.tooth[truth == 0] == -1).mean() > 0.98 and set(found.tooth) == set(range(-1, len(there)))
    assert (number_teeth(shown, counted, sure_of(counted), jaw).place == truth).mean() < 0.98


def test_small_teeth_that_look_like_first_molars_are_milk_teeth() -> None:
    there = [number for number in ALONG if number not in (7, 8, 15, 16)]
    mesh = synthetic_arch(0, jaw=0, faces=6000, without=[17, 27, *WISDOM])
    looks = np.array([{5: 6, 13: 14}.get(number, number) for number in there])

    def classify(points: np.ndarray, jaw: int) -> np.ndarray:
        return np.log(sure_of(looks - 1, 0.8)[:, :16])

    reading = number_teeth(mesh, places(mesh), sure_of(places(mesh)), 0, classify=classify).reading
    assert reading is not None and reading.places.tolist() == there
    assert sorted(reading.places[reading.milk]) == [5, 13]


def test_crowns_come_in_their_own_frames() -> None:
    mesh = synthetic_arch(0, jaw=0, faces=6000)
    seen = []

    def classify(points: np.ndarray, jaw: int) -> np.ndarray:
        seen.append(points)
        return np.full((len(points), 16), -np.log(16))

    number_teeth(mesh, places(mesh), sure_of(places(mesh)), 0, classify=classify)
    (points,) = seen
    assert np.abs(points.mean(axis=1)).max() < 1.5  # about the middle of each crown
    tips = points[..., 2].max(axis=1)
    assert (tips > 1.5).all()  # towards the bite
    width = np.ptp(points[..., 0], axis=1)
    assert width[[0, 1, -2, -1]].min() > width[[2, 3, -4, -3]].max()  # along the arch: molars wider than premolars


@pytest.mark.parametrize(("sure", "exchanged"), [(0.6, False), (0.999, True)])
def test_neighbours_are_exchanged_only_where_their_looks_are_sure(sure: float, exchanged: bool) -> None:
    """Central incisors look alike: a little more for the other order is no reason to take it."""
    looks = np.full((2, 16), -9.0)  # the first along the arch looks like 21, the second like 11
    looks[[0, 1], [8, 0]], looks[[0, 1], [0, 8]] = np.log(sure), np.log(1 - sure)

    def row_of(order: np.ndarray) -> Row:
        return Row(looks[order], np.full(2, -9.0), np.ones(2), np.zeros(1), np.zeros(0), np.zeros(1, bool),
                   np.full(2, np.nan))  # fmt: skip

    order = settled_order(row_of, np.array([0.0, 12.0]), jaw=0)
    assert (order.tolist() == [1, 0]) == exchanged
