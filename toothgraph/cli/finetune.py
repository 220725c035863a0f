"""``toothgraph finetune``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from toothgraph.cli.options import (
    Model,
    check_training,
    label_system_option,
    palette_option,
    read_training_set,
    scans_argument,
    split_options,
    training_options,
)
from toothgraph.errors import ConfigError


@click.command(short_help="Train a segmentation net on labelled scans.")
@scans_argument
@training_options
@click.option(
    "--init",
    type=Model(path_type=Path),
    help="What to start from: a run folder, a model file, or `default`, the weights in the package.",
)
@click.option("--label-fraction", type=float, help="Share of the training patients whose labels are used.")
@palette_option
@label_system_option
def finetune(scans: tuple[Path, ...], out: Path, resume: bool, config: Path | None, **given: Any) -> None:
    """Train a segmentation net on labelled scans, files or folders.

    Labels are found in a .txt or Teeth3DS .json beside each scan, in arrays of the file, or in its colours
    with --palette. Writes RUN/model.safetensors for `predict` and `evaluate`, and RUN/metrics.csv.
    """
    from toothgraph.cli.training import free, same_scans, train
    from toothgraph.model.file import read_model
    from toothgraph.training.config import FINETUNE_PRESETS, make_config
    from toothgraph.training.finetune import finetune as run_finetuning

    run, layers = split_options(config, given)
    presets, preset = FINETUNE_PRESETS, run["preset"] or "default"
    if run["init"]:
        kind, net = presets[preset].net.kind, read_model(run["init"]).net
        if net.kind != kind:
            raise ConfigError(f"{run['init']}: holds a net of kind {net.kind!r}, preset {preset!r} wants {kind!r}")
        presets = {preset: replace(presets[preset], net=net)}
    options = make_config(presets, preset, layers)
    check_training(out, resume, options.device)
    found, split = read_training_set(scans, run, options, fraction=options.label_fraction, labels=True)
    again = same_scans(scans, run, ("split", "palette", "label_system", "unit"))
    then = ("evaluate", *again, "--model", out, "--out", free(out / "scores.json")) if run["split"] else (
        "predict", "NEW_SCANS", "--model", out, "--out", free(Path("labelled")), "--report")  # fmt: skip
    train(out, lambda: run_finetuning(found, split, out, options, init=run["init"], resume=resume), then)
