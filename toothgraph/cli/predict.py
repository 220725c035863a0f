"""``toothgraph predict``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.choices import FORMATS
from toothgraph.cli.as_json import json_alone, json_option, of_labelling
from toothgraph.cli.device import device_option, load_net, threads_option
from toothgraph.cli.kinds import PATH, Choice
from toothgraph.cli.options import (
    JAWS,
    again_option,
    jaw_option,
    memory_option,
    model_option,
    prediction_options,
    scans_argument,
    shard_option,
    starting,
    unit_option,
)
from toothgraph.cli.pages import listed
from toothgraph.cli.summary import FAILED, SUMMARY
from toothgraph.cli.terminal import say, scans_of
from toothgraph.cli.told import Told
from toothgraph.cli.training import same_scans
from toothgraph.cli.workers import check_workers, in_workers, process_ended, workers_option
from toothgraph.errors import ConfigError
from toothgraph.scan_names import may_be_named, output_names, stem_of
from toothgraph.system.files import check_folder, places_of
from toothgraph.system.progress import Display

if TYPE_CHECKING:
    from toothgraph.cli.jobs import Job, Outcome
    from toothgraph.cli.labelling import Labeller
    from toothgraph.report.folder import PageFolder


def _refuse(out: Path, formats: tuple[str, ...], **given: Any) -> None:
    """Refuse wrong arguments before libraries are loaded."""
    from toothgraph.io.formats.vtk import check_vtk

    check_folder(out)
    check_vtk(formats)


@click.command(short_help="Label scans.")
@scans_argument
@model_option
@click.option("--out", "-o", type=PATH, required=True, help="Folder to write to.")
@jaw_option
@prediction_options
@click.option(
    "--primary",
    is_flag=True,
    help="Number primary (milk) teeth 51 to 85. Otherwise, each has the number of the tooth that replaces it.",
)
@unit_option
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=Choice(FORMATS),
    help="File format to write; may be given several times. stl is a folder <stem>.teeth with one file per tooth, and "
    "vtp and vtk need toothgraph[vtk].  [default: ply, txt, json]",
)
@click.option("--picture", is_flag=True, help="Also write a picture, <stem>.png.")
@click.option(
    "--report",
    is_flag=True,
    help="Also write a page to look at, a picture and a table of the teeth of each scan, and a list of all scans.",
)
@json_option
@workers_option
@shard_option
@again_option
@device_option
@threads_option
@memory_option("toothgraph.cli.labelling", _refuse)
def predict(
    scans: tuple[Path, ...],
    model: Path,
    out: Path,
    jaw: str,
    unit: str | None,
    formats: tuple[str, ...],
    picture: bool,
    report: bool,
    as_json: bool,
    workers: int,
    shard: tuple[int, int],
    again: bool,
    device: str | None,
    **steps: Any,
) -> None:
    """Label every face and vertex of scans: files, folders or archives (.zip, .gz).

    Writes for each scan <stem>.ply (coloured, with an fdi property on faces and vertices), <stem>.txt (one
    FDI number per face) and <stem>.json (Teeth3DS layout, per vertex, with warnings to review), or what
    --format asks for, in the order of the scan's own file; with --report also <stem>.html, <stem>.png and <stem>.csv
    (area, width and confidence of each tooth), and for all scans in the folder index.html (a list with pictures) and
    measures.csv. summary.csv has a row for each scan, of all runs into the folder. Of a file with both jaws of a
    patient, each jaw is labelled on its own.

    Stopped and started again, it goes on: a scan that is unchanged, labelled with the same model and options, is not
    labelled twice, unless --again is given. A scan in --out whose labels were corrected since keeps them. A scan that
    cannot be read is reported and the others are labelled all the same; the exit code is then 1. It is 3 if all are
    labelled, but the labels of a scan cannot be trusted as a whole. With --json, stdout has what was found in each.
    """
    from toothgraph.cli.jobs import jobs_of
    from toothgraph.cli.labelling import Labeller
    from toothgraph.inference.options import PredictOptions
    from toothgraph.io.find import find_scans
    from toothgraph.io.write import DEFAULT_FORMATS

    check_workers(workers, device)
    pages, told = None, Told(out)
    if report:
        with starting():  # matplotlib takes a while
            from toothgraph.report.folder import PageFolder

        pages = PageFolder(out)
    net, _ = load_net(model, device)
    labeller = Labeller(
        out, model, device, JAWS[jaw], unit or "mm", formats or DEFAULT_FORMATS, PredictOptions(**steps), picture,
        report, pages.listed if pages else {}, net,
    )  # fmt: skip
    files = without_labelled(without_outputs(find_scans(list(scans)), scans, out), scans)
    refuse_overwriting(files, out)
    units = jobs_of(files, output_names(files), again)[shard[0] - 1 :: shard[1]]
    files_of = {job.name: job.file for unit in units for job in unit}
    with json_alone(as_json) as print_json:
        try:
            if units:
                label_all(labeller, units, workers, told, pages)
            else:
                say(f"part {shard[0]} of {shard[1]} has no scans: there are only {scans_of(len(files))}")
        finally:  # also after a stop
            print_json(of_labelling(told.outcomes, files_of, net.source, out / SUMMARY))
    told.finish(len(files_of), same_scans(scans, {"unit": unit}, ("unit",)))


def label_all(labeller: Labeller, units: list[list[Job]], workers: int, told: Told, pages: PageFolder | None) -> None:
    """Label scans in this process or in several, and report the result of each."""
    total = sum(map(len, units))
    with listed(pages), told, Display("labelling", total, item=units[0][0].name, goes_on=True) as display:

        def tell(outcome: Outcome) -> None:
            told.outcomes.append(outcome)
            if pages:
                pages.entries.extend(outcome.entries)
                if outcome.row.state == FAILED and not outcome.of_other:
                    pages.failed[outcome.row.scan] = outcome.row.error
            display.advance()
            told.say(outcome)

        if workers > 1:
            in_parallel(labeller, units, workers, tell, display)
        else:
            one_after_another(labeller, units, tell, display)


def one_after_another(
    labeller: Labeller, units: list[list[Job]], tell: Callable[[Outcome], None], display: Display
) -> None:
    """Label scans in this process."""
    for unit in units:
        outcomes = labeller(unit)
        for job in unit:
            display.begin(job.name)
            tell(next(outcomes))


def in_parallel(
    labeller: Labeller, units: list[list[Job]], workers: int, tell: Callable[[Outcome], None], display: Display
) -> None:
    """Label scans in several processes. If a process dies, only the scan that it was labelling fails."""
    from toothgraph.cli.jobs import failed

    waiting, seen = deque(units), set[str]()

    def add(outcome: Outcome) -> None:
        seen.add(outcome.row.scan)
        tell(outcome)

    def lost(unit: list[Job], how: str) -> list[Outcome]:
        left = [job for job in unit if job.name not in seen]
        if left[1:]:
            waiting.appendleft(left[1:])
        return [failed(job, process_ended(job.file, how)) for job in left[:1]]

    def show(at_work: Sequence[list[Job]]) -> None:
        display.begin(", ".join(next((job.name for job in unit if job.name not in seen), "") for unit in at_work))

    display.item = f"starting {workers} processes"
    in_workers(replace(labeller, net=None), waiting, workers, add, lost, show)


def refuse_overwriting(files: list[Path], out: Path) -> None:
    """Raise ConfigError if --out is the folder of a scan, as labels or the scan itself could be lost."""
    ours = out.resolve()
    if own := next((file for file in files if any(place.parent == ours for place in places_of(file))), None):
        raise ConfigError(f"{own}: --out is the scan's own folder, and its files could be overwritten; choose another")


def without_outputs(files: list[Path], given: tuple[Path, ...], out: Path) -> list[Path]:
    """The scans without those that an earlier run wrote into --out.

    This matters where --out lies inside a folder that is searched for scans, by itself or through a link. A file that
    is given by its name stays.
    """
    ours = out.resolve()
    searched = {path for path in given if path.is_dir() and not path.resolve().is_relative_to(ours)}
    return [
        file for file in files
        if file in given or ours not in file.resolve().parents or searched.isdisjoint(file.parents)
    ]  # fmt: skip


def without_labelled(files: list[Path], given: tuple[Path, ...]) -> list[Path]:
    """The scans without labelled files that toothgraph wrote of other scans among them.

    A run into another folder may have written such files. A file that is given by its name stays.
    """
    from toothgraph.io.label_record import is_recorded

    written = {file for file in files if file not in given and is_recorded(file)}
    names = {name for file in files if file not in written for name in may_be_named(file)}
    again = [file for file in files if file in written and stem_of(file) in names]
    if again:
        say(
            f"Notice: left out {scans_of(len(again))} that toothgraph wrote when it labelled other given scans, such "
            f"as {again[0]}; to label such a file, too, name it in the command",
            err=True,
        )
    left_out = set(again)
    return [file for file in files if file not in left_out]
