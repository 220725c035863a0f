"""``toothgraph view``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toothgraph.cli.options import (
    FILE,
    JAWS,
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
from toothgraph.cli.terminal import say
from toothgraph.errors import ConfigError
from toothgraph.stages import stage
from toothgraph.system.memory import named_shortage
from toothgraph.system.progress import Display


@click.command(short_help="Show a scan, as a page or a picture.")
@click.argument("scan", type=FILE)
@click.option("--out", "-o", type=FILE, required=True, help="page.html or picture.png to write.")
@click.option("--predict", "predicted", is_flag=True, help="Show a model's labels; the scan's own are the truth.")
@model_option
@palette_option
@label_system_option
@jaw_option
@unit_option
@device_option
@threads_option
@memory_option("toothgraph.segmentation")
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
    and where the truth is known by errors. A .png shows three views.
    """
    from toothgraph.anatomy.frame import outside_out, upright_rotation
    from toothgraph.io.labels import read_scan
    from toothgraph.model.file import load_segmentation
    from toothgraph.report.page import write_page
    from toothgraph.report.picture import render
    from toothgraph.segmentation import segment

    if out.suffix.lower() not in (".html", ".png"):
        raise ConfigError(f"{out}: expected a name that ends in .html or .png")
    if out.exists() and out.samefile(scan):
        raise ConfigError(f"{out}: is the scan itself; choose another --out")
    with Display("showing", item=scan.stem), named_shortage(scan):
        mesh = read_scan(
            scan, unit=unit or "mm", palette=named_palette(palette), jaw=JAWS[jaw], label_system=label_system or "auto"
        )
        mesh = outside_out(mesh, upright_rotation(mesh))
        labels, more = mesh.labels, dict[str, Any]()
        if predicted or labels is None:
            stage("loading the net")
            net, _ = load_segmentation(model)
            found = segment(mesh, net.to(choose_device(device)))
            more = {"confidence": found.prediction.confidence, "truth": labels, "doubts": found.doubts}
            mesh, labels = found.mesh, found.prediction.labels
        stage(f"writing {out.name}")
        if out.suffix.lower() == ".png":
            render(out, mesh, labels, title=mesh.scan_id)
        else:
            write_page(out, mesh, labels, **more)
    say(f"{mesh.scan_id} -> {out}")
