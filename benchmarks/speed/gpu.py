"""All benchmarks that run on a GPU, in ten minutes at most. Rows are written as soon as they are measured.

python -m benchmarks.speed.gpu [--minutes 10] [--out rows.jsonl]

Each script is a process of its own, which is stopped when its share of the time is over. The rows of all scripts are
appended to the file of ``--out``, after those of earlier runs. Each run begins with a row about the machine. A script
that finishes also writes its result file, from which the page of the benchmarks is rendered.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.options import parse, parser_of, run
from benchmarks.paths import RESULTS, ROOT
from toothgraph.errors import ConfigError
from toothgraph.system import provenance

SHARES = {  # of the time; time that a script leaves goes to the scripts after it
    "edge_conv": 0.38, "info_nce": 0.08, "knn": 0.1, "mlp_edge_conv": 0.04, "backbone": 0.16, "pretrain_step": 0.1,
    "predict": 0.14,
}  # fmt: skip


def command(script: str, options: argparse.Namespace) -> list[str]:
    """The command line of a script."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    result = options.out.with_name(f"{script}-{device}.json")
    words = [sys.executable, "-m", f"benchmarks.speed.{script}", "--device", device, "--rows", options.out]
    words += ["--out", result, *(["--quick"] if options.quick else [])]
    words += ["--threads", options.threads] if options.threads else []
    return [str(word) for word in words]


def measure(script: str, limit: float, options: argparse.Namespace) -> str:
    """Run a script for ``limit`` seconds at most, and return in words how it ended."""
    begun = time.monotonic()
    try:
        done = subprocess.run(command(script, options), cwd=ROOT, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"stopped after {limit:.0f} s; its rows so far are kept"
    how = "finished" if done.returncode == 0 else f"failed (exit code {done.returncode})"
    return f"{how} after {time.monotonic() - begun:.0f} s"


def note(out: Path, row: dict[str, Any]) -> None:
    """Append a row to the file of rows."""
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def main(argv: list[str] | None = None) -> None:
    """Measure and write.

    Raises:
        ConfigError: without a CUDA device, or if a script failed.
    """
    parser = parser_of(__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all scripts together  [default: 10]")
    parser.add_argument("--only", action="append", choices=list(SHARES), help="a script; may be given several times")
    options = parse(parser, argv, RESULTS / "gpu.jsonl")
    options.out = options.out.resolve()
    if not torch.cuda.is_available() and not options.quick:
        raise ConfigError(
            "expected a CUDA device, found none (torch.cuda.is_available() is False); --quick --out FILE tries the "
            "script on the CPU, where each of its parts runs by itself, too: python -m benchmarks.speed.edge_conv"
        )
    shares = {script: share for script, share in SHARES.items() if not options.only or script in options.only}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    note(options.out, {"gpu": gpu, "quick": options.quick, "facts": provenance.facts()})
    ends, failed = time.monotonic() + 60 * options.minutes, []
    for script in shares:
        left, after = ends - time.monotonic(), list(shares)[list(shares).index(script) :]
        limit = left * shares[script] / sum(shares[name] for name in after)
        print(f"{script}: {limit:.0f} s at most", flush=True)
        how = measure(script, limit, options)
        print(f"{script}: {how}", flush=True)
        note(options.out, {"script": script, "ended": how})
        failed += [script] if how.startswith("failed") else []
    if failed:
        raise ConfigError(f"{', '.join(failed)} failed, see above; the rows of the others are in {options.out}")


if __name__ == "__main__":
    run(main)
