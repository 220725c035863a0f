"""How large a tooth is compared with the tooth behind it, and which labels count past a closed gap.

    python -m benchmarks.studies.tooth_sizes DATA

Two things are measured, on the labels alone, without a net. The first is the size ratios of neighbouring teeth of the
training patients, by which toothgraph/anatomy/molars.py recognises a molar. The second is all sides of all labelled
scans on which the tooth labelled as second premolar is a molar by its size. Writes benchmarks/results/tooth_sizes.json.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import data_arguments, iosseg
from benchmarks.studies.default_weights import other_scanners
from toothgraph.anatomy.molars import molars_as_premolars
from toothgraph.anatomy.sizes import sizes_by_place
from toothgraph.fdi import class_to_position, fdi_to_class
from toothgraph.io.find import find_scans
from toothgraph.io.labels import read_scan
from toothgraph.scan_names import patient_of
from toothgraph.system import provenance
from toothgraph.system.files import write_text

RESULT = RESULTS / "tooth_sizes.json"
TO_DEVIATION = 1.4826  # standard deviation of a normal distribution over its median absolute deviation


def pairs(sizes: dict[int, np.ndarray], first: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The sizes of a tooth and of the tooth behind it, for each side that has both."""
    there = [(first + side, first + side + 1) for side in (0, 8)]
    return [(sizes[front], sizes[back]) for front, back in there if front in sizes and back in sizes]


def spread(ratios: list[np.ndarray]) -> dict[str, Any]:
    """Median and robust standard deviation of log-ratios [n, 2], which a few wrong labels hardly change."""
    values = np.stack(ratios)
    middle = np.median(values, axis=0)
    deviation = TO_DEVIATION * np.median(np.abs(values - middle), axis=0)
    return {"pairs": len(values), "median": middle.round(4).tolist(), "deviation": deviation.round(4).tolist()}


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = parse(data_arguments(__doc__), argv, RESULT)
    dataset = iosseg(options.data)
    files = dataset.few().training() if options.quick else find_scans([dataset.scans])
    own = [read_scan(file, palette=dataset.palette) for file in files]
    sets = {"3d-iosseg": own} | ({} if options.quick else other_scanners(options.data))
    ratios: dict[str, list[np.ndarray]] = defaultdict(list)
    counted, sides = [], 0
    for name, meshes in sets.items():
        for mesh in meshes:
            assert mesh.labels is not None
            place = class_to_position(fdi_to_class(mesh.labels))
            sizes = sizes_by_place(mesh, place)
            train = name == "3d-iosseg" and patient_of(mesh.scan_id) in dataset.split.train
            for first in (4, 5, 6) if train else ():
                ratios[f"{first}/{first + 1}"] += [np.log(front / back) for front, back in pairs(sizes, first)]
            sides += len(pairs(sizes, 5))
            if molars := molars_as_premolars(mesh, place):
                odds = [round(value, 1) for value in molars.values()]
                counted.append({"set": name, "scan_id": mesh.scan_id, "odds": odds})
    content = {
        "facts": provenance.facts(),
        "ratios": {pair: spread(values) for pair, values in sorted(ratios.items())},
        "scans": sum(map(len, sets.values())),
        "sides": sides,
        "counted": counted,
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
