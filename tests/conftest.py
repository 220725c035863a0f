from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.synthetic import synthetic_arch

if TYPE_CHECKING:  # PyG takes seconds to import; tests of meshes do without
    from torch_geometric.data import Data

    from toothgraph.graph import GraphSpec
    from toothgraph.nn import SegmentationNet


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Ctrl-C does what it does in a terminal, also where the tests run in the background and it is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real scans; tests that need it are skipped without it."""
    folder = os.environ.get("TOOTHGRAPH_DATA")
    if not folder:
        pytest.skip("set TOOTHGRAPH_DATA to the folder of real scans")
    return Path(folder)


@pytest.fixture(scope="session")
def arch() -> Mesh:
    """A labelled upper arch of about 2000 faces. Shared: do not change it."""
    return synthetic_arch(1, jaw=0, faces=2000)


@pytest.fixture(scope="session")
def small_spec() -> GraphSpec:
    """Graphs of about 500 faces with four levels of 6 neighbours."""
    from toothgraph.graph import GraphSpec

    return GraphSpec(faces=500, k=6)


@pytest.fixture(scope="session")
def arch_graph(arch: Mesh, small_spec: GraphSpec) -> Data:
    """The graph of ``arch`` with neighbour tables. Shared: do not change it."""
    from toothgraph.graph import scan_graph

    return scan_graph(arch, small_spec)[0]


@pytest.fixture(scope="session")
def net() -> SegmentationNet:
    """A small segmentation net as it is born. Shared: do not train it."""
    import torch

    from toothgraph.graph import GraphSpec
    from toothgraph.nn import NetConfig, SegmentationNet

    torch.manual_seed(0)
    widths = (8, 16, 16, 16)
    graph = GraphSpec(faces=400, k=6)
    return SegmentationNet(
        NetConfig(graph=graph, widths=widths, head_widths=widths, pair_channels=4, embedding=16)
    ).eval()


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit code, and what it wrote to standard output and to standard error."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one error line; fails where the command did not end as one that refuses should."""
        assert self.code == 1, (self.code, self.out, self.err)
        lines = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, self.err
        assert self.err.splitlines()[-1] == lines[0], self.err
        return lines[0]


@pytest.fixture(scope="session")
def command() -> Callable[..., Outcome]:
    """Runs ``toothgraph`` in this process; an exception that the command line lets through fails the test."""
    from toothgraph.cli import main

    def run(*args: object) -> Outcome:
        logger = logging.getLogger("toothgraph")
        before = logger.propagate, logger.level, list(logger.handlers)
        out, err = io.StringIO(), io.StringIO()
        code: object = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main.main([str(arg) for arg in args], prog_name="toothgraph")
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            logger.propagate, logger.level, logger.handlers = before
        assert isinstance(code, int)
        return Outcome(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def arches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six labelled arches of three patients. Shared: do not write into it."""
    from toothgraph.mesh.synthetic import write_synthetic

    folder = tmp_path_factory.mktemp("arches")
    write_synthetic(folder, 6, 2000, 0)
    return folder


@pytest.fixture(scope="session")
def tiny_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration file for runs of a second."""
    file = tmp_path_factory.mktemp("config") / "tiny.toml"
    file.write_text(
        "faces = 300\nsteps = 4\nbatch = 1\nvariants = 2\nlog_every = 1\nvalidate_every = 2\ncheckpoint_every = 2\n"
        "[net]\nwidths = [8, 16, 16, 16]\nhead_widths = [8, 16, 16, 16]\npair_channels = 4\nembedding = 16\n"
    )
    return file


@pytest.fixture(scope="session")
def pretrained(
    command: Callable[..., Outcome], arches: Path, tiny_toml: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run folder of ``pretrain`` over four steps. Shared: do not write into it."""
    out = tmp_path_factory.mktemp("runs") / "pretrained"
    done = command("pretrain", arches, "--out", out, "--config", tiny_toml)
    assert done.code == 0, done.err
    return out


@pytest.fixture(scope="session")
def segmenter(command: Callable[..., Outcome], arches: Path, tiny_toml: Path, pretrained: Path) -> Path:
    """A run folder of ``finetune`` over four steps, from ``pretrained``. Shared: do not write into it."""
    out = pretrained.parent / "segmenter"
    done = command("finetune", arches, "--out", out, "--config", tiny_toml, "--init", pretrained)
    assert done.code == 0, done.err
    return out
