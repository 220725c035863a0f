"""A folder of pages: one of each scan, one of both jaws of each patient, and the list of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toothgraph.anatomy.frame import jaw_shown
from toothgraph.anatomy.measures import measure_arch
from toothgraph.fdi import JAW_NAMES, UNKNOWN_JAW
from toothgraph.report.index import TABLE, Entry, check_name, entry_of, pair_page, read_index, write_index
from toothgraph.report.page import PageScan, write_scans
from toothgraph.report.tooth_table import tooth_table
from toothgraph.scan_names import patient_of
from toothgraph.system.lock import one_at_a_time


class PageFolder:
    """Writes the pages of scans into a folder, one after another.

    The two jaws of a patient get a page together if one follows the other.

    Args:
        path: the folder. What an earlier run has written there stays in the list.
        before: what the list has; None reads it.

    Raises:
        ConfigError: if there is an ``index.html`` that is not a list of scans.
    """

    def __init__(self, path: Path, before: Sequence[Entry] | None = None) -> None:
        self.path = path
        self.before = read_index(path) if before is None else before
        self.entries: list[Entry] = []  # those that were added
        self.last: tuple[str, PageScan] | None = None  # the scan before: its patient, and what its page shows

    def check(self, name: str) -> None:
        """Raises ConfigError for a scan whose page would take the place of the list."""
        check_name(name)

    def add(self, name: str, *jaws: PageScan, patient: str = "") -> None:
        """Write the page of a scan, or of both jaws that are in one file; and one of both jaws if the other scan of the
        patient came before it. ``patient`` is whose scan it is, if its name does not tell."""
        complete = []
        for jaw in jaws:
            teeth = jaw.teeth or tooth_table(jaw.mesh, jaw.labels, jaw.confidence)
            measures = jaw.measures or measure_arch(jaw.mesh, jaw.labels)
            complete.append(replace(jaw, teeth=teeth, measures=measures))
            own, scan = (name, "") if len(jaws) == 1 else (f"{name}_{JAW_NAMES[jaw_shown(jaw.mesh, jaw.labels)]}", name)
            self.entries.append(entry_of(own, jaw.mesh, jaw.labels, teeth, measures, jaw.doubts, scan, patient))
        write_scans(self.path / f"{name}.html", complete, title=name)
        self._pair(patient or patient_of(name), complete[0] if len(jaws) == 1 else None)

    def _pair(self, patient: str, scan: PageScan | None) -> None:
        page = self.path / pair_page(patient)
        before = self.last[1] if self.last and self.last[0] == patient else None
        self.last = None if scan is None else (patient, scan)
        if before is None or scan is None:
            page.unlink(missing_ok=True)  # of an earlier run, with other labels
            return
        scans = sorted([before, scan], key=lambda one: jaw_shown(one.mesh, one.labels))
        jaws = {jaw_shown(one.mesh, one.labels) for one in scans}
        if len(jaws) == 2 and UNKNOWN_JAW not in jaws:
            write_scans(page, scans, title=patient)

    def write_list(self) -> Path:
        """Write ``index.html`` and ``measures.csv``, with what others have written there meanwhile; returns the path of
        the list."""
        with one_at_a_time(self.path / TABLE):
            return write_index(self.path, [*read_index(self.path), *self.entries])
