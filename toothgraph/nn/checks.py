"""Checks of the inputs of layers, before the layers compute.

Shapes and types are always checked. Values are checked on a CPU only: on another device, the program would have to wait
for the device to read them.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from numbers import Integral
from typing import Any, ParamSpec

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.utils import to_edge_index

from toothgraph.errors import ConfigError, ShapeError, from_numpy_hint, kind_of
from toothgraph.nn.kernels.neighborhoods import _on_cpu

_STALE = (
    "; for a missing neighbour, give the node itself. After a graph is cut, as by Data.subgraph of torch_geometric, "
    "its tables must be cut, too: toothgraph.transforms.crop cuts both"
)
TABLE_FROM = "toothgraph.scan_graph or toothgraph.graph.knn_table makes one"
SURFACE = 1500  # least number of nodes of a graph whose normals are compared with its surface
LOOKED_AT = 256  # number of nodes whose normals are compared; the median of only 64 nodes may be off by chance
NEIGHBOURS = 6  # least number of neighbours of such a node: nearly any plane fits fewer
LOCAL = 0.2  # largest reach of neighbours, as a share of the size of the scan; beyond, they may lie on no surface
FLAT = 0.05  # largest variance of neighbours across the surface, as a share of the variance along it
FITS = 0.75  # least median |cosine| of normal and surface normal; correct scans: 0.82 or more, also with two near walls


def described(found: Any) -> str:
    """A value in words, for a message: a tensor by its shape and type, anything else by its class."""
    if not isinstance(found, Tensor):
        return kind_of(found)
    kind = "" if found.layout == torch.strided else "sparse "
    return f"{kind}{list(found.shape)} of {str(found.dtype).removeprefix('torch.')}"  # such as [9, 3] of float32


P = ParamSpec("P")


def called_as(example: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Decorate a constructor: for arguments that do not fit, it raises ConfigError with an ``example`` of a call."""

    def around(init: Callable[P, None]) -> Callable[P, None]:
        signature = inspect.signature(init)

        @wraps(init)
        def checked(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise ConfigError(f"expected a call such as {example}, got another: {error}") from None
            init(*args, **kwargs)

        return checked

    return around


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Check that an option is a whole number of at least ``least``.

    Raises:
        ConfigError: if it is not.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        lazy = "; the first input does not set it: give the number of columns of x" if value == -1 else ""
        raise ConfigError(f"expected {name} of at least {least}, a whole number, got {value!r}{lazy}")


def _same(wanted: int | None, found: int) -> bool:
    return wanted is None or found == wanted  # not `in`, which torch.compile cannot apply to sizes


def check_nodes(x: Any, channels: int | None, name: str = "x") -> None:
    """Check that node features are a tensor [N, ``channels``]; with None, any number of channels is accepted.

    Raises:
        ShapeError: if they are not.
    """
    if isinstance(x, Tensor) and x.layout == torch.strided and x.dim() == 2 and _same(channels, x.shape[1]):
        return
    hint = "; a layer takes the tensors of a graph, such as data.x and data.edge_index" if hasattr(x, "keys") else ""
    hint = from_numpy_hint(name, x) or hint
    raise ShapeError(f"expected {name} [N, {'C' if channels is None else channels}], got {described(x)}{hint}")


def check_edge_mlp(x: Any, inputs: int, edge_dim: int) -> None:
    """Check that an edge MLP has 2·C + ``edge_dim`` inputs, where ``x`` has C columns.

    Raises:
        ShapeError: if it has another number of inputs.
    """
    ends = x if isinstance(x, tuple | list) else (x,)
    if not ends or not all(isinstance(end, Tensor) and end.dim() == 2 for end in ends):
        return  # check_nodes reports an x of another kind
    channels = ends[0].shape[1]
    if any(end.shape[1] != channels for end in ends) or inputs == 2 * channels + edge_dim:
        return
    half, odd = divmod(inputs - edge_dim, 2)
    other = "" if odd or half < 1 else f", which takes x [N, {half}]"
    if inputs > 2 * channels + edge_dim:
        other += f"; for edge_attr of {inputs - 2 * channels} columns, give the layer edge_dim={inputs - 2 * channels}"
    of_edges = f" and {edge_dim} of edge_attr" if edge_dim else ""
    raise ShapeError(
        f"expected an edge MLP of {2 * channels + edge_dim} inputs, x_i and x_j - x_i of {channels} columns each"
        f"{of_edges}, got one of {inputs} inputs for x with {channels} columns{other}"
    )


def check_one_graph(edge_index: Any, neighbor_index: Any) -> None:
    """Check that exactly one of edges and a table is given.

    Raises:
        ShapeError: if both or neither are given.
    """
    if edge_index is None and neighbor_index is None:
        raise ShapeError(f"expected edge_index [2, E] or neighbor_index= [k, N], got none; {TABLE_FROM}")
    if edge_index is not None and neighbor_index is not None:
        raise ShapeError(
            "expected edge_index [2, E] or neighbor_index [k, N], got both; the third argument is neighbor_index; give "
            "edge_attr by name: edge_attr="
        )


def check_index(name: str, index: Tensor, limit: int, hint: str = "", what: str = "nodes") -> None:
    """Check that indices of nodes (or of ``what``) are within 0 … ``limit`` - 1; on a CPU only.

    Raises:
        ShapeError: if they are not.
    """
    if not _on_cpu(index) or index.numel() == 0:
        return
    low, high = (int(end) for end in torch.aminmax(index))
    if low < 0 or high >= limit:
        raise ShapeError(f"expected {name} from 0 to {limit - 1}, of {limit} {what}, got {low} to {high}{hint}")


def check_table(
    table: Any,
    nodes: int | None,
    limit: int | None = None,
    rows: int | None = None,
    why: str = "a column per node",
) -> None:
    """Check that ``table`` is a neighbour table.

    Args:
        table: expected [k, N], int64 or int32.
        nodes: N; None for any number.
        limit: number of nodes that can be neighbours; by default N.
        rows: k; None for any number.
        why: what the table is, for the message.

    Raises:
        ShapeError: if it is not and, on a CPU, if it names a node that does not exist.
    """
    is_table = isinstance(table, Tensor) and table.layout == torch.strided and table.dim() == 2
    if not is_table or not _same(rows, table.shape[0]) or not _same(nodes, table.shape[1]):
        wanted = f"[{'k' if rows is None else rows}, {'N' if nodes is None else nodes}]"
        hint = from_numpy_hint("table", table) or f"; {TABLE_FROM}"
        raise ShapeError(f"expected neighbor_index {wanted}, {why}, got {described(table)}{hint}")
    if table.dtype not in (torch.int64, torch.int32):
        raise ShapeError(f"expected neighbor_index of int64 or int32, got {described(table)}; call .long() on it")
    own = _STALE if limit is None else ""
    check_index("neighbor_index", table, table.shape[1] if limit is None else limit, own)


def checked_edges(edge_index: Any, sources: int, targets: int) -> Tensor:
    """The edges from ``sources`` to ``targets`` nodes, as a plain ``edge_index`` [2, E] of int64.

    Args:
        edge_index: [2, E] of int64 or int32, an ``EdgeIndex``, or a transposed sparse adjacency ``adj_t`` [N, M], as
            :class:`torch_geometric.transforms.ToSparseTensor` makes it; its values are not used.
        sources: M.
        targets: N.

    Raises:
        ShapeError: for anything else and, on a CPU, for nodes that do not exist.
    """
    if isinstance(edge_index, EdgeIndex):
        edge_index = edge_index.as_tensor()
    if _is_sparse(edge_index):
        size = list(edge_index.sparse_sizes() if hasattr(edge_index, "sparse_sizes") else edge_index.shape)
        if size != [targets, sources]:
            raise ShapeError(
                f"expected a transposed sparse adjacency [{targets}, {sources}], a row for each target, got {size}"
            )
        edge_index = to_edge_index(edge_index)[0].flip(0)
    if not isinstance(edge_index, Tensor) or edge_index.dim() != 2 or edge_index.shape[0] != 2:
        raise ShapeError(f"expected edge_index [2, E], got {described(edge_index)}{_edge_hint(edge_index, targets)}")
    if edge_index.dtype not in (torch.int64, torch.int32):
        raise ShapeError(f"expected edge_index of int64 or int32, got {described(edge_index)}; call .long() on it")
    if sources == targets:
        check_index("edge_index", edge_index, sources)
    else:
        check_index("edge_index[0]", edge_index[0], sources)
        check_index("edge_index[1]", edge_index[1], targets)
    return edge_index.long()


def check_edge_attr(edge_attr: Any, edge_dim: int, table: Tensor | None, edge_index: Any) -> None:
    """Check that edge values are [E, D] for an ``edge_index``, or [N, k, D] for a ``table`` [k, N].

    D is ``edge_dim``. If it is 0, edge values must be None.

    Raises:
        ShapeError: if they are not.
    """
    if not edge_dim:
        if edge_attr is not None:
            raise ShapeError(
                f"expected no edge_attr, because this layer has edge_dim 0, got {described(edge_attr)}; give the layer "
                f"edge_dim={edge_attr.shape[-1] if isinstance(edge_attr, Tensor) and edge_attr.dim() > 1 else 1}, the "
                "number of its columns"
            )
        return
    if table is None and _is_sparse(edge_index):
        raise ShapeError(
            "expected edge_index [2, E] beside edge_attr, got a sparse adjacency, whose edges have an order of their "
            "own; torch_geometric.utils.to_edge_index makes both of it"
        )
    rows = [edge_index.shape[1]] if table is None else list(table.shape[::-1])
    fits = isinstance(edge_attr, Tensor) and edge_attr.layout == torch.strided
    if fits and list(edge_attr.shape) == [*rows, edge_dim]:
        return
    wanted = "[E, D], a row for each edge" if table is None else "[N, k, D] beside neighbor_index [k, N]"
    hint = ""
    if fits and list(edge_attr.shape) == rows and edge_dim == 1:
        hint = "; a column is missing: edge_attr[..., None]"
    elif fits and table is not None and list(edge_attr.shape) == [*rows[::-1], edge_dim]:
        hint = "; transpose it: edge_attr.transpose(0, 1)"
    raise ShapeError(
        f"expected edge_attr {[*rows, edge_dim]} ({wanted}, edge_dim is {edge_dim}), got {described(edge_attr)}{hint}"
    )


def _is_sparse(edge_index: Any) -> bool:
    return hasattr(edge_index, "sparse_sizes") or (
        isinstance(edge_index, Tensor) and edge_index.layout != torch.strided
    )


def check_device(x: Tensor, name: str = "x", /, **others: Tensor | None) -> None:
    """Check that tensors are on the device of ``x``: some kernels would read an address of another device.

    Raises:
        ShapeError: if one of them is on another device.
    """
    for other, given in others.items():
        if given is not None and given.device != x.device:
            raise ShapeError(
                f"expected {other} on {x.device}, where {name} is, got one on {given.device}; call "
                f".to({name}.device) on it"
            )


def check_weights(weight: Tensor, x: Tensor, name: str = "x") -> None:
    """Check that ``x`` is on the device of the weights of a layer.

    Raises:
        ShapeError: if it is on another device.
    """
    if weight.device != x.device:
        todo = f"call .to({str(x.device)!r}) on the layer or the net, or .to({str(weight.device)!r}) on the graph"
        if weight.device.type == "meta":
            todo = f"a layer on meta has no values: layer.to_empty(device={str(x.device)!r}), then reset_parameters()"
        raise ShapeError(f"expected {name} on {weight.device}, where the weights are, got one on {x.device}; {todo}")


def _edge_hint(found: Any, nodes: int) -> str:
    if not isinstance(found, Tensor) or found.dim() != 2:
        return from_numpy_hint("edge_index", found)
    if found.shape[1] == 2:
        return "; transpose it: edge_index.t()"
    if list(found.shape) == [nodes, nodes]:
        return "; of a dense adjacency, torch_geometric.utils.dense_to_sparse makes one"
    return "; a table [k, N] is given as neighbor_index=" if found.shape[1] == nodes else ""


def check_rows(name: str, given: Any, rows: int, of: str, whole: bool = False) -> None:
    """Check that ``given`` is a tensor [``rows``] and, if ``whole``, of int64.

    Raises:
        ShapeError: if it is not; the message says what a row is (``of``).
    """
    if not isinstance(given, Tensor) or given.dim() != 1 or given.shape[0] != rows:
        found = f"{described(given)}{from_numpy_hint(name, given)}"
        raise ShapeError(f"expected {name} [{rows}], one value per {of}, got {found}")
    if whole and given.dtype != torch.int64:
        raise ShapeError(f"expected {name} of int64, got {described(given)}; call .long() on it")


def check_points(pos: Any, normal: Any) -> None:
    """Check that positions and normals are both [N, 3], of the same floating-point type.

    Raises:
        ShapeError: if they are not.
    """
    for name, given in (("pos", pos), ("normal", normal)):
        check_nodes(given, 3, name)
        if not given.is_floating_point():
            raise ShapeError(f"expected {name} of floating-point numbers, got {described(given)}; call .float() on it")
    if pos.shape[0] != normal.shape[0] or pos.dtype != normal.dtype:
        raise ShapeError(f"expected pos and normal of one shape and type, got {described(pos)}, {described(normal)}")


@torch.no_grad()
def warn_of_other_normals(pos: Tensor, normal: Tensor, table: Tensor) -> None:
    """Warn, on a CPU, if normals are not perpendicular to the surface, as after a rotation of the positions alone.

    The normals of some nodes are compared with the plane through their neighbours. Where the neighbours lie on no
    surface, as in a random cloud, or where there are few of them, there is no warning.

    Args:
        pos: [N, 3].
        normal: [N, 3].
        table: [k, N] neighbours of the finest level.
    """
    if not _on_cpu(pos) or len(table) < NEIGHBOURS or len(pos) < SURFACE:
        return
    some = torch.arange(0, len(pos), len(pos) // LOOKED_AT)[:LOOKED_AT]
    points = pos[some].double()
    to = pos[table[:, some].long()] - points  # [k, M, 3]
    reach, size = (offset.square().sum(dim=-1).mean().sqrt() for offset in (to, points - points.mean(dim=0)))
    if not reach <= LOCAL * size:  # also true where a position is not finite
        return
    variance, axes = torch.linalg.eigh(torch.einsum("kmi,kmj->mij", to, to))  # [M, 3] ascending, [M, 3, 3]
    enough = (to != 0).any(dim=-1).sum(dim=0) >= NEIGHBOURS
    flat = enough & (variance[:, 0] < FLAT * variance[:, 1])
    cosine = (axes[..., 0] * normal[some]).sum(dim=1).abs()[flat]
    if 4 * len(cosine) > LOOKED_AT and cosine.median() < FITS:
        angle = torch.rad2deg(torch.acos(cosine.clamp(max=1))).median()
        warnings.warn(
            f"expected normals that stand on the surface, found half of them more than {angle:.0f}° off: has pos been "
            "turned without normal, as by torch_geometric.transforms.RandomRotate? toothgraph.transforms.RandomRotate "
            "turns both",
            stacklevel=3,
        )
