from __future__ import annotations

import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from toothgraph.errors import ConfigError, MemoryShortage
from toothgraph.system.memory import bounded, check_bound, is_shortage, named_shortage, of_machine, taken

ROOT = Path(__file__).resolve().parents[2]


def by_numpy() -> object:
    return np.ones(1 << 28)  # 2 GB


def by_torch() -> object:
    return torch.ones(1 << 29)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("take", [by_numpy, by_torch])
def test_what_does_not_fit_is_refused_by_name(take: Callable[[], object]) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    limit = (taken() or 0) + 0.5
    with bounded(limit), pytest.raises(MemoryShortage) as refused, named_shortage("a.stl", "reduce the scan"):
        take()
    assert str(refused.value) == (
        f"a.stl: needs more memory than the limit of {limit:.3g} GB; reduce the scan, or raise --memory"
    )
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="has limits of memory")
def test_without_a_limit_none_is_to_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with pytest.raises(MemoryShortage) as refused, named_shortage("a.stl"):
        raise MemoryError
    assert str(refused.value) == "a.stl: needs more memory than there is; reduce the scan"


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(12, "Cannot allocate memory"), RuntimeError("std::bad_alloc"),
     RuntimeError("can't start new thread"), ImportError("libx.so: failed to map segment from shared object"),
     RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")],
)  # fmt: skip
def test_a_shortage_has_many_words(error: Exception) -> None:
    assert is_shortage(error)
    with pytest.raises(MemoryShortage, match="a: needs more memory"), named_shortage("a"):
        raise error


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", ["predict", "evaluate", "view", "pretrain", "finetune", "prepare"])
def test_a_bound_below_what_is_needed_is_refused_before_any_work(name, command, arches, tmp_path) -> None:
    out = (tmp_path / "out",) if name == "prepare" else ("--out", tmp_path / "out.html")
    scans = arches / "0000_upper.stl" if name == "view" else arches
    said = command(name, scans, *out, "--memory", 0.3).error
    assert "--memory 0.3: expected at least " in said and "of which Python and its libraries take" in said
    assert not list(tmp_path.iterdir())


def test_a_machine_that_is_too_small_is_told(monkeypatch) -> None:
    monkeypatch.setattr("toothgraph.system.memory.of_machine", lambda: 0.5)
    monkeypatch.setattr("toothgraph.system.memory.taken", lambda: 0.4)
    with pytest.raises(ConfigError, match=r"this machine has 0.5 GB: expected at least 0.65 GB"):
        check_bound(None)
    check_bound(0.7)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.slow
def test_the_least_bound_is_enough_for_a_scan(arches, segmenter, tmp_path) -> None:
    """In a process of its own, where a library that gets no memory ends the process."""

    def run(memory: str) -> subprocess.CompletedProcess[str]:
        given = ["predict", str(arches / "0000_upper.stl"), "--model", str(segmenter), "--out", str(tmp_path)]
        line = [sys.executable, "-m", "toothgraph", *given, "--memory", memory]
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True)

    refused = run("0.3")
    least = re.search(r"at least ([\d.]+) GB", refused.stderr)
    assert refused.returncode == 1 and least and len(refused.stderr.splitlines()) == 1, refused.stderr
    done = run(f"{float(least[1]) + 0.01:.2f}")
    assert (tmp_path / "0000_upper.ply").exists() and "Traceback" not in done.stderr, done.stderr


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"), named_shortage("a", "b"):
        raise RuntimeError("size mismatch")
    with pytest.raises(MemoryShortage, match=r"than the GPU has; b, or take --device cpu"), named_shortage("a", "b"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")


def test_a_bound_never_rises() -> None:
    with bounded(None):
        outer = resource.getrlimit(resource.RLIMIT_DATA)[0]
        assert of_machine() is None or outer <= round((of_machine() or 0) * 1e9)
        with bounded(1e6):
            assert resource.getrlimit(resource.RLIMIT_DATA)[0] == outer


def test_commands_name_the_scan_and_go_on(command, arches, segmenter, tmp_path, monkeypatch) -> None:
    def short(net, mesh, *args, **kwargs):
        if mesh.scan_id == "0000_upper":
            raise MemoryError
        return real(net, mesh, *args, **kwargs)

    import toothgraph.segmentation as module

    real = module.predict_mesh
    monkeypatch.setattr(module, "predict_mesh", short)
    scans = [arches / "0000_upper.stl", arches / "0001_lower.stl"]
    done = command("predict", *scans, "--model", segmenter, "--out", tmp_path, "--memory", 1000)
    assert done.code == 1 and "0000_upper.stl: needs more memory than" in done.err and "raise --memory" in done.err
    assert (tmp_path / "0001_lower.ply").exists()


def test_training_does_not_leave_out_what_does_not_fit(command, arches, tiny_toml, tmp_path, monkeypatch) -> None:
    def short(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("toothgraph.data.training_set.prepare_scan", short)
    done = command("pretrain", arches, "--config", tiny_toml, "--out", tmp_path / "run")
    assert done.code == 1 and "0000_lower.stl: needs more memory than" in done.err and "prepare" in done.err
    assert not (tmp_path / "run").exists()
