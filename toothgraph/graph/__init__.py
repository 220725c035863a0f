"""Graphs: faces are the nodes, shared mesh edges are the graph edges; tables contain each node's neighbours."""

from toothgraph.graph.build import face_features, face_graph, surface_centre, to_networkx
from toothgraph.graph.neighbors import crop_table, dilated_tables, knn_table, ring_table, thin
from toothgraph.graph.spec import GraphSpec, add_tables, scan_graph
from toothgraph.mesh.topology import face_adjacency, label_pieces

__all__ = [
    "GraphSpec",
    "add_tables",
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
