from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toothgraph.datasets import IOSSeg3D
from toothgraph.errors import ConfigError
from toothgraph.fdi import class_to_fdi
from toothgraph.graph import GraphSpec
from toothgraph.mesh.mesh import Mesh

SPEC = GraphSpec(faces=300, k=4, spacings=(0.0,))


@pytest.fixture
def root(arch: Mesh, tmp_path: Path) -> Path:
    """Three patients in the layout of the set: numbers as colours of the faces."""
    raw = tmp_path / "raw"
    (raw / "3d-iosseg").mkdir(parents=True)
    colours = {fdi: [fdi * 5, 255 - fdi * 5, 90] for fdi in range(11, 29) if fdi % 10 in range(1, 9)}
    palette = {"where": "face colour", "background": [255, 255, 255], "upper": colours, "lower": {}}
    (raw / "palettes.json").write_text(json.dumps({"3d-iosseg": palette}))
    (raw / "split.json").write_text(json.dumps({"train": ["007", "008"], "val": ["009"]}))
    colours[0] = [255, 255, 255]
    head = (f"ply\nformat ascii 1.0\nelement vertex {len(arch.vertices)}\nproperty float x\nproperty float y\n"
            f"property float z\nelement face {len(arch.faces)}\nproperty list uchar int vertex_indices\n"
            "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n")  # fmt: skip
    vertices = "".join(f"{x} {y} {z}\n" for x, y, z in arch.vertices)
    faces = "".join(
        f"3 {a} {b} {c} {' '.join(map(str, colours[fdi]))}\n"
        for (a, b, c), fdi in zip(arch.faces.tolist(), arch.labels.tolist(), strict=True)
    )
    for patient in ("007", "008", "009"):
        (raw / "3d-iosseg" / f"{patient}_U.ply").write_text(head + vertices + faces)
    return tmp_path


def test_sides_of_the_split_with_numbers_from_colours(root: Path, arch: Mesh) -> None:
    sides = {side: IOSSeg3D(root, side, spec=SPEC, log=False) for side in ("train", "val")}
    assert {side: data.patients for side, data in sides.items()} == {"train": ["007", "008"], "val": ["009"]}
    graph = sides["val"][0]
    assert graph.jaw.tolist() == [0]
    assert set(np.unique(class_to_fdi(graph.y.numpy()))) == set(np.unique(arch.labels))
    assert len({data.processed_dir for data in sides.values()}) == 2


def test_all_of_it_needs_no_split(root: Path) -> None:
    (root / "raw" / "split.json").unlink()
    assert len(IOSSeg3D(root / "elsewhere", "all", scans=root / "raw", spec=SPEC, log=False)) == 3
    with pytest.raises(ConfigError, match=r"split\.json: no such file or folder"):
        IOSSeg3D(root, "val", spec=SPEC, log=False)
    with pytest.raises(ConfigError, match=r"train, val, all, got 'vall'; did you mean 'val'\?"):
        IOSSeg3D(root, "vall")


@pytest.mark.slow
def test_the_set_itself(data_dir: Path, tmp_path: Path) -> None:
    val = IOSSeg3D(tmp_path, "val", scans=data_dir, spec=SPEC, log=False)
    assert len(val) == 24 and all((graph.y > 0).any() for graph in val)
