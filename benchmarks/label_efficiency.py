"""How many labels does pre-training save? Fine-tuning from scratch and from pre-trained weights, per label fraction.

    python benchmarks/label_efficiency.py DATA RUNS [--fractions 10 100] [--seeds 0 1 2] [--dataset teeth3ds]

Every cell (initialisation, fraction, seed) gets the same number of steps, is scored with the weights of its last
step on the validation patients' original faces, and becomes one row of benchmarks/results/label_efficiency.jsonl.
A cell that has its row is not run again, and one that was stopped goes on, so a long study can be continued;
several processes may work on different cells. Pre-training sees all training scans, without labels.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from datasets import DATASETS, Dataset

from toothgraph import provenance
from toothgraph.data.scans import Scan, read_scans
from toothgraph.data.split import patient_of
from toothgraph.inference.evaluate import report, score_prediction
from toothgraph.inference.predict import predict_mesh
from toothgraph.mesh.labels import read_scan
from toothgraph.mesh.numbering import jaw_from_name
from toothgraph.nn import SegmentationNet
from toothgraph.training.checkpoint import load_segmentation
from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS, FinetuneConfig, PretrainConfig
from toothgraph.training.finetune import finetune
from toothgraph.training.pretrain import pretrain

RESULTS = Path(__file__).resolve().parent / "results" / "label_efficiency.jsonl"
INITS = ("scratch", "pretrained")
FRACTIONS = (10, 20, 40, 60, 100)
SCORES = ("miou", "accuracy", "boundary_iou")


class Cell(NamedTuple):
    """One run of the study."""

    init: str
    fraction: int  # per cent
    seed: int


def arguments() -> argparse.ArgumentParser:
    """The options of the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, help="gets the run folders")
    parser.add_argument("--dataset", choices=list(DATASETS), default="3d-iosseg")
    parser.add_argument("--fractions", type=int, nargs="+", default=list(FRACTIONS), help="per cent of the labels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--inits", nargs="+", choices=INITS, default=list(INITS))
    parser.add_argument("--steps", type=int, help="of fine-tuning; the preset's if not given")
    parser.add_argument("--pretrain-steps", type=int)
    parser.add_argument("--lr-scratch", type=float, help="highest learning rate; the preset's if not given")
    parser.add_argument("--lr-pretrained", type=float)
    parser.add_argument("--faces", type=int, help="faces of a graph; the preset's if not given")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of torch; its default if not given")
    parser.add_argument("--protocol", default="CPU", help="heading under which the rows belong together")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


def configs(options: argparse.Namespace, cell: Cell) -> tuple[PretrainConfig, FinetuneConfig]:
    """Options of both trainings of a cell."""
    pre = replace(PRETRAIN_PRESETS["default"], seed=cell.seed, device=options.device)
    fine = replace(FINETUNE_PRESETS["default"], seed=cell.seed, device=options.device)
    fine = replace(fine, label_fraction=cell.fraction / 100, lr=vars(options)[f"lr_{cell.init}"] or fine.lr)
    pre = replace(pre, steps=options.pretrain_steps or pre.steps)
    fine = replace(fine, steps=options.steps or fine.steps)
    if options.faces:
        graph = replace(fine.net.graph, faces=options.faces)
        pre, fine = (replace(config, net=replace(config.net, graph=graph)) for config in (pre, fine))
    return pre, fine


def row_key(row: dict[str, Any]) -> tuple[Any, ...]:
    """What no two rows share."""
    return tuple(row[name] for name in ("protocol", "dataset", "init", "fraction", "seed", "steps", "lr", "faces"))


def read_rows(file: Path) -> list[dict[str, Any]]:
    """All rows so far."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines if line.strip()]


def read_training(dataset: Dataset, config: FinetuneConfig) -> list[Scan]:
    """The graphs of all patients, labelled."""
    wanted = {*dataset.split.train, *dataset.split.val}
    return read_scans(
        [dataset.scans], config.net.graph, variants=config.variants, seed=config.seed, palette=dataset.palette,
        keep=lambda name: patient_of(name) in wanted,
    )  # fmt: skip


def score(net: SegmentationNet, dataset: Dataset) -> dict[str, Any]:
    """Scores on the validation patients, as `toothgraph evaluate` takes them."""
    scored = []
    for file in dataset.validation():
        begun = time.perf_counter()
        mesh = read_scan(file, palette=dataset.palette)
        prediction = predict_mesh(net, mesh, jaw_from_name(file))
        scored.append(score_prediction(mesh, prediction, time.perf_counter() - begun))
    found = report(scored)
    per_scan = [{name: row[name] for name in ("scan_id", *SCORES)} for row in found["per_scan"]]
    return {"scores": found["scores"], "per_scan": per_scan}


def minutes_of(run: Path) -> float:
    """Wall clock of a run, resumed or not, as its own table has it."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        return float([row["seconds"] for row in csv.DictReader(stream)][-1]) / 60


def run_cell(cell: Cell, dataset: Dataset, scans: list[Scan], options: argparse.Namespace) -> dict[str, Any]:
    """Train (or go on with) a cell, and score it."""
    pre_config, config = configs(options, cell)
    init, facts = None, {}
    if cell.init == "pretrained":
        folder = options.runs / f"pre-{cell.seed}"
        init = pretrain(scans, dataset.split, folder, pre_config, resume=True)
        facts = {"pretrain_steps": pre_config.steps, "pretrain_minutes": minutes_of(folder)}
        facts["pretrain_sha256"] = provenance.sha256(init)
    out = options.runs / f"{cell.init}-{cell.fraction}-{cell.seed}-lr{config.lr:g}-{config.steps}"
    model = finetune(scans, dataset.split, out, config, init=init, resume=True)
    net, file = load_segmentation(model)
    return {
        "protocol": options.protocol,
        "dataset": dataset.name,
        **cell._asdict(),
        "steps": config.steps,
        "lr": config.lr,
        "faces": config.net.graph.faces,
        "patients": len(dataset.split.labelled(config.label_fraction)),
        **score(net, dataset),
        "minutes": minutes_of(out),
        "sha256": provenance.sha256(model),
        **facts,
        "facts": file.header["trained"],
    }


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, a row at a time."""
    options = arguments().parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    dataset = DATASETS[options.dataset](options.data)
    read_with: tuple[int, list[Scan]] | None = None
    for seed, fraction, init in product(options.seeds, options.fractions, options.inits):
        cell = Cell(init, fraction, seed)
        _, config = configs(options, cell)
        known = {row_key(row) for row in read_rows(options.out)}
        key = (options.protocol, dataset.name, *cell, config.steps, config.lr, config.net.graph.faces)
        if key in known:
            continue
        if read_with is None or read_with[0] != seed:
            read_with = seed, read_training(dataset, config)
        row = run_cell(cell, dataset, read_with[1], options)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        print(f"{init} {fraction} % seed {seed}: miou {row['scores']['miou']:.4f}", flush=True)


if __name__ == "__main__":
    main()
