"""Does it help to change teeth in training? Nets trained with and without, on ordinary scans and on odd teeth.

    python -m benchmarks.studies.odd_teeth DATA RUNS [--seeds 0 1]

DATA is as for doubts.py. Each net is trained from scratch with the short recipe on the training patients of 3D-IOSSeg.
Their teeth are left as they are, or some of them are changed (:mod:`toothgraph.transforms.warp_teeth`). Each net is
scored with the weights of its last step: on the validation patients as they are, on the same patients with odd teeth
that other code makes (odd_mouths.py), and on files of the folder field. The jaw is given. Each net becomes a row of
benchmarks/results/odd_teeth.jsonl. A net that has a row is not trained again.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies import odd_mouths
from benchmarks.studies.cross_validation import RATE, short
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg, runs_argument
from benchmarks.studies.rows import TrainingReader, minutes_of, new_rows, training_reader
from toothgraph.anatomy.frame import turned
from toothgraph.evaluation import score_file, score_prediction
from toothgraph.fdi import fdi_to_class, jaw_of_labels
from toothgraph.io.labels import read_scan
from toothgraph.mesh.mesh import Mesh
from toothgraph.metrics import summarise
from toothgraph.metrics.classes import found_teeth
from toothgraph.model.file import load_segmentation
from toothgraph.model.nets import SegmentationNet
from toothgraph.segmentation import segment
from toothgraph.system import provenance
from toothgraph.training.config import FINETUNE_PRESETS, FinetuneConfig
from toothgraph.training.finetune import finetune
from toothgraph.training.run import device_of
from toothgraph.transforms.augment import random_rotation
from toothgraph.transforms.warp_teeth import NO_WARPS, Warps

RESULT = RESULTS / "odd_teeth.jsonl"
WITHOUT, WITH = "teeth as they are", "teeth changed"
WARPS = {WITHOUT: NO_WARPS, WITH: Warps(prepared=0.2, scan_bodies=0.2, resized=0.2, brackets=0.2)}
KINDS = ("stump", "scan body", "brackets", "mixed")  # of odd_mouths.py
# Files of the folder field, and the teeth that were changed in each. The labels of the scan body have no tooth 46.
FILES = {
    "prepared-molar_lower.stl": [36], "scan-body-for-46_lower.stl": [], "five-teeth-removed_lower.stl": [],
    "back-teeth-of-one-side_lower.stl": [], "front-teeth-only_lower.stl": [], "shell-1mm_lower.stl": [],
    "crowns-no-gum_lower.stl": [],
}  # fmt: skip
SCORES = ("miou", "miou_matched", "teeth_found", "numbers_right")
CHANGED = 0.05  # a tooth counts as changed if more than this share of its surface differs from the scan's
VARIANTS, BASES = 2, 1  # tessellations of a scan, and how many of them get a model base


class Cell(NamedTuple):
    """One training of the study."""

    training: str
    seed: int
    steps: int
    faces: int


def config_of(training: str, seed: int, options: argparse.Namespace) -> FinetuneConfig:
    """The short recipe from scratch, with or without changed teeth."""
    config = replace(short(FINETUNE_PRESETS["default"], options), variants=VARIANTS, bases=BASES, crowns="train")
    return replace(config, seed=seed, lr=RATE, backbone_rate=1.0, warps=WARPS[training])


def odd_scans(dataset: Dataset) -> Iterator[tuple[str, Mesh, list[int]]]:
    """For each kind and patient, yield the kind, a labelled scan of one jaw in a random pose, and the changed teeth."""
    for number, kind in enumerate(KINDS):
        for place, patient in enumerate(dataset.split.val):
            file = dataset.jaw(patient, (number + place) % 2)
            rng = np.random.default_rng(zlib.crc32(f"{kind} {file.stem}".encode()))
            scan = odd_mouths.upright(read_scan(file, palette=dataset.palette))
            made = odd_mouths.KINDS[kind][1](scan, rng)
            yield kind, turned(made, random_rotation(rng, 180)), changed_teeth(scan, made)


def changed_teeth(scan: Mesh, made: Mesh) -> list[int]:
    """The teeth of ``made`` with a surface that differs from that of ``scan``, where both are in the same pose."""
    assert made.labels is not None
    known = {each.tobytes() for each in np.round(scan.centroids, 4)}
    new = np.array([each.tobytes() not in known for each in np.round(made.centroids, 4)])
    areas = {int(fdi): made.areas * (made.labels == fdi) for fdi in np.unique(made.labels[made.labels > 0])}
    return [fdi for fdi, area in areas.items() if area[new].sum() > CHANGED * area.sum()]


def labelled(net: SegmentationNet, kind: str, mesh: Mesh, changed: list[int]) -> dict[str, Any]:
    """The scores of a scan with odd teeth, and how many of the changed teeth are found and have the right number."""
    assert mesh.labels is not None
    begun = time.perf_counter()
    found = segment(mesh, net, jaw_of_labels(mesh.labels)).prediction
    scored = score_prediction(mesh, found, time.perf_counter() - begun)
    true, given = (classes.tolist() for classes in found_teeth(scored.confusion))
    wanted = fdi_to_class(np.array(changed, dtype=np.int64)).tolist()
    there = {one: other for one, other in zip(true, given, strict=True) if one in wanted}
    return {
        "kind": kind, "scan_id": mesh.scan_id, **{name: scored.row[name] for name in SCORES}, "changed": len(changed),
        "found": len(there), "right": sum(one == other for one, other in there.items()),
    }  # fmt: skip


def row_of(cell: Cell, dataset: Dataset, read: TrainingReader, options: argparse.Namespace) -> dict[str, Any]:
    """Train a net, or continue its training, score it, and return its row."""
    config = config_of(cell.training, cell.seed, options)
    out = options.runs / f"{cell.training.replace(' ', '-')}-{cell.seed}"
    model = finetune(read(replace(config, seed=0)), dataset.split, out, config, resume=True)  # the same graphs for all
    net, file = load_segmentation(model)
    plain = [score_file(net, scan, palette=dataset.palette).row for scan in dataset.validation()]
    odd = [labelled(net, *case) for case in odd_scans(dataset)]
    files = {options.data / "field" / "shapes" / name: changed for name, changed in FILES.items()}
    field = [labelled(net, "file", read_scan(file), changed) for file, changed in files.items() if file.is_file()]
    return {
        **cell._asdict(),
        "warps": vars(config.warps),
        "scores": {name: summarise(plain)[name] for name in SCORES},
        "per_scan": [{name: row[name] for name in ("scan_id", *SCORES)} for row in plain],
        "odd": odd,
        "field": field,
        "device": device_of(config.device),
        "minutes": minutes_of(out),
        "facts": file.header["trained"],
        "scored": provenance.facts()["git"],
    }


def main(argv: list[str] | None = None) -> None:
    """Run the trainings that have no row yet, seed by seed."""
    parser = data_arguments(__doc__)
    runs_argument(parser, "gets a run folder for each net")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--workers", type=int, default=1, help="processes that make the graphs")
    options = parse(parser, argv, RESULT)
    dataset = iosseg(options.data)
    if options.quick:
        dataset, options.seeds = dataset.few(), options.seeds[:1]
    read = training_reader(dataset, options)
    config = config_of(WITH, 0, options)
    cells = [Cell(name, seed, config.steps, config.net.graph.faces) for seed in options.seeds for name in WARPS]
    for cell, row in new_rows(options.out, cells, lambda cell: row_of(cell, dataset, read, options)):
        print(f"{cell.training}, seed {cell.seed}: miou {row['scores']['miou']:.4f}", flush=True)


if __name__ == "__main__":
    run(main, goes_on=True)
