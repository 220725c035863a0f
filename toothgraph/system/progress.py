"""The progress display of all commands, on stderr: two changing lines on a terminal, else a plain line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from toothgraph.stages import clock, heard_by
from toothgraph.system.processes import first_rank

if TYPE_CHECKING:  # imported where it is shown
    from rich.console import Console, RenderableType

_EDGE = 4  # columns that stay free, so that the ^C of a terminal does not begin another line
_SLOW = 2.0  # seconds after which the time of the current item is shown


class Display:
    """A context that shows how far a piece of work is, and what is being done.

    On a terminal, the first line has the work, a bar, the number of items done and the time left. The second line has
    the current item and its stage. Both lines disappear when the work is done. Elsewhere, a plain line is printed at
    the beginning, and then at most one each ``every`` seconds, if anything has changed.

    Args:
        work: the name of the work, such as ``labelling``.
        total: number of items; 0 if it is not known yet.
        unit: name of the items, in the plural.
        item: name of the first item.
        every: seconds between two lines if stderr is not a terminal; None for no lines.
        announce: whether to print a first line there as soon as the number of items is known.
        goes_on: whether the same command continues the work after a stop; the message of a stop then says so.
    """

    def __init__(
        self,
        work: str,
        total: int = 0,
        unit: str = "scans",
        *,
        item: str = "",
        every: float | None = 10.0,
        announce: bool = True,
        goes_on: bool = False,
    ) -> None:
        self.work, self.total, self.unit, self.item = work, total, unit, item
        self.every, self.announce = every, announce and every is not None
        self.goes_on = goes_on
        self.done = self._start = 0
        self.facts, self.note = "", ""  # texts beside the count, and before all others
        self._stage, self._at_first = "", True
        self._changes = False  # whether the changing lines of a terminal are shown
        self._live: _Live | None = None
        self._begun = self._item_begun = time.monotonic()
        self._end: float | None = None  # estimated time of the end
        self._exit = ExitStack()

    def __enter__(self) -> Display:
        if not first_rank():
            self.announce = False
            return self
        self._begun = self._item_begun = time.monotonic()
        self._exit.enter_context(heard_by(self.stage))
        self._changes = on_terminal()
        if self._changes:
            self._live = self._exit.enter_context(_Live(self))
        elif self.every is not None:
            self._announce()
            self._exit.enter_context(_Lines(self, self.every))
        return self

    def _announce(self) -> None:
        if self.announce and not self._changes and (self.total > 1 or self.item):
            self.announce = False  # once
            print(self.first_line(), file=sys.stderr, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()
        self._changes, self._live = False, None
        if isinstance(error, KeyboardInterrupt) and not error.args and self.total > 1:
            then = "; to go on, run the same command again" if self.goes_on else ""
            error.args = (f"{self._count()} done{then}",)  # for the code that reports the stop

    def start_at(self, done: int) -> None:
        """Begin with items that were done before; they do not count for the time left."""
        self.done = self._start = done

    def over(self, paths: Iterable[Path]) -> Iterator[Path]:
        """Yield files one after another, and show each as the current item."""
        files: Sequence[Path] = list(paths)
        self.total, self.item = len(files), files[0].stem if files else ""
        self._announce()
        for file in files:
            self.begin(file.stem)
            yield file
            self.advance()

    def begin(self, item: str) -> None:
        """Show the next item as the current one."""
        if self._at_first:  # the time before, such as loading a net, does not count for the items
            self._at_first, self._begun = False, time.monotonic()
        self.item, self._stage, self._item_begun = item, "", time.monotonic()

    def stage(self, what: str) -> None:
        """Show the stage of the current item, at once, because the stage may hold the lock that drawing needs."""
        self._stage = what
        if self._live:
            self._live.draw()

    def answer(self, note: str) -> None:
        """Show a note from a signal handler, which must not wait for a lock that the interrupted code holds."""
        self.note = note
        if not self._changes:
            os.write(2, f"{note}\n".encode())

    def advance(self, facts: str = "") -> None:
        """Count one more item as done; ``facts`` is a text beside the count."""
        self.show(self.done + 1, facts)

    def show(self, done: int, facts: str = "") -> None:
        """Set the number of items that are done; ``facts`` is a text beside the count."""
        self.done, self.facts = done, facts or self.facts
        now = time.monotonic()
        if done > self._start:
            self._end = now + (now - self._begun) / (done - self._start) * (self.total - done)

    def _count(self) -> str:
        return f"{self.done:,} of {self.total:,} {self.unit}"

    def _left(self) -> str:
        seconds = 0.0 if self._end is None else self._end - time.monotonic()
        return f"{clock(seconds)} left" if seconds > 0 else ""  # unknown: an item takes longer than the others

    def _at_work(self) -> str:
        return ": ".join(part for part in (self.item, self._stage) if part)

    def line(self) -> str:
        """The state in one plain line."""
        if self.total > 1:
            what = [f"{self.work} {self._count()}", self._at_work()]
        else:
            what = [f"{self.work} {self._at_work()}".strip()]
        return ", ".join(part for part in (*what, self.facts, self._left(), self.note) if part)

    def first_line(self) -> str:
        """The work that begins, in one plain line."""
        count = f"{self.total - self.done:,} {self.unit}" if self.total > 1 else ""
        return " ".join(part for part in (self.work, count or self.item) if part)

    def lines(self, console: Console) -> RenderableType:
        """The two lines for a terminal, never wider than the terminal."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        width = max(console.width - _EDGE, 10)
        seconds = time.monotonic() - self._item_begun
        since = clock(seconds) if seconds >= _SLOW else ""
        below = ", ".join(part for part in (self.note, self._at_work(), self.facts) if part)
        if self.total <= 1:
            text = "  ".join(part for part in (self.work, below, since) if part)
            return Text(_cut(text, width), no_wrap=True, overflow="crop")
        grid = Table.grid(padding=(0, 2))
        count, left = self._count(), self._left()
        bar = min(30, width - sum(len(part) + 2 for part in (self.work, count, left)))
        cells: list[RenderableType] = [Text(self.work), Text(count), Text(left)]
        if bar >= 5:
            cells.insert(1, ProgressBar(self.total, self.done, width=bar))
        for _ in cells:
            grid.add_column(no_wrap=True)
        grid.add_row(*cells)
        if self.item and since:
            below += f"  {since}"
        if not below:
            return grid
        return Group(grid, Text(_cut(f"  {below}", width), style="dim", no_wrap=True, overflow="crop"))


def on_terminal() -> bool:
    """Whether stderr is a terminal on which lines can change."""
    stderr: TextIO | None = sys.stderr  # None in a program without a console
    return stderr is not None and stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


class _Live:
    """Draws a display on the terminal, several times a second; text printed meanwhile appears above it."""

    def __init__(self, display: Display) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
        # Only if stdout is a terminal: else rich would print on the terminal what belongs in a file.
        self._live = Live(get_renderable=lambda: display.lines(console), console=console, transient=True,
                          redirect_stdout=sys.stdout.isatty(), vertical_overflow="crop")  # fmt: skip

    def __enter__(self) -> _Live:
        try:
            self._live.start(refresh=True)
        except BaseException:  # Ctrl-C during the first drawing: else the display would stay
            self._live.stop()
            raise
        return self

    def draw(self) -> None:
        """Draw now, without waiting for the next regular time."""
        self._live.refresh()

    def __exit__(self, *error: object) -> None:
        self._live.stop()


class _Lines:
    """Prints the state of a display as plain lines."""

    def __init__(self, display: Display, every: float) -> None:
        self._display, self._every = display, every
        self._stopped = Event()
        self._thread = Thread(target=self._speak, daemon=True)

    def _speak(self) -> None:
        said = ""
        while not self._stopped.wait(self._every):
            if (line := self._display.line()) != said:
                said = line
                print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()


def _own_streams() -> None:
    """Restore the real stdout and stderr in a forked process, where the lock of a display may be held."""
    sys.stdout, sys.stderr = (getattr(stream, "rich_proxied_file", stream) for stream in (sys.stdout, sys.stderr))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_own_streams)
