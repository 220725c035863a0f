"""What one scan costs: parameters of the nets, and the operations of one forward pass and of a whole prediction.

    python -m benchmarks.speed.cost [SCAN ...]

Only products (matrix products and convolutions) are counted. A multiplication and an addition are two operations. No
time is measured. Writes benchmarks/results/cost.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from torch_geometric.data import Batch

from benchmarks.options import parse, parser_of, quick_folder, run
from benchmarks.paths import RESULTS
from toothgraph import load_model, predict_mesh, read_mesh
from toothgraph.graph.spec import scan_graph
from toothgraph.inference import PredictOptions
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import SegmentationNet
from toothgraph.nn import use_backend
from toothgraph.synthetic import write_synthetic
from toothgraph.system import provenance
from toothgraph.system.files import write_text


def operations(work: Any) -> float:
    """The operations of a call, in GFLOP."""
    with use_backend("native"), FlopCounterMode(display=False) as counter:  # only torch's own products are counted
        work()
    return counter.get_total_flops() / 1e9


def of_scan(net: SegmentationNet, mesh: Mesh) -> dict[str, float]:
    """The GFLOP of the net alone, and of whole predictions, for one scan."""
    graph, _ = scan_graph(mesh, net.config.graph)
    batch = Batch.from_data_list([graph])
    with torch.no_grad():
        once = operations(lambda: net(batch))
    one = PredictOptions(tessellations=1, find_pose=False, crop_to_teeth=False)
    return {
        "net": once,
        "predict, one tessellation": operations(lambda: predict_mesh(net, mesh, options=one)),
        "predict": operations(lambda: predict_mesh(net, mesh)),
    }


def main(argv: list[str] | None = None) -> None:
    """Count and write."""
    parser = parser_of(__doc__)
    parser.add_argument("scans", type=Path, nargs="*", help="files; their mean is told")
    options = parse(parser, argv, RESULTS / "cost.json")
    if not options.scans and not options.quick:
        parser.error("expected SCANS, files that are labelled")
    net = load_model()
    scans = options.scans or write_synthetic(quick_folder(), 1, 8000, 0)
    found = [of_scan(net, read_mesh(scan)) for scan in scans]
    content = {
        "facts": provenance.facts(), "quick": options.quick, "scans": len(scans), "faces": net.config.graph.faces,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "gflop": {name: sum(one[name] for one in found) / len(found) for name in found[0]},
    }  # fmt: skip
    print(content["parameters"], content["gflop"], flush=True)
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
