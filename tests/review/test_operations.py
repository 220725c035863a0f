"""What each operation does to labels, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from toothgraph.errors import OperationError
from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.borders import neighbours
from toothgraph.review.operations import KINDS, Operation, apply, operation_from
from toothgraph.review.surface import Surface

Middle = Callable[[int], int]


def overlap(mesh: Mesh, a: np.ndarray, b: np.ndarray) -> float:
    return float(mesh.areas[a & b].sum() / mesh.areas[a | b].sum())


def numbers(labels: np.ndarray) -> set[int]:
    return set(np.unique(labels).tolist())


def test_a_tooth_gets_another_number(crowns: Mesh, surface: Surface) -> None:
    after = apply(surface, crowns.labels, Operation("renumber", 37, 38))
    np.testing.assert_array_equal(after == 38, crowns.labels == 37)
    np.testing.assert_array_equal(after[after != 38], crowns.labels[after != 38])
    assert not (crowns.labels == 38).any()  # what was given is as it was


def test_two_teeth_are_swapped_or_merged_and_one_is_gingiva(crowns: Mesh, surface: Surface) -> None:
    swapped = apply(surface, crowns.labels, Operation("swap", 36, 35))
    np.testing.assert_array_equal(swapped == 36, crowns.labels == 35)
    np.testing.assert_array_equal(swapped == 35, crowns.labels == 36)
    merged = apply(surface, crowns.labels, Operation("merge", 36, 35))
    np.testing.assert_array_equal(merged == 35, np.isin(crowns.labels, [35, 36]))
    gone = apply(surface, crowns.labels, Operation("gingiva", 36))
    np.testing.assert_array_equal(gone == 0, np.isin(crowns.labels, [0, 36]))


def test_a_run_is_shifted(crowns: Mesh, surface: Surface) -> None:
    back = apply(surface, crowns.labels, Operation("shift", 35, 36))
    for before in (35, 36, 37):
        np.testing.assert_array_equal(back == before + 1, crowns.labels == before)
    assert 35 not in numbers(back)
    np.testing.assert_array_equal(apply(surface, back, Operation("shift", 36, 35)), crowns.labels)
    np.testing.assert_array_equal(back == 34, crowns.labels == 34)  # those in front stay
    with pytest.raises(OperationError, match="no room to shift 36 37 38"):
        apply(surface, back, Operation("shift", 36, 37))
    with pytest.raises(OperationError, match="no room to shift 36 37: 35 is there already"):
        apply(surface, crowns.labels, Operation("shift", 36, 35))


def test_two_teeth_under_one_number_are_split_where_they_meet(crowns: Mesh, surface: Surface, middle: Middle) -> None:
    for first, second in ((36, 37), (31, 41), (33, 34)):
        joined = np.where(crowns.labels == second, first, crowns.labels)
        after = apply(surface, joined, Operation("split", None, second, (middle(first), middle(second))))
        for tooth in (first, second):
            assert overlap(crowns, after == tooth, crowns.labels == tooth) > 0.95
        rest = ~np.isin(crowns.labels, [first, second])
        np.testing.assert_array_equal(after[rest], crowns.labels[rest])


def test_a_tooth_without_label_grows_to_its_folds(crowns: Mesh, surface: Surface, middle: Middle) -> None:
    for tooth, least in ((31, 0.6), (34, 0.9), (37, 0.95)):  # incisors of this coarse arch have weak folds
        without = np.where(crowns.labels == tooth, 0, crowns.labels)
        after = apply(surface, without, Operation("new", None, tooth, (middle(tooth),)))
        assert overlap(crowns, after == tooth, crowns.labels == tooth) > least
        others = without > 0
        np.testing.assert_array_equal(after[others], without[others])


def test_a_border_of_a_few_points_snaps_to_the_fold(crowns: Mesh, surface: Surface) -> None:
    own = crowns.labels == 36
    pairs = neighbours(surface.mesh)
    ends = pairs[own[pairs[:, 0]] != own[pairs[:, 1]]]
    rim = np.unique(ends[own[ends]])
    out = np.average(crowns.normals[own], axis=0)
    across = np.cross(out, [1.0, 0.0, 0.3])
    off = crowns.centroids[rim] - crowns.centroids[own].mean(axis=0)
    angle = np.arctan2(off @ np.cross(out, across) / np.linalg.norm(out), off @ across)
    points = [int(rim[np.abs(np.angle(np.exp(1j * (angle - turn)))).argmin()]) for turn in np.arange(8) * np.pi / 4]
    without = np.where(own, 0, crowns.labels)
    after = apply(surface, without, Operation("border", None, 36, tuple(points)))
    assert overlap(crowns, after == 36, own) > 0.9
    with pytest.raises(OperationError, match="at least 3 points"):
        apply(surface, without, Operation("border", None, 36, tuple(points[:2])))


def test_a_brush_paints_its_faces(crowns: Mesh, surface: Surface) -> None:
    faces = tuple(np.flatnonzero(crowns.labels == 0)[:9].tolist())
    after = apply(surface, crowns.labels, Operation("paint", None, 36, faces))
    np.testing.assert_array_equal(np.flatnonzero(after != crowns.labels), faces)
    assert set(after[list(faces)]) == {36}


def test_a_split_takes_two_places_on_one_tooth(crowns: Mesh, surface: Surface) -> None:
    first, second, gingiva = (int(np.flatnonzero(crowns.labels == tooth)[0]) for tooth in (36, 37, 0))
    for faces, said in (
        ((first, first), "both clicks are at one place"),
        ((first, second), "these two have different numbers"),
        ((gingiva, gingiva + 1), "neither is on a tooth|different numbers"),
    ):
        with pytest.raises(OperationError, match=said):
            apply(surface, crowns.labels, Operation("split", None, 38, faces))


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (Operation("renumber", 38, 37), "no tooth has the number 38; the teeth are 47 46"),
        (Operation("renumber", 36, 37), "37 is there already: swap the two, or merge"),
        (Operation("renumber", 36), "expected a number `to`"),
        (Operation("renumber", 36, 36), "this step changes nothing|is there already"),
        (Operation("gingiva", None), "no tooth has the number none"),
        (Operation("shift", 36, 38), "expected a number next to 36 in its quadrant, got 38"),
        (Operation("shift", 31, 30), "in its quadrant, got 30"),
        (Operation("split", None, 38, (0,)), "expected 2 clicks, got 1"),
        (Operation("clicks", None, None, (5, 6), (36, 36)), "clicks: expected one click a tooth"),
        (Operation("new", None, 36, (0,)), "36 is there already|split that tooth"),
    ],
)
def test_what_cannot_be_done_is_refused(crowns: Mesh, surface: Surface, done: Operation, said: str) -> None:
    with pytest.raises(OperationError, match=said):
        apply(surface, crowns.labels, done)


def test_clicks_on_the_wrong_places_are_refused(crowns: Mesh, surface: Surface, middle: Middle) -> None:
    with pytest.raises(OperationError, match="a click on each half of one tooth"):
        apply(surface, crowns.labels, Operation("split", None, 38, (middle(36), middle(35))))
    with pytest.raises(OperationError, match="this place is of 36"):
        apply(surface, crowns.labels, Operation("new", None, 38, (middle(36),)))
    with pytest.raises(OperationError, match="37 is there already"):
        apply(surface, crowns.labels, Operation("split", None, 37, (middle(36), middle(36) + 1)))


@pytest.mark.parametrize(
    "content",
    [
        {}, {"kind": "remove"}, {"kind": ["paint"]}, {"kind": "renumber", "tooth": "36", "to": 37},
        {"kind": "renumber", "tooth": 36, "to": 99}, {"kind": "renumber", "tooth": True, "to": 37},
        {"kind": "paint", "to": 36, "faces": [-1]}, {"kind": "paint", "to": 36, "faces": [10**9]},
        {"kind": "paint", "to": 36, "faces": [0.5]}, {"kind": "paint", "to": 36, "faces": "1"},
        {"kind": "clicks", "faces": [1], "numbers": [99]}, {"kind": "gingiva", "tooth": 36, "path": "/etc/passwd"},
    ],
)  # fmt: skip
def test_what_is_no_operation_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(OperationError):
        operation_from(content, 100)


def test_an_operation_and_its_content() -> None:
    done = Operation("split", None, 37, (1, 2))
    assert done.content() == {"kind": "split", "to": 37, "faces": [1, 2]}
    assert operation_from(done.content(), 3) == done
    assert operation_from({"kind": "gingiva", "tooth": 36}, 3) == Operation("gingiva", 36)
    assert len(KINDS) == 10


def test_milk_teeth_have_numbers_as_others_do(crowns: Mesh, surface: Surface, middle: Middle) -> None:
    """From a page, too: each operation takes their numbers, and gives them."""

    def done(labels: np.ndarray, **content: object) -> np.ndarray:
        return apply(surface, labels, operation_from(content, len(labels)))

    milk = done(crowns.labels, kind="renumber", tooth=35, to=75)
    np.testing.assert_array_equal(milk == 75, crowns.labels == 35)
    milk = done(done(milk, kind="renumber", tooth=34, to=74), kind="renumber", tooth=33, to=72)
    np.testing.assert_array_equal(done(milk, kind="swap", tooth=75, to=74) == 74, crowns.labels == 35)
    np.testing.assert_array_equal(done(milk, kind="shift", tooth=72, to=73) == 73, crowns.labels == 33)
    with pytest.raises(OperationError, match="no room to shift 74 75: 75 is there already"):
        done(milk, kind="shift", tooth=74, to=75)
    assert 75 not in done(milk, kind="merge", tooth=75, to=74)
    assert 75 not in done(milk, kind="gingiva", tooth=75)
    assert done(milk, kind="paint", to=85, faces=[7])[7] == 85
    joined = np.where(milk == 74, 75, milk)
    assert {74, 75} <= numbers(done(joined, kind="split", to=74, faces=[middle(35), middle(34)]))
    assert 75 in done(np.where(milk == 75, 0, milk), kind="new", to=75, faces=[middle(35)])
    assert set(np.unique(done(milk, kind="clicks", faces=[middle(35), middle(36)], numbers=[75, 36]))) == {0, 75, 36}
    with pytest.raises(OperationError, match="the teeth are 47 46 45 44 43 42 41 31 32 72 74 75 36 37"):
        done(milk, kind="gingiva", tooth=38)
    with pytest.raises(OperationError, match="expected to as an FDI number"):
        done(milk, kind="renumber", tooth=75, to=76)
