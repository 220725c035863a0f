"""A disk that is full: one line, nothing half-written, and the run goes on once there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="bounds the size of files")


def with_room_for(size: int, *given: object) -> subprocess.CompletedProcess[str]:
    """A command whose files may not grow beyond so many bytes: writing more fails, as on a full disk."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
    code += "from toothgraph.cli import main; main(prog_name='toothgraph')"
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, given)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )


def assert_says_where(done: subprocess.CompletedProcess[str], file: Path) -> None:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr and done.stderr.splitlines()[-1].startswith(f"Error: {file}: "), done.stderr


def test_training(command, arches, tiny_toml, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    (run / "previous.ckpt").replace(run / "last.ckpt")  # as if it had been stopped at step 2
    for name in ("model.safetensors", "best.ckpt"):
        (run / name).unlink()
    before = (run / "last.ckpt").read_bytes()
    given = ("pretrain", arches, "--config", tiny_toml, "--out", run, "--resume")
    assert_says_where(with_room_for(len(before) // 2, *given), run / "last.ckpt")
    assert (run / "last.ckpt").read_bytes() == before
    assert not [file.name for file in run.iterdir() if file.name.startswith(".")]
    done = command(*given)
    assert done.code == 0 and "resumed at step 2" in done.err
    whole, found = (load_file(folder / "model.safetensors") for folder in (pretrained, run))
    assert all(torch.equal(found[key], whole[key]) for key in whole)


def test_predict_and_prepare(arches, segmenter, tmp_path):
    scan, out, prepared = arches / "0000_upper.stl", tmp_path / "out", tmp_path / "prepared"
    done = with_room_for(20_000, "predict", scan, "--model", segmenter, "--out", out)
    assert_says_where(done, out / "0000_upper.ply")
    assert list(out.iterdir()) == []
    done = with_room_for(20_000, "prepare", scan, prepared, "--faces", 300, "--workers", 1)
    assert_says_where(done, prepared / "scans" / "0000_upper.safetensors")
    assert (
        list((prepared / "scans").iterdir()) == list((prepared / "quarantine").iterdir()) == []
    )  # no fault of the scan
