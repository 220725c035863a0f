"""Nets for five folds over all patients of 3D-IOSSeg, so that every scan is scored by a net that did not see it.

    python -m benchmarks.studies.cross_validation DATA RUNS

Trains the nets that are missing in RUNS/fold-0 … fold-4. Each is trained from scratch on the labels of the patients of
the other folds, with the short recipe.
"""

from __future__ import annotations

import argparse
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from benchmarks.options import parse, run
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg, runs_argument
from benchmarks.studies.rows import training_reader
from toothgraph.data.split import Split
from toothgraph.training.config import FINETUNE_PRESETS, FinetuneConfig, TrainingConfig
from toothgraph.training.finetune import finetune

FOLDS = 5
Config = TypeVar("Config", bound=TrainingConfig)
FACES, STEPS, RATE = 4000, 600, 6e-3  # the short recipe, with the best rate of nets from scratch


def folds(dataset: Dataset) -> list[Split]:
    """The split of each fold: the patients held out, and the patients trained on.

    A hash of their names orders the patients, and every fifth one is held out. Both jaws of a patient stay together.
    """
    patients = sorted({*dataset.split.train, *dataset.split.val}, key=lambda name: (zlib.crc32(name.encode()), name))
    held = [tuple(sorted(patients[k::FOLDS])) for k in range(FOLDS)]
    return [Split(tuple(sorted({*patients} - {*out})), out, {}) for out in held]


def short(config: Config, options: argparse.Namespace) -> Config:
    """A configuration with the short recipe."""
    faces, steps, log_every = (300, 2, 1) if options.quick else (FACES, STEPS, config.log_every)
    graph = replace(config.net.graph, faces=faces)
    return replace(config, net=replace(config.net, graph=graph), steps=steps, log_every=log_every)


def config_of(options: argparse.Namespace, fold: int) -> FinetuneConfig:
    """The configuration of a fold."""
    return replace(short(FINETUNE_PRESETS["default"], options), seed=fold, lr=RATE, backbone_rate=1.0)


def train(dataset: Dataset, options: argparse.Namespace, fold: int) -> Path:
    """Train the net of a fold, or continue its training, and return the path of its model."""
    config = config_of(options, fold)
    scans = training_reader(dataset, options)(replace(config, seed=0))  # the same graphs for all folds
    return finetune(scans, folds(dataset)[fold], options.runs / f"fold-{fold}", config, resume=True)


def main(argv: list[str] | None = None) -> None:
    """Train the nets of the folds."""
    parser = data_arguments(__doc__, out="not written, as the result is in RUNS; --quick asks for it all the same")
    runs_argument(parser, "gets a run folder for each fold")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    parser.add_argument("--workers", type=int, default=1, help="processes that make the graphs")
    options = parse(parser, argv)
    dataset = iosseg(options.data)
    if options.quick:
        dataset = dataset.few()
        options.folds = options.folds[:1]
    for fold in options.folds:
        print(train(dataset, options, fold), flush=True)


if __name__ == "__main__":
    run(main, goes_on=True)
