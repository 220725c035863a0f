"""Tell what a long piece of work is doing: each step names its stage, and a listener, if there is one, shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


def stage(what: str) -> None:
    """Tell the listener which stage begins now, such as ``decimating``."""
    listener = _listener.get()
    if listener is not None:
        listener(what)


@contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """While the context is active, ``listener`` is called with each stage of this thread."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


def clock(seconds: float) -> str:
    """A number of seconds as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
