"""The options of both training commands, and how they become a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.choices import LABEL_SYSTEMS, MM_PER_UNIT, did_you_mean, is_own
from toothgraph.cli.device import choose_device, device_option, threads_option
from toothgraph.cli.kinds import FILE, PATH, Choice
from toothgraph.cli.options import memory_option, split_option, unit_option
from toothgraph.cli.refusals import at_once, check_file, check_label_system, named_palette, refuse_training
from toothgraph.cli.terminal import say
from toothgraph.errors import ConfigError
from toothgraph.system.progress import Display

if TYPE_CHECKING:
    from toothgraph.data.scan import Scan
    from toothgraph.data.split import Split
    from toothgraph.training.config import TrainingConfig

PRESETS = ("default", "paper")
# Options of a run that are not fields of its configuration.
RUN_KEYS = ("preset", "split", "palette", "label_system", "unit", "init", "labels")
# Former names that are still accepted in a configuration file.
FORMER_KEYS = {"numbering": "label_system"}


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of both training commands."""
    options: list[Callable[..., Any]] = [
        click.option("--out", "-o", type=PATH, required=True, help="Folder for the run."),
        click.option("--resume", is_flag=True, help="Continue the run in --out, if there is one."),
        click.option(
            "--config",
            type=FILE,
            callback=at_once(check_file),
            help="TOML file with any options except --out, --resume, --memory, --threads and --unlabelled.",
        ),
        click.option(
            "--preset",
            type=Choice(PRESETS),
            help="Set of values for all options that you do not give.  [default: default]",
        ),
        split_option,
        click.option("--steps", type=int, help="Optimiser steps."),
        click.option("--epochs", type=int, help="Passes over the scans; they set the number of steps."),
        click.option("--batch", type=int, help="Scans per step."),
        click.option("--lr", type=float, help="Highest learning rate."),
        click.option("--seed", type=int, help="Seed of initialisation, order and augmentation."),
        click.option("--faces", type=int, help="Faces that scans are decimated to."),
        click.option("--workers", type=int, help="Processes that load samples."),
        device_option,
        threads_option,
        click.option(
            "--devices", type=int, help="Number of GPUs, or of processes on a CPU; each takes a batch per step."
        ),
        click.option("--nodes", type=int, help="Number of machines; torchrun or SLURM starts the run on each."),
        click.option("--accumulate", type=int, help="Batches per step, computed one after another."),
        click.option(
            "--deterministic",
            is_flag=True,
            default=None,
            help="Use only operations that give the same result every time.",
        ),
        click.option("--precision", type=Choice(["32", "bf16", "16"]), help="Precision of the arithmetic, in bits."),
        click.option("--checkpoint-every", type=int, metavar="STEPS", help="Steps between checkpoints."),
        click.option("--validate-every", type=int, metavar="STEPS", help="Steps between validations."),
        memory_option("toothgraph.training.run", refuse_training),
        unit_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def split_options(config_file: Path | None, given: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """The options of the run, and layers of options for :func:`toothgraph.training.config.make_config`.

    The command line has priority over the file ``--config``.
    """
    from toothgraph.config import read_toml

    stated = {name: value for name, value in given.items() if value is not None}
    file = read_toml(config_file) if config_file else {}
    for former, now in FORMER_KEYS.items():
        if former in file:
            say(f"Notice: {config_file}: {former} is now called {now}", err=True)
            file.setdefault(now, file.pop(former))
    own = {name: file.pop(name) for name in RUN_KEYS if name in file and name in given}
    strange = [name for name, value in own.items() if not isinstance(value, str)]
    if strange:
        raise ConfigError(f"{config_file}: {strange[0]}: expected a text in quotes, got {own[strange[0]]!r}")
    run = {name: stated.pop(name, own.get(name)) for name in RUN_KEYS}
    for name, choices in (("preset", PRESETS), ("unit", tuple(MM_PER_UNIT)), ("label_system", LABEL_SYSTEMS)):
        if name == "label_system" and is_own(run[name] or ""):
            check_label_system(run[name])
            continue
        if run[name] is not None and run[name] not in choices:
            near = did_you_mean(str(run[name]), choices)
            raise ConfigError(f"{config_file}: {name}: expected one of {', '.join(choices)}, got {run[name]!r}{near}")
    for layer in (file, stated):
        faces = layer.pop("faces", None)
        if faces is not None:
            _set_faces(layer, faces, str(config_file))
    return run, [(str(config_file), file), ("command line", stated)]


def also_in_file(given: dict[str, Any]) -> list[str]:
    """What the file ``--config`` of a command may have besides the fields of its configuration."""
    return ["faces", *(name for name in RUN_KEYS if name in given)]


def _set_faces(layer: dict[str, Any], faces: Any, source: str) -> None:
    """Store ``faces``, the short form of ``net.graph.faces``, in a layer of options."""
    net = layer.get("net", {})
    graph = net.get("graph", {}) if isinstance(net, dict) else None
    if not isinstance(graph, dict):
        raise ConfigError(f"{source}: expected tables [net] and [net.graph], got net = {net!r}")
    if graph.get("faces", faces) != faces:
        raise ConfigError(f"{source}: expected faces once, got {faces!r} and, in [net.graph], {graph['faces']!r}")
    layer["net"] = {**net, "graph": {**graph, "faces": faces}}


def read_training_set(
    paths: tuple[Path, ...], run: dict[str, Any], config: TrainingConfig, *, fraction: float = 1.0, labels: bool
) -> tuple[list[Scan], Split]:
    """The scans of a run, read or prepared, and their split into training and validation patients."""
    from toothgraph.data.prepared.layout import is_prepared
    from toothgraph.data.training_set import load_training_set

    if all(map(is_prepared, paths)):
        for name in ("palette", "label_system"):
            if run[name]:
                say(
                    f"Warning: --{name.replace('_', '-')} {run[name]} has no effect, as all scans are prepared; give "
                    "it to `toothgraph prepare`", err=True,
                )  # fmt: skip
    with Display("reading") as display:
        return load_training_set(
            paths, config.net.graph, variants=config.variants, seed=config.seed, bases=config.bases,
            split=run["split"], fraction=fraction, val_fraction=config.val_fraction, unit=run["unit"] or "mm",
            palette=named_palette(run["palette"]), label_system=run["label_system"] or "auto", labels=labels,
            reviewed=Path(run["labels"]) if run["labels"] else None, progress=display.over,
        )  # fmt: skip


def begin_training(out: Path, resume: bool, device: str) -> None:
    """Refuse a device that cannot be used, and give a resumed run its former number of threads.

    This happens before scans are read, which may take minutes. ``--threads`` has priority over the former number. The
    number of threads changes the order of sums, and so the last digits.
    """
    from toothgraph.training.run_folder import threads_of

    if resume and click.get_current_context().meta.get("threads") is None and (before := threads_of(out)):
        import torch

        torch.set_num_threads(before)
    choose_device(device)
