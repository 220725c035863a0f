"""Render docs/reliability.md from benchmarks/results/fuzz.json; see render.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from render_speed import table

# What goes wrong, what happens then, and the test that shows it. Paths from the root of the repository.
FAULTS = [
    ("a training is killed (`kill -9`) at any moment, and started again", "it goes on to the same net, to the bit",
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
    ("a scan's id in a list or manifest that leads out of the folder", "refused", "tests/data/test_prepare.py"),
]  # fmt: skip


def reliability_page(content: dict[str, Any], facts_line: Callable[[dict[str, Any]], str]) -> str:
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
own, which may die: that is one error line. {total:,} inputs, seed {content["seed"]}. {facts_line(content["facts"])}

{table(["kind of file", "inputs", "read", "refused", "died alone", "kinds of findings"], lines)}

What earlier runs found is mended and stands as a test: numbers beyond 64 bits in palettes, OFF and OBJ, an infinite
count of vertices, complaints of vtk that quote bytes which are no text, a polygon with more corners than its file has
bytes.

## Faults injected

{table(["fault", "what happens", "shown by"], faults)}
"""
