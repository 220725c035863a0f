"""k nearest neighbours of tensors, in space or feature space, without an N×N matrix."""

from __future__ import annotations

from itertools import zip_longest

import torch
from torch import Tensor

from toothgraph.errors import ShapeError
from toothgraph.nn.checks import check_count, check_device, check_nodes, check_rows
from toothgraph.nn.kernels.neighborhoods import _on_cpu
from toothgraph.nn.kernels.precision import full_precision

_ROUNDINGS = 64  # a distance² below this number of roundings of the largest |row|² is not trusted


# A compiler would treat the numbers of scans and blocks in the loops as constants.
@torch.compiler.disable  # type: ignore[untyped-decorator]
@torch.no_grad()
def knn_edges(
    x: Tensor,
    k: int,
    batch: Tensor,
    block: int = 512,
    targets: Tensor | None = None,
    target_batch: Tensor | None = None,
) -> Tensor:
    """Edges to each node from its ``k`` nearest nodes of the same scan, the node itself included.

    Another node at the same position may take the place of the node itself. On a CPU, finite rows with up to three
    channels are searched with a k-d tree. Otherwise, distances are computed for ``block`` rows at a time, which needs
    N·block memory. They are float32 (for float64 rows, float64 where float32 is too coarse). A row that is not finite
    is no neighbour of other rows, if there are enough finite rows.

    Args:
        x: [N, C] features or positions.
        k: number of neighbours; a scan with fewer nodes uses all of them.
        batch: [N] scan of each node, ascending.
        block: rows per step.
        targets: [M, C] nodes that the edges go to; by default the nodes of ``x``.
        target_batch: [M] scan of each target, ascending.

    Returns:
        ``edge_index`` [2, E] (neighbour, node), sorted by node.

    Raises:
        ConfigError: for a ``k`` below 0, or a ``block`` below 1.
        ShapeError: for other shapes and, on a CPU, for scans that are not in ascending order.

    Example:
        >>> pos, scan = torch.tensor([[0.0], [1.0], [5.0], [5.5]]), torch.tensor([0, 0, 0, 1])
        >>> knn_edges(pos, 2, scan)  # the last node is alone in its scan
        tensor([[0, 1, 1, 0, 2, 1, 3],
                [0, 0, 1, 1, 2, 2, 3]])
    """
    check_nodes(x, None)
    if x.is_meta:
        raise ShapeError("expected x with values, got one on the device meta, which has none; move x to cpu or cuda")
    _check_batch("batch", batch, x)
    check_count("block", block)
    check_count("k", k, least=0)
    if targets is None:
        to, to_batch = x, batch
    else:
        check_nodes(targets, x.shape[1], "targets")
        _check_batch("target_batch", target_batch, targets)
        assert target_batch is not None
        to, to_batch = targets, target_batch
        check_device(x, targets=targets)
    sizes = torch.bincount(batch).tolist()
    asking = sizes if targets is None else torch.bincount(to_batch).tolist()
    sources, nodes = [batch.new_empty(0)], [batch.new_empty(0)]
    first = node = 0
    for size, asked in zip_longest(sizes, asking, fillvalue=0):
        near = min(k, size)
        if near and asked:
            found = _nearest(x[first : first + size], None if targets is None else to[node : node + asked], near, block)
            sources.append(first + found.flatten())
            nodes.append(torch.arange(node, node + asked, device=x.device).repeat_interleave(near))
        first, node = first + size, node + asked
    return torch.stack([torch.cat(sources), torch.cat(nodes)])


def _check_batch(name: str, batch: Tensor | None, x: Tensor) -> None:
    """Check that ``batch`` is the scan of each node, in ascending order; raises ShapeError."""
    if batch is None:
        raise ShapeError(f"expected {name} [{len(x)}], the scan of each node, got none; for one scan, give zeros")
    check_rows(name, batch, len(x), "node", whole=True)
    check_device(x, **{name: batch})
    if _on_cpu(batch) and not bool((batch[1:] >= batch[:-1]).all()):
        raise ShapeError(
            f"expected {name} in ascending order, scan by scan, got another order; sort x and {name} by it"
        )
    if _on_cpu(batch) and len(batch) and batch[0] < 0:
        raise ShapeError(f"expected {name} from 0, got {int(batch[0])}")


def _nearest(x: Tensor, to: Tensor | None, k: int, block: int) -> Tensor:
    """The k nearest rows of ``x`` [N, C] for each row of ``to`` [M, C], by default of ``x``: [M, k]."""
    to = x if to is None else to
    if x.device.type == "cpu" and x.shape[1] <= 3 and bool(x.isfinite().all()) and bool(to.isfinite().all()):
        return _by_tree(x, to, k)
    return _by_products(x, to, k, block)


def _by_tree(x: Tensor, to: Tensor, k: int) -> Tensor:
    from scipy.spatial import cKDTree  # only needed for a search in space

    return torch.from_numpy(cKDTree(x.double().numpy()).query(to.double().numpy(), k=range(1, k + 1))[1])


def _by_products(x: Tensor, to: Tensor, k: int, block: int) -> Tensor:
    """The k nearest rows, by distances from matrix products of one block of rows at a time: [M, k].

    Where rows are much nearer to each other than to the middle of all rows, such a distance is only a rounding error.
    These rows are compared with all others by differences.
    """
    x, to = (each if each.dtype == torch.float64 else each.float() for each in (x, to))
    sound, asks = x.isfinite().all(dim=1, keepdim=True), to.isfinite().all(dim=1, keepdim=True)
    middle = torch.where(sound, x, 0).sum(dim=0) / sound.sum().clamp_min(1)
    points = torch.where(sound, x - middle, 0).float()  # less cancellation near the origin
    asked = points if to is x else torch.where(asks, to - middle, 0).float()
    square = torch.where(sound[:, 0], points.square().sum(dim=1), torch.inf)
    products = points.new_empty(min(block, len(to)), len(x))
    near, far = points.new_empty(len(to), k, dtype=torch.long), points.new_empty(len(to))
    for start in range(0, len(to), block):
        rows = slice(start, min(start + block, len(to)))
        with full_precision(x):  # rounding would change the neighbours
            # [B, N]: −(distance² − |row|²), in one pass
            out = products[: rows.stop - start]
            closeness = torch.addmm(square, asked[rows], points.t(), beta=-1, alpha=2, out=out)
        values, near[rows] = closeness.topk(k, dim=1)
        far[rows] = asked[rows].square().sum(dim=1) - values[:, -1]  # distance² of the farthest neighbour
    largest = torch.maximum(points.square().sum(dim=1).amax(), asked.square().sum(dim=1).amax())
    unsure = torch.nonzero((far < _ROUNDINGS * torch.finfo(far.dtype).eps * largest) & (largest > 0)).squeeze(1)
    for some in unsure.split(block):
        apart = torch.cdist(to[some], x.to(to.dtype), compute_mode="donot_use_mm_for_euclid_dist")
        near[some] = apart.topk(k, dim=1, largest=False).indices
    return near
