"""A scan file becomes labels, measures, a page, and one file per tooth for other programs."""

from __future__ import annotations

import sys
from pathlib import Path

from toothgraph import segment
from toothgraph.fdi import tooth_name
from toothgraph.report.page import write_scans
from toothgraph.synthetic import write_synthetic


def main(scan: Path | None = None, out: Path = Path("labelled"), faces: int = 16_000) -> list[Path]:
    # 1. A file. Without one of your own, a synthetic arch.
    scan = scan or write_synthetic(out / "scans", 1, faces, seed=4)[0]
    found = segment(scan)

    # 2. What was found.
    print(f"{found.mesh.scan_id}: {len(found.face_labels)} faces")
    for row in found.teeth:
        if row.fdi:
            width = f"{row.width:4.1f} mm wide" if row.width else "width unknown"
            print(f"{row.fdi} {tooth_name(row.fdi):<28} {width}, {row.confidence:.0%} sure")
    for measure in found.measures.measures:
        print(f"{measure.name}: " + (f"{measure.value:.1f} {measure.unit}" if measure.value else measure.reason))
    for doubt in found.doubts:
        print(f"to review: {doubt}")

    # 3. Files. The order of faces and vertices is that of the scan; stl is a folder with one surface per tooth.
    files = found.write(out, formats=("ply", "txt", "json", "stl"))
    page = out / f"{found.mesh.scan_id}.html"
    write_scans(page, [found.page_scan()])
    for file in (*files, page):
        print(f"-> {file}")
    return [*files, page]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
