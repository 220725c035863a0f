"""The parts of edge MLPs: which commute with an aggregation, and which must be computed on edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch_geometric.nn as pyg
from torch import Tensor, nn

from toothgraph.errors import ConfigError
from toothgraph.nn.checks import described

# Exactly these classes: a subclass may compute something else.
MONOTONE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.Softplus, nn.Sigmoid, nn.Tanh,
            nn.Hardtanh, nn.Hardsigmoid, nn.LogSigmoid, nn.Softsign, nn.Identity)  # fmt: skip
_EACH_ROW = (*MONOTONE, nn.Linear, pyg.Linear, nn.LayerNorm, nn.Mish, nn.SiLU, nn.GELU, nn.PReLU, nn.Hardswish,
             nn.Hardshrink, nn.Softshrink, nn.Tanhshrink)  # fmt: skip
_NORMS = (nn.BatchNorm1d, nn.SyncBatchNorm)
_BY_NAME = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
_NOTHING = nn.Identity()  # made once: making a module takes longer than checking all others
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def is_plain(module: nn.Module, kinds: Sequence[type[nn.Module]]) -> bool:
    """Whether a call of a module runs only the ``forward`` of its class: no hook, no wrapper, no other ``forward``."""
    same = any(isinstance(module, kind) and type(module).forward is kind.forward for kind in kinds)
    return same and "forward" not in vars(module) and not any(getattr(module, hooks) for hooks in _HOOKS)


def are_plain(parts: list[nn.Module], kinds: Sequence[type[nn.Module]]) -> bool:
    """Whether the parts have these kinds, in this order, and none is wrapped or pruned or has a hook."""
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

    A part of another kind, or with hooks of its own, stays as it is.
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
    """An edge MLP, split into its first linear layer and the rest.

    Attributes:
        linear: the first layer, with ``weight`` [C, 2·C_in + D] and ``bias``.
        norm: the batch norm after ``linear``, if all that follows commutes with the aggregation; else None.
        act: the activation after ``norm``, in the same case; else the identity.
        rest: the parts after ``linear``, to be computed on edges; None if all of them commute with the aggregation.
    """

    linear: nn.Linear
    norm: nn.BatchNorm1d | None
    act: nn.Module
    rest: list[nn.Module] | None


def factorised(parts: list[nn.Module], aggr: object, edge_dim: int = 0) -> EdgeFunction | None:
    """Split an edge MLP after its first layer; None if the first layer is no plain linear layer.

    Args:
        parts: see :func:`flattened`.
        aggr: the aggregation: a name, or anything else.
        edge_dim: D, input channels of edge values.
    """
    if not parts or not is_plain(parts[0], (nn.Linear, pyg.Linear)):
        return None
    linear, *rest = parts
    weight = linear.weight
    if (
        not isinstance(weight, Tensor)
        or isinstance(weight, nn.UninitializedParameter)
        or weight.dim() != 2
        or (weight.shape[1] - edge_dim) % 2
    ):
        return None
    norm, after = (rest[0], rest[1:]) if rest and isinstance(rest[0], _NORMS) else (None, rest)
    plain_norm = norm is None or (is_plain(norm, _NORMS) and norm.weight is not None and norm.running_mean is not None)
    act = after[0] if after else _NOTHING
    linear_ones = ("mean", "sum", "add") if edge_dim else ("mean", "sum", "add", "std")
    keeps = is_monotone(act) if aggr in ("max", "min") else aggr in linear_ones and not after
    if plain_norm and keeps and len(after) <= 1:
        return EdgeFunction(linear, norm, act, None)  # type: ignore[arg-type]
    return EdgeFunction(linear, None, _NOTHING, rest)  # type: ignore[arg-type]


def split_linear(linear: nn.Linear, edge_dim: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """The weights of ``x_i``, ``x_j`` and ``e_ij`` in a layer of [x_i, x_j − x_i, e_ij]: [C, C_in] twice, [C, D]."""
    channels = (linear.weight.shape[1] - edge_dim) // 2
    own, difference, along = linear.weight.split((channels, channels, edge_dim), dim=1)
    return own - difference, difference, along


def treats_rows_alone(part: nn.Module) -> bool:
    """Whether each row of the output depends on one row of the input, and on no random number."""
    if isinstance(part, nn.Dropout):
        return is_plain(part, (nn.Dropout,)) and not (part.training and part.p > 0)
    if isinstance(part, _NORMS):
        return is_plain(part, _NORMS) and not part.training and part.running_mean is not None
    return type(part) in _EACH_ROW and is_plain(part, _EACH_ROW)


def checked_act(norm: str | None, act: str | nn.Module | None, aggr: Any) -> nn.Module:
    """The activation as a module; raises ConfigError for options that do not commute with the aggregation."""
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
        found = f" with {why} {getattr(act, why)}" if why else ", which is not known to be monotone"
        raise ConfigError(
            f"expected a monotone activation, which commutes with the maximum, got {type(act).__name__}{found}; give "
            "nn=Sequential(Linear, ...) for an edge MLP that computes it on edges"
        )
    return act
