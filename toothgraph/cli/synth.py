"""``toothgraph synth``: synthetic labelled arches as files."""

from __future__ import annotations

from pathlib import Path

import click

from toothgraph.choices import MAX_FACES, MIN_FACES
from toothgraph.cli.options import starting
from toothgraph.cli.terminal import say
from toothgraph.system.progress import Display


@click.command(short_help="Write labelled synthetic arches.")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--scans", type=click.IntRange(min=1), default=20, show_default=True, help="Number of arches to write.")
@click.option(
    "--faces",
    type=click.IntRange(MIN_FACES, MAX_FACES),
    default=16_000,
    show_default=True,
    help="Faces of each arch, to within 1 %.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed gives the same arches."
)
def synth(out: Path, scans: int, faces: int, seed: int) -> None:
    """Write synthetic dental arches with tooth labels into the folder OUT.

    Upper and lower jaws take turns: OUT/0000_upper.stl, OUT/0000_lower.stl, OUT/0001_upper.stl and so on, in
    millimetres, each with a .txt beside it that holds one FDI number per face (0 is gingiva). They serve to
    try the other commands without a patient's scan; results on them say nothing about real scans.
    """
    with starting():
        from toothgraph.synthetic import write_synthetic

    with Display("making", scans, "arches") as display:
        written = write_synthetic(
            out, scans, faces, seed, lambda file: display.advance(), lambda file: display.begin(file.stem)
        )
    teeth = "arch" if scans == 1 else "arches"
    say(f"Wrote {len(written)} synthetic {teeth} of about {faces} faces to {out} (.stl, FDI numbers in .txt).")
