from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from toothgraph.graph import face_graph
from toothgraph.synthetic import synthetic_arch
from toothgraph.transforms.crowns import POINTS, crowns_of, rotations, vary


def graphs() -> list[Data]:
    return [face_graph(synthetic_arch(4, jaw=jaw, faces=4000, without=[18, 28, 38, 48])) for jaw in (0, 1)]


def test_crowns_of_labelled_graphs() -> None:
    crowns = crowns_of(graphs(), np.random.default_rng(0))
    assert crowns.points.shape == (28, POINTS, 3) and crowns.points.dtype == torch.float32
    assert crowns.jaw.tolist() == [0] * 14 + [1] * 14
    assert crowns.place.tolist()[:14] == [7, 6, 5, 4, 3, 2, 1, 9, 10, 11, 12, 13, 14, 15]
    middle = crowns.points.mean(dim=1)
    assert middle.abs().max() < 1.0
    width = crowns.points[..., 0].amax(dim=1) - crowns.points[..., 0].amin(dim=1)
    molar, premolar = (np.isin(crowns.place.numpy(), places) for places in ((6, 7, 14, 15), (4, 5, 12, 13)))
    assert width[molar].min() > width[premolar].mean()
    # both sides are mirror images: inwards is the same direction on both
    inner = crowns.points[..., 1].mean(dim=1)
    torch.testing.assert_close(inner[:7], inner[7:14].flip(0), atol=0.6, rtol=0)


def test_graphs_without_teeth_have_no_crowns() -> None:
    graph = graphs()[0]
    graph.y = torch.zeros_like(graph.y)
    assert len(crowns_of([graph], np.random.default_rng(0))) == 0


def scatter(graph: Data, place: int, onto: list[int]) -> Data:
    """The graph with a number on patches of some teeth, and no longer on its own."""
    out, pos = graph.clone(), graph.pos.numpy()
    out.y[out.y == place] = 0
    for tooth in onto:
        away = np.linalg.norm(pos - pos[graph.y == tooth].mean(axis=0), axis=1)
        out.y[torch.from_numpy(away < 2.5)] = place
    return out


def test_a_number_on_patches_far_apart_is_no_crown(caplog: pytest.LogCaptureFixture) -> None:
    whole = graphs()[0]
    graph = scatter(whole, 5, [7, 15, 1])
    with caplog.at_level("WARNING", logger="toothgraph"):
        crowns = crowns_of([graph, graph], np.random.default_rng(0))
    assert crowns.place.tolist() == 2 * [7, 6, 4, 3, 2, 1, 9, 10, 11, 12, 13, 14, 15]
    (said,) = caplog.messages  # once for all tessellations
    assert said.startswith(f"{whole.scan_id}: tooth 15 is no crown")
    two = scatter(whole, 5, [7, 15, 1])
    two.y[(two.y != 5) & (two.y != 4)] = 0
    assert len(crowns_of([two], np.random.default_rng(0))) == 0  # one tooth is left, of two


def test_variation_keeps_what_a_crown_is() -> None:
    torch.manual_seed(0)
    points = torch.randn(400, 64, 3) * torch.tensor([5.0, 4.0, 3.0])
    place = torch.arange(400) % 16 + 1
    moved, number, visible = vary(points, place)
    assert moved.shape == (400, 48, 3) and ((visible > 3) & (visible < 10)).all()
    mirrored = number != place
    assert 0.4 < mirrored.float().mean() < 0.6
    assert ((number - place).abs()[mirrored] == 8).all()
    assert 0.8 < (moved.std(dim=1) / points.std(dim=1)).mean() < 1.1


def test_rotations() -> None:
    matrices = rotations(torch.tensor([[0.0, 0.0, torch.pi / 2], [0.1, -0.3, 0.2]]))
    torch.testing.assert_close(matrices[0] @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1.0, 0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(matrices @ matrices.transpose(1, 2), torch.eye(3).expand(2, 3, 3), atol=1e-6, rtol=0)
