"""Tell which tooth a crown is from its shape alone, with a small network that sees one crown at a time.

A segmentation net sees the place of a tooth in the scan, and counts. If a tooth is missing, it gives each tooth behind
the gap the number that is one too low. The shape of a first molar, however, does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GRID = 24  # cells along each side of an image
SPAN = 14.0  # mm that an image shows, along the arch and across it
DEPTH = 8.0  # mm, the unit of heights
TIP, EDGE = 0.98, 0.02  # quantiles for the tip and the outline of a crown, so that a stray point does not count
VISIBLE = (4.0, 5.5, 7.0, 9.0)  # mm below the tip that an image shows; the result is the mean over these images


def crown_images(points: Tensor, visible: Tensor) -> Tensor:
    """Heights of crowns as seen from the bite.

    Args:
        points: [B, P, 3] points on the surface of each crown, mm. The axes are along the arch, inwards and towards the
            bite.
        visible: [B, D] how many mm below the tip of each crown each of its D images shows.

    Returns:
        [B, D, 2, 24, 24]. The first channel is the height of the highest point in each cell, more than 1 at the tip and
        0 without a point. The second channel is whether there is a point.
    """
    below = points[..., 2] - points[..., 2].quantile(TIP, dim=1, keepdim=True)
    height = (below / DEPTH).clamp(-1.5, 0.2) + 1.5
    low, high = (points[..., :2].quantile(share, dim=1, keepdim=True) for share in (EDGE, 1 - EDGE))
    cell = ((points[..., :2] - (low + high) / 2) / SPAN * GRID + GRID / 2).floor().long()
    inside = ((cell >= 0) & (cell < GRID)).all(dim=-1)
    shown = inside[:, None] & (below[:, None] > -visible[..., None])  # [B, D, P]
    number = torch.where(shown, (cell[..., 0] * GRID + cell[..., 1])[:, None], GRID * GRID)  # the last is dropped
    image = height.new_zeros(*visible.shape, GRID * GRID + 1)
    image = image.scatter_reduce(2, number, height[:, None] * shown, "amax")[..., :-1]
    return torch.stack([image, (image > 0).to(image.dtype)], dim=2).unflatten(-1, (GRID, GRID))


class CrownNet(nn.Module):
    """A network from images of crowns and their jaw to log-probabilities of the 16 positions.

    Args:
        widths: channels of the convolution blocks, each of which halves the image.
        hidden: channels of the layer before the last.
        dropout: dropout before the last layer.

    Shapes:
        - input: ``images`` [B, 2, 24, 24] from :func:`crown_images`, ``jaw`` [B] 0 upper, 1 lower
        - output: [B, 16]
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 96), hidden: int = 96, dropout: float = 0.3) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for before, after in zip((2, *widths[:-1]), widths, strict=True):
            blocks += [
                nn.Conv2d(before, after, 3, padding=1),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.1),
                nn.MaxPool2d(2),
            ]
        self.blocks = nn.Sequential(*blocks)
        side = GRID // 2 ** len(widths)
        self.classify = nn.Sequential(
            nn.Linear(widths[-1] * side * side + 2, hidden), nn.LeakyReLU(0.1), nn.Dropout(dropout),
            nn.Linear(hidden, 16),
        )  # fmt: skip

    def forward(self, images: Tensor, jaw: Tensor) -> Tensor:
        code = F.one_hot(jaw, 2).to(images.dtype)
        return self.classify(torch.cat([self.blocks(images).flatten(1), code], dim=1)).log_softmax(dim=1)

    @torch.inference_mode()
    def positions(self, points: Tensor, jaw: int) -> Tensor:
        """Log-probabilities [B, 16] of crowns given as points [B, P, 3]; the mean over the depths of ``VISIBLE``."""
        device = next(self.parameters()).device
        points, jaws = points.to(device), torch.full((len(points),), jaw, device=device)
        images = crown_images(points, points.new_tensor(VISIBLE).expand(len(points), -1))
        return torch.stack([self(of_depth, jaws) for of_depth in images.unbind(dim=1)]).mean(dim=0).cpu()
