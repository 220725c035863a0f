"""Hide messages of other packages from the user."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def errors_only(*loggers: str) -> Iterator[None]:
    """Show only errors of these loggers while the context is active; changes of warning filters also end with it."""
    found = [logging.getLogger(name) for name in loggers]
    before = [logger.level for logger in found]
    with warnings.catch_warnings():
        for logger in found:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(found, before, strict=True):
                logger.setLevel(level)
