"""Further objectives for pre-training without labels, which join or replace InfoNCE.

All objectives see the same views in the same order as :class:`toothgraph.training.pretrain.PretrainTask`, and are
validated in the same way. Their constants are those of the sources, set once. The constants that divide a surface into
pieces were set on five training scans. There 96 % of the surface lies in a piece of its own tooth or of the gingiva.
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
    """InfoNCE together with prototypes that all scans share.

    From one view of a surface point, the net predicts the prototype to which the other view is assigned. The assignment
    gives each prototype about the same number of points.

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
    """Shares of the prototypes for each point [P, K], from their similarities [P, K] (Sinkhorn-Knopp).

    The shares of a point sum to 1, and those of a prototype to nearly P / K.
    """
    shares = torch.exp((near - near.max()) / sharpness)
    for _ in range(rounds):
        shares = shares / shares.sum(dim=0, keepdim=True)
        shares = shares / shares.sum(dim=1, keepdim=True)
    return shares


class Crowns(PretrainTask):
    """InfoNCE between points, together with InfoNCE between pieces of the surface.

    The pieces lie between folds and are about as large as a crown. The mean embedding of a piece in one view must find
    that of the same piece in the other view among all pieces of all scans.

    Source: Hénaff et al., "Efficient Visual Pretraining with Contrastive Detection", ICCV 2021 (pooling, temperature
    0.1, negatives of the whole batch).
    """

    TEMPERATURE = 0.1
    LEAST = 10  # matched points; smaller pieces do not count

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        net = self.config.net
        self.net.pieces = ProjectionHead(net.embedding, net.embedding, net.projection)

    def loss(self, batch: Batch) -> Tensor:
        embedding = self.net.backbone(batch)
        a, b, scan = self._matched(self.net.projector(embedding), batch)
        points, second = batch.match_index.chunk(2)
        of_node = torch.cat([pieces(graph) for graph in batch.to_data_list()[: len(batch.scan_id) // 2]])
        piece = of_node[points] + (of_node.max() + 1) * scan  # [P], unique over all scans
        _, piece, size = piece.unique(return_inverse=True, return_counts=True)
        large = size >= self.LEAST
        near = self._loss(a, b, scan, batch)
        if not large.any():
            return near
        found = [self.net.pieces(scatter(embedding[view], piece, reduce="mean")[large]) for view in (points, second)]
        return near + info_nce(*found, temperature=self.TEMPERATURE, symmetric=True)


def pieces(graph: Data, spacing: float = 10.0, crease: float = 0.25, rounds: int = 4) -> Tensor:
    """The piece of each node [N], where a surface is divided into pieces between its folds.

    Each node belongs to the nearest seed. A path across a fold counts as longer than it is.

    Args:
        graph: face graph with ``pos``, ``normal``, ``edge_index``.
        spacing: mm between seeds, about as wide as a crown.
        crease: angle in radians; a concave fold of this angle makes a path e times as long.
        rounds: how often each seed moves to the middle of its piece.
    """
    pos, normal = graph.pos.double().cpu().numpy(), graph.normal.double().cpu().numpy()
    source, target = graph.edge_index.cpu().numpy()
    step, turn = pos[target] - pos[source], normal[target] - normal[source]
    bend = 2 * np.arcsin(np.clip(np.linalg.norm(turn, axis=1) / 2, 0, 1))
    bend[(step * turn).sum(axis=1) > 0] = 0  # convex
    length = np.linalg.norm(step, axis=1) * np.exp(bend / crease) + 1e-9
    paths = csr_matrix((length, (source, target)), shape=(len(pos), len(pos)))
    piece, seeds = np.zeros(len(pos), dtype=np.int64), thin(pos, spacing)
    for _ in range(rounds + 1):
        _, _, nearest = dijkstra(paths, indices=seeds, min_only=True, return_predecessors=True)
        piece = np.unique(nearest, return_inverse=True)[1].reshape(-1)  # nodes that no seed reaches: one piece
        middle = np.stack([np.bincount(piece, pos[:, axis]) for axis in range(3)], axis=1) / np.bincount(piece)[:, None]
        order = np.lexsort((np.linalg.norm(pos - middle[piece], axis=1), piece))
        seeds = order[np.unique(piece[order], return_index=True)[1]]
    return torch.from_numpy(piece).to(graph.pos.device)


class Masked(PretrainTask):
    """In place of InfoNCE: 60 % of the surface is hidden, and the net predicts from the rest how it bends there.

    The surface is hidden patch by patch, and each view has patches of its own. The backbone sees nothing of a hidden
    face: not its own geometry, and not as a neighbour of other faces. The targets do not depend on the pose. For each
    level of the neighbour table there are two: the height of the neighbours above the face's plane as a share of their
    distance, and the cosine between the normals, each the mean over the neighbours.

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
        backbone, nodes = self.net.backbone, torch.arange(len(hidden), device=hidden.device)
        table = batch.neighbor_index.long()
        pair = backbone.pair(batch.pos, batch.normal, torch.where(hidden[table], nodes, table).int())
        x = self.net.hidden.repeat(len(hidden), 1)
        x[~hidden] = backbone.inlet(pair[~hidden])
        levels = find_levels(batch, backbone.k, backbone.num_levels)
        found: Tensor = backbone.outlet(backbone.pyramid(x, levels, batch.batch, batch.num_graphs))
        return found


def hidden_patches(batch: Batch, k: int, share: float) -> Tensor:
    """Which nodes are hidden, patch by patch, [N] bool.

    A patch is all nodes with the same nearest node of the third level. Nodes of the third level are 6 mm apart in the
    default graph. Either all nodes of a patch are hidden, or none.
    """
    nodes = torch.arange(batch.num_nodes, device=batch.pos.device)
    centre = torch.where(batch.level >= 2, nodes, batch.neighbor_index[2 * k].long())
    # Drawn on the CPU, so that the same seed hides the same patches on every device.
    return torch.rand(batch.num_nodes, device="cpu").to(centre.device)[centre] < share


def bends(batch: Batch, k: int) -> Tensor:
    """How the surface bends around each node at each level of the neighbour table, [N, 2·levels].

    There are two values for each level, each the mean over the neighbours: the height of a neighbour above the node's
    plane divided by its distance, and the cosine between the normals.
    """
    found = []
    for table in batch.neighbor_index.long().split(k):
        step = batch.pos[table] - batch.pos
        height = (step * batch.normal).sum(dim=2) / step.norm(dim=2).clamp_min(1e-3)
        found += [height.mean(dim=0), (batch.normal[table] * batch.normal).sum(dim=2).mean(dim=0)]
    return torch.stack(found, dim=1)


OBJECTIVES: dict[str, type[PretrainTask]] = {"prototypes": Prototypes, "crowns": Crowns, "masked": Masked}
