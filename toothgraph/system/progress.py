"""One display of progress for all commands: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # imported where a bar is shown
    from rich.progress import Progress

Item = TypeVar("Item")


class Display:
    """How far a piece of work is, on stderr. To be entered as a context.

    Args:
        title: what is done.
        total: how many there are.
        start: how many were done before.
        every: seconds between two lines where stderr is no terminal; None for no lines.
        keep: whether the bar stays on the terminal when the work is done.
    """

    def __init__(
        self, title: str, total: int, *, start: int = 0, every: float | None = 10.0, keep: bool = True
    ) -> None:
        self.title, self.total, self.every = title, total, every
        self.done, self.facts = start, ""
        self._said = time.monotonic()
        self._bar = _bar(keep) if sys.stderr.isatty() else None
        self._task = self._bar.add_task(title, total=total, completed=start, facts="") if self._bar else None

    def __enter__(self) -> Display:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, facts: str = "") -> None:
        """One more is done; ``facts`` is what to say beside the count."""
        self.show(self.done + 1, facts)

    def show(self, done: int, facts: str = "") -> None:
        """So many are done."""
        self.done, self.facts = done, facts or self.facts
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, facts=self.facts)
        elif self.every is not None and time.monotonic() - self._said > self.every:
            self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        facts = f", {self.facts}" if self.facts else ""
        print(f"{self.title}: {self.done} of {self.total}{facts}", file=sys.stderr, flush=True)


def _bar(keep: bool) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("{task.fields[facts]}"))  # fmt: skip
    return Progress(*columns, console=Console(stderr=True), transient=not keep)


def track(items: Sequence[Item], title: str) -> Iterator[Item]:
    """The items one after another, with a bar on a terminal and nothing elsewhere."""
    with Display(title, len(items), every=None, keep=False) as display:
        for item in items:
            yield item
            display.advance()
