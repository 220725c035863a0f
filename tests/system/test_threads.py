from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

from toothgraph.system import threads
from toothgraph.training.run_folder import threads_of


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("free", "taken"), [(1, 1), (2, 1), (3, 3), (16, 16)])
def test_threads_by_the_cores_that_are_free(
    free: int, taken: int, no_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "free_cores", lambda: free)
    monkeypatch.setattr(threads, "cores", lambda: 16)
    assert threads.choice(None) == (taken, f"{free} of 16 cores are free")
    assert threads.choice(5) == (5, "as asked for")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert threads.choice(None) == (7, "OMP_NUM_THREADS")


@pytest.mark.parametrize(("others", "free"), [(0.0, 8), (3.0, 5), (7.6, 1), (20.0, 1)])
def test_cores_that_others_keep_busy_are_not_free(others: float, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 8)
    begun, own = time.monotonic(), time.process_time()

    def busy_seconds() -> float:
        return others * (time.monotonic() - begun) + time.process_time() - own

    monkeypatch.setattr(threads, "_busy_seconds", busy_seconds)
    assert threads.free_cores() == free


def test_cores_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "_QUOTA", tmp_path / "cpu.max")
    assert threads.cores() == 8
    for text, count in (("max 100000", 8), ("250000 100000", 2), ("20000 100000", 1), ("1600000 100000", 8)):
        (tmp_path / "cpu.max").write_text(text + "\n")
        assert threads.cores() == count


def test_where_nothing_is_known_all_cores_are_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(threads, "_STAT", tmp_path / "none")
    assert threads.free_cores() == threads.cores()


def test_the_limit_holds_for_torch_and_for_child_processes_and_ends(no_environment: None) -> None:
    before, environment = torch.get_num_threads(), dict(os.environ)
    with threads.limited(before + 1) as taken:
        assert taken == torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"]) == before + 1
        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert torch.get_num_threads() == before and dict(os.environ) == environment


def test_a_resumed_run_takes_the_threads_it_had(
    command, arches: Path, tiny_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, taken = tmp_path / "run", []
    given = ("pretrain", arches, "--config", tiny_toml, "--out", out)
    assert command(*given, "--threads", 2).code == 0
    assert threads_of(out) == 2 and threads_of(tmp_path / "none") is None
    set_threads = torch.set_num_threads
    monkeypatch.setattr(torch, "set_num_threads", lambda count: taken.append(count) or set_threads(count))
    assert command(*given, "--resume").code == 0
    assert 2 in taken
    taken.clear()
    assert command(*given, "--resume", "--threads", 1).code == 0
    assert 2 not in taken[:1]
    content = json.loads((out / "config.json").read_text())
    del content["started"]["hardware"]
    (out / "config.json").write_text(json.dumps(content))
    assert threads_of(out) is None
