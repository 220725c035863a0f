"""``toothgraph renumber``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.choices import LABEL_SYSTEMS
from toothgraph.cli.kinds import PATH, LabelSystem
from toothgraph.cli.options import starting, there, unit_option
from toothgraph.cli.refusals import at_once, check_label_system
from toothgraph.cli.terminal import say
from toothgraph.errors import LabelError
from toothgraph.system.progress import Display

if TYPE_CHECKING:
    from toothgraph.mesh.mesh import Mesh


class Change(click.ParamType):  # type: ignore[type-arg]  # click before 8.2 takes no type here
    """A change of a number: ``36=35`` gives tooth 36 the number 35."""

    name = "old=new"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = re.fullmatch(r"(\d{1,9})=(-1|\d{1,9})", value)
        if not found:
            self.fail(f"expected old and new number as 36=35, got {value!r}", param, ctx)
        return int(found[1]), int(found[2])


@click.command(short_help="Give teeth of a labelled scan other numbers.")
@click.argument("scan", type=PATH, callback=lambda ctx, param, path: there(ctx, param, (path,))[0])
@click.argument("changes", nargs=-1, type=Change(), metavar="[OLD=NEW]...")
@click.option(
    "--label-system",
    type=LabelSystem(LABEL_SYSTEMS[1:]),
    callback=at_once(check_label_system),
    default="fdi",
    show_default=True,
    help="How your OLD=NEW and the label files of other programs number teeth; FILE:SET is a system of your own.",
)
@click.option("--merge", is_flag=True, help="Join teeth that get the same number into one tooth.")
@unit_option
def renumber(
    scan: Path, changes: tuple[tuple[int, int], ...], label_system: str, merge: bool, unit: str | None
) -> None:
    """Give teeth other numbers: `toothgraph renumber labelled/007_L.ply 36=35 37=36`.

    SCAN is any of the files that `predict` or `convert` wrote for a scan, or a scan with a .txt or .json beside it. All
    changes happen at once, so 36=37 37=36 exchanges two teeth. 0 is gingiva, -1 unknown. All label files of the scan
    are written again, and so are its page, picture, table and row of summary.csv, if there are any. Labels that a model
    found then count as corrected when `finetune` reads them.

    Without OLD=NEW, nothing is written: the command prints the numbers along the arch, from the patient's right to the
    left, as `predict` does.
    """
    _check(changes, label_system)
    with starting():
        from toothgraph.anatomy.number_order import said_along_arch
        from toothgraph.io.labels import read_scan
        from toothgraph.io.renumber import renumber as renumber_files
        from toothgraph.io.renumber import surface_of

    with Display("renumbering" if changes else "reading", item=scan.stem):
        done = renumber_files(scan, dict(changes), label_system, merge=merge, unit=unit or "mm") if changes else None
        if done:
            say(", ".join(f"{before} -> {now}" for before, now in done.numbers.items()))
            for file in done.written:
                say(f"wrote {file}")
            for number in done.joined:
                say(f"{number} is one tooth now")
        surface, mesh = surface_of(scan), None
        if surface is not None:
            auto = label_system == "fdi" or bool(done and done.found)  # toothgraph writes FDI numbers
            mesh = read_scan(surface, unit=unit or "mm", label_system="auto" if auto else label_system, primary=True)
        if done and done.found:
            renew_beside(done.written[0], unit or "mm", mesh, surface)
        if mesh is None:
            say(f"Notice: no scan beside {scan}: the order of its numbers cannot be checked", err=True)
            return
        if mesh.labels is None:
            raise LabelError(f"{scan}: expected a labelled scan, found no labels; colours are not read here")
        say(f"{mesh.scan_id}: {mesh.label_origin}, from the patient's right to the left: {said_along_arch(mesh)}")


def _check(changes: Sequence[tuple[int, int]], label_system: str) -> None:
    """Raise UsageError for changes that are impossible, before the libraries that read scans are loaded."""
    from toothgraph.fdi import is_tooth

    asked = [before for before, _ in changes]
    if twice := [number for number in asked if asked.count(number) > 1]:
        raise click.UsageError(f"expected one new number for {twice[0]}, got two")
    for _, now in changes:
        if label_system == "fdi" and now > 0 and not is_tooth(now):
            raise click.UsageError(f"{now}: expected the FDI number of a tooth, 0 for gingiva or -1 for unknown")


def renew_beside(file: Path, unit: str, mesh: Mesh | None, surface: Path | None) -> None:
    """Write anew the page, picture, table, summary row and JSON measures of a scan, as far as they exist.

    Args:
        file: a label file of the scan.
        unit: unit of length in its files.
        mesh: the scan as it is now; None if no surface is beside its labels.
        surface: the file of the surface.
    """
    from toothgraph.anatomy.jaw_parts import split_labelled
    from toothgraph.cli.labelled import LabelledFolder, renew_measures, shown_of

    folder, name = LabelledFolder(file.parent, unit), file.stem
    if mesh is None or mesh.labels is None or surface is None:
        if old := folder.outdated(name):
            former = ", ".join(map(str, old))
            say(f"Notice: no surface beside {file}, so these still show the former numbers: {former}", err=True)
        return
    shown = shown_of(split_labelled(mesh), surface, mesh)
    renew_measures(file.with_suffix(".json"), shown)
    for view in folder.renew(name, shown):
        say(f"wrote {view}")
    if summary := folder.renew_row(name, shown):
        say(f"wrote {summary}")
