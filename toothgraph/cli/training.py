"""How both training commands begin and end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from toothgraph.system.memory import named_shortage
from toothgraph.system.processes import first_rank
from toothgraph.training.run import Stopped


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
