"""The types of values that options take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from toothgraph.choices import LABEL_SYSTEMS, did_you_mean, is_own
from toothgraph.weights import DEFAULT


class Choice(click.Choice):  # type: ignore[type-arg]  # click before 8.2 takes no type here
    """A choice out of some words. The error for any other word names the nearest one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            self.fail(error.message.rstrip(".") + did_you_mean(str(value), self.choices), param, ctx)


class LabelSystem(Choice):
    """A known label system, or one of the user's own as ``FILE:SET``."""

    def __init__(self, systems: Sequence[str] = LABEL_SYSTEMS) -> None:
        super().__init__([*systems, "FILE:SET"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if is_own(str(value)) else super().convert(value, param, ctx)


class Model(click.Path):
    """A file or folder of a model, or the word ``default``, which shell completion offers, too."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if not DEFAULT.startswith(incomplete):
            return super().shell_complete(ctx, param, incomplete)
        here = (f"{path.name}/" if path.is_dir() else path.name for path in Path().glob(f"{incomplete}*"))
        return [CompletionItem(word) for word in (DEFAULT, *sorted(here)) if not word.startswith(".")]


class Shard(click.ParamType):  # type: ignore[type-arg]  # click before 8.2 takes no type here
    """A part ``i/n`` of the scans, counted from 1."""

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
