"""k nearest neighbours of tensors, in space or feature space, without an N×N matrix."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn.checks import check_nodes, check_rows
from toothgraph.nn.kernels.neighborhoods import _on_cpu


@torch.no_grad()
def knn_edges(x: Tensor, k: int, batch: Tensor, block: int = 512) -> Tensor:
    """Edges to each node from its ``k`` nearest nodes of the same scan, including itself or a node at its position.

    On a CPU, up to three channels are searched with a k-d tree. Otherwise distances are computed for ``block`` rows at
    a time, with N·block memory.

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
    if _on_cpu(batch) and not bool((batch[1:] >= batch[:-1]).all()):
        raise ShapeError("expected batch in ascending order, scan by scan, got another order; sort x and batch by it")
    if k < 0:
        raise ConfigError(f"expected k of at least 0, got {k}")
    sources, targets = [], []
    first = 0
    for size in torch.bincount(batch).tolist():
        part = x[first : first + size]
        in_space = x.device.type == "cpu" and x.shape[1] <= 3 and k > 0 and bool(part.isfinite().all())
        for near in _by_tree(part, min(k, size)) if in_space else _by_products(part, min(k, size), block):
            sources.append(first + near.flatten())
        targets.append(torch.arange(first, first + size, device=x.device).repeat_interleave(min(k, size)))
        first += size
    if not sources:
        return torch.zeros(2, 0, dtype=torch.long, device=x.device)
    return torch.stack([torch.cat(sources), torch.cat(targets)])


def _by_tree(x: Tensor, k: int) -> Iterator[Tensor]:
    """The k nearest rows of each row [N, k]."""
    if len(x):
        from scipy.spatial import cKDTree  # only needed for a search in space

        points = x.double().numpy()
        yield torch.from_numpy(cKDTree(points).query(points, k=range(1, k + 1))[1])


def _by_products(x: Tensor, k: int, block: int) -> Iterator[Tensor]:
    """The k nearest rows of each row, block by block [B, k]."""
    x = x.float()
    x = x - x.mean(dim=0)  # less cancellation near the origin
    square = x.square().sum(dim=1)
    products = x.new_empty(min(block, len(x)), len(x))
    for start in range(0, len(x), block):
        rows = x[start : start + block]
        with torch.autocast(x.device.type, enabled=False):  # rounding would change the neighbours
            # [B, N]: −(distance² − |row|²), in one pass
            closeness = torch.addmm(square, rows, x.t(), beta=-1, alpha=2, out=products[: len(rows)])
        yield closeness.topk(k, dim=1).indices
