"""Which scan to correct next: the most doubtful one, or a random one.

    python -m benchmarks.studies.active_learning DATA RUNS --model MODEL [--rounds 5] [--steps 600] [--pool 24]
        [--seeds 0] [--arms doubtful random]

The study begins with a net trained on few labelled patients, as benchmarks.studies.few_patients trains it. In each
round the net labels scans of other patients. One of these scans is chosen, and the simulated reviewer corrects it. Then
a net learns from all labels so far, beginning with the first net. ``doubtful`` chooses the scan that `toothgraph
review` shows first, ``random`` a random one.

The nets learn from the labels that the reviewer approved, stored in the files of a review, not from the truth. Each net
is scored on the validation patients' original faces. Each round writes a row to
benchmarks/results/active_learning.jsonl. A round that has a row is not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg, runs_argument
from benchmarks.studies.few_patients import scored
from benchmarks.studies.rows import minutes_of, new_rows, read_rows
from benchmarks.studies.simulated_reviewer import review, wrong_teeth
from toothgraph import weights
from toothgraph.data.scan import Scan
from toothgraph.data.split import Split
from toothgraph.data.training_set import read_scans
from toothgraph.io.labels import read_scan
from toothgraph.io.review_log import APPROVED, Session
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.file import load_segmentation
from toothgraph.model.nets import SegmentationNet
from toothgraph.review.begin import begin
from toothgraph.review.store import Start, Store
from toothgraph.review.surface import Surface
from toothgraph.scan_names import patient_of
from toothgraph.training.config import FINETUNE_PRESETS
from toothgraph.training.finetune import finetune
from toothgraph.training.run import device_of

RESULT = RESULTS / "active_learning.jsonl"
ARMS = ("doubtful", "random")
START = "start"  # the arm of the row for the first net


class Cell(NamedTuple):
    """One round of an arm; the first net is round 0."""

    arm: str
    round: int
    seed: int
    steps: int
    pool: int

    @property
    def folder(self) -> str:
        """The name of the folder for all rounds of the arm."""
        return f"{self.arm}-{self.seed}-{self.steps}-{self.pool}"


def pool_of(dataset: Dataset, labelled: Sequence[str], count: int, seed: int) -> list[Path]:
    """Scans to choose from: at most ``count``, drawn from those of the training patients who have no labels."""
    known = set(map(patient_of, labelled))
    others = [file for file in dataset.training() if patient_of(file.stem) not in known]
    drawn = np.random.default_rng(seed).permutation(len(others))[:count]
    return [others[k] for k in sorted(drawn.tolist())]


def chosen(arm: str, files: Sequence[Path], net: SegmentationNet, dataset: Dataset, seed: int) -> tuple[Path, Start]:
    """The scan to correct next, and the start of its review."""
    if arm == "random":
        file = files[int(np.random.default_rng([seed, len(files)]).integers(len(files)))]
        return file, started(file, net, dataset)
    starts = {file: started(file, net, dataset) for file in files}
    first = min(files, key=lambda file: (starts[file].order, file.stem))
    return first, starts[first]


def started(file: Path, net: SegmentationNet, dataset: Dataset) -> Start:
    """The start of the review of a scan, with the labels that the net predicts."""
    return begin(truth_of(file, dataset).with_labels(None), lambda: net, predict=True)


def truth_of(file: Path, dataset: Dataset) -> Mesh:
    """A scan with its own labels."""
    return replace(read_scan(file, palette=dataset.palette, label_system=dataset.label_system), scan_id=file.stem)


def corrected(file: Path, start: Start, dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Let the reviewer correct and approve a scan, write the files of the review, and return what it took."""
    mesh = truth_of(file, dataset)
    assert mesh.labels is not None
    surface = Surface(mesh.inside_out() if start.inside_out else mesh)
    after, done = review(surface, mesh.labels, start.labels)
    store = Store(folder, file.stem)
    store.begin(mesh, start)
    store.write_labels(mesh, start, Session(after, len(done), APPROVED))
    return {
        "scan": file.stem, "doubts": len(start.doubts), "sure": start.sure,
        "wrong": len(wrong_teeth(mesh, mesh.labels, start.labels)), "operations": len(done),
        "seconds": round(sum(each.seconds for each in done), 1),
    }  # fmt: skip


def row_of(cell: Cell, dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """Run one round (choose, correct, learn, score), and return its row."""
    first, file = load_segmentation(options.model)
    if cell.arm == START:
        return {**cell._asdict(), **scored(options.model, dataset), "operations": 0, "seconds": 0.0}
    own: list[str] = file.header.get("train", [])
    place = options.runs / cell.folder
    same = {key: value for key, value in cell._asdict().items() if key != "round"}
    past = [row["scan"] for row in read_rows(options.out) if same.items() <= row.items() and row["round"] < cell.round]
    # 1. Choose, and correct.
    before = options.model if cell.round == 1 else place / f"round-{cell.round - 1}"
    left = [scan for scan in pool_of(dataset, own, cell.pool, cell.seed) if scan.stem not in past]
    scan, start = chosen(cell.arm, left, load_segmentation(before)[0], dataset, cell.seed)
    told = corrected(scan, start, dataset, place / "reviewed")
    # 2. Learn.
    config = replace(FINETUNE_PRESETS["default"], net=first.config, steps=cell.steps, seed=cell.seed)
    config = replace(config, log_every=min(config.log_every, cell.steps))
    how: dict[str, Any] = {"variants": config.variants, "bases": config.bases, "seed": config.seed}
    graph = config.net.graph
    scans: list[Scan] = []
    if own:
        scans += read_scans(dataset.places, graph, palette=dataset.palette, keep=lambda name: name in own, **how)
    names = {*past, scan.stem}
    reviewed = place / "reviewed"
    scans += read_scans(dataset.places, graph, reviewed=reviewed, keep=lambda name: name in names, **how)
    split = Split(tuple(sorted({one.patient for one in scans})), (), {})
    model = finetune(scans, split, place / f"round-{cell.round}", config, init=options.model, resume=True)
    # 3. Score.
    took = {"device": device_of(config.device), "minutes": round(minutes_of(model.parent), 1)}
    return {**cell._asdict(), **told, **scored(model, dataset), **took}


def main(argv: list[str] | None = None) -> None:
    """Run all rounds that have no row yet."""
    parser = data_arguments(__doc__)
    runs_argument(parser)
    parser.add_argument("--model", type=Path, help="run folder or model file of the net to begin with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=600, help="of fine-tuning in each round")
    parser.add_argument("--pool", type=int, default=24, help="how many scans there are to choose from")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the pool, the choice and the training")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    options = parse(parser, argv, RESULT)
    dataset = iosseg(options.data)
    if options.quick:
        dataset = dataset.few()
        options.rounds, options.steps, options.pool = 2, 1, 2
    elif options.model is None:
        parser.error("expected --model with the net to begin with")
    options.model = options.model or Path(weights.DEFAULT)
    cells = [Cell(START, 0, 0, 0, 0)]
    cells += [
        Cell(arm, number, seed, options.steps, options.pool)
        for seed, number, arm in product(options.seeds, range(1, options.rounds + 1), options.arms)
    ]
    for cell, row in new_rows(options.out, cells, lambda cell: row_of(cell, dataset, options)):
        print(f"{cell.arm}, round {cell.round}, seed {cell.seed}: {row.get('scan', 'no scan')}, {row['operations']} "
              f"operations, miou {row['scores']['miou']:.4f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    run(main, goes_on=True)
