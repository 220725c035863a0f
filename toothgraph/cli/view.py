"""``toothgraph view``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toothgraph.cli.options import (
    JAWS,
    PATH,
    choose_device,
    device_option,
    jaw_option,
    label_system_option,
    memory_option,
    model_option,
    named_palette,
    palette_option,
    threads_option,
    unit_option,
)
from toothgraph.cli.view_folder import Shown, write_pages
from toothgraph.errors import ConfigError
from toothgraph.system.memory import named_shortage

if TYPE_CHECKING:
    from toothgraph.model.nets import SegmentationNet


@click.command(short_help="Show a scan or a folder of scans, as pages or a picture.")
@click.argument("scan", type=PATH)
@click.option(
    "--out", "-o", type=PATH, required=True, help="page.html or picture.png to write; of a folder of scans, a folder."
)
@click.option("--predict", "predicted", is_flag=True, help="Show a model's labels; the scan's own are the truth.")
@model_option
@palette_option
@label_system_option
@jaw_option
@unit_option
@device_option
@threads_option
@memory_option
def view(
    scan: Path,
    out: Path,
    predicted: bool,
    model: Path,
    palette: str | None,
    label_system: str | None,
    jaw: str,
    unit: str | None,
    device: str | None,
) -> None:
    """Show a scan with its labels, or, where it has none or with --predict, with those a model finds.

    A .html is one page that needs no network: turn and zoom, show or hide each tooth, colour by tooth, by confidence,
    and where the truth is known by errors. A .png shows three views. Of a folder of scans, --out is a folder: one page
    for each, and index.html, a list with pictures, by patient, those to be reviewed first.
    """
    from toothgraph.anatomy.frame import outside_out, upright_rotation
    from toothgraph.io.find import find_scans
    from toothgraph.io.labels import read_scan
    from toothgraph.model.file import load_segmentation
    from toothgraph.segmentation import segment

    nets: list[SegmentationNet] = []  # loaded when the first scan needs it

    def load(file: Path) -> Shown:
        mesh = read_scan(
            file, unit=unit or "mm", palette=named_palette(palette), jaw=JAWS[jaw], label_system=label_system or "auto"
        )
        mesh = outside_out(mesh, upright_rotation(mesh))
        if mesh.labels is not None and not predicted:
            return Shown(mesh, mesh.labels)
        if not nets:
            nets.append(load_segmentation(model)[0].to(choose_device(device)))
        found = segment(mesh, nets[0])
        return Shown(found.mesh, found.prediction.labels, found.prediction.confidence, mesh.labels, found.doubts)

    files = find_scans([scan])
    if files == [scan]:
        show_one(scan, out, load)
    else:
        write_pages(files, out, load)


def show_one(file: Path, out: Path, load: Callable[[Path], Shown]) -> None:
    """Write a page or a picture of one scan."""
    from toothgraph.report.page import write_page
    from toothgraph.report.picture import render

    if out.suffix.lower() not in (".html", ".png"):
        raise ConfigError(f"{out}: expected a name that ends in .html or .png")
    if out.exists() and out.samefile(file):
        raise ConfigError(f"{out}: is the scan itself; choose another --out")
    with named_shortage(file):
        shown = load(file)
        if out.suffix.lower() == ".png":
            render(out, shown.mesh, shown.labels, title=shown.mesh.scan_id)
        else:
            write_page(out, shown.mesh, shown.labels, confidence=shown.confidence, truth=shown.truth,
                       doubts=shown.doubts)  # fmt: skip
    click.echo(f"{shown.mesh.scan_id} -> {out}")
