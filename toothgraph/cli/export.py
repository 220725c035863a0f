"""``toothgraph export``."""

from __future__ import annotations

from pathlib import Path

import click

from toothgraph.cli.options import FILE, Model, load_net
from toothgraph.cli.terminal import say
from toothgraph.errors import ConfigError
from toothgraph.system.files import check_folder
from toothgraph.system.progress import Display
from toothgraph.weights import DEFAULT


@click.command(short_help="Write a net as ONNX, for other programs.")
@click.argument("model", type=Model(path_type=Path), default=DEFAULT)
@click.option(
    "-o", "--out", type=FILE, required=True,
    help="File to write: .onnx (needs toothgraph[export]), or .pt2 for torch.export.load.",
)  # fmt: skip
def export(model: Path, out: Path) -> None:
    """Write a net to a file that other programs can run: `toothgraph export runs/fine -o net.onnx`.

    MODEL is a run folder of `finetune`, or its model.safetensors; `default` is the net in the package.

    The file takes the tensors of one graph, which `toothgraph.scan_graph` and `toothgraph.model.export_inputs` make,
    with any number of faces, and gives the log-probabilities of gingiva and the 32 teeth for each. What `predict` does
    before and after, such as the frame of the scan, borders and numbers, is not in the file. The file is compared with
    the net before the command ends.
    """
    with Display("starting", every=None):
        from toothgraph.model.export import OUTPUT, SUFFIXES, example_inputs, export_net

    if out.suffix not in SUFFIXES:
        raise ConfigError(f"{out}: expected a file that ends in {' or '.join(SUFFIXES)}")
    check_folder(out.parent)
    net, _ = load_net(model, "cpu")
    with Display("exporting", item=str(out)):
        difference = export_net(net, out)
    say(f"wrote {out}; its log-probabilities differ by {difference:.1g} at most from those of the net")
    takes = ", ".join(example_inputs(net))
    say(f"next: give it {takes}; it gives {OUTPUT}. How: docs/how-to.md, export a net to ONNX", err=True)
