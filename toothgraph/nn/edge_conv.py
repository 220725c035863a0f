"""Factorised EdgeConv, without edge values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import Aggregation, EdgeConv, MessagePassing
from torch_geometric.nn.inits import reset

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn.checks import (
    check_count,
    check_device,
    check_edge_attr,
    check_edge_mlp,
    check_nodes,
    check_one_graph,
    check_table,
    check_weights,
    checked_edges,
    described,
)
from toothgraph.nn.distributed import combined, world
from toothgraph.nn.edge_blocks import largest_edges, reduced_edges
from toothgraph.nn.edge_mlp import EdgeFunction, checked_act, factorised, flattened, is_plain, split_linear
from toothgraph.nn.edge_statistics import affine, deviation, edge_statistics
from toothgraph.nn.kernels.batch_norm import running, track
from toothgraph.nn.kernels.gather import reduce_neighbors
from toothgraph.nn.kernels.neighborhoods import Neighborhoods, _on_cpu, from_edges, from_table, in_order
from toothgraph.nn.kernels.precision import full_precision
from toothgraph.nn.pyg_edge_conv import check_own_steps, from_edge_conv, take_names_of_pyg, to_edge_conv

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

    This needs two matrix products over nodes and one maximum over gathered rows. Memory is O(N·C), but O(E·C) in PyG.
    Values and gradients are the same as in PyG, up to rounding. A node without neighbours gets 0, as in PyG. NaN wins
    over all numbers; the sign of a zero is not defined.

    The statistics of the norm need no edge values either. Let E be the number of edges, p_i the in-degree and q_j the
    out-degree of the nodes, and subtract from a and b their means over edges. Then
    E·var = Σ p a² + Σ q b² + 2 Σ_i a_i Σ_{j∈N(i)} b_j.

    If an edge MLP ``nn`` does not commute with the aggregation, its first linear layer is computed on nodes, and the
    rest on the edges of one block of nodes at a time. The backward pass computes the values of several blocks again. An
    edge MLP that does not start with a linear layer is computed on edges, as in PyG.

    Edge values e_ij are a third input of the linear layer. For a maximum or minimum, b_j + V e_ij is also computed for
    one block of nodes at a time. Mean, sum and the statistics of the norm do not compute V e_ij on edges.

    Products, statistics and gathers are float32 under autocast. Half precision would be too coarse, because
    ``a_i + b_j`` computes ``x_j - x_i`` with cancellation. ``x`` is converted to the type of the weights: for
    ``x.double()`` or ``x.half()``, the output is float32, unless the layer has that type, too (``layer.double()``).

    The layer is a ``MessagePassing`` layer of torch_geometric. It computes messages on edges, as PyG does, if something
    observes or changes them: a mask of an explainer, a hook, a wrapped or pruned ``lin``, or a subclass with its own
    ``message``, ``aggregate`` or ``update``.

    Args:
        in_channels: C_in; not with ``nn``.
        out_channels: C_out; not with ``nn``.
        norm: None or ``"batch"``, a batch norm over edges. With several processes, each uses the statistics of its own
            edges, as with ``BatchNorm1d``, except in :func:`toothgraph.nn.distributed.trained_together`.
        act: None, a name (``relu``, ``leaky_relu``, ``elu``, ``tanh``, ``sigmoid``) or a monotone module.
        aggr: ``"max"``, ``"min"``, ``"mean"``, ``"sum"`` (also ``"add"``) or ``"std"``; with ``nn``, any
            aggregation of torch_geometric.
        bias: whether the linear layer has a bias.
        nn: an edge MLP from [.., 2·C_in + D] to [.., C_out], in place of the options above; it keeps its weights.
        flow: ``"source_to_target"``, or ``"target_to_source"`` for edges in the other direction.
        edge_dim: D, channels of edge values e_ij, the last input of the first linear layer: z_ij = a_i + b_j + V e_ij.

    Shapes:
        - input: ``x`` [N, C_in], or (sources [M, C_in], targets [N, C_in]); ``edge_index`` [2, E] in any order (or an
          ``EdgeIndex``, or a sparse ``adj_t``), or ``neighbor_index`` [k, N]; with ``edge_dim`` also ``edge_attr``
          [E, D], or [N, k, D] beside a table
        - output: [N, C_out]

    Raises:
        ConfigError: for a number of channels below 1, or a norm or activation that does not commute with the
            aggregation; the message gives the reason.
        ShapeError: in a call with both or neither of ``edge_index`` and ``neighbor_index``, with inputs of other types
            or shapes and, on a CPU, with neighbours that do not exist.

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
        edge_dim: int = 0,
    ) -> None:
        check_count("edge_dim", edge_dim, least=0)
        if flow not in ("source_to_target", "target_to_source"):
            raise ConfigError(f"expected flow source_to_target or target_to_source, got {flow!r}")
        if isinstance(in_channels, torch.nn.Module):
            raise ConfigError(
                f"expected in_channels, the number of columns of x, got {described(in_channels)}; an edge MLP is given "
                "by name, FastEdgeConv(nn=mlp), or within a layer, FastEdgeConv.from_pyg(EdgeConv(mlp))"
            )
        if nn is None:
            check_count("in_channels", in_channels)
            check_count("out_channels", out_channels)
            act = checked_act(norm, act, aggr)
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
        self.edge_dim = edge_dim
        if nn is not None:
            self.nn = nn
            return
        assert in_channels is not None and out_channels is not None and isinstance(act, torch.nn.Module)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.lin = torch.nn.Linear(2 * in_channels + edge_dim, out_channels, bias=bias)
        self.norm = torch.nn.BatchNorm1d(out_channels) if norm else None
        self.act = act

    def _set_jittable_templates(self, raise_on_error: bool = False) -> None:
        """Make no templates: torch_geometric would write a file per process for ``propagate``, which runs rarely."""

    def reset_parameters(self) -> None:
        """Set the weights to new random values, as in a new layer."""
        super().reset_parameters()
        for part in self.children():
            reset(part)

    def forward(
        self,
        x: Tensor | tuple[Tensor, Tensor],
        edge_index: Tensor | None = None,
        neighbor_index: Tensor | None = None,
        edge_attr: Tensor | None = None,
    ) -> Tensor:
        if not self.edge_dim:  # first: the check of the inputs of the MLP would not know of edge_attr
            check_edge_attr(edge_attr, 0, None, edge_index)
        parts = self._parts()
        function = None if self._watched() else factorised(parts, self.aggr, self.edge_dim)
        source, target = self._ends(x, parts[0] if parts else None)
        check_one_graph(edge_index, neighbor_index)
        if (weight := function.linear.weight if function else _own_weight(parts)) is not None:
            check_weights(weight, target)
        if neighbor_index is not None:
            check_table(neighbor_index, target.shape[0], None if source is target else source.shape[0])
            check_edge_attr(edge_attr, self.edge_dim, neighbor_index, None)
            check_device(target, "x", sources=source, neighbor_index=neighbor_index, edge_attr=edge_attr)
            if function is None:
                edge_attr = None if edge_attr is None else edge_attr.transpose(0, 1).flatten(0, 1)
                return self._on_edges(source, target, self._edges_of(neighbor_index), edge_attr)
            hood = from_table(neighbor_index)
            edge_attr = None if edge_attr is None else edge_attr.flatten(0, 1)
        else:
            edges = self._turned(edge_index, len(source), len(target))
            check_edge_attr(edge_attr, self.edge_dim, None, edge_index)
            check_device(target, "x", sources=source, edge_index=edges, edge_attr=edge_attr)
            if function is None:
                return self._on_edges(source, target, edges, edge_attr)
            if edge_attr is not None:
                edges, edge_attr = in_order(edges, edge_attr)
            hood = from_edges(edges, target.shape[0])
        dtype = function.linear.weight.dtype
        source, target = source.to(dtype), target.to(dtype)
        edge_attr = None if edge_attr is None else edge_attr.to(dtype)
        if function.rest is not None:
            own, difference, along = split_linear(function.linear, self.edge_dim)
            with full_precision(target):
                a, b = F.linear(target, own, function.linear.bias), F.linear(source, difference)
            return reduced_edges(a, b, hood, function.rest, self.aggr_module, self.aggr, edge_attr, along)
        with full_precision(target):
            out = self._convolve(source, target, edge_attr, hood, function)
        if hood.fixed or (_on_cpu(out) and bool(hood.degree.all())):
            return out
        return torch.where(hood.degree[:, None] > 0, out, 0.0)

    def _parts(self) -> list[nn.Module]:
        """The parts of the edge MLP, in order."""
        if "nn" in self._modules:
            return flattened(self.nn)
        return [part for part in (self.lin, self.norm, self.act) if part is not None and type(part) is not nn.Identity]

    def _watched(self) -> bool:
        """Whether a subclass, an explainer or a hook observes or changes the messages on edges."""
        kind = type(self)
        changed = kind.message is not FastEdgeConv.message or kind.aggregate is not MessagePassing.aggregate
        changed = changed or kind.update is not MessagePassing.update
        return changed or bool(self.explain) or any(getattr(self, hooks) for hooks in _MESSAGE_HOOKS)

    def _ends(self, x: Tensor | tuple[Tensor, Tensor], first: nn.Module | None) -> tuple[Tensor, Tensor]:
        """The features of sources and targets; raises ShapeError for another ``x``."""
        channels = getattr(self, "in_channels", None)
        weight = getattr(first, "weight", None)
        if (
            channels is None
            and isinstance(weight, Tensor)
            and not isinstance(weight, nn.UninitializedParameter)
            and weight.dim() == 2
        ):
            check_edge_mlp(x, weight.shape[1], self.edge_dim)
            channels = (weight.shape[1] - self.edge_dim) // 2
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
        """The edges [2, E] from sources to targets, for both flows."""
        if self.flow == "source_to_target":
            return checked_edges(edge_index, sources, targets)
        if hasattr(edge_index, "sparse_sizes") or getattr(edge_index, "layout", torch.strided) != torch.strided:
            raise ShapeError("expected edge_index [2, E] with flow target_to_source, got a sparse adjacency; transpose "
                             "it, and take the flow source_to_target")  # fmt: skip
        return checked_edges(edge_index, targets, sources).flip(0)

    def _edges_of(self, table: Tensor) -> Tensor:
        """The edges [2, E] of a neighbour table [k, N]; raises ShapeError while an explainer masks edges."""
        if self.explain:
            raise ShapeError(
                "expected edge_index [2, E] where a mask of edges is explained, got neighbor_index, whose edges have "
                "no order; torch_geometric's explainers take edge_index"
            )
        node = torch.arange(table.shape[1], device=table.device).expand_as(table)
        return torch.stack([table.flatten().long(), node.flatten()])

    def _on_edges(self, source: Tensor, target: Tensor, edges: Tensor, edge_attr: Tensor | None) -> Tensor:
        """The output of the layer by messages along edges, as in torch_geometric."""
        if "nn" not in self._modules:  # as in the factorised computation: differences need full precision
            dtype = next(self.parameters()).dtype
            with full_precision(target):
                edge_attr = None if edge_attr is None else edge_attr.to(dtype)
                return self._propagated(source.to(dtype), target.to(dtype), edges, edge_attr)
        return self._propagated(source, target, edges, edge_attr)

    def _propagated(self, source: Tensor, target: Tensor, edges: Tensor, edge_attr: Tensor | None) -> Tensor:
        edges = edges if self.flow == "source_to_target" else edges.flip(0)
        return self.propagate(edges, x=(source, target), edge_attr=edge_attr, size=(len(source), len(target)))

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor | None = None) -> Tensor:
        """The edge MLP of [x_i, x_j − x_i, e_ij], [E, C_out]; called only if messages are computed on edges."""
        edges = torch.cat([x_i, x_j - x_i] if edge_attr is None else [x_i, x_j - x_i, edge_attr], dim=-1)
        if "nn" in self._modules:
            return self.nn(edges)
        for part in (self.lin, self.norm, self.act):
            edges = edges if part is None else part(edges)
        return edges

    def _convolve(
        self, source: Tensor, target: Tensor, edge_attr: Tensor | None, hood: Neighborhoods, function: EdgeFunction
    ) -> Tensor:
        own, difference, along = split_linear(function.linear, self.edge_dim)
        bias, norm = function.linear.bias, function.norm
        if hood.source.numel() == 0:
            return self._without_edges(target, own, norm)
        if norm is not None and norm.training:
            a, b = F.linear(target, own, bias), F.linear(source, difference)  # [N, C_out], [M, C_out]
            mean, var, count = combined(*edge_statistics(a, b, hood, edge_attr, along), norm)
            track(norm, mean, var, count)
            scale, shift = affine(norm, mean, var)
            if self.aggr == "std":
                return deviation(torch.addcmul(shift, scale, b), hood)
            z = torch.addcmul(self._reduced(scale * b, hood, edge_attr, scale[:, None] * along), scale, a) + shift
        else:
            if norm is not None:  # a fixed affine map, merged into the weights
                scale, shift = affine(norm, *running(norm))
                own, difference, along = (scale[:, None] * part for part in (own, difference, along))
                bias = shift if bias is None else scale * bias + shift  # type: ignore[assignment]
            b = F.linear(source, difference, bias)
            if self.aggr == "std":
                return deviation(b, hood)
            z = self._reduced(b, hood, edge_attr, along)
            # In place, because new memory takes longer than the product; but a trace may still need the maximum.
            z = z.addmm(target, own.t()) if torch.compiler.is_compiling() else z.addmm_(target, own.t())
        return z * hood.degree[:, None] if self.aggr in ("sum", "add") else function.act(z)

    def _without_edges(self, target: Tensor, own: Tensor, norm: torch.nn.BatchNorm1d | None) -> Tensor:
        """Zeros that depend on input and weights; other processes get the statistics of no rows from this one."""
        nothing = F.linear(target, own) * 0.0
        if norm is not None and norm.training and world(norm) > 1:
            none = nothing.sum(0)
            mean, var, count = combined(none, none, 0, norm)
            track(norm, mean, var, count)
            nothing = nothing + (mean + var) * 0.0
        return nothing

    def _reduced(self, b: Tensor, hood: Neighborhoods, edge_attr: Tensor | None, along: Tensor) -> Tensor:
        """Maximum, minimum or mean over neighbours of b_j + V e_ij; the caller makes the sum from the mean."""
        if self.aggr == "min":
            return -_largest(-b, hood, edge_attr, -along)
        if self.aggr == "max":
            return _largest(b, hood, edge_attr, along)
        mean = reduce_neighbors(b, hood, "mean")
        return mean if edge_attr is None else mean + F.linear(reduce_neighbors(edge_attr, hood.edges, "mean"), along)

    @classmethod
    def from_pyg(cls, conv: EdgeConv) -> FastEdgeConv:
        """Convert a PyG ``EdgeConv``.

        Its modules are copied. The copies keep training modes and frozen parameters. An edge MLP ``Linear`` or
        ``Sequential(Linear[, BatchNorm1d][, act])`` that commutes with the aggregation becomes ``lin``, ``norm`` and
        ``act`` of the new layer; any other edge MLP becomes its ``nn``.

        Raises:
            ConfigError: for another layer, or a subclass that computes something else.
        """
        return from_edge_conv(cls, conv)

    def to_pyg(self) -> EdgeConv:
        """Convert to a PyG ``EdgeConv``.

        Modules are copied. The copies keep training modes and frozen parameters.

        Raises:
            ConfigError: for a subclass that computes something else, or a layer with ``edge_dim``.
        """
        check_own_steps(self, FastEdgeConv)
        return to_edge_conv(self)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load weights, also with the names of PyG's ``EdgeConv(Linear)`` or ``EdgeConv(Sequential(Linear, …))``."""
        if "nn" not in self._modules:
            take_names_of_pyg(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __repr__(self) -> str:
        aggr = f"aggr={self.aggr}" if self.flow == "source_to_target" else f"aggr={self.aggr}, flow={self.flow}"
        edges = f"edge_dim={self.edge_dim}, " if self.edge_dim else ""
        if "nn" in self._modules:
            return f"{type(self).__name__}(nn={self.nn}, {edges}{aggr})"
        parts = [f"{name}={part}" for name, part in (("norm", self.norm), ("act", self.act)) if part is not None]
        parts = [part for part in parts if part != "act=Identity()"]
        parts = [str(self.in_channels), str(self.out_channels), *parts, edges + aggr]
        return f"{type(self).__name__}({', '.join(parts)})"


def _own_weight(parts: list[nn.Module]) -> Tensor | None:
    """A weight of a part without hooks, or None; a hook may fetch weights from another device during a call."""
    plain = (part for part in parts if is_plain(part, (type(part),)))
    return next((weight for part in plain for weight in part.parameters(recurse=False)), None)


def _largest(b: Tensor, hood: Neighborhoods, edge_attr: Tensor | None, along: Tensor) -> Tensor:
    return reduce_neighbors(b, hood, "max") if edge_attr is None else largest_edges(b, hood, edge_attr, along)
