from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.frame import turned
from toothgraph.anatomy.molars import molar_odds
from toothgraph.fdi import UPPER, class_to_fdi, class_to_position, classes_of_jaw, fdi_to_class
from toothgraph.inference import predict
from toothgraph.inference.options import PredictOptions
from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.closed_gaps import past_closed_gaps
from toothgraph.rules import DEFAULT
from toothgraph.synthetic import synthetic_arch

WISDOM = (18, 28, 38, 48)


def places(mesh: Mesh) -> np.ndarray:
    assert mesh.labels is not None
    found: np.ndarray = class_to_position(fdi_to_class(mesh.labels))
    return found


def counted(place: np.ndarray, missing: list[int]) -> np.ndarray:
    """Places as they are counted from the midline, the missing ones passed over."""
    place = place.copy()
    for number in missing:
        last = 16 if number > 8 else 8
        place[(place > number) & (place <= last)] -= 1
    return place


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("jaw", [0, 1])
@pytest.mark.parametrize("missing", [[4], [12], [4, 12]])
def test_teeth_behind_an_extracted_premolar_get_their_numbers_back(seed: int, jaw: int, missing: list[int]) -> None:
    first_premolars = [(14, 24), (34, 44)][jaw]
    gone = [first_premolars[number > 8] for number in missing]
    mesh = synthetic_arch(seed, jaw=jaw, faces=6000, without=[*gone, *WISDOM])
    truth = places(mesh)
    wrong = counted(truth, missing)
    assert (wrong != truth).any()
    np.testing.assert_array_equal(past_closed_gaps(mesh, wrong), truth)
    turn = turned(mesh, Rotation.random(random_state=seed).as_matrix())
    np.testing.assert_array_equal(past_closed_gaps(turn, wrong), truth)


def test_of_two_premolars_the_second_is_taken_to_be_there() -> None:
    mesh = synthetic_arch(1, jaw=UPPER, faces=6000, without=[15, *WISDOM])
    truth = places(mesh)
    found = past_closed_gaps(mesh, counted(truth, [5]))
    np.testing.assert_array_equal(found, np.where(truth == 4, 5, truth))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("without", [(), (17, 27, 37, 47), (16, 26, 36, 46), (15, 25, 35, 45)])
def test_right_numbers_stay(seed: int, without: tuple[int, ...]) -> None:
    mesh = synthetic_arch(seed, faces=6000, without=without)
    np.testing.assert_array_equal(past_closed_gaps(mesh, places(mesh)), places(mesh))


def test_a_side_with_seven_teeth_stays() -> None:
    """Whether an eighth tooth was there, and one before it is missing, the sizes alone do not decide."""
    mesh = next(
        arch for arch in (synthetic_arch(seed, jaw=UPPER, faces=6000, without=[14]) for seed in range(50))
        if 18 in arch.labels
    )  # fmt: skip
    wrong = counted(places(mesh), [4])
    assert wrong[places(mesh) == 8].tolist() == [7] * (places(mesh) == 8).sum()
    np.testing.assert_array_equal(past_closed_gaps(mesh, wrong), wrong)


def test_few_teeth_stay(arch: Mesh) -> None:
    place = places(arch)
    few = np.where(np.isin(place, (5, 6)), place, 0)
    np.testing.assert_array_equal(past_closed_gaps(arch, few), few)


def test_what_a_molar_is() -> None:
    """Crowns as they are in textbooks: mesiodistal, buccolingual, mm; lower jaw."""
    premolar, milk, first, second = (np.array(size) for size in ((7.0, 8.0), (9.9, 8.8), (11.0, 10.5), (10.5, 10.5)))
    assert molar_odds(first, second) > DEFAULT.gaps.sure
    assert molar_odds(premolar, first) < -DEFAULT.gaps.sure
    assert molar_odds(milk, first) < 0
    for scale in (0.9, 1.1):  # of a small or a large person
        assert molar_odds(scale * first, scale * second) == pytest.approx(molar_odds(first, second))


def test_prediction_counts_the_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = synthetic_arch(0, jaw=UPPER, faces=6000, without=[14, 24, *WISDOM])
    truth = places(mesh)
    prob = np.full((len(truth), 17), 0.1 / 16)
    prob[np.arange(len(truth)), counted(truth, [4, 12])] = 0.9
    monkeypatch.setattr(predict, "probabilities", lambda *_: (prob, UPPER, 1.0))
    fdi = class_to_fdi(classes_of_jaw(UPPER)[truth])
    found = predict.predict_mesh(None, mesh, UPPER)  # type: ignore[arg-type]
    assert (found.labels == fdi).mean() > 0.98
    assert found.past_gap == (15, 16, 17, 25, 26, 27)
    assert (found.confidence[found.labels == fdi] > 0.89).all()  # that of the net, one number before
    plain = predict.predict_mesh(None, mesh, UPPER, PredictOptions(assign_numbers=False))  # type: ignore[arg-type]
    assert (plain.labels == fdi).mean() < 0.9 and plain.past_gap == ()
