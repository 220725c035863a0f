"""From unlabelled scans to scores on other patients: the three commands on real scans, timed.

    python -m benchmarks.studies.real_scans DATA RUNS

DATA holds the folder 3d-iosseg (ASCII PLY, labels as face colours), palettes.json and split.json. RUNS gets the run
folders. A stage that has its result already is not run again, so a stopped benchmark continues. Writes
benchmarks/results/real_scans.json.
"""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import data_arguments, iosseg, runs_argument
from toothgraph.errors import ConfigError
from toothgraph.system.files import write_text

RESULT = RESULTS / "real_scans.json"


def stages(data: Path, runs: Path, quick: bool) -> dict[str, tuple[list[str], Path]]:
    """The command of each stage, and the file that shows that the stage is done.

    A quick run takes two steps on three patients.
    """
    scans, split = str(data / "3d-iosseg"), ["--split", str(data / "split.json")]
    tiny = ["--steps", "2", "--faces", "500"] if quick else []
    if quick:
        few = iosseg(data).few().split
        write_text(runs / "split.json", json.dumps({"train": few.train, "val": few.val}))
        split = ["--split", str(runs / "split.json")]
    labels = ["--palette", f"{data / 'palettes.json'}:3d-iosseg"]
    pre, fine, metrics = runs / "pre", runs / "fine", runs / "metrics.json"
    return {
        "pretrain": (["pretrain", scans, *split, "--out", str(pre), "--resume", *tiny], pre / "model.safetensors"),
        "finetune": (
            ["finetune", scans, *split, *labels, "--init", str(pre), "--out", str(fine), "--resume", *tiny],
            fine / "model.safetensors",
        ),
        "evaluate": (
            ["evaluate", scans, *split, *labels, "--model", str(fine), "--out", str(metrics)],
            metrics,
        ),
    }


def run_stage(command: list[str], log: Path) -> None:
    """Run one command with its output appended to a log.

    Raises:
        ConfigError: if the command fails.
    """
    with log.open("a") as stream:
        line = [sys.executable, "-m", "toothgraph", *command]
        done = subprocess.run(line, check=False, stdout=stream, stderr=subprocess.STDOUT)
    if done.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "it printed nothing")
        raise ConfigError(f"toothgraph {command[0]}: exit code {done.returncode}: {last} (all it printed: {log})")


def timed_stage(name: str, command: list[str], result: Path, runs: Path) -> float:
    """Run a stage that has no result yet, and return the seconds of all its starts, which are kept in a file.

    Raises:
        ConfigError: if the stage fails, or if the file lacks the seconds of a finished stage.
    """
    file = runs / "seconds.json"
    seconds: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    if not result.exists():
        begun = time.monotonic()
        try:
            run_stage(command, runs / f"{name}.log")
        finally:  # also of a stage that is stopped, and goes on at the next start
            seconds[name] = seconds.get(name, 0.0) + time.monotonic() - begun
            write_text(file, json.dumps(seconds))
    if name not in seconds:
        raise ConfigError(
            f"{file}: expected the seconds of {name}, which has its result, found none, as after a kill; to time it "
            f"again, delete {result.parent if name != 'evaluate' else result}"
        )
    return seconds[name]


def last_validation(run: Path, columns: list[str]) -> dict[str, float]:
    """The last validation row of a run's metrics.csv."""
    with (run / "metrics.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row[columns[0]]]
    return {name: float(rows[-1][name]) for name in ("step", "seconds", *columns)}


def main(argv: list[str] | None = None) -> None:
    """Run the stages that have no result yet, and write the JSON file."""
    parser = data_arguments(__doc__, threads="without effect: the commands choose them")
    runs_argument(parser)
    parser.add_argument("--note", default="", help="a sentence on the circumstances, for the page")
    options = parse(parser, argv, RESULT)
    options.runs.mkdir(parents=True, exist_ok=True)

    commands, seconds = {}, {}
    for name, (command, result) in stages(options.data, options.runs, options.quick).items():
        shown = shlex.join(["toothgraph", *command])
        commands[name] = shown.replace(str(options.runs), "RUNS").replace(str(options.data), "DATA")
        print("$", commands[name], flush=True)
        seconds[name] = timed_stage(name, command, result, options.runs)
        print(f"  {seconds[name] / 60:.1f} minutes", flush=True)

    metrics = json.loads((options.runs / "metrics.json").read_text())
    pre_config = json.loads((options.runs / "pre" / "config.json").read_text())
    fine_config = json.loads((options.runs / "fine" / "config.json").read_text())
    validation = ["val_match_top1", "val_candidates", "val_loss", "val_ln_candidates"]
    content = {
        "note": options.note,
        "commands": commands,
        "seconds": seconds,
        "facts": metrics["model"]["trained"],  # of the training, not of the moment of writing
        "pretrain": {
            "options": pre_config["options"],
            "train_scans": len(pre_config["train"]),
            "val_scans": len(pre_config["val"]),
            "last": last_validation(options.runs / "pre", validation),
        },
        "finetune": {
            "options": fine_config["options"],
            "train_scans": len(fine_config["train"]),
            "val_scans": len(fine_config["val"]),
            "last": last_validation(options.runs / "fine", ["val_miou", "val_accuracy"]),
        },
        **{key: metrics[key] for key in ("scores", "per_tooth", "per_scan", "definitions", "model", "evaluated")},
    }
    for row in content["per_scan"]:
        row["file"] = Path(row["file"]).name
    for name in ("file", "init", "train"):  # paths of one machine, and a long list
        content["model"].pop(name, None)
    write_text(options.out, json.dumps(content, indent=1) + "\n")
    print(f"miou {metrics['scores']['miou']:.4f} -> {options.out}")


if __name__ == "__main__":
    run(main, goes_on=True)
