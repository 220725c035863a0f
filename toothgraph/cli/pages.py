"""The list of the pages that a command has written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toothgraph.cli.terminal import say
from toothgraph.errors import ConfigError

if TYPE_CHECKING:
    from toothgraph.report.folder import PageFolder

_BOTH = ".both"  # see :func:`toothgraph.report.index.pair_page`


def check_page_name(name: str, pages: PageFolder) -> None:
    """Raises ConfigError for a scan whose page or table would take the place of the list, of the table of measures, or
    of the page of both jaws of a patient: ``anna.both`` of ``anna``."""
    pages.check(name)
    if name.lower().endswith(_BOTH):
        raise ConfigError(
            f"{name}: {name}.html is the page of both jaws of {name[: -len(_BOTH)]}; give the scan another name"
        )


@contextmanager
def listed(pages: PageFolder | None) -> Iterator[None]:
    """Write the list at the end if pages were added or scans failed, also after a stop: else no list has them."""
    try:
        yield
    finally:
        if pages and (pages.entries or pages.failed):
            say(f"list of the scans -> {pages.write_list()}")
