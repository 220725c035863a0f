"""Do many pieces of work in several processes. A process that dies loses only its current piece. POSIX only."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from toothgraph.errors import ConfigError
from toothgraph.system.memory import set_limit
from toothgraph.system.signals import handled

if TYPE_CHECKING:  # does not exist on Windows
    from multiprocessing.context import ForkServerContext

Item = TypeVar("Item")
Result = TypeVar("Result")

_GRACE = 20.0  # seconds that a process has to clean up after a stop
_LOG, _RESULT, _DONE, _FAILED = "log", "result", "done", "failed"  # kinds of messages that a process sends


class _Stop(BaseException):
    """Raised in a process of the pool when the run is stopped."""


def check_workers(workers: int) -> None:
    """Raise ConfigError for several workers on a system without ``forkserver`` processes."""
    if workers > 1 and "forkserver" not in multiprocessing.get_all_start_methods():
        raise ConfigError(f"--workers {workers}: needs a POSIX system; expected 1 here")


def in_processes(
    work: Callable[[Item], Iterable[Result]],
    waiting: deque[Item],
    workers: int,
    tell: Callable[[Result], None],
    lost: Callable[[Item, str], Iterable[Result]],
    *,
    at_work: Callable[[Sequence[Item]], None] = lambda items: None,
    threads: int = 1,
    memory: float | None = None,
) -> None:
    """Do pieces of work in several processes; each process takes the next piece as soon as it is free.

    Only the calling process reacts to Ctrl-C and SIGTERM. It then stops the other processes: an exception is raised in
    their ``work``, which can remove files that are half written. Results that are finished by then are still passed to
    ``tell``. Log records of ``work`` are logged in the calling process.

    Args:
        work: called in the processes with a piece; returns its results. It has to be picklable, as have the pieces and
            the results.
        waiting: the pieces, taken from the left.
        workers: number of processes.
        tell: called in the calling process with each result, in the order in which the results arrive.
        lost: called in the calling process with a piece whose process died, and with how it died. It returns results
            for the piece, besides those that have already arrived. It may put pieces into ``waiting``.
        at_work: called in the calling process with all pieces that are being done, whenever these change.
        threads: threads of torch in each process.
        memory: GB that each process may take; None for no bound.

    Raises:
        Exception: an exception that ``work`` raised; all processes are stopped.
    """
    pool = _Pool[Item, Result](work, min(workers, len(waiting)), threads, memory)
    try:
        while pool.feed(waiting):
            at_work([worker.item for worker in pool.busy()])
            for worker in pool.ready():
                try:
                    results: Iterable[Result] = worker.answer()
                except EOFError:
                    results = lost(worker.item, worker.end())
                    pool.replace(worker)
                for result in results:
                    tell(result)
    except BaseException:
        for result in pool.stop():
            tell(result)
        raise
    finally:
        pool.close()


class _Worker(Generic[Item, Result]):
    """One process of the pool, and its current piece."""

    item: Item

    def __init__(self, context: ForkServerContext, given: tuple[Any, ...]) -> None:
        self.pipe, theirs = context.Pipe()
        self.busy = False
        self.process = context.Process(target=_serve, args=(theirs, *given), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends with the process

    def give(self, item: Item) -> None:
        self.item, self.busy = item, True
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died; answer() notices that
            self.pipe.send(item)

    def answer(self) -> list[Result]:
        """Receive one message of the process: a list with the result in it, or an empty list for other messages.

        Raises:
            EOFError: if the process is dead.
            Exception: what ``work`` raised in the process.
        """
        try:
            kind, content = self.pipe.recv()
        except OSError as error:  # cut off in the middle
            raise EOFError from error
        if kind == _LOG:
            logging.getLogger(content.name).handle(content)
            return []
        if kind == _RESULT:
            return [content]
        self.busy = False
        if kind == _FAILED:
            raise content
        return []

    def end(self) -> str:
        """Wait for the end of a dying process, and return in words how it ended."""
        self.process.join()
        self.pipe.close()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        return f"killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"signal {-code}"


class _Pool(Generic[Item, Result]):
    """The processes of a call of :func:`in_processes`."""

    def __init__(
        self, work: Callable[[Item], Iterable[Result]], workers: int, threads: int, memory: float | None
    ) -> None:
        # Forked from a server that has imported all modules but computed nothing: no threads of torch run in it.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["torch", _module_of(work)])
        self._given = (work, threads, memory)
        self._workers: list[_Worker[Item, Result]] = []
        try:
            with handled({signal.SIGINT: signal.SIG_IGN}):  # inherited: a new process prints no traceback
                for _ in range(workers):
                    self._workers.append(self._new())
        except BaseException:
            self.close()
            raise

    def _new(self) -> _Worker[Item, Result]:
        return _Worker(self._context, self._given)

    def busy(self) -> list[_Worker[Item, Result]]:
        return [worker for worker in self._workers if worker.busy]

    def feed(self, waiting: deque[Item]) -> bool:
        """Give the next pieces to the free processes; return whether any process is busy."""
        for worker in self._workers:
            if waiting and not worker.busy:
                worker.give(waiting.popleft())
        return bool(self.busy())

    def ready(self) -> list[_Worker[Item, Result]]:
        """Wait until at least one process has sent a message, and return the processes that have."""
        pipes = wait([worker.pipe for worker in self.busy()])
        return [worker for worker in self._workers if worker.pipe in pipes]

    def replace(self, worker: _Worker[Item, Result]) -> None:
        """Start a new process in place of a dead one."""
        self._workers[self._workers.index(worker)] = self._new()

    def stop(self) -> list[Result]:
        """Stop all busy processes, and return the results that they had finished."""
        results: list[Result] = []
        for worker in self.busy():
            if worker.process.pid and worker.process.is_alive():
                _tell_to_stop(worker.process.pid)
        until = time.monotonic() + _GRACE
        for worker in self.busy():
            while worker.busy and worker.pipe.poll(max(0.0, until - time.monotonic())):
                try:
                    results += worker.answer()
                except EOFError:
                    break
                except Exception:  # of another piece; the first exception is already on its way to the caller
                    continue
        return results

    def close(self) -> None:
        """End all processes: free ones by closing their pipe, busy ones at once."""
        for worker in self._workers:
            if worker.busy and worker.process.is_alive():
                worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join()


def _module_of(work: Callable[[Any], Any]) -> str:
    """The module of a function, of the function inside a ``partial``, or of the class of an object."""
    work = work.func if isinstance(work, partial) else work
    return getattr(work, "__module__", None) or type(work).__module__


def _tell_to_stop(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGUSR1)


def _serve(pipe: Connection, work: Callable[[Any], Iterable[Any]], threads: int, memory: float | None) -> None:
    """The main function of a process: do pieces of work until the pipe is closed."""
    import torch

    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all processes of a run; the caller stops the others
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(threads)
    if memory is not None:
        set_limit(memory)
    logger = logging.getLogger("toothgraph")
    logger.handlers, logger.propagate = [_Sender(pipe)], False
    logger.setLevel(logging.INFO)
    try:
        signal.signal(signal.SIGUSR1, _raise_stop)
        while True:
            item = pipe.recv()
            try:
                for result in work(item):
                    pipe.send((_RESULT, result))
            except Exception as error:
                pipe.send((_FAILED, _portable(error)))
            else:
                pipe.send((_DONE, None))
    except (EOFError, OSError, _Stop):  # the calling process stops this one, or is gone
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _raise_stop(number: int, frame: FrameType | None) -> None:
    raise _Stop


def _portable(error: Exception) -> Exception:
    """The error itself, or a RuntimeError with the same text if the error cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class _Sender(logging.Handler):
    """A log handler that sends records to the calling process."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args = record.getMessage(), None
        record.exc_info = record.exc_text = record.stack_info = None
        self._pipe.send((_LOG, record))
