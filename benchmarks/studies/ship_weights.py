"""Make a finetune run's net the package's default weights; score them with default_weights.py afterwards.

    python -m benchmarks.studies.ship_weights RUN --data "what it was trained on"

Matrices are stored in half precision, which halves the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import nn

from toothgraph import weights
from toothgraph.model.file import load_segmentation, save_model
from toothgraph.scan_names import patient_of
from toothgraph.system import provenance


def halve(net: nn.Module) -> None:
    """Keep the matrices of a net in half precision, as in the package's file."""
    for parameter in net.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.half()


def main() -> None:
    """Write toothgraph/weights/default.safetensors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    options = parser.parse_args()
    net, file = load_segmentation(options.run)
    halve(net)
    patients = sorted({patient_of(scan) for scan in file.header["train"]})
    header = {name: file.header[name] for name in ("seed", "steps", "trained")}
    save_model(weights.FILE, net, header | {"data": options.data, "patients": patients})
    print(weights.FILE, provenance.sha256(weights.FILE))


if __name__ == "__main__":
    main()
