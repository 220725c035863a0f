"""Scores of the weights in the package: on patients and scanners they were not trained on.

    python benchmarks/default_weights.py DATA

DATA holds 3d-iosseg with its split file, teeth3ds (scans of another scanner, labels as vertex colours), odd-scans
(exports of other programs) and palettes.json. A scan of another scanner is brought into the frame of the training
scans by the rotation that FRAMES states for it or its set; nothing else is adapted. Writes
benchmarks/results/default_weights.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import iosseg

from toothgraph import provenance, weights
from toothgraph.data.split import patient_of
from toothgraph.errors import DataError
from toothgraph.files import write_text
from toothgraph.inference.evaluate import Scored, report, score_prediction
from toothgraph.inference.predict import predict_mesh
from toothgraph.mesh.labels import find_scans, read_scan
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import UNKNOWN_JAW, jaw_of_labels
from toothgraph.mesh.original import original_of
from toothgraph.mesh.palette import load_palette
from toothgraph.nn import SegmentationNet
from toothgraph.training.checkpoint import load_segmentation

RESULT = Path(__file__).resolve().parent / "results" / "default_weights.json"
# Rows: the axes of the training frame (forward, towards the bite, their cross product) in a scan's coordinates.
FRAMES: dict[str, list[list[float]]] = {
    "teeth3ds": [[0, -1, 0], [0, 0, 1], [-1, 0, 0]],
    "labelled-upper.vtp": [[0, 0, 1], [0, -1, 0], [1, 0, 0]],
    "labelled-lower.vtp": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
    "labelled-missing-12-26-upper.vtp": [[0.5, 0.75**0.5, 0], [0, 0, 1], [0.75**0.5, -0.5, 0]],
    "labelled-universal-non-manifold.vtp": [[0, -1, 0], [0, 0, -1], [1, 0, 0]],
}


def turned(mesh: Mesh, axes: Any) -> Mesh:
    """The mesh, and the surface as its file stores it, in another frame."""
    matrix = np.asarray(axes, dtype=float).T
    original = original_of(mesh)
    original = replace(original, vertices=original.vertices @ matrix)
    return replace(mesh, vertices=mesh.vertices @ matrix, original=original)


def scored(net: SegmentationNet, meshes: Iterable[Mesh], told: bool = True) -> list[Scored]:
    """Scores of labelled meshes, the jaw told or withheld."""
    found = []
    for mesh in meshes:
        begun = time.perf_counter()
        jaw = jaw_of_labels(mesh.labels) if told else UNKNOWN_JAW
        found.append(score_prediction(mesh, predict_mesh(net, mesh, jaw), time.perf_counter() - begun))
        row = found[-1].row
        print(f"  {row['scan_id']}: miou {row['miou']:.4f}, {row['predicted_jaw']} jaw", flush=True)
    return found


def other_scanners(data: Path) -> dict[str, list[Mesh]]:
    """The labelled scans of other sets, turned as FRAMES says."""
    palette = load_palette(f"{data / 'palettes.json'}:teeth3ds")
    teeth3ds = [read_scan(file, palette=palette) for file in find_scans([data / "teeth3ds"])]
    odd = [name for name in FRAMES if name != "teeth3ds"]
    return {
        "teeth3ds": [turned(mesh, FRAMES["teeth3ds"]) for mesh in teeth3ds],
        "odd-scans": [turned(read_scan(data / "odd-scans" / name), FRAMES[name]) for name in odd],
    }


def main() -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--model", type=Path, default=Path(weights.DEFAULT))
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    net, file = load_segmentation(options.model)
    dataset = iosseg(options.data)
    trained = {patient_of(name) for name in (*file.header.get("patients", ()), *file.header.get("train", ()))}
    if trained & set(dataset.split.val):
        raise DataError(f"{file.path}: was trained on {sorted(trained & set(dataset.split.val))}, patients to score on")
    own = [read_scan(scan, palette=dataset.palette) for scan in dataset.validation()]
    sets: dict[str, Any] = {}
    for name, meshes in ({"3d-iosseg": own} | other_scanners(options.data)).items():
        for told in (True, False):
            title = name if told else f"{name}, jaw withheld"
            print(title, flush=True)
            sets[title] = report(scored(net, meshes, told))
            for row in sets[title]["per_scan"]:
                row["file"] = Path(row["file"]).name
    content = {
        "sha256": provenance.sha256(file.path),
        "bytes": file.path.stat().st_size,
        "header": file.header,
        "frames": FRAMES,
        "facts": provenance.facts(),
        "sets": sets,
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
