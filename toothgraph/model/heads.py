"""Heads: projection for pre-training, tooth classes for fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.fdi import NUM_CLASSES, NUM_POSITIONS
from toothgraph.graph.fields import check_fields
from toothgraph.model.config import CLASSES
from toothgraph.model.jaws import join_jaw, log_softmax
from toothgraph.nn.checks import check_nodes, described
from toothgraph.nn.pyramid import LENGTH, Levels, Pyramid, dense, find_levels, node_norm


class ProjectionHead(nn.Sequential):
    """Linear, batch norm, leaky ReLU, linear: embeddings [N, D] to vectors [N, P] for InfoNCE."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__(
            nn.Linear(in_channels, hidden, bias=False),
            node_norm(hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, out_channels),
        )


class SegmentationHead(nn.Module):
    """Classify nodes into tooth classes, from their embeddings and positions.

    Coordinates and normals are added here. A second pyramid, with a pooled feature of the whole scan, distinguishes
    neighbouring molars. The jaw is an input (a third code means unknown). Each node also predicts the jaw from its
    embedding. So the output is always a distribution over all 33 classes, and the teeth of a scan can vote on its jaw.

    Args:
        in_channels: D.
        k: neighbours per level of the table.
        num_levels: levels of the table.
        widths: channels per level.
        dropout: dropout before the last layer.
        norm: ``batch`` or ``layer``.
        context: whether a feature of the whole scan is pooled.
        classes: ``places`` (17 positions and the jaw) or ``all`` (33 classes at once).
        recompute: see :class:`toothgraph.nn.pyramid.Pyramid`.

    Shapes:
        - input: ``embedding`` [N, D]; a batch with ``pos`` [N, 3] mm, ``normal`` [N, 3], ``neighbor_index``
          [levels·k, N], ``level`` [N]; ``jaw`` [B] (0, 1, -1); optionally ``levels``, see
          :class:`toothgraph.model.GeometryBackbone`
        - output: [N, 33] log-probabilities

    Raises:
        ConfigError: for options that do not fit each other.
        ShapeError: in a call with a graph that lacks one of these fields, or in which they have another shape or dtype.
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
        if len(widths) != num_levels:
            raise ConfigError(f"expected {num_levels} widths, one per level, got {list(widths)}")
        if classes not in CLASSES:
            raise ConfigError(f"expected classes of {', '.join(CLASSES)}, got {classes!r}")
        self.in_channels = in_channels
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

    def forward(self, embedding: Tensor, data: Data, jaw: Tensor, levels: Levels | None = None) -> Tensor:
        check_nodes(embedding, self.in_channels, "embedding")
        check_fields(data, "pos", "normal")
        if data.pos.dtype != self.inlet[0].weight.dtype:
            wanted = str(self.inlet[0].weight.dtype).removeprefix("torch.")
            raise ShapeError(f"expected pos and normal of {wanted}, as the net, got {described(data.pos)}; convert one")
        batch, size = data.batch, len(jaw)
        code = F.one_hot(torch.where(jaw < 0, 2, jaw), 3).to(embedding.dtype)
        x = self.inlet(torch.cat([embedding, data.pos / LENGTH, data.normal, code[batch]], dim=1))
        levels = find_levels(data, self.k, self.num_levels) if levels is None else levels
        x = self.pyramid(x, levels, batch, size)
        positions = log_softmax(self.classify(torch.cat([x, embedding], dim=1)))
        if self.jaw is None:
            return positions
        return join_jaw(positions, log_softmax(self.jaw(embedding)))
