"""A model, a stopped run and a prepared folder that revision 6ba17be wrote go on working."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
import torch

import toothgraph as tg
from toothgraph.data.prepared.folder import read_prepared
from toothgraph.model.file import read_model
from toothgraph.nn.kernels.backend import use_backend

ARCHIVE = Path(__file__).resolve().parent / "files" / "written_by_6ba17be.tar.xz"
# What that revision was given. `[cuts] extraction` has not changed its name.
OPTIONS = """
faces = 300
steps = 4
batch = 1
variants = 2
log_every = 1
validate_every = 2
checkpoint_every = 2
[net]
widths = [4, 8, 8, 8]
head_widths = [4, 8, 8, 8]
pair_channels = 2
embedding = 8
[cuts]
extraction = 0.1
"""


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A folder with ``model.safetensors``, the run ``stopped`` and the folder ``prepared``."""
    with tarfile.open(ARCHIVE) as archive:
        # Python before 3.10.12 and 3.11.4 has no filters, and Python 3.12 and 3.13 warn without one.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(tmp_path, **safely)
    return tmp_path


@pytest.fixture
def scans(arches: Path, before: Path) -> Path:
    """The scans they were made from."""
    folder = before / "scans"
    folder.mkdir()
    for file in arches.glob("000[01]_*"):
        shutil.copy(file, folder)
    return folder


def test_a_model_gives_the_same(before: Path) -> None:
    net = tg.load_model(before / "model.safetensors")
    graph, _ = tg.scan_graph(tg.synthetic_arch(1, jaw=0, faces=2000), net.config.graph)
    with torch.inference_mode():
        out = net(graph)
    assert out.shape == (299, 33)
    torch.testing.assert_close(out.abs().sum(), torch.tensor(34751.4296875), rtol=1e-4, atol=0)
    torch.testing.assert_close(out[0, :3], torch.tensor([-3.0470, -3.8572, -3.2856]), rtol=1e-3, atol=1e-3)


def test_a_stopped_run_goes_on_to_the_same_model(command, before: Path, scans: Path) -> None:
    options = before / "options.toml"
    options.write_text(OPTIONS)
    with use_backend("native"):  # the one of before; the compiled one adds in another order
        done = command("finetune", scans, "--out", before / "stopped", "--config", options, "--resume")
    assert done.code == 0, done.err
    assert "resumed at step 2" in (before / "stopped" / "log.txt").read_text()
    ours, theirs = (read_model(before / name).tensors for name in ("stopped", "model.safetensors"))
    assert {name for name in ours if not name.startswith("crowns.")} == theirs.keys()  # it had no crowns yet
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-4)


def test_a_prepared_folder_is_read_and_kept(command, before: Path, scans: Path) -> None:
    found = read_prepared(before / "prepared")
    assert [scan.scan_id for scan in found] == ["0000_lower", "0000_upper"]
    graph = found[0].variants[1]
    assert graph.num_nodes > 200 and graph.neighbor_index.shape[1] == graph.num_nodes and (graph.y > 0).any()
    files = sorted(scans.glob("0000_*.stl"))
    done = command("prepare", *files, before / "prepared", "--faces", 300, "--tessellations", 2, "--workers", 1)
    assert done.code == 0 and "2 of 2 scans: 0 prepared" in done.out and "2 kept" in done.out
