"""Write synthetic arches to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from toothgraph.fdi import JAW_NAMES, LOWER, UPPER
from toothgraph.io.formats.stl import write_stl
from toothgraph.synthetic.arch import synthetic_arch
from toothgraph.system.files import write_text


def synthetic_file(out: str | Path, index: int) -> Path:
    """Path of the STL file that :func:`write_synthetic` writes for the arch with this number, counted from 0."""
    return Path(out) / f"{index // 2:04d}_{JAW_NAMES[(UPPER, LOWER)[index % 2]]}.stl"


def write_synthetic(
    out: str | Path,
    scans: int,
    faces: int,
    seed: int,
    on_scan: Callable[[Path], None] | None = None,
    before_scan: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Write labelled synthetic arches into one folder without subfolders.

    The files are ``OUT/0000_upper.stl`` (binary STL) and ``OUT/0000_upper.txt`` (one FDI number per face, in the order
    of the faces), then ``0000_lower``, ``0001_upper`` and so on; the number is the patient. An arch depends only on
    the seed and its own number, not on ``scans``.

    Args:
        out: output folder; created if needed.
        scans: number of arches.
        faces: faces of each arch.
        seed: seed of all arches.
        on_scan: called with each STL file after it and its labels are written.
        before_scan: called with each STL file before it is made.

    Returns:
        The STL files.

    Raises:
        ConfigError: if the number of faces is out of range.
    """
    written = []
    for index in range(scans):
        path = synthetic_file(out, index)
        if before_scan is not None:
            before_scan(path)
        mesh = synthetic_arch([seed, index], jaw=(UPPER, LOWER)[index % 2], faces=faces)
        assert mesh.labels is not None
        write_text(path.with_suffix(".txt"), "".join(f"{label}\n" for label in mesh.labels))
        write_stl(path, mesh.vertices, mesh.faces)
        written.append(path)
        if on_scan is not None:
            on_scan(path)
    return written
