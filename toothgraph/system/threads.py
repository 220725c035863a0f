"""Choose how many threads torch takes and how they wait, before torch is imported. Light to import.

A pass through a net opens hundreds of short parallel regions. Where another process keeps a core busy, the threads of
each region wait for the one that has no core, and by default they wait by spinning: a layer that takes 0.05 s then
takes several times as long. So the commands take no more threads than there are free cores, and the threads sleep while
they wait. Two threads that sleep are slower than one in a training step and in a prediction. Two that spin are faster,
but only while nothing else runs (benchmarks/speed/threads.py). So with fewer than three free cores, one is taken.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STAT = Path("/proc/stat")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_SAMPLE = 0.1  # seconds over which the load is measured
WORTH = 3  # minimum number of free cores for more than one thread
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}  # for the runtimes of GNU and of Intel


def cores() -> int:
    """The number of cores that this process may use, from its CPU affinity and the quota of its container."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _QUOTA.read_text().partition(" ") if _QUOTA.exists() else ("max", "", "")
    return max(1, min(bound, round(int(quota) / int(period)))) if quota.isdigit() else bound


def free_cores() -> int:
    """The number of usable cores that no other process keeps busy now, at least one; all where that is not known."""
    before = _busy_seconds()
    if before is None:
        return cores()
    own, begun = time.process_time(), time.monotonic()
    time.sleep(_SAMPLE)
    after = _busy_seconds()
    elapsed = time.monotonic() - begun
    busy = ((after or before) - before - (time.process_time() - own)) / elapsed
    return max(1, min(cores(), round((os.cpu_count() or 1) - busy)))


def _busy_seconds() -> float | None:
    """Seconds that all cores together have been busy since the machine started; None if not on Linux."""
    if not _STAT.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, _STAT.read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def choice(wanted: int | None) -> tuple[int, str]:
    """The number of threads and the reason for it: the option, the environment, or the number of free cores."""
    if wanted is not None:
        return wanted, "as asked for"
    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        return int(os.environ["OMP_NUM_THREADS"]), "OMP_NUM_THREADS"
    free = free_cores()
    return free if free >= WORTH else 1, f"{free} of {cores()} cores are free"


@contextmanager
def limited(wanted: int | None) -> Iterator[int]:
    """Set the number of threads of torch, and of processes started meanwhile, while the context is active.

    Args:
        wanted: number of threads; None for the number that :func:`choice` finds.
    """
    threads, _ = choice(wanted)
    before: dict[str, str | None] = {name: os.environ.get(name) for name in (*_VARIABLES, *_WAITING)}
    os.environ |= dict.fromkeys(_VARIABLES, str(threads))
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)
    torch = sys.modules.get("torch")  # a command called from Python may find torch already imported
    loaded = torch.get_num_threads() if torch else threads
    if torch:
        torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        if torch:
            torch.set_num_threads(loaded)
        for name, former in before.items():
            if former is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = former
