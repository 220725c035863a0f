"""InfoNCE in blocks, with both directions from one product, compared with the dense matrix of similarities.

python -m benchmarks.speed.info_nce [--device cuda]
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.options import run
from benchmarks.speed.harness import FLOAT, Way, arguments, case, compare, forward_backward, section, start, write
from toothgraph.nn import info_nce

QUESTION = "What does InfoNCE over all matched nodes cost without a P×P matrix?"
TITLE = "Symmetric loss, negatives of the same scan"
CHANNELS = 32
SIZES = {  # pairs per scan, scans
    "quick": [(300, 2)],
    "cpu": [(1_000, 8), (4_000, 8), (10_000, 1)],
    "cuda": [(1_000, 8), (4_000, 8), (10_000, 8)],
}


def dense_info_nce(a: Tensor, b: Tensor, scans: int, temperature: float = 0.07) -> Tensor:
    """The same loss from one [P, P] matrix per scan and direction."""
    losses = []
    for x, y in zip(F.normalize(a, dim=1).chunk(scans), F.normalize(b, dim=1).chunk(scans), strict=True):
        own = torch.arange(len(x), device=x.device)
        logits = x @ y.t() / temperature
        losses += [F.cross_entropy(logits, own), F.cross_entropy(logits.t(), own)]
    return torch.stack(losses).mean()


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = start(arguments(__doc__), argv)
    cases = []
    for pairs, scans in SIZES["quick" if options.quick else options.device]:
        a, b = (torch.randn(pairs * scans, CHANNELS, device=options.device, requires_grad=True) for _ in "ab")
        batch = torch.arange(scans, device=options.device).repeat_interleave(pairs)
        with torch.no_grad():
            torch.testing.assert_close(info_nce(a, b, batch=batch), dense_info_nce(a, b, scans))
        ways: dict[str, Way] = {
            "info_nce, blocked": forward_backward(lambda a=a, b=b, batch=batch: info_nce(a, b, batch=batch), a, b),
            "dense": forward_backward(lambda a=a, b=b, scans=scans: dense_info_nce(a, b, scans), a, b),
        }
        entries = scans * pairs**2
        # one product forward, two backward; similarities are written and read in both passes
        sizes = {"pairs per scan": pairs, "scans": scans, "channels": CHANNELS, "pass": "forward + backward"}
        found = compare(ways, options, 6.0)
        cases.append(case(TITLE, sizes, found, moved=4 * FLOAT * entries, flop=3 * 2 * entries * CHANNELS))
    note = (
        "Limit, per scan: one P×P product over C channels forward and two backward (6·P²·C operations), "
        "the similarities written and read once in each pass (16·P² bytes); the slower of the two. "
        "The blocks compute the forward product a second time."
    )
    write(options, __file__, QUESTION, [section(TITLE, note, cases)])


if __name__ == "__main__":
    run(main)
