"""``toothgraph view`` of a folder: a page of each scan, and the list of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.errors import ConfigError, ToothgraphError
from toothgraph.scan_names import output_names
from toothgraph.system.memory import named_shortage

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Shown:
    """A scan with the labels to show, and what is known of them if they are a model's."""

    mesh: Any  # Mesh
    labels: np.ndarray
    confidence: np.ndarray | None = None
    truth: np.ndarray | None = None
    doubts: list[str] = field(default_factory=list)


def write_pages(files: list[Path], out: Path, load: Callable[[Path], Shown]) -> None:
    """Write a page of each scan, and the list of all."""
    from toothgraph.anatomy.measures import measure_arch
    from toothgraph.report.index import check_name, entry_of, read_index, write_index
    from toothgraph.report.page import write_page
    from toothgraph.report.tooth_table import tooth_table
    from toothgraph.system.files import check_folder

    if out.suffix.lower() in (".html", ".png"):
        raise ConfigError(f"{out}: expected a folder to write to, since {len(files)} scans are to be shown")
    check_folder(out)
    listed, failed = read_index(out), 0
    for file, name in zip(files, output_names(files), strict=True):
        try:
            check_name(name)
            with named_shortage(file):
                shown = load(file)
                teeth = tooth_table(shown.mesh, shown.labels, shown.confidence)
                write_page(out / f"{name}.html", shown.mesh, shown.labels, title=name, confidence=shown.confidence,
                           truth=shown.truth, teeth=teeth, doubts=shown.doubts)  # fmt: skip
                measures = measure_arch(shown.mesh, shown.labels)
                listed.append(entry_of(name, shown.mesh, shown.labels, teeth, measures, shown.doubts))
        except ToothgraphError as error:
            failed += 1
            click.echo(f"Error: {' '.join(str(error).split())}", err=True)
            continue
        click.echo(f"{name} -> {out / name}.html")
    if failed < len(files):
        click.echo(f"list of the scans -> {write_index(out, listed)}")
    if failed:
        raise ToothgraphError(f"{failed} of {len(files)} scans could not be shown; see above")
