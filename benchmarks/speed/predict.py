"""Time and memory when a warm process labels a scan, by stage: from the file to written labels and to a report.

python -m benchmarks.speed.predict [--scan FILE ...] [--subdivide 1] [--model RUN] [--device cuda]
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from benchmarks.options import run
from benchmarks.speed.harness import Way, arguments, case, compare, reset_peak, resident, section, start, write
from benchmarks.speed.surfaces import arch, subdivide
from toothgraph.inference import PredictOptions, predict_mesh
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.read import read_mesh
from toothgraph.model import SegmentationNet
from toothgraph.model.file import load_segmentation
from toothgraph.report.page import write_page
from toothgraph.report.picture import render
from toothgraph.segmentation import segment
from toothgraph.weights import DEFAULT

QUESTION = "How long does one scan take in a warm process, and how much memory?"
TITLE = "One scan, default net, three tessellations"
SIZES = {False: [16_000, 64_000, 213_000, 1_024_000], True: [500]}


def stages(file: Path, net: SegmentationNet, out: Path, options: Namespace) -> dict[str, Any]:
    """Measurements of the whole way from a file to written labels, and of its stages."""
    mesh = read_mesh(file)
    found = segment(mesh, net)

    def report() -> None:
        labels, sure = found.prediction.labels, found.prediction.confidence
        write_page(out / "labelled.html", mesh, labels, confidence=sure, teeth=found.teeth)
        render(out / "labelled.png", mesh, labels)

    def whole() -> None:
        segment(file, net).write(out, "labelled")

    ways: dict[str, Way] = {
        "file to written labels": whole,
        "read": lambda: read_mesh(file),
        "predict": lambda: predict_mesh(net, mesh),
        "predict, without refinement and numbering": lambda: predict_mesh(
            net, mesh, options=PredictOptions(refine_borders=False, assign_numbers=False)
        ),
        "write": lambda: found.write(out, "labelled"),
        "page and picture": report,
    }
    measured = compare(ways, options, 15.0)
    if "left_out" not in measured["file to written labels"]:
        reset_peak()
        whole()
        measured["file to written labels"]["process_bytes"] = resident("VmHWM")
    return measured


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    parser = arguments(__doc__)
    parser.add_argument("--scan", type=Path, action="append", help="a scan; synthetic ones if not given")
    parser.add_argument("--subdivide", type=int, default=0, help="also each scan with its faces cut in four, so often")
    parser.add_argument("--model", type=Path, default=DEFAULT, help="run folder or model file; that of the package")
    options = start(parser, argv)
    net = load_segmentation(options.model)[0].to(options.device)
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        scans = [] if options.scan else [(f"synthetic{n}_upper", arch(n)) for n in SIZES[options.quick]]
        for file in options.scan or []:
            mesh = read_mesh(file)
            scans.append((file.name, file))
            for times in range(1, options.subdivide + 1):
                mesh = subdivide(mesh)
                scans.append((f"{file.stem} in {4**times}", mesh))
        for name, scan in scans:
            file = scan if isinstance(scan, Path) else Path(folder) / f"{name}.stl"
            if not isinstance(scan, Path):
                write_stl(file, scan.vertices, scan.faces)
            faces = len(read_mesh(file).faces)
            measured = stages(file, net, Path(folder) / "out", options)
            cases.append(case(TITLE, {"scan": name, "faces": faces}, measured, per=faces))
    note = (
        "The ratio is the share of the whole. Memory is what a stage takes above what was there before; in brackets "
        "the whole process at its peak, torch and the net included. What bounds the net is under `backbone`, what "
        "bounds the graph under `prepare`."
    )
    write(options, __file__, QUESTION, [section(TITLE, note, cases)])


if __name__ == "__main__":
    run(main)
