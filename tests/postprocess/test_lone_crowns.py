from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.studies.shapes import crowns_alone, teeth_of
from toothgraph.fdi import class_to_position, fdi_to_class
from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.lone_crowns import lone_crowns, with_whole_crowns
from toothgraph.synthetic import synthetic_arch


@pytest.fixture(scope="module")
def scan() -> Mesh:
    return synthetic_arch(2, jaw=0, faces=6000)


def said(mesh: Mesh, sure: float = 0.9) -> np.ndarray:
    """Probabilities [F, 17] of a net that is right, and so sure."""
    assert mesh.labels is not None
    prob = np.full((len(mesh.faces), 17), (1 - sure) / 16)
    prob[np.arange(len(prob)), class_to_position(fdi_to_class(mesh.labels))] = sure
    return prob


def test_a_scan_has_none(scan: Mesh) -> None:
    assert lone_crowns(scan, said(scan)) == []


def test_each_crown_without_gum_is_one(scan: Mesh) -> None:
    crowns = crowns_alone(scan, closed=True)
    found = lone_crowns(crowns, said(crowns))
    assert [np.unique(crowns.labels[own]).tolist() for own in found] == [[fdi] for fdi in teeth_of(scan)]
    assert sum(map(len, found)) == len(crowns.faces)


def test_one_that_the_net_takes_for_gum_is_a_tooth_among_others_and_not_alone(scan: Mesh) -> None:
    crowns = crowns_alone(scan, closed=False)
    prob = said(crowns)
    missed = crowns.labels == 16
    prob[missed] = np.eye(17)[0] * 0.9 + 0.1 / 17
    assert len(lone_crowns(crowns, prob)) == len(teeth_of(scan))
    few = np.isin(crowns.labels, [16, 21, 22])
    assert len(lone_crowns(crowns.part(few), prob[few])) == 2


def test_a_speck_belongs_to_the_crown_it_is_on(scan: Mesh) -> None:
    crowns = crowns_alone(scan, closed=False)
    own = np.flatnonzero(crowns.labels == 14)[:1]
    speck = crowns.corners[own[0]] + [0, 0.1, 0]
    count = len(crowns.vertices)
    mesh = replace(
        crowns, vertices=np.concatenate([crowns.vertices, speck]), labels=np.append(crowns.labels, 14),
        faces=np.concatenate([crowns.faces, [[count, count + 1, count + 2]]]),
    )  # fmt: skip
    found = lone_crowns(mesh, said(mesh))
    assert [np.unique(mesh.labels[faces]).tolist() for faces in found if len(crowns.faces) in faces] == [[14]]


def test_a_whole_crown_has_one_opinion_and_is_no_gingiva(scan: Mesh) -> None:
    crowns = crowns_alone(scan, closed=True)
    prob = said(crowns, 0.8)
    first = np.flatnonzero(crowns.labels == 16)
    prob[first[::3]] = np.eye(17)[0]  # the side that was not looked at
    whole = with_whole_crowns(prob, crowns.areas, lone_crowns(crowns, prob))
    assert (whole[:, 0] == 0).all()
    np.testing.assert_allclose(whole.sum(axis=1), 1)
    assert (whole[first] == whole[first[0]]).all()
    assert (whole.argmax(axis=1) == class_to_position(fdi_to_class(crowns.labels))).all()
