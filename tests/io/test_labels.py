from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from toothgraph.cli.predict import without_outputs
from toothgraph.data.prepared.sources import Source
from toothgraph.errors import ConfigError, DataError, LabelError, ShapeError
from toothgraph.fdi import jaw_of_labels
from toothgraph.io.find import find_scans
from toothgraph.io.formats.ply import write_ply
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.label_folder import with_labels_of
from toothgraph.io.labels import read_labels, read_scan
from toothgraph.io.palette import Palette, load_palette
from toothgraph.io.read import read_mesh
from toothgraph.io.write import count_instances, write_labelled, write_teeth3ds_json, write_txt
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import vertices_to_original
from toothgraph.scan_names import jaw_from_name
from toothgraph.synthetic import synthetic_arch

OBJ = "v 0 0 0\nv 40 0 0\nv 40 40 0\nv 0 40 5\nv 80 0 0\nf 1 2 3 4\nf 1 2 2\nf 2 5 3\n"
PALETTE = Palette(
    "test",
    np.array([0, 11, 12, 31]),
    np.array([[255, 255, 255], [250, 0, 0], [0, 250, 0], [0, 10, 250]]),
)


@pytest.fixture
def quad(tmp_path: Path) -> Path:
    """A quad, a flat face and a triangle: three stored faces, three clean ones, five vertices."""
    path = tmp_path / "scan_upper.obj"
    path.write_text(OBJ)
    return path


def write_coloured(path: Path, vertex_rgb: np.ndarray | None, face_rgb: np.ndarray | None) -> Path:
    """The mesh of ``quad`` without its flat face, as an ASCII PLY with colours."""
    channels = "property uchar red\nproperty uchar green\nproperty uchar blue\n"
    header = "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
    header += channels * (vertex_rgb is not None) + "element face 2\nproperty list uchar int vertex_indices\n"
    header += channels * (face_rgb is not None) + "end_header\n"
    points = ["0 0 0", "40 0 0", "40 40 0", "0 40 5", "80 0 0"]
    rows = [(points, vertex_rgb), (["4 0 1 2 3", "3 1 4 2"], face_rgb)]
    for lines, colours in rows:
        for k, line in enumerate(lines):
            header += line + (" " + " ".join(map(str, colours[k])) if colours is not None else "") + "\n"
    path.write_text(header)
    return path


def test_txt_per_face_counts_the_files_faces(quad: Path) -> None:
    assert read_scan(quad).labels is None
    quad.with_suffix(".txt").write_text("11\n12\n0\n")
    np.testing.assert_array_equal(read_scan(quad).labels, [11, 11, 0])
    np.testing.assert_array_equal(read_labels(quad, read_mesh(quad)), [11, 11, 0])


def test_txt_per_vertex(quad: Path) -> None:
    quad.with_suffix(".txt").write_text("0\n12\n12\n12\n13\n")
    np.testing.assert_array_equal(read_scan(quad).labels, [12, 12, 12])


def test_labels_per_vertex_are_kept_as_the_file_has_them(quad: Path) -> None:
    quad.with_suffix(".txt").write_text("0\n12\n55\n-1\n13\n")
    original = read_scan(quad).original
    assert original is not None
    np.testing.assert_array_equal(original.vertex_labels, [0, 12, -1, -1, 13])
    quad.with_suffix(".txt").write_text("11\n12\n0\n")  # per face
    original = read_scan(quad).original
    assert original is not None and original.vertex_labels is None


def test_vertex_labels_of_another_numbering_become_fdi(quad: Path) -> None:
    quad.with_suffix(".txt").write_text("0\n1\n16\n33\n8\n")
    original = read_scan(quad, label_system="universal").original
    assert original is not None
    np.testing.assert_array_equal(original.vertex_labels, [0, 18, 28, 0, 11])  # 33 is the gum


@pytest.mark.parametrize(
    ("corners", "expected"),
    [((0, 11, 11), 11), ((0, 0, 11), 0), ((0, 12, 11), 11), ((0, -1, 12), 12), ((-1, -1, -1), -1)],
)
def test_face_label_from_its_corners(corners: tuple[int, ...], expected: int, quad: Path) -> None:
    labels = [0, corners[0], corners[1], 0, corners[2]]
    quad.with_suffix(".json").write_text(json.dumps({"labels": labels}))
    found = read_scan(quad).labels
    assert found is not None and found[2] == expected


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("txt", "11\n12\n", ["expected 3 labels", "found 2", "5 vertices"]),
        ("txt", "11\ntooth\n0\n", ["one FDI number per face", "tooth"]),
        ("txt", "11\n11.5\n0\n", ["whole FDI numbers", "11.5"]),
        ("json", '{"labels": [11, 12, 0]}', ["expected 5 labels", "found 3"]),
        ("json", '{"labels": [11, null, 0, "a", 2]}', ["list of FDI numbers"]),
        ("json", '{"labels": [11,', ["expected a JSON label file"]),
        ("json", '{"labels": [[1, 2], [3, 4]]}', ["expected 5 labels"]),
    ],
)
def test_labels_that_do_not_fit(name: str, content: str, words: list[str], quad: Path) -> None:
    beside = quad.with_suffix(f".{name}")
    beside.write_text(content)
    with pytest.raises(LabelError) as caught:
        read_scan(quad)
    for word in [str(beside), *words]:
        assert word in str(caught.value)


def test_txt_comes_before_json_and_other_json_is_no_label_file(quad: Path) -> None:
    quad.with_suffix(".json").write_text('{"software": "scanner"}')
    assert read_scan(quad).labels is None
    quad.with_suffix(".json").write_text(json.dumps({"labels": [21] * 5}))
    np.testing.assert_array_equal(read_scan(quad).labels, [21] * 3)
    quad.with_suffix(".txt").write_text("21 21 0")  # so few faces that it may be the border
    np.testing.assert_array_equal(read_scan(quad).labels, [21, 21, 0])


def test_primary_teeth_and_strange_codes_are_unknown(quad: Path, caplog: pytest.LogCaptureFixture) -> None:
    quad.with_suffix(".txt").write_text("55\n0\n99\n")
    with caplog.at_level(logging.WARNING, "toothgraph"):
        labels = read_scan(quad).labels
    np.testing.assert_array_equal(labels, [-1, -1, -1])
    assert len(caplog.records) == 1
    assert all(word in caplog.text for word in ("scan_upper", "3 of 3", "55, 99"))


def test_arrays_in_the_file(patch: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    write_ply(path, patch.vertices, patch.faces, np.full(len(patch.vertices), 48), patch.labels)
    np.testing.assert_array_equal(read_scan(path).labels, patch.labels)  # faces before vertices
    text = path.read_bytes()
    path.write_bytes(text[::-1].replace(b"idf", b"xxx", 1)[::-1])  # hide the last `fdi`, that of the faces
    labels = read_scan(path).labels
    np.testing.assert_array_equal(labels, np.full(3200, 48))
    assert read_scan(path).jaw == 1 and read_scan(path, jaw=0).jaw == 0


def test_stl_with_labels_beside_it(patch: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "a.stl"
    write_stl(path, patch.vertices, patch.faces)
    write_txt(path.with_suffix(".txt"), patch.labels)
    np.testing.assert_array_equal(read_scan(path).labels, patch.labels)
    path.with_suffix(".txt").unlink()
    write_teeth3ds_json(path.with_suffix(".json"), np.full(len(patch.vertices), 36), jaw=1)
    np.testing.assert_array_equal(read_scan(path).labels, np.full(3200, 36))


def test_colours_snap_within_tolerance(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    colours = np.array([[240, 6, 9], [90, 90, 90], [250, 0, 0], [250, 0, 0], [240, 6, 9]])
    path = write_coloured(tmp_path / "a.ply", colours, None)
    assert read_scan(path).labels is None
    with caplog.at_level(logging.WARNING, "toothgraph"):
        mesh = read_scan(path, palette=PALETTE)
    assert mesh.original is not None
    np.testing.assert_array_equal(mesh.original.vertex_labels, [11, -1, 11, 11, 11])
    assert "1 of 5 vertex colours are not in palette test, most often [90, 90, 90]; they" in caplog.text
    assert mesh.jaw == 0


def test_the_palette_of_other_scans_gives_no_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_coloured(tmp_path / "a.ply", None, np.array([[90, 90, 90], [90, 90, 90]]))
    assert read_scan(path, palette=PALETTE).labels is None
    assert "are not in palette test, most often [90, 90, 90], and only 0 are colours of its teeth" in caplog.text
    assert "Is it the palette of these scans?" in caplog.text
    caplog.clear()
    gum = write_coloured(tmp_path / "b.ply", None, np.array([[255, 255, 255], [255, 255, 255]]))
    labels = read_scan(gum, palette=PALETTE).labels
    assert labels is not None and not labels.any() and not caplog.records


def test_colours_of_both_jaws_are_those_of_the_palette(tmp_path: Path) -> None:
    path = write_coloured(tmp_path / "a_lower.ply", None, np.array([[250, 0, 0], [0, 250, 0]]))
    assert read_scan(path, palette=PALETTE).labels is not None


def test_the_numbering_of_other_scans_is_refused(quad: Path) -> None:
    quad.with_suffix(".txt").write_text("36\n36\n0\n")
    with pytest.raises(LabelError, match="expected universal numbers, found other labels on 2 of 3 faces"):
        read_scan(quad, label_system="universal")
    quad.with_suffix(".txt").write_text("3\n3\n75\n")
    with pytest.raises(LabelError, match="expected fdi numbers, found other labels on 2 of 3 faces"):
        read_scan(quad)
    quad.with_suffix(".txt").write_text("75\n75\n74\n")  # milk teeth: unknown, but no mistake
    np.testing.assert_array_equal(read_scan(quad).labels, [-1, -1, -1])


def test_which_colours_count(tmp_path: Path) -> None:
    exact = np.array([[250, 0, 0]] * 5)
    near = np.array([[0, 245, 0]] * 2)
    path = write_coloured(tmp_path / "a.ply", exact, near)
    np.testing.assert_array_equal(read_scan(path, palette=PALETTE).labels, [11] * 3)
    on_faces = Palette("test", PALETTE.fdi, PALETTE.rgb, where="face")
    np.testing.assert_array_equal(read_scan(path, palette=on_faces).labels, [12] * 3)
    path.with_suffix(".txt").write_text("0\n0\n")
    np.testing.assert_array_equal(read_scan(path, palette=PALETTE).labels, [0] * 3)


def test_colours_are_believed_over_the_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_coloured(tmp_path / "a_upper.ply", None, np.array([[0, 10, 250], [0, 10, 250]]))
    with caplog.at_level(logging.WARNING, "toothgraph"):
        mesh = read_scan(path, palette=PALETTE)
    np.testing.assert_array_equal(mesh.labels, [31] * 3)
    assert mesh.jaw == 0 and "lower" in caplog.text


def test_obj_with_vertex_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0 1 1 1\nv 40 0 0 0 0.98 0\nv 40 40 0 0 0.98 0\nf 1 2 3\n")
    np.testing.assert_array_equal(read_scan(path, palette=PALETTE).labels, [12])


def test_find_scans(tmp_path: Path) -> None:
    for name in ("b/2.ply", "b/1.STL", "a.obj", "b/.hidden.ply", ".cache/3.ply", "b/notes.txt", "b/c/4.off"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [str(path.relative_to(tmp_path)) for path in find_scans([tmp_path])]
    assert names == ["a.obj", "b/1.STL", "b/2.ply", "b/c/4.off"]
    assert find_scans([tmp_path / "b" / "2.ply", tmp_path / "b"])[0].name == "2.ply"
    assert len(find_scans([tmp_path / "b" / "2.ply", tmp_path / "b"])) == 3
    with pytest.raises(DataError, match="no such file or folder"):
        find_scans([tmp_path / "missing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found no scans"):
        find_scans([tmp_path / "empty"])


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    for name in ("cases/ben/1.ply", "cases/ben/more/2.ply", "store/anna/3.ply", "store/cleo/4.ply", "store/5.ply"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    cases, anna = tmp_path / "cases", tmp_path / "store" / "anna"
    for link, place in {
        cases / "anna": anna, cases / "anna2": anna, cases / "again": cases / "ben", cases / "loop": cases,
        cases / "up": tmp_path, cases / "ben" / "lost": tmp_path / "none", anna / "cleo": tmp_path / "store" / "cleo",
        anna / "back": cases, cases / "whole": tmp_path / "store",
    }.items():  # fmt: skip
        link.symlink_to(place, target_is_directory=True)
    names = [str(path.relative_to(cases)) for path in find_scans([cases])]
    assert names == ["ben/1.ply", "ben/more/2.ply", "anna/3.ply", "whole/5.ply", "whole/cleo/4.ply"]
    inside = without_outputs(find_scans([cases]), (cases,), tmp_path / "store")
    assert [path.name for path in inside] == ["1.ply", "2.ply"]  # of --out, also behind a link
    assert find_scans([cases / "anna2"])[0] == cases / "anna2" / "3.ply"  # a link that is given


def check_real(folder: Path, palette: Palette, path: Path) -> int:
    """Labels, jaw and count of teeth of one real arch; returns its unknown faces."""
    mesh = read_scan(path, palette=palette)
    assert mesh.labels is not None
    assert mesh.jaw == jaw_from_name(path) == jaw_of_labels(mesh.labels) != -1
    assert 11 <= len(np.unique(mesh.labels[mesh.labels > 0])) <= 16
    return int((mesh.labels < 0).sum())


@pytest.mark.parametrize("name", ["3d-iosseg/007_L.ply", "3d-iosseg/045_U.ply", "teeth3ds/CLNVA9MZ_lower.ply"])
def test_a_real_scan(name: str, data_dir: Path) -> None:
    palette = load_palette(f"{data_dir / 'palettes.json'}:{name.split('/')[0]}")
    assert check_real(data_dir, palette, data_dir / name) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("3d-iosseg", 120), ("teeth3ds", 8)])
def test_every_real_scan(name: str, count: int, data_dir: Path) -> None:
    palette = load_palette(f"{data_dir / 'palettes.json'}:{name}")
    paths = find_scans([data_dir / name])
    assert len(paths) == count
    assert sum(check_real(data_dir, palette, path) for path in paths) < 10


def test_labels_that_count_past_a_closed_gap_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mesh = synthetic_arch(3, jaw=1, faces=4000, without=[34, 44, 38, 48])
    count = {35: 34, 36: 35, 37: 36}
    for name, labels in (
        ("right", mesh.labels),
        ("wrong", np.array([count.get(fdi, fdi) for fdi in mesh.labels.tolist()])),
    ):
        file = tmp_path / f"{name}_lower.stl"
        write_stl(file, mesh.vertices, mesh.faces)
        (tmp_path / f"{name}_lower.txt").write_text("\n".join(map(str, labels)))
        read_scan(file)
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told.startswith("wrong_lower: labelled as a second premolar, but as large as a molar: 35; ")


@pytest.mark.parametrize(("name", "told"), [("7_upper", False), ("7_lower", True), ("7", False)])
def test_labels_of_the_other_jaw_than_the_name_are_told(
    name: str, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scan = tmp_path / f"{name}.obj"
    scan.write_text(OBJ)
    write_txt(scan.with_suffix(".txt"), np.array([3, 0, 3]))  # 16 in universal numbers
    with caplog.at_level(logging.WARNING, "toothgraph"):
        mesh = read_scan(scan, label_system="universal")
    assert set(mesh.labels) == {0, 16} or set(mesh.labels) == {16}
    said = f"lower jaw by its name, but the labels in {tmp_path / '7_lower.txt'}, read as universal numbers, are of"
    assert (said in caplog.text) == told


def test_a_palette_may_be_named_and_a_jaw_may_not(tmp_path: Path) -> None:
    file = tmp_path / "palettes.json"
    content = {"mine": {"jaws": ["upper"], "colours": {"11": [250, 0, 0], "0": [255, 255, 255]}}}
    file.write_text(json.dumps(content))
    arch = synthetic_arch(1, jaw=0, faces=2000)
    scan = tmp_path / "007_U.stl"
    write_stl(scan, arch.vertices, arch.faces)
    with pytest.raises(ConfigError, match=r"palettes\.json"):
        read_scan(scan, palette=f"{file}:other")
    with pytest.raises(ShapeError, match="a jaw of 0 upper"):
        read_scan(scan, jaw="upper")  # type: ignore[arg-type]


def test_a_json_beside_a_scan_does_not_move_the_borders_that_its_faces_have(arch: Mesh, tmp_path: Path) -> None:
    for model in (None, "a model"):
        folder = tmp_path / str(model)
        scan = write_labelled(folder, "a_upper", arch, arch.labels, ("ply", "json"), model=model)[0]
        found = read_scan(scan)
        np.testing.assert_array_equal(found.labels, arch.labels)
        assert found.original is not None and found.original.vertex_labels is not None
        assert found.label_origin.kind == ("given" if model is None else "found")
    content = json.loads(scan.with_suffix(".json").read_text())
    content["labels"] = [25 if number == 24 else 24 if number == 25 else number for number in content["labels"]]
    scan.with_suffix(".json").write_text(json.dumps(content))
    found = read_scan(scan)
    assert found.label_origin.kind == "corrected"
    assert found.labels is not None and (found.labels == 25)[arch.labels == 24].mean() > 0.8


def test_label_files_of_any_text_program(quad: Path) -> None:
    for content in (
        b"\xef\xbb\xbf11\r\n12\r\n0\r\n",
        "11\n12\n0\n".encode("utf-16"),
        b"11,12,0",
        b"11,\n12,\n0,\n",
        b"11\n12,0",
    ):
        quad.with_suffix(".txt").write_bytes(content)
        np.testing.assert_array_equal(read_scan(quad).labels, [11, 11, 0])
    quad.with_suffix(".txt").write_text("11;12;" * 5000)
    with pytest.raises(LabelError) as error:
        read_scan(quad)
    assert len(str(error.value)) < 300
    quad.with_suffix(".txt").unlink()
    quad.with_suffix(".json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"labels": [11] * 5}).encode())
    np.testing.assert_array_equal(read_scan(quad).labels, [11, 11, 11])


def test_an_array_on_vertices_that_contradicts_the_faces_is_told(
    arch: Mesh, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert arch.labels is not None
    of_vertices = vertices_to_original(arch, arch.labels)
    changed = np.where(of_vertices == 16, 17, np.where(of_vertices == 17, 16, of_vertices))
    for name, vertices in (("same", of_vertices), ("other", changed)):
        write_ply(tmp_path / f"{name}_upper.ply", arch.vertices, arch.faces, vertices, arch.labels)
        caplog.clear()
        np.testing.assert_array_equal(read_scan(tmp_path / f"{name}_upper.ply").labels, arch.labels)
        told = "array `fdi` on vertices contradicts `fdi` on faces (teeth 17, 16); the labels on faces are used"
        assert (told in caplog.text) is (name == "other")


def with_arrays(path: Path, mesh: Mesh, vertices: np.ndarray | None, faces: dict[str, np.ndarray]) -> Path:
    """A PLY with an array ``label`` of doubles on vertices, and arrays of doubles on faces."""
    header = [
        "ply",
        "format ascii 1.0",
        f"element vertex {len(mesh.vertices)}",
        *(f"property double {x}" for x in "xyz"),
    ]
    header += ["property double label"] * (vertices is not None) + [f"element face {len(mesh.faces)}"]
    header += ["property list uchar int vertex_indices", *(f"property double {name}" for name in faces), "end_header"]
    points = mesh.vertices if vertices is None else np.column_stack([mesh.vertices, vertices])
    rows = [[3, *face, *(column[k] for column in faces.values())] for k, face in enumerate(mesh.faces.tolist())]
    path.write_text("\n".join([*header, *(" ".join(map(str, row)) for row in [*points.tolist(), *rows])]) + "\n")
    return path


@pytest.mark.parametrize("where", ["faces", "vertices"])
def test_an_array_that_is_no_label_disturbs_no_label_file(where: str, arch: Mesh, tmp_path: Path) -> None:
    shares = np.linspace(0, 1, len(arch.faces if where == "faces" else arch.vertices))
    data = (None, {"label": shares}) if where == "faces" else (shares, {})
    file = with_arrays(tmp_path / "a_upper.ply", arch, *data)
    write_teeth3ds_json(tmp_path / "a_upper.json", vertices_to_original(arch, arch.labels), jaw=0)
    assert set(read_scan(file).labels.tolist()) == set(arch.labels.tolist())


@pytest.mark.parametrize("name", ["instances", "large"])
def test_numbers_that_are_no_teeth_contradict_nothing(
    name: str, arch: Mesh, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    of_vertices = vertices_to_original(arch, arch.labels)
    other = {"instances": count_instances(of_vertices), "large": np.where(of_vertices > 0, 2.0**70, 0.0)}[name]
    file = with_arrays(tmp_path / "a_upper.ply", arch, other, {"fdi": arch.labels})
    np.testing.assert_array_equal(read_scan(file).labels, arch.labels)
    assert "contradicts" not in caplog.text


def test_labels_of_another_order_are_told(arch: Mesh, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As of a Teeth3DS file made for the OBJ of a scan that was saved as STL since."""
    write_stl(tmp_path / "a_upper.stl", arch.vertices, arch.faces)
    write_txt(tmp_path / "a_upper.txt", arch.labels)
    read_scan(tmp_path / "a_upper.stl")
    assert not caplog.records
    write_txt(tmp_path / "a_upper.txt", np.random.default_rng(0).permutation(arch.labels))
    read_scan(tmp_path / "a_upper.stl")
    (record,) = caplog.records
    assert "a_upper.txt differ across" in record.getMessage() and "another mesh of it" in record.getMessage()
    caplog.clear()
    with_labels_of(tmp_path, "a_upper", read_mesh(tmp_path / "a_upper.stl"))  # as `convert --labels` reads them
    assert "another mesh of it" in caplog.text


def test_label_files_in_capitals(arch: Mesh, tmp_path: Path) -> None:
    write_stl(tmp_path / "A_UPPER.STL", arch.vertices, arch.faces)
    source = Source(tmp_path / "A_UPPER.STL", "A_UPPER", "A")
    before = source.digest()
    write_txt(tmp_path / "A_UPPER.TXT", arch.labels)
    np.testing.assert_array_equal(read_scan(source.path).labels, arch.labels)
    assert source.digest() != before
