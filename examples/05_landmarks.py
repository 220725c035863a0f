"""Landmarks of crowns as heat maps on the graph: a field of one's own, stored with it, and a net that finds it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib import colormaps
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from toothgraph import load_model, read_scan
from toothgraph.datasets import SyntheticArches
from toothgraph.report.picture import render_grid


def middles(data: Data) -> Tensor:
    """The landmarks here: of each tooth the face in its middle, seen from the bite, [T]. Yours come from a file."""
    teeth = [(data.y == c).nonzero().flatten() for c in data.y.unique() if c > 0]
    flat = data.pos[:, [0, 2]]  # y is up
    return torch.stack([own[(flat[own] - flat[own].mean(dim=0)).norm(dim=1).argmin()] for own in teeth])


def heat(data: Data) -> Data:  # 1 at a landmark, half of it at 1.7 mm
    data.heat = torch.exp(-((torch.cdist(data.pos, data.pos[middles(data)]).amin(dim=1) / 2.0) ** 2))
    return data


def main(arches: int = 8, epochs: int = 10, faces: int = 3000, out: Path = Path("landmarks.png")) -> float:
    torch.manual_seed(0)
    backbone = load_model().backbone.train()
    spec = replace(load_model().config.graph, faces=2 * faces)  # as many as there are
    with tempfile.TemporaryDirectory() as folder:
        data = SyntheticArches(folder, arches, faces=faces, spec=spec, pre_transform=heat, log=False)
        train, last = data[:-2], data[-1]
        head = nn.Sequential(nn.Linear(backbone.out_channels, 64), nn.Mish(), nn.Linear(64, 1), nn.Flatten(0))
        optimizer = torch.optim.AdamW([{"params": head.parameters(), "lr": 1e-2}, {"params": backbone.parameters()}])
        for epoch in range(epochs):
            for batch in DataLoader(train, batch_size=2, shuffle=True):
                optimizer.zero_grad()
                loss = nn.functional.binary_cross_entropy_with_logits(head(backbone(batch)), batch.heat)
                loss.backward()
                optimizer.step()
            print(f"epoch {epoch}  loss {loss.item():.3f}")
        found = head(backbone.eval()(last)).sigmoid().detach()
        mesh = read_scan(Path(data.raw_dir) / f"{last.scan_id}.stl")
    peaks = torch.stack([torch.where(last.y == c, found, -1).argmax() for c in last.y.unique() if c > 0])
    away = (last.pos[peaks] - last.pos[middles(last)]).norm(dim=1)
    print(f"{last.scan_id}: {len(away)} landmarks, found {away.median():.1f} mm away, the worst {away.max():.1f}")
    colours = [colormaps["YlOrRd"](value.numpy())[:, :3] for value in (last.heat, found)]
    render_grid(out, [("landmarks", mesh, colours[0]), ("found", mesh, colours[1])], size=5)
    return float(away.median())


if __name__ == "__main__":
    main()
