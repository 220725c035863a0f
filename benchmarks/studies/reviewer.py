"""How long a review takes: a simulated reviewer puts scans right, from a net's labels and from nothing.

    python -m benchmarks.studies.reviewer DATA

The reviewer sees the truth and takes the cheapest steps until every tooth has its number and an IoU of 0.9. The scans
are those of the validation patients of 3D-IOSSeg. Writes benchmarks/results/reviewer.json.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
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
from toothgraph.model.nets import SegmentationNet
from toothgraph.review.clicks import label_from_clicks
from toothgraph.review.surface import Surface
from toothgraph.segmentation import segment
from toothgraph.system import provenance
from toothgraph.system.files import write_text

PACKAGE, CLICKS, CLICKS_NET, OFF, PAINTING = STARTS = (
    "labels of the net",
    "one click a tooth",
    "one click a tooth, and the net",
    "clicks up to 2 mm off",
    "the brush alone",
)
MISSED = 2.0  # mm, of clicks that are off


def scored(file: Path, dataset: Dataset, net: SegmentationNet) -> list[dict[str, Any]]:
    """A row for each way to begin with a scan."""
    mesh = read_scan(file, palette=dataset.palette)
    assert mesh.labels is not None
    truth, surface = mesh.labels, Surface(mesh)
    found = segment(mesh, net).prediction
    teeth = teeth_of(mesh, truth)
    clicks = [middle_of(mesh, truth, tooth) for tooth in teeth]
    each = [Done("click", THINK + CLICK)] * len(teeth)
    tooth = 1 - found.probabilities[:, 0]
    starts: dict[str, tuple[Callable[[], np.ndarray], list[Done]]] = {
        PACKAGE: (lambda: found.labels, []),
        CLICKS: (lambda: label_from_clicks(surface, clicks, teeth), each),
        CLICKS_NET: (lambda: label_from_clicks(surface, clicks, teeth, tooth), each),
        OFF: (lambda: label_from_clicks(surface, missed(file.stem, surface, truth, clicks), teeth), each),
    }
    rows = []
    for name, (begin, before) in starts.items():
        began = time.perf_counter()
        labels = begin()
        took = time.perf_counter() - began
        after, done = review(surface, truth, labels)
        assert not wrong_teeth(mesh, truth, after)
        rows.append(row_of(file.stem, name, mesh.labels, labels, [*before, *done]) | {
            "wrong": len(wrong_teeth(mesh, truth, labels)), "begin_seconds": round(took, 3)})  # fmt: skip
    nothing = np.zeros_like(truth)
    return [*rows, row_of(file.stem, PAINTING, truth, nothing, painting(mesh, truth)) | {"wrong": len(teeth)}]


def missed(name: str, surface: Surface, truth: np.ndarray, clicks: list[int]) -> list[int]:
    """Other faces of the same teeth, up to ``MISSED`` mm from the middle, drawn by the name of the scan."""
    rng = np.random.default_rng(sum(map(ord, name)))
    off = []
    for face in clicks:
        far = np.linalg.norm(surface.mesh.centroids - surface.mesh.centroids[face], axis=1)
        off.append(int(rng.choice(np.flatnonzero((truth == truth[face]) & (far <= MISSED)))))
    return off


def row_of(scan: str, start: str, truth: np.ndarray, labels: np.ndarray, done: list[Done]) -> dict[str, Any]:
    """What a review took."""
    return {
        "scan": scan, "start": start, "teeth": len(np.unique(truth[truth > 0])),
        "miou_matched": round(matched_iou(confusion(truth, labels)), 4), "operations": len(done),
        "seconds": round(sum(each.seconds for each in done), 1), "kinds": dict(Counter(each.kind for each in done)),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Review and write."""
    options = parse(data_arguments(__doc__), argv, RESULTS / "reviewer.json")
    dataset = iosseg(options.data)
    dataset = dataset.few() if options.quick else dataset
    net = load_model()
    rows: list[dict[str, Any]] = []
    for file in dataset.validation():
        rows += scored(file, dataset, net)
        for row in rows[-len(STARTS) :]:
            print(row, flush=True)
    content = {"facts": provenance.facts(), "model": net.source, "rows": rows}
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
