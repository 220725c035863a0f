"""Layers, networks and losses. Layers take tensors, networks take a PyG batch; nothing here reads a scan."""

from toothgraph.nn.backbone import GeometryBackbone
from toothgraph.nn.edge_conv import FastEdgeConv
from toothgraph.nn.gather import choose_backend, gather_max, reduce_neighbors, use_backend
from toothgraph.nn.heads import ProjectionHead, SegmentationHead, restrict_to_jaw
from toothgraph.nn.knn import knn_edges
from toothgraph.nn.losses import InfoNCE, boundary_weights, info_nce, match_top1, segmentation_loss
from toothgraph.nn.model import ContrastiveNet, NetConfig, SegmentationNet
from toothgraph.nn.pair import PairGeometryConv, pair_features
from toothgraph.nn.paper import PaperBackbone, PaperHead

__all__ = [
    "ContrastiveNet",
    "FastEdgeConv",
    "GeometryBackbone",
    "InfoNCE",
    "NetConfig",
    "PairGeometryConv",
    "PaperBackbone",
    "PaperHead",
    "ProjectionHead",
    "SegmentationHead",
    "SegmentationNet",
    "boundary_weights",
    "choose_backend",
    "gather_max",
    "info_nce",
    "knn_edges",
    "match_top1",
    "pair_features",
    "reduce_neighbors",
    "restrict_to_jaw",
    "segmentation_loss",
    "use_backend",
]
