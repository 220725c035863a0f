"""Prepare many scans in parallel. A bad file does not stop the run, and finished scans are not prepared again."""

from __future__ import annotations

import hashlib
import json
import re
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch_geometric.data import Data

from toothgraph._version import __version__
from toothgraph.data.prepared.file import FORMAT, Header, read_header, save_scan
from toothgraph.data.prepared.folder import (
    bad_file,
    open_folder,
    quarantine,
    read_bad,
    remove_leftovers,
    scan_file,
    write_lists,
)
from toothgraph.data.prepared.sources import Source
from toothgraph.data.scan import NOISE, SPREAD, Scan, prepare_scan
from toothgraph.errors import DataError, ToothgraphError, check_number, unexpected
from toothgraph.graph.spec import GraphSpec
from toothgraph.io.labels import read_scan
from toothgraph.io.numbering import content_of
from toothgraph.io.palette import Palette
from toothgraph.scan_names import short_enough
from toothgraph.system.memory import named_shortage
from toothgraph.system.pool import in_processes


@dataclass(frozen=True)
class PrepareOptions:
    """Options for reading scans and building graphs, and limits per scan.

    Attributes:
        graph, variants, bases, seed: see :func:`toothgraph.data.prepare_scan`.
        unit, palette, label_system: see :func:`toothgraph.io.labels.read_scan`.
        megabytes: maximum file size, MB.
        memory: maximum memory of a process, GB.
        seconds: maximum time per scan.
        pre_transform: applied to each graph before it is stored; its ``repr`` has to differ if its results differ.

    Raises:
        ConfigError: for a number out of its range.
    """

    graph: GraphSpec
    variants: int
    bases: int
    seed: int = 0
    unit: str = "mm"
    palette: Palette | None = None
    label_system: str = "auto"
    megabytes: float = 1000.0
    memory: float = 8.0
    seconds: int = 600
    pre_transform: Callable[[Data], Data] | None = None

    def __post_init__(self) -> None:
        for name, least in (("variants", 1), ("bases", 0), ("seed", 0), ("seconds", 1)):
            check_number(name, getattr(self, name), least=least, whole=True)
        for name in ("megabytes", "memory"):
            check_number(name, getattr(self, name), above=0)

    def content(self) -> dict[str, Any]:
        """All values on which the result depends, for JSON."""
        palette = self.palette and {"fdi": self.palette.fdi.tolist(), "rgb": self.palette.rgb.tolist()}
        address = re.compile(r" at 0x[0-9a-f]+")  # the address of a function differs in each run
        done = {"pre_transform": address.sub("", repr(self.pre_transform))} if self.pre_transform else {}
        return {
            "format": FORMAT,
            "graph": asdict(self.graph),
            **{name: getattr(self, name) for name in ("variants", "bases", "seed", "unit")},
            "numbering": content_of(self.label_system),  # the key in folders of version 0.1.0
            "noise": NOISE,
            "spread": SPREAD,
            "palette": palette,
            **done,
        }

    def digest(self) -> str:
        """A hash of :meth:`content`, 16 hexadecimal digits."""
        return digest_of(self.content())

    def digest_of_failures(self) -> str:
        """A hash of :meth:`content`, the limits and the version: all that decides whether a scan can be used."""
        limits = {name: getattr(self, name) for name in ("megabytes", "memory", "seconds")}
        return digest_of({**self.content(), **limits, "version": __version__})


def digest_of(content: dict[str, Any]) -> str:
    """A hash of values that JSON can store, 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Done:
    """The result for one scan: ``kept`` (from an earlier run), ``made``, or ``bad`` with the reason."""

    source: Source
    state: str
    reason: str = ""


def prepare(
    sources: Sequence[Source],
    out: Path,
    options: PrepareOptions,
    workers: int = 1,
    shard: tuple[int, int] = (1, 1),
    on_done: Callable[[Done], None] = lambda done: None,
) -> list[Done]:
    """Prepare scans into a folder. Files are written atomically; several runs may prepare different shards at once.

    Args:
        sources: all scans of the data set.
        out: the folder, see :mod:`toothgraph.data.prepared.folder`.
        options: the options; for an existing folder, the same as before.
        workers: number of processes; with 0, this process does the work, without limits of memory and time.
        shard: (i, n) for part i of n, counted from 1.
        on_done: called after each scan.

    Returns:
        The results of all scans of this shard.

    Raises:
        ConfigError: if the folder was begun with other options, or there is no such shard.
    """
    check_number("workers", workers, least=0, whole=True)
    check_number("the parts of shard", shard[1], least=1, whole=True)
    check_number("the part of shard", shard[0], least=1, most=shard[1], whole=True)
    # 1. The folder, and scans with the same name.
    open_folder(out, options.content())
    remove_leftovers(out, 2 * options.seconds)
    unique, doubled = _first_of_each_name(sources)
    for bad in doubled:
        quarantine(out, bad.source, options.digest_of_failures(), bad.reason)
    # 2. Scans of this shard that are finished already.
    done, todo = list(doubled), []
    for source in (one for one in unique if part_of(one.patient, shard[1]) == shard[0]):
        before = done_before(out, source, options.digest(), options.digest_of_failures())
        if before is None:
            todo.append(source)
        else:
            done.append(before)
    for one in done:
        on_done(one)

    # 3. All other scans.
    def add(one: Done) -> None:
        if one.state == "bad":
            quarantine(out, one.source, options.digest_of_failures(), one.reason)
        done.append(one)
        on_done(one)

    if workers:
        work = partial(_results, out=out, options=options)
        in_processes(work, deque(todo), workers, add, _lost, memory=options.memory)
    else:
        for source in todo:
            add(prepare_one(source, out, options, nullcontext))
    write_lists(out, [source.scan_id for source in unique] + [bad.source.scan_id for bad in doubled])
    return done


def part_of(patient: str, parts: int) -> int:
    """The part (``--shard``) of a patient, from 1. It depends only on the name, not on the other patients."""
    return int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") % parts + 1


def _first_of_each_name(sources: Sequence[Source]) -> tuple[list[Source], list[Done]]:
    """The first scan of each name, and bad results for all further scans with the same name."""
    first: dict[str, Source] = {}
    doubled: list[Done] = []
    for source in sources:
        known = first.setdefault(source.scan_id, source)
        if known is not source:
            other = f"{source.scan_id}{source.path.suffix}~{len(doubled)}"
            renamed = replace(source, scan_id=short_enough(other))
            doubled.append(Done(renamed, "bad", f"{source.path}: has the same name as {known.path}; rename one"))
    return list(first.values()), doubled


def done_before(out: Path, source: Source, options: str | None, failed: str = "") -> Done | None:
    """The result of a scan from an earlier run, if the scan and the options have not changed; else None.

    Args:
        out: the prepared folder.
        source: the scan.
        options: digest of the options; None to accept any options.
        failed: digest with which a scan went to quarantine; by default ``options``.
    """
    file, bad = scan_file(out, source.scan_id), bad_file(out, source.scan_id)
    if not file.exists() and not bad.exists():
        return None  # before the digest, which reads the whole file
    try:
        digest = source.digest()
    except OSError:
        digest = ""  # as quarantine() writes it for a file that cannot be read
    if file.exists():
        try:
            header = read_header(file)
        except DataError:
            return None
        same = header.sha256 == digest and options in (None, header.options)
        return Done(source, "kept") if same else None
    entry = read_bad(bad)
    if entry.get("sha256") == digest and (failed or options) in (None, entry.get("options")):
        return Done(source, "bad", str(entry["reason"]))
    return None


def reason_of(source: Source, error: Exception) -> str:
    """The reason why a scan cannot be used, in one line; for an unexpected error, with its class."""
    if isinstance(error, OSError):
        return f"{source.path}: cannot be read: {error.strerror or error}"
    if isinstance(error, ToothgraphError):
        return " ".join(str(error).split())
    return f"{source.path}: {unexpected(error)}"


def _results(source: Source, out: Path, options: PrepareOptions) -> list[Done]:
    return [prepare_one(source, out, options)]


def _lost(source: Source, how: str) -> list[Done]:
    reason = f"{source.path}: its process ended ({how}): not enough memory (--memory) or time (--seconds)"
    return [Done(source, "bad", reason)]


@contextmanager
def _ends_after(seconds: int) -> Iterator[None]:
    """While the context is active, the process ends after the time limit."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def prepare_one(
    source: Source,
    out: Path,
    options: PrepareOptions,
    limit: Callable[[int], AbstractContextManager[Any]] = _ends_after,
) -> Done:
    """Read, check and write one scan. An error of the scan becomes the reason of a bad result.

    Raises:
        OSError: if the result cannot be written.
    """
    try:
        with limit(options.seconds), named_shortage(source.path):
            scan, header = _read(source, options)
    except Exception as error:  # also a fault of this package: it is reported, and the other scans go on
        return Done(source, "bad", reason_of(source, error))
    save_scan(scan_file(out, source.scan_id), scan, header)  # outside of `try`: a full disk is not an error of the scan
    bad_file(out, source.scan_id).unlink(missing_ok=True)
    return Done(source, "made")


def _read(source: Source, options: PrepareOptions) -> tuple[Scan, Header]:
    """Read a scan, and return its graphs and its header."""
    _check_size(source, options)
    digest = source.digest()
    mesh = read_scan(
        source.path, unit=options.unit, palette=options.palette, jaw=source.jaw, label_system=options.label_system
    )
    mesh = replace(mesh, scan_id=source.scan_id)
    scan = prepare_scan(mesh, options.graph, options.variants, options.seed, options.bases)
    if options.pre_transform is not None:
        scan = replace(scan, variants=[options.pre_transform(graph) for graph in scan.variants])
    origin = scan.label_origin
    header = Header(
        source.scan_id, source.patient, str(source.path), digest, options.digest(), mesh.jaw, len(mesh.faces),
        scan.labelled, len(scan.variants), __version__, origin.kind, origin.model, origin.guessed,
    )  # fmt: skip
    return replace(scan, patient=source.patient), header


def _check_size(source: Source, options: PrepareOptions) -> None:
    size = source.path.stat().st_size / 1e6
    if size > options.megabytes:
        raise DataError(
            f"{source.path}: {size:.0f} MB, more than the limit of {options.megabytes:g} MB; use a larger --megabytes "
            "or decimate the scan"
        )
