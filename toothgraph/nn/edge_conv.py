"""Factorised EdgeConv, without edge values."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import EdgeConv

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn.checks import check_count, check_device, check_nodes, check_table, checked_edges, described
from toothgraph.nn.distributed import combined
from toothgraph.nn.kernels.batch_norm import running, track
from toothgraph.nn.kernels.gather import gather_max, reduce_neighbors
from toothgraph.nn.kernels.neighborhoods import Neighborhoods, from_edges, from_table
from toothgraph.nn.kernels.precision import full_precision

MONOTONE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.Softplus, nn.Sigmoid, nn.Tanh,
            nn.Hardtanh, nn.Hardsigmoid, nn.LogSigmoid, nn.Softsign, nn.Identity)  # fmt: skip
_BY_NAME = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class FastEdgeConv(nn.Module):
    r"""Factorised EdgeConv with one linear layer, a norm and an activation.

    Source: Wang et al., ACM TOG 2019, eq. 8, https://doi.org/10.1145/3326362

    .. math::
        z_{ij} = W [x_i, x_j - x_i] + b = a_i + b_j,
        \quad a_i = (W_a - W_b) x_i + b, \quad b_j = W_b x_j

    The norm is an affine map per channel, s·z + t, and a monotone activation keeps the order. So

    .. math::
        x_i' = \max_j \mathrm{act}(s z_{ij} + t) = \mathrm{act}(s a_i + t + \max_j s b_j)

    This needs two products over nodes and one gather-maximum: O(N·C) memory, and O(E·C) in PyG, with the same values
    and gradients up to rounding. A node without neighbours gets 0, as in PyG.

    The statistics of the edge norm need no edges either. Let p_i be the in-degree and q_j the out-degree of the nodes,
    and a, b without their means over edges. Then |E|·var = Σ p a² + Σ q b² + 2 Σ_i a_i Σ_{j∈N(i)} b_j.

    Products, statistics and gathers are float32 under autocast, because ``a_i + b_j`` computes ``x_j - x_i`` with
    cancellation; half precision would be too coarse.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        norm: None or ``"batch"`` (batch norm over the edges).
        act: None, a name (``relu``, ``leaky_relu``, ``elu``, ``tanh``, ``sigmoid``) or a monotone module.
        aggr: ``"max"``, ``"mean"`` or ``"sum"``.
        bias: whether the linear layer has a bias.

    Shapes:
        - input: ``x`` [N, C_in], or (sources [M, C_in], targets [N, C_in]); ``edge_index`` [2, E] in any order,
          or ``neighbor_index`` [k, N]
        - output: [N, C_out]

    Raises:
        ConfigError: for a number of channels below 1, or a norm or activation that does not commute with the
            aggregation; the text is the reason.
        ShapeError: in a call with both or neither of ``edge_index`` and ``neighbor_index``, with other things than
            these tensors, and, on a CPU, with neighbours that are not there.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: str | None = None,
        act: str | nn.Module | None = None,
        aggr: str = "max",
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_count("in_channels", in_channels)
        check_count("out_channels", out_channels)
        self.in_channels, self.out_channels, self.aggr = in_channels, out_channels, aggr
        self.lin = nn.Linear(2 * in_channels, out_channels, bias=bias)
        if norm not in (None, "batch"):
            raise ConfigError(
                f'expected norm None or "batch", got {norm!r}: a norm with another scale for each edge (layer, '
                "instance) does not commute with the maximum; apply it to the nodes after this layer"
            )
        self.norm = nn.BatchNorm1d(out_channels) if norm else None
        self.act = _activation(act)
        if aggr not in ("max", "mean", "sum"):
            raise ConfigError(f"expected aggr max, mean or sum, got {aggr!r}")
        if aggr != "max" and not isinstance(self.act, nn.Identity):
            raise ConfigError(
                f"expected no activation with aggr {aggr!r}: the {aggr} of activated edges is not the activation of "
                f"their {aggr}; apply the activation to the nodes after this layer"
            )

    def forward(
        self,
        x: Tensor | tuple[Tensor, Tensor],
        edge_index: Tensor | None = None,
        neighbor_index: Tensor | None = None,
    ) -> Tensor:
        source, target = self._ends(x)
        if (edge_index is None) == (neighbor_index is None):
            raise ShapeError("expected either edge_index [2, E] or neighbor_index [k, N], got both or none")
        if neighbor_index is not None:
            check_table(neighbor_index, target.shape[0], None if source is target else source.shape[0])
            hood = from_table(neighbor_index)
        elif edge_index is not None:
            edge_index = checked_edges(edge_index, source.shape[0], target.shape[0])
            hood = from_edges(edge_index, target.shape[0])
        check_device(target, "x", sources=source, neighbours=hood.source)
        with full_precision(target):
            dtype = self.lin.weight.dtype
            out = self._convolve(source.to(dtype), target.to(dtype), hood)
        if hood.fixed:
            return out
        return torch.where(hood.degree[:, None] > 0, out, 0.0)

    def _ends(self, x: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Features of sources and targets; raises ShapeError if they are none."""
        if not isinstance(x, tuple | list):
            check_nodes(x, self.in_channels)
            return x, x
        if len(x) != 2:
            raise ShapeError(f"expected x [N, C], or a pair of sources and targets, got {len(x)} of them")
        for name, end in zip(("sources", "targets"), x, strict=True):
            check_nodes(end, self.in_channels, name)
        return x[0], x[1]

    def _convolve(self, source: Tensor, target: Tensor, hood: Neighborhoods) -> Tensor:
        weight, bias = self.lin.weight, self.lin.bias
        own = weight[:, : self.in_channels] - weight[:, self.in_channels :]
        difference = weight[:, self.in_channels :]
        if hood.source.numel() == 0:
            return F.linear(target, own) * 0.0
        reduce = "max" if self.aggr == "max" else "mean"
        if self.norm is not None and self.norm.training:
            a, b = F.linear(target, own, bias), F.linear(source, difference)  # [N, C_out], [M, C_out]
            mean, var, count = combined(*edge_statistics(a, b, hood))
            track(self.norm, mean, var, count)
            scale, shift = _affine(self.norm, mean, var)
            z = torch.addcmul(reduce_neighbors(scale * b, hood, reduce), scale, a) + shift
        else:
            if self.norm is not None:  # a fixed affine map, merged into the weights
                scale, shift = _affine(self.norm, *running(self.norm))
                own, difference = scale[:, None] * own, scale[:, None] * difference
                bias = shift if bias is None else scale * bias + shift  # type: ignore[assignment]
            z = reduce_neighbors(F.linear(source, difference, bias), hood, reduce)
            z = z.addmm_(target, own.t())  # in place: new memory would take longer than the product
        return self.act(z) if self.aggr == "max" else z * hood.degree[:, None] if self.aggr == "sum" else z

    @classmethod
    def from_pyg(cls, conv: EdgeConv) -> FastEdgeConv:
        """Convert a PyG ``EdgeConv`` of ``Linear`` or ``Sequential(Linear[, BatchNorm1d][, act])``; weights are copied.

        Raises:
            ConfigError: if its edge MLP has another form, or does not commute with its aggregation.
        """
        if not isinstance(conv, EdgeConv):
            raise ConfigError(f"expected an EdgeConv of torch_geometric, got {described(conv)}")
        if conv.flow != "source_to_target":
            raise ConfigError(f"expected an EdgeConv with flow source_to_target, got {conv.flow}; turn its edges round")
        parts = list(conv.nn) if isinstance(conv.nn, nn.Sequential) else [conv.nn]
        if not parts or not isinstance(parts[0], nn.Linear):
            raise ConfigError(f"expected an edge MLP that begins with a single Linear, got {conv.nn}")
        lin, rest = parts[0], parts[1:]
        norm = rest[0] if rest and isinstance(rest[0], nn.BatchNorm1d) else None
        rest = rest[1:] if norm is not None else rest
        if any(isinstance(part, nn.Linear) for part in rest):
            raise ConfigError(
                "expected one Linear, got more: a second Linear does not commute with the maximum; use PyG's EdgeConv"
            )
        if len(rest) > 1 or any(isinstance(part, nn.LayerNorm) for part in rest):
            raise ConfigError(f"expected Linear, BatchNorm1d and an activation, got {conv.nn}")
        act = rest[0] if rest else None
        layer = cls(
            lin.in_features // 2, lin.out_features, "batch" if norm else None, act, str(conv.aggr), lin.bias is not None
        )
        layer.to(lin.weight.device, lin.weight.dtype).train(conv.training)
        layer.lin.load_state_dict(lin.state_dict())
        if norm is not None and layer.norm is not None:
            if norm.weight is None or norm.running_mean is None:
                raise ConfigError(f"expected a BatchNorm1d with weights and running statistics, got {norm}")
            layer.norm.load_state_dict(norm.state_dict())
            layer.norm.eps, layer.norm.momentum = norm.eps, norm.momentum
        return layer

    def to_pyg(self) -> EdgeConv:
        """Convert to a PyG ``EdgeConv``; weights are copied."""
        parts: list[nn.Module] = [nn.Linear(2 * self.in_channels, self.out_channels, self.lin.bias is not None)]
        if self.norm is not None:
            parts.append(nn.BatchNorm1d(self.out_channels, self.norm.eps, self.norm.momentum))
        if not isinstance(self.act, nn.Identity):
            parts.append(copy.deepcopy(self.act))
        conv = EdgeConv(nn.Sequential(*parts), aggr=self.aggr)
        conv.to(self.lin.weight.device, self.lin.weight.dtype).train(self.training)
        parts[0].load_state_dict(self.lin.state_dict())
        if self.norm is not None:
            parts[1].load_state_dict(self.norm.state_dict())
        return conv

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, aggr={self.aggr}"


def _activation(act: str | nn.Module | None) -> nn.Module:
    if act is None:
        return nn.Identity()
    if isinstance(act, str):
        if act not in _BY_NAME:
            raise ConfigError(f"expected an activation of {', '.join(_BY_NAME)} or a module, got {act!r}")
        act = _BY_NAME[act]()
    if not isinstance(act, MONOTONE):
        raise ConfigError(
            f"{type(act).__name__} is not known to be monotone, so it does not commute with the maximum: "
            "use PyG's EdgeConv, which builds the edges"
        )
    if isinstance(act, nn.LeakyReLU) and act.negative_slope < 0:
        raise ConfigError(f"expected a LeakyReLU of slope 0 or more (monotone), got {act.negative_slope}")
    return act


def _affine(norm: nn.BatchNorm1d, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift [C] of a batch norm with these statistics."""
    scale = norm.weight * torch.rsqrt(var + norm.eps)
    return scale, norm.bias - scale * mean


def edge_statistics(a: Tensor, b: Tensor, hood: Neighborhoods) -> tuple[Tensor, Tensor, int]:
    """Mean and (biased) variance of z_ij = a_i + b_j over all edges, without the edges.

    Args:
        a: [N, C], part of the targets.
        b: [M, C], part of the sources.
        hood: the neighbourhoods.

    Returns:
        [C], [C] and the number of edges.
    """
    source = hood.source.reshape(-1)
    count = source.shape[0]
    inward = hood.degree.to(a.dtype)[:, None] / count  # [N, 1], sums to 1
    outward = torch.zeros(b.shape[0], dtype=a.dtype, device=a.device)
    outward = outward.index_add(0, source, outward.new_ones(count))[:, None] / count  # [M, 1], sums to 1
    mean_a, mean_b = (inward * a).sum(0), (outward * b).sum(0)
    a, b = a - mean_a, b - mean_b  # before the squares, to avoid cancellation in float32
    cross = (a * reduce_neighbors(b, hood, "sum")).sum(0) / count
    var = (inward * a.square()).sum(0) + (outward * b.square()).sum(0) + 2 * cross
    return mean_a + mean_b, var.clamp_min(0), count


class CrossEdgeConv(nn.Module):
    """Factorised EdgeConv from one set of nodes to another: ``A x_i + b + max_j B y_j``.

    Args:
        source_channels, target_channels, out_channels: C_s, C_t and C_out.

    Shapes:
        - input: ``source`` [M, C_s], ``target`` [N, C_t], ``neighbor_index`` [k, N] into source; M means no neighbour
        - output: [N, C_out]
    """

    def __init__(self, source_channels: int, target_channels: int, out_channels: int) -> None:
        super().__init__()
        self.source = nn.Linear(source_channels, out_channels, bias=False)
        self.target = nn.Linear(target_channels, out_channels)

    def forward(self, source: Tensor, target: Tensor, neighbor_index: Tensor) -> Tensor:
        with full_precision(source):
            dtype = self.source.weight.dtype
            gathered = gather_max(self.source(source.to(dtype)), neighbor_index, padded=True)
            return self.target(target.to(dtype)) + gathered
