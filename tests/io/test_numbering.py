"""Label systems of anybody's own, from the file to the scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toothgraph.data.prepared.build import PrepareOptions
from toothgraph.errors import ConfigError, LabelError
from toothgraph.fdi import LOWER, UNKNOWN_JAW, UPPER
from toothgraph.graph import GraphSpec
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.labels import read_scan
from toothgraph.io.numbering import load_numbering
from toothgraph.io.write import write_txt
from toothgraph.mesh.mesh import Mesh

RING = [*range(18, 10, -1), *range(21, 29)]  # 1 to 16 from the patient's right, in either jaw
TEETH = {
    "upper": {str(fdi): own for own, fdi in enumerate(RING, start=1)},
    "lower": {str(fdi + (30 if fdi < 20 else 10)): own for own, fdi in enumerate(RING, start=1)},
}


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """Numbers 1 to 16 in either jaw, 99 for gingiva, in an array of another name."""
    file = tmp_path / "numbers.json"
    file.write_text(json.dumps({"mine": {"background": 99, "array": "my_label", **TEETH}}))
    return f"{file}:mine"


def test_the_jaw_says_which_tooth_it_is(mine: str) -> None:
    numbering = load_numbering(mine)
    assert numbering.to_fdi(np.array([99, 1, 9, 16, 0]), UPPER).tolist() == [0, 18, 21, 28, -1]
    assert numbering.to_fdi(np.array([99, 1, 9, 16, 0]), LOWER).tolist() == [0, 48, 31, 38, -1]
    with pytest.raises(LabelError, match="need a known jaw"):
        numbering.to_fdi(np.array([1]), UNKNOWN_JAW)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "neither `upper` nor `lower` has a tooth"),
        ({"upper": {"11": 1, "12": 1}}, "1 is both 11 and 12"),
        ({"upper": {"11": 0}}, "0 is both 0 and 11"),
        ({"upper": {"99": 1}}, "99 is no FDI number of a permanent tooth"),
        ({"upper": [1]}, "expected per jaw, `upper` and `lower`, FDI numbers"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: dict[str, object], message: str) -> None:
    file = tmp_path / "numbers.json"
    file.write_text(json.dumps({"mine": content}))
    with pytest.raises(ConfigError, match=message):
        load_numbering(f"{file}:mine")


def test_an_array_of_another_name(mine: str, arch: Mesh, tmp_path: Path) -> None:
    own = {int(fdi): number for fdi, number in TEETH["upper"].items()} | {0: 99}
    numbers = [own[label] for label in arch.labels.tolist()]
    lines = ["ply", "format ascii 1.0", f"element vertex {len(arch.vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"element face {len(arch.faces)}", "property list uchar int vertex_indices", "property int my_label"]
    lines += ["end_header", *(" ".join(map(str, vertex)) for vertex in arch.vertices.tolist())]
    rows = zip(arch.faces.tolist(), numbers, strict=True)
    lines += [f"3 {' '.join(map(str, face))} {number}" for face, number in rows]
    scan = tmp_path / "a_upper.ply"
    scan.write_text("\n".join(lines) + "\n")
    assert read_scan(scan).labels is None
    np.testing.assert_array_equal(read_scan(scan, label_system=mine).labels, arch.labels)


def test_the_commands_take_it(mine: str, arch: Mesh, tmp_path: Path, command) -> None:
    own = {int(fdi): number for fdi, number in TEETH["upper"].items()} | {0: 99}
    for folder, labels in (("scans", arch.labels), ("found", arch.labels)):
        (tmp_path / folder).mkdir()
        write_txt(tmp_path / folder / "a_upper.txt", np.array([own[label] for label in labels.tolist()]))
    write_stl(tmp_path / "scans" / "a_upper.stl", arch.vertices, arch.faces)
    out = tmp_path / "scores.json"
    given = ("evaluate", tmp_path / "scans", "--predictions", tmp_path / "found", "--out", out)
    done = command(*given, "--label-system", mine, "--predictions-label-system", mine)
    assert done.code == 0, done.err
    assert json.loads(out.read_text())["scores"]["miou"] == 1.0
    assert "FILE:SET for one of your own" in command(*given).err
    assert "contains no label system 'mime'" in command(*given, "--label-system", mine.replace("mine", "mime")).error
    toml = tmp_path / "run.toml"
    toml.write_text(f'label_system = "{mine.replace("mine", "mime")}"\n')
    given = ("finetune", tmp_path / "scans", "--out", tmp_path / "run", "--config", toml)
    assert "contains no label system 'mime'" in command(*given).error


def test_another_content_is_another_recipe(mine: str) -> None:
    """Graphs that are kept are not taken for those of a file that was changed since."""
    options = PrepareOptions(GraphSpec(), 1, 0, label_system=mine)
    before = options.digest()
    file = Path(mine.rpartition(":")[0])
    file.write_text(file.read_text().replace("my_label", "other"))
    assert options.digest() != before
    assert PrepareOptions(GraphSpec(), 1, 0).content()["numbering"] == "auto"
