"""Export a trained net to a file for other programs: ONNX, or a program of ``torch.export``.

The file takes one scan of any size at a time. Its inputs are the tensors of a graph; it finds the levels itself. The
steps before and after the net are not in the file: the graph, the frame of the scan, borders and numbers. See
:mod:`toothgraph.inference`.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from toothgraph.choices import NET_SUFFIXES
from toothgraph.errors import CheckpointError, ConfigError, ShapeError, has_extra, needs_extra
from toothgraph.fdi import NUM_CLASSES, class_to_fdi
from toothgraph.graph.fields import check_graph
from toothgraph.graph.neighbors import dilated_tables
from toothgraph.model.nets import SegmentationNet
from toothgraph.stages import stage
from toothgraph.system.files import atomic_path
from toothgraph.system.quiet import errors_only

OUTPUT = "log_prob"
TOLERANCE = 1e-3  # difference of log-probabilities; rounding alone stays below it
_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def export_inputs(graph: Data, jaw: int | None = None) -> dict[str, Tensor]:
    """The inputs of an exported net, for one graph.

    Args:
        graph: made by :func:`toothgraph.scan_graph`.
        jaw: 0 upper, 1 lower, -1 unknown; by default the jaw of the graph.

    Returns:
        ``pos`` [N, 3] mm and ``normal`` [N, 3] float32, ``neighbor_index`` [levels·k, N] int32, ``level`` [N] int64,
        ``jaw`` [1] int64.

    Raises:
        ShapeError: for a graph that lacks one of the fields, or another jaw.
    """
    check_graph(graph, "pos", "normal", "neighbor_index", "level")
    jaw = int(graph.jaw) if jaw is None else jaw
    if jaw not in (-1, 0, 1):
        raise ShapeError(f"expected a jaw of 0 upper, 1 lower or -1 unknown, got {jaw!r}")
    return {
        "pos": graph.pos,
        "normal": graph.normal,
        "neighbor_index": graph.neighbor_index.int(),
        "level": graph.level,
        "jaw": torch.tensor([jaw]),
    }


class ForExport(nn.Module):
    """A segmentation net from the tensors of :func:`export_inputs` to log-probabilities [N, 33].

    The net is a copy, in evaluation mode, on the CPU.

    Raises:
        ConfigError: for a net that cannot be exported.
    """

    def __init__(self, net: SegmentationNet) -> None:
        super().__init__()
        if net.config.kind != "geometry" or net.config.features == "shape":
            why = "preset paper" if net.config.kind == "paper" else "features shape"
            raise ConfigError(
                f"a net with {why} cannot be exported, because it makes its graphs itself, or uses edges; expected a "
                "net of the default preset with features pair or coordinates"
            )
        self.net = copy.deepcopy(net).cpu().eval().requires_grad_(False)
        self.net.crowns = None  # used only to number teeth, after the net

    def forward(self, pos: Tensor, normal: Tensor, neighbor_index: Tensor, level: Tensor, jaw: Tensor) -> Tensor:
        graph = Batch(
            pos=pos, normal=normal, neighbor_index=neighbor_index.long(), level=level,
            batch=torch.zeros_like(level), ptr=torch.zeros(2, dtype=torch.long),  # one graph
        )  # fmt: skip
        return self.net(graph, jaw)


def export_program(net: SegmentationNet) -> torch.export.ExportedProgram:
    """A net as a program of ``torch.export``, for graphs of any size with at least two nodes at each level.

    Raises:
        ConfigError: for a net that cannot be exported.
    """
    wrapped, inputs = ForExport(net), example_inputs(net)
    with _quiet(), torch.no_grad():
        return torch.export.export(wrapped, (), inputs, dynamic_shapes=_sizes())


def _sizes() -> dict[str, Any]:
    """The sizes of the inputs that may vary."""
    nodes = torch.export.Dim("N", min=2)
    return {"pos": {0: nodes}, "normal": {0: nodes}, "neighbor_index": {1: nodes}, "level": {0: nodes}, "jaw": None}


def export_net(net: SegmentationNet, path: str | Path) -> float:
    """Write a net to a file for other programs, and compare the output of the file with that of the net.

    Args:
        net: any device, any mode; with features ``pair`` or ``coordinates``.
        path: ``.onnx`` for ONNX (needs ``toothgraph[export]``), ``.pt2`` for ``torch.export.load``.

    Returns:
        The largest difference of log-probabilities, caused by rounding. The file has metadata named ``toothgraph``, a
        JSON text with the specification of the graphs (``graph``) and the FDI number of each column (``fdi``).

    Raises:
        ConfigError: for another ending, a net that cannot be exported, or a package that is missing.
        CheckpointError: if the outputs differ by more than rounding; then nothing is written.
    """
    path = Path(path)
    if path.suffix not in NET_SUFFIXES:
        raise ConfigError(f"expected a file that ends in {' or '.join(NET_SUFFIXES)}, got {path.name}")
    if path.suffix == ".onnx" and not has_extra("export"):
        raise ConfigError(needs_extra("ONNX", "export"))
    stage("tracing the net")
    program, about = export_program(net), json.dumps(_about(net))
    inputs = example_inputs(net, nodes=700, seed=1)
    with torch.no_grad():
        expected = ForExport(net)(**inputs)
    stage("writing, and comparing with the net")
    with atomic_path(path) as temporary:
        found = (_write_onnx if path.suffix == ".onnx" else _write_program)(program, temporary, about, inputs)
        difference = float((found - expected).abs().max())
        if not difference < TOLERANCE:
            raise CheckpointError(
                f"{path}: the exported net differs from the net by {difference:.2g} in a log-probability, expected "
                f"less than {TOLERANCE}; other versions may do better: pip install --upgrade torch onnxscript"
            )
    return difference


def _write_program(program: torch.export.ExportedProgram, path: Path, about: str, inputs: dict[str, Tensor]) -> Tensor:
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={"toothgraph": about})
    return torch.export.load(str(path)).module()(**inputs)


def _write_onnx(program: torch.export.ExportedProgram, path: Path, about: str, inputs: dict[str, Tensor]) -> Tensor:
    import onnxruntime

    with _quiet():
        made = torch.onnx.export(
            program, dynamo=True, output_names=[OUTPUT], dynamic_shapes=_sizes(), verbose=False
        )  # fmt: skip
    assert made is not None
    made.model.metadata_props["toothgraph"] = about
    made.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run([OUTPUT], {name: tensor.numpy() for name, tensor in inputs.items()})
    return torch.from_numpy(found[0])


def example_inputs(net: SegmentationNet, nodes: int = 500, seed: int = 0) -> dict[str, Tensor]:
    """Inputs for a net, like those of a scan: points on a sphere so large that every level has many nodes."""
    graph, rng = net.config.graph, np.random.default_rng(seed)
    normal = rng.normal(size=(nodes, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    pos = normal * max(30.0, 4 * graph.spacings[-1])  # mm
    table, level = dilated_tables(pos, graph.k, graph.spacings)
    data = Data(
        pos=torch.from_numpy(pos.astype(np.float32)), normal=torch.from_numpy(normal.astype(np.float32)),
        neighbor_index=torch.from_numpy(table), level=torch.from_numpy(level),
    )  # fmt: skip
    return export_inputs(data, jaw=0)


def _about(net: SegmentationNet) -> dict[str, Any]:
    """The metadata of the file, which a program that uses it needs."""
    return {"graph": asdict(net.config.graph), "fdi": class_to_fdi(np.arange(NUM_CLASSES)).tolist()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the messages and warnings of torch and onnxscript from the user."""
    with errors_only(*_LOGGERS):
        warnings.simplefilter("ignore")
        yield
