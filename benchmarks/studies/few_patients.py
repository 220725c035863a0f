"""What unlabelled scans are worth when one, two, three or five patients are labelled, for several choices of patients.

    python -m benchmarks.studies.few_patients DATA RUNS [--patients 1 2 3 5] [--draws 0 1 2 3 4] [--seeds 0]
        [--arms scratch pretrained self-trained one-round all-gingiva mean-teacher scratch-slow scratch-fast
        scratch-brief scratch-moved scratch-averaged pretrained-moved self-trained-moved]
        [--protocol short | long | paper] [--jaws both | lower | upper]

A draw is an order of the training patients, and its first n patients are labelled. So the five labelled patients of a
draw include its three. Both jaws are labelled. With ``--jaws lower``, only the lower jaws are labelled, and the upper
jaws are among the unlabelled scans. All arms get the same labels:

- ``scratch``: a net trained from scratch, with a learning rate of its own.
- ``pretrained``: a net with a backbone that was pre-trained on the unlabelled scans of all training patients.
- ``self-trained``: the net of ``pretrained`` labels the other scans of the training patients. A student learns from
  these and the given labels. It then teaches a second student, which is the result.
- ``one-round``: the first student of ``self-trained``.
- ``all-gingiva``: as ``one-round``, but the student learns all gingiva that the teacher finds, sure or not.
- ``mean-teacher``: the net of ``pretrained`` trains further. On unlabelled scans it learns from the answers of the
  moving average of its own weights.
- ``scratch-…``: a net from scratch by another recipe, see :data:`TRICKS`, for the best that so few labels give alone.
- ``pretrained-moved`` and ``self-trained-moved``: these two arms with the augmentation of ``scratch-moved``.

Crowns are learned from the labels of the arm alone. All nets are scored on the validation patients' original faces.
Each run writes a row to benchmarks/results/few_patients.jsonl. A run that has a row is not run again. A run that was
stopped continues.

There are three protocols: ``short`` (4,000 faces, 600 steps), ``long`` (the recipe of the presets), and ``paper``.
``paper`` is the net of He et al. with its own losses, optimisers and rates (``--preset paper``), at a size that a CPU
can train: 1,000 faces, 300 steps, ten minutes a run.
"""

from __future__ import annotations

import argparse
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.cross_validation import RATE, Config, short
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg, runs_argument
from benchmarks.studies.mean_teacher import MeanTeacher, mixed
from benchmarks.studies.rows import minutes_of, new_rows, score, training_reader
from toothgraph.data.split import Split
from toothgraph.fdi import LOWER, UPPER
from toothgraph.model.file import load_segmentation
from toothgraph.scan_names import jaw_from_name
from toothgraph.system import provenance
from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS, FinetuneConfig
from toothgraph.training.finetune import finetune, learn
from toothgraph.training.pretrain import pretrain
from toothgraph.training.run import device_of
from toothgraph.training.run_folder import is_finished, labels_of, teacher
from toothgraph.training.self_training import self_train
from toothgraph.training.unlabelled import find_unlabelled
from toothgraph.transforms import Augmentation, Warps

RESULT = RESULTS / "few_patients.jsonl"
ARMS = ("scratch", "pretrained", "self-trained")
ONE_ROUND = ("one-round", "all-gingiva")  # self-trained in one round; the second learns all gingiva
SCRATCH = {"lr": RATE, "backbone_rate": 1.0}  # the best rate for a net from scratch with all labels
MOVED: dict[str, Any] = {"augmentation": Augmentation(rotation=60, scale=0.2, stretch=0.1, elastic=1.0, mirror=0.5),
         "warps": Warps(resized=0.2)}  # fmt: skip
TRICKS: dict[str, dict[str, Any]] = {
    "scratch-slow": {"lr": RATE / 2},
    "scratch-fast": {"lr": 2 * RATE},
    "scratch-brief": {},  # half of the steps
    "scratch-moved": MOVED,
    "scratch-averaged": {"average": 0.99},
}  # fmt: skip
ALSO = (*ONE_ROUND, "mean-teacher", *TRICKS, "pretrained-moved", "self-trained-moved")
PATIENTS = (1, 2, 3, 5)
FIRST = ("017", "041", "045", "075")  # the first patient of draws 0 to 3; 017 lacks premolars, 075 is complete
PROTOCOLS = ("long", "short", "paper")
BOTH = "both"
JAWS = {BOTH: (UPPER, LOWER), "lower": (LOWER,), "upper": (UPPER,)}  # the labelled jaws
PAPER_FACES, PAPER_STEPS = 1000, 300
KEYS = ("miou", "miou_matched", "accuracy", "boundary_iou", "teeth_found", "numbers_right", "scans_right")


class Cell(NamedTuple):
    """One run of the study."""

    arm: str
    patients: int
    draw: int
    seed: int
    protocol: str
    jaws: str = BOTH

    @property
    def from_scratch(self) -> bool:
        """Whether the net is not pre-trained."""
        return self.arm == "scratch" or self.arm in TRICKS

    def folder(self, runs: Path, arm: str = "") -> Path:
        """The folder of the run, or of the run of another arm with the same labels."""
        name = f"{self.protocol}-{arm or self.arm}-{self.patients}-{self.draw}-{self.seed}"
        return runs / (name if self.jaws == BOTH else f"{name}-{self.jaws}")


def drawn(patients: Sequence[str], draw: int, count: int) -> tuple[str, ...]:
    """The first ``count`` patients of a draw."""
    order = sorted(patients, key=lambda name: (zlib.crc32(f"{draw}/{name}".encode()), name))
    if draw < len(FIRST) and FIRST[draw] in patients:
        order.sort(key=lambda name: name != FIRST[draw])
    return tuple(order[:count])


def of_protocol(presets: dict[str, Config], protocol: str, options: argparse.Namespace) -> Config:
    """The configuration of a protocol."""
    if protocol == "paper":
        config = short(presets["paper"], options)
        graph = replace(config.net.graph, faces=min(PAPER_FACES, config.net.graph.faces))
        steps = min(PAPER_STEPS, config.steps or PAPER_STEPS)
        return replace(config, epochs=None, steps=steps, net=replace(config.net, graph=graph))
    return presets["default"] if protocol == "long" and not options.quick else short(presets["default"], options)


def config_of(cell: Cell, options: argparse.Namespace) -> FinetuneConfig:
    """The configuration of fine-tuning in a run."""
    config = replace(of_protocol(FINETUNE_PRESETS, cell.protocol, options), crowns="train", seed=cell.seed)
    if cell.arm in ONE_ROUND:
        config = replace(config, rounds=1)
        return replace(config, trust=replace(config.trust, gingiva=1.0)) if cell.arm == "all-gingiva" else config
    if cell.from_scratch and cell.protocol != "paper":
        config = replace(config, **{**SCRATCH, **TRICKS.get(cell.arm, {})})
        return replace(config, steps=(config.steps or 2) // 2) if cell.arm == "scratch-brief" else config
    return replace(config, **MOVED) if cell.arm.endswith("-moved") else config


def sizes(cell: Cell, options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Steps and faces of a run, and those of older rows, which do not say them and are not of a quick try."""
    configs = (config_of(cell, given) for given in (options, argparse.Namespace(quick=False)))
    own, older = ({"steps": config.steps, "faces": config.net.graph.faces} for config in configs)
    return own, older


def train(cell: Cell, dataset: Dataset, options: argparse.Namespace) -> Path:
    """Train a run, or continue it where it stopped, and return the path of its model."""
    config = config_of(cell, options)
    labelled = drawn(dataset.split.train, cell.draw, cell.patients)
    known = training_reader(dataset, options)(replace(config, seed=0))
    scans = [scan for scan in known if scan.patient in labelled and jaw_from_name(scan.scan_id) in JAWS[cell.jaws]]
    split, out = Split(labelled, (), {}), cell.folder(options.runs)
    if cell.from_scratch:
        return finetune(scans, split, out, config, resume=True)
    before = of_protocol(PRETRAIN_PRESETS, cell.protocol, options)
    init = pretrain(
        training_reader(dataset, options)(before), dataset.split, options.runs / f"{cell.protocol}-pretrained", before,
        resume=True,
    )  # fmt: skip
    # The run of `pretrained` is also the first teacher of `self-trained`, so it is trained only once.
    moved = "-moved" * cell.arm.endswith("-moved")
    same = cell.folder(options.runs, f"pretrained{moved}")
    first_teacher = cell.folder(options.runs, f"self-trained{moved}") / teacher(1)
    if cell.arm.startswith("pretrained"):
        _take_over(first_teacher, out)
        return finetune(scans, split, out, config, init=init, resume=True)
    if cell.arm == "mean-teacher":
        names = {scan.scan_id for scan in scans}
        others = [scan for scan in known if scan.patient in dataset.split.train and scan.scan_id not in names]
        first = finetune(scans, split, same, config, init=init, resume=True)
        return learn(mixed(scans, others), out, config, init=first, resume=True, objective=MeanTeacher)
    if cell.arm.startswith("self-trained"):
        _take_over(same, first_teacher)
    if cell.arm == "one-round":
        _first_student(cell.folder(options.runs, "self-trained"), out)
    unlabelled = [
        one for one in find_unlabelled(dataset.places, dataset.unit) if one.source.patient in dataset.split.train
    ]
    return self_train(scans, split, unlabelled, out, config, init=init, resume=True)


def _take_over(run: Path, out: Path) -> None:
    """Copy the run of another arm to ``out``, if that run exists and ``out`` does not."""
    if run.is_dir() and not out.exists():
        shutil.copytree(run, out)


def _first_student(run: Path, out: Path) -> None:
    """Copy the first student of a run of several rounds to ``out``, if it is finished and ``out`` does not exist.

    It is the same student that a run of one round trains.
    """
    if is_finished(run / teacher(2)) and not out.exists():
        for part in (teacher(1), labels_of(1)):
            shutil.copytree(run / part, out / part)
        shutil.copytree(run / teacher(2), out, dirs_exist_ok=True)


def row_of(cell: Cell, dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """Train a run, score it, and return its row."""
    model = train(cell, dataset, options)
    folder = cell.folder(options.runs)
    runs = [folder, *(place for number in (1, 2) if (place := folder / teacher(number)).is_dir())]
    return {
        **cell._asdict(),
        "labelled": drawn(dataset.split.train, cell.draw, cell.patients),
        **scored(model, dataset),
        "device": device_of(config_of(cell, options).device),
        "minutes": round(sum(map(minutes_of, runs)), 1),
    }


def scored(model: Path, dataset: Dataset) -> dict[str, Any]:
    """The part of a row about a fine-tuned model: its scores on the validation patients, and where it comes from."""
    net, file = load_segmentation(model)
    found = score(net, dataset)
    return {
        "scores": {key: found["scores"][key] for key in KEYS},
        "per_scan": found["per_scan"],
        "sha256": provenance.sha256(file.path),
        "facts": file.header["trained"],
        "scored": provenance.facts()["git"],
    }


def main(argv: list[str] | None = None) -> None:
    """Run all cells that have no row yet."""
    parser = data_arguments(__doc__)
    runs_argument(parser)
    parser.add_argument("--patients", type=int, nargs="+", default=[*PATIENTS], help="how many are labelled")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="which orders of the patients")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of initialisation, order and augmentation")
    parser.add_argument("--arms", nargs="+", choices=[*ARMS, *ALSO], default=list(ARMS))
    parser.add_argument("--protocol", choices=PROTOCOLS, default="short", help="recipe and net")
    parser.add_argument("--jaws", choices=list(JAWS), default=BOTH, help="of the labelled patients that are labelled")
    parser.add_argument("--workers", type=int, default=1, help="processes that make the graphs")
    options = parse(parser, argv, RESULT)
    dataset = iosseg(options.data)
    if options.quick:
        dataset = dataset.few()
        options.patients, options.draws, options.arms = [1], [0], ["scratch", "pretrained"]
    cells = [
        Cell(arm, count, draw, seed, options.protocol, options.jaws)
        for count, seed, draw, arm in product(options.patients, options.seeds, options.draws, options.arms)
    ]
    run_cell = partial(row_of, dataset=dataset, options=options)
    for cell, row in new_rows(options.out, cells, run_cell, partial(sizes, options=options)):
        print(f"{cell.arm}, {cell.patients} of draw {cell.draw}, seed {cell.seed}: miou {row['scores']['miou']:.4f}, "
              f"matched {row['scores']['miou_matched']:.4f}, {row['minutes']} minutes", flush=True)  # fmt: skip


if __name__ == "__main__":
    run(main, goes_on=True)
