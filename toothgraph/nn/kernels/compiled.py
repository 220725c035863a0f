"""Compiled reductions for a CPU, see ``compiled.cpp``: one pass over the nodes, in one parallel region.

They are built when the package is installed on Linux, if there is a C++ compiler. They are operators of torch, so
``torch.compile`` uses them, too: its own code for the gradients of a gather is slower.
"""

from __future__ import annotations

import ctypes
import logging
from ctypes import POINTER, c_bool, c_float, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toothgraph.errors import ShapeError
from toothgraph.nn.kernels.saved import from_winner, keep_bags, keep_winner, keep_winner_again

LIBRARY = Path(__file__).with_name("compiled.lib")
_VERSION = 1  # of the signatures in compiled.cpp
_ALONE = 1 << 18  # with fewer numbers to read than this, one thread is faster than two
_NAMES = {torch.float32: "float", torch.float64: "double"}
_log = logging.getLogger("toothgraph")


class _Hood(ctypes.Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("source", "ends")),
        *((name, c_int64) for name in ("fixed", "by_node", "by_near", "padded", "rows", "nodes", "edges")),
    ]


class _Layers(ctypes.Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("w1", "b1", "w2", "b2")),
        *(("hidden", c_int64), ("channels", c_int64), ("scale", c_float)),
    ]


_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    **dict.fromkeys(
        ("max_float", "max_double"), (c_bool, [c_void_p, POINTER(_Hood), c_int64, c_void_p, c_void_p, c_int64])
    ),
    **dict.fromkeys(
        ("to_winners_float", "to_winners_double"), (None, [c_void_p, c_void_p, c_int64, c_int64, c_void_p, c_int64])
    ),
    **dict.fromkeys(
        ("total_float", "total_double"),
        (c_bool, [c_void_p, POINTER(_Hood), c_int64, c_bool, c_bool, c_void_p, c_int64]),
    ),
    "count_edges": (c_int, [c_void_p, c_int64, c_int64, c_void_p]),
    "sort_edges": (None, [c_void_p, c_void_p, c_int64, c_void_p, c_int64, c_void_p]),
    "pairs": (c_bool, [c_void_p, POINTER(_Hood), POINTER(_Layers), c_void_p, c_int64, c_void_p, c_int64]),
    "pairs_back": (None, [c_void_p, POINTER(_Hood), POINTER(_Layers), *[c_void_p] * 4, c_int64]),
}


def _opened(file: Path) -> ctypes.CDLL | None:
    """The library, or None if it was not built, cannot be loaded on this machine or has another version."""
    if not file.exists():
        return None
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        _log.warning("%s cannot be used (%s); the layers use torch only, which is slower", file, error)
        return None
    if library.version() != _VERSION:
        _log.warning("%s is of another version; install the package again. The layers use torch only", file)
        return None
    for name, (result, given) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, given
    return library


_library = _opened(LIBRARY)
HAS_COMPILED = _library is not None


def is_served(x: Tensor) -> bool:
    """Whether the compiled reductions take ``x`` [M, C]: float32 or float64 on a CPU."""
    return HAS_COMPILED and x.device.type == "cpu" and x.dtype in _NAMES


def compiled_max(x: Tensor, source: Tensor, ends: Tensor, fixed: int, padded: bool = False) -> Tensor:
    """Maximum of the rows of ``x`` [M, C] over the neighbours of each node: [N, C]; 0 without neighbours.

    NaN is larger than all numbers; the first of equal values wins. Gradients can be differentiated again.

    Args:
        x: see :func:`is_served`.
        source, ends, fixed: as in :class:`toothgraph.nn.kernels.neighborhoods.Neighborhoods`.
        padded: neighbour M means no neighbour.

    Raises:
        ShapeError: for neighbours that do not exist.
    """
    learns = x.requires_grad and torch.is_grad_enabled()
    out: Tensor = torch.ops.toothgraph.cpu_max(x, source.long(), ends, fixed, padded, learns)[0]
    return out


def compiled_total(x: Tensor, source: Tensor, ends: Tensor, fixed: int, reduce: str) -> Tensor:
    """Sum or mean over neighbours; arguments and errors as in :func:`compiled_max`."""
    out: Tensor = torch.ops.toothgraph.cpu_total(x, source.long(), ends, fixed, reduce == "mean")
    return out


def compiled_bags(source: Tensor, target: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Sort edges into bags: the sources in the order of their targets, and the ends of the bags [nodes + 1].

    ``source`` and ``target`` are [E] of int64.

    Raises:
        ShapeError: for targets that do not exist.
    """
    if torch.compiler.is_compiling():
        found: tuple[Tensor, Tensor] = torch.ops.toothgraph.cpu_bags(source, target, nodes)
        return found
    assert _library is not None
    source, target = source.contiguous(), target.contiguous()
    ends = target.new_empty(nodes + 1)
    state = _library.count_edges(target.data_ptr(), len(target), nodes, ends.data_ptr())
    if state == 2:
        raise ShapeError(f"expected targets of edges from 0 to {nodes - 1}, of {nodes} nodes, got others")
    if state == 0:  # in order
        return source, ends
    out = torch.empty_like(source)
    _library.sort_edges(source.data_ptr(), target.data_ptr(), len(target), ends.data_ptr(), nodes, out.data_ptr())
    return out, ends


def _hood(source: Tensor, ends: Tensor, fixed: int, rows: int, padded: bool = False) -> _Hood:
    by_node, by_near = (source.stride(0), source.stride(1)) if fixed else (0, source.stride(0) if len(source) else 1)
    nodes = len(source) if fixed else len(ends) - 1
    return _Hood(source.data_ptr(), ends.data_ptr(), fixed, by_node, by_near, padded, rows, nodes, source.numel())


def _threads(numbers: int) -> int:
    return torch.get_num_threads() if numbers >= _ALONE else 1


def _check(fine: bool, rows: int) -> None:
    if not fine:
        raise ShapeError(f"expected neighbours from 0 to {rows - 1}, of {rows} nodes, got others")


def fits_pairs(*given: Tensor, k: int) -> bool:
    """Whether :func:`compiled_pairs` takes these points [N, 6], and weight and bias of these two layers."""
    *_, w1, _, w2, _ = given
    same = all(is_served(each) and each.dtype == torch.float32 for each in given)
    return same and len(w1) in (16, 32, 48, 64) and len(w2) <= 128 and k <= 255


def compiled_pairs(
    points: Tensor, table: Tensor, scale: float, layers: tuple[Tensor, ...], learns: bool
) -> tuple[Tensor, Tensor | None]:
    """The maximum over neighbours of an edge MLP on pair features.

    Args:
        points: [N, 6], positions and normals; see :func:`fits_pairs`.
        table: [k, N] of int64.
        scale: mm, see :func:`toothgraph.nn.pair_features`.
        layers: w1 [H, 6], b1 [H], w2 [C, H], b2 [C], contiguous.
        learns: whether the winners are needed.

    Returns:
        [N, C] and, if ``learns``, the number of the winner among the k neighbours, uint8 [N, C]; else None.

    Raises:
        ShapeError: for neighbours that do not exist.
    """
    assert _library is not None
    nodes, channels = len(points), len(layers[2])
    out = points.new_empty(nodes, channels)
    winner = points.new_empty(nodes, channels, dtype=torch.uint8) if learns else None
    hood, mlp = _hood(table.t(), table, len(table), nodes), _layers(layers, scale)
    given = points.data_ptr(), ctypes.byref(hood), ctypes.byref(mlp), out.data_ptr(), channels
    threads = _threads(table.numel() * channels)
    _check(_library.pairs(*given, None if winner is None else winner.data_ptr(), threads), nodes)
    return out, winner


def compiled_pairs_back(
    points: Tensor, table: Tensor, scale: float, layers: tuple[Tensor, ...], winner: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of w1, b1 and w2; arguments as in :func:`compiled_pairs`, with its winners and ``grad`` [N, C]."""
    assert _library is not None
    w1, _, w2, _ = layers
    grad, threads = grad.contiguous(), _threads(table.numel() * len(w2))
    first, second = points.new_zeros(threads, 7, len(w1)), points.new_zeros(threads, *w2.shape)
    hood, mlp = _hood(table.t(), table, len(table), len(points)), _layers(layers, scale)
    given = points.data_ptr(), ctypes.byref(hood), ctypes.byref(mlp), grad.data_ptr(), winner.data_ptr()
    _library.pairs_back(*given, first.data_ptr(), second.data_ptr(), threads)
    both = first.sum(dim=0)
    return both[:6].t(), both[6], second.sum(dim=0)


def _layers(layers: tuple[Tensor, ...], scale: float) -> _Layers:
    return _Layers(*(each.data_ptr() for each in layers), len(layers[0]), len(layers[2]), scale)


# Operators of torch: their schemas, the shapes of their results for torch.compile, and their gradients.

_BAGS = "Tensor source, Tensor ends, SymInt fixed"
_operators = torch.library.Library("toothgraph", "FRAGMENT")
_operators.define(f"cpu_max(Tensor x, {_BAGS}, bool padded, bool learns) -> (Tensor, Tensor)")
_operators.define("cpu_to_winners(Tensor grad, Tensor winner, SymInt rows) -> Tensor")
_operators.define(f"cpu_total(Tensor x, {_BAGS}, bool mean) -> Tensor")
_operators.define(f"cpu_spread(Tensor grad, {_BAGS}, bool mean, SymInt rows) -> Tensor")
_operators.define("cpu_bags(Tensor source, Tensor target, SymInt nodes) -> (Tensor, Tensor)")


def _bags(source: Tensor, target: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    found, ends = compiled_bags(source, target, nodes)
    return found.clone() if found.data_ptr() == source.data_ptr() else found, ends  # an operator returns new tensors


def _max(x: Tensor, source: Tensor, ends: Tensor, fixed: int, padded: bool, learns: bool) -> tuple[Tensor, Tensor]:
    x, (rows, channels) = x.contiguous(), x.shape
    hood = _hood(source, ends, fixed, rows, padded)
    out = x.new_empty(hood.nodes, channels)
    winner = out.new_empty(out.shape if learns else (0,), dtype=torch.int32)
    run = getattr(_library, f"max_{_NAMES[x.dtype]}")
    threads = _threads(source.numel() * channels)
    winners = winner.data_ptr() if learns else None
    _check(run(x.data_ptr(), ctypes.byref(hood), channels, out.data_ptr(), winners, threads), rows)
    return out, winner


def _to_winners(grad: Tensor, winner: Tensor, rows: int) -> Tensor:
    grad, (nodes, channels) = grad.contiguous(), grad.shape
    out = grad.new_zeros(rows, channels)
    run = getattr(_library, f"to_winners_{_NAMES[grad.dtype]}")
    run(grad.data_ptr(), winner.data_ptr(), nodes, channels, out.data_ptr(), _threads(grad.numel()))
    return out


def _total(x: Tensor, source: Tensor, ends: Tensor, fixed: int, mean: bool) -> Tensor:
    x, (rows, channels) = x.contiguous(), x.shape
    hood = _hood(source, ends, fixed, rows)
    out = x.new_empty(hood.nodes, channels)
    run, threads = getattr(_library, f"total_{_NAMES[x.dtype]}"), _threads(source.numel() * channels)
    _check(run(x.data_ptr(), ctypes.byref(hood), channels, mean, False, out.data_ptr(), threads), rows)
    return out


def _spread(grad: Tensor, source: Tensor, ends: Tensor, fixed: int, mean: bool, rows: int) -> Tensor:
    grad, channels = grad.contiguous(), grad.shape[1]
    hood = _hood(source, ends, fixed, rows)
    out = grad.new_zeros(rows, channels)
    run, threads = getattr(_library, f"total_{_NAMES[grad.dtype]}"), _threads(source.numel() * channels)
    run(grad.data_ptr(), ctypes.byref(hood), channels, mean, True, out.data_ptr(), threads)
    return out


for _name, _function in (
    ("cpu_max", _max), ("cpu_to_winners", _to_winners), ("cpu_total", _total), ("cpu_spread", _spread),
    ("cpu_bags", _bags),
):  # fmt: skip
    _operators.impl(_name, _function, "CPU")


@torch.library.register_fake("toothgraph::cpu_max")
def _(x: Tensor, source: Tensor, ends: Tensor, fixed: int, padded: bool, learns: bool) -> tuple[Tensor, Tensor]:
    out = x.new_empty(source.shape[0] if fixed else ends.shape[0] - 1, x.shape[1])
    return out, torch.empty_like(out, dtype=torch.int32) if learns else out.new_empty(0, dtype=torch.int32)


@torch.library.register_fake("toothgraph::cpu_bags")
def _(source: Tensor, target: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(source), target.new_empty(nodes + 1)


@torch.library.register_fake("toothgraph::cpu_total")
def _(x: Tensor, source: Tensor, ends: Tensor, fixed: int, mean: bool) -> Tensor:
    return x.new_empty(source.shape[0] if fixed else ends.shape[0] - 1, x.shape[1])


@torch.library.register_fake("toothgraph::cpu_to_winners")
def _(grad: Tensor, winner: Tensor, rows: int) -> Tensor:
    return grad.new_empty(rows, grad.shape[1])


@torch.library.register_fake("toothgraph::cpu_spread")
def _(grad: Tensor, source: Tensor, ends: Tensor, fixed: int, mean: bool, rows: int) -> Tensor:
    return grad.new_empty(rows, grad.shape[1])


def _back_to_winner(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    (winner,) = ctx.saved_tensors
    return torch.ops.toothgraph.cpu_to_winners(grad, winner, ctx.rows), None, None, None, None, None


def _back_to_neighbors(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    given = *ctx.saved_tensors, *ctx.options, ctx.rows
    return torch.ops.toothgraph.cpu_spread(grad, *given), None, None, None, None


def _from_neighbors(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return torch.ops.toothgraph.cpu_total(grad, *ctx.saved_tensors, *ctx.options), None, None, None, None, None


for _name, _backward, _setup in (
    ("cpu_max", _back_to_winner, keep_winner), ("cpu_to_winners", from_winner, keep_winner_again),
    ("cpu_total", _back_to_neighbors, keep_bags), ("cpu_spread", _from_neighbors, keep_bags),
):  # fmt: skip
    torch.library.register_autograd(f"toothgraph::{_name}", _backward, setup_context=_setup, lib=_operators)
