"""The nets of He et al., MIDL 2022 (preset ``paper``): DGCNN on dynamic neighbour graphs.

Edge MLPs of several layers with Mish need the edges; only their first layer is computed on nodes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data
from torch_geometric.nn import global_max_pool
from torch_geometric.utils import scatter

from toothgraph.mesh.numbering import NUM_CLASSES
from toothgraph.nn.heads import log_softmax
from toothgraph.nn.knn import knn_edges
from toothgraph.nn.norm_mish import norm_mish_linear
from toothgraph.nn.recompute import recomputed


def _layer(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_channels, out_channels, bias=False), nn.BatchNorm1d(out_channels), nn.Mish())


def _mlp(*channels: int) -> nn.Sequential:
    return nn.Sequential(*(_layer(a, b) for a, b in pairwise(channels)))


def _after_first(edges: Tensor, parts: list[nn.Module]) -> Tensor:
    """The MLP's parts after its first linear layer: batch norm, Mish, linear, batch norm, Mish, …"""
    if torch.is_autocast_enabled(edges.device.type):  # which chooses the precision part by part
        for part in parts:
            edges = part(edges)
        return edges
    for norm, linear in zip(parts[0::3], [*parts[2::3], None], strict=True):
        assert isinstance(norm, nn.BatchNorm1d) and (linear is None or isinstance(linear, nn.Linear))
        edges = norm_mish_linear(edges, norm, linear)
    return edges


class MLPEdgeConv(nn.Module):
    r"""``max_j MLP([x_i, x_j − x_i])`` with the MLP's first linear layer computed on nodes.

    .. math:: W [x_i, x_j - x_i] = (W_a - W_b) x_i + W_b x_j

    The same values, parameters and names of parameters as PyG's ``EdgeConv(mlp, aggr="max")``, for a kth of
    the first layer's operations and without the [E, 2·C_in] edge inputs. Both products run in float32 under
    autocast, since their sum rebuilds ``x_j − x_i`` by cancellation.

    Args:
        channels: C_in, then the widths of the MLP's layers, each without bias, with batch norm and Mish.
        k: most neighbours of a node. Where every node has as many, the maximum needs no scatter.
        recompute: keep no edge values for the backward pass, but compute them again there.

    Shapes:
        - input: ``x`` [N, C_in], ``edge_index`` [2, E] sorted by node, as from :func:`knn_edges`
        - output: [N, C_out]
    """

    def __init__(self, *channels: int, k: int, recompute: bool = False) -> None:
        super().__init__()
        self.in_channels, self.k, self.recompute = channels[0], k, recompute
        self.nn = _mlp(2 * channels[0], *channels[1:])

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        if self.recompute:
            return recomputed(self, self._convolve, x, edge_index)
        return self._convolve(x, edge_index)

    def _convolve(self, x: Tensor, edge_index: Tensor) -> Tensor:
        source, node = edge_index
        linear, *after = (part for layer in self.nn.children() for part in layer.children())
        assert isinstance(linear, nn.Linear)
        with torch.autocast(x.device.type, enabled=False):
            own, difference = linear.weight.split(self.in_channels, dim=1)
            x = x.to(linear.weight.dtype)
            a, b = F.linear(x, own - difference), F.linear(x, difference)  # [N, C]
        fixed = len(source) == self.k * len(x)
        if fixed:  # sums in place: the edges are what fills the memory
            edges = F.embedding(source.view(len(x), self.k), b).add_(a[:, None]).flatten(0, 1)
        else:
            edges = F.embedding(source, b).add_(a.index_select(0, node))
        edges = _after_first(edges, after)
        if fixed:
            return edges.view(len(x), self.k, -1).max(dim=1).values  # amax keeps its input, and is slow backward
        return scatter(edges, node, dim=0, dim_size=len(x), reduce="max")


class TransformNet(nn.Module):
    """A linear map of the input features, one per scan, that starts as the identity.

    Args:
        channels: C.
        k, recompute: see :class:`MLPEdgeConv`.

    Shapes:
        - input: ``x`` [N, C], ``edge_index`` [2, E], ``batch`` [N], number of scans B
        - output: [B, C, C]
    """

    def __init__(self, channels: int, k: int, recompute: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.conv = MLPEdgeConv(channels, 64, 128, k=k, recompute=recompute)
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

    Args:
        k: neighbours in the dynamic graphs.
        recompute: see :class:`MLPEdgeConv`.

    Shapes:
        - input: ``data`` with ``x`` [N, 15] and ``batch`` [N]
        - output: [N, 1216]
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
