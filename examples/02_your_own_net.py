"""FastEdgeConv layers in a small net of one's own, trained for some steps on dental graphs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from toothgraph import FastEdgeConv, GraphSpec, PairGeometryConv, scan_graph, synthetic_arch
from toothgraph.nn import segmentation_loss

SPEC = GraphSpec(faces=1000, k=8, spacings=(0.0, 3.0))  # two levels of 8 neighbours
CLASSES = 33


class SmallNet(nn.Module):
    """Invariant pair geometry, three EdgeConvs on the nearest neighbours, then coordinates and a classifier."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.pair = PairGeometryConv(k=SPEC.k, scales=(1.5, 6.0), channels=channels // 2)
        self.convs = nn.ModuleList(FastEdgeConv(channels, channels) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(3))
        self.head = nn.Sequential(nn.Linear(channels + 3, 64), nn.ReLU(), nn.Linear(64, CLASSES))

    def forward(self, data: Data) -> Tensor:
        table = data.neighbor_index.long()  # [2·8, N]: first the 8 nearest, then 8 at 3 mm spacing
        x = self.pair(data.pos, data.normal, table)  # [N, channels]
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            near = table[: SPEC.k] if number == 0 else table[SPEC.k :]
            x = x + torch.relu(norm(conv(x, neighbor_index=near)))
        return self.head(torch.cat([x, data.pos / 20.0], dim=1)).log_softmax(dim=1)  # [N, 33]


def main(steps: int = 60, arches: int = 4) -> float:
    torch.manual_seed(0)
    graphs = [scan_graph(synthetic_arch(seed, jaw=0, faces=4000), SPEC)[0] for seed in range(arches)]
    batch = Batch.from_data_list(graphs)
    net = SmallNet()
    parameters = sum(p.numel() for p in net.parameters())
    print(f"{arches} graphs, {batch.num_nodes} nodes, {batch.num_edges} edges; {parameters} parameters")

    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    share = 0.0
    for step in range(steps + 1):
        log_prob = net(batch)
        loss = segmentation_loss(log_prob, batch.y, batch.batch)
        if step % max(1, steps // 4) == 0:
            share = float((log_prob.argmax(dim=1) == batch.y).float().mean())
            print(f"step {step:3d}  loss {loss.item():.3f}  faces right on these graphs {share:.3f}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return share


if __name__ == "__main__":
    main()
