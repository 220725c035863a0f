"""A folder of pages: one of each scan, one of both jaws of each patient, and the list of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from toothgraph.anatomy.frame import jaw_shown
from toothgraph.fdi import JAW_NAMES, LOWER, UPPER
from toothgraph.report.index import TABLE, Entry, check_name, entry_of, pair_page, read_index, read_list, write_index
from toothgraph.report.page import PageScan, write_scans
from toothgraph.report.tooth_table import tooth_table
from toothgraph.scan_names import patient_of, tells
from toothgraph.system.lock import one_at_a_time


class PageFolder:
    """Writes the pages of scans into a folder, one after another.

    The two jaws of a patient also get a common page, if they are added one after the other, or if the labels of the
    other jaw can be loaded. If a name does not tell the patient, the other jaw is loaded only if the common page exists
    already: the other scan may be of another person.

    Args:
        path: the folder. What an earlier run has written there stays in the list.
        listed: the patient of each page in the list, by the name of the scan; None reads them from the list.
        load: reads again what the page of a scan in the list shows; gives nothing if its labels are gone.

    Raises:
        ConfigError: if there is an ``index.html`` that is not a list of scans.
    """

    def __init__(
        self,
        path: Path,
        listed: Mapping[str, str] | None = None,
        load: Callable[[str], Sequence[PageScan]] | None = None,
    ) -> None:
        self.path, self.load = path, load
        self.listed = {entry.page_name: entry.whose for entry in read_index(path)} if listed is None else listed
        self.entries: list[Entry] = []  # those that were added
        self.failed: dict[str, str] = {}  # scans that could not be labelled or shown, and why
        self.pairs: list[Path] = []  # pages of both jaws that were written
        self.last: tuple[str, PageScan] | None = None  # the scan before: its patient, and what its page shows

    def check(self, name: str) -> None:
        """Raise ConfigError if the page of a scan would replace another file.

        See :func:`toothgraph.report.index.check_name`.
        """
        check_name(name)

    def add(self, name: str, *jaws: PageScan, patient: str = "") -> None:
        """Write the page of a scan, and the page of both jaws if the other jaw of the patient is known.

        Args:
            name: name of the scan.
            jaws: what the page shows, one for each jaw in the file.
            patient: the patient, if the name of the scan does not tell it.
        """
        complete = list(map(_measured, jaws))
        for jaw in complete:
            assert jaw.teeth is not None and jaw.measures is not None
            own, scan = (name, "") if len(jaws) == 1 else (f"{name}_{JAW_NAMES[_jaw(jaw)]}", name)
            self.entries.append(entry_of(own, jaw.mesh, jaw.labels, jaw.teeth, jaw.measures, jaw.doubts, scan,
                                         patient))  # fmt: skip
        write_scans(self.path / f"{name}.html", complete, title=name)
        self._pair(name, patient or patient_of(name), complete[0] if len(jaws) == 1 else None)

    def _pair(self, name: str, patient: str, scan: PageScan | None) -> None:
        page = self.path / pair_page(patient)
        before = self.last[1] if self.last and self.last[0] == patient else None
        self.last = None if scan is None else (patient, scan)
        other = scan and (before or self._stored(name, patient))
        scans = sorted([other, scan], key=_jaw) if scan and other else []
        if [_jaw(one) for one in scans] == [UPPER, LOWER]:
            write_scans(page, scans, title=patient)
            self.pairs.append(page)
        else:
            page.unlink(missing_ok=True)  # the page of an earlier run has other labels

    def _stored(self, name: str, patient: str) -> PageScan | None:
        """The other scan of a patient, as an earlier run has labelled it; None if not exactly one is known."""
        if not tells(patient) and not (self.path / pair_page(patient)).is_file():
            return None
        others = [other for other, whose in self.listed.items() if whose == patient and other != name]
        jaws = self.load(others[0]) if self.load and len(others) == 1 else []
        return _measured(jaws[0]) if len(jaws) == 1 else None

    def write_list(self) -> Path:
        """Write ``index.html`` and ``measures.csv``, and return the path of the list.

        What other processes have written there meanwhile stays.
        """
        with one_at_a_time(self.path / TABLE):
            added = {entry.page_name for entry in self.entries}
            entries, failed = read_list(self.path)
            failed = {name: why for name, why in failed.items() if name not in added} | self.failed
            return write_index(self.path, [*entries, *self.entries], failed)


def _jaw(scan: PageScan) -> int:
    return jaw_shown(scan.mesh, scan.labels)


def _measured(jaw: PageScan) -> PageScan:
    """What a page shows of a jaw, with the table of its teeth and its measures."""
    teeth = jaw.teeth or tooth_table(jaw.mesh, jaw.labels, jaw.confidence)
    return replace(jaw, teeth=teeth, measures=jaw.measured)
