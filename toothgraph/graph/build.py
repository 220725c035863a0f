"""From a mesh to the graph whose nodes are its faces."""

from __future__ import annotations

import networkx as nx
import numpy as np
import torch
from torch_geometric.data import Data

from toothgraph.graph.adjacency import face_adjacency
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import fdi_to_class


def face_features(mesh: Mesh) -> np.ndarray:
    """The 15 features of He et al., MIDL 2022: barycentre 3, corners minus barycentre 9, unit normal 3.

    Returns:
        [F, 15] float64: five 3-vectors in mm (the last one of length 1), so a rotation acts on each alike.
    """
    offsets = mesh.corners - mesh.centroids[:, None]  # [F, 3, 3]
    return np.concatenate([mesh.centroids, offsets.reshape(-1, 9), mesh.normals], axis=1)


def surface_centre(mesh: Mesh) -> np.ndarray:
    """Area-weighted centre of the surface. [3], mm."""
    return np.average(mesh.centroids, axis=0, weights=np.maximum(mesh.areas, 1e-12))


def face_graph(mesh: Mesh, origin: np.ndarray | None = None) -> Data:
    """The face-adjacency graph of a mesh.

    Positions are given from the centre of the surface: float32 keeps its precision, and where a scanner put
    its origin carries no meaning.

    Args:
        mesh: the surface; its faces become the nodes, in their order.
        origin: [3] mm, the point that becomes the origin; by default :func:`surface_centre`.

    Returns:
        ``Data`` with ``x`` [N, 15], ``pos`` [N, 3] and ``normal`` [N, 3] float32, ``area`` [N] float32 (mm²),
        ``edge_index`` [2, E], ``jaw`` [1], ``scan_id``, and ``y`` [N] class indices where the mesh is labelled.
    """
    features = face_features(mesh)
    features[:, :3] -= surface_centre(mesh) if origin is None else origin
    x = torch.from_numpy(features.astype(np.float32))
    data = Data(
        x=x,
        pos=x[:, :3].clone(),
        normal=x[:, 12:].clone(),
        area=torch.from_numpy(mesh.areas.astype(np.float32)),
        edge_index=torch.from_numpy(face_adjacency(mesh.faces)),
        jaw=torch.tensor([mesh.jaw]),
        scan_id=mesh.scan_id,
    )
    if mesh.labels is not None:
        data.y = torch.from_numpy(fdi_to_class(mesh.labels))
    return data


def to_networkx(data: Data) -> nx.Graph:
    """The face graph as an undirected networkx graph; nodes carry ``pos``, and ``y`` where there is one."""
    graph = nx.Graph()
    attributes = {"pos": data.pos.tolist()}
    if "y" in data:
        attributes["y"] = data.y.tolist()
    rows = zip(*attributes.values(), strict=True)
    graph.add_nodes_from((n, dict(zip(attributes, row, strict=True))) for n, row in enumerate(rows))
    graph.add_edges_from(data.edge_index.t().tolist())
    return graph
