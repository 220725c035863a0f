"""What each part of the recipe is worth: one change at a time, against the default, on the validation patients.

    python -m benchmarks.studies.ablation SCANS [SCANS ...] RUNS [--split FILE] [--config OWN.toml ...] [--only NAME]

SCANS are labelled scans of your own, as in the study of label efficiency. Each --config is a change of your own: a TOML
file with options under [finetune], [pretrain] or both, named as in docs/config.md. It is compared with the default.

A variant that changes pre-training is pre-trained itself. The others begin with the pre-trained net of the default, or
from scratch. Every variant is fine-tuned with all labels, and scored with the weights of its last step. Each run
becomes a row of RUNS/ablation.jsonl (for a published set: benchmarks/results/ablation.jsonl). A table of the rows is
printed at the end. A run that has a row is not run again. A run that was stopped continues.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.options import run
from benchmarks.pages.ablation_tables import ablation_table
from benchmarks.pages.study_text import aligned
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import Dataset
from benchmarks.studies.rows import (
    TrainingReader,
    append_row,
    arguments,
    dataset_of,
    has_row,
    is_of,
    minutes_of,
    read_rows,
    score,
    short_hash,
    split_of,
    start,
    training_reader,
)
from toothgraph.config import read_toml, updated
from toothgraph.errors import ConfigError
from toothgraph.model.file import load_segmentation
from toothgraph.system import provenance
from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS, FinetuneConfig, PretrainConfig
from toothgraph.training.finetune import finetune
from toothgraph.training.pretrain import pretrain
from toothgraph.training.run import device_of

RESULT = RESULTS / "ablation.jsonl"
Options = dict[str, Any]


def net(**values: Any) -> Options:
    """A change of the net, for both trainings."""
    return {"pretrain": {"net": values}, "finetune": {"net": values}}


def fine(**values: Any) -> Options:
    """A change of fine-tuning alone."""
    return {"finetune": values}


def pre(**values: Any) -> Options:
    """A change of pre-training alone."""
    return {"pretrain": values}


def moved(**values: Any) -> Options:
    """A change of the augmentation in fine-tuning."""
    return {"finetune": {"augmentation": values}}


def cuts(**values: Any) -> Options:
    """A change of the parts that are removed from scans in fine-tuning."""
    return {"finetune": {"cuts": values}}


VARIANTS: dict[str, Options] = {
    "default": {},
    "from scratch": {"scratch": True},
    "from scratch, rate: double": {"scratch": True, **fine(lr=6e-3)},
    "graph: the paper's net, dynamic": net(kind="paper"),
    "graph: face adjacency alone": net(
        graph={"spacings": [0.0], "k": 3, "along_surface": True}, widths=[64], head_widths=[64]
    ),
    "graph: rings alone": net(graph={"spacings": [0.0], "along_surface": True}, widths=[64], head_widths=[64]),
    "graph: dilated rings": net(graph={"along_surface": True}),
    "graph: nearest 12 alone": net(graph={"spacings": [0.0]}, widths=[64], head_widths=[64]),
    "graph: two levels": net(graph={"spacings": [0.0, 6.0]}, widths=[64, 192], head_widths=[64, 192]),
    "graph: 6 neighbours": net(graph={"k": 6}),
    "graph: 20 neighbours": net(graph={"k": 20}),
    "graph: 2500 faces": net(graph={"faces": 2500}),
    "graph: 8000 faces": net(graph={"faces": 8000}),
    "width: half": net(widths=[32, 64, 96, 128], head_widths=[32, 64, 96, 128], embedding=64),
    "width: one and a half": net(widths=[96, 192, 288, 384], head_widths=[96, 192, 288, 384], embedding=144),
    "features: coordinates and normals alone": net(features="coordinates"),
    "features: and area, dihedral angles": net(features="shape"),
    "norm: layer": net(norm="layer"),
    "context: none": fine(net={"context": False}),
    "classes: 33 at once": fine(net={"classes": "all"}),
    "dropout: none": fine(net={"dropout": 0.0}),
    "loss: cross-entropy alone": fine(dice_weight=0.0),
    "loss: whole Dice": fine(dice_weight=1.0),
    "loss: label smoothing 0.1": fine(label_smoothing=0.1),
    "loss: border counts thrice": fine(boundary_weight=2.0),
    "augmentation: no mirror": moved(mirror=0.0),
    "augmentation: no rotation": moved(rotation=0.0),
    "augmentation: any rotation": moved(rotation=180.0),
    "augmentation: scale 0.2": moved(scale=0.2),
    "augmentation: stretched by 0.1": moved(stretch=0.1),
    "augmentation: bent by 1 mm": moved(elastic=1.0),
    "augmentation: no missing teeth": cuts(missing=0.0),
    "augmentation: extractions in a tenth": cuts(extraction=0.1),
    "augmentation: extractions in three tenths": cuts(extraction=0.3),
    "augmentation: gum not trimmed": cuts(trim=0.0),
    "augmentation: no model bases": fine(bases=0),
    "augmentation: no jitter": moved(jitter=0.0, normal_jitter=0.0),
    "augmentation: no missing region": cuts(region=0.0),
    "augmentation: one tessellation": fine(variants=1),
    "jaw: always given": fine(jaw_dropout=0.0),
    "jaw: never given": fine(jaw_dropout=1.0),
    "rate: half": fine(lr=1.5e-3),
    "rate: double": fine(lr=6e-3),
    "rate: backbone as fast as the head": fine(backbone_rate=1.0),
    "rate: backbone three tenths": fine(backbone_rate=0.3),
    "rate: backbone a thirtieth": fine(backbone_rate=0.03),
    "averaged weights": fine(average=0.99),
    "batch: 4": fine(batch=4),
    "weight decay: 0.05": fine(weight_decay=0.05),
    "steps: half": fine(steps=1200),
    "pre-training: temperature 0.07": pre(temperature=0.07),
    "pre-training: temperature 0.2": pre(temperature=0.2),
    "pre-training: one direction": pre(symmetric=False),
    "pre-training: neighbours as negatives": pre(exclude_radius=0.0),
    "pre-training: negatives of the batch": pre(negatives="batch"),
    "pre-training: wide projector": pre(net={"projection": 128}),
    "pre-training: views of whole scans": pre(views={"min_share": 1.0, "max_share": 1.0}),
    "pre-training: twice as long": pre(steps=1200),
}


def configs(name: str, seed: int, options: argparse.Namespace) -> tuple[PretrainConfig, FinetuneConfig]:
    """Options of both trainings of a variant.

    The presets come first, with ``--faces`` if given, and then the variant's own change. ``--steps`` scales the steps
    of both trainings.
    """
    given = {"seed": seed, "device": options.device}
    if options.faces:
        given["net"] = {"graph": {"faces": options.faces}}
    change = options.changes[name]
    pre_config = updated(updated(PRETRAIN_PRESETS["default"], given, name), change.get("pretrain", {}), name)
    fine = replace(FINETUNE_PRESETS["default"], crowns="train")  # not adapted from the package's weights
    config = updated(updated(fine, given, name), change.get("finetune", {}), name)
    if options.steps:
        scale = options.steps / FINETUNE_PRESETS["default"].steps
        pre_config = replace(pre_config, steps=max(1, round(scale * pre_config.steps)))
        config = replace(config, steps=max(1, round(scale * config.steps)))
    return pre_config, config


def identity(name: str, seed: int, dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """The values that identify a row. Steps and faces are those of the default, even if the variant changes them."""
    _, config = configs("default", seed, options)
    own = {"variant": name, "dataset": dataset.name, "split": split_of(dataset), "seed": seed}
    if name not in VARIANTS:  # a file of the same name may have had other content before
        own["change"] = options.changes[name]
    return {**own, "steps": config.steps, "faces": config.net.graph.faces}


def run_variant(
    name: str, seed: int, dataset: Dataset, read: TrainingReader, options: argparse.Namespace
) -> dict[str, Any]:
    """Train a variant, or continue its training, and return its scores."""
    pre_config, config = configs(name, seed, options)
    init = None
    change = options.changes[name]
    if not change.get("scratch"):
        shared = "default" if "pretrain" not in change else name  # one pre-training serves many variants
        folder = options.runs / f"backbone-{folder_name(shared, options)}-{seed}"
        init = pretrain(read(pre_config), dataset.split, folder, pre_config, resume=True)
    out = options.runs / f"{folder_name(name, options)}-{seed}"
    model = finetune(read(config), dataset.split, out, config, init=init, resume=True)
    trained, file = load_segmentation(model)
    return {
        "change": change,
        "parameters": sum(p.numel() for p in trained.parameters()),
        **score(trained, dataset),
        "device": device_of(config.device),
        "minutes": minutes_of(out),
        "facts": file.header["trained"],
        "scored": provenance.facts()["git"],
    }


def own_changes(files: list[Path]) -> dict[str, Options]:
    """The changes that TOML files describe, by the name of their variant.

    Raises:
        ConfigError: as :func:`own_change` does, or if two files have the same name.
    """
    found: dict[str, Path] = {}
    for file in files:
        if (other := found.setdefault(file.stem, file)) != file:
            raise ConfigError(
                f"--config: expected files of different names, got {other} and {file}; rename one of them"
            )
    return {f"own: {name}": own_change(file) for name, file in found.items()}


def own_change(file: Path) -> Options:
    """The change that a TOML file describes.

    Raises:
        ConfigError: if the file cannot be read, is empty, or has other sections than [finetune] and [pretrain].
    """
    change = read_toml(file)
    if not change or not change.keys() <= {"pretrain", "finetune"}:
        raise ConfigError(
            f"{file}: expected options under [finetune] or [pretrain], found {', '.join(change) or 'nothing'}; a "
            "change of the net, [finetune.net], is to be under [pretrain.net], too"
        )
    return change


def slug(name: str) -> str:
    """A folder name made from the name of a variant."""
    return "".join(letter if letter.isalnum() or letter == "." else "-" for letter in name)


def folder_name(name: str, options: argparse.Namespace) -> str:
    """A folder name for a variant. A change of one's own has its content in the name, which the file may later lose."""
    return slug(name) if name in VARIANTS else f"{slug(name)}-{short_hash(options.changes[name])}"


def rows_of_table(dataset: Dataset, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows that the table shows: of the variants that were asked for, with the content that they have now."""
    known = identity("default", 0, dataset, options)
    alike = {name: known[name] for name in ("dataset", "split", "steps", "faces")}
    wanted = {name: {**alike, "variant": name, "change": options.changes[name]} for name in options.only}
    return [row for row in read_rows(options.out) if row["variant"] in wanted and is_of(row, wanted[row["variant"]])]


def main(argv: list[str] | None = None) -> None:
    """Run the variants that have no row yet, seed by seed, and print the table."""
    parser = arguments(__doc__)
    names = list(VARIANTS)
    parser.add_argument(
        "--config", type=Path, nargs="+", default=[], metavar="OWN.toml",
        help="changes of your own: options under [finetune] and [pretrain]; compared with the default alone",
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=names, metavar="VARIANT", help=f"one of: {'; '.join(names)}")
    options = start(parser, argv, RESULT)
    own = own_changes(options.config)
    options.changes = VARIANTS | own
    chosen = options.only or (["default"] if own else names)
    if own and "default" not in chosen:
        chosen = ["default", *chosen]  # with which they are compared
    options.only = [*chosen, *own]
    for name in options.only:  # report unknown options before any scan is read
        configs(name, 0, options)
    if options.quick:
        options.only = (["default", *own] if own else options.only)[:2]
    dataset = dataset_of(options)
    read = training_reader(dataset, options)
    for seed in options.seeds:
        for name in options.only:
            known = identity(name, seed, dataset, options)
            if has_row(options.out, known):
                continue
            row = {**known, **run_variant(name, seed, dataset, read, options)}
            append_row(options.out, row)
            print(f"{name}, seed {seed}: miou {row['scores']['miou']:.4f}", flush=True)
    print(f"rows: {options.out}\n\n{aligned(ablation_table(rows_of_table(dataset, options)))}", flush=True)


if __name__ == "__main__":
    run(main, goes_on=True)
