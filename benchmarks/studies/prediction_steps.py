"""What each step of prediction is worth: scores with all steps, and with each step left out.

    python -m benchmarks.studies.prediction_steps DATA [--sweep]

Labels the validation patients of 3d-iosseg, teeth3ds and the labelled odd-scans (see default_weights.py) with the
weights in the package. Every scan is turned at random and its jaw withheld. Writes
benchmarks/results/prediction_steps.json.

With ``--sweep``, the script shows instead which tuned constants matter. Each rule of SWEPT is tried two thirds and one
and a half times as large (counts: one less and one more), with the others at their defaults, on the validation patients
of 3d-iosseg. The output of the net for a scan is computed once. So rules that change this output are left out: pose,
region, interpolation and base_share. Rules that change warnings alone are also left out: two_arches and review. The
sweep is not for choosing values, because the validation patients are for scoring. Writes
benchmarks/results/rules_sweep.json row by row. A sweep that was stopped continues.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.default_weights import CONDITIONS, arguments, labelled_sets, scored, shown_as
from toothgraph.evaluation import report, score_prediction
from toothgraph.fdi import UNKNOWN_JAW
from toothgraph.inference import PredictOptions
from toothgraph.inference.predict import Seen, label_faces, see
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import SegmentationNet
from toothgraph.model.crowns import CrownNet
from toothgraph.model.file import ModelFile, default_crowns, load_segmentation
from toothgraph.rules import Rules
from toothgraph.system import provenance
from toothgraph.system.files import write_text

RESULT, SWEEP_RESULT = RESULTS / "prediction_steps.json", RESULTS / "rules_sweep.json"
CONDITION = CONDITIONS[-1]
STEPS = {
    "all steps": PredictOptions(),
    "one tessellation": PredictOptions(tessellations=1),
    "no second look": PredictOptions(crop_to_teeth=False),
    "frame as stored": PredictOptions(find_pose=False),
    "borders as the net puts them": PredictOptions(refine_borders=False),
    "numbers as the net gives them": PredictOptions(assign_numbers=False),
}
SWEPT = ("borders", "pieces", "numbers", "row")  # sections of Rules
SCORES = ("miou", "miou_matched")


@dataclass(frozen=True, eq=False)
class Labelled:
    """A scan, and the output of the net for it.

    Attributes:
        mesh: scan with its true labels.
        shown: the same scan without labels, as the net was shown it.
        seen: output of the net for ``shown``.
    """

    mesh: Mesh
    shown: Mesh
    seen: Seen


@torch.inference_mode()
def seen_by(net: SegmentationNet, meshes: Iterable[Mesh]) -> list[Labelled]:
    """Labelled meshes with the output of a net for them under CONDITION."""
    plain = ((mesh, shown.with_labels(None)) for mesh, shown in shown_as(CONDITION, meshes))
    return [Labelled(mesh, shown, see(net, shown, UNKNOWN_JAW, PredictOptions())) for mesh, shown in plain]


def mean_scores(scans: list[Labelled], crowns: CrownNet, rules: Rules) -> dict[str, float]:
    """The mean SCORES of scans when they are labelled with the given rules."""
    options = PredictOptions(rules=rules)
    rows = [score_prediction(one.mesh, label_faces(one.shown, one.seen, crowns, options), 0.0).row for one in scans]
    return {score: float(np.mean([row[score] for row in rows])) for score in SCORES}


def swept_rules() -> Iterator[tuple[str, str, float, float]]:
    """Section, name, default and tried value of each rule in the sweep."""
    for section in SWEPT:
        own = getattr(Rules(), section)
        for field in fields(own):
            default = getattr(own, field.name)
            for value in values_about(default):
                yield section, field.name, default, value


def values_about(default: float) -> list[float]:
    """Values to try for a default: 2/3 and 3/2 of it; for a count, one less (but not 0) and one more."""
    if isinstance(default, int):
        return [value for value in (default - 1, default + 1) if value >= 1]
    return [round(default * factor, 6) for factor in (2 / 3, 3 / 2)]


def sweep(scans: list[Labelled], crowns: CrownNet, file: ModelFile, out: Path, quick: bool) -> None:
    """Score the values that have no row yet. Rows of other scans, another net or other defaults are dropped."""
    default = Rules()
    about: dict[str, Any] = {
        "sha256": provenance.sha256(file.path),
        "scans": [one.mesh.scan_id for one in scans],
        "default": mean_scores(scans, crowns, default),
    }
    before = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    rows: list[dict[str, Any]] = before["rows"] if about.items() <= before.items() else []
    done = {(row["rule"], row["value"]) for row in rows}
    names = list(dict.fromkeys(f"{section}.{name}" for section, name, *_ in swept_rules()))
    for section, name, usual, value in swept_rules():
        rule = f"{section}.{name}"
        if (rule, value) in done or (quick and rule not in names[:2]):
            continue
        scores = mean_scores(
            scans, crowns, replace(default, **{section: replace(getattr(default, section), **{name: value})})
        )
        change = {f"{score}_change": scores[score] - about["default"][score] for score in SCORES}
        rows.append({"rule": rule, "default": usual, "value": value, **scores, **change})
        write_text(out, json.dumps({**about, "facts": provenance.facts(), "rows": rows}, indent=1) + "\n")
        print(f"{rule} {value:g}: miou {scores['miou']:.4f} ({100 * change['miou_change']:+.2f} points)", flush=True)


def score_steps(net: SegmentationNet, sets: dict[str, list[Mesh]]) -> dict[str, dict[str, Any]]:
    """Scores of each of the STEPS on each set."""
    found: dict[str, dict[str, Any]] = {}
    for name, meshes in sets.items():
        found[name] = {}
        for title, steps in STEPS.items():
            print(f"{name}, {title}", flush=True)
            own = report(scored(net, meshes, CONDITION, [], steps))
            twice = sum(row["duplicates"] for row in own["per_scan"])
            found[name][title] = {"scores": own["scores"], "duplicates": twice}
    return found


def main(argv: list[str] | None = None) -> None:
    """Score and write."""
    parser = arguments(__doc__)
    parser.add_argument("--sweep", action="store_true", help="which tuned constants matter, in place of the steps")
    options = parse(parser, argv)
    net, file = load_segmentation(options.model)
    sets = labelled_sets(options.data, options.quick)
    if options.sweep:
        sweep(
            seen_by(net, sets["3d-iosseg"]),
            net.crowns or default_crowns(),
            file,
            options.out or SWEEP_RESULT,
            options.quick,
        )
        return
    content = {"sha256": provenance.sha256(file.path), "facts": provenance.facts(), "sets": score_steps(net, sets)}
    write_text(options.out or RESULT, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
