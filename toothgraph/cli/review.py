"""``toothgraph review``."""

from __future__ import annotations

import atexit
import json
import os
import sys
import webbrowser
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.cli.device import choose_device, device_option, threads_option
from toothgraph.cli.exit_codes import STOPPED, TERMINATED
from toothgraph.cli.kinds import FILE, PATH, Choice
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
from toothgraph.cli.refusals import at_once, check_file, named_palette
from toothgraph.cli.terminal import say, scans_of
from toothgraph.cli.training import free, next_command, same_scans
from toothgraph.errors import ConfigError, OperationError, some_of
from toothgraph.system.files import check_folder, places_of
from toothgraph.system.progress import Display
from toothgraph.system.signals import Terminated

if TYPE_CHECKING:
    from toothgraph.review.scans import Opened, Scans
    from toothgraph.review.server import ReviewServer


def _refuse(labels: Path, formats: tuple[str, ...], **given: Any) -> None:
    """Refuse wrong arguments before libraries are loaded."""
    from toothgraph.io.formats.vtk import check_vtk

    check_folder(labels)
    check_vtk(formats)


@click.command(short_help="Correct labels on a page, scan by scan.")
@scans_argument
@click.option(
    "--labels", type=PATH, default=Path("reviewed"), show_default=True, help="Folder for the labels and their history."
)
@click.option(
    "--predict", "predicted", is_flag=True, help="Begin with a model's labels, also for scans that have labels."
)
@click.option(
    "--apply",
    "steps",
    type=FILE,
    callback=at_once(check_file),
    help="File of steps to do without the page, one JSON object per line.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=Choice(["vtp", "vtk"]),
    help="Write approved scans for other programs, too: vtp with `Label`, vtk with `Universal_ID` (3D Slicer).",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page.  [default: a free one]")
@click.option("--no-browser", is_flag=True, help="Only print the address of the page; do not open it.")
@model_option
@palette_option
@label_system_option
@jaw_option
@unit_option
@device_option
@threads_option
@memory_option("toothgraph.segmentation", _refuse)
def review(
    scans: tuple[Path, ...],
    labels: Path,
    predicted: bool,
    steps: Path | None,
    formats: tuple[str, ...],
    port: int,
    no_browser: bool,
    model: Path,
    palette: str | None,
    label_system: str | None,
    jaw: str,
    unit: str | None,
    device: str | None,
) -> None:
    """Correct the labels of scans on a page in your browser, those in doubt first, and approve them.

    For scans without labels, a model finds the labels. Each step is saved at once in the folder --labels: <name>.json
    has the labels, and <name>.log.jsonl has every step. No scan is changed. If --labels already has labels of these
    scans, from `predict` or `renumber`, the review begins with them. `finetune SCANS --labels DIR` learns from the
    scans that were approved. `convert SCANS --labels DIR` writes the labels as files of other formats, and as pages.

    The page works on this machine only: its address has a secret part, and works until the command is stopped (Ctrl-C).
    """
    with starting():
        from toothgraph.io.find import find_scans
        from toothgraph.io.review_log import APPROVED
        from toothgraph.model.file import load_segmentation
        from toothgraph.review.begin import begin, read_for_review
        from toothgraph.review.embedding import embed
        from toothgraph.review.scans import Scans
        from toothgraph.review.server import ReviewServer
        from toothgraph.scan_names import scan_names
        from toothgraph.system.provenance import sha256
        from toothgraph.weights import model_file

    files = find_scans(list(scans))
    names = scan_names(files)
    _check_without_scans(labels, files)
    reading = {"unit": unit or "mm", "palette": named_palette(palette), "jaw": JAWS[jaw],
               "label_system": label_system or "auto"}  # fmt: skip
    options = {"model": sha256(model_file(model)), "predict": predicted, "palette": palette, "jaw": jaw,
               "unit": reading["unit"], "label_system": reading["label_system"]}  # fmt: skip
    net = cache(lambda: load_segmentation(model)[0].to(choose_device(device)))
    found = Scans(
        dict(zip(names, files, strict=True)), labels, lambda path, name: read_for_review(path, name, reading),
        lambda mesh: begin(mesh, net, predicted, labels), formats, lambda mesh: embed(net(), mesh),
        options,
    )  # fmt: skip
    _say_kept(found.begun_otherwise)
    if steps is not None:
        try:
            _apply(found, steps, labels)
        finally:  # the steps before one that cannot be done are saved
            _say_outdated(labels, names, scans, unit)
        return
    server = ReviewServer(found, port)
    say(f"{scans_of(len(files))} at {server.address}")
    say(f"labels -> {labels}; Ctrl-C ends the review", err=True)
    if not no_browser:
        webbrowser.open(server.address)
    try:
        server.run()
    except KeyboardInterrupt as stop:  # the usual end of a review
        if server.at_work:  # PyTorch in a running thread crashes a process that ends as usual
            atexit.register(_leave, server, TERMINATED if isinstance(stop, Terminated) else STOPPED)
        if sys.stderr.isatty():
            say("", err=True)  # the terminal has written ^C
        approved = [scan.state for scan in found.known.values()].count(APPROVED)
        _say_outdated(labels, names, scans, unit)
        _say_next(labels, names, scans, {"palette": palette, "unit": unit, "label_system": label_system}, approved)
        stop.args = (f"{approved} of {scans_of(len(files))} approved; to go on, run the same command again",)
        raise


def _check_without_scans(labels: Path, files: list[Path]) -> None:
    """Refuse a folder for labels in which scans are.

    Raises:
        ConfigError: then.
    """
    if labels.resolve() in {place.parent for file in files for place in places_of(file)}:
        raise ConfigError(f"{labels}: contains scans; choose a separate folder for the labels, so that none of your "
                          "files is changed")  # fmt: skip


def _say_kept(names: list[str]) -> None:
    """Name the scans whose labels stay although the present options would find or read others."""
    if names:
        say(f"Notice: these scans keep their labels, because their review was begun with other options, such as "
            f"--model or --predict: {some_of(names)}", err=True)  # fmt: skip


def _leave(server: ReviewServer, code: int) -> None:
    """Leave the process at once if threads of the server are still at work.

    All other exit functions run before.
    """
    atexit.unregister(_leave)
    atexit._run_exitfuncs()
    if server.at_work:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _apply(scans: Scans, steps: Path, labels: Path) -> None:
    """Do the steps of a file, scan by scan. The first step that cannot be done ends it."""
    lines = list(_lines(steps))
    names = list(dict.fromkeys(str(line["scan"]) for _, line in lines))
    if strange := [name for name in names if name not in scans.known]:
        raise ConfigError(f"{steps}: no scan has the name {strange[0]}; expected one of {', '.join(scans.known)}")
    with Display("reviewing", len(names), item=names[0] if names else "") as display:
        for name in names:
            display.begin(name)
            own = [(number, line) for number, line in lines if str(line["scan"]) == name]
            for number, line in own:
                step = {key: value for key, value in line.items() if key != "scan"}
                try:
                    scans.step(name, scans.open(name).session.version, step)
                except OperationError as error:
                    raise ConfigError(f"{steps}: line {number}: {error}") from error
            _say_numbers(name, len(own), scans.open(name), labels)
            display.advance()


def _say_outdated(labels: Path, names: list[str], scans: tuple[Path, ...], unit: str | None) -> None:
    """Name the files of `predict` that are older than the labels of these scans, and how to write them anew."""
    from toothgraph.cli.labelled import LabelledFolder

    if old := LabelledFolder(labels, unit or "mm").all_outdated(names):
        say(f"older than the labels: {some_of(old)}; to write them again, and keep the labels:", err=True)
        next_command("predict", *same_scans(scans, {"unit": unit}, ("unit",)), "--out", labels)


def _say_next(
    labels: Path, names: list[str], scans: tuple[Path, ...], reading: dict[str, str | None], approved: int
) -> None:
    """The commands that write the labels for other programs, and that learn from the scans that are approved."""
    from toothgraph.io.review_file import LABELS

    if any((labels / f"{name}{LABELS}").is_file() for name in names):
        own = same_scans(scans, reading, ("unit",))
        say("to write the labels as coloured scans, one STL per tooth, pages and tables:", err=True)
        next_command("convert", *own, "--labels", labels, "--out", free(Path("corrected")), "--format", "ply",
                     "--format", "stl", "--report")  # fmt: skip
    if approved:
        learn = (*same_scans(scans, reading, tuple(reading)), "--labels", labels, "--init", "default")
        say("to train on the approved scans:", err=True)
        next_command("finetune", *learn, "--out", free(Path("runs/reviewed")))


def _say_numbers(name: str, steps: int, opened: Opened, labels: Path) -> None:
    """Print the state and the numbers of a scan after some steps, and warn of numbers that cannot be right."""
    from toothgraph.anatomy.number_order import number_faults, said_along_arch

    mesh = opened.surface.mesh.with_labels(opened.session.labels)
    count = f"{steps} {'step' if steps == 1 else 'steps'}"
    say(f"{name}: {count}, {opened.session.state}: {said_along_arch(mesh)} -> {labels / name}.json")
    for fault in number_faults(mesh):
        say(f"Warning: {name}: {fault}", err=True)


def _lines(steps: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The steps of a file, each with the number of its line."""
    try:
        lines = steps.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{steps}: expected text in UTF-8, found other bytes; save it as UTF-8") from error
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            if not isinstance(line, dict) or "scan" not in line:
                raise ValueError("it names no scan")
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f'{steps}: line {number}: expected a step as {{"scan": "007_L", "kind": "gingiva", '
                f'"tooth": 38}}: {error}'
            ) from error
        yield number, line
