"""Options that several commands share."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from toothgraph.choices import MM_PER_UNIT
from toothgraph.cli.kinds import FILE, GIGABYTES, PATH, Choice, LabelSystem, Model, Shard
from toothgraph.cli.refusals import at_once, check_label_system, check_model, check_path, check_split, named_palette
from toothgraph.system.memory import bounded, check_bound
from toothgraph.system.progress import Display
from toothgraph.weights import DEFAULT

JAWS = {"upper": 0, "lower": 1, "auto": None}


there = at_once(check_path)
scans_argument = click.argument("scans", nargs=-1, required=True, type=PATH, callback=there)
shard_option = click.option(
    "--shard", type=Shard(), default=(1, 1), help="Do only part i of n; each part may run on another machine."
)
again_option = click.option("--again", is_flag=True, help="Process scans again that an earlier run has done.")
unit_option = click.option("--unit", type=Choice(list(MM_PER_UNIT)), help="Unit of length in the files.  [default: mm]")
palette_option = click.option(
    "--palette",
    metavar="FILE:SET",
    callback=at_once(named_palette),
    help="What the colours of faces or vertices mean: a SET in a palette FILE.",
)
label_system_option = click.option(
    "--label-system",
    type=LabelSystem(),
    callback=at_once(check_label_system),
    help="How the labels number teeth; FILE:SET is a system of your own.  [default: auto: FDI in label files, guessed "
    "in arrays]",
)
split_option = click.option(
    "--split", type=FILE, callback=at_once(check_split), help="JSON file that names the train and val patients."
)
jaw_option = click.option(
    "--jaw",
    type=Choice(list(JAWS)),
    default="auto",
    show_default=True,
    help="Jaw of the scans. auto: from the file name (upper, lower, maxilla, U, L, …); else from the net.",
)
model_option = click.option(
    "--model",
    type=Model(path_type=Path),
    default=DEFAULT,
    callback=at_once(check_model),
    help="Run folder of finetune, its model.safetensors, or a folder of export.  [default: the weights in the package]",
)


def starting() -> Display:
    """A display to enter as a context while libraries are loaded, which may take seconds."""
    return Display("starting", every=None)


def memory_option(
    needs: str, refuse: Callable[..., None] = lambda **given: None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option ``--memory`` of a command, which then runs within this bound.

    Args:
        needs: module whose import loads the libraries of the command, before the bound is checked and set.
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

        text = "Memory that a process may use.  [default: what the machine has; with a GPU, no limit]"
        return click.option("--memory", type=GIGABYTES, metavar="GB", help=text)(within)

    return add


# Former names that are still accepted.
FORMER_FLAGS = {"--numbering": "--label-system", "--no-numbering": "--keep-numbers"}


def prediction_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that leave out steps of prediction; each sets a field of ``PredictOptions``."""
    left_out = {
        "find_pose": ("--no-orient", "Do not turn the scans: they already lie as the net expects."),
        "refine_borders": ("--no-refine", "Keep the borders as the net finds them; do not refine them."),
        "assign_numbers": ("--keep-numbers", "Keep the numbers as the net gives them; do not correct them."),
    }
    for name, (flag, text) in reversed(left_out.items()):
        command = click.option(flag, name, is_flag=True, flag_value=False, default=True, help=text)(command)
    return command
