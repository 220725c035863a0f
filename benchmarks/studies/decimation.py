"""What decimation costs before any net is asked: labels carried to the coarse surface and back.

    python -m benchmarks.studies.decimation DATA

The labels of the training patients are carried to coarse surfaces of the size that nets work on, by the largest area,
and back as probabilities, as a prediction carries them. What then differs from the labels, no net can mend. For several
depths by which folds are made deeper while edges collapse. Writes benchmarks/results/decimation.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.options import parse
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import data_arguments, iosseg
from toothgraph.fdi import class_to_fdi, class_to_position, classes_of_jaw, fdi_to_class, jaw_of_labels
from toothgraph.io.labels import read_scan
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.interpolate import interpolate
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.sampling import sample_surface
from toothgraph.metrics import score_scan
from toothgraph.system import provenance
from toothgraph.system.files import write_text

FACES = (4000, 6000)
FOLDS = (0.0, 0.4, 0.8, 1.6)
SURE = 0.9  # probability of the carried label
SCORES = ("miou", "boundary_iou")
POINTS = 20_000  # on each surface, to tell how far the coarse one is from the fine one


def carried(mesh: Mesh, faces: int, folds: float) -> dict[str, float]:
    """Scores of the labels of one scan after the way there and back, and the mean distance of the surfaces, mm."""
    assert mesh.labels is not None
    coarse = decimate(mesh, faces, folds=folds).mesh
    jaw = jaw_of_labels(mesh.labels)
    place = np.maximum(class_to_position(fdi_to_class(coarse.labels)), 0)
    prob = np.full((len(place), 17), (1 - SURE) / 16, dtype=np.float32)
    prob[np.arange(len(place)), place] = SURE
    found = class_to_fdi(classes_of_jaw(jaw))[interpolate(coarse, mesh, prob).argmax(axis=1)]
    nothing = np.zeros(len(mesh.vertices), dtype=np.int64)  # vertices are not scored
    scores = score_scan(mesh.vertices, mesh.faces, mesh.labels, found, nothing, nothing, jaw)
    before, after = (sample_surface(surface.corners, POINTS, np.random.default_rng(0)) for surface in (mesh, coarse))
    return {**{key: scores[key] for key in SCORES}, "distance": float(cKDTree(before).query(after)[0].mean())}


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = parse(data_arguments(__doc__), argv, RESULTS / "decimation.json")
    dataset = iosseg(options.data)
    files = (dataset.few() if options.quick else dataset).training()
    scans = [read_scan(file, palette=dataset.palette) for file in files]
    rows = []
    for faces in FACES:
        for folds in FOLDS:
            found = [carried(mesh, faces, folds) for mesh in scans]
            mean = {key: round(float(np.mean([row[key] for row in found])), 4) for key in found[0]}
            rows.append({"faces": faces, "folds": folds, **mean})
            print(rows[-1], flush=True)
    content: dict[str, Any] = {"facts": provenance.facts(), "scans": len(scans), "rows": rows}
    write_text(Path(options.out), json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
