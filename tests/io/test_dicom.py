"""STL and OBJ inside DICOM files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import MeshError
from toothgraph.io.find import find_scans
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.read import read_mesh
from toothgraph.mesh.mesh import Mesh

CLASSES = {"model/stl": "1.2.840.10008.5.1.4.1.1.104.3", "model/obj": "1.2.840.10008.5.1.4.1.1.104.4"}


def write_dicom(path: Path, inside: bytes, kind: str = "model/stl", sop_class: str | None = None) -> Path:
    pydicom = pytest.importorskip("pydicom")
    content = pydicom.Dataset()
    content.SOPClassUID = sop_class or CLASSES[kind]
    content.SOPInstanceUID = "1.2.3"
    content.Modality = "M3D"
    content.MIMETypeOfEncapsulatedDocument = kind
    content.EncapsulatedDocument = inside + b"\0" * (len(inside) % 2)
    content.EncapsulatedDocumentLength = len(inside)
    content.file_meta = pydicom.dataset.FileMetaDataset()
    content.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    content.save_as(path, enforce_file_format=True)
    return path


def test_stl_and_obj_inside(patch: Mesh, tmp_path: Path) -> None:
    write_stl(tmp_path / "in.stl", patch.vertices, patch.faces)
    stl = (tmp_path / "in.stl").read_bytes()
    mesh = read_mesh(write_dicom(tmp_path / "a_upper.dcm", stl))
    np.testing.assert_allclose(mesh.corners, patch.corners, atol=1e-5)
    assert mesh.jaw == 0
    lines = [f"v {x} {y} {z}" for x, y, z in patch.vertices] + [f"f {a} {b} {c}" for a, b, c in patch.faces + 1]
    mesh = read_mesh(write_dicom(tmp_path / "b.dcm", "\n".join(lines).encode(), "model/obj"))
    np.testing.assert_allclose(mesh.corners, patch.corners)


def test_images_in_a_folder_are_no_scans(patch: Mesh, tmp_path: Path) -> None:
    write_stl(tmp_path / "a.stl", patch.vertices, patch.faces)
    ours = write_dicom(tmp_path / "b.dcm", (tmp_path / "a.stl").read_bytes())
    image = write_dicom(tmp_path / "image.dcm", b"12", "application/pdf", "1.2.840.10008.5.1.4.1.1.2")
    assert find_scans([tmp_path]) == [tmp_path / "a.stl", ours]
    with pytest.raises(MeshError, match=r"image\.dcm: expected an STL or OBJ inside .* modality M3D without"):
        read_mesh(image)


def test_a_scan_of_3shape_in_a_folder_is_told_unless_it_was_exported(
    patch: Mesh, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("Raw Preparation scan.dcm", "UpperJawScan.dcm"):
        (tmp_path / name).write_bytes(b'<?xml version="1.0"?>\n<HPS version="1.1">\n</HPS>\n')
    write_stl(tmp_path / "UpperJawScan.stl", patch.vertices, patch.faces)
    assert find_scans([tmp_path]) == [tmp_path / "UpperJawScan.stl"]
    assert "3Shape's own format and are not read; export them as STL or PLY: Raw Preparation scan.dcm" in caplog.text
    with pytest.raises(MeshError, match="export STL or PLY"):
        read_mesh(tmp_path / "UpperJawScan.dcm")


def test_the_class_tells_what_is_inside(patch: Mesh, tmp_path: Path) -> None:
    write_stl(tmp_path / "in.stl", patch.vertices, patch.faces)
    for kind in ("application/sla", "application/octet-stream"):
        file = write_dicom(tmp_path / "a.dcm", (tmp_path / "in.stl").read_bytes(), kind, CLASSES["model/stl"])
        np.testing.assert_allclose(read_mesh(file).corners, patch.corners, atol=1e-5)


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.dcm").write_bytes(bytes(500))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MeshError, match=r"a\.dcm: reading DICOM needs the extra dicom: pip install"):
        read_mesh(tmp_path / "a.dcm")


def test_what_is_no_dicom(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    (tmp_path / "a.dcm").write_bytes(bytes(500))
    with pytest.raises(MeshError, match=r"a\.dcm: cannot be read as DICOM: InvalidDicomError"):
        read_mesh(tmp_path / "a.dcm")
