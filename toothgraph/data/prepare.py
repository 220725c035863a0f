"""Preparing a whole tree of scans: in parallel, one bad file never stops it, and what is done is not done twice."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import toothgraph
from toothgraph.data.folder import bad_file, open_folder, read_bad, remove_leftovers, scan_file, write_lists
from toothgraph.data.prepared import FORMAT, Header, read_header, save_scan
from toothgraph.data.scans import NOISE, SPREAD, Scan, prepare_scan
from toothgraph.data.sources import Source
from toothgraph.errors import DataError, ToothgraphError
from toothgraph.files import write_text
from toothgraph.graph.spec import GraphSpec
from toothgraph.memory import named_shortage, set_limit
from toothgraph.mesh.labels import read_scan
from toothgraph.mesh.palette import Palette


@dataclass(frozen=True)
class PrepareOptions:
    """How scans become graphs, and what reading one may cost.

    Attributes:
        graph, variants, bases, seed: see :func:`toothgraph.data.prepare_scan`.
        unit, palette, numbering: see :func:`toothgraph.mesh.labels.read_scan`.
        megabytes: a larger file is refused.
        memory: GB that a process may take.
        seconds: that a scan may take.
    """

    graph: GraphSpec
    variants: int
    bases: int
    seed: int = 0
    unit: str = "mm"
    palette: Palette | None = None
    numbering: str = "auto"
    megabytes: float = 1000.0
    memory: float = 8.0
    seconds: int = 600

    def content(self) -> dict[str, Any]:
        """What the result depends on."""
        palette = self.palette and {"fdi": self.palette.fdi.tolist(), "rgb": self.palette.rgb.tolist()}
        return {
            "format": FORMAT,
            "graph": asdict(self.graph),
            **{name: getattr(self, name) for name in ("variants", "bases", "seed", "unit", "numbering")},
            "noise": NOISE,
            "spread": SPREAD,
            "palette": palette,
        }

    def digest(self) -> str:
        """A short name of it."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Done:
    """What became of one scan: ``kept`` from before, ``made``, or ``bad`` with the reason."""

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
    """Prepare scans into a folder, each whole or not at all; several processes may work on their shards at once.

    Args:
        sources: all scans of the set.
        out: the folder, see :mod:`toothgraph.data.folder`.
        options: those of the folder, if it was begun before.
        workers: processes.
        shard: which part of how many, counted from 1.
        on_done: called as scans are done with.

    Raises:
        ConfigError: if the folder was begun with other options.
    """
    open_folder(out, options.content())
    remove_leftovers(out, 2 * options.seconds)
    unique, doubled = _first_of_each_name(sources)
    for bad in doubled:
        _quarantine(out, bad, options)
    done, todo = list(doubled), []
    for source in unique[shard[0] - 1 :: shard[1]]:
        before = _known(out, source, options)
        if before is None:
            todo.append(source)
        else:
            done.append(before)
    for one in done:
        on_done(one)
    for one in _in_parallel(todo, out, options, workers):
        if one.state == "bad":
            _quarantine(out, one, options)
        done.append(one)
        on_done(one)
    write_lists(out, [source.scan_id for source in unique] + [bad.source.scan_id for bad in doubled])
    return done


def _first_of_each_name(sources: Sequence[Source]) -> tuple[list[Source], list[Done]]:
    """The scans, and those whose name another one has."""
    first: dict[str, Source] = {}
    doubled: list[Done] = []
    for source in sources:
        known = first.setdefault(source.scan_id, source)
        if known is not source:
            renamed = replace(source, scan_id=f"{source.scan_id}{source.path.suffix}~{len(doubled)}")
            doubled.append(Done(renamed, "bad", f"{source.path}: shares its name with {known.path}; rename one"))
    return list(first.values()), doubled


def _known(out: Path, source: Source, options: PrepareOptions) -> Done | None:
    """What is known of a scan from before, if neither it nor the options have changed."""
    file, bad = scan_file(out, source.scan_id), bad_file(out, source.scan_id)
    if not file.exists() and not bad.exists():
        return None  # before the file is read to its end, which its worker does
    try:
        digest = source.digest()
    except OSError:
        return None
    if file.exists():
        try:
            header = read_header(file)
        except DataError:
            return None
        return Done(source, "kept") if (header.sha256, header.options) == (digest, options.digest()) else None
    entry = read_bad(bad)
    if (entry.get("sha256"), entry.get("options")) == (digest, options.digest()):
        return Done(source, "bad", str(entry["reason"]))
    return None


def _quarantine(out: Path, done: Done, options: PrepareOptions) -> None:
    try:
        digest = done.source.digest()
    except OSError:
        digest = ""
    entry = {
        "scan_id": done.source.scan_id,
        "source": str(done.source.path),
        "sha256": digest,
        "options": options.digest(),
        "reason": done.reason,
    }
    scan_file(out, done.source.scan_id).unlink(missing_ok=True)
    write_text(bad_file(out, done.source.scan_id), json.dumps(entry) + "\n")


def prepare_one(source: Source, out: Path, options: PrepareOptions) -> Done:
    """Read, check and write one scan; whatever is wrong with it becomes its reason.

    Raises:
        OSError: if it cannot be written.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # what takes too long ends with its process
    signal.alarm(options.seconds)
    try:
        with named_shortage(source.path):
            scan, header = _read(source, options)
    except ToothgraphError as error:
        return Done(source, "bad", " ".join(str(error).split()))
    except OSError as error:
        return Done(source, "bad", f"{source.path}: cannot be read: {error.strerror or error}")
    except Exception as error:  # a defect of ours: it is named, and the other scans go on
        return Done(source, "bad", f"{source.path}: unexpected {type(error).__name__}: {' '.join(str(error).split())}")
    finally:
        signal.alarm(0)
    save_scan(scan_file(out, source.scan_id), scan, header)  # a full disk is no fault of the scan
    bad_file(out, source.scan_id).unlink(missing_ok=True)
    return Done(source, "made")


def _read(source: Source, options: PrepareOptions) -> tuple[Scan, Header]:
    """A scan's graphs, and what is to be known of it."""
    _check_size(source, options)
    digest = source.digest()
    mesh = read_scan(
        source.path, unit=options.unit, palette=options.palette, jaw=source.jaw, numbering=options.numbering
    )
    mesh = replace(mesh, scan_id=source.scan_id)
    scan = prepare_scan(mesh, options.graph, options.variants, options.seed, options.bases)
    header = Header(
        source.scan_id, source.patient, str(source.path), digest, options.digest(), mesh.jaw, len(mesh.faces),
        scan.labelled, len(scan.variants), toothgraph.__version__,
    )  # fmt: skip
    return replace(scan, patient=source.patient), header


def _check_size(source: Source, options: PrepareOptions) -> None:
    size = source.path.stat().st_size / 1e6
    if size > options.megabytes:
        raise DataError(
            f"{source.path}: {size:.0f} MB, more than the limit of {options.megabytes:g} MB; raise --megabytes, or "
            "reduce the scan"
        )


def _limit(memory: float) -> None:
    """In a worker: no more memory than that, one thread, and Ctrl-C is the parent's business."""
    import torch

    torch.set_num_threads(1)
    set_limit(memory)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _in_parallel(todo: Sequence[Source], out: Path, options: PrepareOptions, workers: int) -> Iterator[Done]:
    """Work through scans in processes; one whose process dies is tried once more alone, and then is bad."""
    waiting = list(reversed(todo))
    while waiting:
        suspects: list[Source] = []
        with _pool(workers, options) as pool:
            running: dict[Future[Done], Source] = {}
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * workers:
                        future = pool.submit(prepare_one, waiting[-1], out, options)  # a broken pool takes none
                        running[future] = waiting.pop()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        done = future.result()
                        del running[future]
                        yield done
            except BrokenProcessPool:
                suspects = list(running.values())
        for source in suspects:
            yield _alone(source, out, options)


def _alone(source: Source, out: Path, options: PrepareOptions) -> Done:
    try:
        with _pool(1, options) as pool:
            return pool.submit(prepare_one, source, out, options).result()
    except BrokenProcessPool:
        reason = f"{source.path}: reading it ended its process: out of memory (--memory), or of time (--seconds)"
        return Done(source, "bad", reason)


@contextmanager
def _pool(workers: int, options: PrepareOptions) -> Iterator[ProcessPoolExecutor]:
    # Forked from a server that has imported all, but computed nothing: no torch thread is caught in mid-air.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_limit, initargs=(options.memory,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
