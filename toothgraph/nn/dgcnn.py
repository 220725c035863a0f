"""EdgeConv with an MLP of several layers, and the transform net, as in DGCNN.

Source: Wang et al., ACM TOG 2019, https://doi.org/10.1145/3326362
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import global_max_pool
from torch_geometric.nn.inits import reset
from torch_geometric.utils import scatter

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn.checks import check_count, check_device, check_nodes, check_rows, check_weights, checked_edges
from toothgraph.nn.edge_mlp import are_plain, flattened
from toothgraph.nn.kernels.batch_norm import NodeNorm
from toothgraph.nn.kernels.neighborhoods import _on_cpu, in_order
from toothgraph.nn.kernels.norm_mish import norm_mish_linear
from toothgraph.nn.kernels.precision import full_precision
from toothgraph.nn.recompute import recomputed


def _layer(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_channels, out_channels, bias=False), NodeNorm(out_channels), nn.Mish())


def _mlp(*channels: int) -> nn.Sequential:
    return nn.Sequential(*(_layer(a, b) for a, b in pairwise(channels)))


def _is_fast(parts: list[nn.Module]) -> bool:
    """Whether the parts have the kinds, in the order, of an MLP that :func:`_mlp` makes."""
    if not parts or len(parts) % 3:
        return False
    norms = [NodeNorm if isinstance(norm, NodeNorm) else nn.BatchNorm1d for norm in parts[1::3]]
    kinds = [kind for norm in norms for kind in (nn.Linear, norm, nn.Mish)]
    return are_plain(parts, tuple(kinds)) and all(
        linear.bias is None and norm.weight is not None and norm.running_mean is not None
        for linear, norm in zip(parts[0::3], parts[1::3], strict=True)
    )


class MLPEdgeConv(nn.Module):
    r"""``max_j MLP([x_i, x_j − x_i])``; the first linear layer of the MLP is computed on nodes.

    .. math:: W [x_i, x_j - x_i] = (W_a - W_b) x_i + W_b x_j

    Values, parameters and parameter names are the same as in PyG's ``EdgeConv(mlp, aggr="max")``. The first layer needs
    only 1/k of the operations and no [E, 2·C_in] edge inputs. Both products are float32 under autocast, because their
    sum computes ``x_j − x_i`` with cancellation.

    Args:
        channels: C_in, then the widths of the MLP layers (without bias, with batch norm and Mish).
        k: maximum number of neighbours. If every node has k neighbours, the maximum needs no scatter.
        recompute: do not keep edge values for the backward pass; compute them again there.

    Shapes:
        - input: ``x`` [N, C_in], ``edge_index`` [2, E] sorted by node, as from :func:`knn_edges`
        - output: [N, C_out]

    Raises:
        ConfigError: for fewer than two widths, or a number below 1.
        ShapeError: in a call with other shapes and, on a CPU, with neighbours that do not exist or edges that are not
            sorted by node.

    Example:
        >>> from toothgraph.nn import knn_edges
        >>> x, scan = torch.rand(10, 3), torch.zeros(10, dtype=torch.long)
        >>> MLPEdgeConv(3, 16, 8, k=4)(x, knn_edges(x, 4, scan)).shape
        torch.Size([10, 8])
    """

    def __init__(self, *channels: int, k: int, recompute: bool = False) -> None:
        super().__init__()
        check_count("k", k)
        if len(channels) < 2:
            raise ConfigError(f"expected C_in and the widths of one or more layers, got {list(channels)}")
        for width in channels:
            check_count("channels", width)
        self.in_channels, self.k, self.recompute = channels[0], k, recompute
        self.nn = _mlp(2 * channels[0], *channels[1:])

    def reset_parameters(self) -> None:
        """Set the weights to new random values, as in a new layer."""
        reset(self.nn)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        check_nodes(x, self.in_channels)
        edge_index = checked_edges(edge_index, len(x), len(x))
        check_device(x, edge_index=edge_index)
        if self.recompute:
            return recomputed(self, self._convolve, x, edge_index)
        return self._convolve(x, edge_index)

    def _convolve(self, x: Tensor, edge_index: Tensor) -> Tensor:
        if torch.compiler.is_compiling():  # the order cannot be checked: sort the edges
            (edge_index,) = in_order(edge_index)
        source, node = edge_index
        parts = flattened(self.nn)
        if not _is_fast(parts):
            edges = self.nn(torch.cat([x[node], x[source] - x[node]], dim=1))
            return scatter(edges, node, dim=0, dim_size=len(x), reduce="max")
        linear, *after = parts
        assert isinstance(linear, nn.Linear)
        check_weights(linear.weight, x)
        with full_precision(x):
            own, difference = linear.weight.split(self.in_channels, dim=1)
            x = x.to(linear.weight.dtype)
            a, b = F.linear(x, own - difference), F.linear(x, difference)  # [N, C]
        fixed = len(source) == self.k * len(x)
        if fixed and _on_cpu(node) and not bool((node.view(-1, self.k) == torch.arange(len(x))[:, None]).all()):
            raise ShapeError(
                f"expected {self.k} edges to each node, sorted by node, as from toothgraph.nn.knn_edges, got them in "
                "another order; torch_geometric.utils.sort_edge_index(edge_index, sort_by_row=False) sorts them"
            )
        if fixed:  # in place, because edge values need most of the memory
            edges = F.embedding(source.view(len(x), self.k), b).add_(a[:, None]).flatten(0, 1)
        else:
            edges = F.embedding(source, b).add_(a.index_select(0, node))
        edges = self.after_first(edges, after)
        if fixed:
            edges = edges.view(len(x), self.k, edges.shape[1])
            return edges.max(dim=1).values  # amax keeps its input and has a slow backward pass
        return scatter(edges, node, dim=0, dim_size=len(x), reduce="max")

    def after_first(self, edges: Tensor, parts: list[nn.Module]) -> Tensor:
        """Apply the MLP after its first linear layer: batch norm, Mish, linear, batch norm, Mish, …"""
        kind = edges.device.type
        # Autocast chooses the precision of each part. Without edges, there is nothing to compute in blocks.
        if (kind != "meta" and torch.is_autocast_enabled(kind)) or edges.shape[0] == 0:
            for part in parts:
                edges = part(edges)
            return edges
        for norm, linear in zip(parts[0::3], [*parts[2::3], None], strict=True):
            assert isinstance(norm, nn.BatchNorm1d) and (linear is None or isinstance(linear, nn.Linear))
            edges = norm_mish_linear(edges, norm, linear)
        return edges


class TransformNet(nn.Module):
    """A linear map of the input features, one per scan; initialised as the identity.

    Args:
        channels: C.
        k, recompute: see :class:`MLPEdgeConv`.

    Shapes:
        - input: ``x`` [N, C], ``edge_index`` [2, E], ``batch`` [N], number of scans B
        - output: [B, C, C]

    Raises:
        ConfigError, ShapeError: see :class:`MLPEdgeConv`.

    Example:
        >>> from toothgraph.nn import knn_edges
        >>> x, scan = torch.rand(10, 3), torch.tensor([0] * 6 + [1] * 4)
        >>> maps = TransformNet(3, k=4)(x, knn_edges(x, 4, scan), scan, size=2)
        >>> torch.equal(maps, torch.eye(3).expand(2, 3, 3))  # before it has learned
        True
    """

    def __init__(self, channels: int, k: int, recompute: bool = False) -> None:
        super().__init__()
        check_count("channels", channels)
        self.channels = channels
        self.conv = MLPEdgeConv(channels, 64, 128, k=k, recompute=recompute)
        self.lift = _layer(128, 1024)
        self.reduce = nn.Sequential(nn.Linear(1024, 512), nn.Mish(), nn.Linear(512, 256), nn.Mish())
        self.out = nn.Linear(256, channels * channels)
        self._start_as_identity()

    def _start_as_identity(self) -> None:
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(torch.eye(self.channels).flatten())

    def reset_parameters(self) -> None:
        """Set the weights to new random values, as in a new net."""
        for part in (self.conv, self.lift, self.reduce):
            reset(part)
        self._start_as_identity()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, size: int) -> Tensor:
        check_nodes(x, self.channels)
        check_rows("batch", batch, len(x), "node", whole=True)
        check_device(x, batch=batch)
        check_count("size", size, least=0)
        pooled = global_max_pool(self.lift(self.conv(x, edge_index)), batch, size)  # [B, 1024]
        return self.out(self.reduce(pooled)).view(-1, self.channels, self.channels)
