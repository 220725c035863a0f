"""k nearest neighbours in feature space, without an N×N matrix."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def knn_edges(x: Tensor, k: int, batch: Tensor, block: int = 512) -> Tensor:
    """Edges from each node's ``k`` nearest nodes of the same scan (itself among them) to it.

    Distances are computed for ``block`` rows at once: memory grows with N·block.

    Args:
        x: [N, C] features.
        k: neighbours; a scan with fewer nodes uses all of them.
        batch: [N] scan of each node, ascending.
        block: rows at once.

    Returns:
        ``edge_index`` [2, E]: neighbour, node.
    """
    sources, targets = [], []
    first = 0
    for size in torch.bincount(batch).tolist():
        part = x[first : first + size].float()
        part = part - part.mean(dim=0)  # squared norms cancel less around the origin
        square = part.square().sum(dim=1)
        products = part.new_empty(min(block, size), size)
        for start in range(0, size, block):
            rows = part[start : start + block]
            with torch.autocast(x.device.type, enabled=False):  # rounding would change who is near
                # [B, size]: −(distance² − |row|²), in one pass
                closeness = torch.addmm(square, rows, part.t(), beta=-1, alpha=2, out=products[: len(rows)])
            near = closeness.topk(min(k, size), dim=1).indices
            node = torch.arange(start, start + len(rows), device=x.device)
            sources.append(first + near.flatten())
            targets.append(first + node.repeat_interleave(near.shape[1]))
        first += size
    if not sources:
        return torch.zeros(2, 0, dtype=torch.long, device=x.device)
    return torch.stack([torch.cat(sources), torch.cat(targets)])
