"""A labelled scan and the files beside its labels: page, picture, table, measures and row of the summary."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toothgraph.anatomy.frame import jaw_shown
from toothgraph.anatomy.jaw_parts import jaw_parts, split_labelled
from toothgraph.anatomy.measures import measures_of_file
from toothgraph.cli.summary import CORRECTED, SUMMARY, Row, merge_summary, read_summary
from toothgraph.cli.terminal import one_line
from toothgraph.errors import LabelError, ToothgraphError
from toothgraph.fdi import JAW_NAMES
from toothgraph.io.label_record import read_record
from toothgraph.io.labels import read_scan
from toothgraph.io.renumber import surface_of
from toothgraph.io.said import said_of_labels
from toothgraph.io.write import measures_content
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.doubts import doubts_now, doubts_of_jaw
from toothgraph.report.page import FilePart, PageScan
from toothgraph.report.tooth_table import ToothRow, tooth_table, write_table
from toothgraph.stages import stage
from toothgraph.system.files import write_text

if TYPE_CHECKING:  # it imports matplotlib, which takes a while
    from toothgraph.report.folder import PageFolder

OWN = "labels"  # what a page calls the labels of the scan itself
VIEWS = ("html", "png", "csv")  # page, picture and table of a scan

_log = logging.getLogger("toothgraph")


def shown_of(jaws: Sequence[Mesh], scan: Path, whole: Mesh | None = None) -> list[PageScan]:
    """What a page shows of a labelled scan: one :class:`toothgraph.report.page.PageScan` for each jaw.

    It includes the warnings and the confidence from the JSON beside the scan, as far as they are true of the present
    labels, and warnings of impossible numbers.

    Args:
        jaws: the scan, or its two jaws, see :func:`toothgraph.anatomy.jaw_parts.split_labelled`.
        scan: the file of the scan.
        whole: the scan as read; with it, the labels of its two jaws can be downloaded as one file.
    """
    said, shown = said_of_labels(scan, jaws[0].label_origin), []
    for jaw in jaws:
        assert jaw.labels is not None
        doubts = doubts_now(jaw, said.doubts if len(jaws) == 1 else doubts_of_jaw(said.doubts, jaw.jaw))
        found = said.on_faces(jaw.labels)
        sure = None if found is None else found.astype(np.float32)
        teeth = tooth_table(jaw, jaw.labels, sure)
        shown.append(PageScan(jaw, jaw.labels, name=OWN, confidence=sure, teeth=teeth, doubts=doubts))
    if whole is None or len(jaws) == 1:
        return shown
    return [replace(one, part=FilePart(whole, part)) for one, part in zip(shown, jaw_parts(whole), strict=True)]


def teeth_shown(shown: Sequence[PageScan]) -> list[ToothRow]:
    """The table rows of gingiva and of each tooth, one jaw after the other."""
    return [row for one in shown for row in one.teeth or tooth_table(one.mesh, one.labels, one.confidence)]


def write_views(
    folder: Path, name: str, shown: Sequence[PageScan], kinds: Collection[str], pages: PageFolder | None, patient: str
) -> None:
    """Write the page, picture and table of a scan, as far as they are asked for.

    Args:
        folder: the folder to write to.
        name: the stem of the files.
        shown: the scan, or both of its jaws.
        kinds: some of ``VIEWS``.
        pages: the pages of the folder; needed for a page.
        patient: the patient, if the name of the scan does not tell it.
    """
    if pages and "html" in kinds:
        stage("writing the page")
        pages.add(name, *shown, patient=patient)
    if "csv" in kinds:
        write_table(folder / f"{name}.csv", teeth_shown(shown))
    if "png" in kinds:
        from toothgraph.report.picture import render_jaws

        stage("drawing the picture")
        render_jaws(folder / f"{name}.png", [(one.mesh, one.labels) for one in shown], title=name)


@dataclass(frozen=True)
class LabelledFolder:
    """A folder that ``predict`` has written.

    Attributes:
        path: the folder.
        unit: unit of length in its files.
    """

    path: Path
    unit: str = "mm"

    def labels_of(self, name: str) -> list[Path]:
        """The existing label files that a model wrote for a scan, also those that were changed since."""
        record = read_record(self.path / f"{name}.ply")
        return [file for each in record.files if (file := self.path / each).exists()]

    def shown(self, name: str) -> list[PageScan]:
        """What a page shows of a scan; empty if there are no labels, or no surface beside them.

        Raises:
            ToothgraphError: if the files of the scan cannot be read, or do not agree.
        """
        files = self.labels_of(name)
        surface = surface_of(files[0]) if files else None
        if surface is None:
            return []
        mesh = read_scan(surface, unit=self.unit, primary=True)
        return [] if mesh.labels is None else shown_of(split_labelled(mesh), surface, mesh)

    def shown_or_none(self, name: str) -> list[PageScan]:
        """What a page shows of a scan; empty if its files have a fault, which is logged as a warning."""
        try:
            return self.shown(name)
        except ToothgraphError as error:
            _log.warning("%s", error)
            return []

    def outdated(self, name: str) -> list[Path]:
        """Page, picture and table of a scan that are older than its labels."""
        newest = max((file.stat().st_mtime_ns for file in self.labels_of(name)), default=0)
        views = [self.path / f"{name}.{kind}" for kind in VIEWS]
        return [view for view in views if view.is_file() and view.stat().st_mtime_ns < newest]

    def all_outdated(self, names: Collection[str]) -> list[Path]:
        """The pages, pictures and tables that are older than the labels of their scan, and the summary if it is."""
        old = [view for name in names for view in self.outdated(name)]
        summary = self.path / SUMMARY
        written = [file.stat().st_mtime_ns for name in names for file in self.labels_of(name)]
        late = summary.is_file() and max(written, default=0) > summary.stat().st_mtime_ns
        return [*old, summary] if late else old

    def renew(
        self,
        name: str,
        shown: Sequence[PageScan],
        pages: PageFolder | None = None,
        asked: Sequence[Path] = (),
        patient: str = "",
    ) -> list[Path]:
        """Write anew the page, picture and table that are older than the labels of a scan.

        Args:
            name: the stem of the scan's files.
            shown: what pages show of the scan, see :meth:`shown`.
            pages: the pages of the folder, if the caller writes their list; by default this method writes it.
            asked: files to write even if they are not outdated.
            patient: the patient, if neither the name of the scan nor the list tells it.

        Returns:
            The files written, including the page of both jaws, and the list if this method wrote it.
        """
        views = list(dict.fromkeys([*self.outdated(name), *asked]))
        kinds = {view.suffix[1:] for view in views}
        own = None
        if "html" in kinds and pages is None:
            from toothgraph.report.folder import PageFolder
            from toothgraph.report.index import TABLE

            own = pages = PageFolder(self.path, load=self.shown_or_none)
        patient = patient or (pages.listed.get(name, "") if pages else "")
        write_views(self.path, name, shown, kinds, pages, patient)
        listed = [own.write_list(), self.path / TABLE] if own and name in own.listed else []
        return [*views, *(pages.pairs if pages else []), *listed]

    def row(self, name: str, shown: Sequence[PageScan], seconds: str = "") -> Row:
        """The row of the summary for a scan whose labels were corrected."""
        numbers = [str(row.fdi) for row in teeth_shown(shown) if row.fdi > 0]
        jaw = "both" if len(shown) == 2 else JAW_NAMES[jaw_shown(shown[0].mesh, shown[0].labels)]
        warnings = " | ".join(one_line(str(doubt)) for one in shown for doubt in one.doubts)
        return Row(name, CORRECTED, jaw, str(len(numbers)), " ".join(numbers), warnings, seconds)

    def renew_row(self, name: str, shown: Sequence[PageScan]) -> Path | None:
        """Write the summary row of a corrected scan anew; None if the summary has no row of it.

        Returns:
            The path of the summary.

        Raises:
            ConfigError: if ``summary.csv`` is another table.
        """
        before = {row.scan: row for row in read_summary(self.path)}.get(name)
        if before is None:
            return None
        return merge_summary(self.path, [self.row(name, shown, before.seconds)])


def renew_measures(path: Path, shown: Sequence[PageScan]) -> None:
    """Write the measures in a JSON label file anew, if it has some, as they depend on the numbers of the teeth.

    Raises:
        LabelError: if the file is not JSON.
    """
    if not path.is_file():
        return
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise LabelError(f"{path}: expected a JSON label file: {error}") from error
    if isinstance(content, dict) and "measures" in content:
        content["measures"] = measures_content(measures_of_file([one.measured for one in shown]))
        write_text(path, json.dumps(content))
