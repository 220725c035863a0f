"""Whatever is in a file, it is read or refused; what is written reads back; no name leads out of a folder."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from toothgraph.data.prepared.folder import scan_file
from toothgraph.data.split import load_split
from toothgraph.errors import ConfigError, DataError, ToothgraphError
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.labels import read_labels, read_scan
from toothgraph.io.palette import load_palette
from toothgraph.io.read import mesh_from_stored, read_mesh
from toothgraph.io.write import write_labelled
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import faces_to_original
from toothgraph.mesh.stored import Stored
from toothgraph.training.config import FINETUNE_PRESETS, FinetuneConfig, make_config

often = settings(max_examples=60, deadline=None, derandomize=True, database=None)
rarely = settings(often, max_examples=15)

numbers = st.one_of(
    st.integers(-3, 9).map(str),
    st.floats(-80, 80).map(str),
    st.sampled_from(["4294967295", "-1", "1e400", "nan", "99999999999999999999", "1/2/3", "1//3", ""]),
)
lines = st.lists(st.lists(numbers, max_size=5), max_size=12)


def text_of(head: str, keyword: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """A header, then lines of a keyword and numbers."""
    line = st.builds(lambda word, rest: " ".join([word, *rest]), keyword, st.lists(numbers, max_size=5))
    return st.lists(line, max_size=12).map(lambda rows: (head + "\n".join(rows) + "\n").encode())


STL_COUNT = st.one_of(st.integers(0, 5), st.just(0xFFFFFFFF))
CONTENTS = {
    "off": st.one_of(text_of("OFF\n", st.just("")), text_of("COFF\n3 1 0\n", st.just("")), st.binary(max_size=200)),
    "obj": st.one_of(text_of("", st.sampled_from(["v", "f", "vn", "vt", "usemtl", "#"])), st.binary(max_size=200)),
    "stl": st.one_of(
        text_of("solid x\n", st.sampled_from(["facet normal", "outer loop", "vertex", "endloop", "endfacet"])),
        st.builds(lambda count, rest: bytes(80) + struct.pack("<I", count) + rest, STL_COUNT, st.binary(max_size=300)),
    ),
    "ply": st.builds(
        lambda kind, vertices, faces, rest: (
            f"ply\nformat {kind} 1.0\nelement vertex {vertices}\nproperty float x\nproperty double y\n"
            f"property uchar z\nelement face {faces}\nproperty list uchar int vertex_indices\nend_header\n".encode()
            + rest
        ),
        st.sampled_from(["ascii", "binary_little_endian", "binary_big_endian"]),
        numbers,
        numbers,
        st.one_of(st.binary(max_size=200), lines.map(lambda rows: "\n".join(map(" ".join, rows)).encode())),
    ),
}


def read_or_refused(read: Callable[[], object]) -> object:
    """What is read, or nothing; any other exception than one of ours fails the test."""
    try:
        return read()
    except ToothgraphError as error:
        assert str(error).strip()
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


@pytest.mark.parametrize("suffix", list(CONTENTS))
def test_any_surface_is_read_or_refused(suffix: str, folder: Path) -> None:
    @often
    @given(CONTENTS[suffix])
    def check(content: bytes) -> None:
        file = folder / f"x_upper.{suffix}"
        file.write_bytes(content)
        mesh = read_or_refused(lambda: read_mesh(file))
        assert mesh is None or (isinstance(mesh, Mesh) and len(mesh.faces) and np.isfinite(mesh.vertices).all())

    check()


scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 60), st.integers(), st.floats(), st.text(max_size=8))
known = st.sampled_from(["train", "val", "label_fraction_percent", "50", "p", "background", "upper", "lower", "11",
                         "31", "labels", "instances", "jaw", "id_patient"])  # fmt: skip
contents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(known | st.text(max_size=4), inner)),
    max_leaves=10,
)


@often
@given(contents)
def test_any_json_is_read_or_refused(folder: Path, arch: Mesh, content: Any) -> None:
    file = folder / "y_upper.json"
    file.write_text(json.dumps(content))
    read_or_refused(lambda: load_palette(f"{file}:p"))
    read_or_refused(lambda: load_split(file))
    labels = read_or_refused(lambda: read_labels(file.with_suffix(".stl"), arch))
    assert labels is None or (isinstance(labels, np.ndarray) and labels.shape == (len(arch.faces),))


options = st.sampled_from([*vars(FinetuneConfig()), "strange"])
tables = st.dictionaries(st.sampled_from(["graph", "widths", "faces", "missing", "rotation", "classes"]), scalars)


@often
@given(st.dictionaries(options, scalars | tables | st.lists(scalars, max_size=3), max_size=4))
def test_any_option_is_taken_or_refused(values: dict[str, Any]) -> None:
    try:
        config = make_config(FINETUNE_PRESETS, "default", [("a file", values)])
    except ConfigError as error:
        assert "a file" in str(error) or any(name in str(error) for name in values)
    else:
        assert config.steps >= 1 and config.lr > 0 and 0 <= config.label_fraction <= 1
        assert all(getattr(config, name) is not None for name in values if name != "epochs")


@often
@given(st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "/", "a", "\\", "~"])).map("".join))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    place = Path("/prepared")
    try:
        file = scan_file(place, name)
    except DataError:
        return
    assert file.parent == place / "scans" and ".." not in file.parts


SIDE = 6
_corner = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
_a, _b, _c, _d = _corner[:-1, :-1], _corner[1:, :-1], _corner[1:, 1:], _corner[:-1, 1:]
SHEET = np.stack([np.stack([_a, _b, _c], -1), np.stack([_a, _c, _d], -1)]).reshape(-1, 3)
TEETH = np.array([0, *range(11, 19), *range(21, 29)])
FACES = len(SHEET)


@rarely
@given(
    heights=arrays.arrays(np.float64, SIDE * SIDE, elements=st.floats(-5, 5, width=32)),
    order=st.permutations(range(FACES)),
    turns=arrays.arrays(np.int64, FACES, elements=st.integers(0, 2)),
    teeth=arrays.arrays(np.int64, FACES, elements=st.integers(0, len(TEETH) - 1)),
    suffix=st.sampled_from(["ply", "vtp", "vtk"]),
)
def test_what_is_written_reads_back(folder: Path, heights, order, turns, teeth, suffix) -> None:
    if suffix != "ply":
        pytest.importorskip("vtk")
    x, y = np.divmod(np.arange(SIDE * SIDE), SIDE)
    vertices = np.stack([6.0 * x, heights, 6.0 * y], axis=1)
    faces = np.take_along_axis(SHEET[list(order)], (np.arange(3) + turns[:, None]) % 3, axis=1)
    mesh = mesh_from_stored(folder / "z_upper.stl", Stored(vertices, faces))
    labels = TEETH[teeth]
    write_labelled(folder, "z_upper", mesh, labels, formats=[suffix])
    again = read_scan(folder / f"z_upper.{suffix}")
    assert again.labels is not None
    assert np.array_equal(faces_to_original(again, again.labels), labels)
    np.testing.assert_allclose(again.vertices[again.faces], vertices[faces], atol=1e-5)


@rarely
@given(arrays.arrays(np.float32, (30, 3), elements=st.floats(-60, 60, width=32)))
def test_an_stl_keeps_every_corner(folder: Path, corners: np.ndarray) -> None:
    file = folder / "s_lower.stl"
    write_stl(file, corners, np.arange(30).reshape(-1, 3))
    mesh = read_or_refused(lambda: read_mesh(file))
    if isinstance(mesh, Mesh):
        kept = {tuple(sorted(map(tuple, face))) for face in corners.reshape(-1, 3, 3).tolist()}
        found = {tuple(sorted(map(tuple, face))) for face in mesh.vertices[mesh.faces].astype(np.float32).tolist()}
        assert found <= kept
