"""Heads: a projection for pre-training, tooth classes for fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data

from toothgraph.mesh.numbering import NUM_CLASSES, NUM_POSITIONS
from toothgraph.nn.pyramid import LENGTH, NodeNorm, Pyramid, dense, find_levels


class ProjectionHead(nn.Sequential):
    """Two linear layers with batch norm between: embeddings [N, D] to contrasted vectors [N, P]."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__(
            nn.Linear(in_channels, hidden, bias=False),
            NodeNorm(hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, out_channels),
        )


def log_softmax(x: Tensor) -> Tensor:
    """Log-probabilities over the last dimension, in float32 at least: in half precision they do not sum to 1."""
    return x.log_softmax(dim=-1, dtype=torch.promote_types(x.dtype, torch.float32))


def join_jaw(positions: Tensor, jaw: Tensor) -> Tensor:
    """Log-probabilities of the 33 classes from those of the 17 places in one jaw and of the two jaws.

    Gingiva keeps its probability; a tooth's is P(position)·P(jaw). They sum to 1.

    Args:
        positions: [N, 17] log-probabilities, gingiva first.
        jaw: [N, 2] log-probabilities of upper and lower.

    Returns:
        [N, 33].
    """
    upper, lower = jaw.split(1, dim=1)  # [N, 1] each
    return torch.cat([positions[:, :1], positions[:, 1:] + upper, positions[:, 1:] + lower], dim=1)


def join_places(log_prob: Tensor) -> Tensor:
    """Log-probabilities of the 17 places [N, 17], whichever the jaw, from those of the 33 classes [N, 33]."""
    return torch.cat([log_prob[:, :1], torch.logaddexp(log_prob[:, 1:17], log_prob[:, 17:])], dim=1)


def restrict_to_jaw(log_prob: Tensor, jaw: int) -> Tensor:
    """Log-probabilities [N, 33] given the jaw: the other jaw's teeth get -inf, the rest sums to 1."""
    if jaw < 0:
        return log_prob
    other = torch.arange(NUM_CLASSES, device=log_prob.device)
    other = (other >= 17) if jaw == 0 else (other >= 1) & (other <= 16)
    return log_prob.masked_fill(other, float("-inf")).log_softmax(dim=1)


class SegmentationHead(nn.Module):
    """Node embeddings, now with their place in the scan, to tooth classes.

    Coordinates and normals join here, and a second pyramid with a pooled feature of the whole scan tells
    one molar from the next. The jaw is an input where it is known (a third code stands for unknown), and every
    node tells it from its embedding in any case, so that the result always is a distribution over all 33 classes,
    and the teeth of a scan can vote on its jaw.

    Args:
        in_channels: D.
        k: neighbours per level of the table.
        num_levels: levels of the table.
        widths: channels per level.
        dropout: before the last layer.
        norm: ``batch`` or ``layer``.
        context: whether a feature of the whole scan is pooled.
        classes: ``places`` as above, or ``all``: the 33 classes at once.
        recompute: see :class:`toothgraph.nn.pyramid.Pyramid`.

    Shapes:
        - input: ``embedding`` [N, D]; a batch with ``pos`` [N, 3] mm, ``normal`` [N, 3], ``neighbor_index``
          [levels·k, N], ``level`` [N]; ``jaw`` [B] (0, 1, -1)
        - output: [N, 33] log-probabilities
    """

    def __init__(
        self,
        in_channels: int,
        k: int,
        num_levels: int,
        widths: Sequence[int],
        dropout: float = 0.3,
        norm: str = "batch",
        context: bool = True,
        classes: str = "places",
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.k = k
        self.num_levels = num_levels
        self.inlet = dense(in_channels + 9, widths[0], norm)
        self.pyramid = Pyramid(widths, context=context, norm=norm, recompute=recompute)
        self.classify = nn.Sequential(
            dense(widths[0] + in_channels, in_channels, norm),
            nn.Dropout(dropout),
            nn.Linear(in_channels, NUM_POSITIONS if classes == "places" else NUM_CLASSES),
        )
        self.jaw = None
        if classes == "places":
            self.jaw = nn.Sequential(nn.Linear(in_channels, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, embedding: Tensor, data: Data, jaw: Tensor) -> Tensor:
        batch, size = data.batch, len(jaw)
        code = F.one_hot(torch.where(jaw < 0, 2, jaw), 3).to(embedding.dtype)
        x = self.inlet(torch.cat([embedding, data.pos / LENGTH, data.normal, code[batch]], dim=1))
        x = self.pyramid(x, find_levels(data, self.k, self.num_levels), batch, size)
        positions = log_softmax(self.classify(torch.cat([x, embedding], dim=1)))
        if self.jaw is None:
            return positions
        return join_jaw(positions, log_softmax(self.jaw(embedding)))
