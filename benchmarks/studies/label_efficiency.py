"""How many labels does pre-training save? Fine-tuning from scratch and from pre-trained weights, per label fraction.

    python -m benchmarks.studies.label_efficiency SCANS [SCANS ...] RUNS [--split FILE] [--palette FILE:SET]
        [--fractions 10 100] [--seeds 0 1 2] [--also SCANS ...] [--quick]
    python -m benchmarks.studies.label_efficiency DATA RUNS --dataset 3d-iosseg

SCANS are labelled scans of your own, files and folders. The split file and the palette are as for the commands. Without
a split file, a fifth of the patients validates. At the end the script prints a table, a curve, and what to run next.

Every cell (initialisation, fraction, seed) gets the same number of steps. It is scored with the weights of its last
step on the validation patients' original faces, and becomes one row of RUNS/label_efficiency.jsonl (for a published
set: benchmarks/results/label_efficiency.jsonl). A cell that has a row is not run again, and a cell that was stopped
continues, so a long study can be done in parts. Several processes may work on different seeds. With ``--rescore``
nothing is trained: the nets of all rows are scored again by the present code.

Pre-training sees all training scans, without labels. With ``--also``, there is a third initialisation, ``more``, which
is pre-trained on these scans and on further unlabelled scans.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.options import run
from benchmarks.pages.study_tables import TITLES
from benchmarks.pages.study_text import told
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import Dataset
from benchmarks.studies.rows import (
    append_row,
    arguments,
    dataset_of,
    has_row,
    is_of,
    learning_curve,
    minutes_of,
    read_rows,
    score,
    short_hash,
    split_of,
    start,
    training_reader,
)
from toothgraph.data.scan import Scan
from toothgraph.data.training_set import read_scans
from toothgraph.model.file import load_segmentation
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS, FinetuneConfig, PretrainConfig
from toothgraph.training.finetune import finetune
from toothgraph.training.pretrain import pretrain
from toothgraph.training.run import device_of

RESULT = RESULTS / "label_efficiency.jsonl"
INITS = ("scratch", "pretrained", "more")
FRACTIONS = (10, 20, 40, 60, 100)
ELSEWHERE = ("devices", "nodes", "accumulate", "deterministic")  # where and how a run computes, not what


class Cell(NamedTuple):
    """One run of the study."""

    init: str
    fraction: int  # per cent
    seed: int


def study_arguments() -> argparse.ArgumentParser:
    """A parser with the options of this study."""
    parser = arguments(__doc__)
    parser.add_argument("--fractions", type=int, nargs="+", default=list(FRACTIONS), help="per cent of the labels")
    parser.add_argument("--inits", nargs="+", choices=INITS, default=["scratch", "pretrained"])
    parser.add_argument("--also", type=Path, nargs="+", help="unlabelled scans for the pre-training of `more`")
    parser.add_argument("--pretrain-steps", type=int)
    parser.add_argument("--lr-scratch", type=float, help="highest learning rate; the preset's if not given")
    parser.add_argument("--lr-pretrained", type=float)
    parser.add_argument("--backbone-rate", type=float, help="learning rate of a pre-trained backbone, as a share")
    parser.add_argument("--rescore", action="store_true", help="no training: score the nets of all rows anew")
    parser.add_argument("--protocol", help="heading under which rows belong together; the device, as CPU, if not given")
    return parser


def configs(options: argparse.Namespace, cell: Cell) -> tuple[PretrainConfig, FinetuneConfig]:
    """Options of both trainings of a cell."""
    pre = replace(PRETRAIN_PRESETS["default"], seed=cell.seed, device=options.device)
    # The shapes of teeth in the package's weights were learned from other labels than those of a cell.
    fine = replace(FINETUNE_PRESETS["default"], seed=cell.seed, device=options.device, crowns="train")
    fine = replace(fine, label_fraction=cell.fraction / 100, lr=learning_rate(options, cell) or fine.lr)
    slower = 1.0 if cell.init == "scratch" else options.backbone_rate or fine.backbone_rate
    fine = replace(fine, backbone_rate=slower)
    pre = replace(pre, steps=options.pretrain_steps or pre.steps)
    fine = replace(fine, steps=options.steps or fine.steps)
    if options.faces:
        graph = replace(fine.net.graph, faces=options.faces)
        pre = replace(pre, net=replace(pre.net, graph=graph))
        fine = replace(fine, net=replace(fine.net, graph=graph))
    return pre, fine


def recipe(options: argparse.Namespace) -> str:
    """A short hash of all options that the cells share. Rows of different recipes are not compared."""
    pre, fine = configs(options, Cell("scratch", 100, 0))
    fine = replace(fine, lr=FINETUNE_PRESETS["default"].lr)  # each initialisation may have its own
    shared = [
        {name: value for name, value in asdict(replace(config, device="auto")).items() if name not in ELSEWHERE}
        for config in (pre, fine)
    ]
    return short_hash(shared)


def learning_rate(options: argparse.Namespace, cell: Cell) -> float | None:
    """The learning rate given for the initialisation of a cell, where scratch has its own; None if none is given."""
    return options.lr_scratch if cell.init == "scratch" else options.lr_pretrained


def identity(cell: Cell, dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """The values that identify a row."""
    pre_config, config = configs(options, cell)
    return {
        "protocol": options.protocol or device_of(options.device).upper(),
        "dataset": dataset.name,
        "split": split_of(dataset),
        "recipe": recipe(options),
        **cell._asdict(),
        "steps": config.steps,
        "lr": config.lr,
        "faces": config.net.graph.faces,
        "backbone_rate": config.backbone_rate,
        **({} if cell.init == "scratch" else {"pretrain_steps": pre_config.steps}),
    }


def read_more(paths: list[Path], config: PretrainConfig) -> list[Scan]:
    """Graphs of further scans without labels. The names of their scans and patients begin with ``also-``."""
    scans = read_scans(
        paths, config.net.graph, variants=config.variants, bases=config.bases, seed=config.seed, labels=False
    )
    return [replace(scan, scan_id=f"also-{scan.scan_id}", patient=f"also-{scan.patient}") for scan in scans]


def run_cell(cell: Cell, dataset: Dataset, scans: list[Scan], options: argparse.Namespace) -> dict[str, Any]:
    """Train a cell, or continue its training, score it, and return its row."""
    pre_config, config = configs(options, cell)
    init, facts = None, {}
    if cell.init != "scratch":
        more = read_more(options.also, pre_config) if cell.init == "more" else []
        patients = dataset.split.train + tuple(sorted({scan.patient for scan in more}))
        folder = options.runs / (f"pre-{cell.seed}" if cell.init == "pretrained" else f"pre-more-{cell.seed}")
        init = pretrain([*scans, *more], replace(dataset.split, train=patients), folder, pre_config, resume=True)
        facts = {"pretrain_minutes": minutes_of(folder), "pretrain_sha256": provenance.sha256(init), "also": len(more)}
    out = run_folder(options, cell, config.lr, config.backbone_rate, config.steps)
    model = finetune(scans, dataset.split, out, config, init=init, resume=True)
    net, file = load_segmentation(model)
    return {
        **identity(cell, dataset, options),
        "patients": len(dataset.split.labelled(config.label_fraction)),
        **score(net, dataset),
        "device": device_of(config.device),
        "minutes": minutes_of(out),
        "curve": learning_curve(out),
        "sha256": provenance.sha256(model),
        **facts,
        "facts": file.header["trained"],
        "scored": provenance.facts()["git"],
    }


def run_folder(options: argparse.Namespace, cell: Cell, lr: float, backbone_rate: float, steps: int) -> Path:
    """The run folder of a cell."""
    rates = f"lr{lr:g}" + (f"x{backbone_rate:g}" if backbone_rate != 1 else "")
    folder: Path = options.runs / f"{cell.init}-{cell.fraction}-{cell.seed}-{rates}-{steps}"
    return folder


def rescored(row: dict[str, Any], dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """A row with its net scored again by the present code."""
    cell = Cell(row["init"], row["fraction"], row["seed"])
    folder = run_folder(options, cell, row["lr"], row["backbone_rate"], row["steps"])
    net, file = load_segmentation(folder)
    if (found := provenance.sha256(file.path)) != row["sha256"]:
        raise SystemExit(f"{file.path}: is another net than the row's (sha256 {found}, not {row['sha256']})")
    return {**row, **score(net, dataset), "curve": learning_curve(folder), "scored": provenance.facts()["git"]}


def wanted_cells(dataset: Dataset, options: argparse.Namespace) -> list[Cell]:
    """The cells to run. Of several fractions that lead to the same labelled patients, only the smallest is run."""
    shares: dict[tuple[str, ...], int] = {}
    for fraction in sorted(options.fractions):
        shares.setdefault(dataset.split.labelled(fraction / 100), fraction)
    left_out = sorted({*options.fractions} - {*shares.values()})
    if left_out:
        print(f"left out: {', '.join(f'{share} %' for share in left_out)}, the same patients as a smaller share")
    return [
        Cell(init, fraction, seed)
        for seed, fraction, init in product(options.seeds, sorted(shares.values()), options.inits)
    ]


def of_this_study(options: argparse.Namespace, dataset: Dataset) -> list[dict[str, Any]]:
    """The rows that may be compared with each other: those of these options, at any rates, fractions and seeds."""
    known = identity(Cell("scratch", 100, 0), dataset, options)
    shared = {name: known[name] for name in ("protocol", "dataset", "split", "recipe", "steps", "faces")}
    return [row for row in read_rows(options.out) if is_of(row, shared)]


def main(argv: list[str] | None = None) -> None:
    """Run the cells that have no row yet, then print what the rows show."""
    parser = study_arguments()
    options = start(parser, argv, RESULT)
    if options.quick:
        options.fractions, options.pretrain_steps = options.fractions[:1], 2
    if ("more" in options.inits) != bool(options.also):
        parser.error("`--inits more` and `--also SCANS` go together")
    dataset = dataset_of(options)
    if options.rescore:
        rows = [rescored(row, dataset, options) for row in read_rows(options.out)]
        write_text(options.out, "".join(json.dumps(row) + "\n" for row in rows))
        return
    read = training_reader(dataset, options)
    wanted = wanted_cells(dataset, options)
    missing = [cell for cell in wanted if not has_row(options.out, identity(cell, dataset, options))]
    own = dataset.split
    print(f"{len(own.train)} patients train, {len(own.val)} validate: {', '.join(own.val[:8])}", flush=True)
    print(f"{len(missing)} of {len(wanted)} runs to do; what is stopped goes on where it was", flush=True)
    for done, cell in enumerate(missing, start=1):
        _, config = configs(options, cell)
        row = run_cell(cell, dataset, read(config), options)
        append_row(options.out, row)
        title = f"{TITLES[cell.init]}, {cell.fraction} %, seed {cell.seed}"
        print(f"{done} of {len(missing)}: {title}: miou {row['scores']['miou']:.4f}, {row['minutes']:.1f} minutes")
    print(f"rows: {options.out}\n\n{told(of_this_study(options, dataset), dataset, options)}", flush=True)


if __name__ == "__main__":
    run(main, goes_on=True)
