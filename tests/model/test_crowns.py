from __future__ import annotations

import torch

from toothgraph.model.crowns import DEPTH, GRID, CrownNet, crown_images


def cone(height: float, radius: float = 5.0, count: int = 4000) -> torch.Tensor:
    """Points on a cone with its tip up."""
    generator = torch.Generator().manual_seed(0)
    r, angle = radius * torch.rand(count, generator=generator).sqrt(), 6.2832 * torch.rand(count, generator=generator)
    return torch.stack([r * angle.cos(), r * angle.sin(), height * (1 - r / radius)], dim=1)


def test_an_image_shows_heights_from_the_bite() -> None:
    points = torch.stack([cone(6.0), cone(6.0) + torch.tensor([3.0, -2.0, 50.0])])
    images = crown_images(points, torch.tensor([[20.0], [20.0]]))[:, 0]
    assert images.shape == (2, 2, GRID, GRID)
    height, seen = images[0]
    assert (
        1.45 < height.max() < 1.75 and height[GRID // 2 - 1 : GRID // 2 + 1, GRID // 2 - 1 : GRID // 2 + 1].min() > 1.4
    )
    assert seen[GRID // 2, GRID // 2] == 1 and seen[0, 0] == 0 == height[0, 0]
    torch.testing.assert_close(images[0], images[1], atol=1e-4, rtol=0)  # wherever the crown is


def test_only_what_is_visible_counts() -> None:
    points = cone(8.0)[None]
    whole, top = crown_images(points, torch.tensor([[20.0, 3.0]])).unbind(dim=1)
    assert top[0, 1].sum() < 0.3 * whole[0, 1].sum()
    assert top[0, 0][top[0, 1] > 0].min() > 1.5 - 3.0 / DEPTH - 0.05


def test_a_net_gives_log_probabilities_whatever_the_number_of_crowns() -> None:
    torch.manual_seed(0)
    net = CrownNet().eval()
    points = torch.randn(5, 300, 3) * torch.tensor([3.0, 3.0, 2.0])
    said = net.positions(points, 1)
    assert said.shape == (5, 16)
    # the mean of log-probabilities over depths: each of them sums to one, so this is at most one
    assert (said.exp().sum(dim=1) <= 1 + 1e-5).all()
    torch.testing.assert_close(net.positions(points[2:3], 1), said[2:3], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(net.positions(points, 0), said)
