"""The options that all scripts share, and how a script ends."""

from __future__ import annotations

import argparse
import atexit
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.quick_data import write_arches
from toothgraph.errors import ConfigError, ToothgraphError
from toothgraph.system import provenance
from toothgraph.training.run_state import Stopped


def parser_of(
    doc: str | None,
    *,
    quick: str = "a tiny run of about a minute, to try the script",
    out: str = "result file; the one in benchmarks/results if not given",
    threads: str = "of torch; its default if not given",
) -> argparse.ArgumentParser:
    """A parser with the options that every script has; its description is the first line of ``doc``.

    ``quick``, ``out`` and ``threads`` are the help of these options in a script where they mean something else.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--out", type=Path, help=out)
    parser.add_argument("--threads", type=int, help=threads)
    return parser


def parse(parser: argparse.ArgumentParser, argv: list[str] | None, result: Path | None = None) -> argparse.Namespace:
    """Read the options and apply them. ``result`` is the result file if none is given.

    With ``--quick``, missing ``data`` is replaced by synthetic arches, and missing ``runs`` by a temporary folder.
    Runs in a given folder go to a folder of their own in it, see :func:`quick_runs`.
    """
    options = parser.parse_args(argv)
    if options.quick and options.out is None:
        parser.error("--quick tries a script; say with --out where its figures are to go")
    missing = [name for name in ("data", "runs") if hasattr(options, name) and getattr(options, name) is None]
    if missing and not options.quick:
        parser.error(f"the following arguments are required: {', '.join(missing)} (with --quick they are not)")
    if "data" in missing:
        options.data = quick_data()
    if options.quick and hasattr(options, "runs"):
        options.runs = quick_runs(options.runs)
    options.out = options.out or result
    make_room(options.out)
    apply_threads(options)
    return options


def apply_threads(options: argparse.Namespace) -> None:
    """Let torch use as many threads as the options ask for."""
    if options.threads:
        torch.set_num_threads(options.threads)


def make_room(file: Path | None) -> None:
    """Make the folder of a file, and try that the file can be written: later, everything would have been measured.

    Raises:
        ConfigError: if the file is a folder.
        OSError: if the file cannot be written.
    """
    if file is None:
        return
    if file.is_dir():
        raise ConfigError(f"{file}: expected a file for the results, found a folder; name a file in it")
    file.parent.mkdir(parents=True, exist_ok=True)
    there = file.exists()
    file.open("a").close()
    if not there and not file.stat().st_size:  # some scripts ask whether there is a result
        file.unlink()


def facts_of_children() -> dict[str, Any]:
    """The origin of figures that other processes measure: without the threads of this process."""
    facts = provenance.facts()
    del facts["hardware"]["threads"]
    return facts


def quick_folder() -> Path:
    """Make a temporary folder that is removed when the script ends."""
    folder = Path(tempfile.mkdtemp(prefix="toothgraph-quick-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def quick_runs(runs: Path | None) -> Path:
    """The folder of the runs of a quick try: one of its own, since a real run cannot go on with what a try began."""
    return (runs or quick_folder()) / "quick"


def quick_data() -> Path:
    """Write synthetic arches in the layout of a data set to a temporary folder, and return the folder."""
    print("no data given: synthetic arches, to try the script", flush=True)
    return write_arches(quick_folder())


def run(main: Callable[[], None], goes_on: bool = False) -> None:
    """Run a script. Errors that a user can correct, such as a wrong folder or missing labels, end it with one line.

    ``goes_on`` is for a script that continues its work when it is started again.
    """
    try:
        main()
    except (KeyboardInterrupt, Stopped) as stop:
        sys.exit((str(stop) or "stopped") + ("; the same command goes on where it was" if goes_on else ""))
    except ToothgraphError as error:
        sys.exit("Error: " + " ".join(str(error).split()))
    except OSError as error:
        sys.exit(f"Error: {error.filename}: {error.strerror}" if error.filename else f"Error: {error}")
