"""Label the scans of ``predict``, in this process or in another."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from toothgraph._version import __version__
from toothgraph.both_jaws import JawPair, segment_file
from toothgraph.cli.device import choose_device
from toothgraph.cli.jobs import Job, Outcome, failed, line_for, row_for, teeth_of
from toothgraph.cli.labelled import LabelledFolder, teeth_shown, write_views
from toothgraph.cli.summary import CORRECTED, Row, row_of
from toothgraph.data.prepared.sources import Source
from toothgraph.errors import ConfigError, ToothgraphError, named_fault
from toothgraph.fdi import JAW_NAMES, UNKNOWN_JAW
from toothgraph.inference.options import PredictOptions
from toothgraph.io.label_record import Record, check_name, read_record, write_record
from toothgraph.io.read import read_mesh
from toothgraph.io.reviewed import check_same_scan, corrected_in
from toothgraph.io.write import format_of
from toothgraph.model.file import load_segmentation
from toothgraph.model.nets import SegmentationNet
from toothgraph.scan_names import jaw_from_name, patient_of, untold
from toothgraph.segmentation import Segmentation
from toothgraph.system import provenance
from toothgraph.system.memory import named_shortage

if TYPE_CHECKING:  # it imports matplotlib, which takes a while
    from toothgraph.report.folder import PageFolder

_log = logging.getLogger("toothgraph")
OWN_NAMES = ("summary",)  # with --report, the table of the teeth of such a scan would replace the summary


@dataclass
class Labeller:
    """Labels scans and writes the files that were asked for.

    Attributes:
        out: the folder to write to.
        model, device: the file of the net, and the device where it runs.
        jaw, options: see :func:`toothgraph.segmentation.segment`.
        unit: unit of length in the files.
        formats: formats of the label files.
        picture: whether to write a picture, too.
        report: whether to write a page, a picture and a table, too.
        listed: the patient of each page in the list, by the name of the scan.
        net: the net of ``model``; loaded when it is first needed.
    """

    out: Path
    model: Path
    device: str | None
    jaw: int | None
    unit: str
    formats: Sequence[str]
    options: PredictOptions
    picture: bool = False
    report: bool = False
    listed: Mapping[str, str] = field(default_factory=dict)
    net: SegmentationNet | None = None

    def __call__(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Label the scans of one patient, and yield the outcome of each."""
        kept = self._pages()  # for scans whose labels were corrected
        known = [self._known(job, kept) for job in jobs]
        # A page of both jaws needs both: if one jaw is labelled, so is the other.
        anew = self.report and not all(known)
        pages = self._pages([job.name for job, before in zip(jobs, known, strict=True) if _to_label(before, anew)])
        if pages and kept:
            pages.listed = {**pages.listed, **{entry.page_name: entry.whose for entry in kept.entries}}
        for job, before in zip(jobs, known, strict=True):
            if isinstance(before, Outcome) and not _to_label(before, anew):
                yield before
                continue
            try:
                if isinstance(before, ToothgraphError):
                    raise before
                with named_fault(job.file), named_shortage(job.file):
                    yield self._label(job, pages)
            except ToothgraphError as error:
                yield failed(job, error)

    def _known(self, job: Job, pages: PageFolder | None) -> Outcome | ToothgraphError | None:
        """The outcome that an earlier run left and that stays, or an error of the scan.

        None if the scan is to be labelled.
        """
        try:
            with named_fault(job.file), named_shortage(job.file):
                check_name(job.name)
                if pages:
                    pages.check(job.name)
                    if job.name.lower() in OWN_NAMES:
                        raise ConfigError(
                            f"{job.name}: {job.name}.csv is the table of all scans; give the scan another name"
                        )
                check_same_scan(self.out, job.name, job.file, lambda: read_mesh(job.file, unit=self.unit))
                record = read_record(self._path(job))
                if changed := corrected_in(self.out, job.name):
                    return self._corrected(job, record, changed, pages)
                return None if job.again or not record.run else self._same(job, record)
        except ToothgraphError as error:
            return error

    def _corrected(self, job: Job, record: Record, changed: Path, pages: PageFolder | None) -> Outcome:
        """Keep labels that a person has corrected. Outdated or missing pages, pictures and tables are written."""
        said = f"{job.name}: kept, because its labels were corrected -> {changed}"
        folder, views = LabelledFolder(self.out, self.unit), self._outputs(job)[1]
        shown = folder.shown_or_none(job.name)
        there = list(dict.fromkeys([*(str(self.out / name) for name in record.files), str(changed)]))
        if not shown:
            missing = "; without a surface beside them, no page or picture can be drawn" * any(
                not view.exists() for view in views
            )
            return Outcome(Row(job.name, CORRECTED), said + missing, files=there)
        unlisted = job.name not in self.listed
        asked = [view for view in views if not view.exists() or (unlisted and view.suffix == ".html")]
        before = len(pages.entries) if pages else 0
        folder.renew(job.name, shown, pages, asked, untold(job.patient, job.name))
        there += [str(view) for view in views if view.exists()]
        return Outcome(
            folder.row(job.name, shown), said, [str(doubt) for one in shown for doubt in one.doubts],
            teeth=teeth_of(teeth_shown(shown)), files=there, entries=pages.entries[before:] if pages else [],
        )  # fmt: skip

    def _pages(self, to_come: Collection[str] = ()) -> PageFolder | None:
        if not self.report:
            return None
        from toothgraph.report.folder import PageFolder

        listed = {name: patient for name, patient in self.listed.items() if name not in to_come}
        return PageFolder(self.out, listed, LabelledFolder(self.out, self.unit).shown_or_none)

    def _path(self, job: Job) -> Path:
        """A path beside which the record of the outputs lies. The file itself need not exist."""
        return self.out / f"{job.name}.ply"

    def _same(self, job: Job, record: Record) -> Outcome | None:
        """The outcome of an earlier run with the same scan, net and options, if all its files exist; else None."""
        labels, views = self._outputs(job)
        there = all(path.exists() for path in (*labels, *views)) and {path.name for path in labels} <= set(record.files)
        if not there or (self.report and job.name not in self.listed):
            return None
        try:
            if record.run["inputs"] != self._inputs(job):
                return None
            row, teeth, warnings = row_of(record.run["row"]), list(record.run["teeth"]), list(record.run["doubts"])
        except (KeyError, TypeError, ValueError, AttributeError):  # a record of another version, or a damaged one
            return None
        return Outcome(
            row, f"{job.name}: labelled before, unchanged -> {labels[0]}", warnings, kept=True, teeth=teeth,
            files=[*map(str, (*labels, *views))],
        )  # fmt: skip

    def _outputs(self, job: Job) -> tuple[list[Path], list[Path]]:
        """The paths of the label files of a scan, and those of its page, picture and table."""
        labels = ["teeth" if kind == "stl" else kind for kind in self.formats]
        views = ["html", "png", "csv"] if self.report else ["png"] * self.picture
        of_scan = [[self.out / f"{job.name}.{kind}" for kind in kinds] for kinds in (labels, views)]
        return of_scan[0], of_scan[1]

    def _former(self, job: Job) -> list[str]:
        """Label formats that an earlier run wrote and that this run was not asked for.

        They are written again; otherwise they would keep the labels of the earlier run.
        """
        there = [Path(name) for name in read_record(self._path(job)).files if (self.out / name).exists()]
        return [kind for kind in map(format_of, there) if kind not in self.formats]

    def _inputs(self, job: Job) -> str:
        """A digest of everything that the outputs of a scan depend on."""
        content = {
            "scan": scan_digest(job.file, job.name),
            "path": [job.file.parent.resolve().name, job.file.name],
            "together": job.together if self.report else (),  # these scans may share a page of both jaws
            "model": self._net.source,
            "options": [self._jaw(job), self.unit, list(self.formats), self.picture, self.report, asdict(self.options)],
            "version": [__version__, provenance.REVISION],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _jaw(self, job: Job) -> int | None:
        return job.jaw if self.jaw is None else self.jaw

    @property
    def _net(self) -> SegmentationNet:
        if self.net is None:
            self.net = load_segmentation(self.model)[0].to(choose_device(self.device))
        return self.net

    def _label(self, job: Job, pages: PageFolder | None) -> Outcome:
        begun = time.perf_counter()
        inputs = self._inputs(job)  # the digest of the file before it is read
        mesh = read_mesh(job.file, unit=self.unit)
        found = segment_file(mesh, self._net, self._jaw(job), self.options)
        if self.jaw is None and job.jaw is not None and _looks_other(found):  # the name of another file is no proof
            found = segment_file(mesh, self._net, None, self.options)
        warn_of_folder_jaw(job, found)
        written = found.write(self.out, job.name, (*self.formats, *self._former(job)))
        seconds = time.perf_counter() - begun
        if views := self._outputs(job)[1]:
            kinds = {view.suffix[1:] for view in views}
            write_views(self.out, job.name, found.page_scans(), kinds, pages, untold(job.patient, job.name))
        row, teeth = row_for(job.name, found, seconds), teeth_of(found.teeth)
        record = read_record(self._path(job))
        run = {"inputs": inputs, "row": asdict(row), "teeth": teeth, "doubts": found.doubts}
        write_record(self._path(job), replace(record, run=run))  # last, when all files exist
        entries = pages.entries[-len(found.jaws) :] if pages else []
        files = [*map(str, (*written, *self._outputs(job)[1]))]
        line = line_for(job.name, found, written[0])
        return Outcome(row, line, found.doubts, teeth=teeth, files=files, entries=entries)


def _looks_other(found: Segmentation | JawPair) -> bool:
    """Whether a scan looks like the opposite of the jaw that it was labelled as."""
    return isinstance(found, Segmentation) and found.prediction.jaw_probability < found.rules.review.jaw


def warn_of_folder_jaw(job: Job, found: Segmentation | JawPair) -> None:
    """Warn if the name of the outputs says another jaw than the one found.

    This happens where the name of a folder stands in front of the name of the file.
    """
    said = jaw_from_name(f"{job.name}.ply")
    if not isinstance(found, Segmentation) or said in (UNKNOWN_JAW, found.mesh.jaw, jaw_from_name(job.file)):
        return
    _log.warning(
        "%s: labelled as the %s jaw, though the name of its folder says %s; folders do not count: put the jaw into the "
        "name of the file, or give --jaw", job.name, found.jaw_name, JAW_NAMES[said],
    )  # fmt: skip


def scan_digest(file: Path, name: str) -> str:
    """A digest of a scan and of the labels beside it; empty if the scan cannot be read, which is reported elsewhere."""
    try:
        return Source(file, name, patient_of(name)).digest()
    except OSError:
        return ""


def _to_label(known: Outcome | ToothgraphError | None, anew: bool) -> bool:
    """Whether a scan is labelled, by what :meth:`Labeller._known` says of it.

    With ``anew``, it is labelled even if nothing has changed.
    """
    return known is None or (anew and isinstance(known, Outcome) and known.kept)
