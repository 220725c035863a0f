from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Tiny nets gain nothing from threads, and threads that wait for each other beside another job cost minutes.
# Read by torch when it is imported, and by the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import synthetic_arch

ROOT = Path(__file__).resolve().parents[1]

if TYPE_CHECKING:  # PyG takes seconds to import; tests of meshes do without
    from torch import nn
    from torch_geometric.data import Data

    from toothgraph.data import Scan
    from toothgraph.graph import GraphSpec
    from toothgraph.model import NetConfig, SegmentationNet


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
    from toothgraph.model import NetConfig, SegmentationNet

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
    def labelled(self) -> bool:
        """Whether ``predict`` labelled all scans; the nets of tests are hardly trained, so most of them need review."""
        return self.code in (0, 3)

    @property
    def error(self) -> str:
        """The one error line; fails where the command did not end as one that refuses should."""
        assert self.code == 1, (self.code, self.out, self.err)
        lines = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, self.err
        assert self.err.splitlines()[-1] == lines[0], self.err
        return lines[0]


@pytest.fixture(scope="session")
def light_runs() -> Iterator[Callable[..., None]]:
    """TensorBoard gets no pictures, and the shapes of teeth are learned from few crowns a step: both would take longer
    than the few steps of the tests' runs. Gives what collects the pictures."""
    from toothgraph.training import crowns
    from toothgraph.training.board import Board

    collect = Board.on_validation_batch_end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Board, "on_validation_batch_end", lambda *given: None)
        patch.setattr(crowns, "BATCH", 16)
        yield collect


@pytest.fixture(scope="session")
def command(light_runs: Callable[..., None]) -> Callable[..., Outcome]:
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


# What a process of `apart` begins with: it writes where it is told, in the folder of the repository.
BEGIN = """
import os, sys
os.chdir(root)
for number, place in ((1, out), (2, err)):
    os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
sys.stdout, sys.stderr = open(1, "w", buffering=1, closefd=False), open(2, "w", buffering=1, closefd=False)
"""
COMMAND = "from toothgraph.cli import main; main(given, prog_name='toothgraph')"


@pytest.fixture
def apart() -> Iterator[Callable[..., BaseProcess]]:
    """Starts a command, or the ``code`` given, in a process of its own, which can be killed. It is forked from a
    server that has imported torch: a new interpreter would take seconds to do so."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("processes are forked from a server")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch_geometric.data", "lightning.pytorch", "toothgraph.training.run"])
    started: list[BaseProcess] = []

    def start(
        *args: object, out: Path | str = os.devnull, err: Path | str = os.devnull, before: str = "", code: str = COMMAND
    ) -> BaseProcess:
        names = {"given": list(map(str, args)), "out": str(out), "err": str(err), "root": str(ROOT)}
        started.append(context.Process(target=exec, args=(BEGIN + before + code, names)))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.fixture(scope="session")
def arches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six labelled arches of three patients. Shared: do not write into it."""
    from toothgraph.synthetic import write_synthetic

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


@pytest.fixture
def patch() -> Mesh:
    """A wavy sheet of 40 × 40 mm, 3200 faces, in four strips: gingiva, 11, 12 and unknown."""
    n = 41
    x, y = np.meshgrid(np.linspace(0, 40, n), np.linspace(0, 40, n), indexing="ij")
    vertices = np.stack([x, y, 2 * np.sin(x / 4) * np.cos(y / 5)], axis=-1).reshape(-1, 3)
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    faces = np.concatenate(
        [
            np.stack([corner, corner + n, corner + 1], axis=1),
            np.stack([corner + 1, corner + n, corner + n + 1], axis=1),
        ]
    )
    strip = (vertices[faces].mean(axis=1)[:, 0] // 10).astype(int)
    return Mesh(vertices, faces, labels=np.array([0, 11, 12, -1])[strip], scan_id="patch")


@pytest.fixture(scope="session")
def tiny(small_spec: GraphSpec) -> NetConfig:
    """A geometry net of few channels for graphs of ``small_spec``."""
    from toothgraph.model import NetConfig

    return NetConfig(
        graph=small_spec, widths=(8, 8, 12, 12), head_widths=(8, 8, 12, 12), pair_channels=4, embedding=10,
        projection=6, dynamic_k=5,
    )  # fmt: skip


@pytest.fixture(scope="session")
def graphs(arch: Mesh, arch_graph: Data, small_spec: GraphSpec) -> list[Data]:
    """Two graphs of different size. Shared: do not change them."""
    from toothgraph.graph import GraphSpec, scan_graph

    rng = np.random.default_rng(5)
    return [arch_graph, scan_graph(arch, GraphSpec(faces=350, k=small_spec.k), rng)[0]]


@pytest.fixture
def settle() -> Callable[[nn.Module], nn.Module]:
    """Makes a net ready for comparisons: random norms and statistics, eval mode."""
    import torch
    from torch import nn

    def settle(net: nn.Module) -> nn.Module:
        torch.manual_seed(0)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_(std=0.2)
                module.running_var.uniform_(0.5, 2)
                nn.init.normal_(module.weight, mean=1, std=0.3)
                nn.init.normal_(module.bias, std=0.3)
        return net.eval()

    return settle


@pytest.fixture(scope="session")
def scan(arch: Mesh, small_spec: GraphSpec) -> Scan:
    """Three tessellations of ``arch``. Shared: do not change them."""
    from toothgraph.data import prepare_scan

    return prepare_scan(arch, small_spec, variants=3, seed=7)


@pytest.fixture(scope="session")
def scans(scan: Scan, small_spec: GraphSpec) -> list[Scan]:
    """Two scans of two tessellations each, an upper and a lower jaw. Shared: do not change them."""
    from toothgraph.data import Scan, prepare_scan

    other = prepare_scan(synthetic_arch(2, jaw=1, faces=2000), small_spec, variants=2, seed=7)
    return [Scan(scan.scan_id, scan.variants[:2]), other]


@pytest.fixture(scope="session")
def small_net() -> NetConfig:
    """A geometry net of few channels for graphs of 300 faces."""
    from toothgraph.graph import GraphSpec
    from toothgraph.model import NetConfig

    widths = (8, 16, 16, 16)
    graph = GraphSpec(faces=300, k=6)
    return NetConfig(graph=graph, widths=widths, head_widths=widths, pair_channels=4, embedding=16)
