"""``toothgraph predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.choices import FORMATS
from toothgraph.cli.exit_codes import REVIEW
from toothgraph.cli.options import (
    JAWS,
    PATH,
    Choice,
    device_option,
    jaw_option,
    load_net,
    memory_option,
    model_option,
    prediction_options,
    scans_argument,
    threads_option,
    unit_option,
)
from toothgraph.cli.terminal import say
from toothgraph.errors import ConfigError, ToothgraphError
from toothgraph.scan_names import output_names
from toothgraph.stages import stage
from toothgraph.system.memory import named_shortage
from toothgraph.system.progress import Display

if TYPE_CHECKING:
    from toothgraph.report.folder import PageFolder
    from toothgraph.segmentation import Segmentation


@click.command(short_help="Label scans.")
@scans_argument
@model_option
@click.option("--out", type=PATH, required=True, help="Folder to write to.")
@jaw_option
@prediction_options
@unit_option
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=Choice(FORMATS),
    help="What to write, may be given several times; stl is a folder <stem>.teeth with one file per tooth, and "
    "vtp and vtk need toothgraph[vtk].  [default: ply, txt, json]",
)
@click.option("--picture", is_flag=True, help="Also write a picture, <stem>.png.")
@click.option(
    "--report",
    is_flag=True,
    help="Also write a page to look at, a picture and a table of the teeth of each scan, and a list of all scans.",
)
@device_option
@threads_option
@memory_option("toothgraph.segmentation")
def predict(
    scans: tuple[Path, ...],
    model: Path,
    out: Path,
    jaw: str,
    unit: str | None,
    formats: tuple[str, ...],
    picture: bool,
    report: bool,
    device: str | None,
    **steps: Any,
) -> None:
    """Label every face and vertex of scans: files, folders or archives (.zip, .gz).

    Writes for each scan <stem>.ply (coloured, with an fdi property on faces and vertices), <stem>.txt (one
    FDI number per face) and <stem>.json (Teeth3DS layout, per vertex, with warnings to review), or what
    --format asks for, in the order of the scan's own file; with --report also <stem>.html, <stem>.png and <stem>.csv
    (area, width and confidence of each tooth), and for all scans in the folder index.html (a list with pictures) and
    measures.csv. A scan that cannot be read is reported and the others are labelled all the same; the exit code is
    then 1. It is 3 if all are labelled, but the labels of a scan cannot be trusted as a whole.
    """
    from toothgraph.inference.options import PredictOptions
    from toothgraph.io.find import find_scans
    from toothgraph.io.read import read_mesh
    from toothgraph.io.write import DEFAULT_FORMATS
    from toothgraph.segmentation import segment
    from toothgraph.system.files import check_folder

    check_folder(out)
    pages = None
    if report:  # matplotlib takes a while to import
        from toothgraph.report.folder import PageFolder

        pages = PageFolder(out)
    net, _ = load_net(model, device)
    options = PredictOptions(**steps)
    files = without_outputs(find_scans(list(scans)), scans, out)
    names = output_names(files)
    failed, doubtful = 0, 0
    with Display("labelling", len(files), item=names[0]) as display:
        for file, name in zip(files, names, strict=True):
            display.begin(name)
            try:
                refuse_overwriting(file, out)
                if pages:
                    pages.check(name)
                refuse_losing_corrections(out / f"{name}.ply")
                with named_shortage(file):
                    found = segment(read_mesh(file, unit=unit or "mm"), net, JAWS[jaw], options)
                    written = found.write(out, name, formats or DEFAULT_FORMATS)
                    write_views(found, out, name, picture, pages)
            except ToothgraphError as error:
                failed += 1
                say(f"Error: {' '.join(str(error).split())}", err=True)
            else:
                doubtful += bool(found.strong_doubts)
                tell(found, name, written[0])
            display.advance()
    if pages and failed < len(files):
        say(f"list of the scans -> {pages.write_list()}")
    if failed:
        raise ToothgraphError(f"{failed} of {len(files)} scans could not be labelled; see above")
    if doubtful:
        say(f"the labels of {doubtful} of {len(files)} scans cannot be trusted; see the warnings above", err=True)
        sys.exit(REVIEW)


def tell(found: Segmentation, name: str, written: Path) -> None:
    """What was found in a scan in one line, and what to review in it."""
    from toothgraph.fdi import JAW_NAMES

    for doubt in found.doubts:
        say(f"Warning: {name}: {doubt}", err=True)
    teeth = [row.fdi for row in found.teeth if row.fdi > 0]
    numbers = " ".join(map(str, teeth)) or "none"
    jaw = f"{JAW_NAMES[found.mesh.jaw]} jaw{' (review)' if found.strong_doubts else ''}"
    say(f"{name}: {jaw}, {len(teeth)} teeth: {numbers} -> {written}")


def write_views(found: Segmentation, out: Path, name: str, picture: bool, pages: PageFolder | None) -> None:
    """What is there to look at: a picture, and with ``pages`` also a page and a table of the teeth."""
    from toothgraph.report.picture import render
    from toothgraph.report.tooth_table import write_table

    if pages:
        stage("writing the page")
        pages.add(name, found.page_scan())
        write_table(out / f"{name}.csv", found.teeth)
    if picture or pages:
        stage("drawing the picture")
        render(out / f"{name}.png", found.mesh, found.prediction.labels, title=name)


def without_outputs(files: list[Path], given: tuple[Path, ...], out: Path) -> list[Path]:
    """Leave out what an earlier run wrote, where --out lies inside a folder that is searched for scans."""
    ours = out.resolve()
    if not any(path.is_dir() and path.resolve() in ours.parents for path in given):
        return files
    return [file for file in files if file in given or ours not in file.resolve().parents]


def refuse_overwriting(scan: Path, out: Path) -> None:
    """Raises ConfigError where the output folder is the scan's own: its labels or itself could be lost."""
    if out.exists() and out.resolve() == scan.resolve().parent:
        raise ConfigError(f"{scan}: --out is the scan's own folder, and its files could be overwritten; choose another")


def refuse_losing_corrections(written: Path) -> None:
    """Raises ConfigError where labels of an earlier run, of which ``written`` is a file, were changed since."""
    from toothgraph.io.label_record import read_record, was_changed

    record = read_record(written)
    for name in record.files:
        if was_changed(written.with_name(name), record):
            raise ConfigError(
                f"{written.with_name(name)}: was corrected since it was written, and would be overwritten; choose "
                "another --out, or remove the files of this scan"
            )
