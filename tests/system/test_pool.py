from __future__ import annotations

import logging
import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from toothgraph.errors import ConfigError, DataError
from toothgraph.system import pool
from toothgraph.system.memory import of_machine, share
from toothgraph.system.pool import check_workers, in_processes


def work(piece: int) -> Iterator[tuple[int, int]]:
    """Two results of each piece; a piece of 100 or more kills its process after the first."""
    yield piece, os.getpid()
    if piece >= 100:
        os.kill(os.getpid(), signal.SIGKILL)
    yield piece, os.getpid()


def log(piece: int) -> list[int]:
    logging.getLogger("toothgraph.there").warning("piece %d", piece)
    return [piece]


def fail(piece: int) -> list[int]:
    raise DataError(f"piece {piece}")


class Unsendable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def fail_so_that_it_cannot_be_sent(piece: int) -> list[int]:
    raise Unsendable(piece, 2)


def linger(folder: Path) -> Iterator[str]:
    """Writes a file while it is at work and clears up at its end, however it comes."""
    yield "begun"
    file = folder / f"{os.getpid()}.half"
    file.touch()
    try:
        time.sleep(60)
    finally:
        file.unlink()


def memory_of(piece: int) -> list[int]:
    import resource

    return [resource.getrlimit(resource.RLIMIT_DATA)[0]]


def none_lost(piece: object, how: str) -> list:
    raise AssertionError(f"{piece}: {how}")


def test_all_pieces_are_done_by_several_processes():
    results, seen = [], []
    in_processes(work, deque(range(6)), 2, results.append, none_lost, at_work=lambda pieces: seen.append(list(pieces)))
    assert sorted(piece for piece, _ in results) == sorted([*range(6), *range(6)])
    workers = {process for _, process in results}
    assert len(workers) == 2 and os.getpid() not in workers
    assert seen[0] == [0, 1] and max(map(len, seen)) == 2


def test_a_process_that_dies_costs_its_piece_alone():
    results, lost, waiting = [], [], deque([1, 100, 2, 3, 101, 4])

    def say(piece: int, how: str) -> list[tuple[int, int]]:
        lost.append((piece, how))
        if piece == 101:
            waiting.append(7)
        return [(-piece, 0)]

    in_processes(work, waiting, 2, results.append, say)
    assert sorted(lost) == [(100, "killed by SIGKILL"), (101, "killed by SIGKILL")]
    assert sorted(piece for piece, _ in results) == sorted([-100, -101, 100, 101, *[1, 2, 3, 4, 7] * 2])


def test_an_error_comes_here():
    with pytest.raises(DataError, match="piece 5"):
        in_processes(fail, deque([5]), 2, print, none_lost)
    with pytest.raises(RuntimeError, match="Unsendable: 5 and 2"):
        in_processes(fail_so_that_it_cannot_be_sent, deque([5]), 1, print, none_lost)


def test_what_is_logged_there_is_logged_here(caplog):
    results = []
    in_processes(log, deque([1, 2]), 2, results.append, none_lost)
    assert sorted(results) == [1, 2]
    assert sorted(record.getMessage() for record in caplog.records) == ["piece 1", "piece 2"]


def test_a_stop_lets_them_clear_up(tmp_path):
    told = []

    def tell(result: str) -> None:
        told.append(result)
        if len(told) == 2:
            while len(list(tmp_path.iterdir())) < 2:
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_processes(linger, deque([tmp_path] * 3), 2, tell, none_lost)
    assert told == ["begun"] * 2 and not list(tmp_path.iterdir())


def test_signals_to_all_leave_it_to_the_first(tmp_path):
    """Ctrl-C in a terminal and SIGTERM of a batch system go to all processes of a run."""
    results = []

    def tell(result: tuple[int, int]) -> None:
        if not results:
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(result[1], number)
        results.append(result)

    in_processes(work, deque(range(4)), 1, tell, none_lost)
    assert len(results) == 8 and len({process for _, process in results}) == 1


def test_memory():
    results = []
    in_processes(memory_of, deque([1]), 1, results.append, none_lost, memory=7.5)
    assert results == [round(7.5e9)]
    machine = of_machine()
    if machine is not None:
        assert share(None, 2) == machine / 2 and share(3.0, 2) == 3.0
        with pytest.raises(ConfigError, match=r"--workers 1000: expected at least .* GB for each"):
            share(None, 1000)


def test_systems_without(monkeypatch):
    monkeypatch.setattr(pool.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    check_workers(1)
    with pytest.raises(ConfigError, match="--workers 2: needs a POSIX system"):
        check_workers(2)
