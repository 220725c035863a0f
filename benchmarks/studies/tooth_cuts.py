"""How large a tooth is for its number, and how narrow its narrowest cut is: one tooth compared with two neighbours.

    python -m benchmarks.studies.tooth_cuts DATA

Measured on the labels of the training patients alone, without a net. The limits in toothgraph/rules.py come from here.
They say from which size and up to which width of a cut toothgraph/postprocess/pieces.py separates teeth that have the
same number. Writes benchmarks/results/tooth_cuts.json.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import data_arguments, iosseg
from toothgraph.anatomy.frame import ALONG
from toothgraph.anatomy.sizes import WHOLE_TOOTH, usual_areas
from toothgraph.fdi import JAW_NAMES, LOWER, UPPER, class_to_position, fdi_to_class, jaw_of_labels
from toothgraph.io.labels import read_scan
from toothgraph.mesh.mesh import Mesh
from toothgraph.postprocess.pieces import coarsened, narrowest_cut, widest_cut
from toothgraph.rules import Rules
from toothgraph.system import provenance
from toothgraph.system.files import write_text

RESULT = RESULTS / "tooth_cuts.json"
RULES = Rules()
Found = list[tuple[float, float]]  # bulk (area over expected area), width of the narrowest cut


def teeth_of(mesh: Mesh) -> tuple[Mesh, np.ndarray, np.ndarray]:
    """The teeth of a scan as a coarse mesh labelled by place, the places along the arch [T], and their areas [T].

    The mesh is as coarse as the mesh on which prediction separates teeth.
    """
    assert mesh.labels is not None
    place = class_to_position(fdi_to_class(mesh.labels))
    tooth = np.flatnonzero(place > 0)
    part = mesh.part(tooth).with_labels(place[tooth])
    coarse = coarsened(part, RULES.pieces.face).mesh
    assert coarse.labels is not None
    area = np.bincount(coarse.labels, weights=coarse.areas, minlength=17)
    there = np.array([number for number in ALONG if area[number] >= WHOLE_TOOTH])
    return coarse, there, area[there]


def cuts(teeth: Mesh, there: np.ndarray, area: np.ndarray, usual: np.ndarray) -> tuple[Found, Found]:
    """Bulk and narrowest cut of each tooth, and of each pair of neighbours.

    A pair is compared with the usual area of one tooth: that of its usually larger tooth.
    """
    assert teeth.labels is not None
    one, two = [], []
    for number, own, expected in zip(there, area, usual, strict=True):
        one.append((own / expected, narrowest_cut(teeth.part(teeth.labels == number), RULES)[0]))
    for first, second in pairwise(range(len(there))):
        union = teeth.part(np.isin(teeth.labels, there[[first, second]]))
        width, _ = narrowest_cut(union, RULES)
        if width > 0:  # otherwise the two do not touch
            two.append(((area[first] + area[second]) / max(usual[first], usual[second]), width))
    return one, two


def summary(found: Found) -> dict[str, Any]:
    """The number of teeth or pairs, their smallest width, and the share of them beyond each limit."""
    (bulk, width), limits = np.array(found).T, RULES.pieces
    parted = [w <= widest_cut(b, limits) for b, w in found]
    shares = {
        "large": bulk >= limits.large,
        "bulky": bulk > limits.bulky,
        "narrow": width <= limits.narrow,
        "less narrow": width <= limits.solid,
    }
    return {
        "count": len(found),
        "smallest width": round(float(width.min()), 4),
        **{name: round(float(np.mean(which)), 4) for name, which in shares.items()},
        "parted": round(float(np.mean(parted)), 4),
    }


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = parse(data_arguments(__doc__), argv, RESULT)
    dataset = iosseg(options.data)
    dataset = dataset.few() if options.quick else dataset
    files = dataset.training()
    areas: dict[str, dict[int, list[float]]] = {JAW_NAMES[jaw]: defaultdict(list) for jaw in (UPPER, LOWER)}
    one, two = [], []
    for file in files:
        mesh = read_scan(file, palette=dataset.palette)
        assert mesh.labels is not None
        jaw = jaw_of_labels(mesh.labels)
        teeth, there, area = teeth_of(mesh)
        for number, own in zip(there, area, strict=True):
            areas[JAW_NAMES[jaw]][int(number - 1) % 8 + 1].append(float(own))
        single, pairs = cuts(teeth, there, area, usual_areas(there, area, jaw))
        one += single
        two += pairs
    limits = RULES.pieces
    content = {
        "facts": provenance.facts(),
        "scans": len(files),
        "areas": {jaw: {n: round(float(np.median(of[n])), 1) for n in sorted(of)} for jaw, of in areas.items()},
        "limits": {"large": limits.large, "bulky": limits.bulky, "narrow": limits.narrow, "less narrow": limits.solid},
        "one tooth": summary(one),
        "two neighbours": summary(two),
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
