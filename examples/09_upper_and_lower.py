"""Both jaws of a patient: labelled together, measured together, on one page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from toothgraph import segment_all
from toothgraph.anatomy.measures import measure_pair
from toothgraph.fdi import JAW_NAMES
from toothgraph.report.page import write_scans
from toothgraph.synthetic import write_synthetic


def main(scans: Sequence[Path] = (), out: Path = Path("both"), faces: int = 16_000) -> Path:
    # 1. Two files, 0000_upper.stl and 0000_lower.stl: the names say which jaw is which.
    scans = scans or write_synthetic(out / "scans", 2, faces, seed=4)
    upper, lower = sorted(segment_all(scans), key=lambda found: found.mesh.jaw)
    for found in (upper, lower):
        teeth = [row.fdi for row in found.teeth if row.fdi]
        print(f"{found.mesh.scan_id}: {JAW_NAMES[found.mesh.jaw]} jaw, {len(teeth)} teeth: {' '.join(map(str, teeth))}")

    # 2. What needs both: do the widths of the upper teeth suit those of the lower?
    for measure in measure_pair(upper.measures.widths, lower.measures.widths):
        print(f"{measure.name}: " + (f"{measure.value:.1f} {measure.unit}" if measure.value else measure.reason))
    for side, (one, other) in {"right": (16, 46), "left": (26, 36)}.items():
        if one in upper.measures.widths and other in lower.measures.widths:
            widths = upper.measures.widths[one], lower.measures.widths[other]
            print(f"first molars, {side}: upper {widths[0]:.1f} mm wide, lower {widths[1]:.1f} mm")

    # 3. One page with both; "Apart" in it shows the chewing surfaces.
    page = out / "both.html"
    write_scans(page, [upper.page_scan(), lower.page_scan()])
    print(f"-> {page}")
    return page


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
