"""Graphs: faces become nodes, shared edges become links, and tables name each node's neighbours."""

from toothgraph.graph.adjacency import face_adjacency, label_pieces
from toothgraph.graph.build import face_features, face_graph, surface_centre, to_networkx
from toothgraph.graph.neighbors import crop_table, dilated_tables, knn_table, ring_table, thin
from toothgraph.graph.spec import GraphSpec, scan_graph

__all__ = [
    "GraphSpec",
    "crop_table",
    "dilated_tables",
    "face_adjacency",
    "face_features",
    "face_graph",
    "knn_table",
    "label_pieces",
    "ring_table",
    "scan_graph",
    "surface_centre",
    "thin",
    "to_networkx",
]
