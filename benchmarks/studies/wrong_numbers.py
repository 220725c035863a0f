"""A picture of the scans with tooth numbers that differ from the labels, the labels beside what was found.

    python -m benchmarks.studies.wrong_numbers DATA RUNS

Uses the rows of benchmarks/results/missing_teeth.json, and the files that `missing_teeth` wrote to RUNS. Writes
docs/images/missing_teeth-wrong.png.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import IMAGES, RESULTS
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg, runs_argument
from benchmarks.studies.missing_teeth import main as missing_teeth
from toothgraph.fdi import JAW_NAMES, jaw_of_labels
from toothgraph.io.find import find_scans
from toothgraph.io.labels import read_scan
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.picture import render_grid

Panel = tuple[str, Mesh, np.ndarray | None]


def panels(row: dict[str, Any], dataset: Dataset, labels: Path) -> list[Panel]:
    """Two panels of a scan: with its labels, and with the numbers found."""
    (file,) = (file for file in find_scans(dataset.places) if file.stem == row["scan"])
    mesh = read_scan(file, palette=dataset.palette)
    assert mesh.labels is not None
    found = np.load(labels / f"{row['scan']}_{JAW_NAMES[jaw_of_labels(mesh.labels)]}.npy")
    changed = ", ".join(f"{label} → {given}" for label, given in row["wrong"][:3])
    more = " …" if len(row["wrong"]) > 3 else ""
    return [(f"{row['scan']}: labels", mesh, None), (f"{changed}{more}", mesh, found)]


def main(argv: list[str] | None = None) -> None:
    """Draw the picture."""
    parser = data_arguments(__doc__, out="the picture; docs/images/missing_teeth-wrong.png if not given")
    runs_argument(parser, "of missing_teeth")
    parser.add_argument("--result", type=Path, default=RESULTS / "missing_teeth.json")
    options = parse(parser, argv, IMAGES / "missing_teeth-wrong.png")
    if options.quick:
        options.result = options.runs / "missing_teeth.json"
        missing_teeth(["--quick", str(options.data), str(options.runs.parent), "--out", str(options.result)])
    revision, content = next(iter(json.loads(options.result.read_text(encoding="utf-8"))["by"].items()))
    dataset, labels = iosseg(options.data), options.runs / "labels" / revision
    wrong = [row for row in content["rows"] if (row["wrong"] or options.quick) and not row["teeth"]]
    shown = [panel for row in wrong for panel in panels(row, dataset, labels)]
    render_grid(options.out, shown, columns=4, size=2.6)


if __name__ == "__main__":
    run(main)
