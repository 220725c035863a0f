"""Labels of one's own: tooth or gum, learned on top of what the net in the package sees of each face."""

from __future__ import annotations

import tempfile
from dataclasses import replace

import torch
import torch_geometric.transforms as T
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from toothgraph import load_model
from toothgraph.data import make_split
from toothgraph.datasets import SyntheticArches
from toothgraph.nn import segmentation_loss
from toothgraph.transforms import MirrorArch, RandomRotate


def tooth_or_gum(data: Data) -> Data:
    """Any classes will do, such as sound, filled and crowned; -1 is unknown and is not learned."""
    data.y = (data.y > 0).long().where(data.y >= 0, -1)
    return data


def main(arches: int = 6, epochs: int = 6, faces: int = 3000) -> float:
    torch.manual_seed(0)
    backbone = load_model().backbone.requires_grad_(False)
    spec = replace(load_model().config.graph, faces=faces)  # the tables that the net knows, on smaller graphs
    with tempfile.TemporaryDirectory() as folder:
        # 1. A data set. For scans of your own: ScanFolder("my-scans", spec=spec)
        dataset = SyntheticArches(folder, arches, faces=8000, spec=spec, transform=tooth_or_gum, log=False)
        split = make_split(dataset.patients, 0.3, seed=0)
        train, val = dataset.of_patients(split.train), dataset.of_patients(split.val)
        train.transform = T.Compose([tooth_or_gum, MirrorArch(exchange=False), RandomRotate(10)])
        print(f"{len(train)} scans to learn from, {len(val)} to look at: {split.val}")

        # 2. A head on the embeddings; the rest of the net stays as it is.
        head = nn.Sequential(nn.Linear(backbone.out_channels, 32), nn.ReLU(), nn.Linear(32, 2), nn.LogSoftmax(dim=1))
        optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
        for epoch in range(epochs):
            for batch in DataLoader(train, batch_size=2, shuffle=True):
                loss = segmentation_loss(head(backbone(batch)), batch.y, batch.batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            print(f"epoch {epoch}  loss {loss.item():.3f}")

        # 3. How many faces of other patients are right.
        with torch.inference_mode():
            right = torch.cat([head(backbone(graph)).argmax(dim=1) == graph.y for graph in val])
    print(f"faces right on the others: {float(right.float().mean()):.3f}")
    return float(right.float().mean())


if __name__ == "__main__":
    main()
