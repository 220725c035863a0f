"""Many pieces of work in several processes. One that dies costs the piece it was at, and nothing else. POSIX."""

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

if TYPE_CHECKING:  # not there on Windows
    from multiprocessing.context import ForkServerContext

Item = TypeVar("Item")
Result = TypeVar("Result")

_GRACE = 20.0  # seconds that a process has to clear up after a stop
_LOG, _RESULT, _DONE, _FAILED = "log", "result", "done", "failed"  # what a process sends


class _Stop(BaseException):
    """In a process: the run is stopped."""


def check_workers(workers: int) -> None:
    """Raises ConfigError where there cannot be several processes of this kind."""
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
    """Do pieces of work in processes, each of which takes the next piece as soon as it is free.

    Ctrl-C and SIGTERM concern this process alone: it stops the others, in which ``work`` ends with an exception, so
    that it removes what is half written; what is done by then is told. What ``work`` logs is logged here.

    Args:
        work: called in the processes, gives the results of a piece; to be pickled, as are pieces and results.
        waiting: the pieces, taken from the left.
        workers: processes.
        tell: called here with each result, in the order in which they come.
        lost: called here with a piece whose process died, and how it died; gives what results it has beside those
            that came before. It may put pieces into ``waiting``.
        at_work: called here with the pieces at work, whenever they change.
        threads: of torch, for each process.
        memory: GB that each process may take; None for no bound.

    Raises:
        Exception: what ``work`` raised; the others are stopped.
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
    """A process, and the piece it is at."""

    item: Item

    def __init__(self, context: ForkServerContext, given: tuple[Any, ...]) -> None:
        self.pipe, theirs = context.Pipe()
        self.busy = False
        self.process = context.Process(target=_serve, args=(theirs, *given), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends with the process

    def give(self, item: Item) -> None:
        self.item, self.busy = item, True
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died: seen where its answer is read
            self.pipe.send(item)

    def answer(self) -> list[Result]:
        """The next result of its piece, if that is what comes next.

        Raises:
            EOFError: if the process is dead.
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
        """Wait for the end of a dying process; how it ended, in words."""
        self.process.join()
        self.pipe.close()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        return f"killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"signal {-code}"


class _Pool(Generic[Item, Result]):
    """The processes."""

    def __init__(
        self, work: Callable[[Item], Iterable[Result]], workers: int, threads: int, memory: float | None
    ) -> None:
        # Forked from a server that has imported all modules but computed nothing: no threads of torch run in it.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["torch", _module_of(work)])
        self._given = (work, threads, memory)
        self._workers: list[_Worker[Item, Result]] = []
        try:
            with handled({signal.SIGINT: signal.SIG_IGN}):  # inherited: no traceback of one just born
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
        """Give the next pieces to the free; whether any is at work."""
        for worker in self._workers:
            if waiting and not worker.busy:
                worker.give(waiting.popleft())
        return bool(self.busy())

    def ready(self) -> list[_Worker[Item, Result]]:
        """Those that have something to say; waits until one has."""
        pipes = wait([worker.pipe for worker in self.busy()])
        return [worker for worker in self._workers if worker.pipe in pipes]

    def replace(self, worker: _Worker[Item, Result]) -> None:
        """Another in the place of a dead one."""
        self._workers[self._workers.index(worker)] = self._new()

    def stop(self) -> list[Result]:
        """Stop all; the results that came before."""
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
                except Exception:  # of another piece; the first one is on its way to the caller
                    continue
        return results

    def close(self) -> None:
        """End all: the free by the end of their pipe, the others at once."""
        for worker in self._workers:
            if worker.busy and worker.process.is_alive():
                worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join()


def _module_of(work: Callable[[Any], Any]) -> str:
    """The module of a function, of the one inside a ``partial``, or of an object's class."""
    work = work.func if isinstance(work, partial) else work
    return getattr(work, "__module__", None) or type(work).__module__


def _tell_to_stop(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGUSR1)


def _serve(pipe: Connection, work: Callable[[Any], Iterable[Any]], threads: int, memory: float | None) -> None:
    """What a process does: pieces, until its pipe ends."""
    import torch

    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all processes of a run; the first one tells the others
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
    except (EOFError, OSError, _Stop):  # the first process stops it, or is gone
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _raise_stop(number: int, frame: FrameType | None) -> None:
    raise _Stop


def _portable(error: Exception) -> Exception:
    """The error, or one that says the same if it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class _Sender(logging.Handler):
    """Sends what is logged to the first process."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args = record.getMessage(), None
        record.exc_info = record.exc_text = record.stack_info = None
        self._pipe.send((_LOG, record))
