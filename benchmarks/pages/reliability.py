"""The page docs/reliability.md, from benchmarks/results/fuzz.json and many_scans.json."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import Any

from benchmarks.pages.markdown import rendered, table
from toothgraph.io.formats.gltf import UNPACKED


def reliability_page(fuzz: dict[str, Any], many: dict[str, Any]) -> str:
    """The page on reliability, from the results of fuzzing and of many scans."""
    lines = [
        [row["kind"], *(f"{row[key]:,}" for key in ("inputs", "read", "refused", "died")), str(len(row["findings"]))]
        for row in fuzz["rows"]
    ]
    head = ["kind of file", "inputs", "read", "refused", "died alone", "kinds of findings"]
    inputs = f"{sum(row['inputs'] for row in fuzz['rows']):,}"
    return rendered(
        "reliability",
        fuzz={"inputs": inputs, "seed": fuzz["seed"], "facts": fuzz["facts"], "table": table(head, lines)},
        unpacked=f"{UNPACKED / 1e9:g}",
        made=prepared(many["prepare"]),
        training=trained(many["training"]),
        reading={"facts": many["reading"]["facts"], "rates": rates_table(many["reading"])},
    )


def prepared(made: dict[str, Any]) -> dict[str, Any]:
    """The data of the page on preparing thousands of scans."""
    told = ("facts", "damaged", "workers", "tessellations", "named", "exactly", "same_bytes")
    sizes = {"peak": "peak_bytes", "largest": "largest_process_bytes", "size": "bytes"}
    reasons = [[way, why] for way, why in made["reasons"].items()]
    return {
        **{name: made[name] for name in told},
        **{name: f"{made[name]:,}" for name in ("scans", "faces")},
        **{name: f"{made[key] / 1e6:,.0f}" for name, key in sizes.items()},
        "ways": len(reasons),
        "seconds": f"{made['seconds']:.0f}",
        "again": f"{made['again_seconds']:.0f}",
        "reasons": table(["damage", "reason given, without the folder's name"], reasons),
        "killed_at": [f"{count:,}" for count in made["killed_at"]],
        "growth": growth_table(made["marks"]),
    }


def growth_table(marks: list[dict[str, float]]) -> str:
    """A table of the time at which each tenth of the scans was finished."""
    lines = [
        [f"{mark['scans']:,}", f"{mark['seconds']:.0f}",
         f"{(mark['scans'] - before['scans']) / (mark['seconds'] - before['seconds']):.1f}"]
        for before, mark in pairwise([{"scans": 0, "seconds": 0.0}, *marks])
    ]  # fmt: skip
    return table(["scans", "s", "scans per s since the line before"], lines)


def trained(training: dict[str, Any]) -> dict[str, Any]:
    """The data of the page on trainings with few and with all scans."""
    by_size: dict[int, list[dict[str, Any]]] = {}
    for run in training["runs"]:
        by_size.setdefault(run["scans"], []).append(run)
    keys = ("peak_bytes", "largest_process_bytes")
    lines = [
        [f"{size:,}", *(median_and_range([run[key] / 1e6 for run in runs]) for key in keys)]
        for size, runs in by_size.items()
    ]
    return {
        **{name: training[name] for name in ("facts", "steps", "batch")},
        "seeds": len(training["runs"]) // len(by_size),
        "pace": training["batch"] / min(run["seconds_per_step"] for run in training["runs"]),
        "memory": table(["scans", "peak of all processes, MB", "of the largest, MB"], lines),
    }


def median_and_range(values: list[float]) -> str:
    """Median and range of some values, as text."""
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def rates_table(reading: dict[str, float]) -> str:
    """A table of scans per second, from disk (cold) and from the system's cache (warm)."""
    lines = [
        [what, *(f"{reading[f'{key}_{cache}']:.0f}" for cache in ("cold", "warm"))]
        for key, what in (("read", "a graph is read"), ("drawn", "two views are read and drawn"))
    ]
    return table(["", "cold", "warm"], lines)
