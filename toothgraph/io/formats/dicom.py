"""STL and OBJ inside DICOM, read through the package pydicom (extra ``toothgraph[dicom]``).

Format: DICOM PS3.3, A.85 Encapsulated STL and OBJ; PS3.4, table B.5-1 for the SOP class of such a file.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from toothgraph.errors import MeshError, needs_extra
from toothgraph.io.formats.obj import obj_from_bytes
from toothgraph.io.formats.stl import stl_from_bytes
from toothgraph.mesh.stored import Stored

_CLASS = rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.104\.[34](?!\d)"  # SOP class near the beginning: 3 is STL, 4 is OBJ
_KINDS = {"1.2.840.10008.5.1.4.1.1.104.3": "stl", "1.2.840.10008.5.1.4.1.1.104.4": "obj"}
_NEAR = 2048  # bytes at the beginning that are searched


def has_surface(path: Path) -> bool:
    """Whether a DICOM file says near its beginning that it contains an STL or OBJ; most DICOM files are images."""
    with path.open("rb") as file:
        return bool(re.search(_CLASS, file.read(_NEAR)))


def read_dicom(path: Path) -> Stored:
    """Read the STL or OBJ inside a ``.dcm`` file.

    Raises:
        MeshError: if pydicom is not installed, the file cannot be read, or it contains no STL or OBJ that can be read.
    """
    try:
        import pydicom
    except ImportError as error:
        raise MeshError(needs_extra(f"{path}: reading DICOM", "dicom")) from error
    data = path.read_bytes()  # from memory, pydicom cannot read more bytes than the file has, even if it promises more
    try:
        content = pydicom.dcmread(io.BytesIO(data))
        kind = _KINDS.get(str(content.get("SOPClassUID", "")), "")
        kind = kind or str(content.get("MIMETypeOfEncapsulatedDocument", "")).lower()
        inside = content.get("EncapsulatedDocument")
        length = int(content.get("EncapsulatedDocumentLength", 0))  # without the padding byte to an even length
    except MemoryError:
        raise
    except Exception as error:  # a parser of untrusted bytes may raise anything: report the cause
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise MeshError(f"{path}: cannot be read as DICOM: {cause}") from error
    if not isinstance(inside, bytes) or not ("stl" in kind or "obj" in kind):
        modality = content.get("Modality", "unknown")
        raise MeshError(
            f"{path}: expected an STL or OBJ inside a DICOM file, found modality {modality} without them; "
            "export the surface as STL"
        )
    data = inside[:length] if 0 < length < len(inside) else inside
    return obj_from_bytes(path, data) if "obj" in kind else stl_from_bytes(path, data)
