"""toothgraph: tooth segmentation of intraoral scans with few labels."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toothgraph.errors import ToothgraphError
    from toothgraph.graph import GraphSpec, face_graph, scan_graph, to_networkx
    from toothgraph.inference import predict_mesh
    from toothgraph.mesh.labels import read_scan
    from toothgraph.mesh.mesh import Mesh
    from toothgraph.mesh.palette import load_palette
    from toothgraph.mesh.read import read_mesh
    from toothgraph.mesh.synthetic import synthetic_arch
    from toothgraph.mesh.write import write_labelled
    from toothgraph.nn import FastEdgeConv, GeometryBackbone, PairGeometryConv, SegmentationNet, info_nce
    from toothgraph.segmentation import Segmentation, segment, segment_all
    from toothgraph.training.checkpoint import load_model, load_segmentation

__version__ = "0.1.0"

# Where each name lives. It is imported when first asked for, so that `import toothgraph` does not wait for torch.
_MODULE_OF = {
    "FastEdgeConv": "toothgraph.nn",
    "GeometryBackbone": "toothgraph.nn",
    "GraphSpec": "toothgraph.graph",
    "Mesh": "toothgraph.mesh.mesh",
    "PairGeometryConv": "toothgraph.nn",
    "Segmentation": "toothgraph.segmentation",
    "SegmentationNet": "toothgraph.nn",
    "ToothgraphError": "toothgraph.errors",
    "face_graph": "toothgraph.graph",
    "info_nce": "toothgraph.nn",
    "load_model": "toothgraph.training.checkpoint",
    "load_palette": "toothgraph.mesh.palette",
    "load_segmentation": "toothgraph.training.checkpoint",
    "predict_mesh": "toothgraph.inference",
    "read_mesh": "toothgraph.mesh.read",
    "read_scan": "toothgraph.mesh.labels",
    "scan_graph": "toothgraph.graph",
    "segment": "toothgraph.segmentation",
    "segment_all": "toothgraph.segmentation",
    "synthetic_arch": "toothgraph.mesh.synthetic",
    "to_networkx": "toothgraph.graph",
    "write_labelled": "toothgraph.mesh.write",
}

__all__ = [
    "FastEdgeConv",
    "GeometryBackbone",
    "GraphSpec",
    "Mesh",
    "PairGeometryConv",
    "Segmentation",
    "SegmentationNet",
    "ToothgraphError",
    "face_graph",
    "info_nce",
    "load_model",
    "load_palette",
    "load_segmentation",
    "predict_mesh",
    "read_mesh",
    "read_scan",
    "scan_graph",
    "segment",
    "segment_all",
    "synthetic_arch",
    "to_networkx",
    "write_labelled",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
