"""What a net knows of the faces of a scan helps the tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from toothgraph.mesh.mesh import Mesh
from toothgraph.model import NetConfig, SegmentationNet
from toothgraph.review.embedding import Embedded, embed
from toothgraph.review.regions import grown
from toothgraph.review.surface import Surface
from toothgraph.review.walker import walk


def test_a_net_gives_each_face_a_direction(crowns: Mesh, net: SegmentationNet, tiny: NetConfig) -> None:
    found = embed(net, crowns)
    assert found is not None
    np.testing.assert_allclose(np.linalg.norm(found.values, axis=1), 1, atol=1e-5)
    assert embed(SegmentationNet(replace(tiny, kind="paper")), crowns) is None  # it depends on how the scan lies
    part = crowns.part(crowns.labels == 36)
    assert found.of(part).shape == (len(part.faces), found.values.shape[1])


def test_a_walk_hardly_crosses_what_a_net_tells_apart(patch: Mesh) -> None:
    x = patch.centroids[:, 0]
    low, third, high = np.quantile(x, [0.05, 1 / 3, 0.95])
    seed = np.where(x < low, 0, np.where(x > high, 1, -1))
    told = np.where((x < third)[:, None], [[1.0, 0.0]], [[0.0, 1.0]])
    right = [((walk(patch, seed, 2, embedding=each)[:, 1] > 0.5) == (x > third)).mean() for each in (None, told)]
    assert right[1] > 0.97 > right[0] + 0.1


def test_a_tooth_grows_to_where_its_embedding_ends(crowns: Mesh, middle: Callable[[int], int]) -> None:
    tooth = crowns.labels == 44
    labels = np.where(tooth, 0, crowns.labels)
    told = Embedded(crowns.centroids, np.where(tooth[:, None], [[1.0, 0.0]], [[0.0, 1.0]]))
    overlaps = []
    for surface in (Surface(crowns), Surface(crowns, lambda _: told)):
        own = np.zeros(len(labels), dtype=bool)
        own[grown(surface, labels, middle(44))] = True
        overlaps.append(float((own & tooth).sum() / (own | tooth).sum()))
    assert overlaps[1] > overlaps[0] + 0.02
