"""What a pre-trained net knows of teeth before it learns labels: each face takes the label of the nearest face.

    python -m benchmarks.studies.one_shot DATA PRETRAINED [PRETRAINED ...]

PRETRAINED are runs or models of `pretrain`. Each face of a validation scan gets the label of the face nearest to it, by
the cosine of the embeddings, among the faces of one labelled patient's scan of the same jaw. An embedding may tell each
face of a scan from all others, but not first molars from second molars across patients. Such an embedding scores badly
here. Each net is compared with its backbone before any training. Writes benchmarks/results/one_shot.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize
from torch_geometric.data import Batch, Data

from benchmarks.options import parse, quick_folder, run
from benchmarks.paths import RESULTS
from benchmarks.studies.cross_validation import short
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg
from benchmarks.studies.few_patients import drawn
from benchmarks.studies.rows import training_reader
from toothgraph.fdi import class_to_fdi, jaw_of_labels
from toothgraph.graph.spec import GraphSpec, scan_graph
from toothgraph.io.find import find_scans
from toothgraph.io.labels import read_scan
from toothgraph.metrics import class_scores, confusion
from toothgraph.model.file import load_backbone, read_model
from toothgraph.model.nets import SegmentationNet
from toothgraph.scan_names import patient_of
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.training.config import PRETRAIN_PRESETS
from toothgraph.training.pretrain import pretrain

DRAWS = 5


def graphs(dataset: Dataset, spec: GraphSpec, patients: tuple[str, ...]) -> dict[str, Data]:
    """The labelled graphs of some patients by scan, in the poses of their files."""
    files = [file for file in find_scans(dataset.places) if patient_of(file.stem) in patients]
    return {file.stem: scan_graph(read_scan(file, palette=dataset.palette), spec)[0] for file in files}


@torch.inference_mode()
def embedded(net: SegmentationNet, graph: Data) -> torch.Tensor:
    """The embedding of each node, of length 1. [N, D]"""
    return normalize(net.backbone(Batch.from_data_list([graph])), dim=1)


def scores(net: SegmentationNet, known: list[Data], others: list[Data]) -> dict[str, float]:
    """Mean scores of the graphs in ``others`` for which ``known`` has a labelled graph of the same jaw."""
    labelled = {jaw_of(graph): (embedded(net, graph), graph.y) for graph in known}
    rows = []
    for graph in others:
        if jaw_of(graph) in labelled:
            memory, y = labelled[jaw_of(graph)]
            nearest = y[(embedded(net, graph) @ memory.T).argmax(dim=1)]
            table = confusion(class_to_fdi(graph.y.numpy()), class_to_fdi(nearest.numpy()))
            rows.append(class_scores(table, jaw_of(graph)))
    return {key: float(np.mean([row[key] for row in rows])) for key in ("miou", "accuracy")}


def jaw_of(graph: Data) -> int:
    """The jaw of a graph, by its labels."""
    return jaw_of_labels(class_to_fdi(graph.y.numpy()))


def hardly_trained(dataset: Dataset, options: argparse.Namespace) -> Path:
    """A model that is trained for two steps, to try the script."""
    options.runs, options.workers = quick_folder(), 1
    config = short(PRETRAIN_PRESETS["default"], options)
    return pretrain(training_reader(dataset, options)(config), dataset.split, options.runs / "pretrained", config)


def main(argv: list[str] | None = None) -> None:
    """Score and write."""
    parser = data_arguments(__doc__)
    parser.add_argument("models", type=Path, nargs="*", metavar="PRETRAINED")
    options = parse(parser, argv, RESULTS / "one_shot.json")
    dataset = iosseg(options.data)
    if options.quick:
        dataset = dataset.few()
        options.models = options.models or [hardly_trained(dataset, options)]
    if not options.models:
        parser.error("expected PRETRAINED, runs or models of pretrain")
    rows: list[dict[str, Any]] = []
    for path in options.models:
        file = read_model(path)
        torch.manual_seed(0)
        net = SegmentationNet(file.net).eval()
        first = {draw: drawn(dataset.split.train, draw, 1) for draw in range(DRAWS)}
        known = {draw: list(graphs(dataset, file.net.graph, who).values()) for draw, who in first.items()}
        others = list(graphs(dataset, file.net.graph, dataset.split.val).values())
        for trained in (False, True):
            if trained:
                load_backbone(net, file)
            for draw, who in first.items():
                found = scores(net, known[draw], others)
                rows.append({"model": path.name, "sha256": provenance.sha256(file.path), "pretrained": trained,
                             "patient": who[0], **found})  # fmt: skip
                print(rows[-1], flush=True)
    write_text(options.out, json.dumps({"facts": provenance.facts(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
