"""Finding neighbours in feature space and in space, compared with a dense distance matrix.

python -m benchmarks.speed.knn [--device cuda]
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.options import run
from benchmarks.speed.harness import FLOAT, Way, arguments, case, compare, section, start, write
from benchmarks.speed.surfaces import arch
from toothgraph.nn import knn_edges

QUESTION = "What does it cost to find neighbours without an N×N matrix?"
TITLE = "k nearest neighbours of every node of one scan"
SIZES = {"quick": [500], "cpu": [4_000, 10_000, 16_000], "cuda": [4_000, 16_000, 65_000, 200_000]}
K, CHANNELS = 25, 64


def dense_edges(x: Tensor, k: int) -> Tensor:
    """The same edges as ``knn_edges`` for one scan, from all N×N distances at once."""
    near = torch.cdist(x, x).topk(k, dim=1, largest=False).indices
    return torch.stack([near.flatten(), torch.arange(len(x), device=x.device).repeat_interleave(k)])


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = start(arguments(__doc__), argv)
    cases = []
    for wanted in SIZES["quick" if options.quick else options.device]:
        pos = torch.from_numpy(arch(wanted).centroids).float().to(options.device)
        n = len(pos)
        x = torch.randn(n, CHANNELS, device=options.device)
        batch = torch.zeros(n, dtype=torch.long, device=options.device)
        ways: dict[str, Way] = {
            "knn_edges, in features, blocked": lambda x=x, batch=batch: knn_edges(x, K, batch),
            "dense distances, in features": lambda x=x: dense_edges(x, K),
            "knn_edges, in space": lambda pos=pos, batch=batch: knn_edges(pos, K, batch),
            "dense distances, in space": lambda pos=pos: dense_edges(pos, K),
        }
        found = compare(ways, options, 6.0)
        # each row is compared with each node once; the blocks of the product are written and read once
        sizes = {"N": n, "k": K, "channels": CHANNELS}
        cases.append(case(TITLE, sizes, found, moved=2 * FLOAT * n * n, flop=2 * n * n * CHANNELS))
    note = (
        "Limit in features: one N×N product over C channels (2·N²·C operations), each distance written and read once "
        "(8·N² bytes); the slower of the two. In space a CPU uses a k-d tree, which is not bound by it."
    )
    write(options, __file__, QUESTION, [section(TITLE, note, cases)])


if __name__ == "__main__":
    run(main)
