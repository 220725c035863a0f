"""What an edge MLP is made of, and how it is computed with its first linear layer on nodes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch_geometric.nn as pyg
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from toothgraph.nn.kernels.neighborhoods import Neighborhoods
from toothgraph.nn.kernels.precision import full_precision

# Exactly these: a subclass may compute something else.
MONOTONE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.Softplus, nn.Sigmoid, nn.Tanh,
            nn.Hardtanh, nn.Hardsigmoid, nn.LogSigmoid, nn.Softsign, nn.Identity)  # fmt: skip
_EACH_ROW = (*MONOTONE, nn.Linear, pyg.Linear, nn.LayerNorm, nn.Mish, nn.SiLU, nn.GELU, nn.PReLU, nn.Hardswish,
             nn.Hardshrink, nn.Softshrink, nn.Tanhshrink)  # fmt: skip
_NORMS = (nn.BatchNorm1d, nn.SyncBatchNorm)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_CPU_BLOCK, _GPU_BLOCK = 1 << 22, 1 << 27  # edge values per block


def is_plain(module: nn.Module, kinds: Sequence[type[nn.Module]]) -> bool:
    """Whether calling a module is what its class does and nothing else: no hook, no wrapper, no other ``forward``."""
    same = any(isinstance(module, kind) and type(module).forward is kind.forward for kind in kinds)
    return same and "forward" not in vars(module) and not any(getattr(module, hooks) for hooks in _HOOKS)


def are_plain(parts: list[nn.Module], kinds: Sequence[type[nn.Module]]) -> bool:
    """Whether parts are of these kinds, one each, and none is wrapped, pruned or watched by a hook."""
    return len(parts) == len(kinds) and all(is_plain(part, (kind,)) for part, kind in zip(parts, kinds, strict=True))


def is_monotone(act: nn.Module) -> bool:
    """Whether an activation is known to keep the order of numbers."""
    if type(act) not in MONOTONE or not is_plain(act, MONOTONE):
        return False
    if isinstance(act, nn.ELU):
        return act.alpha >= 0
    return not isinstance(act, nn.LeakyReLU) or act.negative_slope >= 0


def flattened(module: nn.Module) -> list[nn.Module]:
    """The parts of nested ``Sequential`` modules, and of ``MLP`` and ``BatchNorm`` of torch_geometric, in order.

    A part that is not understood, or that has hooks of its own, stays as it is.
    """
    if is_plain(module, (nn.Sequential,)):
        return [part for each in module.children() for part in flattened(each)]
    if type(module) is pyg.BatchNorm and is_plain(module, (pyg.BatchNorm,)) and not module.allow_single_element:
        return list(module.children())
    if type(module) is pyg.MLP and is_plain(module, (pyg.MLP,)) and not module.supports_norm_batch:
        return _of_mlp(module)
    return [] if type(module) is nn.Identity and is_plain(module, (nn.Identity,)) else [module]


def _of_mlp(mlp: pyg.MLP) -> list[nn.Module]:
    act = mlp.act if isinstance(mlp.act, nn.Module) else None
    if mlp.act is not None and act is None:
        return [mlp]
    parts: list[nn.Module] = []
    for number, lin in enumerate(mlp.lins):
        inner = number < len(mlp.norms)
        after = ([act] if act and inner else []) + ([mlp.norms[number]] if inner else [])
        parts += [lin, *(after if mlp.act_first else after[::-1])]
        if mlp.dropout[number] > 0:
            parts.append(nn.Dropout(mlp.dropout[number]).train(mlp.training))
    return [part for each in parts for part in flattened(each)]


class EdgeFunction(NamedTuple):
    """An edge MLP, factorised.

    Attributes:
        linear: its first layer, plain: ``weight`` [C, 2·C_in] and ``bias``.
        norm: batch norm after it, if norm and activation commute with the aggregation.
        act: the activation after that, if so.
        rest: what comes after the first layer on edges; None if all of it commutes.
    """

    linear: nn.Linear
    norm: nn.BatchNorm1d | None
    act: nn.Module
    rest: list[nn.Module] | None


def factorised(parts: list[nn.Module], aggr: object) -> EdgeFunction | None:
    """An edge MLP with its first layer on nodes; None if this layer is no plain linear layer.

    Args:
        parts: see :func:`flattened`.
        aggr: the aggregation, a name or anything else.
    """
    if not parts or not is_plain(parts[0], (nn.Linear, pyg.Linear)):
        return None
    linear, *rest = parts
    weight = linear.weight
    if (
        not isinstance(weight, Tensor)
        or isinstance(weight, nn.UninitializedParameter)
        or weight.dim() != 2
        or weight.shape[1] % 2
    ):
        return None
    norm, after = (rest[0], rest[1:]) if rest and isinstance(rest[0], _NORMS) else (None, rest)
    plain_norm = norm is None or (is_plain(norm, _NORMS) and norm.weight is not None and norm.running_mean is not None)
    act = after[0] if after else nn.Identity()
    keeps = is_monotone(act) if aggr in ("max", "min") else aggr in ("mean", "sum", "add", "std") and not after
    if plain_norm and keeps and len(after) <= 1:
        return EdgeFunction(linear, norm, act, None)  # type: ignore[arg-type]
    return EdgeFunction(linear, None, nn.Identity(), rest)  # type: ignore[arg-type]


def split_linear(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """The weights of ``x_i`` and of ``x_j`` in a layer of [x_i, x_j − x_i]: [C, C_in] each."""
    own, difference = linear.weight.split(linear.weight.shape[1] // 2, dim=1)
    return own - difference, difference


def reduced_edges(
    source: Tensor, target: Tensor, hood: Neighborhoods, function: EdgeFunction, aggregation: nn.Module, aggr: object
) -> Tensor:
    """``aggr_j rest(a_i + b_j)``: the first layer on nodes, the rest on the edges of one block of nodes at a time.

    No edge values are kept for the backward pass, which computes them again; but where a part needs all edges at once
    (batch norm in training) or draws random numbers, there is one block, kept.

    Args:
        source: [M, C_in].
        target: [N, C_in].
        hood: the neighbourhoods of the targets.
        function: the edge MLP.
        aggregation: of torch_geometric, for what is not a plain ``aggr``.
        aggr: its name.

    Returns:
        [N, C_out].
    """
    own, difference = split_linear(function.linear)
    with full_precision(target):
        a = F.linear(target.to(own.dtype), own, function.linear.bias)  # [N, C]
        b = F.linear(source.to(own.dtype), difference)  # [M, C]
    rest = function.rest or []
    alone = all(_treats_rows_alone(part) for part in rest)
    fixed, nodes = hood.fixed, len(hood.ends) - 1
    flat = hood.source.reshape(-1)

    def part(a: Tensor, b: Tensor, near: Tensor, degree: Tensor) -> Tensor:
        count = len(a)
        if fixed:  # in place, because edge values need most of the memory
            edges = F.embedding(near.view(count, fixed), b).add_(a[:, None]).flatten(0, 1)
        else:
            node = torch.arange(count, device=a.device).repeat_interleave(degree, output_size=len(near))
            edges = F.embedding(near, b).add_(a.index_select(0, node))
        for module in rest:
            edges = module(edges)
        if fixed and count and aggr in ("max", "min"):  # one winner, and no scatter
            return getattr(edges.view(count, fixed, -1), str(aggr))(dim=1).values
        if fixed:
            node = torch.arange(count, device=a.device)[:, None].expand(-1, fixed).flatten()
        return aggregation(edges, index=node, dim_size=count, dim=-2)

    if not alone or len(flat) == 0:
        return part(a, b, flat, hood.degree)
    found = []
    for rows in _node_blocks(hood, max(1, (_CPU_BLOCK if a.device.type == "cpu" else _GPU_BLOCK) // a.shape[1])):
        if fixed:
            first, last = rows.start * fixed, rows.stop * fixed
        elif nodes == rows.stop - rows.start:
            first, last = 0, len(flat)
        else:
            first, last = hood.ends[[rows.start, rows.stop]].tolist()
        given = a[rows], b, flat[first:last], hood.degree[rows]
        kept = not torch.is_grad_enabled() or nodes == rows.stop - rows.start
        found.append(part(*given) if kept else checkpoint(part, *given, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(found)


def _treats_rows_alone(part: nn.Module) -> bool:
    """Whether each row of the output depends on one row of the input, and on no random number."""
    if isinstance(part, nn.Dropout):
        return is_plain(part, (nn.Dropout,)) and not (part.training and part.p > 0)
    if isinstance(part, _NORMS):
        return is_plain(part, _NORMS) and not part.training and part.running_mean is not None
    return type(part) in _EACH_ROW and is_plain(part, _EACH_ROW)


def _node_blocks(hood: Neighborhoods, edges: int) -> list[slice]:
    """Blocks of nodes with about so many edges each."""
    nodes, total = len(hood.ends) - 1, hood.source.numel()
    count = -(-total // edges)
    if count <= 1 or torch.compiler.is_compiling():
        return [slice(0, nodes)]
    if hood.fixed:
        size = max(1, edges // hood.fixed)
        return [slice(first, min(first + size, nodes)) for first in range(0, nodes, size)]
    wanted = torch.arange(1, count, device=hood.ends.device) * edges
    cuts = [0, *torch.unique(torch.searchsorted(hood.ends, wanted, right=True) - 1).tolist(), nodes]
    return [slice(first, last) for first, last in pairwise(cuts) if last > first]
