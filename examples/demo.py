"""The whole way on synthetic arches: make them, pre-train, fine-tune, evaluate, predict one, look at it.

    python examples/demo.py FOLDER

Everything is written into FOLDER. A folder that an earlier demo made is removed first; any other folder that
holds something is refused. Synthetic arches are easy: the scores say nothing about real scans.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

MARKER = ".toothgraph-demo"
REVIEW = 3  # exit code of `predict` for labels that need a look, as those of a net trained for minutes may
ARCHES, FACES = 20, 8000
HELD_OUT = ("0008", "0009")  # patients


def toothgraph(*arguments: object) -> None:
    """Run one command, shown as one would type it; the demo ends with it where it fails."""
    words = [str(argument) for argument in arguments]
    print("\n$ toothgraph " + shlex.join(words), flush=True)
    start = time.monotonic()
    code = subprocess.run([sys.executable, "-m", "toothgraph", *words]).returncode
    if code not in (0, REVIEW):
        sys.exit(f"demo: the command above failed with exit code {code}")
    print(f"({time.monotonic() - start:.0f} s)", flush=True)


def fresh_folder(folder: Path) -> None:
    """An empty folder with our marker in it. Nothing is removed but what an earlier demo made."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        sys.exit(f"demo: {folder} is not a folder; choose another name")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARKER).is_file():
            sys.exit(f"demo: {folder} holds files that no demo made; choose another folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def print_scores(file: Path) -> None:
    """The mean scores and one row per scan."""
    content = json.loads(file.read_text())
    print(f"\n{'scan':<12} {'miou':>7} {'accuracy':>9} {'boundary':>9} {'seconds':>8}")
    for row in content["per_scan"]:
        boundary = row["boundary_iou"] if row["boundary_iou"] is not None else float("nan")
        print(
            f"{row['scan_id']:<12} {row['miou']:>7.3f} {row['accuracy']:>9.3f} {boundary:>9.3f} {row['seconds']:>8.1f}"
        )
    scores = content["scores"]
    print(f"{'mean':<12} {scores['miou']:>7.3f} {scores['accuracy']:>9.3f} {scores['boundary_iou']:>9.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pretrain-steps", type=int, default=80)
    parser.add_argument("--finetune-steps", type=int, default=300)
    given = parser.parse_args()
    folder, start = given.folder, time.monotonic()
    fresh_folder(folder)
    scans, split, labelled = folder / "scans", folder / "split.json", folder / "labelled"

    toothgraph("synth", scans, "--scans", ARCHES, "--faces", FACES)
    patients = sorted({file.stem.split("_")[0] for file in scans.glob("*.stl")})
    train = [patient for patient in patients if patient not in HELD_OUT]
    split.write_text(json.dumps({"train": train, "val": list(HELD_OUT)}, indent=1) + "\n")
    print(f"wrote {split}: {len(train)} patients to train on, {len(HELD_OUT)} held out")

    sizes = ("--split", split, "--faces", 4000)
    toothgraph("pretrain", scans, "--out", folder / "pre", *sizes, "--steps", given.pretrain_steps)
    toothgraph(
        *("finetune", scans, "--out", folder / "fine", "--init", folder / "pre"),
        *(*sizes, "--steps", given.finetune_steps),
    )
    toothgraph("evaluate", scans, "--model", folder / "fine", "--split", split, "--out", folder / "scores.json")
    one = f"{HELD_OUT[0]}_lower"
    toothgraph("predict", scans / f"{one}.stl", "--model", folder / "fine", "--out", labelled, "--picture")

    print_scores(folder / "scores.json")
    print("\nSynthetic arches, patients the net has not seen; real scans are harder.")
    print(f"picture  {labelled / one}.png\nlabels   {labelled / one}.ply, .txt (per face), .json (per vertex)")
    print(f"scores   {folder / 'scores.json'}\nThe demo took {(time.monotonic() - start) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
