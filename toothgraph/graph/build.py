"""Build the face graph of a mesh, in which each face is a node."""

from __future__ import annotations

import networkx as nx
import numpy as np
import torch
from torch_geometric.data import Data

from toothgraph.errors import ShapeError
from toothgraph.fdi import check_fdi, fdi_to_class
from toothgraph.graph.fields import check_graph
from toothgraph.mesh.checks import checked_edges, checked_point
from toothgraph.mesh.mesh import Mesh, check_mesh

_FEWER = "; for fewer faces, toothgraph.mesh.decimate.decimate(mesh, n_faces).mesh comes first"


def face_features(mesh: Mesh) -> np.ndarray:
    """15 features per face: barycentre (3), corners minus barycentre (9), unit normal (3).

    Source: He et al., MIDL 2022, PMLR 172:493-507.

    Returns:
        [F, 15] float64: five 3-vectors, in mm except the normal, which has length 1. A rotation of the mesh rotates
        each of the five vectors.

    Raises:
        ShapeError: if ``mesh`` is not a Mesh, or has no faces.

    Example:
        >>> from toothgraph import Mesh
        >>> triangle = Mesh(np.array([[0.0, 0, 0], [3, 0, 0], [0, 3, 0]]), np.array([[0, 1, 2]]))
        >>> features = face_features(triangle)[0]
        >>> features[:3].tolist(), features[12:].tolist()  # the centre and the normal
        ([1.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    """
    check_mesh(mesh)
    offsets = mesh.corners - mesh.centroids[:, None]  # [F, 3, 3]
    return np.concatenate([mesh.centroids, offsets.reshape(-1, 9), mesh.normals], axis=1)


def surface_centre(mesh: Mesh) -> np.ndarray:
    """The area-weighted centre of the surface. [3], mm.

    Raises:
        ShapeError: if ``mesh`` is not a Mesh, or has no faces.

    Example:
        >>> from toothgraph import Mesh
        >>> triangle = Mesh(np.array([[0.0, 0, 0], [3, 0, 0], [0, 3, 0]]), np.array([[0, 1, 2]]))
        >>> surface_centre(triangle).tolist()
        [1.0, 1.0, 0.0]
    """
    check_mesh(mesh)
    return np.average(mesh.centroids, axis=0, weights=np.maximum(mesh.areas, 1e-12))


def face_graph(mesh: Mesh, origin: np.ndarray | None = None) -> Data:
    """The face-adjacency graph of a mesh.

    By default, positions are relative to the centre of the surface. This keeps the precision of float32, and the origin
    that a scanner chooses has no meaning.

    Args:
        mesh: the surface; its faces become the nodes, in the same order.
        origin: [3] mm, the new origin; by default :func:`surface_centre`.

    Returns:
        ``Data`` with ``x`` [N, 15], ``pos`` [N, 3] and ``normal`` [N, 3] float32, ``area`` [N] float32 (mm²),
        ``edge_index`` [2, E], ``jaw`` [1], ``scan_id``, and ``y`` [N] class indices if the mesh is labelled.
        :func:`toothgraph.graph.add_tables` adds the neighbour tables that the nets need.

    Raises:
        ShapeError: if ``mesh`` is not a Mesh or has no faces, or if the origin is not three finite numbers.
        LabelError: if the labels are not FDI numbers. Add classes of your own to the graph, not to the mesh:
            ``graph = face_graph(mesh.with_labels(None))``, then ``graph.y = ...``.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> graph = face_graph(arch)
        >>> graph.num_nodes == len(arch.faces), graph.x.shape[1], graph.is_undirected()
        (True, 15, True)
    """
    check_mesh(mesh)
    features = face_features(mesh)
    features[:, :3] -= surface_centre(mesh) if origin is None else checked_point("origin", origin, _FEWER)
    x = torch.from_numpy(features.astype(np.float32))
    data = Data(
        x=x,
        pos=x[:, :3].clone(),
        normal=x[:, 12:].clone(),
        area=torch.from_numpy(mesh.areas.astype(np.float32)),
        edge_index=torch.from_numpy(mesh.adjacency.copy()),  # a copy: the caller may change it in place
        jaw=torch.tensor([mesh.jaw]),
        scan_id=mesh.scan_id,
    )
    if mesh.labels is not None:
        data.y = classes_of(mesh)
    return data


def classes_of(mesh: Mesh) -> torch.Tensor:
    """The class index of each face of a labelled mesh. [F]

    Raises:
        LabelError: if the labels are not FDI numbers.
    """
    assert mesh.labels is not None
    check_fdi(mesh.labels, where=mesh.scan_id)
    return torch.from_numpy(fdi_to_class(mesh.labels))


def face_corners(graph: Data) -> np.ndarray:
    """The three corners of each face of a graph, mm. [N, 3 corners, 3] float64; see :func:`face_features`."""
    x = graph.x.numpy().astype(float)
    corners: np.ndarray = x[:, None, :3] + x[:, 3:12].reshape(-1, 3, 3)
    return corners


def loose_mesh(graph: Data) -> Mesh:
    """The mesh of a graph: the same faces in the same order, which share no vertices."""
    corners = face_corners(graph)
    return Mesh(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3))


def with_corners(graph: Data, corners: np.ndarray) -> Data:
    """A new graph with other positions of the corners of its faces.

    Neighbour tables are not computed again; ``add_tables`` does that.

    Args:
        graph: of :func:`face_graph`, N nodes.
        corners: [N, 3 corners, 3] mm, as :func:`face_corners` gives them. A face without area keeps its normal.
    """
    pos = corners.mean(axis=1)
    doubled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(doubled, axis=1, keepdims=True)
    normal = np.where(length > 1e-9, doubled / np.maximum(length, 1e-9), graph.normal.numpy())
    out = Data(**dict(graph.items()))
    x = np.concatenate([pos, (corners - pos[:, None]).reshape(-1, 9), normal], axis=1)
    out.x = torch.from_numpy(x).to(graph.x.dtype)
    out.pos, out.normal = out.x[:, :3].clone(), out.x[:, 12:].clone()
    out.area = torch.from_numpy(length[:, 0] / 2).to(graph.x.dtype)
    return out


def to_networkx(data: Data) -> nx.Graph:
    """The face graph as an undirected networkx graph; nodes have the attributes ``pos`` and, if present, ``y``.

    Raises:
        ShapeError: if ``pos`` or ``edge_index`` is missing, if an edge names a node that does not exist, or if ``y``
            does not have one row per node.

    Example:
        >>> from toothgraph import Mesh
        >>> corners = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0], [10, 10, 0]])
        >>> square = Mesh(corners, np.array([[0, 1, 2], [1, 3, 2]]))
        >>> to_networkx(face_graph(square)).number_of_edges()  # two triangles that share one edge
        1
    """
    check_graph(data, "pos", "edge_index")
    graph = nx.Graph()
    attributes = {"pos": data.pos.tolist()}
    if (y := data.get("y")) is not None:
        if np.shape(y)[:1] != (data.num_nodes,):
            raise ShapeError(f"expected y [{data.num_nodes}], one value per node, got {list(np.shape(y))}")
        attributes["y"] = y.tolist()
    rows = zip(*attributes.values(), strict=True)
    graph.add_nodes_from((n, dict(zip(attributes, row, strict=True))) for n, row in enumerate(rows))
    graph.add_edges_from(checked_edges(data.edge_index, data.num_nodes).T.tolist())
    return graph
