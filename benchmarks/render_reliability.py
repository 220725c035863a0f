"""Render docs/reliability.md from benchmarks/results/fuzz.json and many_scans.json; see render.py."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import Any

from render_common import facts_line, table

# What goes wrong, what happens then, and the test that shows it. Paths from the root of the repository.
FAULTS = [
    ("a training is killed (`kill -9`) at any moment, and started again",
     "it goes on to the same net and the same table, to the bit",
     "tests/integration/test_resume.py"),
    ("Ctrl-C or SIGTERM in a training", "the step ends, `last.ckpt` is written, exit code 130",
     "tests/integration/test_resume.py"),
    ("`last.ckpt` is cut short or empty", "a warning; the run goes on from `previous.ckpt`",
     "tests/integration/test_resume.py"),
    ("both checkpoints are damaged, or hold anything but plain data",
     "refused in one line; nothing in them is executed", "tests/integration/test_bad_input.py"),
    ("a loss that is no number", "the run stops; `bad_batch.json` names the step and the scans",
     "tests/integration/test_bad_input.py"),
    ("the run folder may not be written to, or is a file", "refused in one line before any work",
     "tests/integration/test_bad_input.py"),
    ("the disk is full", "one line names the file; what was there stays whole, and the run goes on once there is room",
     "tests/integration/test_full_disk.py"),
    ("a scan does not fit into memory", "one line with the limit and the option that sets it; `predict` goes on, "
     "training stops before it begins", "tests/test_memory.py"),
    ("one scan of many is empty, cut short, or has labels that do not fit",
     "`prepare` lists it in `quarantine.csv`, training leaves it out with a warning, `predict` exits with 1 at the end",
     "tests/data/test_prepare.py"),
    ("reading a scan takes too long, too much memory, or ends its process", "`prepare` lists it; the others go on",
     "tests/data/test_prepare.py"),
    ("`prepare` is interrupted, or run in parts, and started again", "the same folder, byte for byte",
     "tests/data/test_prepare.py"),
    ("a prepared scan is cut short", "it is named; `prepare` makes it again", "tests/data/test_prepare.py"),
    ("a VTK file that brings the reader down, hangs it, or claims four billion points", "one line names the file",
     "tests/mesh/test_vtk_files.py"),
    ("a 3MF that unpacks to more than 1 GB", "refused", "tests/mesh/test_scene_files.py"),
    ("a scan's id in a list or manifest that leads out of the folder", "refused", "tests/data/test_prepare.py"),
    ("text, JSON and options of any content, by hypothesis", "read or refused in one line", "tests/test_properties.py"),
]  # fmt: skip


def many_section(content: dict[str, Any]) -> str:
    """The section on thousands of scans."""
    made, training, reading = content["prepare"], content["training"], content["reading"]
    marks = [{"scans": 0, "seconds": 0.0}, *made["marks"]]
    growth = [
        [f"{mark['scans']:,}", f"{mark['seconds']:.0f}",
         f"{(mark['scans'] - before['scans']) / (mark['seconds'] - before['seconds']):.1f}"]
        for before, mark in pairwise(marks)
    ]  # fmt: skip
    peaks: dict[int, list[dict[str, Any]]] = {}
    for run in training["runs"]:
        peaks.setdefault(run["scans"], []).append(run)
    rows = [
        [
            f"{size:,}",
            *(median_and_range([run[key] / 1e6 for run in runs]) for key in ("peak_bytes", "largest_process_bytes")),
        ]
        for size, runs in peaks.items()
    ]
    rates = [
        [what, *(f"{reading[f'{key}_{cache}']:.0f}" for cache in ("cold", "warm"))]
        for key, what in (("read", "a graph is read"), ("drawn", "two views are read and drawn"))
    ]
    pace = training["batch"] / min(run["seconds_per_step"] for run in training["runs"])
    found = "exactly the damaged ones" if made["exactly"] else "NOT exactly the damaged ones"
    same = "is the same, byte for byte" if made["same_bytes"] else "is NOT the same"
    return f"""## Many scans

`benchmarks/many_scans.py`: {made["scans"]:,} synthetic scans of {made["faces"]:,} faces, {made["damaged"]} of them
damaged in {len(made["reasons"])} ways. {facts_line(made["facts"])}

`toothgraph prepare` with {made["workers"]} processes and {made["tessellations"]} tessellation(s) per scan took
{made["seconds"]:.0f} s and at most {made["peak_bytes"] / 1e6:,.0f} MB in all its processes together,
{made["largest_process_bytes"] / 1e6:,.0f} MB in the largest; the graphs take {made["bytes"] / 1e6:,.0f} MB on disk.
Started again, with nothing to do but to look at every file, it took {made["again_seconds"]:.0f} s. It named
{made["named"]} scans in `quarantine.csv`, {found}. One of each way:

{table(["damage", "reason given, without the folder's name"], [[way, why] for way, why in made["reasons"].items()])}

Killed (`kill -9`) when {", ".join(f"{number:,}" for number in made["killed_at"])} scans were done with, and started
again each time, the folder {same}.

The first line has the start of the processes in it:

{table(["scans", "s", "scans per s since the line before"], growth)}

Pre-training from the folder: {training["steps"]} steps of {training["batch"]} scans on the CPU, one process that draws
samples; median of {len(training["runs"]) // len(peaks)} seeds, and range. {facts_line(training["facts"])}

{table(["scans", "peak of all processes, MB", "of the largest, MB"], rows)}

Scans per second in one process, with the files not in the system's cache and in it. The CPU took at best {pace:.1f}
scans per second in the steps above, so it never waits; a GPU that takes S scans per second needs S over the lower rate
as `--workers`; none was at hand to show it. {facts_line(reading["facts"])}

{table(["", "cold", "warm"], rates)}
"""


def median_and_range(values: list[float]) -> str:
    """Median and range."""
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def reliability_page(content: dict[str, Any], many: dict[str, Any]) -> str:
    """docs/reliability.md."""
    rows = content["rows"]
    lines = [
        [row["kind"], *(f"{row[key]:,}" for key in ("inputs", "read", "refused", "died")), str(len(row["findings"]))]
        for row in rows
    ]
    total = sum(row["inputs"] for row in rows)
    faults = [[fault, outcome, f"[{test}](../{test})"] for fault, outcome, test in FAULTS]
    return f"""# Reliability

Rendered by `benchmarks/render.py`.

## Damaged files

`tests/fuzz/fuzz.py` mutates valid files of every kind that is read: bytes flipped, cut, repeated and spliced, numbers
replaced by extreme ones. Each input is read in a process with bounded time and memory. A finding is an exception that
is not one of ours, an end of the process, a hang, or memory beyond the bound. VTK files are read in a process of their
own, which may die: that is one error line. `tests/fuzz/guided.py` does the same led by what code an input reaches,
with atheris. {total:,} inputs, seed {content["seed"]}. {facts_line(content["facts"])}

{table(["kind of file", "inputs", "read", "refused", "died alone", "kinds of findings"], lines)}

What earlier runs found is mended and stands as a test: numbers beyond 64 bits in palettes, OFF and OBJ, an infinite
count of vertices, complaints of vtk that quote bytes which are no text, a polygon with more corners than its file has
bytes.

## Faults injected

{table(["fault", "what happens", "shown by"], faults)}

{many_section(many)}"""
