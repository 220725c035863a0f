from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from toothgraph.errors import MemoryShortage
from toothgraph.system.memory import bounded, named_shortage, of_machine


def in_use() -> float:
    """GB that count towards the bound."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmData"))) / 1e6


def by_numpy() -> object:
    return np.ones(1 << 28)  # 2 GB


def by_torch() -> object:
    return torch.ones(1 << 29)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("take", [by_numpy, by_torch])
def test_what_does_not_fit_is_refused_by_name(take: Callable[[], object]) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    limit = in_use() + 0.5
    with bounded(limit), pytest.raises(MemoryShortage) as refused, named_shortage("a.stl", "reduce the scan"):
        take()
    assert str(refused.value) == (
        f"a.stl: needs more memory than the limit of {limit:.3g} GB; reduce the scan, or raise --memory"
    )
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


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
