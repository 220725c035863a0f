"""Checks of arguments before the libraries of a command are loaded, which takes seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.errors import ConfigError
from toothgraph.system.files import check_there
from toothgraph.weights import model_file

if TYPE_CHECKING:
    from toothgraph.io.palette import Palette


def at_once(check: Callable[[Any], object]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that checks the value of an option when it is parsed.

    Args:
        check: raises a ToothgraphError for a wrong value. It imports no torch.
    """

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        del ctx, param
        for one in value if isinstance(value, tuple) else (value,):
            if one is not None:
                check(one)
        return value

    return callback


def check_path(path: Path) -> None:
    """Raise DataError if a path does not exist."""
    check_there(path)


def check_file(path: Path) -> None:
    """Raise ConfigError if the file that an option names does not exist."""
    check_there(path, ConfigError)


def check_labels(folder: Path) -> None:
    """Raise ConfigError if a folder of labels does not exist, or is a file."""
    check_there(folder, ConfigError)
    if folder.is_file():
        raise ConfigError(f"{folder}: expected a folder with labels, found a file")


def check_label_system(name: str) -> None:
    """Raise ConfigError if a label system of the user's own does not exist or cannot be read."""
    from toothgraph.io.numbering import content_of

    content_of(name)


def check_model(path: Path | str) -> None:
    """Raise CheckpointError if a model does not exist."""
    model_file(path)


def check_split(path: Path | str) -> None:
    from toothgraph.data.split import load_split

    load_split(path)


def check_device(name: str) -> None:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ConfigError(f"expected a device of auto, cpu, cuda or mps, got {name!r}")


def named_palette(spec: str | None) -> Palette | None:
    """The palette that ``FILE:SET`` names; None without a name."""
    from toothgraph.io.palette import load_palette

    return load_palette(spec) if spec else None


def refuse_training(scans: tuple[Path, ...], out: Path, resume: bool, config: Path | None, **given: Any) -> None:
    """Refuse wrong arguments of a training, also in its configuration file, before libraries are loaded."""
    from toothgraph.config import read_toml
    from toothgraph.training.ranges import check_values
    from toothgraph.training.run_folder import check_free

    more = given.get("unlabelled", ())
    if not scans and not more:
        raise click.UsageError("expected SCANS with labels, or --unlabelled scans and --init with a net to label them")
    checks: dict[str, Callable[[Any], object]] = {
        "split": check_split, "palette": named_palette, "init": check_model, "label_system": check_label_system,
        "labels": lambda folder: check_labels(Path(folder)),
    }  # fmt: skip
    values = read_toml(config) if config else {}
    for name, value in values.items():
        if name in checks and given.get(name, value) is None and isinstance(value, str):
            checks[name](value)
    check_values(values | {name: value for name, value in given.items() if value is not None})
    for folder in (path if path.is_dir() else path.parent for path in (*scans, *more)):
        if not resume and out.exists() and out.samefile(folder):
            raise ConfigError(f"{out}: --out contains the scans; choose a separate folder for the run")
    check_free(out, resume)
