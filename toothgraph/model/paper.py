"""The networks of He et al., MIDL 2022 (PMLR 172:493-507), preset ``paper``: DGCNN on dynamic neighbour graphs.

The edge MLPs have several layers with Mish, so that they need a value for each edge. Only their first layer is computed
on nodes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data
from torch_geometric.nn import global_max_pool

from toothgraph.fdi import NUM_CLASSES
from toothgraph.graph.fields import check_fields
from toothgraph.model.backbone import as_batch, count_graphs
from toothgraph.model.jaws import log_softmax
from toothgraph.nn.dgcnn import MLPEdgeConv, TransformNet, _layer
from toothgraph.nn.knn import knn_edges


class PaperBackbone(nn.Module):
    """Transform net, three EdgeConv blocks on dynamic k-NN graphs, and a global feature.

    Args:
        k: neighbours in the dynamic graphs.
        recompute: see :class:`MLPEdgeConv`.

    Shapes:
        - input: a batch, or one graph, with ``x`` [N, 15]
        - output: [N, 1216]

    Raises:
        ShapeError: in a call with a graph without ``x``, or with ``x`` of another shape.
    """

    out_channels = 1216

    pose_invariant = False

    def __init__(self, k: int = 25, recompute: bool = False) -> None:
        super().__init__()
        self.k = k
        self.transform = TransformNet(15, k, recompute)
        self.blocks = nn.ModuleList(
            MLPEdgeConv(*channels, k=k, recompute=recompute)
            for channels in ((15, 128, 128, 64), (64, 64, 64, 64), (64, 64, 64))
        )
        self.lift = _layer(192, 1024)

    def forward(self, data: Data) -> Tensor:
        data = as_batch(data)
        check_fields(data, "x")
        batch, size, x = data.batch, count_graphs(data), data.x
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
    """The classifier of the paper; an unknown jaw has the code (0, 0).

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
