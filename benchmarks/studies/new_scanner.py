"""Adapting the weights in the package to a new scanner, with unlabelled scans of that scanner.

    python -m benchmarks.studies.new_scanner DATA RUNS [--steps 300] [--rates 3e-4 1e-3] [--arms alone anchored]

The scans of teeth3ds are divided into two halves. From each half, without its labels, the net learns as
``toothgraph finetune --unlabelled HALF --init default`` does (``alone``), or together with the labelled scans that the
weights were trained on (``anchored``). It is scored on the other half. It is also scored on odd-scans and on the
validation patients of 3d-iosseg, where it should not become worse. Each run writes a row to
benchmarks/results/new_scanner.jsonl. The first row is for the weights as they are. A run that has a row is not run
again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg, runs_argument
from benchmarks.studies.default_weights import labelled_sets
from benchmarks.studies.rows import append_row, has_row, minutes_of, training_reader
from toothgraph import weights
from toothgraph.data.split import Split
from toothgraph.evaluation import report, score_prediction
from toothgraph.fdi import jaw_of_labels
from toothgraph.inference import predict_mesh
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import SegmentationNet
from toothgraph.model.file import load_segmentation
from toothgraph.system import provenance
from toothgraph.training.config import FINETUNE_PRESETS
from toothgraph.training.run import device_of
from toothgraph.training.self_training import self_train
from toothgraph.training.unlabelled import Unlabelled, find_unlabelled

RESULT = RESULTS / "new_scanner.jsonl"
ARMS = ("alone", "anchored")
NEW = "teeth3ds"
KEYS = ("miou", "miou_matched", "accuracy", "numbers_right", "teeth_found")
Sets = dict[str, list[Mesh]]


def halves(unlabelled: list[Unlabelled]) -> tuple[list[Unlabelled], list[Unlabelled]]:
    """Two halves of the scans, each with every other scan in the order of jaw and name."""
    order = sorted(unlabelled, key=lambda one: (one.source.scan_id.split("_")[-1], one.source.scan_id))
    return order[::2], order[1::2]


def scores(net: SegmentationNet, meshes: Iterable[Mesh]) -> dict[str, Any]:
    """Scores of labelled meshes as they are stored, with the jaw given."""
    found = []
    for mesh in meshes:
        assert mesh.labels is not None
        found.append(score_prediction(mesh, predict_mesh(net, mesh, jaw_of_labels(mesh.labels)), 0.0))
    rows = report(found)
    return {
        **{key: rows["scores"][key] for key in KEYS},
        "per_scan": [{key: row[key] for key in ("scan_id", "miou", "miou_matched")} for row in rows["per_scan"]],
    }


def all_scores(model: Path, sets: Sets, half: int | None, parts: tuple[list[Unlabelled], ...]) -> dict[str, Any]:
    """The figures of a row. Scans that the net learned from are not scored."""
    net, file = load_segmentation(model)
    learned = set() if half is None else {one.source.scan_id for one in parts[half]}
    left = {name: [mesh for mesh in meshes if mesh.scan_id not in learned] for name, meshes in sets.items()}
    return {
        "sets": {name: scores(net, meshes) for name, meshes in left.items()},
        "sha256": provenance.sha256(file.path),
        "facts": provenance.facts(),
    }


def train(
    known: dict[str, Any], parts: tuple[list[Unlabelled], ...], dataset: Dataset, options: argparse.Namespace
) -> Path:
    """Train a run, or continue it where it stopped, and return the path of its model."""
    net, _ = load_segmentation(Path(weights.DEFAULT))
    config = replace(FINETUNE_PRESETS["default"], net=net.config, steps=known["steps"], lr=known["lr"], rounds=1)
    config = replace(config, log_every=min(config.log_every, config.steps))
    out = options.runs / "-".join(map(str, known.values()))
    anchored = known["arm"] == "anchored"
    scans = training_reader(dataset, options)(config) if anchored else []
    split = Split(dataset.split.train, (), {}) if anchored else Split((), (), {})
    return self_train(scans, split, parts[known["half"]], out, config, init=weights.DEFAULT, resume=True)


def main(argv: list[str] | None = None) -> None:
    """Run all cells that have no row yet."""
    parser = data_arguments(__doc__)
    runs_argument(parser)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3], help="highest learning rates")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["alone"])
    parser.add_argument("--workers", type=int, default=1, help="processes that make the graphs")
    options = parse(parser, argv, RESULT)
    dataset = iosseg(options.data)
    sets = labelled_sets(options.data, options.quick)
    if options.quick:
        options.steps, options.rates, options.arms = 1, options.rates[:1], ["alone"]
    parts = halves(find_unlabelled([dataset.scans if options.quick else options.data / NEW]))
    before = {"arm": "as they are", "half": None, "lr": 0.0, "steps": 0}
    cells = [{"arm": arm, "half": half, "lr": lr, "steps": options.steps}
             for arm, lr, half in product(options.arms, options.rates, (0, 1))]  # fmt: skip
    for known in (before, *cells):
        if has_row(options.out, known):
            continue
        half = known["half"]
        model = Path(weights.DEFAULT) if half is None else train(known, parts, dataset, options)
        took: dict[str, Any] = {}
        if half is not None:
            device = device_of(FINETUNE_PRESETS["default"].device)
            took = {"device": device, "minutes": round(minutes_of(model.parent), 1)}
        row = {**known, **took, **all_scores(model, sets, half, parts)}
        append_row(options.out, row)
        print(known, {name: round(found["miou"], 4) for name, found in row["sets"].items()}, flush=True)


if __name__ == "__main__":
    run(main, goes_on=True)
