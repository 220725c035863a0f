"""How both training commands begin and end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from toothgraph.system.memory import named_shortage
from toothgraph.system.processes import first_rank
from toothgraph.training.run import Stopped
from toothgraph.training.run_folder import CONFIG_FILE, read_config


def resumed(out: Path, resume: bool, layers: list[Any]) -> list[Any]:
    """Layers of options, the first one such that a run goes on with graphs as it was started with."""
    if not resume or not (out / CONFIG_FILE).is_file():
        return layers
    folds = read_config(out)["options"]["net"]["graph"]["folds"]
    return [(str(out), {"net": {"graph": {"folds": folds}}}), *layers]


def train(out: Path, go: Callable[[], Path]) -> None:
    """Run a training and say where its result is; a stopped one exits with 130, as shells expect."""
    try:
        with named_shortage(out, "lower --batch or --faces, or set recompute = true under [net] in --config"):
            model = go()
    except Stopped as stopped:
        click.echo(f"{stopped}; go on with the same command and --resume", err=True)
        sys.exit(130)
    if first_rank():
        click.echo(f"wrote {model}")
