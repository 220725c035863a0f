"""``toothgraph export``."""

from __future__ import annotations

from pathlib import Path

import click

from toothgraph.choices import NET_SUFFIXES
from toothgraph.cli.device import load_net
from toothgraph.cli.kinds import FILE, PATH, Model
from toothgraph.cli.options import starting
from toothgraph.cli.refusals import at_once, check_file, check_model
from toothgraph.cli.score_file import read_scores
from toothgraph.cli.terminal import say
from toothgraph.errors import ConfigError, has_extra, needs_extra
from toothgraph.system.files import check_folder
from toothgraph.system.progress import Display
from toothgraph.weights import DEFAULT


@click.command(short_help="Write a net as ONNX, or as a folder to share.")
@click.argument("model", type=Model(path_type=Path), default=DEFAULT, callback=at_once(check_model))
@click.option(
    "--out", "-o", type=PATH, required=True,
    help="What to write: net.onnx (needs toothgraph[export]), net.pt2 (for torch.export.load), or a folder to share.",
)  # fmt: skip
@click.option("--licence", help="Licence of the weights, such as mit, for the card in the folder.  [default: unknown]")
@click.option(
    "--scores",
    type=FILE,
    callback=at_once(check_file),
    help="Scores that `evaluate` wrote for this model, for the card in the folder.",
)
def export(model: Path, out: Path, licence: str | None, scores: Path | None) -> None:
    """Write a net for other programs, as ONNX (`-o net.onnx`), or a model as a folder to share (`-o my-model`).

    MODEL is a run folder of `finetune`, or its model.safetensors; without MODEL, it is the net in the package. A run of
    `pretrain` can only be written as a folder.

    A file .onnx or .pt2 takes the tensors of one graph with any number of faces, which `toothgraph.scan_graph` and
    `toothgraph.model.export_inputs` make. For each face, it gives the log-probabilities of gingiva and the 32 teeth.
    The file does not do what `predict` does before and after the net, such as turning the scan, and correcting borders
    and numbers. The file is compared with the net before the command ends.

    A folder has an unchanged copy of model.safetensors, config.json, and a model card README.md, in the layout of the
    Hugging Face Hub. All commands and functions that take a model take such a folder.
    """
    as_file = out.suffix in NET_SUFFIXES
    if out.suffix and not as_file and not out.is_dir():
        raise ConfigError(
            f"{out}: expected a file name that ends in {' or '.join(NET_SUFFIXES)}, or a folder name without a dot"
        )
    if as_file and (licence or scores):
        raise ConfigError(f"--licence and --scores are for the card of a folder; {out.name} is a file")
    check_folder(out.parent if as_file else out)
    if out.suffix == ".onnx" and not has_extra("export"):
        raise ConfigError(needs_extra("ONNX", "export"))
    with starting():
        from toothgraph.model.export import OUTPUT, example_inputs, export_net

    if not as_file:
        export_as_folder(model, out, licence, scores)
        return
    net, _ = load_net(model, "cpu")
    with Display("exporting", item=str(out)):
        difference = export_net(net, out)
    say(f"wrote {out}; its log-probabilities differ by {difference:.1g} at most from those of the net")
    takes = ", ".join(example_inputs(net))
    say(
        f'next: give it {takes}; it gives {OUTPUT}. How: "export a net to ONNX" in docs/how-to/program.md, in the '
        "source code",
        err=True,
    )


def export_as_folder(model: Path, out: Path, licence: str | None, scores: Path | None) -> None:
    """Write a folder to share, and say how many scans its model file names."""
    from toothgraph.model.folder import CARD_FILE, export_folder

    file = export_folder(model, out, licence or "unknown", read_scores(scores) if scores else None)
    say(f"wrote {out}; look through {out / CARD_FILE} before you share it")
    if scans := len(file.header.get("train", ())):
        say(f"Note: the header of {file.path.name} names the scans it was trained on ({scans})", err=True)
