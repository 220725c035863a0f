"""``toothgraph predict``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.choices import FORMATS
from toothgraph.cli.exit_codes import UNTRUSTED
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
from toothgraph.cli.pages import listed
from toothgraph.cli.terminal import say, say_error
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
    measures.csv. A scan in --out whose labels were corrected since keeps them. A scan that cannot be read is reported
    and the others are labelled all the same; the exit code is then 1. It is 3 if all are labelled, but the labels of a
    scan cannot be trusted as a whole.
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
    tally = Tally(len(files))
    with listed(pages), Display("labelling", len(files), item=names[0]) as display:
        for file, name in zip(files, names, strict=True):
            display.begin(name)
            try:
                refuse_overwriting(file, out)
                if pages:
                    pages.check(name)
                if corrected := corrected_since(out / f"{name}.ply"):
                    tally.kept += 1
                    say(f"{name}: kept, its labels were corrected since -> {corrected}")
                else:
                    with named_shortage(file):
                        found = segment(read_mesh(file, unit=unit or "mm"), net, JAWS[jaw], options)
                        written = found.write(out, name, formats or DEFAULT_FORMATS)
                        write_views(found, out, name, picture, pages)
                    tally.add(found)
                    tell(found, name, written[0])
            except ToothgraphError as error:
                tally.failed += 1
                say_error(error)
            display.advance()
    tally.tell()
    if tally.failed:
        raise ToothgraphError(f"{tally.failed} of {len(files)} scans could not be labelled; see above")
    if tally.untrusted:
        sys.exit(UNTRUSTED)


@dataclass
class Tally:
    """How the scans went: how many failed, kept corrected labels, have warnings, have labels that cannot be trusted."""

    scans: int
    failed: int = 0
    kept: int = 0
    doubtful: int = 0
    untrusted: int = 0

    def add(self, found: Segmentation) -> None:
        """One more is labelled."""
        self.doubtful += bool(found.doubts)
        self.untrusted += bool(found.strong_doubts)

    def tell(self) -> None:
        """Say what a person has to know at the end."""
        if self.kept:
            say(
                f"{self.kept} of {self.scans} scans had labels that were corrected, and kept them; to label such a "
                "scan again, choose another --out, or remove its files",
                err=True,
            )
        if self.doubtful:
            verb = "is" if self.doubtful == 1 else "are"
            whose = "its labels" if self.doubtful == 1 else f"the labels of {self.untrusted}"
            trust = f"; {whose} cannot be trusted" if self.untrusted else ""
            say(f"{self.doubtful} of {self.scans} scans {verb} to review, see the warnings above{trust}", err=True)


def tell(found: Segmentation, name: str, written: Path) -> None:
    """What was found in a scan in one line, and what to review in it."""
    from toothgraph.fdi import JAW_NAMES

    for doubt in found.doubts:
        say(f"Warning: {name}: {doubt}", err=True)
    teeth = [row.fdi for row in found.teeth if row.fdi > 0]
    numbers = " ".join(map(str, teeth)) or "none"
    jaw = JAW_NAMES[found.mesh.jaw]
    say(f"{name}: {jaw} jaw{' (to review)' if found.doubts else ''}, {len(teeth)} teeth: {numbers} -> {written}")


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


def corrected_since(written: Path) -> Path | None:
    """A label file of an earlier run, of which ``written`` is one, that was changed since; None if there is none."""
    from toothgraph.io.label_record import read_record, was_changed

    record = read_record(written)
    files = (written.with_name(name) for name in record.files)
    return next((file for file in files if was_changed(file, record)), None)
