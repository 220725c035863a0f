"""Whether other objectives of pre-training beat InfoNCE when one patient is labelled.

    python -m benchmarks.studies.objectives DATA RUNS [--objectives NAME ...] [--draws 0 1 2] [--seeds 0]

Each objective of benchmarks/studies/pretraining_tasks.py pre-trains one backbone on the unlabelled scans of all
training patients. The recipe is the short one of benchmarks/studies/few_patients.py, with the same views and steps. The
rest is as for the arm `pretrained` of that study: the net is fine-tuned with the labels of one patient, and scored on
the validation patients' original faces. `nearest` shows what the pre-trained net knows before any training with labels,
as in benchmarks/studies/one_shot.py. Each run writes a row to benchmarks/results/objectives.jsonl. A run that has a row
is not run again. The rows of InfoNCE alone and of no pre-training are those of few_patients.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies import few_patients, one_shot
from benchmarks.studies.cross_validation import short
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg, runs_argument
from benchmarks.studies.few_patients import drawn
from benchmarks.studies.pretraining_tasks import OBJECTIVES
from benchmarks.studies.rows import minutes_of, new_rows, training_reader
from toothgraph.data.scan import Scan
from toothgraph.data.split import Split
from toothgraph.model.file import load_backbone, read_model
from toothgraph.model.nets import SegmentationNet
from toothgraph.system import provenance
from toothgraph.training.config import PRETRAIN_PRESETS
from toothgraph.training.finetune import finetune
from toothgraph.training.pretrain import pretrain
from toothgraph.training.run import device_of

RESULT = RESULTS / "objectives.jsonl"


class Cell(NamedTuple):
    """One run of the study."""

    objective: str
    draw: int
    seed: int


def like(cell: Cell) -> few_patients.Cell:
    """The run of `few_patients` that differs only in the objective of pre-training."""
    return few_patients.Cell("pretrained", 1, cell.draw, cell.seed, "short")


def sizes(cell: Cell, options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Steps and faces of a run, and those of older rows, as in `few_patients`."""
    return few_patients.sizes(like(cell), options)


def pretrained(cell: Cell, dataset: Dataset, options: argparse.Namespace) -> Path:
    """Pre-train with an objective, or continue where it stopped, and return the run folder."""
    config = short(PRETRAIN_PRESETS["default"], options)
    folder = options.runs / f"{cell.objective}-pretrained"
    scans = training_reader(dataset, options)(config)
    pretrain(scans, dataset.split, folder, config, resume=True, objective=OBJECTIVES[cell.objective])
    return folder


def nearest(model: Path, scans: list[Scan], labelled: tuple[str, ...], others: tuple[str, ...]) -> dict[str, float]:
    """Scores when each face of the other patients takes the label of the nearest face on the labelled scans."""
    file = read_model(model)
    net = SegmentationNet(file.net).eval()
    load_backbone(net, file)
    known, asked = ([scan.variants[0] for scan in scans if scan.patient in who] for who in (labelled, others))
    return one_shot.scores(net, known, asked)


def row_of(cell: Cell, dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """Pre-train, fine-tune and score a run, and return its row."""
    labelled = drawn(dataset.split.train, cell.draw, 1)
    before = pretrained(cell, dataset, options)
    config = few_patients.config_of(like(cell), options)
    scans = training_reader(dataset, options)(replace(config, seed=0))  # the same graphs for all seeds
    own = [scan for scan in scans if scan.patient in labelled]
    out = options.runs / "-".join(map(str, cell))
    model = finetune(own, Split(labelled, (), {}), out, config, init=before, resume=True)
    return {
        **cell._asdict(),
        "labelled": labelled,
        **few_patients.scored(model, dataset),
        "nearest": nearest(before, scans, labelled, dataset.split.val),
        "device": device_of(config.device),
        "minutes": round(minutes_of(out), 1),
        "pretrain_minutes": round(minutes_of(before), 1),
        "pretrain_sha256": provenance.sha256(read_model(before).path),
    }


def main(argv: list[str] | None = None) -> None:
    """Run all cells that have no row yet."""
    parser = data_arguments(__doc__)
    runs_argument(parser)
    parser.add_argument("--objectives", nargs="+", choices=list(OBJECTIVES), default=list(OBJECTIVES))
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2], help="which orders of the patients")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of fine-tuning")
    parser.add_argument("--workers", type=int, default=1, help="processes that make the graphs")
    options = parse(parser, argv, RESULT)
    dataset = iosseg(options.data)
    if options.quick:
        dataset = dataset.few()
        options.draws = [0]
    cells = [
        Cell(objective, draw, seed)
        for seed, draw, objective in product(options.seeds, options.draws, options.objectives)
    ]
    run_cell = partial(row_of, dataset=dataset, options=options)
    for cell, row in new_rows(options.out, cells, run_cell, partial(sizes, options=options)):
        print(f"{cell.objective}, draw {cell.draw}, seed {cell.seed}: miou {row['scores']['miou']:.4f}, "
              f"nearest {row['nearest']['miou']:.4f}, {row['minutes']} minutes", flush=True)  # fmt: skip


if __name__ == "__main__":
    run(main, goes_on=True)
