"""The beginning and the end of both training commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from toothgraph.cli.exit_codes import STOPPED, TERMINATED
from toothgraph.cli.terminal import say, say_command
from toothgraph.system.memory import named_shortage
from toothgraph.system.processes import first_rank
from toothgraph.training.run_state import Stopped
from toothgraph.weights import MODEL_FILE


def train(out: Path, go: Callable[[], Path], then: Sequence[object]) -> None:
    """Run a training, say where its result is, and which command comes next.

    A stopped training exits with 130, as shells expect, or with 143 after SIGTERM.
    """
    before = (out / MODEL_FILE).exists()  # the run has finished already
    try:
        with named_shortage(out, "lower --batch or --faces, or set recompute = true under [net] in --config"):
            model = go()
    except Stopped as stopped:
        say(f"{stopped}; to go on, run the same command with --resume", err=True)
        sys.exit(TERMINATED if stopped.by_sigterm else STOPPED)
    if first_rank():
        say(f"{'kept' if before else 'wrote'} {model}")
        next_command(*then)


def next_command(*words: object) -> None:
    """Print a command that the user may type next."""
    say_command(["toothgraph", *words], before="next:", err=True)


def free(path: Path) -> Path:
    """A path that does not exist yet: the given one, or one with a number added to its name."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return path if not path.exists() else next(other for other in numbered if not other.exists())


def same_scans(scans: Sequence[Path], run: dict[str, str | None], names: Sequence[str]) -> list[object]:
    """The words of a command that name its scans, and the named options of a run as far as they are set."""
    options = [(f"--{name.replace('_', '-')}", run[name]) for name in names if run[name]]
    return [*scans, *(word for option in options for word in option)]
