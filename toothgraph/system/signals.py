"""Ctrl-C and SIGTERM, by which a user or a batch system stops a command."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def handled(handlers: dict[int, Any]) -> Iterator[None]:
    """Within it, signals have these handlers by number; outside of the main thread, where the caller handles signals,
    nothing changes."""
    before: dict[int, Any] = {}
    try:
        with suppress(ValueError):  # not in the main thread
            for number, handler in handlers.items():
                before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def heeded() -> Iterator[None]:
    """Within it, SIGTERM raises :class:`Terminated`, and SIGINT raises KeyboardInterrupt, even where a script started
    this process in the background and so had it ignore SIGINT. In another thread than the main one nothing changes."""
    process = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:  # a fork, which ends as it would without this
            os._exit(128 + number)
        raise Terminated

    handlers: dict[int, Any] = {signal.SIGTERM: terminate}
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        handlers[signal.SIGINT] = signal.default_int_handler
    with handled(handlers):
        yield
