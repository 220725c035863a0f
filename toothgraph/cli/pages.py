"""The list of the pages that a command has written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toothgraph.cli.terminal import say

if TYPE_CHECKING:
    from toothgraph.report.folder import PageFolder


@contextmanager
def listed(pages: PageFolder | None) -> Iterator[None]:
    """Write the list of pages at the end, also after a stop, if pages were added or scans failed.

    Without this, no list would name these pages and scans.
    """
    try:
        yield
    finally:
        if pages and (pages.entries or pages.failed):
            say(f"list of the scans -> {pages.write_list()}")
