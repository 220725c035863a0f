"""Teeth in which two labellings differ, and labels of another file of the same scan."""

from __future__ import annotations

import numpy as np
import pytest

from toothgraph.errors import LabelError
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.differences import ToothDifference, find_differences, labels_from


def strip(count: int) -> Mesh:
    """`count` squares of 1 mm², two faces each, side by side."""
    x = np.arange(count + 1.0)
    vertices = np.stack([np.tile(x, 2), np.zeros(2 * count + 2), np.repeat([0.0, 1.0], count + 1)], axis=1)
    first = np.arange(count)[:, None]
    faces = np.concatenate([first + np.array([0, count + 1, 1]), first + np.array([1, count + 1, count + 2])], axis=1)
    return Mesh(vertices, faces.reshape(-1, 3))


def per_square(*labels: int) -> np.ndarray:
    return np.repeat(labels, 2)


def test_what_differs_is_measured() -> None:
    mesh = strip(8)
    before = per_square(0, 11, 11, 11, 12, 12, 13, -1)
    after = per_square(0, 11, 11, 12, 12, 12, 14, 15)
    rows = find_differences(mesh, before, after)
    assert rows[0].differs == rows[1].differs == rows[2].differs == rows[3].differs == pytest.approx(1)
    assert {row.fdi: row for row in rows} == {
        11: ToothDifference(11, 11, pytest.approx(1), pytest.approx(2 / 3)),
        12: ToothDifference(12, 12, pytest.approx(1), pytest.approx(2 / 3)),
        13: ToothDifference(13, 14, pytest.approx(1), pytest.approx(0)),
        14: ToothDifference(14, None, pytest.approx(1), pytest.approx(0)),
    }  # 15 lies where the reference is unknown


def test_the_largest_difference_comes_first_and_none_is_none() -> None:
    mesh, before = strip(6), per_square(11, 11, 12, 13, 13, 13)
    rows = find_differences(mesh, before, per_square(0, 0, 12, 13, 13, 0))
    assert [(row.fdi, row.other) for row in rows] == [(11, 0), (13, 13)]
    assert find_differences(mesh, before, before) == []


def test_labels_come_from_another_file_of_the_scan(arch: Mesh) -> None:
    order = np.random.default_rng(0).permutation(len(arch.faces))
    np.testing.assert_array_equal(labels_from(arch.part(order), arch), arch.labels)
    coarse = decimate(arch, 1500).mesh
    assert (labels_from(coarse, arch) == arch.labels).mean() > 0.9
    with pytest.raises(LabelError, match=r"found \d+ faces and no labels"):
        labels_from(arch.with_labels(None), arch)
    elsewhere = Mesh(arch.vertices + 5.0, arch.faces, arch.labels)
    with pytest.raises(LabelError, match="mm away"):
        labels_from(elsewhere, arch)
