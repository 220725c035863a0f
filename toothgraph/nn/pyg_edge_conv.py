"""Convert ``FastEdgeConv`` from and to torch_geometric's ``EdgeConv``."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torch_geometric.nn import EdgeConv, MessagePassing

from toothgraph.errors import ConfigError, with_article
from toothgraph.nn.checks import described
from toothgraph.nn.edge_mlp import factorised, flattened

if TYPE_CHECKING:
    from toothgraph.nn.edge_conv import FastEdgeConv

_MESSAGE_STEPS = ("forward", "message", "aggregate", "message_and_aggregate", "update", "edge_update")
_PYG_NAMES = {  # the name in an EdgeConv, and the name here
    **{"nn.weight": "lin.weight", "nn.bias": "lin.bias", "nn.0.": "lin.", "nn.lins.0.": "lin."},
    **{"nn.1.module.": "norm.", "nn.1.": "norm.", "nn.norms.0.module.": "norm.", "nn.norms.0.": "norm."},
}


def check_own_steps(conv: MessagePassing, kind: type[MessagePassing]) -> None:
    """Check that a layer computes its messages as ``kind`` does.

    Raises:
        ConfigError: for a subclass that computes something else.
    """
    for step in _MESSAGE_STEPS:
        if getattr(type(conv), step) is not getattr(kind, step):
            raise ConfigError(
                f"expected {with_article(kind.__name__)}, got {type(conv).__name__}, a subclass with its own {step}; "
                "keep it as it is"
            )


def from_edge_conv(kind: type[FastEdgeConv], conv: EdgeConv) -> FastEdgeConv:
    """Convert an ``EdgeConv``, see :meth:`toothgraph.nn.FastEdgeConv.from_pyg`."""
    if not isinstance(conv, EdgeConv):
        raise ConfigError(f"expected an EdgeConv of torch_geometric, got {described(conv)}")
    check_own_steps(conv, EdgeConv)
    if not isinstance(conv.nn, nn.Module):
        raise ConfigError(f"expected an EdgeConv of a module, got one of {described(conv.nn)}")
    function = factorised(flattened(conv.nn), conv.aggr)
    if function is None or function.rest is not None:
        layer = kind(nn=copy.deepcopy(conv.nn), aggr=copied_aggr(conv), flow=conv.flow)
    else:
        out, both = function.linear.weight.shape
        bias = function.linear.bias is not None
        layer = kind(both // 2, out, None, None, conv.aggr, bias, flow=conv.flow)
        if is_parametrized(function.linear):  # its weight is computed from other tensors
            layer.lin = copy.deepcopy(function.linear)
        else:
            layer.lin.weight = copy.deepcopy(function.linear.weight)  # frozen parameters stay frozen
            layer.lin.bias = copy.deepcopy(function.linear.bias)
        layer.norm, layer.act = copy.deepcopy(function.norm), copy.deepcopy(function.act)
        layer.lin.train(function.linear.training)
    layer.training = conv.training
    return layer


def to_edge_conv(layer: FastEdgeConv) -> EdgeConv:
    """Convert to an ``EdgeConv``, see :meth:`toothgraph.nn.FastEdgeConv.to_pyg`."""
    if layer.edge_dim:
        raise ConfigError(
            f"expected a layer without edge values, got edge_dim {layer.edge_dim}: the EdgeConv of torch_geometric "
            "has none"
        )
    if "nn" in layer._modules:
        conv = EdgeConv(nn.Identity(), aggr=copied_aggr(layer), flow=layer.flow)  # it would draw new weights
        conv.nn = copy.deepcopy(layer.nn)
    else:
        conv = EdgeConv(nn.Identity(), aggr=layer.aggr, flow=layer.flow)
        conv.nn = nn.Sequential(*(copy.deepcopy(part) for part in layer._parts()))
        conv.nn.training = layer.training
    conv.training = layer.training
    return conv


def take_names_of_pyg(state_dict: dict[str, Any], prefix: str) -> None:
    """Rename, in place, the weights of an ``EdgeConv`` of torch_geometric to their names here.

    Its edge MLP may be ``Linear``, ``Sequential(Linear, BatchNorm1d, …)`` or an ``MLP`` of torch_geometric.
    """
    for theirs, ours in _PYG_NAMES.items():
        for name in [name for name in state_dict if name.startswith(prefix + theirs)]:
            state_dict[prefix + ours + name.removeprefix(prefix + theirs)] = state_dict.pop(name)


def copied_aggr(conv: MessagePassing) -> Any:
    """The aggregation of a layer: its name, or a copy of the module if it is not one of the plain ones."""
    return conv.aggr if conv.aggr in ("max", "min", "mean", "sum", "add", "std") else copy.deepcopy(conv.aggr_module)
