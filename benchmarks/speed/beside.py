"""Prediction and a training step compared with another checkout of this repository, in turns, on the same files.

    python -m benchmarks.speed.beside OTHER_CHECKOUT SCAN [SCAN ...]

Each checkout has a process of its own that waits for its turn, so that both run under the same conditions. Everything
is measured twice: with threads that spin while they wait for each other, and with threads that sleep. The training step
is a step of the net in the package on one scan: forward, backward and optimiser. Writes
benchmarks/results/beside.json, with the seconds of both checkouts and the ratio over the rounds.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.options import parse, parser_of, quick_folder, run
from benchmarks.paths import RESULTS, ROOT
from toothgraph.errors import ConfigError
from toothgraph.synthetic import write_synthetic
from toothgraph.system import provenance
from toothgraph.system.files import write_text

TASKS = ("predict", "predict and label all faces and vertices", "training step")
WAITING = {"spin (torch's default)": {}, "sleep": {"OMP_WAIT_POLICY": "PASSIVE"}}
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}  # as the commands have them; a child does not import the harness
OTHERS = ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "GOMP_SPINCOUNT")
Made = Any  # result of a task: the digest of its labels, or loss and norm of the gradients of a training step
WORKER = """
import sys, time, hashlib, json, math, torch
import toothgraph as tg
from torch_geometric.data import Batch
from toothgraph.graph.spec import scan_graph
from toothgraph.nn import segmentation_loss
torch.set_num_threads(int(sys.argv[1]))
try:
    from toothgraph.nn import choose_backend
    print(choose_backend(torch.empty(1, 64)), flush=True)
except ImportError:  # an older revision
    print("unknown", flush=True)
net = tg.load_model()
mesh, last, trained = None, None, None
for line in sys.stdin:
    task, file = line.rstrip("\\n").split("\\t")
    if file != last:
        mesh, last = tg.read_mesh(file), file
    again = tg.read_mesh(file)  # nothing kept from the round before
    if task == "training step":
        if trained is None:
            trained, step = tg.load_model().train().requires_grad_(True), torch.optim.AdamW
            step = step(trained.parameters(), lr=0.0)
        graph = scan_graph(again, net.config.graph)[0]
        batch, target = Batch.from_data_list([graph]), torch.zeros(graph.num_nodes, dtype=torch.long)
        torch.manual_seed(0)  # for dropout
    begun = time.perf_counter()
    if task == "training step":
        step.zero_grad()
        loss = segmentation_loss(trained(batch), target)
        loss.backward()
        step.step()
    elif task == "predict":
        labels = tg.predict_mesh(net, again, again.jaw).labels
    else:
        found = tg.segment(again, net)
        labels, _, _, _ = found.face_labels, found.vertex_labels, found.teeth, found.doubts
    seconds = time.perf_counter() - begun
    if task == "training step":
        slopes = [each.grad.double().norm().item() for each in trained.parameters() if each.grad is not None]
        made = [loss.item(), math.hypot(*slopes)]
    else:
        made = hashlib.sha256(labels.tobytes()).hexdigest()
    print(json.dumps([seconds, made]), flush=True)
"""


class Worker:
    """A process that runs tasks with the package of one checkout.

    Attributes:
        backend: that of its layers; `compiled` only in a checkout that was built.

    Raises:
        ConfigError: if the package cannot be loaded.
    """

    def __init__(self, checkout: Path, threads: int, waiting: dict[str, str]) -> None:
        self.checkout = checkout
        env = {name: value for name, value in os.environ.items() if name not in OTHERS}
        env |= {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": str(threads), **HUGE_PAGES, **waiting}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", WORKER, str(threads)],
            cwd=checkout, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        self.backend = self.process.stdout.readline().strip()
        if not self.backend:  # the process has printed why
            raise ConfigError(f"{checkout}: expected a checkout with the package toothgraph, but it cannot be loaded")

    def turn(self, task: str, file: Path) -> tuple[float, Made]:
        """Run a task, and return its seconds and its result."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{task}\t{file.resolve()}\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline()
        if not said:  # the process has printed why
            raise SystemExit(f"{self.checkout}: its package cannot do the task {task!r}")
        seconds, made = json.loads(said)
        return seconds, made

    def end(self) -> None:
        """Let the process finish."""
        self.process.communicate()


def revision(checkout: Path) -> str:
    """The git revision of a checkout.

    Raises:
        ConfigError: if the folder is no git checkout.
    """
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(
            f"{checkout}: expected a git checkout of this repository, found none ({done.stderr.strip()}); make "
            "one with `git worktree add FOLDER REVISION`"
        )
    return done.stdout.strip()


def alike(one: Made, other: Made) -> bool:
    """Whether two revisions have the same result: labels are equal to the byte, numbers to a relative 1e-3.

    Numbers may differ a little, because sums may be computed in another order.
    """
    if isinstance(one, str):
        return bool(one == other)
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(one, other, strict=True))


def rounds(ours: Worker, theirs: Worker, task: str, file: Path, count: int) -> dict[str, Any]:
    """Run some rounds in which both workers have a turn, and return their row. The first round is not counted."""
    pairs, same = [], True
    for number in range(count + 1):
        order = (ours, theirs) if number % 2 else (theirs, ours)
        took = {worker: worker.turn(task, file) for worker in order}
        same &= alike(took[ours][1], took[theirs][1])
        if number:
            pairs.append((took[ours][0], took[theirs][0]))
    ratios = [own / other for own, other in pairs]
    middle = [statistics.median(column) for column in zip(*pairs, strict=True)]
    return {
        "task": task, "file": file.name, "rounds": len(pairs), "same result": same,
        "seconds": {"ours": round(middle[0], 4), "theirs": round(middle[1], 4)},
        "ratio": {
            "median": round(statistics.median(ratios), 4), "min": round(min(ratios), 4), "max": round(max(ratios), 4),
        },
    }  # fmt: skip


def backends(ours: Worker, theirs: Worker) -> dict[str, str]:
    """The backends of both workers. If they differ, this is printed, since the figures then compare these, too."""
    found = {"ours": ours.backend, "theirs": theirs.backend}
    if ours.backend != theirs.backend:
        print(f"the layers of {ours.checkout} are {ours.backend}, those of {theirs.checkout} {theirs.backend}; for the "
              "same backend, build both: pip install -e .", flush=True)  # fmt: skip
    return found


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    parser = parser_of(__doc__, threads="of each process; 1 if not given")
    parser.add_argument("other", type=Path, nargs="?", help="a checkout of another revision")
    parser.add_argument("scans", type=Path, nargs="*", help="files that both read")
    parser.add_argument("--rounds", type=int, default=7, help="of each task; 7 if not given")
    options = parse(parser, argv, RESULTS / "beside.json")
    if not options.scans and not options.quick:
        parser.error("expected OTHER, a checkout of another revision, and SCANS, files that both read")
    options.other = options.other or ROOT
    options.scans = options.scans or write_synthetic(quick_folder(), 1, 3000, 0)
    threads = options.threads or 1
    facts = provenance.facts()
    facts["hardware"]["threads"] = threads
    rows: list[dict[str, Any]] = []
    content = {"facts": facts, "other": revision(options.other), "quick": options.quick, "rows": rows}
    for waiting, how in WAITING.items():
        ours, theirs = (Worker(checkout, threads, how) for checkout in (ROOT, options.other.resolve()))
        content["backends"] = backends(ours, theirs)
        for file, task in product(options.scans, TASKS):
            row = rounds(ours, theirs, task, file, 1 if options.quick else options.rounds)
            rows.append({"waiting threads": waiting, **row})
            print(rows[-1], flush=True)
            write_text(options.out, json.dumps(content, indent=1) + "\n")
        ours.end()
        theirs.end()


if __name__ == "__main__":
    run(main)
