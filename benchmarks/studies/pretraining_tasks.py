"""What else a backbone may learn from scans without labels: objectives that join or replace InfoNCE.

All see the same views in the same order as :class:`toothgraph.training.pretrain.PretrainTask`, and are validated as it
is. Their constants are those of the sources, set once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from toothgraph.training.pretrain import PretrainTask


class Prototypes(PretrainTask):
    """InfoNCE, and prototypes that all scans share: from one view of a surface point, the prototype is told that the
    other view is assigned to. The assignment gives each prototype as many points as any other.

    Source: Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", NeurIPS 2020:
    three prototypes per class, of which there are 33 here; temperature 0.1; Sinkhorn-Knopp with 0.05, three rounds.
    """

    COUNT, TEMPERATURE = 100, 0.1

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.net.prototypes = nn.Linear(self.config.net.projection, self.COUNT, bias=False)

    def loss(self, batch: Batch) -> Tensor:
        a, b, scan = self._matched(self.net(batch), batch)
        centres = F.normalize(self.net.prototypes.weight, dim=1)
        near_a, near_b = (F.normalize(view, dim=1) @ centres.T for view in (a, b))  # [P, COUNT]
        swapped = [
            F.cross_entropy(near / self.TEMPERATURE, balanced(other.detach()))
            for near, other in ((near_a, near_b), (near_b, near_a))
        ]
        return self._loss(a, b, scan, batch) + torch.stack(swapped).mean()


def balanced(near: Tensor, sharpness: float = 0.05, rounds: int = 3) -> Tensor:
    """Shares of prototypes for each point, [P, K], by their similarities [P, K]: those of a point sum to 1, and those
    of a prototype to nearly P / K (Sinkhorn-Knopp)."""
    shares = torch.exp((near - near.max()) / sharpness)
    for _ in range(rounds):
        shares = shares / shares.sum(dim=0, keepdim=True)
        shares = shares / shares.sum(dim=1, keepdim=True)
    return shares


OBJECTIVES: dict[str, type[PretrainTask]] = {"prototypes": Prototypes}
