"""What the training studies share: reading scans, scoring a net, rows that are appended as runs finish."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from datasets import DATASETS, Dataset

from toothgraph.data.scans import Scan, read_scans
from toothgraph.data.split import patient_of
from toothgraph.graph.spec import GraphSpec
from toothgraph.inference.evaluate import report, score_file
from toothgraph.nn import SegmentationNet
from toothgraph.training.config import TrainingConfig

TrainingReader = Callable[[TrainingConfig], list[Scan]]
SCORES = ("miou", "miou_matched", "accuracy", "boundary_iou")


def arguments(doc: str | None, result: Path) -> argparse.ArgumentParser:
    """The options every study has."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, help="gets the run folders")
    parser.add_argument("--dataset", choices=list(DATASETS), default="3d-iosseg")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="of fine-tuning; the preset's if not given")
    parser.add_argument("--faces", type=int, help="faces of a graph; the preset's if not given")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of torch; its default if not given")
    parser.add_argument("--out", type=Path, default=result)
    return parser


def append_row(file: Path, row: dict[str, Any]) -> None:
    """Add a row in one piece, so that several processes may write to the same file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def read_rows(file: Path) -> list[dict[str, Any]]:
    """All rows so far."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines if line.strip()]


def has_row(file: Path, known: dict[str, Any]) -> bool:
    """Whether a run has its row, given what no two rows share."""
    return any(known.items() <= row.items() for row in read_rows(file))


def training_reader(dataset: Dataset) -> TrainingReader:
    """What reads the graphs of all patients, labelled, as a training wants them. The last are kept: most runs of a
    study see the same."""

    @lru_cache(maxsize=1)
    def read(graph: GraphSpec, variants: int, bases: int, seed: int) -> list[Scan]:
        wanted = {*dataset.split.train, *dataset.split.val}
        return read_scans(
            [dataset.scans], graph, variants=variants, bases=bases, seed=seed, palette=dataset.palette,
            keep=lambda name: patient_of(name) in wanted,
        )  # fmt: skip

    return lambda config: read(config.net.graph, config.variants, config.bases, config.seed)


def score(net: SegmentationNet, dataset: Dataset) -> dict[str, Any]:
    """Scores on the validation patients, as `toothgraph evaluate` takes them."""
    found = report([score_file(net, file, palette=dataset.palette) for file in dataset.validation()])
    per_scan = [{name: row[name] for name in ("scan_id", *SCORES)} for row in found["per_scan"]]
    return {"scores": found["scores"], "per_scan": per_scan}


def minutes_of(run: Path) -> float:
    """Wall clock of a run, resumed or not, as its own table has it."""
    return float(_metrics(run)[-1]["seconds"]) / 60


def learning_curve(run: Path) -> dict[str, float]:
    """`val_miou` of a run, on the nodes of the graphs, by step."""
    return {row["step"]: round(float(row["val_miou"]), 4) for row in _metrics(run) if row["val_miou"]}


def _metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
