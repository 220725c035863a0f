"""Time and memory from a file to a graph, by stage, and the cost per face of face adjacency.

python -m benchmarks.speed.prepare
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.options import run
from benchmarks.speed.harness import INDEX, Way, arguments, case, compare, section, start, write
from benchmarks.speed.surfaces import arch
from toothgraph.graph import GraphSpec, face_graph
from toothgraph.graph.build import face_features
from toothgraph.graph.neighbors import dilated_tables
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.read import mesh_from_stored
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.topology import face_adjacency

QUESTION = "What does it cost to make a graph of a scan, once, on the CPU?"
STAGES, PER_FACE = "File (binary STL) to graph, by stage", "Cost per face"
SCANS = {False: [16_000, 213_000], True: [500]}
ADJACENCY = {False: [16_000, 64_000, 256_000, 1_024_000], True: [500]}
STL_FACE, STL_HEAD = 50, 84  # bytes


def stages(file: Path, spec: GraphSpec, options: argparse.Namespace) -> dict[str, Any]:
    """Measurements of each stage on the result of the stage before. The first way is all stages together."""
    stored = read_stored(file)
    mesh = mesh_from_stored(file, stored)
    coarse = decimate(mesh, spec.faces).mesh
    tables = coarse.centroids

    def whole() -> None:
        small = decimate(mesh_from_stored(file, read_stored(file)), spec.faces).mesh
        face_graph(small)
        dilated_tables(small.centroids, spec.k, spec.spacings)

    ways: dict[str, Way] = {
        "file to graph": whole,
        "read": lambda: read_stored(file),
        "clean": lambda: mesh_from_stored(file, stored),
        "decimate": lambda: decimate(mesh, spec.faces),
        "adjacency": lambda: face_adjacency(coarse.faces),
        "features": lambda: face_features(replace(coarse)),  # a new mesh, because a mesh keeps its corners and normals
        "neighbour tables": lambda: dilated_tables(tables, spec.k, spec.spacings),
    }
    return compare(ways, options, 12.0)


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options: argparse.Namespace = start(arguments(__doc__), argv)
    spec = GraphSpec(faces=200) if options.quick else GraphSpec()
    scans, adjacency = [], []
    with tempfile.TemporaryDirectory() as folder:
        for wanted in SCANS[options.quick]:
            mesh = arch(wanted)
            file = Path(folder) / f"arch{wanted}_upper.stl"
            write_stl(file, mesh.vertices, mesh.faces)
            sizes = {"faces": len(mesh.faces), "decimated to": spec.faces}
            scans.append(case(STAGES, sizes, stages(file, spec, options), moved=STL_HEAD + STL_FACE * len(mesh.faces)))
    for wanted in ADJACENCY[options.quick]:
        mesh = arch(wanted)
        edges = face_adjacency(mesh.faces).shape[1]
        ways: dict[str, Way] = {
            "face_adjacency": lambda m=mesh: face_adjacency(m.faces),
            "face_graph": lambda m=mesh: face_graph(replace(m)),  # a new mesh, because a mesh keeps its adjacency
            "dilated_tables": lambda m=mesh: dilated_tables(m.centroids, spec.k, spec.spacings),
        }
        found = compare(ways, options, 4.0)
        moved = 3 * INDEX * len(mesh.faces) + 2 * INDEX * edges
        sizes = {"faces": len(mesh.faces), "edges": edges}
        adjacency.append(case(PER_FACE, sizes, found, moved, per=len(mesh.faces)))
    sections = [
        section(STAGES, "The ratio is the share of the whole. Limit: the bytes of the "
                "file at the rate of a copy; welding, collapsing and searching have none so simple.", scans),
        section(PER_FACE, "The adjacency alone, the graph with its features, and the default neighbour tables, "
                "each of all faces. Limit, of the adjacency: corners read once, edges written once (24·F + 16·E "
                "bytes).", adjacency),
    ]  # fmt: skip
    write(options, __file__, QUESTION, sections)


if __name__ == "__main__":
    run(main)
