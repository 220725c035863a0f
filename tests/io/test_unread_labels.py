"""A scan whose labels lie where nobody looks: the message names the place and the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toothgraph.io.unread_labels import unread_labels

HEAD = "ply\nformat ascii 1.0\nelement vertex 4\n" + "".join(f"property float {axis}\n" for axis in "xyz")
FACES = "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
CORNERS = ("0 0 0", "40 0 0", "0 40 0", "40 40 1")


def scan_of(path: Path, columns: str, values: tuple[str, str, str, str]) -> Path:
    vertices = "".join(f"{corner} {value}\n" for corner, value in zip(CORNERS, values, strict=True))
    path.write_text(f"{HEAD}{columns}{FACES}{vertices}3 0 1 2\n3 1 3 2\n")
    return path


@pytest.mark.parametrize(
    ("columns", "values", "said"),
    [
        ("property int my_label\n", ("0", "3", "3", "16"), "the vertex array `my_label` (0 to 16) is not read: say"),
        ("property float height\n", ("0.5", "3", "3", "16"), "expected a .txt or .json beside it"),
        ("property int shade\n", ("5", "5", "5", "5"), "expected a .txt or .json beside it"),
        (
            "property uchar red\nproperty uchar green\nproperty uchar blue\n", ("9 9 9", "1 2 3", "9 9 9", "9 9 9"),
            "it has 2 colours (9 9 9, 1 2 3): if they are labels, say with --palette",
        ),
    ],
)  # fmt: skip
def test_in_the_file(tmp_path: Path, columns: str, values: tuple[str, str, str, str], said: str) -> None:
    assert said in unread_labels(scan_of(tmp_path / "x_upper.ply", columns, values))


def test_beside_the_file_and_in_the_commands(tmp_path: Path, command) -> None:
    scan = scan_of(tmp_path / "x_upper.ply", "property int my_label\n", ("0", "3", "3", "16"))
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "x_upper.txt").write_text("11 12")
    given = ("evaluate", scan, "--predictions", tmp_path / "found", "--out", tmp_path / "scores.json")
    assert "no labels to score against; the vertex array `my_label` (0 to 16)" in command(*given).err
    assert "the vertex array `my_label` (0 to 16)" in command("convert", scan, "--out", tmp_path / "out").err
    np.save(tmp_path / "x_upper.npy", np.array([[11], [12]]))
    said = unread_labels(scan)
    assert said.startswith("x_upper.npy is not read: ")
    np.savetxt(tmp_path / "x_upper.txt", np.load(tmp_path / "x_upper.npy").ravel(), fmt="%d")  # as it says
    assert "np.savetxt('x_upper.txt', np.load('x_upper.npy').ravel(), fmt='%d')" in said
    (tmp_path / "found" / "x_upper.txt").rename(tmp_path / "found" / "x_upper.npy")
    assert "x_upper.npy, which is not read: write it as text" in command(*given).err
