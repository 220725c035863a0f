"""FastEdgeConv against PyG's EdgeConv and gathered edges: time and memory, by size and order of the nodes.

python -m benchmarks.speed.edge_conv [--device cuda]
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.options import run
from benchmarks.speed.harness import (
    FLOAT,
    INDEX,
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
from toothgraph.nn.kernels.backend import BACKENDS, choose_backend
from toothgraph.nn.kernels.gather import reduce_neighbors
from toothgraph.nn.kernels.neighborhoods import from_table

QUESTION = "What does EdgeConv cost without edges, and how near is it to what the machine allows?"
PRODUCTS = "two products of N×C by C×C (4·N·C² operations)"
GATHER = "N·k rows of C floats and an index read, N rows written (N·k·(4·C + 8) + 4·N·C bytes)"
Layer = Callable[[], Tensor]
SIZES = {  # N, k, channels
    "quick": [(500, 3, 8)],
    "cpu": [(4_000, 12, 64), (16_000, 3, 64), (16_000, 20, 32), (16_000, 20, 64), (16_000, 32, 64), (16_000, 12, 256)],
    "cuda": [(16_000, 3, 64), (16_000, 20, 64), (16_000, 32, 256), (200_000, 12, 64), (1_000_000, 12, 64),
             (1_000_000, 32, 128)],
}  # fmt: skip
SCALING = {"quick": [500], "cpu": [16_000, 64_000, 256_000, 1_000_000], "cuda": [16_000, 64_000, 256_000, 1_000_000]}


class Gathered(nn.Module):
    """The factorised layer with the neighbours' rows gathered and then reduced, by ``amax`` or ``max``."""

    def __init__(self, fast: FastEdgeConv, winner: bool) -> None:
        super().__init__()
        self.fast, self.winner = fast, winner

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        own, difference = self.fast.lin.weight.split(self.fast.in_channels, dim=1)
        rows = F.linear(x, difference)[table]  # [k, N, C]
        most = rows.max(dim=0).values if self.winner else rows.amax(dim=0)
        return F.linear(x, own - difference, self.fast.lin.bias) + most


def edges_of(table: Tensor) -> Tensor:
    """[2, E] of a table, sorted by target."""
    k, nodes = table.shape
    target = torch.arange(nodes, device=table.device).repeat_interleave(k)
    return torch.stack([table.t().reshape(-1), target])


def work(n: int, k: int, c: int) -> dict[str, float]:
    """What a forward pass cannot do without."""
    return {"moved": n * k * (FLOAT * c + INDEX) + FLOAT * n * c, "flop": 4 * n * c * c}


def both_passes(
    sizes: dict[str, Any], x: Tensor, calls: dict[str, tuple[nn.Module, Layer]], options: Namespace
) -> list[dict[str, Any]]:
    """Cases for the forward pass alone, and for forward and backward."""
    once = {name: without_grad(call) for name, (_, call) in calls.items()}
    twice = {name: forward_backward(call, x, *net.parameters()) for name, (net, call) in calls.items()}
    limit = work(sizes["N"], sizes["k"], sizes["channels"])
    return [
        case(sizes | {"pass": "forward"}, compare(once, options, 4.0), **limit),
        case(sizes | {"pass": "forward + backward"}, compare(twice, options, 4.0)),
    ]


def against_others(size: tuple[int, int, int], normed: bool, options: Namespace) -> list[dict[str, Any]]:
    """One layer, all ways of computing it."""
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
    return both_passes({"N": n, "k": k, "channels": channels}, x, calls, options)


def usable_backends(x: Tensor) -> list[str]:
    """The backends that are installed here and serve tensors like ``x``."""
    found = []
    for backend in BACKENDS:
        try:
            found.append(choose_backend(x, backend))
        except ConfigError:
            continue
    return found


def in_passes(x: Tensor, table: Tensor) -> Tensor:
    """The gather-maximum by k passes over all nodes, without a gradient."""
    most = x.index_select(0, table[0])
    for row in table[1:]:
        torch.maximum(most, x.index_select(0, row), out=most)
    return most


def gathers(sizes: list[int], options: Namespace, k: int = 12, channels: int = 64) -> list[dict[str, Any]]:
    """The gather-maximum alone: mesh neighbours in spatial order and random ones, from few faces to many."""
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
        row = case({"N": n, "k": k, "channels": channels}, found, work(n, k, channels)["moved"])
        row["unique_bytes"] = 2 * FLOAT * n * channels + INDEX * n * k
        cases.append(row)
    return cases


def scaling(sizes: list[int], options: Namespace, k: int = 12, channels: int = 64) -> list[dict[str, Any]]:
    """Cost per face of one layer from few faces to many, on mesh neighbours in spatial order and on random ones."""
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
        cases += [row | {"per": n} for row in both_passes({"N": n, "k": k, "channels": channels}, x, calls, options)]
    return cases


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = start(arguments(__doc__), argv)
    kind = "quick" if options.quick else options.device
    linear = [row for size in SIZES[kind] for row in against_others(size, False, options)]
    middle = SIZES[kind][len(SIZES[kind]) // 2]
    normed = against_others(middle, True, options)
    limit = f"Limit of a forward pass: {PRODUCTS}, then {GATHER}; the slower of the two."
    sections = [
        section("One linear layer, maximum, C to C channels, neighbours on an arch in spatial order", limit, linear),
        section("Linear, batch norm over edges, leaky ReLU, in training", limit, normed),
        section("The gather-maximum alone", f"Limit: {GATHER}. Of rows that stay in a cache less is moved: at "
                "least the distinct bytes (each row and index once).", gathers(SCALING[kind], options)),
        section("Cost per face", limit, scaling(SCALING[kind], options)),
    ]  # fmt: skip
    write(options, __file__, QUESTION, sections)


if __name__ == "__main__":
    run(main)
