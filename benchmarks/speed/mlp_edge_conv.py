"""Edge MLPs of the paper's net: batch norm, Mish and linear layer in one step, compared with plain modules.

python -m benchmarks.speed.mlp_edge_conv
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.options import run
from benchmarks.speed.harness import Way, arguments, case, compare, forward_backward, section, start, write
from toothgraph.nn import dgcnn

QUESTION = "What does it save to compute batch norm, Mish and the next linear layer of an edge MLP in one step?"
TITLE = "MLPEdgeConv"
NODES, K = 10_000, 25
CHANNELS = ((15, 128, 128, 64), (64, 64, 64, 64))  # the first two blocks of the paper's backbone


class Plain(dgcnn.MLPEdgeConv):
    """The same layer, with its parts computed as one module after another."""

    def after_first(self, edges: Tensor, parts: list[nn.Module]) -> Tensor:
        for part in parts:
            edges = part(edges)
        return edges


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = start(arguments(__doc__), argv)
    nodes = 300 if options.quick else NODES
    source = torch.randint(0, nodes, (nodes * K,), device=options.device)
    edges = torch.stack([source, torch.arange(nodes, device=options.device).repeat_interleave(K)])
    cases = []
    for channels in CHANNELS:
        x = torch.randn(nodes, channels[0], device=options.device, requires_grad=True)
        ways: dict[str, Way] = {}
        for name, kind, recompute in (
            ("one step", dgcnn.MLPEdgeConv, False),
            ("plain modules", Plain, False),
            ("plain modules, recompute", Plain, True),
        ):
            layer = kind(*channels, k=K, recompute=recompute).to(options.device)
            ways[name] = forward_backward(lambda layer=layer, x=x: layer(x, edges), x, *layer.parameters())
        sizes = {"nodes": nodes, "k": K, "channels": " ".join(map(str, channels))}
        cases.append(case(TITLE, sizes, compare(ways, options)))
    note = "Forward and backward, random neighbours. No limit is stated."
    write(options, __file__, QUESTION, [section(TITLE, note, cases)])


if __name__ == "__main__":
    run(main)
