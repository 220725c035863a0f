"""Two thousand scans, one in twenty damaged: preparing them with and without interruptions, and training on them.

    python -m benchmarks.robustness.many_scans FOLDER [--parts prepare training reading]

FOLDER is new or empty, or from an earlier run of this script. It takes some GB and can be deleted afterwards. Parts can
be measured one at a time, `prepare` first. The result of each part says when and where it was measured.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import parse, parser_of, quick_folder, run
from benchmarks.paths import RESULTS
from benchmarks.robustness.damage import DAMAGES, write_tree
from toothgraph.data import ViewPairs
from toothgraph.data.prepared.folder import read_prepared
from toothgraph.data.prepared.layout import MANIFEST
from toothgraph.data.scan import without_labels
from toothgraph.errors import ConfigError
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.training.config import PRETRAIN_PRESETS

INTERRUPTIONS = 5  # 1 in a quick run
SEEDS = 3  # trainings of each size, 1 in a quick run; the largest of a few views decides the peak
MARKER = "made-by-many-scans"  # a file in the folder; what else is there may be deleted
TOOTHGRAPH = [sys.executable, "-m", "toothgraph"]


class Watched:
    """A command in a session of its own. The memory of its processes is measured a few times per second.

    Attributes:
        peak: most bytes of all processes together; memory that they share counts once.
        largest: most bytes of a single process.
    """

    def __init__(self, *command: object) -> None:
        self.begun = time.monotonic()
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*TOOTHGRAPH, *map(str, command)], stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.peak = self.largest = 0
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def _look(self) -> None:
        while not self._ended.wait(0.2):
            sizes = [size for pid in session(self.process.pid) if (size := proportional(pid))]
            self.peak = max(self.peak, sum(sizes))
            self.largest = max(self.largest, *sizes, 0)

    def kill(self) -> None:
        """End all processes of the command by ``kill -9``."""
        for pid in session(self.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._ended.set()

    def finish(self) -> dict[str, Any]:
        """Wait until the command has ended, and return its seconds and memory.

        Raises:
            SystemExit: if the command failed.
        """
        code = self.process.wait()
        seconds = time.monotonic() - self.begun
        self._ended.set()
        self._watch.join()
        if code:
            self.output.seek(0)
            raise SystemExit(f"{self.process.args!r}: exit code {code}\n{self.output.read()}")
        return {"seconds": seconds, "peak_bytes": self.peak, "largest_process_bytes": self.largest}


def session(leader: int) -> list[int]:
    """The ids of the processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == leader:
                found.append(int(folder.name))
        except ProcessLookupError:
            continue
    return found


def proportional(pid: int) -> int:
    """Memory of a process in bytes, with its share of shared pages; 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # the process has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def count(folder: Path) -> int:
    """Number of finished scans in a prepared folder, including those in quarantine."""
    return sum(1 for name in ("scans", "quarantine") for _ in folder.glob(f"{name}/[!.]*"))


def digest(folder: Path) -> str:
    """SHA-256 digest of all file names and contents of a prepared folder."""
    total = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("[!.]*") if file.is_file()):
        total.update(f"{file.relative_to(folder)}\n{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def prepared_once(tree: Path, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Prepare all scans without interruption, then once more, and return the times, memory and size.

    ``marks`` tell when each tenth of the scans was finished.
    """
    run = Watched("prepare", tree, out, *given(options))
    marks: list[dict[str, float]] = []
    while run.process.poll() is None:
        done = count(out)
        if done >= options.scans * (len(marks) + 1) / 10:
            marks.append({"scans": done, "seconds": time.monotonic() - run.begun})
        time.sleep(0.2)
    measured = run.finish()
    again = Watched("prepare", tree, out, *given(options)).finish()
    size = sum(file.stat().st_size for file in (out / "scans").iterdir())
    return {**measured, "marks": marks, "again_seconds": again["seconds"], "bytes": size}


def interrupted(tree: Path, out: Path, options: argparse.Namespace) -> list[int]:
    """Prepare all scans with ``kill -9`` at some random moments, and return how many were finished at each."""
    rng, killed = np.random.default_rng(options.seed), []
    times = 1 if options.quick else INTERRUPTIONS
    for number in range(times):
        aim = options.scans * (number + rng.uniform(0.2, 0.8)) / times
        run = Watched("prepare", tree, out, *given(options))
        while count(out) < aim and run.process.poll() is None:
            time.sleep(0.05)
        run.kill()
        killed.append(count(out))
    Watched("prepare", tree, out, *given(options)).finish()
    return killed


def given(options: argparse.Namespace) -> list[object]:
    """The options of the command ``prepare``."""
    return ["--tessellations", options.tessellations, "--workers", options.workers]


def quarantined(out: Path) -> dict[str, str]:
    """The reason for each scan in quarantine, by scan id."""
    with (out / "quarantine.csv").open(newline="", encoding="utf-8") as stream:
        return {row["scan_id"]: row["reason"] for row in csv.DictReader(stream)}


def part(folder: Path, out: Path, scans: int) -> Path:
    """Make a prepared folder with the first scans of another one. The first two patients validate, at any size."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    shutil.copy(folder / "options.json", out)
    (out / "scans").symlink_to((folder / "scans").resolve())
    lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines(keepends=True)
    (out / MANIFEST).write_text("".join(lines[: scans + 1]), encoding="utf-8")
    names = [line.split(",")[1] for line in lines[1 : scans + 1]]
    (out / "split.json").write_text(json.dumps({"train": names[2:], "val": names[:2]}))
    return out


def trained(folder: Path, out: Path, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Memory and seconds per step of a short pre-training."""
    shutil.rmtree(out, ignore_errors=True)
    measured = Watched(
        "pretrain", folder, "--split", folder / "split.json", "--out", out, "--steps", options.steps, "--workers", 1,
        "--device", "cpu", "--seed", seed,
    ).finish()  # fmt: skip
    with (out / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["train_loss"]]
    step = (float(rows[-1]["seconds"]) - float(rows[0]["seconds"])) / (int(rows[-1]["step"]) - int(rows[0]["step"]))
    return {**measured, "seconds_per_step": step}


def reading(folder: Path, draws: int) -> dict[str, float]:
    """Scans per second that one process reads, and draws two views of; outside the system's cache (cold) and in it."""
    config = PRETRAIN_PRESETS["default"]
    scans = read_prepared(folder)[:draws]
    views = ViewPairs([without_labels(scan) for scan in scans], 0, config.views)
    files = [folder / "scans" / f"{scan.scan_id}.safetensors" for scan in scans]

    def rate(way: Any) -> float:
        begun = time.perf_counter()
        for number in range(len(scans)):
            way(number)
        return len(scans) / (time.perf_counter() - begun)

    found = {}
    for name, way in (("read", lambda k: scans[k].variants[0]), ("drawn", lambda k: views[0, k])):
        way(0)  # the first call imports modules
        for file in files:
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        found[f"{name}_cold"] = rate(way)
        found[f"{name}_warm"] = rate(way)
    return found


def claim(folder: Path) -> None:
    """Make the folder, and mark it as one whose contents this script may delete.

    Raises:
        ConfigError: if the folder holds anything and is not marked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MARKER).exists() and any(folder.iterdir()):
        raise ConfigError(
            f"{folder}: expected a new or empty folder, or one of an earlier run, found other files, which "
            f"this script might delete; name another folder, or put a file {MARKER} there if all in it may be deleted"
        )
    (folder / MARKER).touch()


def measure_prepare(options: argparse.Namespace) -> dict[str, Any]:
    """Measure preparing a tree with damaged scans, without and with interruptions."""
    tree, once, stopped = (options.folder / name for name in ("tree", "once", "stopped"))
    for folder in (tree, once, stopped):
        shutil.rmtree(folder, ignore_errors=True)
    damaged = write_tree(tree, options.scans, options.faces, options.seed)
    measured = prepared_once(tree, once, options)
    reasons = quarantined(once)
    example = {way: next((name for name, known in damaged.items() if known == way), None) for way in DAMAGES}
    return {
        **{name: getattr(options, name) for name in ("scans", "faces", "tessellations", "workers", "seed")},
        **measured,
        "damaged": len(damaged),
        "named": len(reasons),
        "exactly": set(reasons) == set(damaged),
        "reasons": {
            way: reasons.get(name, "not named").replace(str(tree), "") for way, name in example.items() if name
        },
        "killed_at": interrupted(tree, stopped, options),
        "same_bytes": digest(once) == digest(stopped),
    }


def measure_training(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the memory of trainings on few and on all scans."""
    once = options.folder / "once"
    good = len(read_prepared(once))
    sizes = {size: part(once, options.folder / f"part{size}", size) for size in (min(options.few, good), good)}
    runs = [
        {"scans": size, "run_seed": seed, **trained(folder, options.folder / "run", seed, options)}
        for seed in range(1 if options.quick else SEEDS)
        for size, folder in sizes.items()
    ]
    return {"steps": options.steps, "batch": PRETRAIN_PRESETS["default"].batch, "runs": runs}


def measure_reading(options: argparse.Namespace) -> dict[str, Any]:
    """Measure how fast scans are read from disk."""
    return {"draws": options.draws, **reading(options.folder / "once", options.draws)}


PARTS = {"prepare": measure_prepare, "training": measure_training, "reading": measure_reading}


def main(argv: list[str] | None = None) -> None:
    """Measure the parts one by one, and write the result of each."""
    parser = parser_of(__doc__, threads="without effect: each command has one")
    parser.add_argument("folder", type=Path, nargs="?", help="takes some GB, and can be deleted afterwards")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--scans", type=int, default=2000)
    parser.add_argument("--faces", type=int, default=16_000)
    parser.add_argument("--few", type=int, default=200, help="scans of the smaller training")
    parser.add_argument("--tessellations", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, argv, RESULTS / "many_scans.json")
    if options.folder is None and not options.quick:
        parser.error("expected FOLDER, for the scans")
    options.folder = options.folder or quick_folder()
    claim(options.folder)
    if options.quick:
        options.scans, options.few, options.faces, options.steps, options.draws = 20, 6, 2_000, 20, 3
    for name in options.parts:
        found = {"facts": provenance.facts(), **PARTS[name](options)}
        content = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
        write_text(options.out, json.dumps({**content, name: found}, indent=1) + "\n")
        print(name, json.dumps(found, indent=1))


if __name__ == "__main__":
    run(main)
