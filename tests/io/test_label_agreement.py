from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from toothgraph.io.label_agreement import numbers_that_differ
from toothgraph.mesh.majority import majority
from toothgraph.mesh.mesh import Mesh


def by_vertices(mesh: Mesh) -> np.ndarray:
    """Its labels as they are after a file that has them per vertex."""
    faces, labels = mesh.faces, mesh.labels
    assert labels is not None
    of_vertices = majority(faces.reshape(-1), np.repeat(labels, 3), None, len(mesh.vertices))
    return majority(np.repeat(np.arange(len(faces)), 3), of_vertices[faces.reshape(-1)], None, len(faces))


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        (lambda labels: labels, []),
        (lambda labels: np.where(labels == 15, 16, np.where(labels == 16, 15, labels)), [16, 15]),
        (lambda labels: np.where(labels == 21, 0, labels), [21]),
        (lambda labels: np.where(labels == 21, -1, labels), [21]),
        (lambda labels: np.where(labels == 21, 61, labels), [21, 61]),
        (lambda labels: np.where(labels > 30, 0, labels), []),
    ],
)
def test_teeth_that_are_not_at_the_same_place(
    change: Callable[[np.ndarray], np.ndarray], differ: list[int], arch: Mesh
) -> None:
    """In a coarse mesh, where labels per vertex move the borders by a face."""
    assert arch.labels is not None
    vertices = by_vertices(arch)
    assert (vertices != arch.labels).any()
    assert numbers_that_differ(arch.faces, arch.labels, change(vertices)) == differ
    assert numbers_that_differ(arch.faces, change(vertices), arch.labels) == differ
