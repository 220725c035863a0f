"""The nets of He et al., MIDL 2022 (preset ``paper``): DGCNN on dynamic neighbour graphs.

General edge MLPs with Mish need the edges, so these use PyG's ``EdgeConv`` as it is.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data
from torch_geometric.nn import EdgeConv, global_max_pool

from toothgraph.mesh.numbering import NUM_CLASSES
from toothgraph.nn.heads import log_softmax
from toothgraph.nn.knn import knn_edges


def _layer(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_channels, out_channels, bias=False), nn.BatchNorm1d(out_channels), nn.Mish())


def _mlp(*channels: int) -> nn.Sequential:
    return nn.Sequential(*(_layer(a, b) for a, b in pairwise(channels)))


class TransformNet(nn.Module):
    """A linear map of the input features, one per scan, that starts as the identity.

    Shapes:
        - input: ``x`` [N, C], ``edge_index`` [2, E], ``batch`` [N], number of scans B
        - output: [B, C, C]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv = EdgeConv(_mlp(2 * channels, 64, 128), aggr="max")
        self.lift = _layer(128, 1024)
        self.reduce = nn.Sequential(nn.Linear(1024, 512), nn.Mish(), nn.Linear(512, 256), nn.Mish())
        self.out = nn.Linear(256, channels * channels)
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(torch.eye(channels).flatten())

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, size: int) -> Tensor:
        pooled = global_max_pool(self.lift(self.conv(x, edge_index)), batch, size)  # [B, 1024]
        return self.out(self.reduce(pooled)).view(-1, self.channels, self.channels)


class PaperBackbone(nn.Module):
    """Transform net, three EdgeConv blocks on dynamic k-NN graphs, and a global feature.

    Shapes:
        - input: ``data`` with ``x`` [N, 15] and ``batch`` [N]
        - output: [N, 1216]
    """

    out_channels = 1216

    def __init__(self, k: int = 25) -> None:
        super().__init__()
        self.k = k
        self.transform = TransformNet(15)
        self.blocks = nn.ModuleList(
            EdgeConv(_mlp(*channels), aggr="max") for channels in ((30, 128, 128, 64), (128, 64, 64, 64), (128, 64, 64))
        )
        self.lift = _layer(192, 1024)

    def forward(self, data: Data) -> Tensor:
        batch = data.batch
        size = int(batch.max()) + 1
        x = data.x
        matrix = self.transform(x, knn_edges(x, self.k, batch), batch, size)
        x = torch.einsum("nc,ncd->nd", x, matrix[batch])
        kept = []
        for block in self.blocks:
            x = block(x, knn_edges(x, self.k, batch))
            kept.append(x)
        local = torch.cat(kept, dim=1)  # [N, 192]
        pooled = global_max_pool(self.lift(local), batch, size)  # [B, 1024]
        return torch.cat([pooled[batch], local], dim=1)


class PaperHead(nn.Module):
    """The paper's classifier, with a zero code for an unknown jaw.

    Shapes:
        - input: ``embedding`` [N, 1216], ``data`` with ``batch`` [N], ``jaw`` [B] (0, 1, -1)
        - output: [N, 33] log-probabilities
    """

    def __init__(self, in_channels: int = 1216, dropout: float = 0.4) -> None:
        super().__init__()
        self.jaw = nn.Sequential(nn.Linear(2, 64), nn.Mish())
        self.layers = nn.Sequential(
            _layer(in_channels + 64, 256),
            nn.Dropout(dropout),
            _layer(256, 256),
            nn.Dropout(dropout),
            _layer(256, 128),
            nn.Linear(128, NUM_CLASSES),
        )

    def forward(self, embedding: Tensor, data: Data, jaw: Tensor) -> Tensor:
        code = F.one_hot(torch.where(jaw < 0, 2, jaw), 3)[:, :2].to(embedding.dtype)
        return log_softmax(self.layers(torch.cat([embedding, self.jaw(code)[data.batch]], dim=1)))
