"""Ctrl-C and SIGTERM, by which a user or a batch system stops a command."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

GRACE = 20  # seconds that a loader's worker goes on after SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM: stops what Ctrl-C stops."""


def outlive_sigterm(worker: int = 0) -> None:
    """In a loader's worker: go on for a while after SIGTERM, which batch systems send to all processes of a run.

    The run needs its graphs to finish the step, and then ends the worker.

    Args:
        worker: its number, as loaders give it; of no meaning here.
    """
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, _end_soon)


def _end_soon(number: int, frame: FrameType | None) -> None:
    signal.alarm(GRACE)


def set_handler(number: int, handler: Any) -> bool:
    """Set a handler; False outside of the main thread, where the caller handles signals."""
    try:
        signal.signal(number, handler)
    except ValueError:
        return False
    return True


@contextmanager
def heeded() -> Iterator[None]:
    """Within it, SIGTERM raises :class:`Terminated`, and SIGINT raises KeyboardInterrupt, even where a script started
    this process in the background and so had it ignore SIGINT. In another thread than the main one nothing changes."""
    process = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:  # a fork, which ends as it would without this
            os._exit(128 + number)
        raise Terminated

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    wanted: dict[int, Any] = {signal.SIGTERM: terminate}
    if before[signal.SIGINT] is signal.SIG_IGN:
        wanted[signal.SIGINT] = signal.default_int_handler
    changed = [number for number, handler in wanted.items() if set_handler(number, handler)]
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, before[number])
