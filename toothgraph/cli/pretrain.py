"""``toothgraph pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toothgraph.cli.options import scans_argument, starting
from toothgraph.cli.training_options import (
    also_in_file,
    begin_training,
    read_training_set,
    split_options,
    training_options,
)


@click.command(short_help="Pre-train a backbone on unlabelled scans.")
@scans_argument
@training_options
def pretrain(scans: tuple[Path, ...], out: Path, resume: bool, config: Path | None, **given: Any) -> None:
    """Pre-train a backbone on scans, files or folders; labels are not used.

    Each scan is cut and turned at random, twice. The net learns which faces of these two views show the same point of
    the surface. The command writes RUN/model.safetensors, for `finetune --init RUN`, and RUN/metrics.csv.
    """
    with starting():
        from toothgraph.cli.training import free, same_scans, train
        from toothgraph.training.config import PRETRAIN_PRESETS, make_config
        from toothgraph.training.pretrain import pretrain as run_pretraining

    run, layers = split_options(config, given)
    options = make_config(PRETRAIN_PRESETS, run["preset"] or "default", layers, also_in_file(given))
    begin_training(out, resume, options.device)
    found, split = read_training_set(scans, run, options, labels=False)
    again = same_scans(scans, run, ("preset", "split", "unit"))
    then = ("finetune", *again, "--init", out, "--out", free(out.with_name(f"{out.name}-fine")))
    train(out, lambda: run_pretraining(found, split, out, options, resume=resume), then)
