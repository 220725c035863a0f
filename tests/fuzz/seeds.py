"""The kinds of files that are read, each with valid contents to begin with."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import torch
import trimesh
from safetensors.torch import save

from toothgraph.config import read_toml
from toothgraph.data.prepared.file import Header, load_scan, save_scan
from toothgraph.data.prepared.sources import find_sources
from toothgraph.data.scan import prepare_scan
from toothgraph.data.split import load_split
from toothgraph.errors import ToothgraphError
from toothgraph.graph.spec import GraphSpec
from toothgraph.io.find import find_scans
from toothgraph.io.formats import _vtk_process
from toothgraph.io.formats.registry import read_stored
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.labels import read_labels
from toothgraph.io.palette import load_palette
from toothgraph.io.read import mesh_from_stored, read_mesh
from toothgraph.io.write import write_labelled
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.file import read_model
from toothgraph.synthetic import synthetic_arch
from toothgraph.training.config import FINETUNE_PRESETS, make_config
from toothgraph.training.run_folder import read_checkpoint

PALETTE = {"p": {"background": [0, 0, 0], "upper": {"11": [255, 0, 0]}, "lower": {"31": [0, 255, 0]}}}
SPLIT = {"train": ["a", "b"], "val": ["c"], "label_fraction_percent": {"50": ["a"]}}
CONFIG = """lr = 0.1
steps = 10
[net]
widths = [8, 8, 8, 8]
[net.graph]
faces = 100
spacings = [0.0, 1.0]
[cuts]
missing = 0.5
"""
SCANS = "path,scan_id,patient,jaw\nx.stl,a,b,upper\ny.stl,,,\n"
MODEL = {"format": "toothgraph-model-1", "kind": "segmentation", "net": {"widths": [8, 8, 8, 8]}, "seed": 0}


@dataclass(frozen=True)
class Target:
    """A kind of file: its name, valid contents to begin with, and what reads it.

    What is read in a process of its own may bring that down.
    """

    file: str
    seeds: list[bytes]
    read: Callable[[Path], object]
    own_process: bool = False


def read_surface(path: Path) -> None:
    """As a scan is read, into a clean mesh."""
    mesh_from_stored(path, read_stored(path))


def read_vtk(path: Path) -> None:
    """What the child process of a VTK file does, without starting one."""
    try:
        _vtk_process.read(path)
    except ValueError as error:
        raise ToothgraphError(str(error)) from error


def read_graphs(path: Path) -> None:
    """All graphs of a prepared scan."""
    for graph in load_scan(path).variants:
        assert graph.num_nodes is not None


def read_config(path: Path) -> None:
    """Options as a command takes them."""
    make_config(FINETUNE_PRESETS, "default", [(str(path), read_toml(path))])


def small_arch() -> Mesh:
    """A piece of an arch: small files are read often."""
    return synthetic_arch(1, jaw=0, faces=2000).part(np.arange(150))


def surfaces(arch: Mesh) -> dict[str, bytes]:
    """The formats that are text, by name."""
    points, faces = arch.vertices.tolist(), arch.faces.tolist()
    lines = "".join("{} {} {}\n".format(*point) for point in points)
    corners = "".join("3 {} {} {}\n".format(*face) for face in faces)
    facets = (
        "facet normal 0 0 1\nouter loop\n{}endloop\nendfacet\n".format(
            "".join("vertex {} {} {}\n".format(*point) for point in face)
        )
        for face in arch.corners.tolist()
    )
    ply = [
        *("ply", "format ascii 1.0", f"element vertex {len(points)}"),
        *("property float x", "property float y", "property float z"),
        *(f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header\n"),
    ]
    texts = {
        "stl": "solid x\n" + "".join(facets) + "endsolid x\n",
        "ply": "\n".join(ply) + lines + corners,
        "obj": "".join("v {} {} {}\n".format(*point) for point in points)
        + "".join("f {}/1/1 {} {}//2\n".format(*(corner + 1 for corner in face)) for face in faces),
        "off": f"OFF\n{len(points)} {len(faces)} 0\n" + lines + corners,
        "coff": f"COFF\n{len(points)} {len(faces)} 0\n" + lines.replace("\n", " 9 9 9 255\n") + corners,
    }
    return {name: text.encode() for name, text in texts.items()} | odd_texts(texts, len(points))


def odd_texts(texts: dict[str, str], num_vertices: int) -> dict[str, bytes]:
    """The same as programs write it that do not keep to the format, or that use more of it."""

    def relative(corner: re.Match[str]) -> str:
        return f" {int(corner[1]) - 1 - num_vertices}/1"

    vertices, faces = texts["obj"].split("f ", 1)
    obj = vertices + re.sub(r" (\d+)\S*", relative, f"f {faces}")
    ply = texts["ply"].replace(".", ",").replace("ascii 1,0", "ascii 1.0")
    rows = texts["ply"].partition("end_header\n")[2].splitlines(keepends=True)[:num_vertices]
    return {
        "odd stl": texts["stl"].replace(".", ",").replace("end", "end ").upper().replace("\n", "\r").encode("utf-16"),
        "stl in one line": " ".join(texts["stl"].split()).encode(),
        "odd obj": ("# C:\\\n" + obj.replace(" ", " \\\n ", 30)).replace(".", ",").encode("utf-8-sig"),
        "odd ply": ply.replace("\n", "\r").encode("utf-8-sig"),
        "strips": (
            texts["ply"].partition("element face")[0]
            + "element tristrips 1\nproperty list int int vertex_indices\nend_header\n"
            + "".join(rows)
            + "12 0 1 2 3 4 -1 5 6 7 8 -1 9\n"
        ).encode(),
    }


def dicom(inside: bytes, kind: str, number: int) -> bytes:
    """A DICOM file with a surface inside."""
    content, file = pydicom.Dataset(), io.BytesIO()
    content.SOPClassUID, content.SOPInstanceUID = f"1.2.840.10008.5.1.4.1.1.104.{number}", "1.2.3"
    content.MIMETypeOfEncapsulatedDocument = f"model/{kind}"
    content.EncapsulatedDocument = inside + b"\0" * (len(inside) % 2)
    content.EncapsulatedDocumentLength = len(inside)
    content.file_meta = pydicom.dataset.FileMetaDataset()
    content.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    content.save_as(file, enforce_file_format=True)
    return file.getvalue()


def targets(folder: Path) -> dict[str, Target]:
    """All kinds of files, with seeds made in ``folder``."""
    arch = small_arch()
    assert arch.labels is not None
    text = surfaces(arch)
    write_stl(folder / "x.stl", arch.vertices, arch.faces)
    write_labelled(folder, "x", arch, arch.labels, formats=["ply", "txt", "json", "vtp", "vtk"])
    state = io.BytesIO()
    torch.save({"global_step": 3, "state_dict": {"w": torch.zeros(3)}, "loops": {"a": [1, None]}}, state)
    header = Header("a", "a", "a.stl", "0" * 64, "0" * 16, 0, 150, True, 2, "0")
    save_scan(folder / "scan", prepare_scan(arch, GraphSpec(faces=60, k=3), 2, 0), header)

    def read_beside(path: Path) -> None:
        """Labels of the scan beside the file."""
        scan = path.with_suffix(".stl")
        if not scan.exists():
            write_stl(scan, arch.vertices, arch.faces)
        read_labels(scan, read_mesh(scan))

    def made(name: str) -> bytes:
        return (folder / name).read_bytes()

    def read_packed(path: Path) -> None:
        """What is in an archive, as a command finds and reads it."""
        for scan in find_scans([path]):
            read_surface(scan)

    case = io.BytesIO()
    with zipfile.ZipFile(case, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("case/upper.stl", made("x.stl"))
        archive.writestr("case/lower.obj", text["obj"])
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("a.ply", made("x.ply"))
    scene = trimesh.Trimesh(arch.vertices, arch.faces, process=False)
    model = save({"w": torch.zeros(4)}, {"toothgraph": json.dumps(MODEL)})
    return {
        "stl": Target("x.stl", [made("x.stl"), text["stl"], text["odd stl"], text["stl in one line"]], read_surface),
        "ply": Target("x.ply", [made("x.ply"), text["ply"], text["odd ply"], text["strips"]], read_surface),
        "obj": Target("x.obj", [text["obj"], text["odd obj"]], read_surface),
        "off": Target("x.off", [text["off"], text["coff"]], read_surface),
        "vtp": Target("x.vtp", [made("x.vtp")], read_vtk, own_process=True),
        "vtk": Target("x.vtk", [made("x.vtk")], read_vtk, own_process=True),
        "glb": Target("x.glb", [scene.export(file_type="glb")], read_surface),
        "3mf": Target("x.3mf", [scene.export(file_type="3mf")], read_surface),
        "zip": Target("x.zip", [case.getvalue(), stored.getvalue()], read_packed),
        "gz": Target("x.stl.gz", [gzip.compress(made("x.stl")), gzip.compress(text["stl"])], read_packed),
        "dcm": Target("x.dcm", [dicom(made("x.stl"), "stl", 3), dicom(text["obj"], "obj", 4)], read_surface),
        "labels txt": Target("x.txt", [made("x.txt")], read_beside),
        "labels json": Target("x.json", [made("x.json")], read_beside),
        "palette": Target("p.json", [json.dumps(PALETTE).encode()], lambda path: load_palette(f"{path}:p")),
        "split": Target("s.json", [json.dumps(SPLIT).encode()], load_split),
        "config": Target("c.toml", [CONFIG.encode()], read_config),
        "list of scans": Target("l.csv", [SCANS.encode()], lambda path: find_sources([path])),
        "model": Target("m.safetensors", [model], read_model),
        "checkpoint": Target("c.ckpt", [state.getvalue()], read_checkpoint),
        "prepared scan": Target("s.safetensors", [made("scan")], read_graphs),
    }
