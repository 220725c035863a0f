"""The text that the label-efficiency study prints at its end."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from benchmarks.pages.curves import draw_curve
from benchmarks.pages.figures import points
from benchmarks.pages.statistics import Row, common_seeds, compared, paired_interval
from benchmarks.pages.study_tables import TITLES, study_table
from benchmarks.studies.datasets import Dataset
from toothgraph.cli.terminal import columns, folded
from toothgraph.system.files import write_text
from toothgraph.training.config import FINETUNE_PRESETS


def told(rows: list[Row], dataset: Dataset, options: argparse.Namespace) -> str:
    """The results of the rows as text: the table, what it shows, and what to run next. Also draws the curve."""
    names = [TITLES[name] for name in dict.fromkeys(row["init"] for row in rows)]
    width = columns(sys.stdout)
    said = (
        f"mIoU on {len(dataset.split.val)} validation patients: mean over seeds, with the smallest and the largest; "
        "gains in points, with 95 % intervals over patients and seeds"
    )
    lines = [
        folded(said, width),
        "",
        aligned(study_table(rows)),
        "",
    ]
    if not compared(rows):
        return "\n".join([*lines, f"Not compared yet: {' and '.join(names)} alone, or without a common seed."])
    curve = options.out.with_suffix(".png")
    draw_curve(rows, f"{dataset.name}, {rows[0]['faces']} faces", [curve])
    return "\n".join(
        [*lines, folded(answer(rows), width), f"curve: {curve}", "", *next_command(rows, dataset, options)]
    )


def answer(rows: list[Row]) -> str:
    """A sentence that says where pre-training helps."""
    said = []
    for share, (ours, base) in compared(rows).items():
        mean, low, high = paired_interval(ours, base)
        sure = len(common_seeds(ours, base)) > 1 and (low > 0 or high < 0)
        said.append(f"{share} % {points(mean)}" + ("" if sure else " (not told from zero)"))
    return f"What pre-training gains, by the share of the labels: {'; '.join(said)}."


def next_command(rows: list[Row], dataset: Dataset, options: argparse.Namespace) -> list[str]:
    """The commands to run next: the study itself after a quick try, otherwise the better training with all labels."""
    if options.quick:
        return ["This was a quick try, and its figures mean nothing. Next, run it without --quick."]
    largest = max(compared(rows))
    ours, base = compared(rows)[largest]
    gain, low, high = paired_interval(ours, base)
    better = (ours if gain > 0 else base)[0]
    init = ["--init", str(options.runs / f"pre-{better['seed']}")] if gain > 0 else []
    given = data_options(dataset, options)
    why = f"with {largest} % of the labels, pre-trained is better" if gain > 0 else "scratch does as well"
    sure = "" if low > 0 or high < 0 else ", by less than can be told from zero"
    command = ["toothgraph", "finetune", *given, *init, *options_of(better, options.runs)]
    command += ["--out", str(options.runs / "final")]
    default = ["toothgraph", "finetune", *given, "--init", "default", "--out", str(options.runs / "from-default")]
    return [
        f"Next ({why}{sure}):",
        f"  {shlex.join(command)}",
        "or, from the weights in the package, which this study does not look at:",
        f"  {shlex.join(default)}",
    ]


def data_options(dataset: Dataset, options: argparse.Namespace) -> list[str]:
    """The scans of a study, and what they mean, as a command is told them. Without a split file, one is written."""
    split = None if options.dataset else options.split
    if split is None:
        split = options.runs / "split.json"
        write_text(split, json.dumps({"train": dataset.split.train, "val": dataset.split.val}))
    given = [*map(str, dataset.places), "--split", str(split)]
    given += ["--palette", dataset.palette_option] if dataset.palette_option else []
    given += ["--unit", dataset.unit] if dataset.unit != "mm" else []
    return given + (["--label-system", dataset.label_system] if dataset.label_system != "auto" else [])


def options_of(row: Row, runs: Path) -> list[str]:
    """The options of a run, as a command is told them, where they differ from the preset."""
    preset, given = FINETUNE_PRESETS["default"], []
    for name, usual in (("steps", preset.steps), ("lr", preset.lr), ("faces", preset.net.graph.faces)):
        given += [f"--{name}", f"{row[name]}"] if row[name] != usual else []
    if row["init"] != "scratch" and row["backbone_rate"] != preset.backbone_rate:  # the command has no option for it
        write_text(runs / "final.toml", f"backbone_rate = {row['backbone_rate']}\n")
        given += ["--config", str(runs / "final.toml")]
    return given


def aligned(table: str) -> str:
    """A Markdown table as plain text, with aligned columns and without bars."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    widths = [max(map(len, column)) for column in zip(*(lines[:1] + lines[2:]), strict=True)]
    lines[1] = ["-" * width for width in widths]
    rows = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(row.rstrip() for row in rows)
