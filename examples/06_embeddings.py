"""What the net sees: embeddings of two arches as colours, and which tooth of one is nearest to which of the other."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from toothgraph import load_model, scan_graph, synthetic_arch
from toothgraph.fdi import class_to_fdi
from toothgraph.report.picture import render_grid


def main(faces: int = 6000, out: Path = Path("embeddings.png")) -> float:
    net = load_model()
    # 1. Two patients, and the embedding of each face, of length 1.
    scans = [scan_graph(synthetic_arch(seed, jaw=1, faces=faces), net.config.graph) for seed in (3, 5)]
    graphs = [graph for graph, _ in scans]
    with torch.inference_mode():
        embeddings = [normalize(net.backbone(graph), dim=1) for graph in graphs]

    # 2. Three principal components of both together, as red, green and blue.
    torch.manual_seed(0)
    together = torch.cat(embeddings)
    _, _, axes = torch.pca_lowrank(together, q=3)
    values = (together - together.mean(dim=0)) @ axes
    low, high = values.quantile(0.02, dim=0), values.quantile(0.98, dim=0)
    colours = ((values - low) / (high - low)).clamp(0, 1).split([len(each) for each in embeddings])
    titles = [graph.scan_id for graph in graphs]
    pictures = zip(titles, [coarse.mesh for _, coarse in scans], map(Tensor.numpy, colours), strict=True)
    render_grid(out, list(pictures), size=5)
    print(f"alike in colour is alike to the net -> {out}")

    # 3. The nearest face in the other patient: does it belong to the same tooth?
    nearest = (embeddings[0] @ embeddings[1].T).argmax(dim=1)
    theirs, ours = graphs[1].y[nearest], graphs[0].y
    for tooth in ours[ours > 0].unique():
        found, count = theirs[ours == tooth].unique(return_counts=True)
        best = count.argsort(descending=True)[:2]
        names = class_to_fdi(found[best].numpy()).tolist()
        shares = (count[best] / count.sum()).tolist()
        said = ", ".join(f"{name or 'gum'} ({share:.0%})" for name, share in zip(names, shares, strict=True))
        print(f"tooth {class_to_fdi(tooth.numpy())} is nearest to {said}")
    same, kind = ((a == b)[ours > 0].float().mean() for a, b in ((theirs, ours), ((theirs - 1) % 8, (ours - 1) % 8)))
    print(f"the same tooth for {same:.0%} of the faces of teeth, the same kind on either side for {kind:.0%}")
    return float(kind)


if __name__ == "__main__":
    main()
