"""``toothgraph prepare``."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.cli.kinds import PATH, Choice
from toothgraph.cli.options import label_system_option, palette_option, shard_option, starting, unit_option
from toothgraph.cli.refusals import check_path, named_palette
from toothgraph.cli.terminal import say, scans_of
from toothgraph.cli.training import free, next_command
from toothgraph.cli.training_options import PRESETS
from toothgraph.errors import DataError
from toothgraph.system.files import check_folder
from toothgraph.system.progress import Display

if TYPE_CHECKING:
    from toothgraph.data.prepared.build import PrepareOptions
    from toothgraph.data.prepared.file import Header

_TRIED = 5  # scans without labels whose colours are looked at


@click.command(short_help="Make many scans ready for training.")
@click.argument("scans", nargs=-1, type=PATH, metavar="SCANS...")
@click.argument("out", required=False, type=click.Path(file_okay=False, path_type=Path), metavar="OUT")
@click.option(
    "--preset",
    type=Choice(PRESETS),
    default="default",
    show_default=True,
    help="Preset of the training: it sets the kind of graphs.",
)
@click.option(
    "--faces", type=click.IntRange(min=50), help="Faces that scans are decimated to.  [default: as the preset]"
)
@click.option(
    "--tessellations",
    type=click.IntRange(min=1),
    help="Versions of each scan, each decimated differently.  [default: as the preset]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the tessellations.")
@palette_option
@label_system_option
@unit_option
@click.option("--workers", type=click.IntRange(min=1), help="Number of processes.  [default: one per core]")
@shard_option
@click.option(
    "--megabytes", type=float, default=1000, show_default=True, help="Size of the largest file that is read, MB."
)
@click.option(
    "--memory",
    type=click.FloatRange(min=0, min_open=True),
    default=8,
    show_default=True,
    help="Memory that a process may use, GB.",
)
@click.option(
    "--seconds", type=click.IntRange(min=1), default=600, show_default=True, help="Longest time for one scan, s."
)
def prepare(
    scans: tuple[Path, ...],
    out: Path,
    preset: str,
    faces: int | None,
    tessellations: int | None,
    seed: int,
    palette: str | None,
    label_system: str | None,
    unit: str | None,
    workers: int | None,
    shard: tuple[int, int],
    **limits: Any,
) -> None:
    """Read, check and decimate SCANS (files, folders, or lists in .csv) into the folder OUT, ready to train on.

    `pretrain` and `finetune` take OUT in place of scans, and read it as they go. A scan that cannot be used is listed
    in OUT/quarantine.csv with its reason and stops nothing. Stopped and started again, it goes on; a scan that is
    unchanged is not prepared twice. OUT/manifest.csv lists the scans.
    """
    _check_given(scans, out)
    check_folder(out)
    with starting():
        from toothgraph.data.prepared.build import Done, part_of
        from toothgraph.data.prepared.build import prepare as prepare_all
        from toothgraph.data.prepared.folder import read_manifest, read_quarantine
        from toothgraph.data.prepared.sources import find_sources
        from toothgraph.data.split import warn_of_same_files
        from toothgraph.system.memory import check_bound

        check_bound(limits["memory"])
        options = options_of(
            preset, faces, tessellations, seed=seed, unit=unit or "mm", palette=named_palette(palette),
            label_system=label_system or "auto", **limits,
        )  # fmt: skip
    sources = find_sources(scans)
    warn_of_same_files([source.path for source in sources], [source.patient for source in sources])
    total = sum(part_of(source.patient, shard[1]) == shard[0] for source in sources)
    count, begun = Counter[str](), time.monotonic()

    def said() -> str:
        speed = speed_of(count["made"], time.monotonic() - begun)
        return f"{count['made']} prepared{speed}, {count['kept']} kept, {count['bad']} in quarantine"

    with Display("preparing", total, goes_on=True) as display:

        def add(done: Done) -> None:
            count[done.state] += 1
            display.advance(said())

        prepare_all(sources, out, options, workers or os.cpu_count() or 1, shard, add)
    say(f"{sum(count.values())} of {scans_of(total)}: {said()} -> {out}")
    headers = read_manifest(out)
    warn_of_labels(headers, palette)
    if count["bad"]:
        say(f"Why {count['bad']} cannot be used: {out / 'quarantine.csv'}", err=True)
    if total and not count["made"] + count["kept"]:
        raise DataError(f"none of {scans_of(total)} can be used; see {out / 'quarantine.csv'}")
    if missing := len(sources) - len(headers) - len(read_quarantine(out)):
        say(f"{missing} of {scans_of(len(sources))} are not prepared yet: run the other parts (--shard)", err=True)
    elif then := training_on(out):
        next_command(*then)


def options_of(preset: str, faces: int | None, tessellations: int | None, **others: Any) -> PrepareOptions:
    """How scans are prepared: as a preset says, with other sizes where they are given.

    Raises:
        ConfigError: for a graph that the net of the preset cannot take.
    """
    from dataclasses import replace

    from toothgraph.data.prepared.build import PrepareOptions
    from toothgraph.model.config import check_net
    from toothgraph.training.config import FINETUNE_PRESETS

    config = FINETUNE_PRESETS[preset]
    graph = replace(config.net.graph, faces=faces or config.net.graph.faces)
    check_net(replace(config.net, graph=graph))
    variants = tessellations or config.variants
    return PrepareOptions(graph=graph, variants=variants, bases=min(config.bases, variants - 1), **others)


def warn_of_labels(headers: Sequence[Header], palette: str | None) -> None:
    """Warn where labels of prepared scans may be read wrongly or not at all, and where patients may be told wrongly."""
    from toothgraph.data.split import warn_of_lone_jaws, warn_of_visits
    from toothgraph.io.label_systems import warn_of_several_systems

    if palette is None:
        tell_of_colours([Path(header.source) for header in headers if not header.labelled])
    labelled = [header for header in headers if header.labelled]
    warn_of_lone_jaws([header.patient for header in labelled], (header.jaw for header in labelled))
    warn_of_visits([Path(header.source) for header in labelled], [header.patient for header in labelled])
    warn_of_several_systems((header.scan_id, header.guessed) for header in labelled)


def speed_of(made: int, seconds: float) -> str:
    """The speed in words, as scans per second or seconds per scan; empty if no scan was made."""
    if not made:
        return ""
    rate = made / max(seconds, 1e-9)
    return f" ({rate:.1f} per second)" if rate >= 1 else f" ({1 / rate:.1f} seconds each)"


def _check_given(scans: tuple[Path, ...], out: Path | None) -> None:
    """Refuse a call without scans, without a folder, or with scans that do not exist.

    click takes a single path for OUT, and would then report that SCANS is missing.

    Raises:
        UsageError: for a missing argument; the error names it.
        DataError: for a path that does not exist.
    """
    if out is None:
        raise click.UsageError("Missing arguments 'SCANS...' and 'OUT'.")
    if not scans:
        raise click.UsageError(f"Missing argument 'OUT', the folder to write to; only {str(out)!r} is given.")
    for path in scans:
        check_path(path)


def training_on(prepared: Path) -> list[str]:
    """The words of the training command for a folder of prepared scans.

    Empty while a part of the folder is missing, or if it has no scans.
    """
    from toothgraph.data.prepared.folder import read_manifest, read_options
    from toothgraph.data.prepared.layout import is_prepared

    headers = read_manifest(prepared) if is_prepared(prepared) else []
    if not headers:
        return []
    command = "finetune" if any(header.labelled for header in headers) else "pretrain"
    words = [command, str(prepared), "--out", str(free(Path("runs") / command))]
    return [*words, *_options_of_graphs(read_options(prepared)["graph"])]


def _options_of_graphs(graph: dict[str, Any]) -> list[str]:
    """The options that make a training use graphs of this specification.

    Empty for the graphs of the default preset, and for graphs of no preset.
    """
    from toothgraph.data.prepared.folder import stored_graph
    from toothgraph.training.config import FINETUNE_PRESETS

    for preset, config in FINETUNE_PRESETS.items():
        usual = stored_graph(config.net.graph)
        if {**usual, "faces": graph["faces"]} == graph:
            options = [] if preset == "default" else ["--preset", preset]
            return options if usual == graph else [*options, "--faces", str(graph["faces"])]
    return []


def tell_of_colours(unlabelled: Sequence[Path]) -> None:
    """Warn once if one of the first scans that count as unlabelled has colours that may be labels."""
    from toothgraph.io.formats.registry import read_stored
    from toothgraph.io.label_colours import colours_like_labels

    for file in unlabelled[:_TRIED]:
        if file.exists() and (colours := len(colours_like_labels(read_stored(file)))):
            say(
                f"Warning: no labels could be read of {scans_of(len(unlabelled))}; {file.name} has {colours} "
                "colours, which may be labels. If they are, prepare the scans into another folder, with --palette "
                "FILE:SET to say what the colours mean",
                err=True,
            )
            return
