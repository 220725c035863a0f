"""What else a backbone may learn from scans without labels: objectives that join or replace InfoNCE.

All see the same views in the same order as :class:`toothgraph.training.pretrain.PretrainTask`, and are validated as it
is. Their constants are those of the sources, set once; those of the cut into pieces were set on five training scans,
where 96 % of the surface lies in a piece of its own tooth or of the gingiva.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch, Data
from torch_geometric.utils import scatter

from toothgraph.graph import thin
from toothgraph.model.heads import ProjectionHead
from toothgraph.nn.contrastive import info_nce
from toothgraph.nn.pyramid import find_levels
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


class Crowns(PretrainTask):
    """InfoNCE, and the same for pieces of the surface between folds, of about the size of a crown: the mean embedding
    of a piece in one view must find that of the same piece in the other view among all pieces of all scans.

    Source: Hénaff et al., "Efficient Visual Pretraining with Contrastive Detection", ICCV 2021 (pooling, temperature
    0.1, negatives of the whole batch).
    """

    TEMPERATURE = 0.1
    LEAST = 10  # matched points of a piece that counts

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        net = self.config.net
        self.net.pieces = ProjectionHead(net.embedding, net.embedding, net.projection)

    def loss(self, batch: Batch) -> Tensor:
        embedding = self.net.backbone(batch)
        a, b, scan = self._matched(self.net.projector(embedding), batch)
        points, second = batch.match_index.chunk(2)
        of_node = torch.cat([pieces(graph) for graph in batch.to_data_list()[: len(batch.scan_id) // 2]])
        piece = of_node[points] + (of_node.max() + 1) * scan  # [P], of all scans
        _, piece, size = piece.unique(return_inverse=True, return_counts=True)
        large = size >= self.LEAST
        near = self._loss(a, b, scan, batch)
        if not large.any():
            return near
        found = [self.net.pieces(scatter(embedding[view], piece, reduce="mean")[large]) for view in (points, second)]
        return near + info_nce(*found, temperature=self.TEMPERATURE, symmetric=True)


def pieces(graph: Data, spacing: float = 10.0, crease: float = 0.25, rounds: int = 4) -> Tensor:
    """Pieces of a surface between its folds: each node belongs to the nearest seed, and a path across a fold is long.
    [N] numbers of pieces.

    Args:
        graph: face graph with ``pos``, ``normal``, ``edge_index``.
        spacing: mm between seeds, about as wide as a crown.
        crease: radians; a concave fold of this angle makes a path e times as long.
        rounds: how often each seed moves to the middle of its piece.
    """
    pos, normal = graph.pos.double().numpy(), graph.normal.double().numpy()
    source, target = graph.edge_index.numpy()
    step, turn = pos[target] - pos[source], normal[target] - normal[source]
    bend = 2 * np.arcsin(np.clip(np.linalg.norm(turn, axis=1) / 2, 0, 1))
    bend[(step * turn).sum(axis=1) > 0] = 0  # convex
    length = np.linalg.norm(step, axis=1) * np.exp(bend / crease) + 1e-9
    paths = csr_matrix((length, (source, target)), shape=(len(pos), len(pos)))
    piece, seeds = np.zeros(len(pos), dtype=np.int64), thin(pos, spacing)
    for _ in range(rounds + 1):
        _, _, nearest = dijkstra(paths, indices=seeds, min_only=True, return_predecessors=True)
        piece = np.unique(nearest, return_inverse=True)[1].reshape(-1)  # where no seed leads to: one piece
        middle = np.stack([np.bincount(piece, pos[:, axis]) for axis in range(3)], axis=1) / np.bincount(piece)[:, None]
        order = np.lexsort((np.linalg.norm(pos - middle[piece], axis=1), piece))
        seeds = order[np.unique(piece[order], return_index=True)[1]]
    return torch.from_numpy(piece)


class Masked(PretrainTask):
    """In place of InfoNCE: 60 % of the surface is hidden, patch by patch, and how it bends there is told from the rest.

    The backbone sees nothing of a hidden face: no geometry of its own, and no neighbour sees it. What is told does not
    depend on the pose: for each level of the neighbour table, how far the neighbours lie above the face's plane, as a
    share of their distance, and the cosine between the normals; of each the mean. Both views are hidden in patches of
    their own.

    Source: Pang et al., "Masked Autoencoders for Point Cloud Self-supervised Learning", ECCV 2022 (60 %, patches).
    """

    SHARE = 0.6

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        net = self.config.net
        self.net.hidden = nn.Parameter(torch.zeros(1, net.widths[0]))
        self.net.bends = ProjectionHead(net.embedding, net.embedding, 2 * len(net.graph.spacings))

    def loss(self, batch: Batch) -> Tensor:
        hidden = hidden_patches(batch, self.config.net.graph.k, self.SHARE)
        told = self.net.bends(self._embedding(batch, hidden)[hidden])  # [H, 2·levels]
        true = bends(batch, self.config.net.graph.k)
        true = (true - true.mean(dim=0)) / true.std(dim=0).clamp_min(1e-3)
        return F.smooth_l1_loss(told, true[hidden])

    def _embedding(self, batch: Batch, hidden: Tensor) -> Tensor:
        backbone, nodes = self.net.backbone, torch.arange(len(hidden))
        table = batch.neighbor_index.long()
        pair = backbone.pair(batch.pos, batch.normal, torch.where(hidden[table], nodes, table).int())
        x = self.net.hidden.repeat(len(hidden), 1)
        x[~hidden] = backbone.inlet(pair[~hidden])
        levels = find_levels(batch, backbone.k, backbone.num_levels)
        found: Tensor = backbone.outlet(backbone.pyramid(x, levels, batch.batch, batch.num_graphs))
        return found


def hidden_patches(batch: Batch, k: int, share: float) -> Tensor:
    """Which nodes are hidden, [N] bool: a patch is the nodes that have the same nearest node of the third level, which
    are 6 mm apart in the default graph; all of a patch are hidden, or none."""
    nodes = torch.arange(batch.num_nodes)
    centre = torch.where(batch.level >= 2, nodes, batch.neighbor_index[2 * k].long())
    return torch.rand(batch.num_nodes)[centre] < share


def bends(batch: Batch, k: int) -> Tensor:
    """How the surface bends about each node, at each level: height of the neighbours above its plane by their
    distance, and cosine between the normals, each the mean over the neighbours. [N, 2·levels]"""
    found = []
    for table in batch.neighbor_index.long().split(k):
        step = batch.pos[table] - batch.pos
        height = (step * batch.normal).sum(dim=2) / step.norm(dim=2).clamp_min(1e-3)
        found += [height.mean(dim=0), (batch.normal[table] * batch.normal).sum(dim=2).mean(dim=0)]
    return torch.stack(found, dim=1)


OBJECTIVES: dict[str, type[PretrainTask]] = {"prototypes": Prototypes, "crowns": Crowns, "masked": Masked}
