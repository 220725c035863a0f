"""Scores of the weights in the package, on patients and scanners that they were not trained on.

    python -m benchmarks.studies.default_weights DATA --picture docs/images/default_weights-worst.png

DATA holds 3d-iosseg with its split file, teeth3ds (scans of another scanner, labels as vertex colours), odd-scans
(exports of other programs) and palettes.json. Every scan is labelled three times: as stored with the jaw given, as
stored with the jaw withheld, and turned at random with the jaw withheld. Writes
benchmarks/results/default_weights.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import data_arguments, iosseg
from toothgraph import weights
from toothgraph.anatomy.frame import turned
from toothgraph.anatomy.sizes import WHOLE_TOOTH
from toothgraph.errors import DataError
from toothgraph.evaluation import Scored, report, score_prediction
from toothgraph.fdi import UNKNOWN_JAW, jaw_of_labels
from toothgraph.inference import PredictOptions, predict_mesh
from toothgraph.io.find import find_scans
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import label_pieces
from toothgraph.model import SegmentationNet
from toothgraph.model.file import load_segmentation
from toothgraph.report.picture import render_grid
from toothgraph.scan_names import patient_of
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.transforms.augment import random_rotation

RESULT = RESULTS / "default_weights.json"
ODD = ("labelled-upper.vtp", "labelled-lower.vtp", "labelled-missing-12-26-upper.vtp",
       "labelled-universal-non-manifold.vtp")  # fmt: skip
WORST = 6  # scans in the picture
Drawn = tuple[float, Mesh, np.ndarray]  # miou, scan, labels found
SEED = 0  # of the random turns
CONDITIONS = ("as stored", "jaw withheld", "turned, jaw withheld")


def scored(
    net: SegmentationNet,
    meshes: Iterable[Mesh],
    condition: str,
    drawn: list[Drawn],
    options: PredictOptions | None = None,
) -> list[Scored]:
    """Scores of labelled meshes under one of the CONDITIONS.

    Under the first condition, the labels found are appended to ``drawn``. The row of each mesh also has ``duplicates``.
    """
    found = []
    for mesh, shown in shown_as(condition, meshes):
        assert mesh.labels is not None
        jaw = UNKNOWN_JAW if condition.endswith("withheld") else jaw_of_labels(mesh.labels)
        begun = time.perf_counter()
        prediction = predict_mesh(net, shown, jaw, options)
        found.append(score_prediction(mesh, prediction, time.perf_counter() - begun))
        row = found[-1].row
        row["duplicates"] = duplicates(mesh, prediction.labels)
        if condition == CONDITIONS[0]:
            drawn.append((row["miou"], mesh, prediction.labels))
        print(f"  {row['scan_id']}: miou {row['miou']:.4f}, {row['predicted_jaw']} jaw", flush=True)
    return found


def shown_as(condition: str, meshes: Iterable[Mesh]) -> Iterator[tuple[Mesh, Mesh]]:
    """Each mesh, and the mesh that the net is shown under one of the CONDITIONS."""
    rng = np.random.default_rng(SEED)
    for mesh in meshes:
        yield mesh, turned(mesh, random_rotation(rng, 180)) if condition.startswith("turned") else mesh


def duplicates(mesh: Mesh, labels: np.ndarray) -> int:
    """How many teeth have a number that another tooth has already.

    A tooth is a connected piece with at least the area of a whole tooth. All pieces with one number count, except one.
    """
    piece = label_pieces(labels, mesh.adjacency)
    first = np.unique(piece, return_index=True)[1]
    number, area = labels[first], np.bincount(piece, weights=mesh.areas)
    teeth = number[(number > 0) & (area >= WHOLE_TOOTH)]
    return len(teeth) - len(np.unique(teeth))


def draw_worst(drawn: list[Drawn], file: Path) -> None:
    """Draw the scans with the lowest scores, the true labels beside the labels found."""
    panels = []
    for miou, mesh, labels in sorted(drawn, key=lambda item: item[0])[:WORST]:
        panels += [(f"{mesh.scan_id}: truth", mesh, mesh.labels), (f"found, miou {miou:.2f}", mesh, labels)]
    render_grid(file, panels, columns=4, size=2.6)


def other_scanners(data: Path) -> dict[str, list[Mesh]]:
    """The labelled scans of the other data sets, by set."""
    palette = load_palette(f"{data / 'palettes.json'}:teeth3ds")
    return {
        "teeth3ds": [read_scan(file, palette=palette) for file in find_scans([data / "teeth3ds"])],
        "odd-scans": [read_scan(data / "odd-scans" / name) for name in ODD],
    }


def labelled_sets(data: Path, quick: bool = False) -> dict[str, list[Mesh]]:
    """All scans to score on, by set: the validation patients of 3d-iosseg, and the scans of other scanners.

    A quick run takes one patient of 3d-iosseg.
    """
    dataset = iosseg(data).few() if quick else iosseg(data)
    own = [read_scan(scan, palette=dataset.palette) for scan in dataset.validation()]
    return {"3d-iosseg": own} | ({} if quick else other_scanners(data))


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options of a script that scores a model on all sets."""
    parser = data_arguments(doc)
    parser.add_argument("--model", type=Path, default=Path(weights.DEFAULT), help="that of the package if not given")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Score and write."""
    parser = arguments(__doc__)
    parser.add_argument("--picture", type=Path, help="PNG of the worst scans to write")
    options = parse(parser, argv, RESULT)
    net, file = load_segmentation(options.model)
    validation = set(iosseg(options.data).split.val)
    trained = {patient_of(name) for name in (*file.header.get("patients", ()), *file.header.get("train", ()))}
    if trained & validation:
        raise DataError(f"{file.path}: was trained on {sorted(trained & validation)}, patients to score on")
    sets: dict[str, Any] = {}
    drawn: list[Drawn] = []
    for name, meshes in labelled_sets(options.data, options.quick).items():
        for condition in CONDITIONS:
            title = f"{name}, {condition}"
            print(title, flush=True)
            sets[title] = report(scored(net, meshes, condition, drawn))
            for row in sets[title]["per_scan"]:
                row["file"] = Path(row["file"]).name
    content = {
        "sha256": provenance.sha256(file.path),
        "bytes": file.path.stat().st_size,
        "header": file.header,
        "facts": provenance.facts(),
        "sets": sets,
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")
    if options.picture:
        draw_worst(drawn, options.picture)


if __name__ == "__main__":
    run(main)
