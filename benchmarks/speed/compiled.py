"""EdgeConv under torch.compile: FastEdgeConv, PyG and three plain lines, eager and compiled.

python -m benchmarks.speed.compiled [--device cuda]
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.options import run
from benchmarks.speed.edge_conv import Layer, both_passes, edges_of
from benchmarks.speed.harness import arguments, section, start, write
from benchmarks.speed.surfaces import mesh_table
from toothgraph.nn import FastEdgeConv

QUESTION = "Who is fastest when a compiler helps?"
SIZES = {  # N, k, channels
    "quick": [(500, 3, 8)],
    "cpu": [(16_000, 12, 64)],
    "cuda": [(16_000, 12, 64), (200_000, 12, 64)],
}


class ThreeLines(nn.Module):
    """One product, a gather and a maximum: less than an EdgeConv, which also takes the node itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lin = nn.Linear(channels, channels)

    def forward(self, x: Tensor, neighbors: Tensor) -> Tensor:
        return self.lin(x)[neighbors].amax(dim=1)  # neighbors [N, k]


def ways_of(size: tuple[int, int, int], device: str, backend: str) -> tuple[dict[str, Any], Tensor, dict[str, Any]]:
    """The sizes, the features, and each layer with its call."""
    wanted, k, channels = size
    table = mesh_table(wanted, k).to(device)
    neighbors, edges = table.t().contiguous(), edges_of(table)
    x = torch.randn(table.shape[1], channels, device=device, requires_grad=True)
    fast = FastEdgeConv(channels, channels).to(device)
    pyg, plain = fast.to_pyg(), ThreeLines(channels).to(device)
    compiled = {net: torch.compile(net, dynamic=False, backend=backend) for net in (fast, pyg, plain)}
    calls: dict[str, tuple[nn.Module, Layer]] = {
        "FastEdgeConv": (fast, lambda: fast(x, neighbor_index=table)),
        "FastEdgeConv, compiled": (fast, lambda: compiled[fast](x, neighbor_index=table)),
        "PyG EdgeConv": (pyg, lambda: pyg(x, edges)),
        "PyG EdgeConv, compiled": (pyg, lambda: compiled[pyg](x, edges)),
        "three lines": (plain, lambda: plain(x, neighbors)),
        "three lines, compiled": (plain, lambda: compiled[plain](x, neighbors)),
    }
    return {"N": table.shape[1], "k": k, "channels": channels}, x, calls


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = start(arguments(__doc__), argv)
    backend = "aot_eager" if options.quick else "inductor"  # which needs a C++ compiler on a CPU
    cases = []
    for size in SIZES["quick" if options.quick else options.device]:
        torch._dynamo.reset()
        sizes, x, calls = ways_of(size, options.device, backend)
        cases += both_passes(sizes, x, calls, options)
    note = (
        "One linear layer, maximum, C to C channels, neighbours on an arch in spatial order. Three lines are "
        "`lin(x)[neighbors].amax(dim=1)`: half of the products, and no sum with the node itself. Compiling is not "
        "counted. The limit is that of `edge_conv`."
    )
    write(options, __file__, QUESTION, [section("Eager and compiled", note, cases)])


if __name__ == "__main__":
    run(main)
