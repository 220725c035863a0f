"""Time and memory of FastEdgeConv, compared with PyG's EdgeConv, gathered edges, and compiled versions of these.

python -m benchmarks.speed.edge_conv [--device cuda]
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.options import run
from benchmarks.speed.harness import (
    LeftOut,
    Way,
    arguments,
    case,
    compare,
    forward_backward,
    section,
    start,
    without_grad,
    write,
)
from benchmarks.speed.surfaces import mesh_table
from toothgraph.errors import ConfigError
from toothgraph.nn import FastEdgeConv
from toothgraph.nn.kernels.backend import BACKENDS, choose_backend, triton_runs
from toothgraph.nn.kernels.gather import reduce_neighbors
from toothgraph.nn.kernels.neighborhoods import from_table

QUESTION = "What does EdgeConv cost without edges, eager and compiled?"
NOTE = "No limit is stated: rows that stay in a cache move faster than any copy of large memory."
BY_COMPILER = ", compiled"  # ending of the name of a compiled way
COMPILERS, PER_FACE, GATHER = "Eager and compiled", "Cost per face", "The gather-maximum alone"
LINEAR = "One linear layer, maximum, C to C channels, neighbours on an arch in spatial order"
NORMED = "Linear, batch norm over edges, leaky ReLU, in training"
Layer = Callable[[], Tensor]
SIZES = {  # N, k, channels
    "quick": [(500, 3, 8)],
    "cpu": [(4_000, 12, 64), (16_000, 3, 64), (16_000, 20, 32), (16_000, 20, 64), (16_000, 32, 64), (16_000, 12, 256)],
    "cuda": [(16_000, 3, 64), (16_000, 20, 64), (16_000, 32, 256), (200_000, 12, 64), (1_000_000, 12, 64),
             (1_000_000, 32, 128)],
}  # fmt: skip
COMPILED = {"quick": [(300, 3, 8)], "cpu": [(4_000, 12, 64), (16_000, 12, 64)], "cuda": [(16_000, 12, 64)]}
SCALING = {"quick": [500], "cpu": [16_000, 64_000, 256_000, 1_000_000], "cuda": [16_000, 64_000, 256_000, 1_000_000]}


class Gathered(nn.Module):
    """The factorised layer, where the rows of neighbours are gathered and then reduced, by ``amax`` or ``max``."""

    def __init__(self, fast: FastEdgeConv, winner: bool) -> None:
        super().__init__()
        self.fast, self.winner = fast, winner

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        own, difference = self.fast.lin.weight.split(self.fast.in_channels, dim=1)
        rows = F.linear(x, difference)[table]  # [k, N, C]
        most = rows.max(dim=0).values if self.winner else rows.amax(dim=0)
        return F.linear(x, own - difference, self.fast.lin.bias) + most


def edges_of(table: Tensor) -> Tensor:
    """The edges [2, E] of a neighbour table, sorted by target."""
    k, nodes = table.shape
    target = torch.arange(nodes, device=table.device).repeat_interleave(k)
    return torch.stack([table.t().reshape(-1), target])


def both_passes(
    title: str,
    sizes: dict[str, Any],
    x: Tensor,
    calls: dict[str, tuple[nn.Module, Layer]],
    options: Namespace,
    per: int | None = None,
) -> list[dict[str, Any]]:
    """Cases for the forward pass alone, and for forward and backward."""
    once = {name: without_grad(call) for name, (_, call) in calls.items()}
    twice = {name: forward_backward(call, x, *net.parameters()) for name, (net, call) in calls.items()}
    return [
        case(title, sizes | {"pass": passed}, compare(where_compiled(ways), options, 4.0), per=per)
        for passed, ways in {"forward": once, "forward + backward": twice}.items()
    ]


def where_compiled(ways: dict[str, Way]) -> dict[str, Way]:
    """The same ways, where a compiled way is left out if the compiler fails on it."""
    return {name: or_left_out(way) if name.endswith(BY_COMPILER) else way for name, way in ways.items()}


def or_left_out(way: Way) -> Way:
    """A way that is left out if it fails for any reason except GPU memory. Compilers raise many kinds of errors."""

    def tried() -> object:
        try:
            return way()
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:
            raise LeftOut("not compiled", f"{type(error).__name__}: {error}") from error

    return tried


def against_others(size: tuple[int, int, int], normed: bool, options: Namespace) -> list[dict[str, Any]]:
    """The cases of one layer of a given size, computed in all ways."""
    (n, k, channels), device = size, options.device
    table = mesh_table(n, k).to(device)
    n = table.shape[1]
    edges = edges_of(table)
    x = torch.randn(n, channels, device=device, requires_grad=True)
    fast = FastEdgeConv(channels, channels, "batch" if normed else None, "leaky_relu" if normed else None).to(device)
    slow = fast.to_pyg()
    calls: dict[str, tuple[nn.Module, Layer]] = {
        "FastEdgeConv, table": (fast, lambda: fast(x, neighbor_index=table)),
        "FastEdgeConv, edge_index": (fast, lambda: fast(x, edges)),
        "PyG EdgeConv": (slow, lambda: slow(x, edges)),
    }
    if not normed:
        amax, winner = Gathered(fast, False), Gathered(fast, True)
        calls["factorised, gathered, amax"] = (amax, lambda: amax(x, table))
        calls["factorised, gathered, max"] = (winner, lambda: winner(x, table))
    return both_passes(NORMED if normed else LINEAR, {"N": n, "k": k, "channels": channels}, x, calls, options)


class Three(nn.Module):
    """The factorised layer, written as plainly as possible."""

    def __init__(self, fast: FastEdgeConv) -> None:
        super().__init__()
        self.fast = fast

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        own, difference = self.fast.lin.weight.split(self.fast.in_channels, dim=1)
        most = F.linear(x, difference)[table.t()].amax(dim=1)
        return F.linear(x, own - difference, self.fast.lin.bias) + most


class Dense(nn.Module):
    """The edge MLP on all edges [N, k, 2C] of a table."""

    def __init__(self, fast: FastEdgeConv) -> None:
        super().__init__()
        self.fast = fast

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        near, own = x[table.t()], x[:, None].expand(-1, len(table), -1)
        return self.fast.lin(torch.cat([own, near - own], dim=-1)).amax(dim=1)


def against_compilers(size: tuple[int, int, int], options: Namespace) -> list[dict[str, Any]]:
    """The cases of one layer, eager and compiled, on a neighbour table and on ragged edges in random order."""
    (n, k, channels), device = size, options.device
    table = mesh_table(n, k).to(device)
    n = table.shape[1]
    edges = edges_of(table)
    ragged = edges[:, torch.randperm(edges.shape[1])[: edges.shape[1] * 7 // 10]]
    x = torch.randn(n, channels, device=device, requires_grad=True)
    fast = FastEdgeConv(channels, channels).to(device)
    cases = []
    for name, links in {"table": table, "ragged": ragged}.items():
        torch._dynamo.reset()
        plain: dict[str, tuple[nn.Module, Callable[..., Tensor]]] = {
            "FastEdgeConv": (fast, partial(fast, x, **{"neighbor_index" if name == "table" else "edge_index": links})),
            "PyG EdgeConv": (slow := fast.to_pyg(), partial(slow, x, edges if name == "table" else links)),
        }
        if name == "table":
            plain["three lines"] = (three := Three(fast), partial(three, x, links))
            plain["dense MLP"] = (dense := Dense(fast), partial(dense, x, links))
        at_once = {f"{way}{BY_COMPILER}": (net, compiled(call, options.quick)) for way, (net, call) in plain.items()}
        sizes = {"N": n, "k": k, "channels": channels, "edges": name}
        cases += both_passes(COMPILERS, sizes, x, plain | at_once, options)
    return cases


def compiled(call: Callable[..., Tensor], quick: bool) -> Callable[..., Tensor]:
    """The same call of a module compiled by torch. With ``quick``, the module is only traced."""
    assert isinstance(call, partial)
    return partial(torch.compile(call.func, backend="eager" if quick else "inductor"), *call.args, **call.keywords)


def usable_backends(x: Tensor) -> list[str]:
    """The backends that run here for tensors like ``x``. Triton may be installed and still not run."""
    found = []
    for backend in BACKENDS:
        try:
            found.append(choose_backend(x, backend))
        except ConfigError:
            continue
    return [backend for backend in found if backend != "triton" or triton_runs(x)]


def in_passes(x: Tensor, table: Tensor) -> Tensor:
    """The gather-maximum, computed by k passes over all nodes, without a gradient."""
    most = x.index_select(0, table[0])
    for row in table[1:]:
        torch.maximum(most, x.index_select(0, row), out=most)
    return most


def gathers(sizes: list[int], options: Namespace, k: int = 12, channels: int = 64) -> list[dict[str, Any]]:
    """The cases of the gather-maximum alone, on mesh neighbours in spatial order and on random neighbours."""
    cases, device = [], options.device
    for wanted in sizes:
        mesh = mesh_table(wanted, k).to(device)
        n = mesh.shape[1]
        x = torch.randn(n, channels, device=device)
        ways: dict[str, Way] = {}
        for order, table in {"mesh": mesh, "random": torch.randint(n, (k, n), device=device)}.items():
            hood = from_table(table)
            for backend in usable_backends(x):
                ways[f"{order}, backend {backend}"] = lambda x=x, h=hood, b=backend: reduce_neighbors(x, h, "max", b)
            ways[f"{order}, k passes of torch.maximum"] = lambda x=x, t=table: in_passes(x, t)
        found = compare({name: without_grad(way) for name, way in ways.items()}, options, 3.0)
        cases.append(case(GATHER, {"N": n, "k": k, "channels": channels}, found))
    return cases


def scaling(sizes: list[int], options: Namespace, k: int = 12, channels: int = 64) -> list[dict[str, Any]]:
    """The cost per face of one layer from few faces to many, on mesh neighbours in spatial order and random ones."""
    cases, device = [], options.device
    for wanted in sizes:
        mesh = mesh_table(wanted, k).to(device)
        n = mesh.shape[1]
        fast = FastEdgeConv(channels, channels).to(device)
        x = torch.randn(n, channels, device=device, requires_grad=True)
        calls: dict[str, tuple[nn.Module, Layer]] = {
            order: (fast, lambda fast=fast, x=x, table=table: fast(x, neighbor_index=table))
            for order, table in {"mesh": mesh, "random": torch.randint(n, (k, n), device=device)}.items()
        }
        cases += both_passes(PER_FACE, {"N": n, "k": k, "channels": channels}, x, calls, options, per=n)
    return cases


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = start(arguments(__doc__), argv)
    kind = "quick" if options.quick else options.device
    linear = [row for size in SIZES[kind] for row in against_others(size, False, options)]
    middle = SIZES[kind][len(SIZES[kind]) // 2]
    normed = against_others(middle, True, options)
    at_once = [row for size in COMPILED[kind] for row in against_compilers(size, options)]
    sections = [
        section(COMPILERS, f"One linear layer, maximum. {NOTE}", at_once),
        section(LINEAR, NOTE, linear),
        section(NORMED, NOTE, normed),
        section(GATHER, NOTE, gathers(SCALING[kind], options)),
        section(PER_FACE, NOTE, scaling(SCALING[kind], options)),
    ]
    write(options, __file__, QUESTION, sections)


if __name__ == "__main__":
    run(main)
