"""The default backbone: invariant pair geometry, then a pyramid of factorised EdgeConvs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch_geometric.data import Data

from toothgraph.nn.pair import PairGeometryConv
from toothgraph.nn.pyramid import NodeNorm, Pyramid, dense, find_levels

FINEST_SPACING = 0.7  # mm, about the distance of neighbouring faces on a scan of the default size


class GeometryBackbone(nn.Module):
    """Node embeddings that do not change when the scan is rotated or moved.

    Nothing absolute enters: the first layer sees only how neighbouring faces lie to each other
    (:class:`PairGeometryConv`), so a face cannot be recognised by where it is, only by what it is part of.

    Args:
        k: neighbours per level of the table.
        spacings: mm, the node spacing of each level (see :func:`toothgraph.graph.dilated_tables`).
        widths: channels per level.
        pair_channels: width of the pair-geometry layer, per level.
        out_channels: D.

    Shapes:
        - input: a batch with ``pos`` [N, 3] mm, ``normal`` [N, 3], ``neighbor_index`` [len(spacings)·k, N],
          ``level`` [N]
        - output: [N, D]
    """

    def __init__(
        self,
        k: int,
        spacings: Sequence[float],
        widths: Sequence[int] = (64, 128, 192, 256),
        pair_channels: int = 32,
        out_channels: int = 96,
    ) -> None:
        super().__init__()
        self.k = k
        self.num_levels = len(spacings)
        self.out_channels = out_channels
        scales = [2.0 * max(spacing, FINEST_SPACING) for spacing in spacings]
        self.pair = PairGeometryConv(k, scales, pair_channels)
        self.inlet = nn.Sequential(NodeNorm(self.pair.out_channels), dense(self.pair.out_channels, widths[0]))
        self.pyramid = Pyramid(widths)
        self.outlet = dense(widths[0], out_channels)

    def forward(self, data: Data) -> Tensor:
        levels = find_levels(data, self.k, self.num_levels)
        x = self.inlet(self.pair(data.pos, data.normal, data.neighbor_index))
        return self.outlet(self.pyramid(x, levels, data.batch, data.num_graphs))
