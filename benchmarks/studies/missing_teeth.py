"""Tooth numbers where teeth are missing: in scans of all patients, and in scans with teeth taken out.

    python -m benchmarks.studies.cross_validation DATA RUNS    # nets for the folds
    python -m benchmarks.studies.missing_teeth DATA RUNS [--other CHECKOUT]

No net is scored on a patient that it was trained on. Each fold's net gets a net for crowns that is trained on the same
patients. Then every held-out scan is labelled: as it is, with teeth taken out and the gap left open, and with teeth
taken out and the gap closed. With ``--other``, another checkout of this repository labels the scans too, with the same
segmentation nets. Writes benchmarks/results/missing_teeth.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS, ROOT
from benchmarks.speed.beside import revision
from benchmarks.studies.cross_validation import folds, train
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg, runs_argument
from benchmarks.studies.readings import that_fit_none
from benchmarks.studies.rows import training_reader
from toothgraph.anatomy.frame import turned, upright_rotation
from toothgraph.anatomy.molars import counts_past_gap
from toothgraph.anatomy.mouth import KINDS as MOUTHS
from toothgraph.anatomy.mouth import kind_of_mouth
from toothgraph.fdi import JAW_NAMES, class_to_fdi, class_to_position, fdi_to_class, jaw_of_labels
from toothgraph.io.find import find_scans
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.labels import read_scan
from toothgraph.mesh.majority import majority
from toothgraph.mesh.mesh import Mesh
from toothgraph.metrics import confusion
from toothgraph.metrics.classes import class_scores, found_teeth, matched_iou
from toothgraph.model.file import load_segmentation, save_model
from toothgraph.rules import DEFAULT
from toothgraph.scan_names import patient_of
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.training.config import FinetuneConfig
from toothgraph.training.crowns import train_crowns
from toothgraph.transforms.close_gap import from_midline, shift_behind

CROWN_STEPS = 800
QUICK_FOLDS = 2
CLOSE = DEFAULT.review.odds  # the next best reading is reported at odds below this
COUNTED = "labels count past a gap"
KINDS = (*MOUTHS, COUNTED, "opened by cutting", "closed by moving")
# The same mouth was scanned, or stored, twice. Neither scan is scored by a net that saw its twin.
TWINS = (("036_L", "045_L"), ("071_L", "095_L"), ("071_U", "095_U"))
DOUBTS = ("doubts", "numbers_doubted")  # any warning; a warning that gives other numbers
LEVELS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)  # confidence levels, to compare with how often numbers are right
CLOSED = 0.95  # share of a gap that closes
# The teeth to take out, counted from the midline to either side (one side is negative), as they go missing in life.
PATTERNS = ((-4, 4), (4,), (-5, 5), (5,), (-2, 2), (6,), (-4, 4, 5), (1,), (-6, 6), (3,))
WORKER = """
import sys, json, numpy as np, torch, toothgraph as tg
torch.set_num_threads(1)
net, last = None, None
for line in sys.stdin:
    model, file, jaw, out = line.rstrip("\\n").split("\\t")
    net, last = (net, last) if model == last else (tg.load_model(model), model)
    mesh = tg.read_mesh(file)
    found = tg.segment(mesh, net, int(jaw))
    np.save(out, found.face_labels)
    other = getattr(found.prediction, "other_reading", None)
    changes, odds = (other.changes, other.odds) if other else ([], None)
    sure = {row.fdi: row.confidence for row in found.teeth if row.fdi > 0}
    print(json.dumps({"doubts": found.doubts, "changes": changes, "odds": odds, "sure": sure}), flush=True)
"""


def net_of(dataset: Dataset, options: argparse.Namespace, fold: int) -> Path:
    """The path of a fold's net, together with a net for crowns that is trained on the same patients."""
    out: Path = options.runs / f"fold-{fold}" / "with-crowns.safetensors"
    if not out.exists():
        net, file = load_segmentation(options.runs / f"fold-{fold}")
        config = FinetuneConfig(net=net.config)
        scans = training_reader(dataset, options)(config)
        graphs = [graph for scan in scans if scan.patient in folds(dataset)[fold].train for graph in scan.variants[:3]]
        net.crowns = train_crowns(graphs, 2 if options.quick else CROWN_STEPS, fold)
        save_model(out, net, file.header)
    return out


def without_teeth(mesh: Mesh, teeth: tuple[int, ...], closed: bool) -> Mesh | None:
    """A labelled scan in the networks' frame without some of its teeth, which are counted from the midline.

    To close a gap, everything behind it moves along the arch, as :mod:`toothgraph.transforms.close_gap` moves a graph.

    Returns:
        None if the scan lacks one of the teeth, or if nothing is behind a gap that should close.
    """
    for tooth in teeth:
        assert mesh.labels is not None
        order = from_midline(class_to_position(fdi_to_class(mesh.labels)))
        if tooth not in order:
            return None
        moved = _shifted(mesh, order, tooth) if closed else mesh.vertices
        if moved is None:
            return None
        keep = order != tooth
        mesh = Mesh(moved, mesh.faces, mesh.labels, mesh.jaw, mesh.scan_id).part(keep)
    return mesh


def _shifted(mesh: Mesh, order: np.ndarray, tooth: int) -> np.ndarray | None:
    """The vertices [V, 3] after the gap of a tooth has closed; None if nothing is behind the tooth."""
    corner, area = mesh.faces.ravel(), np.repeat(mesh.areas, 3)
    of_vertex = (
        majority(corner, np.repeat(order + 20, 3), area, len(mesh.vertices)) - 20
    )  # majority takes no negative numbers
    shift = shift_behind(mesh.vertices[:, [0, 2]], of_vertex, tooth, CLOSED)
    if shift is None:
        return None
    vertices = mesh.vertices.copy()
    vertices[:, [0, 2]] = shift.flat
    return vertices


def make_scans(dataset: Dataset, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Write every scan and its labels to files: as it is, with teeth taken out, and also with the gap closed."""
    made = []
    folder: Path = options.runs / "scans"
    for fold, split in enumerate(folds(dataset)[: QUICK_FOLDS if options.quick else None]):
        files = [file for file in find_scans(dataset.places) if patient_of(file.stem) in split.val]
        for number, file in enumerate(files[: 2 if options.quick else None]):
            if seen_as_twin(file.stem, split.train):
                continue
            mesh = read_scan(file, palette=dataset.palette)
            assert mesh.labels is not None
            base = {
                "fold": fold,
                "scan": file.stem,
                "patient": patient_of(file.stem),
                "jaw": jaw_of_labels(mesh.labels),
            }
            kind = COUNTED if counts_past_gap(mesh) else kind_of_mouth(mesh)
            made.append({**base, "kind": kind, "teeth": [], **write_scan(folder / file.stem, mesh)})
            if kind == COUNTED:
                continue  # such labels do not tell the true numbers
            rotation = upright_rotation(mesh)
            assert rotation is not None  # a labelled scan has teeth
            upright = turned(mesh, rotation)
            for closed in (False, True):
                pattern = PATTERNS[(number + 5 * closed + fold) % len(PATTERNS)]
                other = without_teeth(upright, pattern, closed)
                if other is not None:
                    kind = "closed by moving" if closed else "opened by cutting"
                    name = folder / f"{file.stem}-{'closed' if closed else 'open'}"
                    made.append({**base, "kind": kind, "teeth": list(pattern), **write_scan(name, other)})
    return made


def seen_as_twin(scan: str, trained: Collection[str]) -> bool:
    """Whether a net trained on some patients has seen the mouth of a scan under another name."""
    return any(patient_of(other) in trained for pair in TWINS if scan in pair for other in pair)


def write_scan(path: Path, mesh: Mesh) -> dict[str, Any]:
    """Write a scan and its labels, and return their paths."""
    assert mesh.labels is not None
    jaw = JAW_NAMES[jaw_of_labels(mesh.labels)]
    file, labels = path.with_name(f"{path.name}_{jaw}.stl"), path.with_name(f"{path.name}_{jaw}.npy")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_stl(file, mesh.vertices, mesh.faces)
    np.save(labels, mesh.labels)
    return {"file": str(file), "labels": str(labels)}


def label_all(scans: list[dict[str, Any]], nets: list[Path], checkout: Path, out: Path) -> list[dict[str, Any]]:
    """Label all scans with a checkout of this repository, and return their rows."""
    env = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", WORKER]
    out.mkdir(parents=True, exist_ok=True)
    asked = "".join(
        f"{nets[scan['fold']]}\t{scan['file']}\t{scan['jaw']}\t{out / Path(scan['file']).stem}.npy\n" for scan in scans
    )
    done = subprocess.run(command, cwd=checkout, env=env, input=asked, stdout=subprocess.PIPE, text=True, check=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return [scored(scan, one, out) for scan, one in zip(scans, said, strict=True)]


def scored(scan: dict[str, Any], said: dict[str, Any], out: Path) -> dict[str, Any]:
    """The row of a scan: teeth found, teeth with a wrong number, and teeth for which neither reading is right.

    Where labels count past a gap, a number is wrong if it fits no reading of the tooth's picture. Elsewhere, a number
    is wrong if it is not the label.
    """
    truth, labels = np.load(scan["labels"]), np.load(out / f"{Path(scan['file']).stem}.npy")
    table = confusion(truth, labels)
    found, given = (class_to_fdi(classes).tolist() for classes in found_teeth(table))
    close = said["odds"] is not None and said["odds"] < CLOSE
    other = dict(map(tuple, said["changes"])) if close else {}
    pairs = list(zip(found, given, strict=True))
    unfit = that_fit_none(scan["scan"], pairs)
    wrong = unfit if scan["kind"] == COUNTED else [(label, number) for label, number in pairs if label != number]
    sure = [(said["sure"][str(number)], (label, number) not in wrong) for label, number in pairs]
    unsaid = [pair for pair in wrong if other.get(pair[1]) != pair[0]]
    return {
        **{name: scan[name] for name in ("scan", "patient", "kind", "teeth")},
        "true_teeth": int(np.count_nonzero(table[1:].sum(axis=1))), "found": len(found), "wrong": wrong,
        "unfit": unfit, "unsaid": len(unsaid),
        "doubts": len(said["doubts"]), "odds": said["odds"], "numbers_doubted": close,
        "miou": class_scores(table, scan["jaw"])["miou"], "miou_matched": matched_iou(table), "sure": sure,
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the teeth of all scans of each kind, with 95 % intervals over patients."""
    found = {}
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["kind"] == kind]
        bad = [row for row in own if row["wrong"]]
        patients = sorted({row["patient"] for row in own})
        counts = np.array([
            [sum(row["found"] for row in own if row["patient"] == name),
             sum(len(row["wrong"]) for row in own if row["patient"] == name),
             sum(row["unsaid"] for row in own if row["patient"] == name),
             sum(len(row["unfit"]) for row in own if row["patient"] == name)]
            for name in patients
        ])  # fmt: skip
        draws = counts[np.random.default_rng(0).integers(len(patients), size=(4000, len(patients)))].sum(axis=1)
        shares = 1 - draws[:, 1:] / draws[:, :1]
        low, high = np.quantile(shares, [0.025, 0.975], axis=0)
        total = counts.sum(axis=0)
        found[kind] = {
            "scans": len(own), "teeth": int(total[0]),
            "teeth_found": round(float(total[0] / sum(row["true_teeth"] for row in own)), 4),
            "numbers_right": [round(float(value), 4) for value in (1 - total[1] / total[0], low[0], high[0])],
            "right_or_said": [round(float(value), 4) for value in (1 - total[2] / total[0], low[1], high[1])],
            "numbers_fit": [round(float(value), 4) for value in (1 - total[3] / total[0], low[2], high[2])],
            **{key: round(float(np.mean([row[key] for row in own])), 4) for key in ("miou", "miou_matched")},
            "scans_wrong": len(bad),
            "wrong_with": {key: sum(bool(row[key]) for row in bad) for key in DOUBTS},
            "right_with": {key: sum(bool(row[key]) for row in own if not row["wrong"]) for key in DOUBTS},
        }  # fmt: skip
    return found


def reliability(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """How often numbers are right, by their confidence."""
    said, right = np.array([pair for row in rows for pair in row["sure"]], dtype=float).reshape(-1, 2).T
    bins = np.digitize(said, LEVELS)
    return [
        {"from": low, "teeth": int(own.sum()), "said": round(float(said[own].mean()), 4),
         "right": round(float(right[own].mean()), 4)}
        for number, low in enumerate((0.0, *LEVELS))
        if (own := bins == number).any()
    ]  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Label, score and write."""
    parser = data_arguments(__doc__)
    runs_argument(parser, "of cross_validation")
    parser.add_argument("--other", type=Path, help="a checkout of another revision")
    parser.add_argument("--workers", type=int, default=1, help="processes that make the graphs")
    options = parse(parser, argv, RESULTS / "missing_teeth.json")
    dataset = iosseg(options.data)
    if options.quick:  # on few patients, with nets trained here
        dataset = dataset.few()
        for fold in range(QUICK_FOLDS):
            train(dataset, options, fold)
    count = QUICK_FOLDS if options.quick else len(folds(dataset))
    nets = [net_of(dataset, options, fold) for fold in range(count)]
    scans = make_scans(dataset, options)
    content: dict[str, Any] = {"facts": provenance.facts(), "crown_steps": CROWN_STEPS, "by": {}}
    arms = [(ROOT, nets)]
    if options.other:  # the other checkout may not know nets for crowns
        arms.append((options.other.resolve(), [net.with_name("model.safetensors") for net in nets]))
    for checkout, of_folds in arms:
        name = revision(checkout)
        rows = label_all(scans, of_folds, checkout, options.runs / "labels" / name)
        content["by"][name] = {
            "summary": summary(rows),
            "reliability": reliability(rows),
            "rows": [{key: value for key, value in row.items() if key != "sure"} for row in rows],
        }
        write_text(options.out, json.dumps(content, indent=1) + "\n")
        print(name, json.dumps(content["by"][name]["summary"], indent=1), flush=True)


if __name__ == "__main__":
    run(main)
