from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toothgraph.datasets import Teeth3DS, official_split
from toothgraph.errors import ConfigError, DataError
from toothgraph.fdi import class_to_fdi
from toothgraph.graph import GraphSpec
from toothgraph.io.write import write_labelled
from toothgraph.mesh.mesh import Mesh

SPEC = GraphSpec(faces=300, k=4, spacings=(0.0,))
LISTS = {"training": ["A1", "B2", "C3"], "testing": ["C3", "D4"]}


@pytest.fixture
def root(arch: Mesh, tmp_path: Path) -> Path:
    """The layout of the download: parts with a folder per jaw and patient, and the lists beside them."""
    lists = tmp_path / "raw" / "Teeth3DS_train_test_split"
    lists.mkdir(parents=True)
    for side, patients in LISTS.items():
        (lists / f"{side}_upper.txt").write_text("".join(f"{patient}_upper\n" for patient in patients))
    for patient in ("A1", "C3", "D4", "unlisted"):
        write_scan(arch, tmp_path / "raw" / "data_part_1" / "upper" / patient, f"{patient}_upper")
    return tmp_path


def write_scan(mesh: Mesh, folder: Path, name: str) -> None:
    """As published: OBJ, and the numbers of the vertices in JSON."""
    write_labelled(folder, name, mesh, mesh.labels, ["json"])
    lines = [f"v {x} {y} {z}" for x, y, z in mesh.vertices] + [f"f {a} {b} {c}" for a, b, c in mesh.faces + 1]
    (folder / f"{name}.obj").write_text("\n".join(lines) + "\n")
    content = json.loads((folder / f"{name}.json").read_text())
    keep = {key: content[key] for key in ("id_patient", "jaw", "labels", "instances")}
    (folder / f"{name}.json").write_text(json.dumps(keep))
    (folder / f"{name}.found.json").unlink(missing_ok=True)


def test_the_published_splits_as_faces(root: Path, arch: Mesh, caplog: pytest.LogCaptureFixture) -> None:
    test = Teeth3DS(root, train=False, spec=SPEC, log=False)
    assert [graph.scan_id for graph in test] == ["C3_upper", "D4_upper"]
    train = Teeth3DS(root, spec=SPEC, log=False)
    assert train.patients == ["A1"]  # C3 is listed for testing, too, and B2 is not there
    assert "1 of the 2 scans of Teeth3DS-training are not there" in caplog.text
    assert train.processed_dir != test.processed_dir
    graph = train[0]
    assert set(np.unique(class_to_fdi(graph.y.numpy()))) == set(np.unique(arch.labels)) and graph.edge_index.numel()


def test_raw_may_lie_elsewhere(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    test = Teeth3DS(out, train=False, scans=root / "raw", spec=SPEC, log=False)
    assert len(test) == 2 and Path(test.processed_dir).parent == out and test.raw_dir == str(root / "raw")
    with pytest.raises(ConfigError, match="expected scans: one folder"):
        Teeth3DS(out, scans=[root / "raw"], spec=SPEC, log=False)


def test_lists_and_scans_that_are_missing(root: Path, tmp_path: Path) -> None:
    assert official_split(root)["training"] == ["A1_upper", "B2_upper", "C3_upper"]
    with pytest.raises(ConfigError, match=r"got 'Teeth3ds'; did you mean 'Teeth3DS'\?"):
        Teeth3DS(root, "Teeth3ds")
    with pytest.raises(DataError, match=r"3DTeethLand_challenge_train_test_split/training_upper\.txt"):
        Teeth3DS(root, "3DTeethLand_challenge")
    lists = root / "raw" / "3DTeethSeg22_challenge_train_test_split"
    lists.mkdir()
    for side in LISTS:
        (lists / f"{side}_lower.txt").write_text(f"{side}7_lower\n")
    with pytest.raises(DataError, match=r"such as training7_lower\.obj with training7_lower\.json, found none"):
        Teeth3DS(root, "3DTeethSeg22_challenge")
