"""Numbers of teeth without a neighbour or beside a long gap, in several poses of the same mouth.

    python -m benchmarks.studies.lone_teeth DATA RUNS [--other CHECKOUT]

Teeth are taken out of scans of validation patients, so that teeth stand alone or gaps are long. Each such mouth is
labelled by the net in the package in the frame of the networks, and turned at random. With ``--other``, another
checkout of this repository labels the same files. Writes benchmarks/results/lone_teeth.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS, ROOT
from benchmarks.speed.beside import revision
from benchmarks.studies.datasets import data_arguments, iosseg, runs_argument
from benchmarks.studies.missing_teeth import label_all, without_teeth, write_scan
from toothgraph.anatomy.frame import turned, upright_rotation
from toothgraph.anatomy.molars import counts_past_gap
from toothgraph.fdi import jaw_of_labels
from toothgraph.io.labels import read_scan
from toothgraph.mesh.mesh import Mesh
from toothgraph.metrics.intervals import mean_interval
from toothgraph.scan_names import patient_of
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.transforms.augment import random_rotation
from toothgraph.weights import DEFAULT

RESULT = RESULTS / "lone_teeth.json"
# The teeth to take out, counted from the midline to either side (one side is negative).
PATTERNS: tuple[tuple[int, ...], ...] = (
    (), (5, 6), (-6, -5, 5, 6), (-6, -5, -4, 4, 5, 6), (-3, -2, -1, 1, 2, 3), (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5)
)  # fmt: skip
TURNS = 2  # the first is the frame of the networks


def mouths(files: Sequence[Path], palette: Any) -> Iterator[tuple[Mesh, tuple[int, ...]]]:
    """Labelled scans without some teeth, upright, and these teeth. Labels that count past a gap are left out."""
    for file in files:
        mesh = read_scan(file, palette=palette)
        rotation = upright_rotation(mesh)
        if rotation is None or counts_past_gap(mesh):
            continue
        upright = turned(mesh, rotation)
        for pattern in PATTERNS:
            if (other := without_teeth(upright, pattern, closed=False)) is not None:
                yield other, pattern


def made(runs: Path, files: Sequence[Path], palette: Any) -> list[dict[str, Any]]:
    """Write all mouths in all turns to files; their rows so far."""
    rows = []
    for mesh, pattern in mouths(files, palette):
        assert mesh.labels is not None
        for turn in range(TURNS):
            rng = np.random.default_rng([turn, *map(abs, pattern)])
            lying = turned(mesh, random_rotation(rng, 180)) if turn else mesh
            name = f"{mesh.scan_id}-{PATTERNS.index(pattern)}-{turn}"
            rows.append({
                "scan": mesh.scan_id, "patient": patient_of(mesh.scan_id), "kind": f"turn {turn}", "fold": 0,
                "jaw": jaw_of_labels(mesh.labels), "teeth": list(pattern),
                **write_scan(runs / "scans" / name, lying),
            })  # fmt: skip
    return rows


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each pattern: mouths with all numbers right, in any turn and in all turns; 95 % intervals over patients."""
    found = []
    for pattern in dict.fromkeys(tuple(row["teeth"]) for row in rows):
        own = [row for row in rows if tuple(row["teeth"]) == pattern]
        by_mouth: dict[str, list[dict[str, Any]]] = {}
        for row in own:
            by_mouth.setdefault(row["scan"], []).append(row)
        good = [float(np.mean([_right(row) for row in turns])) for turns in by_mouth.values()]
        found.append({
            "teeth": list(pattern), "mouths": len(by_mouth), "runs": len(own),
            "right": round(float(np.mean(good)), 4),
            "interval": mean_interval(good, [patient_of(scan) for scan in by_mouth]),
            "right_in_all_turns": sum(share == 1 for share in good),
            "numbers_right": round(1 - sum(len(row["wrong"]) for row in own) / sum(row["found"] for row in own), 4),
            "teeth_found": round(sum(row["found"] for row in own) / sum(row["true_teeth"] for row in own), 4),
        })  # fmt: skip
    return found


def _right(row: dict[str, Any]) -> bool:
    return not row["wrong"] and row["found"] == row["true_teeth"]


def main(argv: list[str] | None = None) -> None:
    """Label, score and write."""
    parser = data_arguments(__doc__)
    runs_argument(parser, "of the scans that are made")
    parser.add_argument("--other", type=Path, help="a checkout of another revision")
    options = parse(parser, argv, RESULT)
    dataset = iosseg(options.data)
    files = (dataset.few() if options.quick else dataset).validation()
    scans = made(options.runs, files[:1] if options.quick else files, dataset.palette)
    content: dict[str, Any] = {"facts": provenance.facts(), "by": {}}
    checkouts = {
        revision(checkout): checkout for checkout in (ROOT, options.other and options.other.resolve()) if checkout
    }
    with ThreadPoolExecutor(len(checkouts)) as pool:  # each labels in a process of its own
        labelled = {name: pool.submit(label_all, scans, [Path(DEFAULT)], checkout, options.runs / "labels" / name)
                    for name, checkout in checkouts.items()}  # fmt: skip
    for name, done in labelled.items():
        rows = done.result()
        content["by"][name] = {"summary": summary(rows), "rows": [_kept(row) for row in rows]}
        print(name, json.dumps(content["by"][name]["summary"], indent=1), flush=True)
    write_text(options.out, json.dumps(content, indent=1) + "\n")


def _kept(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("scan", "kind", "teeth", "true_teeth", "found", "wrong", "odds")}


if __name__ == "__main__":
    run(main)
