"""Subgraphs."""

from __future__ import annotations

import numpy as np
import torch
from torch_geometric.data import Data

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.graph.fields import check_fields
from toothgraph.graph.neighbors import crop_table, surface_distance


def plain(graph: Data) -> Data:
    """A shallow copy of a stored graph, to be changed or batched."""
    return Data(**dict(graph.items()))


NODE_FIELDS = ("x", "pos", "normal", "area", "level", "y")


def cut_region(data: Data, centre: np.ndarray, size: int) -> np.ndarray:
    """The ``size`` nodes nearest to the point ``centre`` [3] (mm) along the surface. [size] node indices, ascending.

    Nodes of other connected components come last, sorted by straight distance.

    Raises:
        ShapeError: for a graph without ``pos`` or ``edge_index``.
        ConfigError: for a size below 1.
    """
    check_fields(data, "pos", "edge_index")
    if size < 1:
        raise ConfigError(f"expected a region of at least 1 node, got {size}")
    size = min(size, data.num_nodes)
    straight = np.linalg.norm(data.pos.numpy() - centre, axis=1)
    pos = data.pos.numpy().astype(np.float64)
    along = surface_distance(pos, data.edge_index.numpy(), int(straight.argmin()))
    along = np.where(np.isfinite(along), along, 1e6 + straight)
    return np.sort(np.argpartition(along, size - 1)[:size])


def crop(data: Data, keep: np.ndarray) -> Data:
    """The subgraph of the nodes ``keep`` [M]. A neighbour outside of it is replaced by the node itself.

    Args:
        data: a graph of N nodes with ``edge_index``.
        keep: indices of the kept nodes, in their new order; or [N] bool.

    Raises:
        ShapeError: for nodes that are not there, or a graph without ``edge_index``.
    """
    check_fields(data, "edge_index")
    keep = np.asarray(keep)
    if keep.dtype == bool and keep.shape == (data.num_nodes,):
        keep = np.flatnonzero(keep)
    whole = keep.ndim == 1 and (np.issubdtype(keep.dtype, np.integer) or len(keep) == 0)
    if not whole or (len(keep) and not 0 <= keep.min() <= keep.max() < data.num_nodes):
        found = f"{keep.min()} to {keep.max()}" if whole else f"{list(keep.shape)} of {keep.dtype}"
        raise ShapeError(f"expected nodes to keep, from 0 to {data.num_nodes - 1}, or one bool per node, got {found}")
    index = torch.from_numpy(keep.astype(np.int64, copy=False))
    out = Data(**{key: value[index] if key in NODE_FIELDS else value for key, value in data.items()})
    new = torch.full((data.num_nodes,), -1)
    new[index] = torch.arange(len(index))
    edges = new[data.edge_index]
    out.edge_index = edges[:, (edges >= 0).all(dim=0)]
    if "neighbor_index" in data:
        out.neighbor_index = torch.from_numpy(crop_table(data.neighbor_index.numpy(), keep))
    return out
