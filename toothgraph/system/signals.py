"""Handle Ctrl-C and SIGTERM, with which a user or a batch system stops a command."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

GRACE = 20  # seconds that a worker of a data loader goes on after SIGTERM


class Terminated(KeyboardInterrupt):
    """Raised at SIGTERM; stops everything that Ctrl-C stops."""


def outlive_sigterm(worker: int = 0) -> None:
    """Let a data loader's worker go on for a while after SIGTERM, which batch systems send to all processes of a run.

    The run needs the graphs of the worker to finish its step, and then ends the worker.

    Args:
        worker: the number of the worker, which data loaders pass; not used.
    """
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, _end_soon)


def _end_soon(number: int, frame: FrameType | None) -> None:
    signal.alarm(GRACE)


@contextmanager
def handled(handlers: dict[int, Any]) -> Iterator[None]:
    """Set signal handlers, by signal number, while the context is active.

    Outside of the main thread nothing changes; there the caller handles signals.
    """
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
    """Let SIGTERM raise :class:`Terminated` and SIGINT raise KeyboardInterrupt while the context is active.

    SIGINT works even if a script has started this process in the background, where it would be ignored. Outside of the
    main thread nothing changes.
    """
    process = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:  # a forked process ends as it would without this handler
            os._exit(128 + number)
        raise Terminated

    handlers: dict[int, Any] = {signal.SIGTERM: terminate}
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        handlers[signal.SIGINT] = signal.default_int_handler
    with handled(handlers):
        yield
