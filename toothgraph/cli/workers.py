"""``--workers``: processes of a command that share the scans."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from toothgraph.cli.device import choose_device
from toothgraph.errors import ConfigError
from toothgraph.system.memory import share

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share the scans, on a CPU. Each uses one thread (or --threads), and at most an equal part of "
    "the memory of the machine (or as much as --memory says).",
)


def process_ended(file: Path, how: str) -> str:
    """The error of a scan whose process died."""
    return f"{file}: its process ended ({how}), perhaps because memory was short; use fewer --workers"


def in_workers(
    work: Callable[[Any], Iterable[Any]],
    waiting: deque[Any],
    workers: int,
    tell: Callable[[Any], None],
    lost: Callable[[Any, str], Iterable[Any]],
    at_work: Callable[[Sequence[Any]], None],
) -> None:
    """Run :func:`toothgraph.system.pool.in_processes` with the threads and the memory of the running command."""
    from toothgraph.system.pool import in_processes

    given = click.get_current_context().meta
    in_processes(
        work, waiting, workers, tell, lost, at_work=at_work, threads=given.get("threads") or 1,
        memory=share(given.get("memory"), workers),
    )  # fmt: skip


def check_workers(workers: int, device: str | None) -> None:
    """Check ``--workers`` before scans are read.

    Raises:
        ConfigError: for several processes with a GPU, or if the system or the memory does not allow several.
    """
    from toothgraph.system import pool

    if workers == 1:
        return
    pool.check_workers(workers)
    if (found := choose_device(device)).type != "cpu":
        raise ConfigError(
            f"--workers {workers}: one process keeps the device {found.type} busy; expected --workers 1 or --device cpu"
        )
    share(click.get_current_context().meta.get("memory"), workers)
