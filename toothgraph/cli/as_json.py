"""``--json``: the results of a command, for programs. Stdout has one JSON text and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.scan_names import lasting

if TYPE_CHECKING:
    from toothgraph.cli.jobs import Outcome

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON to stdout, for programs. Everything else goes to stderr."
)


@contextmanager
def json_alone(as_json: bool) -> Iterator[Callable[[Any], None]]:
    """Give a function that prints a value as JSON to stdout. All other output goes to stderr meanwhile.

    Args:
        as_json: if False, the function prints nothing, and other output goes where it usually goes.
    """
    if not as_json:
        yield lambda content: None
        return
    stdout = sys.stdout
    with redirect_stdout(sys.stderr):
        # ASCII alone: a file name may have letters that the terminal's encoding lacks.
        yield lambda content: print(json.dumps(content, indent=1), file=stdout, flush=True)


def of_labelling(outcomes: Sequence[Outcome], files: dict[str, Path], model: str, summary: Path) -> dict[str, Any]:
    """The content that ``predict --json`` prints.

    Args:
        outcomes: the outcomes of the finished scans, in any order.
        files: all scans by the name of their outputs, in the order in which they are printed.
        model: the model that found the labels.
        summary: the summary table of the folder.
    """
    by_name = {outcome.row.scan: outcome for outcome in outcomes}
    scans = [_of_scan(by_name[name], file) for name, file in files.items() if name in by_name]
    return {"scans": scans, "given": len(files), "model": model, "summary": str(summary)}


def _of_scan(outcome: Outcome, file: Path) -> dict[str, Any]:
    row = outcome.row
    return {
        "scan": row.scan,
        "file": lasting(file),
        "state": row.state,
        "jaw": row.jaw or None,
        "teeth": outcome.teeth,
        "doubts": list(outcome.warnings),
        "files": list(outcome.files),
        "seconds": float(row.seconds) if row.seconds else None,
        "labelled_before": outcome.kept,
        "error": row.error or None,
    }
