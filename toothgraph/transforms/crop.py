"""Subgraphs: a region or selected nodes of a graph, with their fields and neighbour tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from toothgraph.errors import ShapeError, check_number
from toothgraph.graph.fields import check_graph, check_nodes
from toothgraph.graph.neighbors import crop_table, surface_distance
from toothgraph.mesh.checks import checked_edges, checked_indices, checked_point
from toothgraph.transforms.base import GraphTransform


def plain(graph: Data) -> Data:
    """A shallow copy of a graph, whose fields can be replaced and which can be batched."""
    return Data(**dict(graph.items()))


NODE_FIELDS = ("x", "pos", "normal", "area", "level", "y")


def cut_region(data: Data, centre: np.ndarray, size: int) -> np.ndarray:
    """The ``size`` nodes nearest to the point ``centre`` [3] (mm) along the surface. [size] node indices, ascending.

    Nodes of other connected components come last, sorted by straight distance.

    Raises:
        ShapeError: for a graph without nodes, ``pos`` or ``edge_index``, or a centre that is not three finite numbers.
        ConfigError: for a size below 1.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> near = cut_region(graph, graph.pos[0].numpy(), 100)
        >>> len(near), 0 in near
        (100, True)
    """
    check_graph(data, "pos", "edge_index")
    check_number("size of a region (nodes)", size, least=1, whole=True)
    check_nodes(data)
    centre = checked_point("centre", centre)
    size = min(size, data.num_nodes)
    straight = np.linalg.norm(data.pos.numpy() - centre, axis=1)
    pos = data.pos.numpy().astype(np.float64)
    along = surface_distance(pos, data.edge_index.numpy(), int(straight.argmin()))
    along = np.where(np.isfinite(along), along, 1e6 + straight)
    return np.sort(np.argpartition(along, size - 1)[:size])


def crop(data: Data, keep: np.ndarray) -> Data:
    """The subgraph of the nodes ``keep`` [M].

    In neighbour tables, a neighbour outside of the subgraph is replaced by the node itself. Every field with one value
    per node or per edge is cut, also a user's own fields. As in torch_geometric, a field whose name contains ``index``
    holds node numbers; with one column per node it is a neighbour table. In torch_geometric's ``face`` [3, F], where
    nodes are vertices, a face stays if all its corners are kept.

    Args:
        data: a graph of N nodes with ``edge_index``.
        keep: indices of the kept nodes, each once, in their new order; or [N] bool.

    Raises:
        ShapeError: for nodes that do not exist or are given several times; for a graph without ``edge_index``, with
            fields for another number of nodes, or with a list of nodes (``match_index``), which cannot be cut.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> crowns = crop(graph, (graph.y > 0).numpy())
        >>> crowns.num_nodes == int((graph.y > 0).sum()), bool((crowns.y > 0).all())
        (True, True)
    """
    check_graph(data, "edge_index")
    keep = np.asarray(keep)
    if keep.dtype == bool and keep.shape == (data.num_nodes,):
        keep = np.flatnonzero(keep)
    whole = keep.ndim == 1 and (np.issubdtype(keep.dtype, np.integer) or len(keep) == 0)
    if not whole or (len(keep) and not 0 <= keep.min() <= keep.max() < data.num_nodes):
        found = f"{keep.min()} to {keep.max()}" if whole else f"{list(keep.shape)} of {keep.dtype}"
        raise ShapeError(f"expected nodes to keep, from 0 to {data.num_nodes - 1}, or one bool per node, got {found}")
    if len(np.unique(keep)) < len(keep):
        raise ShapeError("expected each node to keep once, got some of them several times")
    keep = keep.astype(np.int64, copy=False)
    new = torch.full((data.num_nodes,), -1)
    new[torch.from_numpy(keep)] = torch.arange(len(keep))
    ends = new[torch.from_numpy(checked_edges(data.edge_index.numpy(), data.num_nodes))]
    inside = (ends >= 0).all(dim=0)
    out = plain(data)
    for name, value in data.items():
        if name == "edge_index":
            out.edge_index = ends[:, inside]
        elif name == "num_nodes":
            out.num_nodes = len(keep)
        elif name == "face":
            corners = new[torch.from_numpy(checked_indices("face", value, data.num_nodes, "nodes"))]
            out.face = corners[:, (corners >= 0).all(dim=0)]
        elif "index" in name:
            out[name] = _cut_table(name, value, data.num_nodes, keep)
        elif _rows(data, name, value, data.num_nodes) and not ("edge" in name and _of_edges(data, name, value)):
            out[name] = _taken(value, keep)
        elif _of_edges(data, name, value):
            out[name] = _taken(value, np.flatnonzero(inside.numpy()))
    return out


def _rows(data: Data, name: str, value: Any, count: int) -> bool:
    """Whether a field has ``count`` values, one for each node or edge."""
    if isinstance(value, Tensor | np.ndarray):
        return value.ndim > 0 and data.__cat_dim__(name, value) == 0 and value.shape[0] == count
    return isinstance(value, list | tuple) and len(value) == count


def _of_edges(data: Data, name: str, value: Any) -> bool:
    return name not in NODE_FIELDS and _rows(data, name, value, data.edge_index.shape[1])


def _taken(value: Any, rows: np.ndarray) -> Any:
    if isinstance(value, list | tuple):
        return type(value)([value[row] for row in rows])
    return value[torch.from_numpy(rows)] if isinstance(value, Tensor) else value[rows]


def _cut_table(name: str, value: Any, nodes: int, keep: np.ndarray) -> Any:
    """The neighbour table of the kept nodes; raises ShapeError if ``value`` is no neighbour table."""
    if not isinstance(value, Tensor) or value.dim() == 0 or value.shape[-1] != nodes:
        found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ShapeError(
            f"expected {name} with a column for each of {nodes} nodes, got {found}: a list of nodes cannot be cut; "
            "crop before it is made. After torch_geometric's subgraph: toothgraph.transforms.crop cuts tables, too"
        )
    try:
        table = crop_table(value.reshape(-1, nodes).numpy(), keep)
    except ShapeError as error:
        raise ShapeError(f"{name}: {error}; was the graph cut before, without its tables?") from None
    return torch.from_numpy(table).reshape(*value.shape[:-1], len(keep))


@dataclass(eq=False)
class Subgraph(GraphTransform):
    """The subgraph of some nodes, with its neighbour tables: see :func:`crop`.

    After ``Data.subgraph`` of torch_geometric, ``neighbor_index`` still has the node numbers of the whole graph.

    Args:
        keep: function that takes a graph of N nodes and returns the nodes that stay: [N] bool, or their indices.

    Shapes:
        - input: N nodes with ``edge_index``
        - output: the nodes that stay, in the order of ``keep``; all fields are cut, also the tables

    Raises:
        ShapeError: in a call, if ``keep`` returns something else, see :func:`crop`.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> crowns = Subgraph(lambda graph: graph.y > 0)
        >>> int(crowns(face_graph(synthetic_arch(1, jaw=0, faces=2000))).y.min())
        1
    """

    keep: Callable[[Data], Tensor | np.ndarray]

    def _of_graph(self, graph: Data) -> Data:
        return crop(graph, np.asarray(self.keep(graph)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(keep={getattr(self.keep, '__qualname__', self.keep)})"
