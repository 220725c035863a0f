"""Scans per minute when one process or several processes label a folder of scans.

    python -m benchmarks.speed.archive [SCAN ...] [--workers 1 2] [--rounds 1]

Each row is a run of `toothgraph predict` with the weights in the package, and with the threads that the command chooses
by itself, or those of --threads. `whole` is the rate from the start of the command. `running` is the rate from the
first finished scans to the last one, as it is for thousands of scans. Writes benchmarks/results/archive.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.options import facts_of_children, parse, parser_of, quick_folder, run
from benchmarks.paths import RESULTS, ROOT
from toothgraph.errors import ConfigError
from toothgraph.io.find import find_scans
from toothgraph.synthetic import write_synthetic
from toothgraph.system import threads
from toothgraph.system.files import write_text


def threads_of(workers: int, wanted: int | None) -> int:
    """Threads of each process of the command.

    Without ``wanted``, each of several processes has one thread. A single process has as many as the command chooses.
    """
    return wanted or (1 if workers > 1 else threads.choice(None)[0])


def timed(scans: list[Path], workers: int, wanted: int | None) -> dict[str, Any]:
    """Label the scans once, and return the row of this run.

    Raises:
        ConfigError: if not all scans were labelled.
    """
    load, ends, taken = os.getloadavg()[0], [], threads_of(workers, wanted)
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "toothgraph", "predict", *map(str, scans), "--out", out]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        begun = time.perf_counter()
        with subprocess.Popen(
            [*command, "--workers", str(workers), "--threads", str(taken)],
            stdout=subprocess.PIPE, stderr=errors, text=True, env=env,
        ) as process:  # fmt: skip
            assert process.stdout
            ends = [time.perf_counter() - begun for line in process.stdout if " teeth: " in line]
            process.wait()
        seconds = time.perf_counter() - begun
        if len(ends) < len(scans):
            errors.seek(0)
            last = " ".join(errors.read().split())[-500:] or "it printed no error"
            raise ConfigError(
                f"toothgraph predict: expected {len(scans)} labelled scans, found {len(ends)} (exit code "
                f"{process.returncode}): {last}"
            )
    first = min(workers, len(ends) - 1) - 1  # from this scan on, all processes are at work
    return {
        "workers": workers, "threads": taken, "scans": len(scans), "load before": round(load, 2),
        "seconds": round(seconds, 2),
        "per minute": {
            "whole": round(60 * len(ends) / seconds, 3),
            "running": round(60 * (len(ends) - 1 - first) / (ends[-1] - ends[first]), 3),
        },
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    parser = parser_of(__doc__, threads="of each process; if not given, as the command chooses")
    parser.add_argument("scans", type=Path, nargs="*", help="files and folders that are labelled")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes of each run")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each, in turns")
    options = parse(parser, argv, RESULTS / "archive.json")
    if not options.scans and not options.quick:
        parser.error("expected SCANS, files that are labelled")
    scans = find_scans(options.scans) if options.scans else write_synthetic(quick_folder(), 3, 2000, 0)
    if len(scans) < 2:
        raise ConfigError(
            f"expected two scans or more, as the rate is counted from the first finished scan on, got {len(scans)}"
        )
    rows = []
    for _ in range(options.rounds):
        for workers in options.workers:
            rows.append(timed([scan.resolve() for scan in scans], workers, options.threads))
            print(rows[-1], flush=True)
    content = {"facts": facts_of_children(), "quick": options.quick, "rows": rows}
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
