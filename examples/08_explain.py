"""Why this class: an explainer of torch_geometric asks a net of FastEdgeConv layers about one face."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib import colormaps
from torch import Tensor, nn
from torch_geometric.explain import Explainer, GNNExplainer

from toothgraph import FastEdgeConv, GraphSpec, scan_graph, synthetic_arch
from toothgraph.nn import segmentation_loss
from toothgraph.report.picture import render_grid


class Net(nn.Module):
    """Tooth or gum, from what lies within three steps."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.convs = nn.ModuleList(FastEdgeConv(width, channels) for width in (15, channels, channels))
        self.head = nn.Linear(channels, 2)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = torch.relu(conv(x, edge_index))
        return self.head(x).log_softmax(dim=1)


def main(faces: int = 2000, steps: int = 40, epochs: int = 50, out: Path = Path("explained.png")) -> Tensor:
    torch.manual_seed(0)
    graph, coarse = scan_graph(synthetic_arch(1, jaw=1, faces=8000), GraphSpec(faces=faces, k=8, spacings=(0.0,)))
    table = graph.neighbor_index.long()  # [8, N]; an explainer looks at edges, so here they are edges
    edges = torch.stack([table.flatten(), torch.arange(graph.num_nodes).repeat(len(table))])
    x, target = graph.x / torch.tensor([20.0] * 3 + [1.0] * 12), (graph.y > 0).long()
    optimizer = torch.optim.AdamW((net := Net()).parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        segmentation_loss(net(x, edges), target).backward()
        optimizer.step()
    one, other = graph.edge_index
    margin = one[(graph.y[one] == 22) & (graph.y[other] == 0)]  # of tooth 36
    face = int(margin[graph.normal[margin, 1].argmax()])  # beside the gum; of these the best seen from the bite
    config = {"mode": "multiclass_classification", "task_level": "node", "return_type": "log_probs"}
    explainer = Explainer(
        net, GNNExplainer(epochs), explanation_type="model", edge_mask_type="object", model_config=config
    )
    found = explainer(x, edges, index=face)
    weight = torch.zeros(graph.num_nodes).index_add(0, edges[0], found.edge_mask)
    away = (weight * (graph.pos - graph.pos[face]).norm(dim=1)).sum() / weight.sum()
    print(f"{int((weight > 0).sum())} faces count for face {face}; by their weight, they are {away:.1f} mm away")
    rgb = colormaps["YlOrRd"](weight.div(weight.max()).numpy())[:, :3]
    render_grid(out, [("labels", coarse.mesh, None), (f"what counts for face {face}", coarse.mesh, rgb)], size=5)
    return weight


if __name__ == "__main__":
    main()
