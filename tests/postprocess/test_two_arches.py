from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from toothgraph.fdi import class_to_position, fdi_to_class
from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.two_arches import are_both_jaws, shows_two_arches, two_surfaces
from toothgraph.synthetic import synthetic_arch


def seen(scan: Mesh) -> np.ndarray:
    """Probabilities of a net that is right."""
    return np.eye(17, dtype=np.float32)[class_to_position(fdi_to_class(scan.labels))]


def joined(*parts: Mesh) -> tuple[Mesh, np.ndarray]:
    """Surfaces side by side in one file, and what is seen of them."""
    start = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = np.concatenate([part.faces + first for part, first in zip(parts, start, strict=False)])
    return Mesh(np.concatenate([part.vertices for part in parts]), faces), np.concatenate([seen(one) for one in parts])


@pytest.fixture(scope="module")
def jaws() -> tuple[Mesh, Mesh]:
    return synthetic_arch(3, jaw=0, faces=4000), synthetic_arch(3, jaw=1, faces=4000)


def test_both_jaws_are_two_arches_and_either_alone_is_one(jaws: tuple[Mesh, Mesh]) -> None:
    assert shows_two_arches(*joined(*jaws))
    for jaw in jaws:
        assert not shows_two_arches(jaw, seen(jaw))


def test_the_two_sides_of_one_arch_are_no_two_arches(jaws: tuple[Mesh, Mesh]) -> None:
    """Where the front was not scanned, the sides are surfaces of their own, and each shows its own teeth."""
    arch = jaws[0]
    left = arch.centroids[:, 2] > 0
    assert not shows_two_arches(*joined(arch.part(left), arch.part(~left)))


def test_crowns_beside_an_arch_are_no_arch(jaws: tuple[Mesh, Mesh]) -> None:
    arch = jaws[0]
    crowns = [arch.part(arch.labels == fdi) for fdi in np.unique(arch.labels[arch.labels > 0])]
    assert not shows_two_arches(*joined(arch, *crowns))


def test_a_second_surface_with_specks_of_teeth_is_no_arch(jaws: tuple[Mesh, Mesh]) -> None:
    upper, lower = jaws
    mesh, probabilities = joined(upper, lower)
    second = np.arange(len(mesh.faces)) >= len(upper.faces)
    speck = np.zeros(len(mesh.faces), dtype=bool)
    speck[np.flatnonzero(second & (probabilities.argmax(axis=1) > 0))[::20]] = True
    probabilities[second & ~speck] = np.eye(17)[0]
    assert not shows_two_arches(mesh, probabilities)


def test_each_face_belongs_to_the_surface_it_is_part_of_or_nearest_to(jaws: tuple[Mesh, Mesh]) -> None:
    upper, lower = jaws
    over = replace(lower, vertices=lower.vertices + np.array([0, 60, 0]))
    crown = upper.part(upper.labels == 16)  # a loose one beside the upper arch: no arch by itself
    loose = replace(crown, vertices=crown.vertices + np.array([0, -3, 0]))
    mesh, _ = joined(upper, over, loose)
    first, second = two_surfaces(mesh)
    sizes = np.cumsum([0, len(upper.faces), len(over.faces), len(loose.faces)])
    assert set(first) == {*range(sizes[1]), *range(sizes[2], sizes[3])} and set(second) == set(
        range(sizes[1], sizes[2])
    )


def test_one_surface_or_three_are_not_parted(jaws: tuple[Mesh, Mesh]) -> None:
    upper, lower = jaws
    assert two_surfaces(upper) == []
    assert two_surfaces(joined(upper, lower, replace(lower, vertices=lower.vertices + 60))[0]) == []


def test_the_two_walls_of_a_shell_are_not_parted(jaws: tuple[Mesh, Mesh]) -> None:
    upper, _ = jaws
    inner = replace(upper, vertices=upper.vertices - np.array([0, 2, 0]), faces=upper.faces[:, ::-1])
    assert two_surfaces(joined(upper, inner)[0]) == []


def turned_over(mesh: Mesh) -> Mesh:
    return replace(mesh, vertices=mesh.vertices * [1, -1, -1])


def side_of(mesh: Mesh, left: bool) -> Mesh:
    return mesh.part((mesh.centroids[:, 2] > 0) == left)


@pytest.mark.parametrize(
    ("upper", "pair", "both"),
    [
        ((0.9, 0.1), lambda upper, lower: (upper, lower), True),
        ((0.9, 0.95), lambda upper, lower: (upper, lower), False),  # twice the same jaw
        ((0.6, 0.7), lambda upper, lower: (upper, lower), True),  # not sure, but the same teeth
        ((0.6, 0.7), lambda upper, lower: (side_of(upper, True), side_of(upper, False)), False),  # two parts of one
        ((0.6, 0.7), lambda upper, lower: (side_of(upper, True), turned_over(side_of(lower, False))), True),  # a bite
        ((0.9, 0.1), lambda upper, lower: (upper, lower.part(lower.labels <= 32)), False),  # too few teeth
    ],
)
def test_which_two_surfaces_are_both_jaws(jaws, upper, pair, both) -> None:
    meshes = pair(*jaws)
    places = [class_to_position(fdi_to_class(mesh.labels)) for mesh in meshes]
    assert are_both_jaws(meshes, places, upper) == both
