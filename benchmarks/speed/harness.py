"""What the speed benchmarks share: options, timing in turns, memory, rates of the machine, result files."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as the commands do; torch reads this at its first allocation

import torch

from benchmarks.options import make_room, parse, parser_of
from benchmarks.paths import RESULTS
from toothgraph.errors import ConfigError
from toothgraph.nn import choose_backend
from toothgraph.system import provenance
from toothgraph.system.files import write_text

FLOAT, INDEX = 4, 8  # bytes
LEAST, MOST = 3, 15  # rounds of timing
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's numbers for these settings
Way = Callable[[], object]
Found = TypeVar("Found")
_rows: Path | None = None  # file for the rows of this process


class LeftOut(Exception):
    """Raised by a way that cannot be measured here, with the text of its cell in a table and the reason in one line."""

    def __init__(self, cell: str, reason: object) -> None:
        self.cell, self.reason = cell, " ".join(str(reason).split())[:300]
        super().__init__(f"{self.cell}: {self.reason}")


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every speed benchmark has."""
    parser = parser_of(doc)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rows", type=Path, help="also add each row to this file, as soon as it is measured")
    return parser


def start(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """Read and apply the options, set full float32, and measure the machine (``options.machine``)."""
    global _rows
    options = parse(parser, argv)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "expected a CUDA device, found none (torch.cuda.is_available() is False); --device cpu measures here"
        )
    make_room(options.rows)
    _rows = options.rows
    full_float32()
    options.machine, options.backend = machine(options), backend(options.device)
    print(f"backend of the layers: {options.backend}", flush=True)
    note({"machine": options.machine, "float32": float32(), "backend": options.backend})
    torch.manual_seed(0)
    return options


def full_float32() -> None:
    """Turn TF32 off, even if the environment asks for it: its products have 10 bits in place of 23."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def backend(device: str) -> str:
    """The backend of the layers on a device. On a CPU it is `native` where the package was built without a compiler."""
    return choose_backend(torch.empty(1, 64, device=device))


def float32() -> dict[str, Any]:
    """How torch computes in float32, for the result file."""
    return {"matmul": torch.get_float32_matmul_precision(), "cudnn_tf32": torch.backends.cudnn.allow_tf32}


def note(row: dict[str, Any]) -> None:
    """Append a row to the file of ``--rows``, if that option is given."""
    if _rows:
        with _rows.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"script": Path(sys.argv[0]).stem, **row}) + "\n")


def wait(device: str) -> None:
    """Wait until the device has finished its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(way: Way, device: str) -> float:
    """Wall-clock seconds of one call."""
    wait(device)
    begun = time.perf_counter()
    way()
    wait(device)
    return time.perf_counter() - begun


def resident(field: str = "VmRSS") -> int:
    """Bytes of this process in memory: now (``VmRSS``), or the peak since the last reset (``VmHWM``). Only on Linux."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def reset_peak() -> None:
    """Give freed memory back to the system, and reset ``VmHWM``. Only on Linux with glibc."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


@contextmanager
def exact_memory() -> Iterator[None]:
    """Let freed memory leave the process at once, within this context.

    Otherwise glibc keeps freed blocks of up to 32 MiB, and how many it keeps depends on all that ran before. After the
    context glibc keeps blocks again, as in any process that has run for a while.
    """
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(M_MMAP_THRESHOLD, 1 << 16)
    try:
        yield
    finally:
        mallopt(M_MMAP_THRESHOLD, 1 << 25)
        mallopt(M_TRIM_THRESHOLD, 1 << 26)


def peak_extra(way: Way, device: str) -> int:
    """Bytes that one call takes at its peak, in addition to those taken before the call."""
    if device == "cuda":
        wait(device)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        way()
        wait(device)
        return torch.cuda.max_memory_allocated() - before
    with exact_memory():
        reset_peak()
        before = resident()
        way()
        return resident("VmHWM") - before


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest of some values, and their number."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "repeats": len(values)}


def attempt(measure: Callable[[], Found]) -> Found | LeftOut:
    """The result of a measurement, or why its way is left out: it raises LeftOut, or the GPU's memory is too small."""
    try:
        return measure()
    except LeftOut as error:
        why = LeftOut(error.cell, error.reason)
    except torch.cuda.OutOfMemoryError as error:
        why = LeftOut("does not fit", error)
    torch.cuda.empty_cache()  # only here, because within `except` the error holds the tensors of the way
    return why


def later_peak(way: Way, device: str) -> int:
    """Peak memory of a second call, without what the first call sets up. Both calls also warm up the timing."""
    peak_extra(way, device)
    return peak_extra(way, device)


def compare(ways: dict[str, Way], options: argparse.Namespace, budget: float = 8.0) -> dict[str, Any]:
    """Time several ways of doing one thing, in turns. All other ways are compared with the first one.

    Args:
        ways: by name.
        options: of the script; ``--quick`` times a single round.
        budget: seconds after which no further round begins.

    Returns:
        By name: ``seconds`` and ``ratio`` (time over the first way's time in the same round, if that was measured),
        each with median, min and max, and ``peak_bytes``. For a way that is left out: ``left_out``, the text of its
        cell, and ``reason``.
    """
    device, most = options.device, 1 if options.quick else MOST
    peaks = {name: attempt(partial(later_peak, way, device)) for name, way in ways.items()}
    left_out = {name: why for name, why in peaks.items() if isinstance(why, LeftOut)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    begun = time.perf_counter()
    rounds = 0
    while len(left_out) < len(ways) and (
        rounds < min(LEAST, most) or (rounds < most and time.perf_counter() - begun < budget)
    ):
        for name in [name for name in ways if name not in left_out]:
            took = attempt(partial(seconds, ways[name], device))
            if isinstance(took, LeftOut):
                left_out[name] = took
            else:
                times[name].append(took)
        rounds += 1
    found: dict[str, Any] = {}
    first = next(iter(ways))
    for name, own in times.items():
        if name in left_out:
            found[name] = {"left_out": left_out[name].cell, "reason": left_out[name].reason}
            continue
        found[name] = {"seconds": spread(own), "peak_bytes": peaks[name]}
        if name != first and first not in left_out:
            found[name]["ratio"] = spread([a / b for a, b in zip(own, times[first], strict=True)])
    return found


def machine(options: argparse.Namespace) -> dict[str, float]:
    """Rates of this machine: bytes per second of a copy (read and written), operations per second of a product."""
    device, quick = options.device, options.quick
    source = torch.randn(1 << 20 if quick else 1 << 26, device=device)
    target, size = torch.empty_like(source), 256 if quick else 2048
    a, b = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    rates = compare({"copy": lambda: target.copy_(source), "product": lambda: a @ b}, options, budget=2.0)
    return {
        "copy_bytes_per_s": 2 * FLOAT * source.numel() / rates["copy"]["seconds"]["median"],
        "matmul_flop_per_s": 2 * size**3 / rates["product"]["seconds"]["median"],
    }


def forward_backward(call: Callable[[], torch.Tensor], *leaves: torch.Tensor) -> Way:
    """A way that runs a call, and backward from the sum of its result.

    It removes the gradients of ``leaves`` afterwards, so that each call needs memory for its own gradients.
    """

    def way() -> None:
        try:
            call().sum().backward()
        finally:
            for leaf in leaves:
                leaf.grad = None

    return way


def without_grad(call: Way) -> Way:
    """A way that runs a call without keeping anything for a backward pass."""

    def way() -> object:
        with torch.no_grad():
            return call()

    return way


def section(title: str, note: str, cases: list[dict[str, Any]]) -> dict[str, Any]:
    """A table of the report: its cases, and the arithmetic of the limit in words."""
    return {"title": title, "note": note, "cases": cases}


def case(
    title: str, sizes: dict[str, Any], ways: dict[str, Any], moved: float = 0, flop: float = 0, per: int | None = None
) -> dict[str, Any]:
    """One row group of a section: sizes, measurements, and the bytes and operations that every way needs.

    ``per`` is the number of faces by which a time is divided. The row for ``--rows`` also has the title, which
    separates it from rows with the same sizes in other sections.
    """
    print("  ", *(f"{name} {value}" for name, value in sizes.items()), flush=True)
    for name, way in ways.items():
        print(f"      {name:<44}", line(way), flush=True)
    row = {"sizes": sizes, "bytes": moved, "flop": flop, "ways": ways, **({"per": per} if per else {})}
    note({"section": title, **row})
    return row


def line(way: dict[str, Any]) -> str:
    """One measurement as a line of text."""
    if "left_out" in way:
        return f"{way['left_out']}: {way['reason']}"
    time_, ratio, peak = way["seconds"], way.get("ratio"), way.get("peak_bytes")
    text = f"{time_['median']:9.4f} s ({time_['min']:.4f} to {time_['max']:.4f})"
    text += f"  ×{ratio['median']:5.2f}" if ratio else "        "
    return text if peak is None else text + f"  {peak / 1e6:8.1f} MB"


def write(options: argparse.Namespace, script: str, question: str, sections: list[dict[str, Any]]) -> Path:
    """Write the result file: the measurements, and where they come from. Return its path."""
    name = Path(script).stem + ("-cuda" if options.device == "cuda" else "")
    out = options.out or RESULTS / f"{name}.json"
    content = {
        "question": question,
        "device": options.device,
        "quick": options.quick,
        "facts": provenance.facts(),
        "float32": float32(),
        "backend": options.backend,
        "machine": options.machine,
        "sections": sections,
    }
    write_text(out, json.dumps(content, indent=1) + "\n")
    print(out, file=sys.stderr)
    return out
