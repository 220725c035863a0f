"""``toothgraph view``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from toothgraph.cli.device import choose_device, device_option, threads_option
from toothgraph.cli.kinds import PATH, Model
from toothgraph.cli.options import (
    JAWS,
    jaw_option,
    label_system_option,
    memory_option,
    model_option,
    palette_option,
    scans_argument,
    starting,
    unit_option,
)
from toothgraph.cli.pages import listed
from toothgraph.cli.refusals import check_file, check_model, named_palette
from toothgraph.cli.terminal import say, say_error, scans_of
from toothgraph.errors import ConfigError, ToothgraphError, named_fault
from toothgraph.scan_names import output_names, patients_of
from toothgraph.stages import stage
from toothgraph.system.memory import named_shortage
from toothgraph.system.progress import Display
from toothgraph.weights import DEFAULT

if TYPE_CHECKING:
    from toothgraph.model.nets import SegmentationNet
    from toothgraph.report.page import PageScan


def _refuse(scans: tuple[Path, ...], out: Path, compare: Path | None, **given: Any) -> None:
    """Refuse wrong arguments before libraries are loaded.

    How many scans folders and archives have is known later, so they are checked later.
    """
    if compare is not None:
        check_file(compare) if str(compare) != DEFAULT else check_model(compare)
    if all(scan.is_file() and scan.suffix.lower() not in (".zip", ".gz") for scan in scans):
        _check(scans, out, compare)


@click.command(short_help="Show scans, as pages or a picture.")
@scans_argument
@click.option(
    "--out",
    "-o",
    type=PATH,
    required=True,
    help="File to write, page.html or picture.png. For a folder of scans, a folder.",
)
@click.option(
    "--predict",
    "predicted",
    is_flag=True,
    help="Show the labels that a model finds; the scan's own labels count as the truth.",
)
@click.option(
    "--compare",
    type=Model(path_type=Path),
    help="Show what differs from this: the same scan with other labels, or another model.",
)
@model_option
@palette_option
@label_system_option
@jaw_option
@unit_option
@device_option
@threads_option
@memory_option("toothgraph.segmentation", _refuse)
def view(
    scans: tuple[Path, ...],
    out: Path,
    predicted: bool,
    compare: Path | None,
    model: Path,
    palette: str | None,
    label_system: str | None,
    jaw: str,
    unit: str | None,
    device: str | None,
) -> None:
    """Show a scan with its labels. If it has none, or with --predict or --model, show the labels that a model finds.

    A .html is one page that needs no network: turn and zoom, pick a tooth, measure, colour by tooth, by confidence or,
    if the true labels are known, by errors. It can show the upper and the lower jaw of a patient. With --compare, it
    also shows a second result of the scan: a labelled file, a run folder, or `default` for the weights in the package.
    A .png shows three views of one scan. For a folder of scans, --out is a folder. It gets a page of each scan, a page
    of both jaws of each patient, and index.html, a list with pictures, in which scans to review come first.
    """
    with starting():  # matplotlib takes a while
        from toothgraph.io.archive import opened
        from toothgraph.io.find import find_scans
        from toothgraph.report.page import write_scans
        from toothgraph.report.picture import render_jaws

    scans = tuple(map(opened, scans))
    files = find_scans(list(scans))
    given = click.get_current_context().get_parameter_source("model")
    predicted = predicted or given is ParameterSource.COMMANDLINE  # who names a model wants to see its labels
    reading = {"unit": unit or "mm", "palette": named_palette(palette), "jaw": JAWS[jaw],
               "label_system": label_system or "auto"}  # fmt: skip
    net = cache(lambda: _net(model, device))
    if any(path not in files for path in scans):  # a folder of scans
        if compare:
            raise ConfigError(f"--compare takes one scan, got {len(files)}")
        _show_folder(files, out, lambda file: _labelled(file, reading, net, predicted))
        return
    _check(scans, out, compare)
    shown = []
    with Display("showing") as display:
        for scan in display.over(scans):
            with named_shortage(scan):
                shown += _labelled(scan, reading, net, predicted)
        said = ""
        if len(shown) > 2:
            raise ConfigError(f"expected one scan, or an upper and a lower jaw, got {len(shown)} jaws: one of these "
                              "files has both jaws")  # fmt: skip
        if compare and len(shown) > 1:
            raise ConfigError(f"--compare takes a scan of one jaw, and {scans[0].name} has both")
        if compare:
            with named_shortage(scans[0]):
                one, said = _compared(shown[0], scans[0], compare, reading, model, device)
                shown = [one]
        stage(f"writing {out.name}")
        if out.suffix.lower() == ".png":
            render_jaws(out, [(one.mesh, one.labels) for one in shown], title=scans[0].stem)
        else:
            write_scans(out, shown)
    if said:
        say(said)
    say(f"{' and '.join(one.mesh.scan_id for one in shown)} -> {out}")


def _check(scans: tuple[Path, ...], out: Path, compare: Path | None) -> None:
    """Raise ConfigError for scans that cannot be shown together, or for a wrong --out."""
    picture = out.suffix.lower() == ".png"
    if not picture and out.suffix.lower() != ".html":
        raise ConfigError(f"{out}: expected a name that ends in .html or .png; of a folder of scans, --out is a folder")
    if len(scans) > 2:
        raise ConfigError(f"expected one scan, or an upper and a lower jaw, got {len(scans)} scans")
    if picture and (len(scans) > 1 or compare):
        raise ConfigError(f"{out}: a picture shows one scan; give a name that ends in .html for two jaws or --compare")
    if compare and len(scans) > 1:
        raise ConfigError(f"--compare takes one scan, got {len(scans)}")
    for file in (*scans, *([compare] if compare else [])):
        if out.exists() and file.exists() and out.samefile(file):
            raise ConfigError(f"{out}: is the scan itself; choose another --out")


def _show_folder(files: list[Path], out: Path, load: Callable[[Path], list[PageScan]]) -> None:
    """Write a page of each scan, and the list of the pages."""
    from toothgraph.report.folder import PageFolder
    from toothgraph.system.files import check_folder

    if out.suffix.lower() in (".html", ".png"):
        raise ConfigError(f"{out}: expected a folder to write to, since {len(files)} scans are to be shown")
    check_folder(out)
    pages, names = PageFolder(out), output_names(files)
    patients = patients_of(files, names)
    with listed(pages), Display("showing", len(files), item=names[0]) as display:
        for file, name, patient in zip(files, names, patients, strict=True):
            display.begin(name)
            try:
                pages.check(name)
                with named_fault(file), named_shortage(file):
                    shown = load(file)
                    pages.add(name, *shown, patient=patient)
            except ToothgraphError as error:
                pages.failed[name] = str(error)
                say_error(error)
            else:
                say(f"{name}{' (to review)' if any(one.doubts for one in shown) else ''} -> {out / name}.html")
            display.advance()
    if pages.failed:
        raise ToothgraphError(f"{len(pages.failed)} of {scans_of(len(files))} could not be shown; see above")


def _labelled(
    scan: Path, reading: dict[str, Any], net: Callable[[], SegmentationNet], predicted: bool
) -> list[PageScan]:
    """What a page shows of a scan, one entry for each jaw, with its own labels or those of a model."""
    from toothgraph.anatomy.jaw_parts import split_labelled
    from toothgraph.both_jaws import segment_file
    from toothgraph.cli.labelled import shown_of
    from toothgraph.io.labels import read_scan

    mesh = read_scan(scan, **reading, primary=True)
    jaws = split_labelled(mesh)
    if mesh.labels is None or predicted:
        return segment_file(mesh if len(jaws) == 2 else jaws[0], net()).page_scans(mesh.labels)
    return shown_of(jaws, scan, mesh)


def _net(model: Path, device: str | None) -> SegmentationNet:
    from toothgraph.model.file import load_segmentation

    stage("loading the net")
    return load_segmentation(model)[0].to(choose_device(device))


def _compared(
    shown: PageScan, scan: Path, compare: Path, reading: dict[str, Any], model: Path, device: str | None
) -> tuple[PageScan, str]:
    """The scan with a second result, and a sentence on what is compared.

    The second result is that of another model, or of a file with the same surface.
    """
    from toothgraph.cli.labelled import OWN
    from toothgraph.io.labels import read_scan
    from toothgraph.report.differences import find_differences, labels_from
    from toothgraph.report.page import Second
    from toothgraph.segmentation import segment

    found = shown.name != OWN
    first = model if found else scan
    by_model = str(compare) == DEFAULT or compare.is_dir() or compare.suffix == ".safetensors"
    if by_model:
        prediction = segment(shown.mesh, _net(compare, device)).prediction
        second = Second("", prediction.labels, prediction.confidence)
    else:
        second = Second("", labels_from(read_scan(compare, **reading, primary=True), shown.mesh))
    names = [path.name if path.is_dir() else path.stem for path in (first, compare)]
    if names[0] == names[1]:
        names = [str(first), str(compare)]
    one = _what(found, first) + (f" ({scan.name} has no labels)" if shown.mesh.labels is None else "")
    differ = len(find_differences(shown.mesh, shown.labels, second.labels))
    teeth = "1 tooth differs" if differ == 1 else f"{differ or 'no'} teeth differ"
    said = f"compared: {one}, with {_what(by_model, compare)}: {teeth}"
    return replace(shown, name=names[0], second=replace(second, name=names[1])), said


def _what(found: bool, source: Path) -> str:
    return f"labels found by {source.name}" if found else f"labels of {source.name}"
