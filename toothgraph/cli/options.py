"""Options that several commands share, and how they become a configuration."""

from __future__ import annotations

import importlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from toothgraph.choices import LABEL_SYSTEMS, MM_PER_UNIT, did_you_mean, is_own
from toothgraph.cli.refusals import (
    at_once,
    check_device,
    check_file,
    check_label_system,
    check_model,
    check_path,
    check_split,
    named_palette,
    refuse_training,
)
from toothgraph.cli.terminal import say
from toothgraph.errors import ConfigError
from toothgraph.system.memory import bounded, check_bound, share
from toothgraph.system.progress import Display
from toothgraph.system.threads import limited
from toothgraph.weights import DEFAULT

if TYPE_CHECKING:
    from toothgraph.data.scan import Scan
    from toothgraph.data.split import Split
    from toothgraph.model import SegmentationNet
    from toothgraph.model.file import ModelFile
    from toothgraph.training.config import TrainingConfig


class Choice(click.Choice):  # type: ignore[type-arg]  # click before 8.2 takes no type here
    """One of some words; for any other, the nearest is named."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            self.fail(error.message.rstrip(".") + did_you_mean(str(value), self.choices), param, ctx)


class LabelSystem(Choice):
    """One of some label systems, or ``FILE:SET``, one of anybody's own."""

    def __init__(self, systems: Sequence[str] = LABEL_SYSTEMS) -> None:
        super().__init__([*systems, "FILE:SET"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if is_own(str(value)) else super().convert(value, param, ctx)


class Model(click.Path):
    """A file or folder of a model, or ``default``; shells offer the word, too."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if not DEFAULT.startswith(incomplete):
            return super().shell_complete(ctx, param, incomplete)
        here = (f"{path.name}/" if path.is_dir() else path.name for path in Path().glob(f"{incomplete}*"))
        return [CompletionItem(word) for word in (DEFAULT, *sorted(here)) if not word.startswith(".")]


class Shard(click.ParamType):  # type: ignore[type-arg]  # click before 8.2 takes no type here
    """``i/n``, counted from 1."""

    name = "i/n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", value)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            self.fail(f"expected a part as 1/8 … 8/8, got {value!r}", param, ctx)
        return int(found[1]), int(found[2])


FILE = click.Path(path_type=Path, dir_okay=False)
PATH = click.Path(path_type=Path)
GIGABYTES = click.FloatRange(min=0, min_open=True)
PRESETS = ("default", "paper")
JAWS = {"upper": 0, "lower": 1, "auto": None}


there = at_once(check_path)
scans_argument = click.argument("scans", nargs=-1, required=True, type=PATH, callback=there)
shard_option = click.option(
    "--shard", type=Shard(), default=(1, 1), help="Only part i of n; each may run on another machine."
)
again_option = click.option("--again", is_flag=True, help="Do again what an earlier run has done.")
unit_option = click.option("--unit", type=Choice(list(MM_PER_UNIT)), help="Unit of length in the files.  [default: mm]")
palette_option = click.option(
    "--palette",
    metavar="FILE:SET",
    callback=at_once(named_palette),
    help="What face or vertex colours mean: a set of a palette file.",
)
label_system_option = click.option(
    "--label-system",
    type=LabelSystem(),
    callback=at_once(check_label_system),
    help="How the labels number teeth; FILE:SET is a system of your own.  [default: auto: of arrays guessed, of label "
    "files FDI]",
)
split_option = click.option(
    "--split", type=FILE, callback=at_once(check_split), help="JSON file that names the train and val patients."
)
jaw_option = click.option(
    "--jaw",
    type=Choice(list(JAWS)),
    default="auto",
    show_default=True,
    help="auto: by the file name if it names one (upper, lower, maxilla, U, L, …), else by the net.",
)
model_option = click.option(
    "--model",
    type=Model(path_type=Path),
    default=DEFAULT,
    callback=at_once(check_model),
    help="Run folder of finetune, its model.safetensors, or a folder of export.  [default: the weights in the package]",
)


def starting() -> Display:
    """To be entered while libraries are loaded, which may take seconds."""
    return Display("starting", every=None)


def memory_option(
    needs: str, refuse: Callable[..., None] = lambda **given: None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--memory`` of a command, which then runs within the bound.

    Args:
        needs: module whose import brings the libraries of the command, before the bound is checked and set.
        refuse: raises for arguments of the command that do not go together; called before that import.
    """

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def within(*args: Any, memory: float | None, **kwargs: Any) -> Any:
            refuse(**kwargs)
            with starting():
                importlib.import_module(needs)
            check_bound(memory)
            click.get_current_context().meta["memory"] = memory
            with bounded(memory):
                return command(*args, **kwargs)

        text = "What a process may take.  [default: what the machine has; no bound beside a GPU]"
        return click.option("--memory", type=GIGABYTES, metavar="GB", help=text)(within)

    return add


workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share the scans, on a CPU. Each takes one thread (or --threads), and an equal part of the "
    "memory (or --memory).",
)


def process_ended(file: Path, how: str) -> str:
    """Why a scan failed whose process died."""
    return f"{file}: its process ended ({how}), as where memory is short; take fewer --workers"


def in_workers(
    work: Callable[[Any], Iterable[Any]],
    waiting: deque[Any],
    workers: int,
    tell: Callable[[Any], None],
    lost: Callable[[Any, str], Iterable[Any]],
    at_work: Callable[[Sequence[Any]], None],
) -> None:
    """:func:`toothgraph.system.pool.in_processes`, with the threads and the memory of the command that runs."""
    from toothgraph.system.pool import in_processes

    given = click.get_current_context().meta
    in_processes(
        work, waiting, workers, tell, lost, at_work=at_work, threads=given.get("threads") or 1,
        memory=share(given.get("memory"), workers),
    )  # fmt: skip


def check_workers(workers: int, device: str | None) -> None:
    """What can be refused before scans are read.

    Raises:
        ConfigError: for several processes beside a GPU, or that this system or the memory does not allow.
    """
    from toothgraph.system import pool

    if workers == 1:
        return
    pool.check_workers(workers)
    if (found := choose_device(device)).type != "cpu":
        raise ConfigError(
            f"--workers {workers}: one process keeps the device {found.type} busy; expected --workers 1 or --device cpu"
        )
    share(click.get_current_context().meta.get("memory"), workers)


def _limit_threads(ctx: click.Context, param: click.Parameter, value: int | None) -> None:
    """Settle the threads of torch while the command runs, before torch is imported."""
    del param
    ctx.meta["threads"] = value  # what was asked for
    ctx.with_resource(limited(value))


threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    callback=_limit_threads,
    expose_value=False,
    help="Of the arithmetic on a CPU.  [default: by the cores that are free]",
)
device_option = click.option(
    "--device", callback=at_once(check_device), help="auto, cpu, cuda or mps.  [default: auto]"
)

# Options of a run that are no field of its configuration.
RUN_KEYS = ("preset", "split", "palette", "label_system", "unit", "init", "labels")
# Former names that are still accepted, on the command line and in a configuration file.
FORMER_FLAGS = {"--numbering": "--label-system", "--no-numbering": "--keep-numbers"}
FORMER_KEYS = {"numbering": "label_system"}


def prediction_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The steps of prediction that can be left out, by their fields in ``PredictOptions``."""
    left_out = {
        "find_pose": ("--no-orient", "The scans already lie in the networks' frame."),
        "refine_borders": ("--no-refine", "Keep the borders that the net finds."),
        "assign_numbers": ("--keep-numbers", "Keep the numbers that the net gives."),
    }
    for name, (flag, text) in reversed(left_out.items()):
        command = click.option(flag, name, is_flag=True, flag_value=False, default=True, help=text)(command)
    return command


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of both training commands."""
    options: list[Callable[..., Any]] = [
        click.option("--out", "-o", type=PATH, required=True, help="Run folder to write."),
        click.option("--resume", is_flag=True, help="Go on with the run in --out, if there is one."),
        click.option(
            "--config",
            type=FILE,
            callback=at_once(check_file),
            help="TOML file of options, all but --out, --resume, --memory and --unlabelled.",
        ),
        click.option("--preset", type=Choice(PRESETS), help="Where options start from."),
        split_option,
        click.option("--steps", type=int, help="Optimiser steps."),
        click.option("--epochs", type=int, help="Passes over the scans, instead of steps."),
        click.option("--batch", type=int, help="Scans per step."),
        click.option("--lr", type=float, help="Highest learning rate."),
        click.option("--seed", type=int, help="Of initialisation, order and augmentation."),
        click.option("--faces", type=int, help="Faces that scans are decimated to."),
        click.option("--workers", type=int, help="Processes that draw samples."),
        device_option,
        threads_option,
        click.option("--devices", type=int, help="GPUs, or processes on a CPU; each takes a batch per step."),
        click.option("--nodes", type=int, help="Machines, as torchrun or SLURM starts them."),
        click.option("--accumulate", type=int, help="Batches per step, one after another."),
        click.option("--deterministic", is_flag=True, default=None, help="Only operations that repeat exactly."),
        click.option("--precision", type=Choice(["32", "bf16", "16"]), help="Of the arithmetic."),
        click.option("--checkpoint-every", type=int, metavar="STEPS", help="Steps between checkpoints."),
        click.option("--validate-every", type=int, metavar="STEPS", help="Steps between validations."),
        memory_option("toothgraph.training.run", refuse_training),
        unit_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def split_options(config_file: Path | None, given: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Options of the run, and layers of options for :func:`toothgraph.training.config.make_config`.

    The command line goes before the file.
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


def _set_faces(layer: dict[str, Any], faces: Any, source: str) -> None:
    """``faces`` is short for ``net.graph.faces``."""
    net = layer.get("net", {})
    graph = net.get("graph", {}) if isinstance(net, dict) else None
    if not isinstance(graph, dict):
        raise ConfigError(f"{source}: expected tables [net] and [net.graph], got net = {net!r}")
    layer["net"] = {**net, "graph": {**graph, "faces": faces}}


def read_training_set(
    paths: tuple[Path, ...], run: dict[str, Any], config: TrainingConfig, *, fraction: float = 1.0, labels: bool
) -> tuple[list[Scan], Split]:
    """The scans of a run, read or prepared; and who trains and who validates."""
    from toothgraph.data.training_set import load_training_set

    with Display("reading") as display:
        return load_training_set(
            paths, config.net.graph, variants=config.variants, seed=config.seed, bases=config.bases,
            split=run["split"], fraction=fraction, val_fraction=config.val_fraction, unit=run["unit"] or "mm",
            palette=named_palette(run["palette"]), label_system=run["label_system"] or "auto", labels=labels,
            reviewed=Path(run["labels"]) if run["labels"] else None, progress=display.over,
        )  # fmt: skip


def begin_training(out: Path, resume: bool, device: str) -> None:
    """Before scans are read, which may take minutes: a device that cannot be used is refused. A resumed run takes the
    threads it had, unless others are asked for: their number changes the order of sums, and so the last digits."""
    from toothgraph.training.run_folder import threads_of

    if resume and click.get_current_context().meta.get("threads") is None and (before := threads_of(out)):
        import torch

        torch.set_num_threads(before)
    choose_device(device)


def load_net(model: Path, device: str | None) -> tuple[SegmentationNet, ModelFile]:
    """The net of a model file on the device asked for, and what the file says of it."""
    from toothgraph.model.file import load_segmentation

    with Display("loading the net", every=None):
        net, file = load_segmentation(model)
        return net.to(choose_device(device)), file


def choose_device(name: str | None) -> Any:
    """A torch device for inference.

    Raises:
        ConfigError: if it is unknown or not there.
    """
    import torch

    if name is None or name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    check_device(name)
    try:
        device = torch.device(str(name))
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return device
