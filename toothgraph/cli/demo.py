"""``toothgraph demo``: a first look, on a synthetic patient."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

import click

from toothgraph.cli.exit_codes import UNTRUSTED
from toothgraph.cli.predict import predict
from toothgraph.cli.terminal import say, say_command
from toothgraph.fdi import JAW_NAMES, LOWER, UPPER
from toothgraph.system.progress import Display

PATIENT = "demo"
SEEDS = {UPPER: 0, LOWER: 4}
FACES = 24_000
NEXT = "toothgraph predict YOUR_SCAN.stl --out labelled --report"


@click.command(short_help="Label a synthetic patient, and look at it.")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path), default="toothgraph-demo")
@click.option(
    "--open/--no-open",
    "opens",
    default=None,
    help="Whether to open the page in a browser.  [default: yes on a terminal of a machine with a screen]",
)
@click.pass_context
def demo(ctx: click.Context, out: Path, opens: bool | None) -> None:
    """Make the upper and the lower jaw of a synthetic patient, label them, and show the result.

    Writes into the folder OUT: scans (STL) as a scanner would, and what predict makes of them with --report: labels, a
    picture, a table of the teeth, and pages to look at. It takes less than a minute and needs no scan and no network.
    """
    from toothgraph.system.files import check_folder

    scans, labelled = out / "scans", out / "labelled"
    check_folder(scans)
    files = _write_scans(scans)
    say_command(["toothgraph", "predict", *files, "--out", labelled, "--report"], before="$")
    code = 0
    try:
        ctx.invoke(predict, scans=tuple(files), out=labelled, report=True)
    except SystemExit as end:
        if end.code != UNTRUSTED:
            raise
        code = UNTRUSTED
    _tell(files, labelled, _screen() if opens is None else opens)
    sys.exit(code)


def _write_scans(folder: Path) -> list[Path]:
    """Write the two jaws as binary STL, with their true labels beside them; return the STL files."""
    files = []
    with Display("making", len(SEEDS), "arches", every=None) as display:  # shown first, since the imports take a while
        from toothgraph.io.formats.stl import write_stl
        from toothgraph.synthetic import Variation, synthetic_arch
        from toothgraph.system.files import write_text

        for jaw, seed in SEEDS.items():
            display.begin(JAW_NAMES[jaw])
            mesh = synthetic_arch([seed, jaw], jaw=jaw, faces=FACES, variation=Variation(holes=0.0))
            assert mesh.labels is not None
            files.append(folder / f"{PATIENT}_{JAW_NAMES[jaw]}.stl")
            write_text(files[-1].with_suffix(".txt"), "".join(f"{label}\n" for label in mesh.labels))
            write_stl(files[-1], mesh.vertices, mesh.faces)
            display.advance()
    return files


def _tell(files: list[Path], labelled: Path, opens: bool) -> None:
    """Say how many faces are right, where to look, and what to do next; open the page if ``opens``."""
    from toothgraph.report.index import pair_page

    page = labelled / pair_page(PATIENT)
    right = [_share_right(file, labelled / f"{file.stem}.txt") for file in files]
    say(f"\nthe labels are right on {100 * sum(right) / len(right):.0f} % of the faces; the weights were trained on "
        "real scans, not on synthetic ones")  # fmt: skip
    say(f"pictures  {' '.join(str(labelled / f'{file.stem}.png') for file in files)}")
    say(f"page      {page}")
    if opens and not webbrowser.open(page.resolve().as_uri()):
        say(
            "          no browser was found; open the page in one. A click on a tooth shows its number, key T the table"
        )
    say(f"next      label a scan of your own, of one jaw:\n\n  {NEXT}\n")


def _share_right(scan: Path, found: Path) -> float:
    import numpy as np

    truth, labels = (np.loadtxt(file, dtype=np.int64) for file in (scan.with_suffix(".txt"), found))
    return float((truth == labels).mean())


def _screen() -> bool:
    """Whether a person sits at a terminal of a machine with a screen."""
    screen = sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return screen and sys.stdout.isatty() and "SSH_CONNECTION" not in os.environ
