from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.spatial import cKDTree

from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.borders import Borders, _Clock, borders, cut, expand, near_border, refine
from toothgraph.rules import DEFAULT
from toothgraph.stages import clock
from toothgraph.synthetic import Variation, synthetic_arch


def sheet(height: np.ndarray, size: float = 1.0) -> Mesh:
    """Squares cut in two over a grid of heights [n, m], looking up."""
    n, m = height.shape
    x, y = np.meshgrid(np.arange(n) * size, np.arange(m) * size, indexing="ij")
    corner = (np.arange(n - 1)[:, None] * m + np.arange(m - 1)).reshape(-1, 1)
    faces = np.concatenate([np.add(corner, [0, m, m + 1]), np.add(corner, [0, m + 1, 1])])
    return Mesh(np.stack([x.ravel(), y.ravel(), height.ravel()], axis=1), faces)


def energy(mesh: Mesh, labels: np.ndarray, prob: np.ndarray, strength: float, crease: float) -> float:
    every = borders(mesh, crease)
    data = -(mesh.areas * np.log(np.maximum(prob[np.arange(len(labels)), labels], 1e-4))).sum()
    return data + strength * every.weight[labels[every.pairs[:, 0]] != labels[every.pairs[:, 1]]].sum()


def test_borders_of_a_fold() -> None:
    """A valley and a ridge of 90° along y, 2 mm long each piece."""
    zigzag = np.array([[1.0, 0, 1, 0]]).T @ np.ones((1, 2))
    mesh = sheet(zigzag)
    every = borders(mesh, crease=0.5)
    across = mesh.centroids[every.pairs].mean(axis=1)
    length = {}
    for place, name in ((1.0, "valley"), (2.0, "ridge")):
        (index,) = np.flatnonzero(np.isclose(across[:, 0], place))
        length[name] = every.weight[index]
    assert length["ridge"] == pytest.approx(1.0)
    assert length["valley"] == pytest.approx(np.exp(-(np.pi / 2) / 0.5))
    assert len(every.pairs) == 5 and every.weight.max() == pytest.approx(np.sqrt(3))  # the diagonals


def test_the_cut_is_the_least_of_all() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        keep, change = rng.uniform(0, 2, size=(2, 5))
        start, end = np.array(list(product(range(5), range(5)))).T
        weight = rng.uniform(0, 0.5, size=25) * (start != end)
        best, least = None, np.inf
        for stays in product([False, True], repeat=5):
            s = np.array(stays)
            cost = keep[s].sum() + change[~s].sum() + weight[s[start] & ~s[end]].sum()
            if cost < least:
                best, least = s, cost
        np.testing.assert_array_equal(cut(keep, change, start, end, weight), best)


def test_an_expansion_is_the_best_of_all() -> None:
    mesh = sheet(np.random.default_rng(1).normal(size=(3, 4)) * 0.3)
    rng = np.random.default_rng(2)
    nodes = np.array([1, 2, 4, 5, 8, 10])
    for _ in range(5):
        prob = rng.dirichlet(np.ones(3), size=len(mesh.faces))
        labels = np.where(np.isin(np.arange(len(mesh.faces)), nodes), rng.integers(0, 2, size=len(mesh.faces)), 2)
        every = borders(mesh)
        found = labels.copy()
        expand(found, 2, nodes, prob, mesh.areas, Borders(every.pairs, 0.7 * every.weight))
        energies = []
        for change in product([False, True], repeat=len(nodes)):
            other = labels.copy()
            other[nodes[np.array(change)]] = 2
            energies.append(energy(mesh, other, prob, 0.7, 0.5))
        assert energy(mesh, found, prob, 0.7, 0.5) == pytest.approx(min(energies), abs=1e-3)


def test_a_border_moves_into_the_fold() -> None:
    """Two teeth beside each other, a groove between them, and a net that puts the border 1.2 mm off."""
    x = np.arange(41) * 0.4
    height = np.where(np.abs(x - 8) < 1.3, np.abs(x - 8) - 1.3, 0.0)[:, None] @ np.ones((1, 16))
    mesh = sheet(height, 0.4)
    side = mesh.centroids[:, 0]
    prob = np.zeros((len(mesh.faces), 33))
    prob[:, 3] = 1 / (1 + np.exp((side - 9.2) / 0.8))
    prob[:, 4] = 1 - prob[:, 3]
    truth = np.where(side < 8, 3, 4)
    before, after = (prob.argmax(axis=1) == truth).mean(), (refine(mesh, prob) == truth).mean()
    assert before < 0.94 and after > 0.99
    assert energy(mesh, refine(mesh, prob), prob, 2.0, 0.5) < energy(mesh, prob.argmax(axis=1), prob, 2.0, 0.5)


def test_borders_of_a_large_scan_come_from_a_coarser_one() -> None:
    """Blurred probabilities of a fine arch: nearly the same labels as by one cut of all its faces, and no dearer."""
    arch = synthetic_arch(3, jaw=0, faces=20_000, variation=Variation.none())
    assert arch.labels is not None
    classes = np.where(arch.labels > 0, arch.labels % 10 + arch.labels // 20 * 8, 0)
    prob = np.full((len(arch.faces), 17), 0.01, dtype=np.float32)
    near = cKDTree(arch.centroids).query(arch.centroids, k=30)[1]
    for column in range(near.shape[1]):
        np.add.at(prob, (np.arange(len(classes)), classes[near[:, column]]), 1.0)
    prob /= prob.sum(axis=1, keepdims=True)
    at_once = refine(arch, prob)
    rules = replace(DEFAULT.borders, large=15_000, coarse=5000, narrow=0.8)
    by_levels = refine(arch, prob, rules)
    assert not np.array_equal(at_once, prob.argmax(axis=1))
    assert (arch.areas * (at_once != by_levels)).sum() < 0.002 * arch.areas[at_once > 0].sum()
    dear = [energy(arch, labels, prob, 2.0, 0.5) for labels in (at_once, by_levels, prob.argmax(axis=1))]
    assert dear[1] < 1.01 * dear[0] and dear[1] < 0.9 * dear[2]


def test_specks_go_and_far_faces_stay(arch: Mesh) -> None:
    classes = np.where(arch.labels > 0, arch.labels % 10, 0)
    prob = np.full((len(arch.faces), 9), 0.02)
    prob[np.arange(len(classes)), classes] = 0.86
    speck = int(np.argmax(arch.centroids[:, 1]))
    prob[speck] = 0.02
    prob[speck, 8 if classes[speck] != 8 else 7] = 0.86
    found = refine(arch, prob)
    assert found[speck] == classes[speck]
    far = ~near_border(arch, prob.argmax(axis=1), borders(arch).pairs, 2.0)
    np.testing.assert_array_equal(found[far], prob.argmax(axis=1)[far])


def test_nothing_to_move(arch: Mesh) -> None:
    prob = np.zeros((len(arch.faces), 33), dtype=np.float32)
    prob[:, 0] = 1
    assert (refine(arch, prob) == 0).all()
    one = arch.part(np.array([0]))
    assert refine(one, prob[:1]).tolist() == [0]


def test_long_cuts_tell_how_long_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("toothgraph.postprocess.borders.time.monotonic", lambda: now[0])
    assert _Clock([1000] * 30).left() == ""  # soon done
    watch = _Clock([400_000, 200_000] * 2)
    first = 2e-8 * 400_000**1.5
    assert watch.left() == f", at most about {clock(2 * first * (1 + 0.5**1.5))} left"  # before any is cut
    now[0] += 3 * first  # a machine that is three times as slow
    watch.done(400_000)
    assert watch.left() == f", at most about {clock(3 * first * (1 + 2 * 0.5**1.5))} left"


def test_a_part_of_the_borders(arch: Mesh) -> None:
    every = borders(arch)
    some = borders(arch, pairs=every.pairs[::3])
    np.testing.assert_array_equal(some.weight, every.weight[::3])
