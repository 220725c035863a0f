"""Render benchmarks/README.md from the result files of the speed benchmarks; see render.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from render_common import facts_line, table

SCRIPTS = ("edge_conv", "knn", "info_nce", "backbone", "pretrain_step", "prepare", "predict")
CPU_ONLY = ("prepare",)  # nothing in it runs on a GPU
INTRODUCTION = """# Benchmarks

Rendered by `benchmarks/render.py` from the JSON files in `benchmarks/results`; no figure is typed by hand. Run a
benchmark again, render, and this page follows:

```sh
python benchmarks/edge_conv.py              # writes results/edge_conv.json
python benchmarks/edge_conv.py --device cuda  # writes results/edge_conv-cuda.json
python benchmarks/render.py
```

- Every script takes `--device`, `--threads`, `--quick` (tiny sizes, to try it; needs `--out`) and `--out`.
- Times are wall clock: the median of several rounds, smallest and largest in brackets. The ways of doing one thing
  take turns in one process; the ratio is a way's time over that of the first way in the same round, so above 1 is
  slower than the first. float32 throughout, random weights.
- Memory is what one call takes at its peak above what was there before: on the CPU the peak of the resident memory
  (`VmHWM`, reset before the call; freed memory goes back to the system at once while it is measured, so that what ran
  before does not show), on CUDA that of torch's allocator.
- On Linux, large tensors take huge pages, as in the commands (`THP_MEM_ALLOC_ENABLE=1`).
- The limit is what the machine could do at best: the bytes that must move at the rate of a large copy, or the
  operations that must run at the rate of a large float32 product, whichever takes longer; both rates were measured
  in the same process. "× limit" is how far from it a way is.
- The whole path on real scans, with scores, is on the page `docs/results.md`.
"""


def time_of(value: float) -> str:
    """Seconds to three digits, as ms below a second."""
    return f"{value * 1e3:.3g} ms" if value < 0.9995 else f"{value:.3g} s" if value < 99.95 else f"{value:.0f} s"


def ranged(values: dict[str, float]) -> str:
    """A median of times with its spread."""
    if values["repeats"] == 1:
        return f"{time_of(values['median'])} (one run)"
    return f"{time_of(values['median'])} ({time_of(values['min'])} to {time_of(values['max'])})"


def limit_of(case: dict[str, Any], machine: dict[str, float]) -> float | None:
    """Seconds this case takes at best on that machine; None where nothing is stated."""
    best = max(case["bytes"] / machine["copy_bytes_per_s"], case["flop"] / machine["matmul_flop_per_s"])
    return best or None


def memory_of(way: dict[str, Any]) -> str:
    """Peak memory of a way; that of the process behind it where it was measured."""
    text = f"{way['peak_bytes'] / 1e6:.1f} MB"
    return f"{text} ({way['process_bytes'] / 1e6:.0f} MB)" if "process_bytes" in way else text


def row_of(name: str, way: dict[str, Any] | None, case: dict[str, Any], machine: dict[str, float]) -> list[str]:
    """One way of one case."""
    sizes = [f"{value:,}" if isinstance(value, int) else str(value) for value in case["sizes"].values()]
    if way is None:
        return [*sizes, name, "does not fit", "", "", "", ""]
    seconds, best = way["seconds"], limit_of(case, machine)
    ratio = f"{way['ratio']['median']:.2f}" if "ratio" in way else "1"
    times = f"{seconds['median'] / best:.1f}" if best else "–"
    row = [*sizes, name, ranged(seconds), ratio, memory_of(way), time_of(best) if best else "–", times]
    if "per" in case:
        row.append(f"{seconds['median'] / case['per'] * 1e9:.0f} ns")
    if "unique_bytes" in case:
        total = (case[key] / seconds["median"] / 1e9 for key in ("bytes", "unique_bytes"))
        row += [f"{value:.1f} GB/s" for value in total]
    return row


def section(content: dict[str, Any], machine: dict[str, float]) -> str:
    """A table with the arithmetic of its limit."""
    cases = content["cases"]
    head = [*cases[0]["sizes"], "way", "time", "ratio", "peak memory", "limit", "× limit"]
    head += ["per face"] if "per" in cases[0] else []
    head += ["all bytes", "distinct bytes"] if "unique_bytes" in cases[0] else []
    rows = [row_of(name, way, case, machine) for case in cases for name, way in case["ways"].items()]
    return f"### {content['title']}\n\n{content['note']}\n\n{table(head, rows)}\n"


def device_part(content: dict[str, Any]) -> str:
    """All tables of one result file."""
    machine = content["machine"]
    rates = (
        f"Copy {machine['copy_bytes_per_s'] / 1e9:.1f} GB/s, read and written; "
        f"float32 product {machine['matmul_flop_per_s'] / 1e9:.0f} GFLOP/s."
    )
    name = "CUDA" if content["device"] == "cuda" else "CPU"
    parts = [
        f"**{name}.** {facts_line(content['facts'])} {rates}\n",
        *(section(part, machine) for part in content["sections"]),
    ]
    return "\n".join(parts)


def speed_page(results: Path) -> str:
    """The whole page; what was not measured yet is named as such."""
    parts = [INTRODUCTION]
    for script in SCRIPTS:
        files = {"CPU": results / f"{script}.json", "CUDA": results / f"{script}-cuda.json"}
        found = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}
        parts.append(f"## `{script}`\n")
        if found:
            parts.append(next(iter(found.values()))["question"] + "\n")
        for name in files:
            if name in found:
                parts.append(device_part(found[name]))
            elif name == "CPU" or script not in CPU_ONLY:
                parts.append(f"**{name}.** Not yet measured.\n")
    return "\n".join(parts)
