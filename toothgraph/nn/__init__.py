"""Layers and losses for any graph: tensors in, tensors out. Nothing here depends on teeth or files."""

from toothgraph.nn.contrastive import InfoNCE, info_nce, match_top1
from toothgraph.nn.dgcnn import MLPEdgeConv, TransformNet
from toothgraph.nn.dynamic_edge_conv import FastDynamicEdgeConv
from toothgraph.nn.edge_conv import FastEdgeConv
from toothgraph.nn.kernels.backend import choose_backend, use_backend
from toothgraph.nn.kernels.gather import gather_max, reduce_neighbors
from toothgraph.nn.knn import knn_edges
from toothgraph.nn.pair_geometry import PairGeometryConv, pair_features
from toothgraph.nn.pyramid import Pyramid
from toothgraph.nn.segmentation import boundary_weights, segmentation_loss

__all__ = [
    "FastDynamicEdgeConv",
    "FastEdgeConv",
    "InfoNCE",
    "MLPEdgeConv",
    "PairGeometryConv",
    "Pyramid",
    "TransformNet",
    "boundary_weights",
    "choose_backend",
    "gather_max",
    "info_nce",
    "knn_edges",
    "match_top1",
    "pair_features",
    "reduce_neighbors",
    "segmentation_loss",
    "use_backend",
]
