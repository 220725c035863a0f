"""The scans under review: which there are, how each stands, and a thread that prepares them in order of need."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.errors import ToothgraphError
from toothgraph.fdi import JAW_NAMES
from toothgraph.mesh.mesh import Mesh
from toothgraph.review.embedding import Embedded
from toothgraph.review.session import APPROVED, Session, Step, replay, take
from toothgraph.review.store import Stale, Start, Store, start_of
from toothgraph.review.surface import Surface
from toothgraph.scan_names import patient_of

_log = logging.getLogger("toothgraph")
KEPT = 4  # scans that are held in memory
Read = Callable[[Path, str], Mesh]
Begin = Callable[[Mesh], Start]
Embed = Callable[[Mesh], Embedded | None]


@dataclass(eq=False)
class Known:
    """What the list says of a scan.

    Attributes:
        name, path: of the scan.
        state: of its review; empty while nothing is known of it.
        start: what its review begins with; None until it is prepared.
        teeth: how many there are now.
        error: why it cannot be reviewed.
    """

    name: str
    path: Path
    state: str = ""
    start: Start | None = None
    teeth: int = 0
    error: str = ""

    def stands(self, session: Session) -> None:
        """Take over where its review stands."""
        self.state, self.teeth = session.state, len(np.unique(session.labels[session.labels > 0]))

    @property
    def patient(self) -> str:
        """By its name."""
        return patient_of(self.name)


@dataclass(eq=False)
class Opened:
    """A scan in memory.

    Attributes:
        mesh: as read.
        surface: as it is shown, its faces turned round where they were inside out.
        start: what its review began with.
        session: where it stands.
        lock: one step at a time.
    """

    mesh: Mesh
    surface: Surface
    start: Start
    session: Session
    lock: threading.Lock = field(default_factory=threading.Lock)


class Scans:
    """All scans of a review.

    Args:
        files: by name.
        folder: of the labels.
        read: reads a scan.
        begin: what the review of a scan begins with.
        formats: in which approved labels are written, too.
        embed: what a net knows of a scan, for the tools, see :func:`toothgraph.review.embedding.embed`.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        folder: Path,
        read: Read,
        begin: Begin,
        formats: Sequence[str] = (),
        embed: Embed | None = None,
    ) -> None:
        self.known = {name: Known(name, path) for name, path in files.items()}
        self.stores = {name: Store(folder, name, formats) for name in files}
        self._read, self._begin, self._embed = read, begin, embed
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.RLock()  # of what is in memory
        self._preparing = threading.Lock()  # one scan is read and labelled at a time
        self._ended = threading.Event()
        for name in files:
            self._recall(name)

    # ---- the list
    def _recall(self, name: str) -> None:
        """What the files of an earlier review say of a scan."""
        known = self.known[name]
        try:
            lines = self.stores[name].lines()
            if lines:
                known.start = start_of(lines[0])
                known.stands(replay(Session(known.start.labels), lines[1:]))
        except (ToothgraphError, KeyError, TypeError, ValueError) as error:
            known.error = str(error)

    def listed(self) -> list[dict[str, Any]]:
        """A row for each scan, those to look at first in front."""
        unknown = (True, True, 0.0)
        known = sorted(
            self.known.values(),
            key=lambda one: (one.state == APPROVED, *(one.start.order if one.start else unknown), one.name),
        )
        return list(map(_row, known))

    # ---- one scan
    def open(self, name: str) -> Opened:
        """A scan in memory: read, and labelled if it was not yet.

        Raises:
            ToothgraphError: if it cannot be reviewed.
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
                opened = self._prepared(name)
            except ToothgraphError as error:
                self.known[name].error = str(error)
                raise
            with self._lock:
                self._opened[name] = opened
                while len(self._opened) > KEPT:
                    self._opened.popitem(last=False)
            return opened

    def _prepared(self, name: str) -> Opened:
        known, store = self.known[name], self.stores[name]
        mesh = self._read(known.path, name)
        if not store.lines():
            store.begin(mesh, self._begin(mesh))
        start, session = store.load(mesh)
        known.start, known.error = start, ""
        known.stands(session)
        store.catch_up(mesh, start, session)
        seen = mesh.inside_out() if start.inside_out else mesh
        return Opened(mesh, Surface(seen, self._embed), start, session)

    def step(self, name: str, version: int, content: Mapping[str, Any]) -> Step:
        """Do one step on a scan, and save it.

        Args:
            name: of the scan.
            version: of the labels that the page shows.
            content: see :func:`toothgraph.review.session.take`.

        Raises:
            Stale: if the labels have another version by now.
            OperationError: if it cannot be done.
        """
        opened = self.open(name)
        with opened.lock:
            if version != opened.session.version:
                raise Stale("another window has changed this scan; its labels are loaded again")
            step = take(opened.surface, opened.session, content)
            try:
                self.stores[name].save(opened.mesh, opened.start, step)
            except Stale:
                opened.session = self.stores[name].load(opened.mesh)[1]
                raise
            opened.session = step.after
            self.known[name].stands(step.after)
            return step

    # ---- in the background
    def prepare_all(self) -> None:
        """Read and label one scan after another, until all are or :meth:`end` is called."""
        for name, known in self.known.items():
            if self._ended.is_set():
                return
            if known.start is None and not known.error:
                try:
                    self.open(name)
                except ToothgraphError as error:
                    _log.warning("%s", error)

    def end(self) -> None:
        """Let the background end after the scan at hand."""
        self._ended.set()


def _row(known: Known) -> dict[str, Any]:
    start = known.start
    return {
        "name": known.name, "patient": known.patient, "state": known.state, "error": known.error,
        "jaw": JAW_NAMES[start.jaw] if start else "", "doubts": start.doubts if start else [],
        "sure": start.sure if start else None, "picture": start.picture if start else "",
        "teeth": known.teeth,
    }  # fmt: skip
