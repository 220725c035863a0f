"""A mesh becomes a face graph: faces are nodes, shared edges are links."""

from __future__ import annotations

from collections import Counter

import networkx as nx

from toothgraph import face_graph, synthetic_arch, to_networkx
from toothgraph.fdi import JAW_NAMES, class_to_fdi


def main(faces: int = 4000) -> None:
    # 1. A mesh. For a scan of your own: mesh = toothgraph.read_scan("scan.ply")
    mesh = synthetic_arch(7, jaw=0, faces=faces)
    size = mesh.vertices.max(axis=0) - mesh.vertices.min(axis=0)
    print(f"{mesh.scan_id}: {len(mesh.faces)} faces, {len(mesh.vertices)} vertices, {JAW_NAMES[mesh.jaw]} jaw")
    print("extent   " + " × ".join(f"{length:.1f}" for length in size) + " mm")

    # 2. Its graph, a torch_geometric.data.Data.
    graph = face_graph(mesh)
    print(f"graph    {graph}")

    # 3. What networkx says of it.
    links = to_networkx(graph)
    degrees = Counter(degree for _, degree in links.degree)
    print(f"links    {links.number_of_edges()}, pieces {nx.number_connected_components(links)}")
    print("degrees  " + ", ".join(f"{count} faces with {degree}" for degree, count in sorted(degrees.items())))

    # 4. Each tooth is one patch: the subgraph of its faces is connected.
    names = class_to_fdi(graph.y.numpy())
    for fdi in sorted(set(names[names > 0].tolist())):
        patch = links.subgraph((names == fdi).nonzero()[0].tolist())
        area = float(graph.area[names == fdi].sum())
        print(f"tooth {fdi}: {len(patch):4d} faces, {area:6.1f} mm², in {nx.number_connected_components(patch)} piece")


if __name__ == "__main__":
    main()
