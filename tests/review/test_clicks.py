"""A whole arch from one click a tooth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from toothgraph.errors import ConfigError
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.metrics.classes import confusion, matched_iou
from toothgraph.review.clicks import label_from_clicks, with_net
from toothgraph.review.operations import Operation, apply
from toothgraph.review.surface import Surface


def test_one_click_a_tooth_labels_the_arch(crowns: Mesh, surface: Surface, middle: Callable[[int], int]) -> None:
    teeth = np.unique(crowns.labels[crowns.labels > 0]).tolist()
    clicks = [middle(tooth) for tooth in teeth]
    found = label_from_clicks(surface, clicks, teeth)
    assert matched_iou(confusion(crowns.labels, found)) > 0.85
    assert all(found[face] == tooth for face, tooth in zip(clicks, teeth, strict=True))
    # what a net says of teeth and gingiva makes it better
    with_it = label_from_clicks(surface, clicks, teeth, np.where(crowns.labels > 0, 0.95, 0.05))
    assert matched_iou(confusion(crowns.labels, with_it)) > max(0.93, matched_iou(confusion(crowns.labels, found)))
    # as an operation
    done = Operation("clicks", faces=tuple(clicks), numbers=tuple(teeth))
    np.testing.assert_array_equal(apply(surface, crowns.labels, done), found)


def test_a_fine_scan_is_labelled_on_a_coarser_surface(surface: Surface) -> None:
    assert surface.coarse is surface.decimated.fine  # as fine as the tools want it
    mesh = surface.mesh
    middles = mesh.corners.mean(axis=1)
    vertices = np.concatenate([mesh.vertices, middles])
    a, b, c = mesh.faces.T
    centre = len(mesh.vertices) + np.arange(len(mesh.faces))
    faces = np.concatenate([np.stack(each, axis=1) for each in ((a, b, centre), (b, c, centre), (c, a, centre))])
    fine = Surface(Mesh(vertices, faces, labels=np.tile(mesh.labels, 3)))
    assert len(fine.coarse.faces) < 0.8 * len(fine.mesh.faces)
    teeth = np.unique(mesh.labels[mesh.labels > 0]).tolist()
    clicks = []
    for tooth in teeth:
        own = np.flatnonzero(fine.mesh.labels == tooth)
        high = fine.mesh.centroids[own]
        clicks.append(int(own[np.linalg.norm(high - high.mean(axis=0), axis=1).argmin()]))
    found = label_from_clicks(fine, clicks, teeth)
    assert len(found) == len(fine.mesh.faces)
    assert matched_iou(confusion(fine.mesh.labels, found)) > 0.75
    assert decimate(fine.mesh, 500).mesh is not fine.mesh


def test_clicks_without_numbers_of_their_own_are_refused(surface: Surface) -> None:
    for faces, numbers in (([], []), ([1, 2], [36, 36]), ([1], [36, 37])):
        with pytest.raises(ConfigError, match="one click a tooth"):
            label_from_clicks(surface, faces, numbers)


def test_walks_and_net_together_are_probabilities() -> None:
    prob = np.array([[0.2, 0.8], [1.0, 0.0], [0.5, 0.5]])
    both = with_net(prob, np.array([0.5, 0.9, 0.9]))
    np.testing.assert_allclose(both.sum(axis=1), 1)
    assert both[2, 1] > 0.5 and both[1, 0] == 1
