"""The effect of threads on a layer, a training step and a prediction, on a quiet and on a busy machine.

    python -m benchmarks.speed.threads

Each setting runs in a process of its own, because the way in which threads wait is fixed when torch is imported. On a
busy machine, a loop keeps one core busy. Each setting is also measured in two processes at once. Writes
benchmarks/results/threads.json.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.paths import RESULTS

SETTINGS: dict[str, dict[str, str]] = {
    "as the commands choose": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "all threads, spinning (torch's default)": {"OMP_NUM_THREADS": str(os.cpu_count())},
    "all threads, sleeping": {"OMP_NUM_THREADS": str(os.cpu_count()), "OMP_WAIT_POLICY": "PASSIVE"},
}
OTHERS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")
LAYER = {"nodes": 16_000, "neighbors": 20, "channels": 64}


def child(choose: bool, quick: bool) -> None:
    """Print the threads used and the median seconds of each task over some rounds. Imports torch last."""
    from toothgraph.system import threads

    with ExitStack() as stack:
        if choose:
            stack.enter_context(threads.limited(None))
        import torch

        tasks = make_tasks(quick)
        found: dict[str, Any] = {"threads": torch.get_num_threads()}
        for name, (task, budget) in tasks.items():
            task()
            times: list[float] = []
            end = time.monotonic() + (0 if quick else budget)
            while not times or time.monotonic() < end:
                begun = time.perf_counter()
                task()
                times.append(time.perf_counter() - begun)
            found[name] = statistics.median(times)
        print(json.dumps(found))


def make_tasks(quick: bool) -> dict[str, Any]:
    """The tasks to time, each with its seconds of timing, by name."""
    import torch
    from torch_geometric.data import Batch

    from benchmarks.speed.surfaces import arch, mesh_table
    from toothgraph import FastEdgeConv, load_model, predict_mesh
    from toothgraph.graph import scan_graph
    from toothgraph.nn import segmentation_loss

    nodes = 1000 if quick else LAYER["nodes"]
    table = mesh_table(nodes, LAYER["neighbors"])
    conv = FastEdgeConv(LAYER["channels"], LAYER["channels"], norm="batch", act="relu")
    x = torch.randn(table.shape[1], LAYER["channels"], requires_grad=True)
    mesh, net = arch(2000 if quick else 16_000), load_model()
    batch = Batch.from_data_list([scan_graph(mesh, net.config.graph)[0]])
    target = torch.zeros(batch.num_nodes, dtype=torch.long)
    trained = load_model().train()

    def step() -> None:
        segmentation_loss(trained(batch), target).backward()

    return {
        "layer, forward and backward": (lambda: conv(x, neighbor_index=table).sum().backward(), 3.0),
        "training step, one scan": (step, 5.0),
        "predict, 16,000 faces": (lambda: predict_mesh(net, mesh, 0), 5.0),
    }


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep some cores busy with other work, within this context."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measured(setting: str, together: int, quick: bool) -> list[dict[str, Any]]:
    """The measurements of ``together`` processes that run at once with a setting."""
    env = {"THP_MEM_ALLOC_ENABLE": "1", **os.environ}  # huge pages, as the commands have them
    env = {name: value for name, value in env.items() if name not in OTHERS} | SETTINGS[setting]
    script = f"from benchmarks.speed.threads import child; child({not SETTINGS[setting]}, {quick})"
    command = [sys.executable, "-c", script]
    running = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(together)]
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    from benchmarks.options import facts_of_children, parse, parser_of
    from toothgraph.system.files import write_text

    options = parse(parser_of(__doc__, threads="without effect: each setting has its own"), argv)
    rows = []
    for loops in (0, 1)[: 1 if options.quick else 2]:
        for together in (1, 2)[: 1 if options.quick else 2]:
            for setting in list(SETTINGS)[: 2 if options.quick else None]:
                with busy(loops):
                    found = measured(setting, together, options.quick)
                rows.append({"busy cores": loops, "processes": together, "setting": setting, "found": found})
                print(rows[-1], flush=True)
    content = {"facts": facts_of_children(), "quick": options.quick, "layer": LAYER, "rows": rows}
    write_text(options.out or RESULTS / "threads.json", json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    from benchmarks.options import run

    run(main)
