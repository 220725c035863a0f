from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

import toothgraph as tg
from toothgraph.fdi import UNKNOWN
from toothgraph.inference import trust as room
from toothgraph.inference.predict import Prediction
from toothgraph.inference.trust import KEPT, MILK, UNLIKE, UNSURE, Trust, trusted_labels
from toothgraph.synthetic import synthetic_arch


@pytest.fixture
def looks(monkeypatch, arch):
    """What two looks find, given one after another; begun with the truth in both."""
    place = np.zeros((len(arch.faces), 17), dtype=np.float32)
    place[:, 0] = arch.labels == 0
    truth = Prediction(arch.labels, place, 0, 1.0, np.ones(len(arch.faces)))
    found = [truth, truth]
    given = iter(found)
    seen = []

    def look(net, mesh, jaw, options=None):
        seen.append(mesh)
        return next(given)

    monkeypatch.setattr(room, "predict_mesh", look)
    return found, seen


def test_what_both_looks_find_is_kept(looks, arch, net):
    found = trusted_labels(net, arch)
    assert np.array_equal(found.labels, arch.labels) and not found.reason and found.jaw == 0
    assert set(found.teeth) == set(np.unique(arch.labels[arch.labels > 0])) and set(found.teeth.values()) == {KEPT}
    first, second = looks[1]
    assert first.scan_id != second.scan_id  # other tessellations
    assert not np.allclose(first.vertices, second.vertices)  # another pose


def test_a_tooth_whose_number_is_not_sure_has_no_label(looks, arch, net):
    one, other = (int(number) for number in np.unique(arch.labels[arch.labels > 0])[[2, 5]])
    looks[0][0] = replace(looks[0][0], tooth_certainty=np.where(arch.labels == one, 0.89, 1.0))
    looks[0][1] = replace(looks[0][1], tooth_certainty=np.where(arch.labels == other, 0.5, 0.91))
    found = trusted_labels(net, arch, Trust(certainty=0.9))
    assert {number for number, state in found.teeth.items() if state == UNSURE} == {one, other}
    dropped = np.isin(arch.labels, [one, other])
    assert (found.labels[dropped] == UNKNOWN).all() and np.array_equal(found.labels[~dropped], arch.labels[~dropped])


def test_a_tooth_that_the_second_look_sees_otherwise_has_no_label(looks, arch, net):
    number = int(arch.labels.max())
    faces = np.flatnonzero(arch.labels == number)
    labels = arch.labels.copy()
    labels[faces[: len(faces) // 2]] = 0
    looks[0][1] = replace(looks[0][1], labels=labels)
    found = trusted_labels(net, arch, Trust(agreement=0.8))
    assert found.teeth[number] == UNLIKE and (found.labels[faces] == UNKNOWN).all()


def test_faces_that_differ_have_no_label_where_the_tooth_is_kept(looks, arch, net):
    number = int(arch.labels.max())
    face = int(np.flatnonzero(arch.labels == number)[0])
    labels = arch.labels.copy()
    labels[face] = 0
    looks[0][1] = replace(looks[0][1], labels=labels)
    found = trusted_labels(net, arch)
    assert found.teeth[number] == KEPT and found.labels[face] == UNKNOWN
    assert (found.labels == UNKNOWN).sum() == 1


def test_gingiva_that_may_be_a_tooth_has_no_label_but_for_that_beside_a_tooth(looks, arch, net):
    last = arch.labels == 17
    labels = np.where(last, 0, arch.labels)  # both looks miss a tooth, and the second suspects it
    place = looks[0][0].probabilities.copy()
    place[last, 0] = 0.95
    looks[0][0] = replace(looks[0][0], labels=labels, probabilities=place)
    place = place.copy()
    place[last, 0] = 0.8
    looks[0][1] = replace(looks[0][1], labels=labels, probabilities=place)
    found = trusted_labels(net, arch, Trust(gingiva=0.1))
    apart, _ = KDTree(arch.centroids[labels > 0]).query(arch.centroids)
    assert (found.labels[last & (apart > 0.7)] == UNKNOWN).all() and (last & (apart > 0.7)).sum() > 10
    rest = ~last | (apart <= 0.7)
    assert np.array_equal(found.labels[rest], labels[rest])


def test_gingiva_is_kept_where_the_limit_allows_it(looks, arch, net):
    last = arch.labels == 17
    labels, place = np.where(last, 0, arch.labels), looks[0][0].probabilities.copy()
    place[last, 0] = 0.8
    looks[0][0] = looks[0][1] = replace(looks[0][0], labels=labels, probabilities=place)
    assert np.array_equal(trusted_labels(net, arch, Trust(gingiva=0.25)).labels, labels)


def test_milk_teeth_are_not_learned_as_their_successors(looks, arch, net):
    looks[0][0] = replace(looks[0][0], milk_teeth=(15,))
    assert trusted_labels(net, arch).teeth[15] == MILK


@pytest.mark.parametrize("case", ["jaw", "few", "none"])
def test_a_scan_of_which_too_little_is_sure_is_left_out(looks, arch, net, case):
    if case == "jaw":
        looks[0][1] = replace(looks[0][1], jaw=1)
    elif case == "few":
        looks[0][1] = replace(looks[0][1], tooth_certainty=np.where(arch.labels > 20, 0.1, 1.0))
    else:
        looks[0][0] = replace(looks[0][0], labels=np.zeros_like(arch.labels))
    found = trusted_labels(net, arch, Trust(teeth=0.6))
    count = len(found.teeth)
    kept = sum(number < 20 for number in found.teeth)
    expected = {"jaw": "two predictions of it disagree on the jaw",
                "few": f"only {kept} of the {count} teeth found are sure",
                "none": "only 0 of the 0 teeth found are sure"}  # fmt: skip
    assert found.reason == expected[case] and (found.labels == UNKNOWN).all()


@pytest.mark.parametrize(
    ("given", "sure", "jaws", "reason"),
    [
        (0, 0.3, (0, 1), "it is given as the upper jaw, but looks like the lower jaw"),
        (0, 0.5, (0, 1), ""),  # not sure, as nets of few labels are
        (0, 0.0, (1,), ""),  # every scan is a lower jaw to this net
        (-1, 0.8, (0, 1), "the model is not sure which jaw it is; put upper or lower into its name"),
        (-1, 0.95, (0, 1), ""),
        (-1, 1.0, (0,), "its jaw is not known, and the labels to learn from are of only one jaw; put upper or lower "
                        "into its name"),
    ],
)  # fmt: skip
def test_a_scan_that_may_be_of_the_other_jaw_is_left_out(looks, arch, net, given, sure, jaws, reason):
    looks[0][1] = replace(looks[0][1], jaw_probability=sure)
    assert trusted_labels(net, replace(arch, jaw=given), jaws=jaws).reason == reason


def test_the_package_s_net_is_sure_of_most_teeth():
    arch = synthetic_arch(7, jaw=1, faces=6000)
    found = trusted_labels(tg.load_model(), arch)
    assert not found.reason and list(found.teeth.values()).count(KEPT) >= 10
    known = found.labels != UNKNOWN
    assert known.mean() > 0.8 and (found.labels[known] == arch.labels[known]).mean() > 0.9
