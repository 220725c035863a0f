"""How large a tooth is for its number, and how narrow the best cut through it: one tooth against two neighbours.

    python benchmarks/tooth_cuts.py DATA

From the labels of the training patients alone, no net: what toothgraph/inference/separate.py parts teeth by that bear
one number. Writes benchmarks/results/tooth_cuts.json.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from datasets import data_arguments, iosseg

from toothgraph import provenance
from toothgraph.files import write_text
from toothgraph.inference.separate import BULKY, LARGE, NARROW, SOLID, coarsened, narrowest_cut, widest_cut
from toothgraph.mesh.frame import ALONG
from toothgraph.mesh.labels import read_scan
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import JAW_NAMES, LOWER, UPPER, class_to_position, fdi_to_class, jaw_of_labels
from toothgraph.mesh.tooth_sizes import WHOLE, usual_areas

RESULT = Path(__file__).resolve().parent / "results" / "tooth_cuts.json"
Found = list[tuple[float, float]]  # bulk, width of the narrowest cut


def teeth_of(mesh: Mesh) -> tuple[Mesh, np.ndarray, np.ndarray]:
    """A scan's teeth, as coarse as they are parted, labelled by place; the places in order along the arch, [T]; and
    the area of each, [T]."""
    place = class_to_position(fdi_to_class(mesh.labels))
    tooth = np.flatnonzero(place > 0)
    part = mesh.part(tooth).with_labels(place[tooth])
    coarse = coarsened(part).mesh
    area = np.bincount(coarse.labels, weights=coarse.areas, minlength=17)
    there = np.array([number for number in ALONG if area[number] >= WHOLE])
    return coarse, there, area[there]


def cuts(teeth: Mesh, there: np.ndarray, area: np.ndarray, usual: np.ndarray) -> tuple[Found, Found]:
    """Each tooth, and each pair of neighbours, as if it bore the number of the larger one."""
    one, two = [], []
    for number, own, expected in zip(there, area, usual, strict=True):
        one.append((own / expected, narrowest_cut(teeth.part(teeth.labels == number))[0]))
    for first, second in pairwise(range(len(there))):
        union = teeth.part(np.isin(teeth.labels, there[[first, second]]))
        width, _ = narrowest_cut(union)
        if width > 0:  # else they do not touch
            two.append(((area[first] + area[second]) / max(usual[first], usual[second]), width))
    return one, two


def summary(found: Found) -> dict[str, Any]:
    """How many there are, and which shares of them the constants of toothgraph/inference/separate.py tell apart."""
    bulk, width = np.array(found).T
    parted = [w <= widest_cut(b) for b, w in found]
    shares = {"large": bulk >= LARGE, "bulky": bulk > BULKY, "narrow": width <= NARROW, "less narrow": width <= SOLID}
    return {
        "count": len(found),
        "smallest width": round(float(width.min()), 4),
        **{name: round(float(np.mean(which)), 4) for name, which in shares.items()},
        "parted": round(float(np.mean(parted)), 4),
    }


def main() -> None:
    """Measure and write."""
    options = data_arguments(__doc__, RESULT).parse_args()
    dataset = iosseg(options.data)
    files = dataset.training()
    areas: dict[str, dict[int, list[float]]] = {JAW_NAMES[jaw]: defaultdict(list) for jaw in (UPPER, LOWER)}
    one, two = [], []
    for file in files:
        mesh = read_scan(file, palette=dataset.palette)
        jaw = jaw_of_labels(mesh.labels)
        teeth, there, area = teeth_of(mesh)
        for number, own in zip(there, area, strict=True):
            areas[JAW_NAMES[jaw]][int(number - 1) % 8 + 1].append(float(own))
        single, pairs = cuts(teeth, there, area, usual_areas(there, area, jaw))
        one += single
        two += pairs
    content = {
        "facts": provenance.facts(),
        "scans": len(files),
        "areas": {jaw: {n: round(float(np.median(of[n])), 1) for n in sorted(of)} for jaw, of in areas.items()},
        "limits": {"large": LARGE, "bulky": BULKY, "narrow": NARROW, "less narrow": SOLID},
        "one tooth": summary(one),
        "two neighbours": summary(two),
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
