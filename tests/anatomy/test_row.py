from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.frame import ALONG
from toothgraph.anatomy.row import CLOSEST, Gaps, gap_between, order_along_arch, tooth_frames
from toothgraph.fdi import class_to_position, fdi_to_class
from toothgraph.synthetic import synthetic_arch


def teeth_of(jaw: int, without: list[int]) -> tuple[list[int], list[np.ndarray]]:
    """Places in order along the arch, and the centroids of each tooth."""
    mesh = synthetic_arch(3, jaw=jaw, faces=4000, without=without)
    place = class_to_position(fdi_to_class(mesh.labels))
    there = [int(number) for number in ALONG if (place == number).any()]
    return there, [mesh.centroids[place == number] for number in there]


@pytest.mark.parametrize("jaw", [0, 1])
@pytest.mark.parametrize("missing", [[], [1, 2], [6], [3, 4, 5], [11, 21]])
def test_order_by_geometry_alone(jaw: int, missing: list[int]) -> None:
    without = [number if number > 8 else 10 * (1 + 2 * jaw) + number for number in missing]
    _, points = teeth_of(jaw, without)
    middles = np.stack([of_tooth.mean(axis=0) for of_tooth in points])
    shuffled = np.random.default_rng(0).permutation(len(middles))
    for turn in (np.eye(3), Rotation.random(random_state=2).as_matrix()):
        order, angle = order_along_arch(middles[shuffled] @ turn.T, turn @ [0, 1, 0])
        assert (np.diff(angle) > 0).all() and 90 < np.ptp(angle) < 330
        assert shuffled[order].tolist() == list(range(len(middles)))


def test_few_teeth() -> None:
    up = np.array([0.0, 1.0, 0.0])
    assert [order_along_arch(np.zeros((count, 3)), up)[0].tolist() for count in (0, 1)] == [[], [0]]
    frames = tooth_frames(np.zeros((1, 3)), up)
    np.testing.assert_allclose(frames[0] @ frames[0].T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("jaw", [0, 1])
def test_frames_point_along_and_inwards(jaw: int) -> None:
    _, points = teeth_of(jaw, [])
    middles = np.stack([of_tooth.mean(axis=0) for of_tooth in points])
    frames = tooth_frames(middles, np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(
        np.einsum("tij,tkj->tik", frames, frames), np.broadcast_to(np.eye(3), frames.shape), atol=1e-9
    )
    outwards = middles - middles.mean(axis=0)
    assert ((frames[:, 1] * outwards).sum(axis=1) < 0).all()
    assert ((frames[1:-1, 0] * (middles[2:] - middles[:-2])).sum(axis=1) > 0).all()


@pytest.mark.parametrize("jaw", [0, 1])
@pytest.mark.parametrize("missing", [[5, 6], [4, 5, 6], [3, 4, 5, 6], [1, 2, 3, 4, 5]])
def test_a_tooth_without_neighbours_has_the_frame_of_the_whole_row(jaw: int, missing: list[int]) -> None:
    """Nearly, and in any pose: a frame that turns with the file shows the crown from another side each time."""
    without = [10 * quadrant + number for quadrant in (1 + 2 * jaw, 2 + 2 * jaw) for number in missing]
    up, (everything, whole), (there, points) = np.array([0.0, 1.0, 0.0]), teeth_of(jaw, []), teeth_of(jaw, without)
    middles = np.stack([of_tooth.mean(axis=0) for of_tooth in points])
    frames = tooth_frames(middles, up)
    expected = tooth_frames(np.stack([of_tooth.mean(axis=0) for of_tooth in whole]), up)
    of_tooth = dict(zip(everything, expected, strict=True))
    along = np.array([own[0] @ of_tooth[place][0] for place, own in zip(there, frames, strict=True)])
    assert (along > np.cos(np.radians(46))).all()
    for seed in range(3):
        turn = Rotation.random(random_state=seed).as_matrix()
        np.testing.assert_allclose(tooth_frames(middles @ turn.T, turn @ up), frames @ turn.T, atol=1e-9)


def test_gaps() -> None:
    there, points = teeth_of(0, [15])
    gaps, order = Gaps(points), np.arange(len(points))
    apart = gaps.along(order)
    assert len(apart) == len(points) - 1 and len(gaps.along(order, 2)) == len(points) - 2
    assert len(gaps.along(order[:1], 2)) == 0
    exchanged = gaps.along(order[[1, 0, *order[2:]]])
    assert exchanged[0] == pytest.approx(apart[0], abs=0.3) and (exchanged[2:] == apart[2:]).all()
    assert int(apart.argmax()) == there.index(4) - 1 and np.sort(apart)[-1] > 1.5 > np.sort(apart)[-2]


@pytest.mark.parametrize("apart", [0.0, 3.0, 40.0])
@pytest.mark.parametrize("count", [1, 3, 700])
def test_a_gap_is_a_small_quantile_of_all_distances(count: int, apart: float) -> None:
    rng = np.random.default_rng(count)
    away = np.array([apart, 0, 0])
    first, second = rng.normal(size=(300, 3)), rng.normal(size=(count, 3)) + away
    second[: count // 2] = first[rng.integers(300, size=count // 2)] + away
    nearest = np.linalg.norm(second[:, None] - first, axis=2).min(axis=1)
    assert gap_between(first, second) == pytest.approx(np.quantile(nearest, CLOSEST), abs=1e-9)
