"""A warm process labels a scan: from file to written labels, by stage, with the process's peak memory.

python benchmarks/predict.py [--scan FILE ...] [--model RUN] [--device cuda]
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from common import Way, arguments, case, compare, reset_peak, resident, section, start, write
from surfaces import arch

from toothgraph.inference.predict import predict_mesh
from toothgraph.mesh.read import read_mesh
from toothgraph.mesh.stl import write_stl
from toothgraph.mesh.write import write_labelled
from toothgraph.nn import NetConfig, SegmentationNet
from toothgraph.training.checkpoint import load_segmentation

QUESTION = "How long does one scan take in a warm process, and how much memory?"
SIZES = {False: [16_000, 213_000], True: [500]}


def stages(file: Path, net: SegmentationNet, out: Path, options: Namespace) -> dict[str, Any]:
    """File to labels, and its parts."""
    mesh = read_mesh(file)
    labels = predict_mesh(net, mesh).labels

    def whole() -> None:
        own = read_mesh(file)
        write_labelled(out, "labelled", own, predict_mesh(net, own).labels)

    ways: dict[str, Way] = {
        "file to written labels": whole,
        "read": lambda: read_mesh(file),
        "predict": lambda: predict_mesh(net, mesh),
        "write": lambda: write_labelled(out, "labelled", mesh, labels),
    }
    found = compare(ways, options, 15.0)
    reset_peak()
    whole()
    found["file to written labels"]["process_bytes"] = resident("VmHWM")
    return found


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    parser = arguments(__doc__)
    parser.add_argument("--scan", type=Path, action="append", help="a scan; synthetic ones if not given")
    parser.add_argument("--model", type=Path, help="run folder or model file; a random net if not given")
    options = start(parser, argv)
    net = load_segmentation(options.model)[0] if options.model else SegmentationNet(NetConfig()).eval()
    net.to(options.device)
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        files = options.scan or []
        for wanted in [] if files else SIZES[options.quick]:
            mesh = arch(wanted)
            files.append(Path(folder) / f"synthetic{wanted}_upper.stl")
            write_stl(files[-1], mesh.vertices, mesh.faces)
        for file in files:
            sizes = {"scan": file.name, "faces": len(read_mesh(file).faces), "net": "trained" if options.model else
                     "random weights"}  # fmt: skip
            cases.append(case(sizes, stages(file, net, Path(folder) / "out", options)))
    note = (
        "The ratio is the share of the whole. Memory is what a stage takes above what was there before; in brackets "
        "the whole process at its peak, torch and the net included. What bounds the net is under `backbone`, what "
        "bounds the graph under `prepare`."
    )
    write(options, __file__, QUESTION, [section("One scan, default net, three tessellations", note, cases)])


if __name__ == "__main__":
    main()
