"""How exact the measures of arches are: on synthetic crowns of known width, and on real scans.

    python -m benchmarks.studies.arch_measures DATA

All arches of 3D-IOSSeg are measured by their own labels. On the validation scans, these measures are compared with
those by the labels of the weights in the package. Writes benchmarks/results/arch_measures.json, in some minutes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.datasets import data_arguments, iosseg
from toothgraph.anatomy.measures import ArchMeasures, measure_arch, measure_pair, unusable
from toothgraph.fdi import JAW_NAMES, LOWER, UPPER
from toothgraph.io.find import find_scans
from toothgraph.io.labels import read_scan
from toothgraph.model.file import load_model
from toothgraph.scan_names import patient_of
from toothgraph.segmentation import segment
from toothgraph.synthetic import Variation, synthetic_arch
from toothgraph.synthetic.layout import lay_out
from toothgraph.system import provenance
from toothgraph.system.files import write_text

RESULT = RESULTS / "arch_measures.json"
NUMBERS = range(1, 8)  # third molars are rarely whole
COARSE, FINE = 10_000, 60_000  # faces
Arches = dict[str, ArchMeasures]  # by scan


def known_widths(arches: int) -> dict[str, float]:
    """Errors in mm of the measured widths of synthetic crowns without variation, which have known widths."""
    errors = []
    for seed in range(arches):
        rng = np.random.default_rng(seed)
        rng.integers(2)  # the arch draws its jaw first
        jaw = seed % 2
        _, teeth = lay_out(rng, jaw, Variation.none(), ())
        found = measure_arch(synthetic_arch(seed, jaw=jaw, faces=30_000, variation=Variation.none())).widths
        errors += [found[tooth.fdi] - tooth.crown.width for tooth in teeth if tooth.fdi in found]
    return {"teeth": len(errors), "mean": float(np.mean(errors)), "largest": float(np.abs(errors).max())}


def by_resolution(arches: int) -> dict[str, Any]:
    """How much the widths of teeth differ between a coarse and a fine mesh of an arch, in mm."""
    changes = []
    for seed in range(arches):
        coarse, fine = (
            measure_arch(synthetic_arch(seed, jaw=seed % 2, faces=faces)).widths for faces in (COARSE, FINE)
        )
        changes += [abs(coarse[fdi] - fine[fdi]) for fdi in coarse if fdi in fine]
    return {"faces": [COARSE, FINE], "teeth": len(changes), "mean": float(np.mean(changes))}


def spread(values: Iterable[float]) -> dict[str, float]:
    """Number, mean and standard deviation of some values."""
    every = list(values)
    deviation = float(np.std(every, ddof=1)) if len(every) > 1 else 0.0
    return {"count": len(every), "mean": float(np.mean(every)) if every else 0.0, "deviation": deviation}


def of_jaw(arches: Arches, jaw: int) -> dict[str, Any]:
    """Statistics of the arches of one jaw: measures, widths of teeth, and differences between right and left."""
    own = [arch for arch in arches.values() if arch.jaw == jaw]
    measures: dict[str, list[float]] = defaultdict(list)
    widths: dict[int, list[float]] = defaultdict(list)
    sides: dict[int, list[float]] = defaultdict(list)
    right, left = (1, 2) if jaw == UPPER else (4, 3)
    for arch in own:
        for measure in arch.measures:
            measures[measure.key] += [] if measure.value is None else [measure.value]
        for number in NUMBERS:
            pair = [
                arch.widths[fdi] for side in (right, left) if not unusable(arch.widths, [fdi := 10 * side + number])
            ]
            widths[number] += pair
            sides[number] += [pair[0] - pair[1]] if len(pair) == 2 else []
    return {
        "arches": len(own),
        "measures": {key: spread(values) for key, values in measures.items()},
        "widths": [spread(widths[number]) for number in NUMBERS],
        "right_minus_left": [spread(sides[number]) for number in NUMBERS],
    }


def bolton(arches: Arches) -> dict[str, dict[str, float]]:
    """Bolton's ratios by patient: ``{measure: {patient: percent}}``."""
    jaws: dict[str, dict[int, ArchMeasures]] = defaultdict(dict)
    for name, arch in arches.items():
        jaws[patient_of(name)][arch.jaw] = arch
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for patient, own in jaws.items():
        if own.keys() >= {UPPER, LOWER}:
            for measure in measure_pair(own[UPPER].widths, own[LOWER].widths):
                if measure.value is not None:
                    found[measure.key][patient] = measure.value
    return found


def differences(own: Arches, found: Arches) -> dict[str, dict[str, float]]:
    """Differences between measures by a model's labels and by the scans' own: median, 95 % quantile and largest."""
    off: dict[str, list[float]] = defaultdict(list)
    for name, arch in found.items():
        off["width"] += [abs(width - own[name].widths[fdi]) for fdi, width in arch.widths.items()
                         if fdi in own[name].widths]  # fmt: skip
        for mine, other in zip(arch.measures, own[name].measures, strict=True):
            if mine.value is not None and other.value is not None:
                off[mine.key].append(abs(mine.value - other.value))
    by_own = bolton({name: own[name] for name in found})
    for key, ratios in bolton(found).items():
        off[key] += [abs(ratio - by_own[key][patient]) for patient, ratio in ratios.items() if patient in by_own[key]]
    return {
        key: {"count": len(values), "median": float(np.median(values)), "95": float(np.quantile(values, 0.95)),
              "largest": max(values)}
        for key, values in off.items() if values
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = parse(data_arguments(__doc__), argv, RESULT)
    dataset = iosseg(options.data)
    dataset = dataset.few() if options.quick else dataset
    every = dataset.training() + dataset.validation() if options.quick else find_scans([dataset.scans])
    validation = {file.stem for file in dataset.validation()}
    net, own, found = load_model(), {}, {}
    for file in every:
        mesh = read_scan(file, palette=dataset.palette)
        own[mesh.scan_id] = measure_arch(mesh)
        if file.stem in validation:
            found[mesh.scan_id] = segment(mesh, net).measures
    content = {
        "facts": provenance.facts(),
        "known_widths": known_widths(2 if options.quick else 10),
        "by_resolution": by_resolution(2 if options.quick else 10),
        "patients": len({patient_of(name) for name in own}),
        "jaws": {JAW_NAMES[jaw]: of_jaw(own, jaw) for jaw in (UPPER, LOWER)},
        "bolton": {key: spread(ratios.values()) for key, ratios in bolton(own).items()},
        "validation_scans": len(found),
        "by_the_model": differences(own, found),
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
