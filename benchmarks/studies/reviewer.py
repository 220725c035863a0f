"""How long a review takes: a simulated reviewer corrects scans, from a net's labels and from nothing.

    python -m benchmarks.studies.reviewer DATA [--model MODEL]

The reviewer knows the truth and takes the cheapest steps until every tooth has its number and an IoU of 0.9. The scans
are those of the validation patients of 3D-IOSSeg. The nets are the one in the package and, with --model, a net trained
on few labelled patients, as benchmarks.studies.few_patients trains it. Writes benchmarks/results/reviewer.json.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg
from benchmarks.studies.simulated_reviewer import (
    CLICK,
    THINK,
    Done,
    middle_of,
    painting,
    review,
    teeth_of,
    wrong_teeth,
)
from toothgraph import load_model
from toothgraph.io.labels import read_scan
from toothgraph.metrics.classes import confusion, matched_iou
from toothgraph.model.file import load_segmentation
from toothgraph.model.nets import SegmentationNet
from toothgraph.review.clicks import label_from_clicks
from toothgraph.review.embedding import embed
from toothgraph.review.surface import Surface
from toothgraph.scan_names import patient_of
from toothgraph.segmentation import segment
from toothgraph.system import provenance
from toothgraph.system.files import write_text

PACKAGE = "in the package"
NET, CLICKS, EMBEDDED, CLICKS_NET, OFF, PAINTING = STARTS = (
    "labels of the net",
    "one click a tooth",
    "one click a tooth, and the embedding of the net",
    "one click a tooth, and the net",
    "clicks up to 2 mm off",
    "the brush alone",
)
MISSED = 2.0  # mm; largest distance of a click that is off


def scored(file: Path, dataset: Dataset, nets: Mapping[str, SegmentationNet]) -> list[dict[str, Any]]:
    """The rows of a scan, one for each way to begin its review."""
    mesh = read_scan(file, palette=dataset.palette)
    assert mesh.labels is not None
    truth, surface = mesh.labels, Surface(mesh)
    teeth = teeth_of(mesh, truth)
    clicks = [middle_of(mesh, truth, tooth) for tooth in teeth]
    off = missed(file.stem, surface, truth, clicks)
    each = [Done("click", THINK + CLICK)] * len(teeth)

    def row(start: str, net: str, labels: np.ndarray, before: Sequence[Done] = ()) -> dict[str, Any]:
        after, done = review(surface, truth, labels)
        assert not wrong_teeth(mesh, truth, after)
        made = row_of(file.stem, start, truth, labels, [*before, *done])
        return {**made, "net": net, "wrong": len(wrong_teeth(mesh, truth, labels))}

    rows = []
    for name, net in nets.items():
        found = segment(mesh, net).prediction
        tooth = 1 - found.probabilities[:, 0]
        seeing = Surface(mesh, partial(embed, net))
        rows += [row(NET, name, found.labels),
                 row(EMBEDDED, name, label_from_clicks(seeing, clicks, teeth), each),
                 row(CLICKS_NET, name, label_from_clicks(surface, clicks, teeth, tooth), each)]  # fmt: skip
    rows += [row(CLICKS, "", label_from_clicks(surface, clicks, teeth), each),
             row(OFF, "", label_from_clicks(surface, off, teeth), each)]  # fmt: skip
    painted = row_of(file.stem, PAINTING, truth, np.zeros_like(truth), painting(mesh, truth))
    return [*rows, {**painted, "net": "", "wrong": len(teeth)}]


def nets_of(model: Path | None) -> dict[str, SegmentationNet]:
    """The nets to begin with, by their names in the rows."""
    nets = {PACKAGE: load_model()}
    if model:
        net, file = load_segmentation(model)
        patients = sorted(set(map(patient_of, file.header["train"])))
        nets[f"of {len(patients)} labelled patient{'s'[: len(patients) > 1]} ({', '.join(patients)})"] = net
    return nets


def missed(name: str, surface: Surface, truth: np.ndarray, clicks: list[int]) -> list[int]:
    """For each click, a random face of the same tooth up to ``MISSED`` mm away; the name of the scan is the seed."""
    rng = np.random.default_rng(sum(map(ord, name)))
    off = []
    for face in clicks:
        far = np.linalg.norm(surface.mesh.centroids - surface.mesh.centroids[face], axis=1)
        off.append(int(rng.choice(np.flatnonzero((truth == truth[face]) & (far <= MISSED)))))
    return off


def row_of(scan: str, start: str, truth: np.ndarray, labels: np.ndarray, done: list[Done]) -> dict[str, Any]:
    """The row of a review: the score of the labels that it begins with, and the steps and seconds that it takes."""
    return {
        "scan": scan, "start": start, "teeth": len(np.unique(truth[truth > 0])),
        "miou_matched": round(matched_iou(confusion(truth, labels)), 4), "operations": len(done),
        "seconds": round(sum(each.seconds for each in done), 1), "kinds": dict(Counter(each.kind for each in done)),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Review and write."""
    parser = data_arguments(__doc__)
    parser.add_argument("--model", type=Path, help="run folder or model file of a net of few labelled patients")
    options = parse(parser, argv, RESULTS / "reviewer.json")
    dataset = iosseg(options.data)
    dataset = dataset.few() if options.quick else dataset
    facts, nets = provenance.facts(), nets_of(options.model)
    rows: list[dict[str, Any]] = []
    for file in dataset.validation():
        rows += scored(file, dataset, nets)
        print(*(row for row in rows if row["scan"] == file.stem), sep="\n", flush=True)
    content = {"facts": facts, "nets": {name: Path(net.source).name for name, net in nets.items()}, "rows": rows}
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
