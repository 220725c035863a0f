"""Make the net of a finetune run the default weights of the package.

    python -m benchmarks.studies.ship_weights RUN --data "what it was trained on"

Score the new weights with default_weights.py afterwards. Matrices are stored in half precision, which halves the file.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from benchmarks.options import parse, parser_of, run
from toothgraph import weights
from toothgraph.model.file import load_segmentation, save_model
from toothgraph.scan_names import patient_of
from toothgraph.system import provenance

OUT = "weights file; if not given, toothgraph/weights/default.safetensors, which is then replaced"


def halve(net: nn.Module) -> None:
    """Convert the matrices of a net to half precision, as in the package's file."""
    for parameter in net.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.half()


def main(argv: list[str] | None = None) -> None:
    """Write toothgraph/weights/default.safetensors."""
    parser = parser_of(__doc__, out=OUT)
    parser.add_argument("run", type=Path, nargs="?", default=Path(weights.DEFAULT), help="of finetune")
    parser.add_argument("--data", default="", help="what it was trained on")
    options = parse(parser, argv, weights.FILE)
    if not options.quick and (str(options.run) == weights.DEFAULT or not options.data):
        parser.error("expected RUN, a run folder of finetune, and --data, what it was trained on")
    net, file = load_segmentation(options.run)
    halve(net)
    if options.quick:  # write the weights of the package again
        file.header.setdefault("train", file.header.get("patients", ()))
        options.data = options.data or file.header.get("data", "")
    patients = sorted({patient_of(scan) for scan in file.header["train"]})
    header = {name: file.header[name] for name in ("seed", "steps", "trained")}
    save_model(options.out, net, header | {"data": options.data, "patients": patients})
    print(options.out, provenance.sha256(options.out))


if __name__ == "__main__":
    run(main)
