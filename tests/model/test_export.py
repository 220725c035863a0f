"""An exported net says what the net says, on scans of any size."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import nn
from torch_geometric.data import Batch

import toothgraph as tg
from toothgraph.errors import CheckpointError, ConfigError, ShapeError
from toothgraph.graph import GraphSpec, scan_graph
from toothgraph.io.formats.stl import write_stl
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import NetConfig, SegmentationNet, export_inputs, export_net, load_model, save_model
from toothgraph.model.export import export_program
from toothgraph.synthetic import synthetic_arch

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "program.md"
OTHER = {"features": "coordinates", "classes": "all", "norm": "layer", "context": False}


def small(**changed: Any) -> SegmentationNet:
    """A net of two levels, of which export makes a small file."""
    spec = GraphSpec(faces=300, k=4, spacings=(0.0, 3.0))
    config = NetConfig(graph=spec, widths=(6, 8), head_widths=(6, 8), pair_channels=4, embedding=8)
    torch.manual_seed(0)
    net = SegmentationNet(replace(config, **changed))
    for norm in (part for part in net.modules() if isinstance(part, nn.BatchNorm1d)):
        norm.running_mean.normal_(std=0.2)
        norm.running_var.uniform_(0.5, 2)
    return net.eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(file, small(), {})
    return file


def export_as_onnx(command: Callable[..., Any], model: str | Path, file: Path) -> Path:
    """By the command."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    done = command("export", model, "-o", file)
    assert done.code == 0, done.err
    said = r"wrote \S+net.onnx; its log-probabilities differ by \S+ at most from those of the net\n"
    assert re.fullmatch(said, done.out)
    return file


@pytest.fixture(scope="module")
def onnx_file(command: Callable[..., Any], model: Path) -> Path:
    return export_as_onnx(command, model, model.with_name("net.onnx"))


def check_onnx(file: Path, net: SegmentationNet, mesh: Mesh) -> None:
    """Whether a file says what a net says of a scan, whatever is known of the jaw."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    k = net.config.graph.k * len(net.config.graph.spacings)
    shapes = {one.name: one.shape for one in session.get_inputs()}
    assert shapes == {"pos": ["N", 3], "normal": ["N", 3], "neighbor_index": [k, "N"], "level": ["N"], "jaw": [1]}
    graph = scan_graph(mesh, net.config.graph)[0]
    for jaw in (-1, 1):
        given = {name: tensor.numpy() for name, tensor in export_inputs(graph, jaw).items()}
        found = torch.from_numpy(session.run(["log_prob"], given)[0])
        with torch.no_grad():
            expected = net(graph, torch.tensor([jaw]))
        assert float((found - expected).abs().max()) < 1e-4
        assert torch.equal(found.argmax(dim=1), expected.argmax(dim=1))


def test_onnx(onnx_file: Path, model: Path) -> None:
    check_onnx(onnx_file, load_model(model), synthetic_arch(2, jaw=1, faces=2000))


@pytest.mark.slow
def test_onnx_of_the_net_in_the_package(command: Callable[..., Any], tmp_path: Path) -> None:
    file = export_as_onnx(command, "default", tmp_path / "net.onnx")
    check_onnx(file, load_model(), synthetic_arch(2, jaw=1, faces=16_000))


def run_how_to(onnx_file: Path, mesh: Mesh, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The block of the how-to, on a scan of an upper jaw; its names."""
    section = HOW_TO.read_text(encoding="utf-8").partition("## … export a net to ONNX")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    write_stl(folder / "scan_upper.stl", mesh.vertices, mesh.faces)
    if not (folder / "net.onnx").exists():
        (folder / "net.onnx").symlink_to(onnx_file)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_the_how_to_runs(onnx_file: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arch = synthetic_arch(1, jaw=0, faces=2000)
    names = run_how_to(onnx_file, arch, tmp_path, monkeypatch)
    net, frame = load_model(model), torch.from_numpy(names["view"].frame).float()
    with torch.no_grad():
        expected = net.in_any_frame(Batch.from_data_list([names["graph"]]), torch.tensor([0]))(frame)
    torch.testing.assert_close(names["view"].log_prob, expected, rtol=1e-4, atol=1e-4)
    assert len(names["fdi"]) == len(names["coarse"].mesh.faces)
    written = np.loadtxt(tmp_path / "labelled" / "scan_upper.txt", dtype=int)
    assert np.array_equal(written, names["fdi"][names["coarse"].face_map])


@pytest.mark.slow
def test_the_how_to_labels_a_scan_in_any_pose(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = export_as_onnx(command, "default", tmp_path / "net.onnx")
    arch, turn = synthetic_arch(2, jaw=0, faces=16_000), Rotation.from_rotvec([1.9, -0.7, 2.2])
    run_how_to(file, replace(arch, vertices=turn.apply(arch.vertices) + 40), tmp_path, monkeypatch)
    written = np.loadtxt(tmp_path / "labelled" / "scan_upper.txt", dtype=int)
    assert (written == arch.labels).mean() > 0.9


@pytest.mark.parametrize("changed", [{}, OTHER], ids=["default", "other"])
def test_program_of_torch(changed: dict[str, Any], tmp_path: Path) -> None:
    net = small(**changed).train()
    assert export_net(net, tmp_path / "net.pt2") < 1e-4
    assert net.training and all(parameter.requires_grad for parameter in net.parameters())  # it stays as it was
    about = {"toothgraph": ""}
    program = torch.export.load(str(tmp_path / "net.pt2"), extra_files=about).module()
    spec = GraphSpec(**json.loads(about["toothgraph"])["graph"])
    assert spec.k == 4
    net.eval()
    for faces in (300, 900):
        graph = scan_graph(synthetic_arch(3, jaw=0, faces=2000), replace(spec, faces=faces))[0]
        with torch.no_grad():
            expected = net(graph, graph.jaw)
        torch.testing.assert_close(program(**export_inputs(graph)), expected, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_exported_is_refused(
    arch_graph: Any, command: Callable[..., Any], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options, why in (({"kind": "paper"}, "preset paper"), ({"features": "shape"}, "features shape")):
        with pytest.raises(ConfigError, match=f"{why} cannot be exported"):
            export_program(small(**options))
    with pytest.raises(ShapeError, match="expected a jaw of 0 upper"):
        export_inputs(arch_graph, jaw=2)
    with pytest.raises(ShapeError, match="got one without"):
        export_inputs(tg.face_graph(synthetic_arch(1, jaw=0, faces=2000)))
    assert (
        "expected a file name that ends in .onnx or .pt2, or a folder name"
        in command("export", model, "-o", tmp_path / "net.x").error
    )
    monkeypatch.setattr("toothgraph.errors.find_spec", lambda name: None)
    done = command("export", model, "-o", tmp_path / "net.onnx")
    assert done.error.endswith("ONNX needs the extra export: pip install 'toothgraph[export]'")
    assert not list(tmp_path.iterdir())


def test_a_file_that_says_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toothgraph.model.export.export_program", lambda net: None)
    monkeypatch.setattr("toothgraph.model.export._write_program", lambda *args: torch.zeros(700, 33))
    with pytest.raises(CheckpointError, match="differs from the net by"):
        export_net(small(), tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())
