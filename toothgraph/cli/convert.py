"""``toothgraph convert``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.choices import FORMATS
from toothgraph.cli.kinds import PATH, Choice
from toothgraph.cli.options import (
    JAWS,
    jaw_option,
    label_system_option,
    palette_option,
    scans_argument,
    starting,
    unit_option,
)
from toothgraph.cli.pages import listed
from toothgraph.cli.refusals import at_once, check_labels, named_palette
from toothgraph.cli.terminal import say, say_error, scans_of
from toothgraph.errors import ConfigError, LabelError, ToothgraphError, named_fault
from toothgraph.scan_names import output_names, patients_of
from toothgraph.system.files import check_folder
from toothgraph.system.memory import named_shortage
from toothgraph.system.progress import Display

if TYPE_CHECKING:
    from toothgraph.mesh.mesh import Mesh
    from toothgraph.report.folder import PageFolder
    from toothgraph.report.page import PageScan


@click.command(short_help="Write labelled scans in other formats.")
@scans_argument
@click.option(
    "--labels",
    type=PATH,
    callback=at_once(check_labels),
    help="Folder with the labels, written by `review` or by `predict --out`.",
)
@click.option("--out", "-o", type=PATH, required=True, help="Folder to write to.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=Choice(FORMATS),
    help="File format to write; may be given several times. stl is one file per tooth.  [default: ply, txt, json]",
)
@click.option(
    "--report", is_flag=True, help="Also write a page and a table of the teeth for each scan, and a list of all scans."
)
@palette_option
@label_system_option
@jaw_option
@unit_option
def convert(
    scans: tuple[Path, ...],
    labels: Path | None,
    out: Path,
    formats: tuple[str, ...],
    report: bool,
    palette: str | None,
    label_system: str | None,
    jaw: str,
    unit: str | None,
) -> None:
    """Write scans with the labels they have: `toothgraph convert my-scans --labels reviewed --out final --format stl`.

    With --labels, the labels are read from a folder of `review` or `predict`. Without it, they are the scan's own: from
    a .txt or .json beside it, from arrays in it, or, with --palette, from its colours. No net is used, and no scan is
    changed.

    The files are those that `predict` writes: <stem>.ply (coloured, with FDI numbers on faces and vertices), .vtp,
    .vtk, .txt, .json (Teeth3DS), a folder <stem>.teeth with one STL per tooth. With --report, there are also
    <stem>.html and <stem>.csv, and index.html and measures.csv for all scans.
    """
    from toothgraph.io.formats.vtk import check_vtk

    check_folder(out)
    check_vtk(formats)
    if labels is not None and out.resolve() == labels.resolve():
        raise ConfigError(f"{out}: --out is the folder of --labels; choose another")
    with starting():
        from toothgraph.cli.predict import refuse_overwriting
        from toothgraph.io.find import find_scans
        from toothgraph.io.reviewed import OtherScan
        from toothgraph.io.write import DEFAULT_FORMATS

        if report:  # it imports matplotlib
            from toothgraph.report.folder import PageFolder
    files = find_scans(list(scans))
    refuse_overwriting(files, out)
    reading = {"unit": unit or "mm", "palette": named_palette(palette), "jaw": JAWS[jaw],
               "label_system": label_system or "auto"}  # fmt: skip
    pages, failed, written, names, kinds = None, 0, 0, output_names(files), formats or DEFAULT_FORMATS
    if report:
        pages = PageFolder(out)
    with listed(pages), Display("writing", len(files), item=names[0]) as display:
        for file, name, patient in zip(files, names, patients_of(files, names), strict=True):
            display.begin(name)
            try:
                with named_fault(file), named_shortage(file):
                    written += _convert(file, name, patient, labels, out, kinds, reading, pages)
            except ToothgraphError as error:
                failed += 1
                if pages and not isinstance(error, OtherScan):
                    pages.failed[name] = str(error)
                say_error(error)
            display.advance()
    if failed:
        raise ToothgraphError(f"{failed} of {scans_of(len(files))} could not be written; see above")
    if not written:
        raise LabelError(
            f"{labels}: expected labels of {scans_of(len(files))}, found none; `toothgraph review` writes the labels "
            "of a scan when you correct or approve it"
        )


def _convert(
    file: Path, name: str, patient: str, labels: Path | None, out: Path, kinds: Sequence[str], reading: dict[str, Any],
    pages: PageFolder | None,
) -> bool:  # fmt: skip
    """Write a scan and its page; False if the folder of labels has none for this scan."""
    from toothgraph.anatomy.jaw_parts import split_labelled
    from toothgraph.cli.labelled import shown_of
    from toothgraph.io.reviewed import check_replaceable

    if pages:
        pages.check(name)
    found = _own(file, name, reading) if labels is None else _labelled(file, name, labels, reading)
    if found is None:
        return False
    mesh, state, beside = found
    check_replaceable(out, name, file, mesh)
    shown = shown_of(split_labelled(mesh), beside, mesh) if pages or "json" in kinds else []
    say(_written(mesh, name, out, kinds, state, beside, shown))
    if pages:
        _show(pages, shown, name, patient)
    return True


def _own(file: Path, name: str, reading: dict[str, Any]) -> tuple[Mesh, str, Path]:
    """A scan with its own labels, an empty review state, and the file beside which the labels lie."""
    from toothgraph.io.labels import read_scan
    from toothgraph.io.unread_labels import unread_labels

    mesh = read_scan(file, **reading, primary=True, scan_id=name)
    if mesh.labels is None:
        raise LabelError(
            f"{file}: has no labels; {unread_labels(file)}. If the labels are in another folder, give --labels; if "
            "there are none, `toothgraph predict` finds them"
        )
    return mesh, "", file


def _labelled(file: Path, name: str, labels: Path, reading: dict[str, Any]) -> tuple[Mesh, str, Path] | None:
    """A scan with the labels of a folder, the state of their review, and the path of their JSON.

    None if the folder has no labels of the scan.
    """
    from toothgraph.io.label_folder import with_labels_of
    from toothgraph.io.read import read_mesh
    from toothgraph.io.review_file import LABELS, review_state
    from toothgraph.io.reviewed import face_labels, hint_of_others, name_in

    mesh = read_mesh(file, unit=reading["unit"])
    if reading["jaw"] is not None:
        mesh = replace(mesh, jaw=reading["jaw"])
    there = name_in(labels, name, file, lambda: mesh)
    held = with_labels_of(
        labels, there, mesh, primary=True, palette=reading["palette"], label_system=reading["label_system"]
    )
    if held is None:
        hint = hint_of_others(labels, name, file, lambda: mesh)
        say(f"left out: {name} has no labels in {labels}{hint}", err=True)
        return None
    beside = labels / f"{there}{LABELS}"
    state = review_state(beside)
    of_faces = face_labels(labels, there, mesh) if state else None
    return held if of_faces is None else replace(held, labels=of_faces), state, beside


def _written(
    mesh: Mesh, name: str, out: Path, formats: Sequence[str], state: str, beside: Path, shown: Sequence[PageScan]
) -> str:
    """Write the label files of a scan; return the line to print.

    The files have the warnings and the confidence from the JSON ``beside`` the labels, and the measures of ``shown``.
    """
    import numpy as np

    from toothgraph.anatomy.jaw_parts import jaw_parts
    from toothgraph.anatomy.measures import measures_of_file
    from toothgraph.fdi import UPPER, in_chart_order
    from toothgraph.io.review_log import APPROVED
    from toothgraph.io.said import said_of_labels
    from toothgraph.io.write import write_labelled
    from toothgraph.mesh.label_origin import FOUND
    from toothgraph.report.doubts import doubts_now

    assert mesh.labels is not None
    origin = mesh.label_origin
    # The files name the model that found the labels, so that a training on them reports it.
    model = origin.model or "a model" if origin.kind == FOUND else None
    teeth, said = in_chart_order(mesh.labels[mesh.labels > 0]), said_of_labels(beside, origin)
    doubts = doubts_now(mesh, said.doubts)
    sure = {fdi: said.confidence[fdi] for fdi in teeth if fdi in said.confidence}
    parts = jaw_parts(mesh)
    written = write_labelled(
        out, name, mesh, mesh.labels, formats, confidence=sure, doubts=doubts if doubts or said.told else None,
        measures=measures_of_file([one.measured for one in shown]) if shown else (), model=model, given=model is None,
        jaw_of_face=np.isin(np.arange(len(mesh.faces)), parts[UPPER], invert=True).astype(int) if parts else None,
    )  # fmt: skip
    review = f" (review: {state})" if state not in ("", APPROVED) else ""
    if doubts and not state:
        review = " (to review)"
    return f"{name}: {origin}{review}, {len(teeth)} teeth: {' '.join(map(str, teeth)) or 'none'} -> {written[0]}"


def _show(pages: PageFolder, shown: Sequence[PageScan], name: str, patient: str) -> None:
    """Write the page of a scan, and the table of its teeth."""
    from toothgraph.cli.labelled import write_views
    from toothgraph.scan_names import untold

    write_views(pages.path, name, shown, ("html", "csv"), pages, untold(patient, name))
