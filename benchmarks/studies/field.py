"""Files as dental computers hold them: models, shells, crowns alone and parts of arches, both real and made.

    python -m benchmarks.studies.field DATA

DATA holds the folder field (files that failed once, see FILES) and 3d-iosseg with its split file. The same kinds are
also made from scans of the first validation patients (see MADE), each turned at random. All scans are labelled with the
jaw withheld. Writes benchmarks/results/field.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies import shapes
from benchmarks.studies.datasets import data_arguments, iosseg
from toothgraph.anatomy.frame import turned, upright_rotation
from toothgraph.evaluation import score_prediction
from toothgraph.fdi import JAW_NAMES, LOWER, UNKNOWN_JAW, jaw_of_labels
from toothgraph.io.labels import read_scan
from toothgraph.mesh.mesh import Mesh
from toothgraph.metrics import per_tooth
from toothgraph.model.file import load_model
from toothgraph.model.nets import SegmentationNet
from toothgraph.segmentation import segment
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.transforms.augment import random_rotation

RESULT = RESULTS / "field.json"
PATIENTS = 3  # the kinds are made from the scans of so many patients
SCAN, HOLLOW = "scan as it was", "hollow model"

# The files of the folder field, by kind.
FILES = {
    "solid model, U-shaped": ("shapes/closed-u-model_lower.stl", "shapes/closed-u-model_upper.stl"),
    "printed shell": ("shapes/shell-1mm_lower.stl",),
    "crowns alone": ("shapes/crowns-no-gum_lower.stl",),
    "crowns alone, closed": ("shapes/closed-crowns-no-gum_upper.obj",),
    "back teeth of one side": ("shapes/back-teeth-of-one-side_lower.stl",),
    "front teeth": ("shapes/front-teeth-only_lower.stl",),
    "teeth missing": (
        "missing-teeth/Upper013C_upper.stl", "missing-teeth/Upper021C_upper.stl", "missing-teeth/Upper023C_upper.stl",
        "missing-teeth/Upper024C_upper.stl", "missing-teeth/pieces-two-premolars-gone_upper.stl",
    ),
}  # fmt: skip


def side_of(mesh: Mesh, right: bool, first: int, last: int) -> list[int]:
    """FDI numbers of the teeth of a scan on one side, from place ``first`` to place ``last`` from the midline."""
    assert mesh.labels is not None
    quadrant = (4 if right else 3) if jaw_of_labels(mesh.labels) == LOWER else (1 if right else 2)
    there = shapes.teeth_of(mesh)
    return [10 * quadrant + place for place in range(first, last + 1) if 10 * quadrant + place in there]


def front_of(mesh: Mesh, last: int) -> list[int]:
    """FDI numbers of the teeth of a scan on both sides, from place 1 to place ``last`` from the midline."""
    return side_of(mesh, True, 1, last) + side_of(mesh, False, 1, last)


def without_half_of_last_molar(mesh: Mesh) -> Mesh:
    """The scan cut off within the last tooth on the right, so that half of this tooth is left."""
    return shapes.cut_through(mesh, side_of(mesh, True, 1, 8)[-1], 0.5)


# The functions that make each kind from a labelled, upright scan.
MADE: dict[str, Callable[[Mesh], Mesh]] = {
    SCAN: lambda mesh: mesh,
    "solid model, U-shaped": lambda mesh: shapes.solid_u(mesh, 3.0),
    "solid model, U-shaped, high": lambda mesh: shapes.solid_u(mesh, 15.0),
    "solid model": lambda mesh: shapes.solid_full(mesh, 3.0),
    "solid model, high": lambda mesh: shapes.solid_full(mesh, 25.0),
    HOLLOW: lambda mesh: shapes.hollow(mesh, 8.0, 2.0),
    "printed shell": lambda mesh: shapes.shell(mesh, 1.0),
    "printed shell, thin": lambda mesh: shapes.shell(mesh, 0.5),
    "printed shell, grown outwards": lambda mesh: shapes.shell(mesh, -0.5),
    "crowns alone": lambda mesh: shapes.crowns_alone(mesh, closed=False),
    "crowns alone, closed": lambda mesh: shapes.crowns_alone(mesh, closed=True),
    "quadrant": lambda mesh: shapes.around(mesh, side_of(mesh, True, 1, 8)),
    "quadrant, solid": lambda mesh: shapes.solid_u(shapes.around(mesh, side_of(mesh, False, 1, 8)), 4.0),
    "back teeth of one side": lambda mesh: shapes.around(mesh, side_of(mesh, True, 5, 8)),
    "back teeth of the other side": lambda mesh: shapes.around(mesh, side_of(mesh, False, 4, 7)),
    "front teeth": lambda mesh: shapes.around(mesh, front_of(mesh, 3)),
    "last molar cut off": without_half_of_last_molar,
}


def labelled(net: SegmentationNet, mesh: Mesh, kind: str, made: bool) -> dict[str, Any]:
    """The row of a mesh: what is found on it with the jaw withheld, and its scores if the mesh has labels."""
    begun = time.perf_counter()
    found = segment(mesh, net, UNKNOWN_JAW)
    seconds = time.perf_counter() - begun
    labels = found.prediction.labels
    jaw = jaw_of_labels(mesh.labels) if mesh.labels is not None else mesh.jaw
    row: dict[str, Any] = {
        "kind": kind, "name": mesh.scan_id, "made": made, "faces": len(mesh.faces), "jaw": JAW_NAMES[jaw],
        "found_jaw": JAW_NAMES[found.prediction.jaw], "found": sorted({*labels.tolist()} - {0}),
        "doubts": found.doubts, "seconds": round(seconds, 2),
    }  # fmt: skip
    if mesh.labels is not None:
        scored = score_prediction(mesh, found.prediction, seconds)
        row |= {"teeth": shapes.teeth_of(mesh), "tilt": tilt(mesh, labels)}
        row |= {name: round(scored.row[name], 4) for name in ("miou", "miou_matched")}
        row["tooth_iou"] = {one["fdi"]: round(one["iou"], 4) for one in per_tooth([scored.confusion]) if one["fdi"]}
    return row


def tilt(mesh: Mesh, labels: np.ndarray) -> float | None:
    """Degrees between the directions towards the bite by the true and by the found labels; None if either has none."""
    true, found = upright_rotation(mesh), upright_rotation(mesh.with_labels(labels))
    if true is None or found is None:
        return None
    return round(float(np.degrees(np.arccos(np.clip(true[1] @ found[1], -1, 1)))), 1)


def files(data: Path) -> Iterator[tuple[str, Mesh]]:
    """The kind and the mesh of each file of the folder field."""
    for kind, names in FILES.items():
        for name in names:
            yield kind, read_scan(data / "field" / name)


def made_of(scans: list[Mesh], kinds: list[str]) -> Iterator[tuple[str, Mesh]]:
    """All kinds made from labelled scans, each turned at random."""
    for scan, seed in zip(scans, count(), strict=False):
        rotation = upright_rotation(scan)
        assert rotation is not None
        upright = replace(turned(scan, rotation), original=None)
        for kind in kinds:
            turn = random_rotation(np.random.default_rng([seed, list(MADE).index(kind)]), 180)
            yield kind, turned(MADE[kind](upright), turn)


def main(argv: list[str] | None = None) -> None:
    """Label all scans, and write the JSON file."""
    parser = data_arguments(__doc__)
    parser.add_argument("--patients", type=int, default=PATIENTS, help="of which the kinds are made")
    parser.add_argument("--kind", action="append", help="only this kind; may be given more than once")
    options = parse(parser, argv, RESULT)
    net, dataset = load_model(), iosseg(options.data)
    validating = dataset.few().validation() if options.quick else dataset.validation()[: 2 * options.patients]
    scans = [read_scan(file, palette=dataset.palette) for file in validating]
    kinds = [kind for kind in MADE if kind in (options.kind or MADE)]
    found = [] if options.quick else [(*one, False) for one in files(options.data) if one[0] in (options.kind or FILES)]
    rows = []
    for kind, mesh, made in (*found, *((*one, True) for one in made_of(scans, kinds))):
        rows.append(labelled(net, mesh, kind, made))
        print(told(rows[-1]), flush=True)
    write_text(options.out, json.dumps({"facts": provenance.facts(), "rows": rows}, indent=1) + "\n")


def told(row: dict[str, Any]) -> str:
    """A row as one line of text."""
    said = (
        f"{row['kind']}, {row['name']}: {row['found_jaw']} jaw, {len(row['found'])} teeth, {len(row['doubts'])} doubts"
    )
    if "teeth" in row:
        missing, wrong = ({*row[one]} - {*row[other]} for one, other in (("teeth", "found"), ("found", "teeth")))
        said += f", miou {row['miou']}, missing {sorted(missing)}, wrong {sorted(wrong)}"
    return said


if __name__ == "__main__":
    run(main)
