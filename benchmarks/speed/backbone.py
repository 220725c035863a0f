"""The two backbones: the default one, and `paper` compared with the same net with dense distances and all edges.

python -m benchmarks.speed.backbone [--device cuda]
"""

from __future__ import annotations

import argparse
import copy
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import EdgeConv, global_max_pool

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
from benchmarks.speed.knn import dense_edges
from benchmarks.speed.surfaces import graph
from toothgraph.graph import GraphSpec
from toothgraph.model import NetConfig, PaperBackbone
from toothgraph.model.nets import build_backbone
from toothgraph.nn.dgcnn import MLPEdgeConv

QUESTION = "What do the backbones cost per scan?"
OURS, OF_PAPER = "The default backbone", "The backbone of the preset `paper`"
DEFAULT = {"quick": [500], "cpu": [4_000, 16_000, 64_000], "cuda": [4_000, 16_000, 64_000, 200_000]}
PAPER = {"quick": [300], "cpu": [4_000, 10_000], "cuda": [4_000, 10_000, 16_000, 40_000]}


class PlainPaper(nn.Module):
    """The backbone of the preset `paper` as usually written: dense distances, PyG's EdgeConv, the same weights."""

    def __init__(self, net: PaperBackbone) -> None:
        super().__init__()
        self.k = net.k
        self.transform, self.lift = copy.deepcopy(net.transform), copy.deepcopy(net.lift)
        self.transform.conv = plain_conv(net.transform.conv)
        self.blocks = nn.ModuleList(plain_conv(block) for block in net.blocks)

    def forward(self, data: Batch) -> Tensor:
        x = data.x
        matrix = self.transform(x, dense_edges(x, self.k), data.batch, 1)
        x = torch.einsum("nc,ncd->nd", x, matrix[data.batch])
        kept = []
        for block in self.blocks:
            x = block(x, dense_edges(x, self.k))
            kept.append(x)
        local = torch.cat(kept, dim=1)
        return torch.cat([global_max_pool(self.lift(local), data.batch, 1)[data.batch], local], dim=1)


def plain_conv(conv: nn.Module) -> EdgeConv:
    """PyG's layer with the weights of a ``MLPEdgeConv``."""
    assert isinstance(conv, MLPEdgeConv)
    plain = EdgeConv(copy.deepcopy(conv.nn), aggr="max")
    plain.load_state_dict(conv.state_dict())
    return plain


def both_passes(
    title: str,
    sizes: dict[str, Any],
    nets: dict[str, nn.Module],
    data: Batch,
    options: argparse.Namespace,
    moved: float,
    flop: float,
) -> list[dict[str, Any]]:
    """Cases for the forward pass alone, and for forward and backward."""
    once: dict[str, Way] = {
        name: without_grad(lambda net=net: net(data)) for name, net in nets.items() if "again" not in name
    }
    twice: dict[str, Way] = {
        name: forward_backward(lambda net=net: net(data), *net.parameters()) for name, net in nets.items()
    }
    return [
        case(title, sizes | {"pass": "forward"}, compare(once, options, 5.0), moved, flop),
        case(title, sizes | {"pass": "forward + backward"}, compare(twice, options, 5.0)),
    ]


def default_cases(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The cases of the default backbone, on the default neighbour tables."""
    spec, cases = GraphSpec(), []
    for faces in DEFAULT["quick" if options.quick else options.device]:
        data = graph(faces, spec).to(options.device)
        net = build_backbone(NetConfig()).to(options.device)
        sizes = {"N": data.num_nodes, "k": spec.k}
        moved, flop = work_of_default(net, data)
        cases += both_passes(OURS, sizes, {"GeometryBackbone": net}, data, options, moved=moved, flop=flop)
    return cases


def work_of_default(net: nn.Module, data: Batch) -> tuple[float, float]:
    """Bytes and operations of the linear layers and gathers in a forward pass, counted while it runs."""
    moved, flop = 0.0, 0.0
    rows = data.num_nodes * data.neighbor_index.shape[0] * (6 * FLOAT + INDEX)  # pair geometry: pos and normal

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal moved, flop
        assert isinstance(layer.weight, Tensor)
        flop += 2 * layer.weight.numel() * inputs[0].shape[:-1].numel()
        moved += FLOAT * (inputs[0].numel() + out.numel())

    def gather(layer: nn.Module, inputs: tuple[Tensor, ...], keywords: dict[str, Tensor], out: Tensor) -> None:
        nonlocal moved, flop
        table = keywords.get("neighbor_index", inputs[-1])
        moved += table.numel() * (FLOAT * out.shape[1] + INDEX) + FLOAT * out.numel()
        lin = getattr(layer, "lin", None)
        if isinstance(lin, nn.Linear):  # the layer computes it as two products, not as a module
            flop += 2 * lin.weight.numel() * len(out)

    hooks = []
    for layer in net.modules():
        if hasattr(layer, "lin") or (hasattr(layer, "source") and hasattr(layer, "target")):
            hooks.append(layer.register_forward_hook(gather, with_kwargs=True))
        elif isinstance(layer, nn.Linear):
            hooks.append(layer.register_forward_hook(count))
    with torch.no_grad():
        net(data)
    for hook in hooks:
        hook.remove()
    return moved + rows, flop


def paper_cases(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The cases of the backbone of the preset `paper`, computed in three ways."""
    cases = []
    for faces in PAPER["quick" if options.quick else options.device]:
        data = graph(faces, GraphSpec(k=0, spacings=())).to(options.device)
        n = data.num_nodes
        torch.manual_seed(0)
        net = PaperBackbone()
        again = PaperBackbone(recompute=True)
        again.load_state_dict(net.state_dict())
        nets = {"paper": net, "paper, edges computed again": again, "dense distances, all edges": PlainPaper(net)}
        nets = {name: module.to(options.device) for name, module in nets.items()}
        widths = [(15, 64, 128), (15, 128, 128, 64), (64, 64, 64, 64), (64, 64, 64)]
        on_edges = sum(2 * n * net.k * a * b for w in widths for a, b in pairwise(w[1:]))
        on_nodes = sum(4 * n * w[0] * w[1] for w in widths) + 2 * n * (128 + 192) * 1024
        distances = sum(2 * n * n * w[0] for w in widths)
        moved = sum(2 * FLOAT * n * net.k * c for w in widths for c in w[1:]) + 4 * 2 * FLOAT * n * n
        sizes = {"N": n, "k": net.k}
        cases += both_passes(OF_PAPER, sizes, nets, data, options, moved=moved, flop=on_edges + on_nodes + distances)
    return cases


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = start(arguments(__doc__), argv)
    sections = [
        section(OURS, "Limit of a forward pass: the operations of its linear layers; the rows they "
                "read and write, and the rows and indices its gathers read; the slower of the two. In training mode.",
                default_cases(options)),
        section(OF_PAPER, "Limit of a forward pass: four N×N distance products, the edge "
                "MLPs from their second layer on, the first on nodes; every edge value and every distance written and "
                "read once; the slower of the two. In training mode.", paper_cases(options)),
    ]  # fmt: skip
    write(options, __file__, QUESTION, sections)


if __name__ == "__main__":
    run(main)
