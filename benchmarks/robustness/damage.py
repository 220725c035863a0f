"""A tree of synthetic scans, some of them damaged in one of ten ways."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from toothgraph.io.formats.stl import read_stl, write_stl
from toothgraph.synthetic.write import write_synthetic

STL_HEAD = 80  # bytes; the number of faces follows
BASES = 40  # different arches; all scans are copies of them, each turned and stretched differently


def _empty(stl: Path) -> None:
    stl.write_bytes(b"")


def _cut_short(stl: Path) -> None:
    content = stl.read_bytes()
    stl.write_bytes(content[: len(content) // 2])


def _claims_too_much(stl: Path) -> None:
    content = stl.read_bytes()
    (count,) = struct.unpack("<I", content[STL_HEAD : STL_HEAD + 4])
    stl.write_bytes(content[:STL_HEAD] + struct.pack("<I", 2 * count) + content[STL_HEAD + 4 :])


def _no_numbers(stl: Path) -> None:
    _write(stl, lambda vertices: vertices * np.nan)


def _no_area(stl: Path) -> None:
    _write(stl, np.zeros_like)


def _metres(stl: Path) -> None:
    _write(stl, lambda vertices: vertices / 1000)


def _web_page(stl: Path) -> None:
    stl.write_text("<!doctype html><html><body>Your session has expired.</body></html>\n")


def _too_few_labels(stl: Path) -> None:
    text = stl.with_suffix(".txt")
    text.write_text("\n".join(text.read_text().splitlines()[:-7]) + "\n")


def _words(stl: Path) -> None:
    text = stl.with_suffix(".txt")
    text.write_text("".join("molar\n" for _ in text.read_text().splitlines()))


def _labels_no_text(stl: Path) -> None:
    stl.with_suffix(".txt").write_bytes(bytes(range(256)) * 40)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty file": _empty,
    "cut short": _cut_short,
    "header claims twice the faces": _claims_too_much,
    "no coordinate is a number": _no_numbers,
    "all corners in one point": _no_area,
    "in metres": _metres,
    "a web page named .stl": _web_page,
    "fewer labels than faces": _too_few_labels,
    "labels that are words": _words,
    "labels that are no text": _labels_no_text,
}


def _write(stl: Path, change: Callable[[np.ndarray], np.ndarray], source: Path | None = None) -> None:
    stored = read_stl(source or stl)
    write_stl(stl, change(stored.vertices), stored.polygons)


def write_tree(out: Path, scans: int, faces: int, seed: int, every: int = 20) -> dict[str, str]:
    """Write scans into folders of a hundred. Every ``every``-th scan is damaged, in one way after another.

    Returns:
        For each damaged scan id, the way in which the scan is damaged.
    """
    bases = write_synthetic(out.parent / f"{out.name}-bases", min(BASES, scans), faces, seed)
    damaged: dict[str, str] = {}
    for number in range(scans):
        rng, base = np.random.default_rng([seed, number]), bases[number % len(bases)]
        jaw = base.stem.rpartition("_")[2]
        folder = out / f"clinic{number // 100:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        stl = folder / f"p{number:05d}_{jaw}.stl"
        turn, stretch = Rotation.random(rng=rng).as_matrix(), rng.uniform(0.95, 1.05, 3)
        _write(stl, lambda v, stretch=stretch, turn=turn: v * stretch @ turn.T, base)
        stl.with_suffix(".txt").write_bytes(base.with_suffix(".txt").read_bytes())
        if number % every == every - 1:
            way = list(DAMAGES)[len(damaged) % len(DAMAGES)]
            DAMAGES[way](stl)
            damaged[stl.stem] = way
    return damaged
