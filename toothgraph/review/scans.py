"""The scans under review: which there are, how each stands, and background work that prepares them in order of need."""

from __future__ import annotations

import errno
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.anatomy.doubt import Doubt
from toothgraph.errors import ToothgraphError, unexpected
from toothgraph.fdi import JAW_NAMES
from toothgraph.io.label_folder import with_labels_of
from toothgraph.io.review_log import APPROVED, Session, replay
from toothgraph.io.said import said_now
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.picture import thumbnail_text
from toothgraph.review.embedding import Embedded
from toothgraph.review.session import Step, adopted, take
from toothgraph.review.store import Stale, Start, Store, doubts_of, start_of
from toothgraph.review.surface import Surface
from toothgraph.scan_names import patients_of
from toothgraph.stages import heard_by
from toothgraph.system.memory import named_shortage

_log = logging.getLogger("toothgraph")
PAUSE = 1.0  # seconds
KEPT = 4  # scans that are held in memory
Read = Callable[[Path, str], Mesh]
Begin = Callable[[Mesh], Start]
Embed = Callable[[Mesh], Embedded | None]


@dataclass(eq=False)
class Known:
    """What the list says of a scan.

    Attributes:
        name, path: name and file of the scan.
        patient: the patient.
        state: state of its review; empty while it is not known.
        start: what its review begins with; None until it is prepared.
        teeth: number of teeth in the present labels.
        doubts: warnings that are true of the present labels; none once the scan is approved.
        error: why it cannot be reviewed.
        version: version of the labels.
        picture: a WebP picture of the labels, in base64.
        drawn: the version of the labels that the picture shows.
    """

    name: str
    path: Path
    patient: str
    state: str = ""
    start: Start | None = None
    teeth: int = 0
    doubts: Sequence[Doubt] = ()
    error: str = ""
    version: int = 0
    picture: str = ""
    drawn: int = 0

    def begins(self, start: Start) -> None:
        """Store what the review of the scan begins with."""
        self.start = start
        self.picture = self.picture or start.picture

    def stands(self, session: Session, doubts: Sequence[Doubt]) -> None:
        """Store where the review of the scan stands."""
        self.version = session.version
        self.doubts = () if session.state == APPROVED else doubts
        self.state, self.teeth = session.state, len(np.unique(session.labels[session.labels > 0]))


@dataclass(eq=False)
class Opened:
    """A scan in memory.

    Attributes:
        known: what the list says of it.
        mesh: the scan as read.
        surface: the surface as it is shown; its faces are turned round if they were inside out.
        start: what its review began with.
        session: where its review stands.
        lock: allows one step at a time.
    """

    known: Known
    mesh: Mesh
    surface: Surface
    start: Start
    session: Session
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Ended(BaseException):
    """Raised to end the background work; it is no error of a scan."""


class Scans:
    """All scans of a review.

    Args:
        files: the files of the scans, by name.
        folder: the folder of the labels.
        read: reads a scan.
        begin: gives what the review of a scan begins with.
        formats: formats in which approved labels are also written.
        embed: gives the embedding of a scan for the tools, see :func:`toothgraph.review.embedding.embed`.
        options: options of ``read`` and ``begin``, as JSON has them. A review that was begun with other options, and
            has no step since, begins anew.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        folder: Path,
        read: Read,
        begin: Begin,
        formats: Sequence[str] = (),
        embed: Embed | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        patients = patients_of([*files.values()], [*files])
        self.known = {name: Known(name, files[name], whose) for name, whose in zip(files, patients, strict=True)}
        self.stores = {name: Store(folder, name, formats) for name in files}
        self._read, self._begin, self._embed, self._options = read, begin, embed, dict(options or {})
        self.begun_otherwise: list[str] = []  # names of scans with steps that were begun with other options
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.RLock()  # guards what is in memory
        self._preparing = threading.Lock()  # one scan is read and labelled at a time
        self._ended, self._more = threading.Event(), threading.Event()
        for name in files:
            self._recall(name)

    # ---- the list
    def _recall(self, name: str) -> None:
        """Take over what the files of an earlier review say of a scan."""
        known = self.known[name]
        try:
            lines = self.stores[name].lines()
            if lines and not self._begins_anew(lines):
                start = start_of(lines[0])
                known.begins(start)
                session = replay(Session(start.labels), lines[1:])
                known.stands(session, said_now(start.doubts, start.labels, session.labels))
                if lines[0].get("options", self._options) != self._options:
                    self.begun_otherwise.append(name)
        except (ToothgraphError, KeyError, TypeError, ValueError) as error:
            known.error = str(error)

    def listed(self) -> list[dict[str, Any]]:
        """One row for each scan, with the scans to look at first in front."""
        unknown = (True, True, 0.0)
        known = sorted(
            self.known.values(),
            key=lambda one: (one.state == APPROVED, *(one.start.order if one.start else unknown), one.name),
        )
        return list(map(_row, known))

    # ---- one scan
    def open(self, name: str) -> Opened:
        """Give a scan in memory. If needed, it is read, and labelled if it was not yet.

        Raises:
            ToothgraphError: if the scan cannot be reviewed.
        """
        with self._lock:
            if name in self._opened:
                self._opened.move_to_end(name)
                return self._opened[name]
        with self._preparing:
            with self._lock:
                if name in self._opened:
                    return self._opened[name]
            try:
                with named_shortage(self.known[name].path):
                    opened = self._prepared(name)
            except Exception as error:
                self.known[name].error = reason_of(error)
                raise
            with self._lock:
                self._opened[name] = opened
                while len(self._opened) > KEPT:
                    self._opened.popitem(last=False)
            return opened

    def _prepared(self, name: str) -> Opened:
        known, store = self.known[name], self.stores[name]
        mesh = self._read(known.path, name)
        if (begun := self._begun(store, mesh)) is not None:
            store.begin(mesh, begun)
            known.start, known.picture = begun, begun.picture
        start, session = store.load(mesh)
        session = _up_to_date(store, mesh, start, session)
        known.begins(start)
        known.error = ""
        store.catch_up(mesh, start, session)
        seen = mesh.inside_out() if start.inside_out else mesh
        known.stands(session, doubts_of(start, mesh.with_labels(session.labels)))
        return Opened(known, mesh, Surface(seen, self._embed), start, session)

    def _begins_anew(self, lines: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a review has no step yet, and was begun with other options than the present ones."""
        return len(lines) == 1 and lines[0].get("options") != self._options

    def _begun(self, store: Store, mesh: Mesh) -> Start | None:
        """A new start for the review of a scan; None if the start in its log stays.

        The start in the log stays if a step was taken, or if options and labels in the folder have not changed.
        """
        lines = store.lines()
        if len(lines) > 1:
            return None
        if not lines or self._begins_anew(lines):
            return replace(self._begin(mesh), options=self._options)
        held = with_labels_of(store.labels.parent, mesh.scan_id, mesh, primary=True)
        if held is None or held.labels is None or np.array_equal(held.labels, start_of(lines[0]).labels):
            return None
        return replace(self._begin(mesh), options=self._options)

    def step(self, name: str, version: int, content: Mapping[str, Any]) -> Step:
        """Do one step on a scan, and save it.

        Args:
            name: the name of the scan.
            version: version of the labels that the page shows.
            content: see :func:`toothgraph.review.session.take`.

        Raises:
            Stale: if the labels have another version by now, or another command has changed their files.
            OperationError: if the step cannot be done.
        """
        opened = self.open(name)
        with opened.lock:
            if version != opened.session.version:
                raise Stale("another window has changed this scan; its labels are loaded again")
            store = self.stores[name]
            try:
                now = _up_to_date(store, opened.mesh, opened.start, opened.session)
                if now is not opened.session:
                    raise Stale("another command has changed the label files of this scan; they are loaded again, and "
                                "your last step was not done")  # fmt: skip
                step = take(opened.surface, opened.session, content)
                doubts = store.save(opened.mesh, opened.start, step)
            except Stale:
                session = store.load(opened.mesh)[1]
                self._stands(opened, session, doubts_of(opened.start, opened.mesh.with_labels(session.labels)))
                raise
            self._stands(opened, step.after, doubts)
            return step

    def _stands(self, opened: Opened, session: Session, doubts: Sequence[Doubt]) -> None:
        """Store where the review of a scan stands now."""
        opened.session = session
        opened.known.stands(session, doubts)
        self._more.set()

    # ---- in the background
    def work(self) -> None:
        """Prepare all scans, and draw a scan again when its labels change, until :meth:`end` is called."""
        with heard_by(self._heed), suppress(_Ended):
            while not self._ended.is_set():
                self._more.clear()
                self.prepare_all()
                self._more.wait()
                self._ended.wait(PAUSE)  # more steps may follow at once

    def _heed(self, what: str) -> None:
        """End the background work at its next stage, if :meth:`end` was called."""
        del what
        if self._ended.is_set():
            raise _Ended

    def prepare_all(self) -> None:
        """Read, label and draw one scan after another, until all are drawn with their present labels.

        It stops early when :meth:`end` is called. If a scan fails, the list says why, and the others go on.
        """
        while not self._ended.is_set() and (name := self._next()) is not None:
            try:
                opened, known = self.open(name), self.known[name]
                version = known.version
                if known.drawn != version:
                    known.picture = thumbnail_text(opened.surface.mesh, opened.session.labels)
                    known.drawn = version
            except Exception as error:
                self.known[name].error = reason = reason_of(error)
                _log.warning("%s", reason if isinstance(error, ToothgraphError) else f"{name}: {reason}")

    def _next(self) -> str | None:
        """The name of the scan that the background work takes next; None if there is none.

        First come scans in memory whose picture is out of date, then scans that are not prepared. Last come scans whose
        labels an earlier review has changed since their picture was drawn.
        """
        known = [one for one in self.known.values() if not one.error]
        old = [one for one in known if one.start is not None and one.drawn != one.version]
        with self._lock:
            at_hand = [one for one in old if one.name in self._opened]
        waiting = [one for one in known if one.start is None]
        return next((one.name for one in (*at_hand, *waiting, *old)), None)

    def end(self) -> None:
        """Ask the background work to end; it ends at the latest after the current scan."""
        self._ended.set()
        self._more.set()


def reason_of(error: Exception) -> str:
    """What went wrong with a scan, in one line."""
    if isinstance(error, ToothgraphError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full, {error.filename or 'its labels'} cannot be written; make room, then open the scan"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    return unexpected(error)


def _up_to_date(store: Store, mesh: Mesh, start: Start, session: Session) -> Session:
    """Where a review stands, with changes that another command has made in its label files.

    Such a change is saved as a step.
    """
    labels = store.changed_elsewhere(mesh, session)
    if labels is None:
        return session
    step = adopted(session, labels)
    store.save(mesh, start, step)
    return step.after


def _row(known: Known) -> dict[str, Any]:
    start = known.start
    return {
        "name": known.name, "patient": known.patient, "state": known.state, "error": known.error,
        "jaw": JAW_NAMES[start.jaw] if start else "", "doubts": [doubt.flat for doubt in known.doubts],
        "sure": start.sure if start else None, "picture": known.picture,
        "source": start.source if start else "", "teeth": known.teeth,
    }  # fmt: skip
