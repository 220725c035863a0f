"""Two processes with a batch each train the net that one trains with the doubled batch."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]


def in_two(*given: object, torchrun: bool = False) -> subprocess.CompletedProcess[str]:
    """A command in two processes, started by itself or by torchrun."""
    starter = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"] if torchrun else []
    run = [sys.executable, *starter, "-m", "toothgraph", *map(str, given), "--devices", "2"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(run, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    ("name", "torchrun"),
    [
        pytest.param("pretrain", False, marks=pytest.mark.slow),
        ("finetune", False),
        pytest.param("finetune", True, marks=pytest.mark.slow),
    ],
)
def test_two_processes_are_one_with_the_doubled_batch(name, torchrun, arches, tiny_toml, command, tmp_path):
    options = tmp_path / "options.toml"
    extra = {"pretrain": 'negatives = "batch"\n', "finetune": 'crowns = "keep"\n'}[name]
    extra += 'optimizer = "sgd"\n'  # the others divide by the size of the gradient, be it nothing but rounding
    options.write_text(extra + tiny_toml.read_text() + "dropout = 0.0\n")  # whose masks are drawn in each process
    given = [name, str(arches), "--config", str(options), "--steps", "3", "--lr", "0.01", "--device", "cpu"]
    done = command(*given, "--batch", 2, "--out", tmp_path / "one")
    assert done.code == 0, done.err
    both = in_two(*given, "--batch", 1, "--out", tmp_path / "two", torchrun=torchrun)
    one, two = (load_file(tmp_path / run / "model.safetensors") for run in ("one", "two"))
    for key, value in one.items():  # a maximum that is nearly a draw may go the other way
        torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")
    loss = [(tmp_path / run / "metrics.csv").read_text().splitlines()[1].split(",")[2] for run in ("one", "two")]
    assert float(loss[0]) == pytest.approx(float(loss[1]), rel=1e-4)
    val = []
    for run in ("one", "two"):
        with (tmp_path / run / "metrics.csv").open(newline="") as file:
            val.append(float(list(csv.DictReader(file))[-1]["val_loss"]))
    assert val[0] == pytest.approx(val[1], rel=1e-3)  # each process validates alone, on all scans
    assert "Traceback" not in both.stderr and not [line for line in both.stderr.splitlines() if "Warning" in line]
    assert {file.name for file in (tmp_path / "two").iterdir()} == {file.name for file in (tmp_path / "one").iterdir()}


@pytest.mark.slow
def test_two_processes_go_on_where_they_were(arches, tiny_toml, tmp_path):
    """Each with dropout of its own."""
    given = ["finetune", arches, "--config", tiny_toml, "--device", "cpu", "--checkpoint-every", 2]
    in_two(*given, "--out", tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    for name in ("model.safetensors", "last.ckpt"):
        (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / "previous.ckpt").rename(tmp_path / "run" / "last.ckpt")
    assert "resumed at step 2" in in_two(*given, "--out", tmp_path / "run", "--resume").stderr
    whole, run = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(run[key], whole[key]) for key in whole)


def test_batches_one_after_another_are_a_step(command, arches, tiny_toml, tmp_path):
    for out, given in (("whole", ()), ("halves", ("--accumulate", 2, "--deterministic"))):
        done = command("finetune", arches, "--config", tiny_toml, "--steps", 2, "--out", tmp_path / out, *given)
        assert done.code == 0, done.err
        assert not torch.are_deterministic_algorithms_enabled()  # the process is left as it was
    rows = (tmp_path / "halves" / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2", "2"]
