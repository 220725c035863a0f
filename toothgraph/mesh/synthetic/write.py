"""Synthetic arches as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from toothgraph.files import write_text
from toothgraph.mesh.numbering import JAW_NAMES, LOWER, UPPER
from toothgraph.mesh.stl import write_stl
from toothgraph.mesh.synthetic.arch import synthetic_arch


def write_synthetic(
    out: str | Path, scans: int, faces: int, seed: int, on_scan: Callable[[Path], None] | None = None
) -> list[Path]:
    """Write labelled synthetic arches into one flat folder.

    ``OUT/0000_upper.stl`` (binary STL) with ``OUT/0000_upper.txt`` beside it (one FDI number per face, in the
    order of the faces), then ``0000_lower``, ``0001_upper`` and so on: the number is the patient. An arch
    depends on the seed and its own place only, not on how many are asked for.

    Args:
        out: folder to write into; made if needed.
        scans: number of arches.
        faces: faces of each.
        seed: chooses the arches.
        on_scan: called with each STL file when it and its labels stand.

    Returns:
        The STL files.

    Raises:
        ConfigError: for a face count out of range.
    """
    written = []
    for index in range(scans):
        jaw = (UPPER, LOWER)[index % 2]
        mesh = synthetic_arch([seed, index], jaw=jaw, faces=faces)
        path = Path(out) / f"{index // 2:04d}_{JAW_NAMES[jaw]}.stl"
        assert mesh.labels is not None
        write_text(path.with_suffix(".txt"), "".join(f"{label}\n" for label in mesh.labels))
        write_stl(path, mesh.vertices, mesh.faces)
        written.append(path)
        if on_scan is not None:
            on_scan(path)
    return written
