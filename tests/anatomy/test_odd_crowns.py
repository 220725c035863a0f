from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.studies import odd_mouths
from toothgraph.anatomy.odd_crowns import NONE, odd_crowns
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import Variation, synthetic_arch


@pytest.fixture(scope="module", params=[0, 1])
def arch(request: pytest.FixtureRequest) -> Mesh:
    return odd_mouths.upright(synthetic_arch(3, jaw=request.param, faces=20000, variation=Variation.none()))


def test_crowns_are_not_odd(arch: Mesh) -> None:
    assert odd_crowns(arch, arch.labels) == NONE
    assert odd_crowns(arch, np.zeros_like(arch.labels)) == NONE  # too few teeth to know where the bite is


def test_of_a_scan_too_coarse_to_look_at_no_crown_is_odd(arch: Mesh) -> None:
    labels = arch.labels.copy()
    for fdi in np.unique(labels[labels > 0]):
        labels[np.flatnonzero(labels == fdi)[10:]] = 0
    assert odd_crowns(arch, labels) == NONE


def test_a_scan_body_is_a_post(arch: Mesh) -> None:
    rng = np.random.default_rng(4)
    fdi = odd_mouths.one_tooth(arch, np.random.default_rng(4), (4, 5, 6))
    mesh = odd_mouths.scan_body(arch, rng)
    post = len(mesh.faces) - len(arch.faces)
    labels = np.append(np.where(arch.labels == fdi, 0, arch.labels), np.full(post, fdi))
    assert odd_crowns(mesh, labels).posts == (fdi,)


def test_a_prepared_tooth_is_a_stump(arch: Mesh) -> None:
    """A first molar, of which the width along the arch, the depth across it and the height are ground away."""
    fdi = int(arch.labels.max()) // 10 * 10 + 6
    own, border = odd_mouths.crown(arch, fdi)
    vertices = arch.vertices.copy()
    vertices[own] = vertices[own[border]].mean(axis=0) + (vertices[own] - vertices[own[border]].mean(axis=0)) * [
        0.9, 0.55, 0.6
    ]  # fmt: skip
    mesh = replace(arch, vertices=vertices)
    assert odd_crowns(mesh, arch.labels).stumps == (fdi,)
    assert odd_crowns(mesh, arch.labels, milk_teeth=[fdi]).stumps == ()  # those are small


def test_brackets_stand_out(arch: Mesh) -> None:
    mesh = odd_mouths.brackets(arch, np.random.default_rng(2))
    found = odd_crowns(mesh, arch.labels)
    assert len(found.bracketed) >= 3 and all(fdi % 10 <= 5 for fdi in found.bracketed)
    assert found.posts == found.stumps == ()


@pytest.mark.parametrize("seed", [12, 19, 28])
def test_cusps_of_premolars_are_no_brackets(seed: int) -> None:
    """Those whose cusps lean outwards most."""
    arch = synthetic_arch(seed, jaw=0, faces=24_000)
    assert odd_crowns(arch, arch.labels) == NONE


def test_a_part_of_a_tooth_that_is_not_the_last(arch: Mesh) -> None:
    quadrant = int(arch.labels.max()) // 10 * 10
    for tooth, told in ((3, True), (7, False)):  # the scan may end at a molar
        own = np.flatnonzero(arch.labels == quadrant + tooth)
        height = arch.centroids[own, 1]
        labels = arch.labels.copy()
        labels[own[height < np.quantile(height, 0.75)]] = 0
        labels[labels % 10 == 8] = 0
        assert [fdi for fdi, _ in odd_crowns(arch, labels).parts] == [quadrant + tooth] * told


def test_two_teeth_under_one_number(arch: Mesh) -> None:
    labels = np.where(arch.labels % 10 == 5, arch.labels - 1, arch.labels)
    found = odd_crowns(arch, labels)
    assert {fdi for fdi, _ in found.doubles} == {fdi for fdi in labels.tolist() if fdi % 10 == 4}
    assert all(times > 1.5 for _, times in found.doubles)


def test_a_wide_second_premolar_is_a_milk_molar(arch: Mesh) -> None:
    """The crown of the molar behind it, smaller, in its place."""
    quadrant = int(arch.labels.max()) // 10 * 10
    crown = arch.part(arch.labels == quadrant + 6)
    middle = crown.vertices.mean(axis=0)
    place = arch.centroids[arch.labels == quadrant + 5].mean(axis=0)
    jaw = odd_mouths.flattened(arch, [quadrant + 5, quadrant + 7, quadrant + 8])
    milk = replace(crown, vertices=(crown.vertices - middle) * (0.86 if arch.jaw else 0.95) + place)
    mesh = odd_mouths.joined([jaw, milk])
    labels = np.append(jaw.labels, np.full(len(milk.faces), quadrant + 5))
    assert odd_crowns(mesh, labels).milk == (quadrant + 5,)
    assert odd_crowns(mesh, labels, milk_teeth=[quadrant + 5]).milk == ()  # known already
