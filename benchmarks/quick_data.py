"""Synthetic arches in place of a data set, to try a script."""

from __future__ import annotations

import json
from pathlib import Path

from toothgraph.synthetic import write_synthetic
from toothgraph.system.files import write_text


def write_arches(folder: Path) -> Path:
    """Write six synthetic arches of three patients in the layout of 3D-IOSSeg, and return ``folder``."""
    write_synthetic(folder / "3d-iosseg", 6, 3000, 0)
    write_text(folder / "split.json", json.dumps({"train": ["0000", "0001"], "val": ["0002"]}))
    colours = {"background": [0, 0, 0], "upper": {"11": [255, 0, 0]}, "lower": {"31": [0, 255, 0]}}
    write_text(folder / "palettes.json", json.dumps({"3d-iosseg": colours}))  # labels are in files beside the scans
    return folder
