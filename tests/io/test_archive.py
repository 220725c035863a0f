"""Archives of scans, and archives that are traps."""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import DataError, MeshError
from toothgraph.io.archive import opened
from toothgraph.io.find import find_scans
from toothgraph.io.formats import gltf
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.formats.tooth_folder import write_tooth_folder
from toothgraph.io.labels import read_scan
from toothgraph.io.read import read_mesh
from toothgraph.io.write import write_labelled, write_txt
from toothgraph.mesh.mesh import Mesh


def zipped(path: Path, content: dict[str, bytes | Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data.read_bytes() if isinstance(data, Path) else data)
    return path


@pytest.fixture
def stl(patch: Mesh, tmp_path: Path) -> Path:
    (tmp_path / "plain").mkdir()
    write_stl(tmp_path / "plain" / "x_lower.stl", patch.vertices, patch.faces)
    return tmp_path / "plain" / "x_lower.stl"


def test_one_scan(stl: Path, patch: Mesh, tmp_path: Path) -> None:
    packed = tmp_path / "x_lower.stl.gz"
    packed.write_bytes(gzip.compress(stl.read_bytes()))
    in_zip = zipped(tmp_path / "order 7.zip", {"to print/x_lower.stl": stl, "readme.pdf": b"%PDF", "to print/": b""})
    for archive in (packed, in_zip):
        (found,) = find_scans([archive])
        assert found.name == "x_lower.stl" and found == opened(archive) == opened(archive)
        mesh = read_mesh(archive)
        assert (mesh.jaw, mesh.scan_id) == (1, "x_lower")
        np.testing.assert_allclose(mesh.corners, patch.corners, atol=1e-5)
    assert not list(opened(in_zip).parents[1].rglob("*.pdf"))  # what is not read is not unpacked
    shutil.copy(stl, stl.with_name("y.stl"))
    assert opened(zipped(in_zip, {"y.stl": stl})).name == "y.stl"  # another file of the same name


def test_a_case_of_both_jaws_with_labels(arch: Mesh, tmp_path: Path) -> None:
    write_labelled(tmp_path / "out", "upper", arch, arch.labels, ["ply", "txt", "json"], model="m")
    files: dict[str, bytes | Path] = {f"case\\{file.name}": file for file in (tmp_path / "out").iterdir()}
    files |= {
        "case/lower.ply": tmp_path / "out" / "upper.ply",
        "__MACOSX/case/._upper.ply": b"x",
        "case/.upper.stl": b"",
    }
    archive = zipped(tmp_path / "anna.zip", files)
    scans = find_scans([archive])
    assert [scan.name for scan in scans] == ["lower.ply", "upper.ply"]
    assert scans[0].parents[1].name == "anna"
    mesh = read_scan(scans[1])
    assert mesh.label_origin.kind == "found" and (mesh.labels == arch.labels).all()
    with pytest.raises(MeshError, match=r"anna\.zip: expected one scan, found several in this archive"):
        read_scan(archive)


def test_one_stl_per_tooth(arch: Mesh, tmp_path: Path) -> None:
    write_tooth_folder(tmp_path / "teeth", arch.vertices, arch.faces, arch.labels)
    archive = zipped(tmp_path / "x_upper.zip", {file.name: file for file in (tmp_path / "teeth").iterdir()})
    (scan,) = find_scans([archive])
    assert scan.name == "x_upper"
    assert set(read_scan(archive).labels.tolist()) == set(arch.labels.tolist())
    whole = {f"y_upper/{file.name}": file for file in (tmp_path / "teeth").iterdir()}  # as a folder is compressed
    scan = read_scan(zipped(tmp_path / "case.zip", whole))
    assert scan.scan_id == "y_upper" and set(scan.labels.tolist()) == set(arch.labels.tolist())


def test_colons_in_names_are_no_places(stl: Path, patch: Mesh, tmp_path: Path) -> None:
    for number, name in enumerate(("Anna 12:05:2023/UpperJawScan.stl", "10:30 upper.stl")):
        assert read_mesh(zipped(tmp_path / f"{number}.zip", {name: stl})).jaw == 0
    packed = tmp_path / "Anna 10:30 upper.stl.gz"
    packed.write_bytes(gzip.compress(stl.read_bytes()))
    assert read_mesh(packed).jaw == 0


def test_archives_in_a_folder_are_named(stl: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    archive = zipped(tmp_path / "in" / "a.zip", {"x.stl": stl})
    with pytest.raises(DataError, match=rf"archives are read if they are named one by one, such as {archive}"):
        find_scans([tmp_path / "in"])
    shutil.copy(stl, tmp_path / "in")
    assert find_scans([tmp_path / "in"]) == [tmp_path / "in" / "x_lower.stl"]  # what was unpacked from it, maybe


def tar_gz() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.stl"))
    return data.getvalue()


def with_link() -> bytes:
    data, info = io.BytesIO(), zipfile.ZipInfo("a.stl")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return data.getvalue()


def made(**content: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, inside in content.items():
            archive.writestr(name, inside)
    return data.getvalue()


def protected() -> bytes:
    data = bytearray(made(**{"a.stl": b"x"}))
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + flags] |= 1
    return bytes(data)


ZEROS = bytes(3_000_000)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.zip", made(**{"../a.stl": b"x"}), r"own folder, found '\.\./a\.stl', which would be written elsewhere"),
        ("a.zip", made(**{"x/..\\..\\a.stl": b"x"}), "which would be written elsewhere"),
        ("a.zip", made(**{"/etc/a.stl": b"x"}), "which would be written elsewhere"),
        ("a.zip", made(**{"C:\\a.stl": b"x"}), "which would be written elsewhere"),
        ("a.zip", made(**{"b.zip": made(**{"a.stl": b"x"})}), r"another archive in it, 'b\.zip'"),
        ("a.zip", made(**{"a.stl": ZEROS}), r"unpacks to more than the limit of 0\.002 GB"),
        ("a.zip", made(**{"a.stl": ZEROS[::2], "b.stl": ZEROS[::2]}), "unpacks to more than the limit"),
        ("a.zip", made(**{f"{number}.txt": b"" for number in range(10_001)}), "10001 files in it, too many"),
        ("a.zip", made(**{"a.txt": b"x"}), r"has no scans in it \(\.stl"),
        ("a.zip", made(**{"a.txt": b"x"}).replace(b"a.txt", b"\0.txt"), "has no scans in it"),  # a name of no letter
        ("a.zip", made(**{"a.stl": b"x", "a.stl/b.stl": b"x"}), "cannot be unpacked"),
        ("a.zip", made(**{f"{'x' * 300}.stl": b"x"}), "cannot be unpacked"),
        ("a.zip", with_link(), r"expected files, found a link, 'a\.stl'"),
        ("a.zip", protected(), "cannot be unpacked .*(encrypted|password)"),
        ("a.zip", made(**{"a.stl": ZEROS[:9999]})[:-50], "cannot be unpacked"),
        ("a.zip", b"", "cannot be unpacked"),
        ("a.stl.gz", gzip.compress(ZEROS), "unpacks to more than the limit"),
        ("a.stl.gz", gzip.compress(b"solid")[:-6], "cannot be unpacked"),
        ("a.stl.gz", b"solid", "cannot be unpacked .*gzip"),
        ("a.tar.gz", tar_gz(), r"another archive in it, 'a\.tar'"),
        ("a.gz", gzip.compress(b"solid"), r"no scans in it .* is it a\.stl\.gz\?"),
    ],
    ids=lambda value: value if isinstance(value, str) else "bytes",  # of which some have the time in them
)  # fmt: skip
def test_traps(name: str, content: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gltf, "UNPACKED", 2_000_000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(content)
    for read in (lambda path: find_scans([path]), read_mesh):
        with pytest.raises(MeshError, match=said) as caught:
            read(tmp_path / "in" / name)
        assert str(caught.value).startswith(str(tmp_path / "in" / name)) and "\n" not in str(caught.value)
    left = [file for file in (tmp_path / "temporary").rglob("*") if file.suffix == ".stl"]
    assert left == [] and {file.name for file in tmp_path.iterdir()} == {"temporary", "in"}


def test_two_files_of_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.stl", b"x")
        archive.writestr("a.stl", b"y")
    with pytest.raises(MeshError, match=r"a\.zip: cannot be unpacked .two files in it have the same name"):
        find_scans([tmp_path / "a.zip"])


def test_labels_beside_a_gz(arch: Mesh, tmp_path: Path) -> None:
    write_stl(tmp_path / "x_upper.stl", arch.vertices, arch.faces)
    (tmp_path / "x_upper.stl.gz").write_bytes(gzip.compress((tmp_path / "x_upper.stl").read_bytes()))
    (tmp_path / "x_upper.stl").unlink()
    write_txt(tmp_path / "x_upper.TXT", arch.labels)
    mesh = read_scan(tmp_path / "x_upper.stl.gz")
    assert mesh.labels is not None
    np.testing.assert_array_equal(mesh.labels, arch.labels)
