"""Factorised EdgeConv, without edge values."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import Aggregation, EdgeConv, MessagePassing
from torch_geometric.nn.inits import reset

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn.checks import check_count, check_device, check_nodes, check_table, checked_edges, described
from toothgraph.nn.distributed import combined
from toothgraph.nn.edge_mlp import EdgeFunction, factorised, flattened, is_monotone, reduced_edges, split_linear
from toothgraph.nn.kernels.batch_norm import running, track
from toothgraph.nn.kernels.gather import gather_max, reduce_neighbors
from toothgraph.nn.kernels.neighborhoods import Neighborhoods, _on_cpu, from_edges, from_table
from toothgraph.nn.kernels.precision import full_precision

_BY_NAME = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
_LEAST_VARIANCE = 1e-5
_MESSAGE_STEPS = ("forward", "message", "aggregate", "message_and_aggregate", "update", "edge_update")
_PYG_NAMES = {  # in an EdgeConv, and here
    **{"nn.weight": "lin.weight", "nn.bias": "lin.bias", "nn.0.": "lin.", "nn.lins.0.": "lin."},
    **{"nn.1.module.": "norm.", "nn.1.": "norm.", "nn.norms.0.module.": "norm.", "nn.norms.0.": "norm."},
}
_MESSAGE_HOOKS = tuple(
    f"_{step}_forward_{kind}" for step in ("propagate", "message", "aggregate") for kind in ("pre_hooks", "hooks")
)


class FastEdgeConv(MessagePassing):  # type: ignore[misc]  # torch_geometric has no types
    r"""Factorised EdgeConv: one linear layer, a norm and an activation, or any edge MLP.

    Source: Wang et al., ACM TOG 2019, eq. 8, https://doi.org/10.1145/3326362

    .. math::
        z_{ij} = W [x_i, x_j - x_i] + b = a_i + b_j,
        \quad a_i = (W_a - W_b) x_i + b, \quad b_j = W_b x_j

    The norm is an affine map per channel, s·z + t, and a monotone activation keeps the order. So

    .. math::
        x_i' = \max_j \mathrm{act}(s z_{ij} + t) = \mathrm{act}(s a_i + t + \max_j s b_j)

    This needs two products over nodes and one gather-maximum: O(N·C) memory, and O(E·C) in PyG, with the same values
    and gradients up to rounding. A node without neighbours gets 0, as in PyG. NaN wins over all numbers;
    a zero has no sign.

    The statistics of the edge norm need no edges either. Let p_i be the in-degree and q_j the out-degree of the nodes,
    and a, b without their means over edges. For E edges: E·var = Σ p a² + Σ q b² + 2 Σ_i a_i Σ_{j∈N(i)} b_j.

    Of an edge MLP ``nn`` that does not commute with the aggregation, the first linear layer is computed on nodes, the
    rest on the edges of one block of nodes after another; these are computed again in the backward pass. One whose
    first part is no linear layer is computed on edges, as in PyG.

    Products, statistics and gathers are float32 under autocast, because ``a_i + b_j`` computes ``x_j - x_i`` with
    cancellation; half precision would be too coarse.

    It is a ``MessagePassing`` layer of torch_geometric. Edges are built, as in PyG, where somebody looks at or changes
    what happens on them: masks of explainers, hooks, a wrapped or pruned ``lin``, a subclass with its own ``message``.

    Args:
        in_channels: C_in; not with ``nn``.
        out_channels: C_out; not with ``nn``.
        norm: None or ``"batch"`` (batch norm over the edges).
        act: None, a name (``relu``, ``leaky_relu``, ``elu``, ``tanh``, ``sigmoid``) or a monotone module.
        aggr: ``"max"``, ``"min"``, ``"mean"``, ``"sum"`` (also ``"add"``) or ``"std"``; with ``nn`` any of
            torch_geometric.
        bias: whether the linear layer has a bias.
        nn: an edge MLP from [.., 2·C_in] to [.., C_out], in place of the options above; it is not initialised again.
        flow: ``"source_to_target"``, or ``"target_to_source"`` for edges the other way round.

    Shapes:
        - input: ``x`` [N, C_in], or (sources [M, C_in], targets [N, C_in]); ``edge_index`` [2, E] in any order (or an
          ``EdgeIndex``, or a sparse ``adj_t``), or ``neighbor_index`` [k, N]
        - output: [N, C_out]

    Raises:
        ConfigError: for a number of channels below 1, or a norm or activation that does not commute with the
            aggregation; the text is the reason.
        ShapeError: in a call with both or neither of ``edge_index`` and ``neighbor_index``, with other things than
            these tensors, and, on a CPU, with neighbours that are not there.

    Example:
        >>> x, edge_index = torch.rand(4, 3), torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
        >>> FastEdgeConv(3, 8)(x, edge_index).shape
        torch.Size([4, 8])
        >>> neighbor_index = torch.tensor([[1, 0, 3, 2], [2, 3, 0, 1]])  # two neighbours of each node
        >>> FastEdgeConv(3, 8)(x, neighbor_index=neighbor_index).shape
        torch.Size([4, 8])
    """

    def __init__(
        self,
        in_channels: int | None = None,
        out_channels: int | None = None,
        norm: str | None = None,
        act: str | torch.nn.Module | None = None,
        aggr: Any = "max",
        bias: bool = True,
        *,
        nn: torch.nn.Module | None = None,
        flow: str = "source_to_target",
    ) -> None:
        if flow not in ("source_to_target", "target_to_source"):
            raise ConfigError(f"expected flow source_to_target or target_to_source, got {flow!r}")
        if nn is None:
            check_count("in_channels", in_channels)
            check_count("out_channels", out_channels)
            act = _checked_options(norm, act, aggr)
        elif not isinstance(nn, torch.nn.Module) or (in_channels, out_channels, norm, act) != (None,) * 4:
            raise ConfigError(
                "expected nn, a module for [x_i, x_j - x_i], in place of in_channels, out_channels, norm and act, got "
                + (f"both: {described(nn)}" if isinstance(nn, torch.nn.Module) else described(nn))
            )
        try:
            if not isinstance(aggr, str | list | tuple | Aggregation):
                raise TypeError(f"a {type(aggr).__name__}")
            super().__init__(aggr, flow=flow)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"expected an aggr of torch_geometric, got {aggr!r}: {error}") from None
        if nn is not None:
            self.nn = nn
            return
        assert in_channels is not None and out_channels is not None and isinstance(act, torch.nn.Module)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.lin = torch.nn.Linear(2 * in_channels, out_channels, bias=bias)
        self.norm = torch.nn.BatchNorm1d(out_channels) if norm else None
        self.act = act

    def _set_jittable_templates(self, raise_on_error: bool = False) -> None:
        """None: torch_geometric would write a file per process for ``propagate``, which hardly ever runs here."""

    def reset_parameters(self) -> None:
        """Draw the weights anew, as a new layer has them."""
        super().reset_parameters()
        for part in self.children():
            reset(part)

    def forward(
        self,
        x: Tensor | tuple[Tensor, Tensor],
        edge_index: Tensor | None = None,
        neighbor_index: Tensor | None = None,
    ) -> Tensor:
        parts = self._parts()
        function = None if self._watched() else factorised(parts, self.aggr)
        source, target = self._ends(x, parts[0] if parts else None)
        if (edge_index is None) == (neighbor_index is None):
            raise ShapeError("expected either edge_index [2, E] or neighbor_index [k, N], got both or none")
        if neighbor_index is not None:
            check_table(neighbor_index, target.shape[0], None if source is target else source.shape[0])
            check_device(target, "x", sources=source, neighbor_index=neighbor_index)
            if function is None:
                return self._on_edges(source, target, self._edges_of(neighbor_index))
            hood = from_table(neighbor_index)
        else:
            edges = self._turned(edge_index, len(source), len(target))
            check_device(target, "x", sources=source, edge_index=edges)
            if function is None:
                return self._on_edges(source, target, edges)
            hood = from_edges(edges, target.shape[0])
        if function.rest is not None:
            return reduced_edges(source, target, hood, function, self.aggr_module, self.aggr)
        with full_precision(target):
            dtype = function.linear.weight.dtype
            out = self._convolve(source.to(dtype), target.to(dtype), hood, function)
        if hood.fixed or (_on_cpu(out) and bool(hood.degree.all())):
            return out
        return torch.where(hood.degree[:, None] > 0, out, 0.0)

    def _parts(self) -> list[nn.Module]:
        """The edge MLP, in order."""
        if "nn" in self._modules:
            return flattened(self.nn)
        return [part for part in (self.lin, self.norm, self.act) if part is not None and type(part) is not nn.Identity]

    def _watched(self) -> bool:
        """Whether somebody looks at, or changes, what happens on the edges."""
        kind = type(self)
        changed = kind.message is not FastEdgeConv.message or kind.aggregate is not MessagePassing.aggregate
        changed = changed or kind.update is not MessagePassing.update
        return changed or bool(self.explain) or any(getattr(self, hooks) for hooks in _MESSAGE_HOOKS)

    def _ends(self, x: Tensor | tuple[Tensor, Tensor], first: nn.Module | None) -> tuple[Tensor, Tensor]:
        """Features of sources and targets; raises ShapeError if they are none."""
        channels = getattr(self, "in_channels", None)
        weight = getattr(first, "weight", None)
        if (
            channels is None
            and isinstance(weight, Tensor)
            and not isinstance(weight, nn.UninitializedParameter)
            and weight.dim() == 2
        ):
            channels = weight.shape[1] // 2
        if not isinstance(x, tuple | list):
            check_nodes(x, channels)
            return x, x
        if len(x) != 2:
            raise ShapeError(f"expected x [N, C], or a pair of sources and targets, got {len(x)} of them")
        for name, end in zip(("sources", "targets"), x, strict=True):
            check_nodes(end, channels, name)
        if self.flow == "target_to_source":
            raise ShapeError("expected x [N, C] with flow target_to_source, got a pair; turn the edges round, by "
                             "edge_index.flip(0), and take the flow source_to_target")  # fmt: skip
        return x[0], x[1]

    def _turned(self, edge_index: Any, sources: int, targets: int) -> Tensor:
        """Edges [2, E] from sources to targets, whatever the flow."""
        if self.flow == "source_to_target":
            return checked_edges(edge_index, sources, targets)
        if hasattr(edge_index, "sparse_sizes") or getattr(edge_index, "layout", torch.strided) != torch.strided:
            raise ShapeError("expected edge_index [2, E] with flow target_to_source, got a sparse adjacency; transpose "
                             "it, and take the flow source_to_target")  # fmt: skip
        return checked_edges(edge_index, targets, sources).flip(0)

    def _edges_of(self, table: Tensor) -> Tensor:
        """The edges [2, E] of a table, for what needs edges."""
        if self.explain:
            raise ShapeError(
                "expected edge_index [2, E] where a mask of edges is explained, got neighbor_index, whose edges have "
                "no order; torch_geometric's explainers take edge_index"
            )
        node = torch.arange(table.shape[1], device=table.device).expand_as(table)
        return torch.stack([table.flatten().long(), node.flatten()])

    def _on_edges(self, source: Tensor, target: Tensor, edges: Tensor) -> Tensor:
        """The same by messages along edges, as in torch_geometric."""
        if "nn" not in self._modules:  # as in the other way: differences need full precision
            dtype = next(self.parameters()).dtype
            with full_precision(target):
                return self._propagated(source.to(dtype), target.to(dtype), edges)
        return self._propagated(source, target, edges)

    def _propagated(self, source: Tensor, target: Tensor, edges: Tensor) -> Tensor:
        edges = edges if self.flow == "source_to_target" else edges.flip(0)
        return self.propagate(edges, x=(source, target), size=(len(source), len(target)))

    def message(self, x_i: Tensor, x_j: Tensor) -> Tensor:
        """The edge MLP of [x_i, x_j − x_i], [E, C_out]; called only where edges are built."""
        edges = torch.cat([x_i, x_j - x_i], dim=-1)
        if "nn" in self._modules:
            return self.nn(edges)
        for part in (self.lin, self.norm, self.act):
            edges = edges if part is None else part(edges)
        return edges

    def _convolve(self, source: Tensor, target: Tensor, hood: Neighborhoods, function: EdgeFunction) -> Tensor:
        own, difference = split_linear(function.linear)
        bias, norm = function.linear.bias, function.norm
        if hood.source.numel() == 0:
            return F.linear(target, own) * 0.0
        if norm is not None and norm.training:
            a, b = F.linear(target, own, bias), F.linear(source, difference)  # [N, C_out], [M, C_out]
            mean, var, count = combined(*edge_statistics(a, b, hood))
            track(norm, mean, var, count)
            scale, shift = _affine(norm, mean, var)
            if self.aggr == "std":
                return _deviation(torch.addcmul(shift, scale, b), hood)
            z = torch.addcmul(self._reduced(scale * b, hood), scale, a) + shift
        else:
            if norm is not None:  # a fixed affine map, merged into the weights
                scale, shift = _affine(norm, *running(norm))
                own, difference = scale[:, None] * own, scale[:, None] * difference
                bias = shift if bias is None else scale * bias + shift  # type: ignore[assignment]
            b = F.linear(source, difference, bias)
            if self.aggr == "std":
                return _deviation(b, hood)
            z = self._reduced(b, hood)
            z = z.addmm_(target, own.t())  # in place: new memory would take longer than the product
        return z * hood.degree[:, None] if self.aggr in ("sum", "add") else function.act(z)

    def _reduced(self, x: Tensor, hood: Neighborhoods) -> Tensor:
        """Of the neighbours' part: maximum, minimum, or mean (which becomes the sum later)."""
        if self.aggr == "min":
            return -reduce_neighbors(-x, hood, "max")
        return reduce_neighbors(x, hood, "max" if self.aggr == "max" else "mean")

    @classmethod
    def from_pyg(cls, conv: EdgeConv) -> FastEdgeConv:
        """Convert a PyG ``EdgeConv``; its modules are copied, with their modes and what of them is frozen.

        ``Linear``, or ``Sequential(Linear[, BatchNorm1d][, act])``, that commutes with the aggregation becomes a layer
        with ``lin``, ``norm`` and ``act``; any other edge MLP stays one, as ``nn``.

        Raises:
            ConfigError: for another layer, or a subclass that computes something else.
        """
        if not isinstance(conv, EdgeConv):
            raise ConfigError(f"expected an EdgeConv of torch_geometric, got {described(conv)}")
        for step in _MESSAGE_STEPS:
            if getattr(type(conv), step) is not getattr(EdgeConv, step):
                raise ConfigError(
                    f"expected an EdgeConv, got {type(conv).__name__}, a subclass with its own {step}; keep it as it is"
                )
        if not isinstance(conv.nn, nn.Module):
            raise ConfigError(f"expected an EdgeConv of a module, got one of {described(conv.nn)}")
        function = factorised(flattened(conv.nn), conv.aggr)
        if function is None or function.rest is not None:
            layer = cls(nn=copy.deepcopy(conv.nn), aggr=copied_aggr(conv), flow=conv.flow)
        else:
            out, both = function.linear.weight.shape
            bias = function.linear.bias is not None
            layer = cls(both // 2, out, None, None, conv.aggr, bias, flow=conv.flow)
            layer.lin.weight = copy.deepcopy(function.linear.weight)  # with what is frozen
            layer.lin.bias = copy.deepcopy(function.linear.bias)
            layer.norm, layer.act = copy.deepcopy(function.norm), copy.deepcopy(function.act)
            layer.lin.train(function.linear.training)
        layer.training = conv.training
        return layer

    def to_pyg(self) -> EdgeConv:
        """Convert to a PyG ``EdgeConv``; modules are copied, with their modes and what of them is frozen.

        Raises:
            ConfigError: for a subclass that computes something else.
        """
        for step in _MESSAGE_STEPS:
            if getattr(type(self), step) is not getattr(FastEdgeConv, step):
                raise ConfigError(f"expected a FastEdgeConv, got {type(self).__name__}, a subclass with its own {step}")
        if "nn" in self._modules:
            conv = EdgeConv(nn.Identity(), aggr=copied_aggr(self), flow=self.flow)  # which would draw weights anew
            conv.nn = copy.deepcopy(self.nn)
        else:
            conv = EdgeConv(nn.Identity(), aggr=self.aggr, flow=self.flow)
            conv.nn = nn.Sequential(*(copy.deepcopy(part) for part in self._parts()))
            conv.nn.training = self.training
        conv.training = self.training
        return conv

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Also takes the names of PyG's ``EdgeConv(Linear)`` and ``EdgeConv(Sequential(Linear, BatchNorm1d, …))``."""
        if "nn" not in self._modules:
            for theirs, ours in _PYG_NAMES.items():
                for name in [name for name in state_dict if name.startswith(prefix + theirs)]:
                    state_dict[prefix + ours + name.removeprefix(prefix + theirs)] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __repr__(self) -> str:
        aggr = f"aggr={self.aggr}" if self.flow == "source_to_target" else f"aggr={self.aggr}, flow={self.flow}"
        if "nn" in self._modules:
            return f"{type(self).__name__}(nn={self.nn}, {aggr})"
        parts = [f"{name}={part}" for name, part in (("norm", self.norm), ("act", self.act)) if part is not None]
        parts = [part for part in parts if part != "act=Identity()"]
        return f"{type(self).__name__}({', '.join([str(self.in_channels), str(self.out_channels), *parts, aggr])})"


def copied_aggr(conv: MessagePassing) -> Any:
    """The aggregation of another layer: its name, or a copy of one with options or weights of its own."""
    return conv.aggr if conv.aggr in ("max", "min", "mean", "sum", "add", "std") else copy.deepcopy(conv.aggr_module)


def _checked_options(norm: str | None, act: str | nn.Module | None, aggr: Any) -> nn.Module:
    """The activation; raises ConfigError for options that do not commute."""
    if norm not in (None, "batch"):
        raise ConfigError(
            f'expected norm None or "batch", got {norm!r}: a norm with another scale for each edge (layer, instance) '
            "does not commute with the maximum; apply it to the nodes after this layer, or give an edge MLP as nn"
        )
    made = _activation(act)
    if aggr not in ("max", "min", "mean", "sum", "add", "std"):
        raise ConfigError(
            f"expected aggr max, min, mean, sum, add or std, got {aggr!r}; others need an edge MLP, given as nn"
        )
    if aggr not in ("max", "min") and not isinstance(made, nn.Identity):
        raise ConfigError(
            f"expected no activation with aggr {aggr!r}: the {aggr} of activated edges is not the activation of their "
            f"{aggr}; apply the activation to the nodes after this layer, or give an edge MLP as nn"
        )
    return made


def _activation(act: str | nn.Module | None) -> nn.Module:
    if act is None:
        return nn.Identity()
    if isinstance(act, str):
        if act not in _BY_NAME:
            raise ConfigError(f"expected an activation of {', '.join(_BY_NAME)} or a module, got {act!r}")
        act = _BY_NAME[act]()
    if not isinstance(act, nn.Module):
        raise ConfigError(f"expected an activation of {', '.join(_BY_NAME)} or a module, got {described(act)}")
    if not is_monotone(act):
        why = {nn.ELU: "alpha", nn.LeakyReLU: "negative_slope"}.get(type(act))
        found = f"got {why} {getattr(act, why)}" if why else "which it is not known to be"
        raise ConfigError(
            f"expected {type(act).__name__} to be monotone, to commute with the maximum, {found}; give "
            "nn=Sequential(Linear, ...) for an edge MLP that computes it on edges"
        )
    return act


def _affine(norm: nn.BatchNorm1d, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift [C] of a batch norm with these statistics."""
    scale = norm.weight * torch.rsqrt(var + norm.eps)
    return scale, norm.bias - scale * mean


def _deviation(b: Tensor, hood: Neighborhoods) -> Tensor:
    """Standard deviation over neighbours of rows of ``b`` [M, C], which a node's own part does not change: [N, C].

    As in torch_geometric, where the variance is below 1e-5 it is 0.
    """
    b = b - b.mean(dim=0)  # the squares must not cancel
    var = reduce_neighbors(b.square(), hood, "mean") - reduce_neighbors(b, hood, "mean").square()
    std = var.clamp_min(_LEAST_VARIANCE).sqrt()
    return std.masked_fill(std <= math.sqrt(_LEAST_VARIANCE), 0.0)


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

    def reset_parameters(self) -> None:
        """Draw the weights anew, as a new layer has them."""
        reset(self.source)
        reset(self.target)

    def forward(self, source: Tensor, target: Tensor, neighbor_index: Tensor) -> Tensor:
        with full_precision(source):
            dtype = self.source.weight.dtype
            gathered = gather_max(self.source(source.to(dtype)), neighbor_index, padded=True)
            return self.target(target.to(dtype)) + gathered
