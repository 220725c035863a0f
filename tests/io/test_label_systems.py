from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import LabelError
from toothgraph.fdi import FDI_OF_CLASS, LOWER, UNKNOWN_JAW, UPPER, fdi_to_class
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.label_systems import guess_system, palmer_name, to_fdi, to_universal, universal_name
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.io.write import write_txt
from toothgraph.mesh.mesh import Mesh


@pytest.mark.parametrize(
    ("numbers", "name", "expected"),
    [
        ([0, -1, 11, 28, 17], "Label", "fdi"),
        ([0], "Label", "fdi"),
        ([], "Label", "fdi"),
        (range(15), "Label", "arch14"),
        ([0, 4, 5, 6, 7], "Label", "arch14"),
        (range(1, 10), "Label", "arch14"),  # more teeth than a quadrant has
        (range(9), "Label", "unsure"),  # a quadrant, or kinds of teeth
        ([0, 1], "Label", "unsure"),
        ([0, 1, 2], "Label", "unsure"),
        ([-1, 2, 5, 9], "Label", "unsure"),
        ([0, 1, 2, 3], "UniversalID", "universal"),
        ([0, 20, 22], "Label", "universal"),
        ([0, 2, 3, 14, 15], "Label", "universal"),
        (range(17, 33), "Label", "universal"),
        (range(40), "Label", "none"),  # no system counts that far: clusters, not teeth
        ([0, 51, 55, 99], "Label", "fdi"),
        ([11, 12, 13, 21, 22, 19], "Label", "fdi"),  # a slip, not another system
        ([0, 17, 18, 19], "my_fdi", "fdi"),
        ([17, 18], "UniversalID", "universal"),
    ],
)
def test_guess(numbers, name: str, expected: str) -> None:
    assert guess_system(np.array(numbers, dtype=int), name) == expected


def strip(path: Path, labels: list[int], name: str = "label") -> Path:
    """A PLY of triangles in a row, each with a number in an array and the colour red."""
    places = [f"{9 * i} {9 * (i % 2)} 0" for i in range(len(labels) + 2)]
    rows = [f"3 {i} {i + 1} {i + 2} 255 0 0 {label}" for i, label in enumerate(labels)]
    colours = "".join(f"property uchar {channel}\n" for channel in ("red", "green", "blue"))
    path.write_text(
        f"ply\nformat ascii 1.0\nelement vertex {len(places)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(rows)}\nproperty list uchar int vertex_indices\n{colours}property int {name}\nend_header\n"
        + "\n".join([*places, *rows])
        + "\n"
    )
    return path


def test_two_or_three_classes_are_no_teeth_until_somebody_says_so(tmp_path: Path) -> None:
    scan = strip(tmp_path / "x_upper.ply", [0, 1, 2, 3, 3, 0])
    with pytest.raises(
        LabelError,
        match=r"x_upper\.ply: expected numbers of teeth, found the labels 1, 2, 3, .*"
        r"arch14 or universal \(--label-system; in Python label_system=\); if not, .* another name",
    ):
        read_scan(scan)
    assert read_scan(scan, label_system="arch14").labels.tolist() == [0, 17, 16, 15, 15, 0]  # a true quadrant
    assert read_scan(scan, label_system="universal").labels.tolist() == [0, 18, 17, 16, 16, 0]
    assert read_scan(strip(tmp_path / "y_upper.ply", [0, 1, 2], name="margin")).labels is None
    assert read_scan(strip(tmp_path / "z_upper.ply", [0, 1, 2], name="universal_id")).labels.tolist() == [0, 18, 17]


def test_a_palette_goes_before_an_array_that_may_be_no_teeth(tmp_path: Path, caplog) -> None:
    scan, palette = strip(tmp_path / "x_upper.ply", [0, 1, 2]), tmp_path / "p.json"
    palette.write_text('{"p": {"background": [9, 9, 9], "upper": {"11": [255, 0, 0]}, "lower": {}}}')
    assert read_scan(scan, palette=load_palette(f"{palette}:p")).labels.tolist() == [11, 11, 11]
    assert "the array `label` may not be numbers of teeth; the palette is used instead" in caplog.text


def test_other_programs_with_classes_are_told_their_own_option(command, tmp_path: Path) -> None:
    truth, found = tmp_path / "truth", tmp_path / "found"
    for folder in (truth, found):
        folder.mkdir()
    strip(truth / "x_upper.ply", [0, 11, 12, 13], name="fdi")
    strip(found / "x_upper.ply", [0, 1, 2, 3])
    done = command("evaluate", truth, "--predictions", found, "--out", tmp_path / "scores.json")
    assert done.code == 1 and "arch14 or universal (--predictions-label-system)" in done.err, done.err


def test_names_in_other_systems() -> None:
    assert [universal_name(fdi) for fdi in (18, 16, 28, 38, 48, 55, 51, 65, 75, 85)] == [
        "1", "3", "16", "17", "32", "A", "E", "J", "K", "T"
    ]  # fmt: skip
    assert [palmer_name(fdi) for fdi in (16, 21, 38, 41, 55, 61, 74, 83)] == [
        "UR6", "UL1", "LL8", "LR1", "URE", "ULA", "LLD", "LRC"
    ]  # fmt: skip
    for name in (universal_name, palmer_name):
        with pytest.raises(ValueError, match="expected the FDI number of a tooth, 11 to 48 or 51 to 85, got 56"):
            name(56)


def test_letters_are_primary_teeth(tmp_path: Path) -> None:
    vertices = np.array([[0, 0, 0], [40, 0, 0], [0, 40, 0], [40, 40, 1.0]])
    write_stl(tmp_path / "child_upper.stl", vertices, np.array([[0, 1, 2], [1, 3, 2]]))
    (tmp_path / "child_upper.txt").write_text("A\n3\n")
    scan = tmp_path / "child_upper.stl"
    assert read_scan(scan, label_system="universal", primary=True).labels.tolist() == [55, 16]
    assert read_scan(scan, label_system="universal").labels.tolist() == [-1, 16]  # the nets do not know it
    with pytest.raises(LabelError, match="expected one FDI number per face"):
        read_scan(scan)


def test_universal_goes_round_both_jaws() -> None:
    fdi = to_fdi(np.arange(35), "universal", UNKNOWN_JAW)
    assert fdi[[0, 1, 8, 9, 16, 17, 24, 25, 32, 33, 34]].tolist() == [0, 18, 11, 21, 28, 38, 31, 41, 48, 0, -1]
    assert to_universal(np.r_[-1, fdi[:33]]).tolist() == [-1, *range(33)]
    primary = np.array([55, 65, 75, 85])
    assert to_fdi(to_universal(primary), "universal", UNKNOWN_JAW).tolist() == primary.tolist()
    assert sorted(fdi[1:33]) == sorted(FDI_OF_CLASS[1:])
    assert to_universal(np.array([18.0, -1.0])).tolist() == [1, -1]
    for wrong in (50, 123, -7, 11.5):
        with pytest.raises(LabelError, match="labels as"):
            to_universal(np.array([11, wrong]))


def test_fourteen_along_a_jaw() -> None:
    numbers = np.array([0, 1, 7, 8, 14, 15, -1])
    assert to_fdi(numbers, "arch14", UPPER).tolist() == [0, 17, 11, 21, 27, -1, -1]
    assert to_fdi(numbers, "arch14", LOWER).tolist() == [0, 37, 31, 41, 47, -1, -1]
    with pytest.raises(LabelError, match="fdi, universal or arch14"):
        to_fdi(numbers, "none", UPPER)
    with pytest.raises(LabelError, match="which jaw it is"):
        to_fdi(numbers, "arch14", UNKNOWN_JAW)


def test_class_indices_of_a_jaw_are_no_fdi_numbers(arch: Mesh, tmp_path: Path, caplog) -> None:
    """1 to 16: of an upper jaw, those from 11 on look like teeth, so that less than 60 % are strange."""
    scan = tmp_path / "x_upper.stl"
    write_stl(scan, arch.vertices, arch.faces)
    index = fdi_to_class(np.where(np.isin(arch.labels, [11, 12, 13]), 0, arch.labels))
    assert (index > 10).sum() > 0.4 * (index > 0).sum()
    write_txt(scan.with_suffix(".txt"), index)
    with pytest.raises(LabelError, match=r"faces: 4, 5, 6, 7, 9, 10.*: fdi, universal, arch14, or FILE:SET"):
        read_scan(scan)
    write_txt(scan.with_suffix(".txt"), np.where(arch.labels == 17, 8, arch.labels))
    assert set(read_scan(scan).labels[arch.labels == 17]) == {-1} and "not FDI numbers" in caplog.text


def test_a_label_file_is_fdi_unless_told_otherwise(arch: Mesh, tmp_path: Path, caplog) -> None:
    scan = tmp_path / "x_upper.stl"
    write_stl(scan, arch.vertices, arch.faces)
    universal = np.where(np.arange(len(arch.faces)) % 2, 8, 9)
    scan.with_suffix(".txt").write_text(" ".join(map(str, universal)))
    with pytest.raises(LabelError, match=r"expected fdi numbers, found other labels .*in Python label_system="):
        read_scan(scan)
    assert set(read_scan(scan, label_system="universal").labels) == {11, 21}
    assert set(read_scan(scan, label_system="arch14").labels) == {21, 22}
    with pytest.raises(LabelError, match="expected a label system of auto, fdi"):
        read_scan(scan, label_system="palmer")
    for file in (scan, scan.with_suffix(".txt")):
        file.rename(tmp_path / f"x{file.suffix}")
    with pytest.raises(LabelError, match=r"x\.txt: labels from 1 to 14 \(arch14\) need a known jaw"):
        read_scan(tmp_path / "x.stl", label_system="arch14")


def test_commands_take_the_numbering(command, segmenter: Path, arch: Mesh, tmp_path: Path) -> None:
    scan, scores = tmp_path / "x_upper.stl", tmp_path / "scores.json"
    write_stl(scan, arch.vertices, arch.faces)
    place = {0: 0} | {int(fdi): number for number, fdi in enumerate([*range(18, 10, -1), *range(21, 29)], 1)}
    scan.with_suffix(".txt").write_text(" ".join(str(place[fdi]) for fdi in arch.labels.tolist()))
    done = command("evaluate", scan, "--model", segmenter, "--out", scores, "--label-system", "universal")
    assert done.code == 0 and "unknown" not in done.err, done.err


@pytest.mark.parametrize("label_system", ["auto", "universal", "arch14"])
def test_a_palette_gives_fdi_whatever_the_numbering(label_system: str, arch: Mesh, tmp_path: Path) -> None:
    scan, palette = tmp_path / "x_upper.ply", tmp_path / "p.json"
    rows = [f"{x} {y} {z}" for x, y, z in arch.vertices]
    where = "0 255 0" if label_system == "auto" else "255 0 0"
    rows += [f"3 {a} {b} {c} {where} {1 + i % 99}" for i, (a, b, c) in enumerate(arch.faces)]
    scan.write_text(
        f"ply\nformat ascii 1.0\nelement vertex {len(arch.vertices)}\nproperty float x\nproperty float y\n"
        f"property float z\nelement face {len(arch.faces)}\nproperty list uchar int vertex_indices\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nproperty int "
        + ("label\n" if label_system == "auto" else "id\n")
        + "end_header\n"
        + "\n".join(rows)
        + "\n"
    )
    palette.write_text('{"p": {"background": [9, 9, 9], "upper": {"11": [255, 0, 0], "16": [0, 255, 0]}, "lower": {}}}')
    labels = read_scan(scan, palette=load_palette(f"{palette}:p"), label_system=label_system).labels
    assert set(labels) == ({16} if label_system == "auto" else {11})
