"""``toothgraph finetune``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from toothgraph.cli.kinds import PATH, Model
from toothgraph.cli.options import label_system_option, palette_option, starting, there
from toothgraph.cli.refusals import at_once, check_labels, check_model
from toothgraph.cli.training_options import (
    also_in_file,
    begin_training,
    read_training_set,
    split_options,
    training_options,
)
from toothgraph.errors import ConfigError


@click.command(short_help="Train a segmentation net on labelled scans.")
@click.argument("scans", nargs=-1, type=PATH, callback=there)
@training_options
@click.option(
    "--init",
    type=Model(path_type=Path),
    callback=at_once(check_model),
    help="Model to start from: a run folder, a model file, a folder of `export`, or `default`, the package's weights.",
)
@click.option(
    "--unlabelled",
    type=PATH,
    multiple=True,
    callback=there,
    help="More scans to learn from, without labels: files, folders, or folders of `prepare`.",
)
@click.option(
    "--rounds",
    type=int,
    help="Rounds of labelling the --unlabelled scans and learning from these labels.",
)
@click.option("--label-fraction", type=float, help="Share of the training patients whose labels are used.")
@click.option(
    "--labels",
    type=PATH,
    callback=at_once(check_labels),
    help="Folder of `review`; the net learns only from its approved scans.",
)
@palette_option
@label_system_option
def finetune(
    scans: tuple[Path, ...], out: Path, resume: bool, config: Path | None, unlabelled: tuple[Path, ...], **given: Any
) -> None:
    """Train a segmentation net on labelled scans, files or folders.

    Labels are read from a .txt or Teeth3DS .json beside each scan, from arrays of the file, or, with --palette, from
    its colours. With --labels, they are read from a folder of `review`. The command writes the model
    RUN/model.safetensors, for `predict` and `evaluate`, and RUN/metrics.csv.

    With --unlabelled, a first net labels these scans. A second net learns from the labels and from the teeth that the
    first net was sure of. Then the second net labels the scans, and a third net learns. Without SCANS, the net of
    --init is the first net.
    """
    with starting():
        from toothgraph.cli.training import free, same_scans, train
        from toothgraph.data.prepared.layout import is_prepared
        from toothgraph.data.scan import Scan
        from toothgraph.data.split import Split, load_split
        from toothgraph.model.file import read_model
        from toothgraph.training.config import FINETUNE_PRESETS, make_config
        from toothgraph.training.finetune import finetune as run_finetuning
        from toothgraph.training.self_training import check_one_device, self_train
        from toothgraph.training.unlabelled import find_unlabelled

    run, layers = split_options(config, given)
    presets, preset = FINETUNE_PRESETS, run["preset"] or "default"
    if run["init"]:
        kind, net = presets[preset].net.kind, read_model(run["init"]).net
        if net.kind != kind:
            raise ConfigError(
                f"{run['init']}: expected a net of kind {kind!r}, as preset {preset!r} has, found kind {net.kind!r}; "
                "choose another --preset or --init"
            )
        presets = {preset: replace(presets[preset], net=net)}
    options = make_config(presets, preset, layers, also_in_file(given))
    begin_training(out, resume, options.device)
    if unlabelled:
        check_one_device(options)
    more = find_unlabelled(unlabelled, run["unit"] or "mm")
    if scans:
        found, split = read_training_set(scans, run, options, fraction=options.label_fraction, labels=True)
    else:
        found, split = list[Scan](), load_split(run["split"]) if run["split"] else Split((), (), {})
    again = same_scans(scans, run, ("split", "palette", "label_system", "unit"))
    of_unit = same_scans((), run, ("unit",))
    scored = scans and run["split"] and split.val and not run["labels"] and not any(map(is_prepared, scans))
    then = ("evaluate", *again, "--model", out, "--out", free(out / "scores.json")) if scored else (
        "predict", "NEW_SCANS", *of_unit, "--model", out, "--out", free(Path("labelled")), "--report")  # fmt: skip

    def go() -> Path:
        if unlabelled:
            return self_train(found, split, more, out, options, init=run["init"], resume=resume)
        return run_finetuning(found, split, out, options, init=run["init"], resume=resume)

    train(out, go, then)
