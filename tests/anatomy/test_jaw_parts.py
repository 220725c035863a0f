from __future__ import annotations

from dataclasses import replace

import numpy as np

from toothgraph.anatomy.jaw_parts import jaw_parts
from toothgraph.anatomy.number_order import number_faults, numbers_along_arch
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import synthetic_arch


def both() -> tuple[Mesh, int]:
    """An upper jaw over a lower one, as one mesh, and how many faces the upper one has."""
    upper, lower = (synthetic_arch(3, jaw=jaw, faces=3000) for jaw in (0, 1))
    vertices = np.concatenate([upper.vertices * [1, -1, -1] + [0, 30, 0], lower.vertices])
    faces = np.concatenate([upper.faces, lower.faces + len(upper.vertices)])
    return Mesh(vertices, faces, labels=np.concatenate([upper.labels, lower.labels])), len(upper.faces)


def test_faces_go_with_the_teeth_of_their_surface() -> None:
    mesh, first = both()
    upper, lower = jaw_parts(mesh)
    np.testing.assert_array_equal(upper, np.arange(first))
    np.testing.assert_array_equal(lower, np.arange(first, len(mesh.faces)))


def test_labels_of_one_jaw_are_one() -> None:
    arch = synthetic_arch(3, jaw=0, faces=3000)
    assert jaw_parts(arch) == []
    assert jaw_parts(replace(arch, labels=np.where(arch.labels == 16, 46, arch.labels))) == []  # one wrong number


def test_a_surface_with_teeth_of_both_is_parted_by_the_nearest_tooth() -> None:
    mesh, first = both()
    shared = [np.array([mesh.faces[0, 0], mesh.faces[0, 1], mesh.faces[-1, 0]]),
              np.array([mesh.faces[0, 0], mesh.faces[-1, 0], mesh.faces[-1, 1]])]  # fmt: skip
    one = Mesh(mesh.vertices, np.concatenate([mesh.faces, shared]), labels=np.append(mesh.labels, [0, 0]))
    parts = jaw_parts(one)
    teeth = np.flatnonzero(one.labels > 0)
    np.testing.assert_array_equal(np.intersect1d(parts[0], teeth), teeth[teeth < first])
    assert len(parts[0]) + len(parts[1]) == len(one.faces)


def test_the_order_of_numbers_is_that_of_each_jaw() -> None:
    mesh, _ = both()
    assert number_faults(mesh) == []
    row = numbers_along_arch(mesh)
    assert row[0] // 10 == 1 and row[-1] // 10 == 3 and len(row) == len(np.unique(mesh.labels)) - 1
    labels = mesh.labels.copy()
    labels[mesh.labels == 34], labels[mesh.labels == 35] = 35, 34
    assert any("34 and 35 are in the wrong order" in fault or "35 and 34 are in the wrong order" in fault
               for fault in map(str, number_faults(mesh.with_labels(labels))))  # fmt: skip
