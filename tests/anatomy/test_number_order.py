from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from toothgraph.anatomy.number_order import number_faults, numbers_along_arch
from toothgraph.fdi import TO_PRIMARY, class_to_fdi, fdi_to_class, mirror_classes
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.tooth_table import tooth_table
from toothgraph.synthetic import synthetic_arch


@pytest.fixture(scope="module", params=[0, 1], ids=["upper", "lower"])
def mesh(request) -> Mesh:
    return synthetic_arch(4, jaw=request.param, faces=4000)


def exchanged(mesh: Mesh, first: int, second: int) -> Mesh:
    labels = mesh.labels.copy()
    labels[mesh.labels == first], labels[mesh.labels == second] = second, first
    return mesh.with_labels(labels)


def moved(mesh: Mesh, old: int, new: int) -> Mesh:
    return mesh.with_labels(np.where(mesh.labels == old, new, mesh.labels))


def test_the_row_of_a_sound_arch_and_no_faults(mesh):
    row = numbers_along_arch(mesh)
    ends = ("1", "2") if mesh.jaw == 0 else ("4", "3")  # the patient's right, then the left
    assert [str(number)[0] for number in (row[0], row[-1])] == list(ends)
    assert row == [row.fdi for row in tooth_table(mesh, mesh.labels) if row.fdi > 0]  # as predict lists them
    assert number_faults(mesh) == []


def test_two_neighbours_that_are_exchanged_are_named_with_their_place(mesh):
    row = numbers_along_arch(mesh)
    for place, (first, second) in enumerate(pairwise(row)):
        (fault,) = number_faults(exchanged(mesh, first, second))
        assert str(fault).startswith(f"{second} and {first} are in the wrong order"), (first, second, fault)
        shown = [*row[max(place - 2, 0) : place], second, first, *row[place + 2 : place + 4]]
        assert f"… {' '.join(map(str, shown))} …" in str(fault) and fault.teeth == (second, first, *shown)


def test_one_number_on_two_teeth(mesh):
    row = numbers_along_arch(mesh)
    (fault, *_) = number_faults(moved(mesh, row[2], row[6]))
    assert str(fault).startswith(f"{row[6]} is on two teeth, ") and " mm apart" in str(fault)


def test_a_number_that_is_missing_is_no_fault(mesh):
    row = numbers_along_arch(mesh)
    assert number_faults(moved(mesh, row[5], 0)) == []


def test_left_and_right_exchanged(mesh):
    labels = class_to_fdi(mirror_classes()[fdi_to_class(mesh.labels)])
    (fault,) = number_faults(mesh.with_labels(labels))
    assert "the wrong way along the arch" in str(fault)


def test_the_pose_and_missing_front_teeth_change_nothing(mesh):
    turn = np.array([[0.0, -1, 0], [0.6, 0, -0.8], [0.8, 0, 0.6]])
    front = (mesh.labels > 0) & (mesh.labels % 10 <= 3)
    back = Mesh(mesh.vertices @ turn.T, mesh.faces, labels=np.where(front, 0, mesh.labels), jaw=mesh.jaw)
    assert number_faults(back) == []
    assert numbers_along_arch(back) == [number for number in numbers_along_arch(mesh) if number % 10 > 3]


def test_a_number_of_the_other_jaw(mesh):
    own, other = (16, 46) if mesh.jaw == 0 else (46, 16)
    (fault,) = number_faults(moved(mesh, own, other))
    names = ("lower", "upper") if mesh.jaw == 0 else ("upper", "lower")
    assert str(fault) == f"{other} is a number of the {names[0]} jaw; most teeth here are of the {names[1]} jaw"
    assert fault.teeth == (other,)
    # some teeth of the other jaw on a surface of their own, as at the edge of a scan of the bite, are no fault
    opposite = synthetic_arch(4, jaw=1 - mesh.jaw, faces=4000)
    few = opposite.part(np.flatnonzero(np.isin(opposite.labels, [36, 37, 26, 27])))
    away = few.vertices + np.array([0.0, 0.0, 60.0])
    both = Mesh(
        np.concatenate([mesh.vertices, away]), np.concatenate([mesh.faces, few.faces + len(mesh.vertices)]),
        labels=np.concatenate([mesh.labels, few.labels]),
    )  # fmt: skip
    assert number_faults(both) == []


def test_too_few_teeth_have_no_order(mesh):
    few = mesh.with_labels(np.where(mesh.labels % 10 == 6, mesh.labels, 0))
    assert numbers_along_arch(few) == [] and number_faults(few) == []
    assert number_faults(mesh.with_labels(np.zeros_like(mesh.labels))) == []


def test_milk_teeth_stand_in_the_row(mesh):
    """Each in the place of its successor, also all of them, and beside a permanent tooth of the same place."""
    row = numbers_along_arch(mesh)
    front = [fdi for fdi in row if fdi % 10 < 6]
    milk = mesh.with_labels(np.where(np.isin(mesh.labels, front), mesh.labels + TO_PRIMARY, mesh.labels))
    assert numbers_along_arch(milk) == [fdi + TO_PRIMARY * (fdi in front) for fdi in row]
    assert number_faults(milk) == []
    second, first = row[row.index(front[0])], row[row.index(front[0]) + 1]
    (fault,) = number_faults(exchanged(milk, second + TO_PRIMARY, first + TO_PRIMARY))
    assert "are in the wrong order" in str(fault) and fault.teeth[0] > 50
    both = moved(moved(mesh, first, 0), second, second + TO_PRIMARY)
    assert second + TO_PRIMARY in numbers_along_arch(both)
