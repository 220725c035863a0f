"""k nearest neighbours of tensors, in space or feature space, without an N×N matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from toothgraph.errors import ShapeError
from toothgraph.nn.checks import check_count, check_device, check_nodes, check_rows
from toothgraph.nn.kernels.neighborhoods import _on_cpu
from toothgraph.nn.kernels.precision import full_precision

_ROUNDINGS = 64  # a distance² below so many roundings of the largest |row|² is not trusted


@torch.no_grad()
def knn_edges(x: Tensor, k: int, batch: Tensor, block: int = 512) -> Tensor:
    """Edges to each node from its ``k`` nearest nodes of the same scan, including itself or a node at its position.

    On a CPU, up to three channels are searched with a k-d tree. Otherwise distances are computed for ``block`` rows at
    a time, with N·block memory, in float32 (float64 for float64 where float32 is too coarse).

    Args:
        x: [N, C] features or positions.
        k: number of neighbours; a scan with fewer nodes uses all of them.
        batch: [N] scan of each node, ascending.
        block: rows per step.

    Returns:
        ``edge_index`` [2, E] (neighbour, node), sorted by node.

    Raises:
        ConfigError: for a ``k`` below 0.
        ShapeError: for other shapes, and, on a CPU, for scans that are not in ascending order.
    """
    check_nodes(x, None)
    if batch is None:
        raise ShapeError(f"expected batch [{len(x)}], the scan of each node, got none; of one scan, give zeros")
    check_rows("batch", batch, len(x), "node", whole=True)
    check_device(x, batch=batch)
    check_count("block", block)
    check_count("k", k, least=0)
    if _on_cpu(batch) and not bool((batch[1:] >= batch[:-1]).all()):
        raise ShapeError("expected batch in ascending order, scan by scan, got another order; sort x and batch by it")
    sources, targets = [], []
    first = 0
    for size in torch.bincount(batch).tolist():
        part = x[first : first + size]
        in_space = x.device.type == "cpu" and x.shape[1] <= 3 and k > 0 and bool(part.isfinite().all())
        if size:
            near = _by_tree(part, min(k, size)) if in_space else _by_products(part, min(k, size), block)
            sources.append(first + near.flatten())
        targets.append(torch.arange(first, first + size, device=x.device).repeat_interleave(min(k, size)))
        first += size
    if not sources:
        return torch.zeros(2, 0, dtype=torch.long, device=x.device)
    return torch.stack([torch.cat(sources), torch.cat(targets)])


def _by_tree(x: Tensor, k: int) -> Tensor:
    """The k nearest rows of each row: [N, k]."""
    from scipy.spatial import cKDTree  # only needed for a search in space

    points = x.double().numpy()
    return torch.from_numpy(cKDTree(points).query(points, k=range(1, k + 1))[1])


def _by_products(x: Tensor, k: int, block: int) -> Tensor:
    """The k nearest rows of each row: [N, k].

    Distances come from products, block by block. Where rows are much nearer to each other than to the middle of all,
    nothing is left of such a distance but rounding: these rows are compared with all others by differences.
    """
    x = x if x.dtype == torch.float64 else x.float()
    exact = x
    x = (x - x.mean(dim=0)).float()  # less cancellation near the origin
    square = x.square().sum(dim=1)
    products = x.new_empty(min(block, len(x)), len(x))
    near, far = x.new_empty(len(x), k, dtype=torch.long), x.new_empty(len(x))
    for start in range(0, len(x), block):
        rows = slice(start, min(start + block, len(x)))
        with full_precision(x):  # rounding would change the neighbours
            # [B, N]: −(distance² − |row|²), in one pass
            closeness = torch.addmm(square, x[rows], x.t(), beta=-1, alpha=2, out=products[: rows.stop - start])
        values, near[rows] = closeness.topk(k, dim=1)
        far[rows] = square[rows] - values[:, -1] if k else 0.0  # distance² of the farthest neighbour
    rounding = _ROUNDINGS * torch.finfo(x.dtype).eps * square.amax()
    unsure = torch.nonzero((far < rounding) & (square.amax() > 0)).squeeze(1)
    for rows in unsure.split(block):
        apart = torch.cdist(exact[rows], exact, compute_mode="donot_use_mm_for_euclid_dist")
        near[rows] = apart.topk(k, dim=1, largest=False).indices
    return near
