"""Complete networks for teeth and jaws, and their model files."""

from toothgraph.model.backbone import GeometryBackbone
from toothgraph.model.config import NetConfig
from toothgraph.model.export import export_inputs, export_net
from toothgraph.model.file import load_model, load_segmentation, read_model, save_model
from toothgraph.model.heads import ProjectionHead, SegmentationHead
from toothgraph.model.jaws import restrict_to_jaw
from toothgraph.model.nets import ContrastiveNet, SegmentationNet
from toothgraph.model.paper import PaperBackbone, PaperHead

__all__ = [
    "ContrastiveNet",
    "GeometryBackbone",
    "NetConfig",
    "PaperBackbone",
    "PaperHead",
    "ProjectionHead",
    "SegmentationHead",
    "SegmentationNet",
    "export_inputs",
    "export_net",
    "load_model",
    "load_segmentation",
    "read_model",
    "restrict_to_jaw",
    "save_model",
]
