"""One labelled patient, both jaws: what a net learns from it, whichever patient it is.

    python -m benchmarks.studies.one_patient DATA RUNS

The net is pre-trained once on the unlabelled scans of all training patients, then fine-tuned on one of them, with the
short recipe; the shapes of crowns are learned from the same two scans alone. Scored on the validation patients. Writes
benchmarks/results/one_patient.json, a row per patient as runs finish.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies.cross_validation import FACES, STEPS, short
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg, runs_argument
from benchmarks.studies.rows import minutes_of, score, training_reader
from toothgraph.data.split import Split
from toothgraph.model.file import load_segmentation
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS
from toothgraph.training.finetune import finetune
from toothgraph.training.pretrain import pretrain

KEYS = ("miou", "miou_matched", "accuracy", "teeth_found", "numbers_right", "scans_right")
PATIENTS = ("017", "041", "045", "075")  # 017 lacks its first premolars, 075 is complete


def run_patient(patient: str, init: Path, dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune on a patient, and score the net."""
    config = replace(short(FINETUNE_PRESETS["default"], options), crowns="train")
    scans = training_reader(dataset, options)(config)
    out = options.runs / f"only-{patient}"
    split = Split((patient,), dataset.split.val, {})
    net, file = load_segmentation(finetune(scans, split, out, config, init=init, resume=True))
    found = score(net, dataset)
    return {
        "patient": patient,
        "scores": {key: found["scores"][key] for key in KEYS},
        "minutes": round(minutes_of(out), 1),
        "sha256": provenance.sha256(file.path),
        "facts": file.header["trained"],
    }


def main(argv: list[str] | None = None) -> None:
    """Run what has no row yet."""
    parser = data_arguments(__doc__)
    runs_argument(parser)
    parser.add_argument("--patients", nargs="+", default=list(PATIENTS))
    parser.add_argument("--workers", type=int, default=1, help="processes that make the graphs")
    options = parse(parser, argv, RESULTS / "one_patient.json")
    dataset = iosseg(options.data)
    if options.quick:
        dataset = dataset.few()
        options.patients = list(dataset.split.train[:1])
    before = short(PRETRAIN_PRESETS["default"], options)
    scans = training_reader(dataset, options)(before)
    init = pretrain(scans, dataset.split, options.runs / "pretrained", before, resume=True)
    rows = json.loads(options.out.read_text(encoding="utf-8"))["rows"] if options.out.exists() else []
    for patient in options.patients:
        if any(row["patient"] == patient for row in rows):
            continue
        rows.append(run_patient(patient, init, dataset, options))
        write_text(options.out, json.dumps({"faces": FACES, "steps": STEPS, "rows": rows}, indent=1) + "\n")
        print(rows[-1]["patient"], rows[-1]["scores"], flush=True)


if __name__ == "__main__":
    run(main)
