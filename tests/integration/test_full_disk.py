"""A disk that is full: one line, nothing half-written, and the run goes on once there is room."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="bounds the size of files")


COMMANDS = """
import json, resource
from toothgraph.cli import main
size, commands = json.loads(given[0])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
for command in commands:
    try:
        main(command, prog_name="toothgraph")
    except SystemExit as stop:
        print("exit", stop.code, file=sys.stderr)
"""


@pytest.fixture
def with_room_for(apart, tmp_path) -> Callable[..., list[str]]:
    """Commands, one after another in a process of their own, whose files may not grow beyond so many bytes: writing
    more fails, as on a full disk. What each said, with ``exit`` and its exit code as the last line."""

    def run(size: int, *commands: Sequence[object]) -> list[str]:
        given = json.dumps([size, [[str(word) for word in command] for command in commands]])
        process = apart(given, code=COMMANDS, err=tmp_path / "said")
        process.join(300)
        assert process.exitcode == 0
        return re.findall(r".*?^exit \S+$", (tmp_path / "said").read_text(), re.DOTALL | re.MULTILINE)

    return run


def assert_says_where(said: str, file: Path) -> None:
    *_, error, end = said.splitlines()
    assert "Traceback" not in said and error.startswith(f"Error: {file}: ") and end == "exit 1", said


def test_training(command, with_room_for, arches, tiny_toml, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    (run / "previous.ckpt").replace(run / "last.ckpt")  # as if it had been stopped at step 2
    for name in ("model.safetensors", "best.ckpt"):
        (run / name).unlink()
    before = (run / "last.ckpt").read_bytes()
    given = ("pretrain", arches, "--config", tiny_toml, "--out", run, "--resume")
    (said,) = with_room_for(len(before) // 2, given)
    assert_says_where(said, run / "last.ckpt")
    assert (run / "last.ckpt").read_bytes() == before
    assert not [file.name for file in run.iterdir() if file.name.startswith(".")]
    done = command(*given)
    assert done.code == 0 and "resumed at step 2" in done.err
    whole, found = (load_file(folder / "model.safetensors") for folder in (pretrained, run))
    assert all(torch.equal(found[key], whole[key]) for key in whole)


def test_predict_and_prepare(with_room_for, arches, segmenter, tmp_path):
    scan, out, prepared = arches / "0000_upper.stl", tmp_path / "out", tmp_path / "prepared"
    labelled, made = with_room_for(
        20_000,
        ("predict", scan, "--model", segmenter, "--out", out),
        ("prepare", scan, prepared, "--faces", 300, "--workers", 1),
    )
    assert_says_where(labelled, out / "0000_upper.ply")
    assert list(out.iterdir()) == []
    assert_says_where(made, prepared / "scans" / "0000_upper.safetensors")
    assert (
        list((prepared / "scans").iterdir()) == list((prepared / "quarantine").iterdir()) == []
    )  # no fault of the scan
