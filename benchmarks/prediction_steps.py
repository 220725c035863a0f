"""What each step of prediction is worth: all of them, and each left out.

    python benchmarks/prediction_steps.py DATA

Labels the validation patients of 3d-iosseg, teeth3ds and the labelled odd-scans (see default_weights.py) with the
weights in the package, every scan turned at random and its jaw withheld. Writes
benchmarks/results/prediction_steps.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from default_weights import CONDITIONS, arguments, labelled_sets, scored

from toothgraph import provenance
from toothgraph.files import write_text
from toothgraph.inference.evaluate import report
from toothgraph.training.checkpoint import load_segmentation

RESULT = Path(__file__).resolve().parent / "results" / "prediction_steps.json"
STEPS: dict[str, dict[str, Any]] = {
    "all steps": {},
    "one tessellation": {"tessellations": 1},
    "no second look": {"focus": False},
    "frame as stored": {"orient": False},
    "borders as the net puts them": {"refined": False},
    "numbers as the net gives them": {"numbered": False},
}


def main() -> None:
    """Score and write."""
    options = arguments(__doc__, RESULT).parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    net, file = load_segmentation(options.model)
    sets = {}
    for name, meshes in labelled_sets(options.data).items():
        sets[name] = {}
        for title, change in STEPS.items():
            print(f"{name}, {title}", flush=True)
            found = report(scored(net, meshes, CONDITIONS[-1], [], **change))
            twice = sum(row["duplicates"] for row in found["per_scan"])
            sets[name][title] = {"scores": found["scores"], "duplicates": twice}
    content = {"sha256": provenance.sha256(file.path), "facts": provenance.facts(), "sets": sets}
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
