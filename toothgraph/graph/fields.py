"""The fields of a face graph: their shapes, and the functions that make them."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch_geometric.data import Batch, Data

from toothgraph.errors import ShapeError, from_numpy_hint, kind_of

_GRAPH = "toothgraph.face_graph(mesh) or toothgraph.scan_graph(mesh, spec) makes it"
_TABLES = "toothgraph.scan_graph(mesh, spec) makes it, toothgraph.graph.add_tables(graph, spec) adds it"
_LABELS = "the graph of a mesh with labels has it: toothgraph.read_scan reads one"
_MATCHES = "toothgraph.transforms.two_views makes it"

# name: columns (None for one value per node), what it is, where it comes from
_OF_NODES = {
    "x": (15, "[N, 15] position, corners and normal", _GRAPH),
    "pos": (3, "[N, 3] mm", _GRAPH),
    "normal": (3, "[N, 3] of length 1", _GRAPH),
    "area": (None, "[N] mm²", _GRAPH),
    "y": (None, "[N] class indices", _LABELS),
    "level": (None, "[N]", _TABLES),
}
_OTHERS = {
    "edge_index": ("[2, E]", _GRAPH),
    "neighbor_index": ("[levels·k, N]", _TABLES),
    "match_index": ("[P] nodes with a partner", _MATCHES),
}


def check_graph(data: Any, *names: str) -> None:
    """Check that ``data`` is one graph with the fields ``names``.

    Raises:
        ShapeError: for a batch of graphs (the message says how to go through it), and as in :func:`check_fields`.
    """
    if isinstance(data, Batch):
        raise ShapeError(
            f"expected one graph, got a Batch of {data.num_graphs}; take each of batch.to_data_list(), then "
            "Batch.from_data_list(graphs)"
        )
    check_fields(data, *names)


def check_nodes(data: Data) -> None:
    """Check that a graph has nodes.

    Raises:
        ShapeError: if it has none.
    """
    if data.num_nodes == 0:
        raise ShapeError("expected a graph with nodes, got one with none; was everything cut away?")


def check_fields(data: Any, *names: str) -> None:
    """Check that a graph has the fields ``names``, and that fields of nodes have the shapes of a face graph.

    Args:
        data: a graph, see :func:`toothgraph.graph.face_graph`, or a batch.
        names: the names of the fields that are needed.

    Raises:
        ShapeError: if not; the message says what the field is and which function makes it.
    """
    if not isinstance(data, Data):
        raise ShapeError(
            f"expected a graph (torch_geometric.data.Data), got {kind_of(data)}; {_GRAPH.replace('it', 'one')}"
        )
    for name in names:
        what, source = _OF_NODES[name][1:] if name in _OF_NODES else _OTHERS[name]
        found = data.get(name)
        if found is None:
            raise ShapeError(f"expected a graph with {name} {what}, got one without; {source}")
        if not isinstance(found, Tensor):
            todo = from_numpy_hint(name, found) or f"; {source}"
            raise ShapeError(f"expected {name} {what} as a tensor, got {kind_of(found)}{todo}")
        if name in _OF_NODES and list(found.shape) != [data.num_nodes, *filter(None, _OF_NODES[name][:1])]:
            raise ShapeError(f"expected {name} {what} (N = {data.num_nodes}), got {list(found.shape)}; {source}")
