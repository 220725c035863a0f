"""Train the net that recognises teeth by their shape, and put it into the package's weights.

    python -m benchmarks.studies.package_crowns DATA

It learns from the labels of the training patients. Validation patients are not used. The segmentation net in the
package stays as it is.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.options import parse, run
from benchmarks.studies.datasets import data_arguments, iosseg
from benchmarks.studies.ship_weights import OUT, halve
from toothgraph import weights
from toothgraph.data.training_set import read_scans
from toothgraph.model.file import load_segmentation, save_model
from toothgraph.scan_names import patient_of
from toothgraph.system import provenance
from toothgraph.training.crowns import train_crowns

STEPS, VARIANTS = 3200, 3


def main(argv: list[str] | None = None) -> None:
    """Train the net and write the weights."""
    parser = data_arguments(__doc__, out=OUT)
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, argv, weights.FILE)
    dataset = iosseg(options.data)
    dataset = dataset.few() if options.quick else dataset
    net, file = load_segmentation(weights.FILE)
    scans = read_scans(
        [dataset.scans], net.config.graph, variants=VARIANTS, seed=options.seed, palette=dataset.palette,
        keep=lambda name: patient_of(name) in dataset.split.train,
    )  # fmt: skip
    graphs = [graph for scan in scans for graph in scan.variants]
    steps = 2 if options.quick else STEPS
    net.crowns = train_crowns(graphs, steps, options.seed)
    halve(net)
    made = {"seed": options.seed, "steps": steps, "scans": len(scans), "trained": provenance.facts()}
    save_model(Path(options.out), net, {**file.header, "crowns": made})
    print(options.out, provenance.sha256(options.out))


if __name__ == "__main__":
    run(main)
