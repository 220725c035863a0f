"""Time and memory of one pre-training step with the default preset, by stage.

python -m benchmarks.speed.pretrain_step [--device cuda]
"""

from __future__ import annotations

import torch
from torch_geometric.data import Batch

from benchmarks.options import run
from benchmarks.speed.harness import Way, arguments, case, compare, forward_backward, section, start, write
from toothgraph.data.loading import ViewPairs, collate_pairs
from toothgraph.data.scan import prepare_scan
from toothgraph.graph import GraphSpec
from toothgraph.model.nets import ContrastiveNet
from toothgraph.synthetic import synthetic_arch
from toothgraph.training.config import PRETRAIN_PRESETS
from toothgraph.training.optimizer import make_optimizer
from toothgraph.training.pretrain import PretrainTask

QUESTION = "Where does the time of a pre-training step go?"
TITLE = "Default preset, one process"


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = start(arguments(__doc__), argv)
    config = PRETRAIN_PRESETS["default"]
    spec = GraphSpec(faces=500) if options.quick else config.net.graph
    variants = 2 if options.quick else config.variants
    meshes = [synthetic_arch(seed, faces=2_000 if options.quick else 16_000) for seed in range(config.batch)]
    scans = [prepare_scan(mesh, spec, variants, 0) for mesh in meshes]
    pairs = ViewPairs(scans, 0, config.views)
    task = PretrainTask(ContrastiveNet(config.net), config, pairs, pairs, collate_pairs).to(options.device)
    optimizer = make_optimizer(task.net, config)
    epoch = iter(range(1_000_000))

    def draw() -> Batch:
        number = next(epoch)
        return collate_pairs([pairs[number, index] for index in range(config.batch)])

    batch = draw().to(options.device)

    def loss() -> torch.Tensor:
        return task.loss(batch)

    parameters = list(task.net.parameters())

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(parameters, config.clip)
        optimizer.step()
        optimizer.zero_grad()

    def step() -> None:
        nonlocal batch
        batch = draw().to(options.device)
        loss().backward()
        update()

    loss().backward()
    gradients = [parameter.grad for parameter in parameters]

    def update_alone() -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        update()

    optimizer.zero_grad()
    ways: dict[str, Way] = {
        "whole step": step, "draw views, join": draw, "forward": loss,
        "forward + backward": forward_backward(loss, *parameters), "clip, optimiser": update_alone,
    }  # fmt: skip
    sizes = {"scans": config.batch, "nodes": batch.num_nodes, "pairs": len(batch.match_index) // 2}
    cases = [case(TITLE, sizes, compare(ways, options, 30.0))]
    note = (
        "The ratio is the share of the whole step. What bounds the passes is under `backbone` and `info_nce`. "
        "Drawing runs on the CPU, and beside the passes where `workers` is above 0."
    )
    write(options, __file__, QUESTION, [section(TITLE, note, cases)])


if __name__ == "__main__":
    run(main)
